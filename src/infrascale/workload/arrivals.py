"""When requests come: Poisson or burstier, through the week, with flash crowds; drawn with a seed.

In: a mean rate, a Profile, an irregularity, a generator.    Out: seconds in order.
Idea: draw gaps of mean one on a clock that runs with the expected number of arrivals, and turn it back into seconds
(the time change of point processes). Gamma gaps of coefficient of variation 1 give the Poisson process of the profile;
0 gives arrivals as even as the profile allows.
Source: gamma gaps for LLM traffic: BurstGPT (arXiv 2401.17644), ServeGen (arXiv 2505.09999). Needs NumPy.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from infrascale.errors import ScenarioError
from infrascale.units import HOUR_S
from infrascale.workload.profile import Flash, Profile, steady

if TYPE_CHECKING:
    import numpy as np

#: More than this in one call would not fit a small machine's memory.
MOST_ARRIVALS = 200_000_000
#: Gaps that vary by less than this are even: a gamma of so narrow a shape has no digits left.
EVEN_CV = 1e-3


def arrival_times(
    request_per_s: float,
    seconds: float,
    rng: np.random.Generator,
    cv: float = 1.0,
    profile: Profile | None = None,
    flashes: tuple[Flash, ...] = (),
    from_s: float = 0.0,
) -> np.ndarray:
    """Arrivals in [0, seconds); second 0 is `from_s` of the profile's week, `request_per_s` the week's mean."""
    import numpy as np

    _check(request_per_s, seconds, cv)
    cv = cv if cv >= EVEN_CV else 0.0
    edges, rates = _pieces(request_per_s, seconds, profile or steady(), flashes, from_s)
    expected = np.append(0.0, np.cumsum(np.diff(edges) * rates))
    total = float(expected[-1])
    if total > MOST_ARRIVALS:
        raise ScenarioError(
            f"{total:.3g} requests are too many at once",
            why=f"at most {MOST_ARRIVALS:,}",
            fix="simulate a shorter time",
        )
    clock, last = [], rng.random() if cv == 0 else 0.0
    while last < total:
        count = int((total - last) * 1.02 + 6 * (cv + 0.1) * (total - last + 1) ** 0.5) + 16
        gaps = np.ones(count) if cv == 0 else rng.gamma(1 / cv**2, cv**2, count)
        run = last + np.cumsum(gaps)
        clock.append(run)
        last = float(run[-1])
    counted = np.concatenate(clock) if clock else np.empty(0)
    counted = counted[counted < total]
    # inverted piece by piece, so that nothing falls into an hour without arrivals
    piece = np.searchsorted(expected, counted, side="right") - 1
    return edges[piece] + (counted - expected[piece]) / rates[piece]


def _check(request_per_s: float, seconds: float, cv: float) -> None:
    for name, value in (("request_per_s", request_per_s), ("seconds", seconds), ("cv", cv)):
        if not isfinite(value) or value < 0:
            raise ScenarioError(f"{name} = {value} cannot be", why="it must be a number >= 0", fix=f"mend {name}")


def _pieces(
    request_per_s: float, seconds: float, profile: Profile, flashes: tuple[Flash, ...], from_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Edges of the stretches with one rate each, and the rates."""
    import numpy as np

    turns = np.arange(HOUR_S - from_s % HOUR_S, seconds, HOUR_S)
    crowds = [edge for flash in flashes for edge in (flash.at_s, flash.at_s + flash.seconds)]
    edges = np.unique(np.clip(np.concatenate([[0.0, seconds], turns, crowds]), 0, seconds))
    rates = []
    for start in edges[:-1]:
        times = 1.0
        for flash in flashes:
            times *= flash.times if flash.at_s <= start < flash.at_s + flash.seconds else 1.0
        rates.append(request_per_s * profile.factor(float(start) + from_s) * times)
    return edges, np.array(rates)
