"""Points that stand for requests: a distribution of many causes is read off a few hundred of them.

The first coordinate comes in order, the others fill the cube evenly (a rank-1 rule). They are the same points at any
load, so that what grows with the load at every point grows in every quantile.
"""

from __future__ import annotations

from functools import cache
from math import exp, log, sqrt
from statistics import NormalDist

from infrascale.serving.performance import Spread

PROBABILITIES = (0.05, 0.5, 0.9, 0.95, 0.99)
POINTS, COORDINATES = 512, 10


@cache
def lattice() -> tuple[tuple[float, ...], ...]:
    """Coordinate 0: (i + ½) / POINTS; the others by Kronecker's rule i·α mod 1.

    α: powers of the root of x^10 = x + 1, the generalised golden ratio (M. Roberts, 2018).
    """
    root = 2.0
    for _ in range(60):
        root = (1 + root) ** (1 / COORDINATES)
    others = range(1, COORDINATES)
    return tuple(((i + 0.5) / POINTS, *((0.5 + i * root**-power) % 1 for power in others)) for i in range(POINTS))


@cache
def deviates(coordinate: int) -> tuple[float, ...]:
    """Normal deviates at every point."""
    normal = NormalDist()
    return tuple(normal.inv_cdf(point[coordinate]) for point in lattice())


def spread_of(values: list[float]) -> Spread:
    """Mean and quantiles of equally likely values, on straight lines between them."""
    values = sorted(values)
    count = len(values)
    found = {}
    for share in PROBABILITIES:
        place = min(max(share * count - 0.5, 0.0), count - 1.0)
        below = min(int(place), count - 2)
        found[share] = values[below] + (place - below) * (values[below + 1] - values[below])
    return Spread(mean_s=sum(values) / count, quantiles_s=found)


def length_factor(deviate: float, cv: float) -> float:
    """A lognormal length over its mean, at a normal deviate."""
    if cv == 0:
        return 1.0
    variance = log(1 + cv * cv)
    return exp(sqrt(variance) * deviate - variance / 2)
