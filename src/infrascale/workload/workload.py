"""What one request looks like.

Means for now: length distributions enter with the simulator.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`isl_tokens` in, `osl_tokens` out, of the input `prefix_hit_fraction` found in the prefix cache."""

    isl_tokens: float
    osl_tokens: float
    prefix_hit_fraction: float = 0.0

    @property
    def new_tokens(self) -> float:
        """Prompt tokens left to compute: at least the last one, which vLLM never takes from the cache."""
        return max(1.0, self.isl_tokens * (1 - self.prefix_hit_fraction))

    @property
    def cached_tokens(self) -> float:
        return self.isl_tokens - self.new_tokens

    @property
    def mean_context_tokens(self) -> float:
        """What a decoding request holds on average: its prompt and half its answer."""
        return self.isl_tokens + self.osl_tokens / 2

    @property
    def max_context_tokens(self) -> float:
        return self.isl_tokens + self.osl_tokens
