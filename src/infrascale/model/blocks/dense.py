"""A feed-forward block: two matrices, or three when gated (SwiGLU and the like)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from infrascale.model.blocks.block import Block
from infrascale.work import Batch, Linear, Numerics, Part, Shard, Work


@dataclass(frozen=True, kw_only=True)
class Dense(Block):
    """`down(act(gate(x)) * up(x))`; vLLM fuses gate and up into one GEMM.

    Llama-3-8B: 3 · 4096 · 14336 = 176 M parameters a layer.
    """

    hidden: int
    intermediate: int
    gated: bool = True
    bias: bool = False
    norm_params: int = 0
    part: Part = Part.DENSE

    @cached_property
    def linears(self) -> tuple[Linear, ...]:
        wide = self.intermediate * (2 if self.gated else 1)
        return (
            Linear(name="up", inputs=self.hidden, outputs=wide, part=self.part, bias=self.bias),
            Linear(
                name="down", inputs=self.intermediate, outputs=self.hidden, part=self.part, bias=self.bias, inner=True
            ),
        )

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        rank = batch.divided(shard.dp)
        for linear in self.linears:
            yield linear.work(rank.tokens, shard.tp, numerics)
