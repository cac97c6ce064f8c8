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
STEPS = 4_000  # of a demand, in the bound on what completes a cover
ROUNDED = 1e-9  # of a demand or a step: what adding up may leave
MOST_COMPARED = 20_000  # covers, each with every other


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


def covers(
    takes: Any, serves: Any, demand: float, spares: int, *, prices: Any, limit: float, room: Any, most: int
) -> Any | None:
    """Every cover that costs at most `limit` and fits the room, as replicas of each way [covers, ways].

    `takes`: of each resource by each way [ways, resources]. Left out are those of which another takes no more of
    anything. None where there would be more than `most` on the way. By the strongest way in use, the one that may be
    lost; a partial cover stays while what it costs and the cheapest way to complete it are within the limit.
    """
    import numpy

    order = numpy.argsort(-serves, kind="stable")
    found = [numpy.zeros((0, len(serves)), numpy.int32)]
    for first in range(len(serves) if spares else 1):
        ways = order[first:]
        wanted = demand + spares * serves[ways[0]]
        partial = _within(
            takes[ways], serves[ways], wanted, takes[ways] @ prices, limit, room, most, needs_first=spares > 0
        )
        if partial is None:
            return None
        whole = numpy.zeros((len(partial), len(serves)), numpy.int32)
        whole[:, ways] = partial
        found.append(whole)
    whole = numpy.concatenate(found)
    return whole[_least(whole @ takes)]


def _within(
    takes: Any, serves: Any, wanted: float, prices: Any, limit: float, room: Any, most: int, needs_first: bool
) -> Any | None:
    """Replicas of ways, strongest first, that serve what is wanted and cost at most the limit."""
    import numpy

    unit, rest = wanted / STEPS, [numpy.full(STEPS + 1, numpy.inf)]
    rest[0][0] = 0.0
    for one, price in zip(serves[::-1], prices[::-1], strict=True):
        rest.append(_more(numpy, rest[-1], max(1, min(STEPS, ceil(one / unit - ROUNDED))), float(price)))
    rest.reverse()
    counts, left, costs = numpy.zeros((1, len(serves)), numpy.int32), numpy.array([wanted]), numpy.zeros(1)
    use = numpy.zeros((1, takes.shape[1]))
    for way in range(len(serves)):
        stages = [] if needs_first and way == 0 else [(counts, left, costs, use)]
        more = counts, left, costs, use
        while True:
            open_ = more[1] > ROUNDED * wanted
            more = tuple(part[open_] for part in more)  # type: ignore[assignment]
            more = (more[0].copy(), more[1] - serves[way], more[2] + prices[way], more[3] + takes[way])
            more[0][:, way] += 1
            more = _kept(more, rest[way], unit, limit, room)
            if not len(more[0]):
                break
            stages.append(more)
        if not stages:
            return counts[:0]
        every = tuple(numpy.concatenate(parts) for parts in zip(*stages, strict=True))
        counts, left, costs, use = _kept(every, rest[way + 1], unit, limit, room)
        if len(counts) > most:
            return None
    return counts[left <= ROUNDED * wanted]


def _kept(partial: Any, rest: Any, unit: float, limit: float, room: Any) -> Any:
    """Those that fit the room and can be completed within the limit."""
    import numpy

    _, left, costs, use = partial
    steps = numpy.maximum(0, numpy.floor(left / unit - ROUNDED)).astype(int)
    keep = (costs + rest[steps] <= limit) & (use <= room).all(axis=1)
    return tuple(part[keep] for part in partial)


def _least(use: Any) -> Any:
    """Rows of which no other is as small everywhere; of many thousands only those that are alike are dropped."""
    import numpy

    _, rows = numpy.unique(use, axis=0, return_index=True)
    rows = rows[numpy.argsort(use[rows].sum(axis=1), kind="stable")]
    if len(rows) > MOST_COMPARED:
        return rows
    sorted_, keep = use[rows], numpy.ones(len(rows), bool)
    for row in range(len(rows)):
        if keep[row]:
            keep[row + 1 :] &= ~(sorted_[row + 1 :] >= sorted_[row]).all(axis=1)
    return rows[keep]
