"""What one request looks like: mean lengths, and how much they vary."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """`isl_tokens` in, `osl_tokens` out, of the input `prefix_hit_fraction` found in the prefix cache.

    `isl_cv`, `osl_cv`: standard deviation over mean of the lengths; 0 for fixed ones.
    """

    isl_tokens: float
    osl_tokens: float
    prefix_hit_fraction: float = 0.0
    isl_cv: float = 0.0
    osl_cv: float = 0.0

    @property
    def new_tokens(self) -> float:
        """Prompt tokens left to compute: at least the last one, which vLLM never takes from the cache."""
        return max(1.0, self.isl_tokens * (1 - self.prefix_hit_fraction))

    @property
    def cached_tokens(self) -> float:
        return self.isl_tokens - self.new_tokens

    @property
    def mean_context_tokens(self) -> float:
        """What a decoding request holds on average: its prompt and half its answer, long answers being met more often.

        isl + E[osl²] / 2·E[osl]
        """
        return self.isl_tokens + self.osl_tokens / 2 * (1 + self.osl_cv**2)

    @property
    def sd_context_tokens(self) -> float:
        """Standard deviation of the same: lengths as lognormal, a request met anywhere in its answer.

        √( (isl·cv_i)² + osl²·((1 + cv_o²)³/3 − (1 + cv_o²)²/4) )
        """
        longer = 1 + self.osl_cv**2
        answer = self.osl_tokens**2 * (longer**3 / 3 - longer**2 / 4)
        return ((self.isl_tokens * self.isl_cv) ** 2 + answer) ** 0.5

    @property
    def max_context_tokens(self) -> float:
        return self.isl_tokens + self.osl_tokens
