"""How many come in a while: Poisson counts, and the clusters of bursty arrivals.

Gaps between bursty arrivals are gamma distributed, as the simulator draws them and as traffic was found to be. Seen
from one request the others are then a renewal process, ahead in time and behind alike, and as gamma variables add up

    P(at least k within t of a request) = P(k·a, a·t)        a = 1 / scv, t in mean gaps

exactly, with P the regularised incomplete gamma function.
Sources: gamma gaps of LLM traffic, BurstGPT (arXiv 2401.17644), ServeGen (arXiv 2505.09999); Cox, Renewal Theory, 1962.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from math import exp, lgamma, log, sqrt

from infrascale.serving.lattice import deviates, lattice

#: Shape from which a gamma quantile is Wilson & Hilferty's cube (1931), right to a hundredth but for the lowest.
SMOOTH = 4.0
#: Neighbours of a request that are told apart, on either side.
NEIGHBOURS = 48


def cumulative(weights: Sequence[float]) -> list[float]:
    """Chances of at most 0, 1, …; the last is one, so that `bisect_left(…, share)` is a quantile."""
    found = list(accumulate(weights))
    total = found[-1]
    return [*(value / total for value in found[:-1]), 1.0]


def chances(mean: float, clumping: float = 0.0, rest: float = 1e-4) -> list[float]:
    """Poisson chances of 0, 1, …, or with `clumping` negative binomial ones, up to a rest that is left out.

    Their variance is mean · (1 + mean · clumping). Source: a gamma mixture of Poisson counts (Greenwood & Yule 1920).
    """
    spread = mean * clumping
    start = -mean if spread < 1e-6 else -log(1 + spread) / clumping
    count, found = 0, []
    if start < -600:  # far from zero: begin ten deviations below the mean
        count = max(0, int(mean - 10 * sqrt(mean * (1 + spread))))
        found, start = [0.0] * count, 0.0
    chance, total, last = exp(start), 0.0, mean * (1 + spread)
    while True:
        found.append(chance)
        total += chance
        following = chance * (mean + count * spread) / ((count + 1) * (1 + spread))
        count += 1
        if count > mean and following < rest * total * (1 if count > last else 1e-3):
            return found
        chance = following


def gamma_share(shape: float, x: float) -> float:
    """Regularised lower incomplete gamma function P(shape, x), by its series: all terms positive."""
    if x <= 0:
        return 0.0
    if x > shape + 12 * sqrt(shape) + 40:
        return 1.0
    term = total = 1.0
    n = shape
    while term > 1e-12 * total:
        n += 1
        term *= x / n
        total += term
    return min(1.0, total * exp(shape * log(x) - x - lgamma(shape + 1)))


def gamma_quantile(shape: float) -> Callable[[float, float], float]:
    """Of (share, its normal deviate): on straight lines in log x for small shapes, else by cubes."""
    if shape >= SMOOTH:
        return lambda share, deviate: shape * max(0.0, 1 - 1 / (9 * shape) + deviate / (3 * sqrt(shape))) ** 3
    points = [exp(log(1e-9) / max(1.0, 3 * shape) * (1 - i / 64) + log(shape + 16) * i / 64) for i in range(65)]
    shares = [gamma_share(shape, x) for x in points]

    def quantile(share: float, deviate: float) -> float:
        if share <= shares[0]:  # x^shape / Γ(shape + 1), the start of the series
            return points[0] * (share / shares[0]) ** (1 / shape)
        after = min(bisect_left(shares, share), 64)
        low, high = shares[after - 1], shares[after]
        weight = log(share / low) / log(high / low) if high > low else 0.0
        return float(points[after - 1] * (points[after] / points[after - 1]) ** min(1.0, weight))

    return quantile


@lru_cache(maxsize=8)
def neighbours(scv: float) -> tuple[list[list[float]], list[list[float]]]:
    """At every point of the lattice: when others come before and after a request, in mean gaps from it.

    The first gap on each side has a coordinate of its own; from there on, the count of a renewal process has another.
    """
    shape = 1 / scv
    laws = [gamma_quantile(k * shape) for k in range(1, NEIGHBOURS)]
    sides = []
    for first, others in ((5, 2), (4, 9)):  # pairs of coordinates that fill their square evenly
        side = []
        for point, near, far in zip(lattice(), deviates(first), deviates(others), strict=True):
            gap = laws[0](point[first], near) / shape
            side.append([gap, *(gap + law(point[others], far) / shape for law in laws)])
        sides.append(side)
    return sides[0], sides[1]


@cache
def _clusters(scv: float) -> tuple[list[float], list[float]]:
    """Windows in mean gaps, and the others expected in one around a request beyond Poisson's, one side: H(t) − t."""
    shape = 1 / scv
    windows = [10 ** (i / 8 - 4) for i in range(45)]
    found = []
    for t in windows:
        total, k = 0.0, 1
        while (chance := gamma_share(k * shape, shape * t)) > 1e-6:
            total, k = total + chance, k + 1
        found.append(max(0.0, total - t))
    return windows, found


def clumping(expected: float, scv: float) -> float:
    """(variance / mean − 1) / mean of the count in a window in which `expected` come on average.

    variance / mean = 1 + 2/t ∫₀ᵗ (H(x) − x) dx          H: the renewal function (Cox, §4.5)
    """
    if scv <= 1 or expected <= 0:
        return 0.0
    windows, excess = _clusters(scv)
    start = windows[0]
    area = start * excess[0] / (1 + 1 / scv)  # below the first window H goes as t^(1/scv)
    for i in range(1, len(windows)):
        if windows[i] >= expected:
            weight = (expected - windows[i - 1]) / (windows[i] - windows[i - 1])
            last = excess[i - 1] + weight * (excess[i] - excess[i - 1])
            area += (expected - windows[i - 1]) * (excess[i - 1] + last) / 2
            break
        area += (windows[i] - windows[i - 1]) * (excess[i - 1] + excess[i]) / 2
    else:
        area += (expected - windows[-1]) * excess[-1]
    return 2 * area / expected**2


def others_nearby(expected: float, scv: float) -> float:
    """Of arrivals no burstier than Poisson's: those besides one in a window around it in which `expected` come.

    Two moments: nobody while the window is shorter than a gap of even arrivals.
    """
    return max(0.0, expected + (scv - 1) * min(1.0, expected))
