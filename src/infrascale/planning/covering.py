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
STEPS, MOST_STEPS = 4_000, 40_000  # of a demand, and with spares, in the bound on what completes a cover
ROUNDED = 1e-9  # of a demand or a step: what adding up may leave
SPREAD = 10  # times as many partial covers as may stay, before those too dear are dropped
MOST_COMPARED = 2_000  # covers, each with every other
LESS = (1, 2, 4, 8)  # GPUs, by which one of more covers may be better


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
    takes, serves = takes[order], serves[order]
    costs = takes @ prices
    top = demand + spares * float(serves[0])
    unit = max(demand / STEPS, top / MOST_STEPS)
    rest = _rests(serves, costs, unit, ceil(top / unit))
    found = []
    for first in range(len(serves) if spares else 1):
        wanted = demand + spares * serves[first]
        partial = _within(takes, serves, costs, wanted, rest, (unit, limit, room, most), first, spares > 0)
        if partial is None:
            return None
        found.append(partial)
    whole = numpy.concatenate(found)
    whole = whole[_least(whole @ takes)]
    back = numpy.empty_like(whole)
    back[:, order] = whole
    return back


def _rests(serves: Any, costs: Any, unit: float, steps: int) -> list[Any]:
    """What so many units cost at least with each way and those after it."""
    import numpy

    rest = [numpy.full(steps + 1, numpy.inf)]
    rest[0][0] = 0.0
    for one, price in zip(serves[::-1], costs[::-1], strict=True):
        rest.append(_more(numpy, rest[-1], max(1, ceil(one / unit - ROUNDED)), float(price)))
    return rest[::-1]


def _within(
    takes: Any, serves: Any, prices: Any, wanted: float, rest: Any, bounds: Any, first: int, needs_first: bool
) -> Any | None:
    """Replicas of the first way and weaker ones that serve what is wanted and cost at most the limit."""
    import numpy

    most = bounds[-1]
    counts, left, costs = numpy.zeros((1, len(serves)), numpy.int32), numpy.array([wanted]), numpy.zeros(1)
    use = numpy.zeros((1, takes.shape[1]), takes.dtype)
    for way in range(first, len(serves)):
        stages = [] if needs_first and way == first else [(counts, left, costs, use)]
        more = counts, left, costs, use
        while True:
            open_ = more[1] > ROUNDED * wanted
            more = tuple(part[open_] for part in more)  # type: ignore[assignment]
            more = (more[0].copy(), more[1] - serves[way], more[2] + prices[way], more[3] + takes[way])
            more[0][:, way] += 1
            more = _kept(more, rest[way], bounds)
            if not len(more[0]):
                break
            stages.append(more)
            if sum(len(stage[0]) for stage in stages) > SPREAD * most:
                return None
        if not stages:
            return counts[:0]
        every = tuple(numpy.concatenate(parts) for parts in zip(*stages, strict=True))
        counts, left, costs, use = _kept(every, rest[way + 1], bounds)
        if len(counts) > most:
            return None
    return counts[left <= ROUNDED * wanted]


def _kept(partial: Any, rest: Any, bounds: Any) -> Any:
    """Those that fit the room and can be completed within the limit."""
    import numpy

    _, left, costs, use = partial
    unit, limit, room, _ = bounds
    steps = numpy.clip(numpy.floor(left / unit - ROUNDED), 0, len(rest) - 1).astype(int)
    keep = costs + rest[steps] <= limit
    for column, most in enumerate(room.tolist()):
        keep &= use[:, column] <= most
    return tuple(part[keep] for part in partial)


def _least(use: Any) -> Any:
    """Rows of which no other is as small everywhere; of many only those that are alike are dropped."""
    import numpy

    rows = unique(use)
    rows = rows[numpy.argsort(use[rows].sum(axis=1), kind="stable")]
    if len(rows) > MOST_COMPARED:
        return rows[undominated(use[rows])]
    sorted_, keep = use[rows], numpy.ones(len(rows), bool)
    for row in range(len(rows)):
        if keep[row]:
            keep[row + 1 :] &= ~(sorted_[row + 1 :] >= sorted_[row]).all(axis=1)
    return rows[keep]


def _keys(use: Any) -> tuple[Any, list[int]] | None:
    """A number for each row and what one more of each column adds to it; None where numbers are too small."""
    import numpy

    factors, total = [], 1
    for span in reversed([int(one) + 1 for one in use.max(axis=0)]):
        factors.append(total)
        total *= span
    factors.reverse()
    return (use @ numpy.array(factors), factors) if total < 2**62 else None


def unique(use: Any) -> Any:
    """Places of rows that differ."""
    import numpy

    keys = _keys(use) if len(use) else None
    return numpy.unique(use if keys is None else keys[0], axis=0, return_index=True)[1]


def undominated(use: Any) -> Any:
    """Whether a row has no other that is the same but for a few GPUs less of one kind; rows differ."""
    import numpy

    drop = numpy.zeros(len(use), bool)
    keys = _keys(use) if len(use) > 1 else None
    if keys is None:
        return ~drop
    known = numpy.sort(keys[0])
    for column, factor in enumerate(keys[1]):
        for less in LESS:
            near = keys[0] - less * factor
            place = numpy.minimum(numpy.searchsorted(known, near), len(known) - 1)
            drop |= (use[:, column] >= less) & (known[place] == near)
    return ~drop
