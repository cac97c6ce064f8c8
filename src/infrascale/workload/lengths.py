"""Lengths of prompts and answers: fixed, lognormal, or as they were seen.

In: a mean and a spread, or a sample.    Out: Lengths, with moments for the analytic queue and draws for the simulator.
Draws need NumPy and a generator that the caller seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import TYPE_CHECKING

from infrascale.errors import ScenarioError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """`mean_tokens` with `cv` (standard deviation over mean), lognormal; or equally likely values of a `sample`."""

    mean_tokens: float
    cv: float = 0.0
    sample: tuple[int, ...] = ()
    most_tokens: int = 1 << 20

    def draw(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Whole tokens, at least one. Rounding keeps the mean, for it goes up as often as the remainder is large."""
        import numpy as np

        if self.sample:
            return rng.choice(np.asarray(self.sample, np.int64), count)
        if self.cv == 0:
            exact = np.full(count, float(self.mean_tokens))
        else:
            sigma = sqrt(log(1 + self.cv**2))
            exact = rng.lognormal(log(self.mean_tokens) - sigma**2 / 2, sigma, count)
        rounded = np.floor(exact + rng.random(count)).astype(np.int64)
        return np.clip(rounded, 1, self.most_tokens)


def as_seen(tokens: Sequence[int]) -> Lengths:
    """The empirical distribution of a sample, its moments with it."""
    if not tokens or min(tokens) < 0:
        raise ScenarioError("no lengths to draw from", why="the sample is empty or negative", fix="give token counts")
    mean = sum(tokens) / len(tokens)
    variance = sum((t - mean) ** 2 for t in tokens) / len(tokens)
    return Lengths(mean_tokens=mean, cv=sqrt(variance) / mean if mean else 0.0, sample=tuple(max(1, t) for t in tokens))
