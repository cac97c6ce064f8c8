"""What every kind of layer answers: its parameters, what it keeps per token or sequence, and the work it asks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from infrascale.work import Batch, Linear, Numerics, Shard, Work


class Block:
    """One residual branch of a transformer layer, with the norm before it.

    A kind of layer says its `linears` and its `work`. The rest holds of one that sends every token through all its
    parameters and keeps nothing of a sequence; kinds that do otherwise say so.
    """

    hidden: int
    norm_params: int  # beside the GEMMs, in 16 bits
    window_tokens: int | None = None  # the most tokens of a sequence that are ever read back; None: all of them

    @property
    def linears(self) -> tuple[Linear, ...]:
        """Every weight matrix that runs as a plain GEMM."""
        raise NotImplementedError

    @cached_property
    def params(self) -> int:
        """All parameters, norms and routed experts included."""
        return sum(linear.params for linear in self.linears) + self.norm_params

    @property
    def active_params(self) -> int:
        """Parameters that one token passes through."""
        return self.params

    def weight_bytes_per_gpu(self, shard: Shard, numerics: Numerics) -> float:
        return linear_bytes_per_gpu(self.linears, shard.tp, numerics) + self.norm_params * 2

    def cache_bytes_per_token(self, tp: int, kv_bytes: float) -> float:
        """KV cache one token occupies on one GPU of the tensor-parallel group [bytes/token]."""
        return 0.0

    def state_bytes_per_seq(self, tp: int) -> float:
        """What a sequence keeps whatever its length, on one GPU [bytes]."""
        return 0.0

    def work(self, batch: Batch, shard: Shard, numerics: Numerics) -> Iterator[Work]:
        """What one such layer asks of one GPU for `batch` (of the whole engine)."""
        raise NotImplementedError


def linear_bytes_per_gpu(linears: tuple[Linear, ...], tp: int, numerics: Numerics) -> float:
    """Memory of plain GEMM weights on one GPU [bytes]."""
    return sum(linear.params_per_gpu(tp) * numerics.weight_bytes[linear.part] for linear in linears)


def sequence_span(tokens: float, window: int | None) -> float:
    """Tokens of a sequence of `tokens` that a layer with this window reads back."""
    return tokens if window is None else min(tokens, float(window))


def causal_pairs(tokens: float, past: float, window: int | None) -> float:
    """Query-key pairs of one prompt chunk: `tokens` new ones after `past` cached ones, causal.

    tokens · past + tokens² / 2, each query at most `window` keys
    """
    if window is None or tokens + past <= window:
        return tokens * past + tokens * tokens / 2
    growing = max(0.0, min(tokens, window - past))  # queries that still see everything
    return growing * past + growing * growing / 2 + (tokens - growing) * window
