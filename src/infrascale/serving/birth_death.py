"""Birth–death chains: how many are in a system that they enter one by one and leave one by one.

In: rates up and down by state.    Out: Stationary: the probability of every state, what an arrival finds, quantiles.
Idea: in equilibrium each pair of neighbouring states is crossed as often up as down, so

    π(n + 1) = π(n) · up(n) / down(n + 1)

is a product, taken in logarithms. Where rates no longer change with the state the rest is geometric and summed in
closed form: nothing is truncated. Knows nothing of requests or engines.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import exp, fsum, inf, log

#: A weight beside the likeliest state's 1 that no sum is changed by.
NOTHING = 1e-17


@dataclass(frozen=True, kw_only=True)
class Stationary:
    """`chances[i]` of state `first` + i; those from the last upwards lie in `chances[-1]`, geometric with `ratio`.

    States below the first, and above the last where there is no ratio, have no chance that could be told from none.
    """

    chances: tuple[float, ...]
    ratio: float = 0.0
    first: int = 0

    @property
    def last(self) -> int:
        return self.first + len(self.chances) - 1

    @property
    def full(self) -> float:
        """Chance of the last state or any above it."""
        return self.chances[-1]

    @cached_property
    def mean(self) -> float:
        """Mean state, the geometric part included: its mean excess is r / (1 − r)."""
        return self.mean_within + self.full * self.ratio / (1 - self.ratio)

    @cached_property
    def mean_within(self) -> float:
        """Mean of min(state, last): how many are in service."""
        return self.mean_up_to(self.last)

    def mean_up_to(self, most: int) -> float:
        """Mean of min(state, most)."""
        return fsum(min(n, most) * chance for n, chance in enumerate(self.chances, self.first))

    @cached_property
    def _cumulative(self) -> list[float]:
        return list(accumulate(self.chances))

    def quantile(self, share: float) -> int:
        """The smallest state n ≤ last with P(state ≤ n) ≥ share."""
        return min(self.last, self.first + bisect_left(self._cumulative, share))


def stationary(up: Sequence[float], down: Sequence[float], ratio: float = 0.0, width: float = 1.0) -> Stationary:
    """Equilibrium of states 0 … len(up): `up[n]` leads from n to n + 1, `down[n]` back; then geometric by `ratio`.

    M/M/1 at ρ = 0.5 with one explicit step (up 0.5, down 1, ratio 0.5): π(0) = 0.5, π(≥ 1) = 0.5.
    `width` scales the variance of the state: π is raised to 1 / width. That is the diffusion with the same drift and
    `width` times the noise, so it is exact at 1 and right to first order for a busy system elsewhere.
    Source: Whitt, Stochastic-Process Limits (2002), ch. 10 (many servers with non-Poisson arrivals).
    """
    logs = [0.0]
    for birth, death in zip(up, down, strict=True):
        logs.append(logs[-1] + ((log(birth) - log(death)) / width if birth > 0 else -inf))
    held = ratio ** (1 / width) if ratio > 0 else 0.0
    top = max(logs)
    weights = [exp(value - top) for value in logs]
    weights[-1] /= 1 - held
    total = fsum(weights)
    return Stationary(chances=tuple(weight / total for weight in weights), ratio=held)


def around(tendency: Callable[[int], float], level: int, places: int, ratio: float, width: float = 1.0) -> Stationary:
    """The same chain from its likeliest state outwards, as far as a chance can be told from none.

    `tendency(n)` is up(n − 1) / down(n), falling with n and one near `level`; those from `places` upwards are
    geometric with `ratio`.
    """
    power = 1 / width
    below, weight, state = [1.0], 1.0, level
    while state > 0 and weight > NOTHING:
        weight /= max(tendency(state), 1e-300) ** power
        below.append(weight)
        state -= 1
    above, weight, top = [], 1.0, level
    while top < places and weight > NOTHING:
        top += 1
        weight *= tendency(top) ** power
        above.append(weight)
    weights = [*reversed(below), *above]
    if top == places:
        weights[-1] /= 1 - ratio
    total = fsum(weights)
    return Stationary(
        chances=tuple(value / total for value in weights), ratio=ratio if top == places else 0.0, first=state
    )


def found_by_irregular(
    state: Stationary, tendency: Callable[[int], float], places: int, width: float, own: float
) -> Stationary:
    """What arrivals find of the chain from `around`, if `own` of its `width` is theirs: a burst finds those before it.

    Each state is left upwards as often as the next is left downwards, whatever the arrivals (level crossing), so

        found(n) ~ π(n + 1) / s(n + 1) = π(n) · s(n + 1)^(1/own − 1)        s^(1/own) = tendency^(1/width)

    Poisson arrivals (own = 1) find what is there. Source: Brill, Level Crossing Methods (2008), ch. 1.
    """
    power = (1 - own) / width
    weights = [p * max(1e-300, tendency(n + 1)) ** power for n, p in enumerate(state.chances[:-1], state.first)]
    weights.append(state.full * state.ratio ** (1 - own) if state.last == places else 0.0)
    total = fsum(weights)
    return Stationary(chances=tuple(weight / total for weight in weights), ratio=state.ratio, first=state.first)


def found_by_arrivals(state: Stationary, up: Sequence[float]) -> Stationary:
    """What those who enter find: state n counts by how often it is left upwards. With a constant rate, the same.

    For a finite source this is the arrival theorem: the population without the one who arrives.
    """
    rates = [*up, up[-1] if state.ratio else 0.0]
    weights = [chance * rate for chance, rate in zip(state.chances, rates, strict=True)]
    total = fsum(weights)
    return Stationary(chances=tuple(weight / total for weight in weights), ratio=state.ratio)
