"""Layers that carry a state of fixed size in place of a cache: Mamba and the linear attentions.

The parser says which matrices project in and out and how large the state is; how the state is used is the same for
all: a decode step reads and writes it once, a prompt scans it in chunks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from infrascale.model.blocks.block import Block
from infrascale.work import Batch, Kind, Linear, Numerics, Shard, Work


@dataclass(frozen=True, kw_only=True)
class Recurrent(Block):
    """`state_elements` numbers a sequence, in `state_bytes_per_element` each; `scan_flop_per_token` besides GEMMs."""

    hidden: int
    projections: tuple[Linear, ...]
    state_elements: int
    state_bytes_per_element: float
    scan_flop_per_token: float
    other_params: int = 0

    @property
    def linears(self) -> tuple[Linear, ...]:
        return self.projections

    @property
    def norm_params(self) -> int:
        return self.other_params

    def state_bytes_per_seq(self, tp: int) -> float:
        return self.state_elements * self.state_bytes_per_element / tp

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        rank = batch.divided(shard.dp)
        for linear in self.projections:
            yield linear.work(rank.tokens, shard.tp, numerics)
        touched = 2 * self.state_bytes_per_seq(shard.tp) * rank.seqs
        yield Work(
            name="scan",
            kind=Kind.RECURRENT,
            flop=self.scan_flop_per_token * rank.tokens / shard.tp,
            hbm_bytes=touched + 4 * rank.tokens * self.hidden / shard.tp * numerics.activation_bytes,
            rows=rank.tokens,
        )
