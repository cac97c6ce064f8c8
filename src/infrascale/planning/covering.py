"""The cheapest whole replicas that cover one need, at any price of each way: exact, by dynamic programming.

In: ways of a need, its demand, how many of the strongest may be lost; then a price for each way, as often as wanted.
Out: the least cost and the counts that have it.

    f_i(d) = min over j of  f_{i-1}(d − j · serves_i) + j · price_i        d: demand left; nothing left costs nothing

Ways enter weakest first, so f_i(demand + spares · serves_i) is the cheapest cover whose strongest way is i at most.
Sizes are whole numbers of a unit. Where the need's own are not, replicas are taken for a little more and the demand for
a little less than they are, so that the cost is never above the true one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

MOST_UNITS = 20_000  # of a demand: what is rounded is a twenty-thousandth of it a replica
ROUNDING = 1e-12  # of adding prices up: no way is taken for that


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """`serves`, `demand`: in units, rounded so that covering is no harder than it is. `order`: weakest first."""

    serves: tuple[int, ...]
    lost: tuple[int, ...]
    demand: int
    spares: int
    order: tuple[int, ...]

    def cheapest(self, prices: Sequence[float]) -> tuple[float, tuple[int, ...]]:
        """The least cost and the replicas of each way. One way of 10 at a price of 3, a demand of 25: 9, and 3."""
        import numpy

        length = self.demand + self.spares * max(self.lost) + 1
        costs = numpy.full(length, numpy.inf)
        costs[0] = 0.0
        stages: list[Any] = [costs]
        best = (numpy.inf, 0, 0)
        for place, way in enumerate(self.order, start=1):
            stages.append(_more(numpy, stages[-1], self.serves[way], max(0.0, prices[way])))
            wanted = self.demand + self.spares * self.lost[way]
            if self.spares and stages[-1][wanted] < best[0]:
                best = (stages[-1][wanted], place, wanted)
        if not self.spares:
            best = (stages[-1][self.demand], len(self.order), self.demand)
        return float(best[0]), self._counts(stages, best[1], best[2])

    def _counts(self, stages: Sequence[Any], place: int, left: int) -> tuple[int, ...]:
        counts = [0] * len(self.serves)
        while place and left > 0:
            if stages[place][left] < stages[place - 1][left]:
                way = self.order[place - 1]
                counts[way] += 1
                left -= self.serves[way]
            else:
                place -= 1
        return tuple(counts)


def cover(serves: Sequence[float], demand: float, spares: int) -> Cover:
    whole = all(float(one).is_integer() for one in serves) and demand <= MOST_UNITS
    unit = 1.0 if whole else demand / MOST_UNITS
    wanted = max(1, ceil(demand)) if whole else MOST_UNITS
    return Cover(  # more than the whole demand is the whole demand, so that tables stay as long as it
        serves=tuple(min(wanted, ceil(one / unit)) for one in serves),
        lost=tuple(min(wanted, floor(one / unit)) for one in serves),
        demand=wanted,
        spares=spares,
        order=tuple(sorted(range(len(serves)), key=lambda way: serves[way])),
    )


def _more(numpy: Any, costs: Any, serves: int, price: float) -> Any:
    """Costs when any number of one more way may be used; what is left below nothing costs nothing."""
    rows = -(-len(costs) // serves) + 1
    table = numpy.zeros(rows * serves)
    table[-len(costs) :] = costs
    table = table.reshape(rows, serves)
    climb = numpy.arange(rows)[:, None] * price
    table = numpy.minimum.accumulate(table - climb, axis=0) + climb
    found = table.reshape(-1)[-len(costs) :]
    return numpy.where(found < costs * (1 - ROUNDING), found, costs)
