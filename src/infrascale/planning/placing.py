"""Whole replicas of every need in rooms they share: the fewest GPUs, or whether they fit at all; by proof.

In: Shelf of each need, rooms of which one is to hold all.    Out: Placed.
Idea: needs are placed one after the other, and all partial placements are kept that could still be part of an answer;
two that use the same of everything are one. What excludes a partial placement is a Cut (see hull): it wastes at prices
p more than there is to waste,

    Σ p · use  +  Σ μ_n(p) of needs to place  >  most GPUs allowed + what all room is worth at p

and as many cuts as pay are made for the needs that are left, at the room that some partial placement leaves. The same
waste bounds which covers of a need must be looked at, so few are. How much may be wasted grows until an answer is
found: then all that waste as little have been seen, and it is the best.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from infrascale.planning.covering import covers, undominated, unique
from infrascale.planning.hull import Cut, Hull, Known, Shelf

FIRST = 0.002  # of the least cost may be wasted at first,
MORE = ((0.3, 1.5), (1.0, 1.3), (float("inf"), 1.15))  # then as much more, by the seconds that the last search took
NARROW, MOST_PLACED = 20_000, 400_000  # partial placements at once, at first and at last; were there more,
BEAM = 2_000  # of the most promising are kept, and what they lead to is not proven
FEW_COVERS, MOST_COVERS = 3_000, 300_000  # of one need, looked at early and late
MOST_PAIRS = 40_000_000  # of partial placements and covers
CHUNK = 1_000_000  # of pairs at once
FEW = 300  # partial placements for which no cut is made
PAYS = 0.9  # kept by a cut, above which no other is made
CUTS = 8  # made after each need
AGAIN = 0.8  # of what could be wasted, at which a need with too many covers is looked at again
EPSILON = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """`counts`: replicas of each way of each need, None where none fits. `bound`: no answer costs less.

    `proven`: nothing is missing of the proof.
    """

    counts: tuple[Any, ...] | None
    value: float
    bound: float
    proven: bool


NONE = Placed(counts=None, value=float("inf"), bound=float("inf"), proven=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Rooms [rooms, resources], and `limits` on `also` [resources, limits]; `holds`: which uses obey what is not
    linear in them."""

    rooms: Any
    also: Any
    limits: Any
    holds: Callable[[Any], Any]


def placed(
    shelves: Sequence[Shelf],
    site: Site,
    weights: Any,
    ends_s: float,
    known: Known | None = None,
) -> Placed:
    """The least weight of what is used.

    Two searches take turns. One asks how little of the room suffices: it is the quicker to prove that none does. The
    other asks for the least weight, and proves it. `ends_s`: by the monotonic clock; what is found by then is the
    answer, not proven.
    """
    known = [[] for _ in shelves] if known is None else known
    fitting = _Search(shelves, site, 0 * weights, known)
    if fitting.full < 0:
        return NONE
    lightest = _Search(shelves, site, weights, known)
    best: tuple[Any, ...] | None = None
    while time.monotonic() < ends_s:
        turns = [one for one in (lightest, *([fitting] if best is None else [])) if one.open]
        if not turns:
            break
        mine = min(turns, key=lambda one: one.spent_s)
        found = mine.more(ends_s)
        if found is not None and (best is None or lightest.value(found) < lightest.value(best)):
            best = found
            lightest.below(lightest.value(best) - 1)
        if best is None and mine.exhausted:
            return NONE
        if best is not None and lightest.exhausted:
            value = lightest.value(best)
            return Placed(counts=best, value=value, bound=value, proven=True)
    value = float("inf") if best is None else lightest.value(best)
    return Placed(counts=best, value=value, bound=lightest.bound, proven=False)


class _Search:
    """Placements that waste at most so much, a little more each time. `full`: none of interest wastes more.

    `bound`: none weighs less. `exhausted`: there is none, or none lighter than what was found. `open`: not yet more
    than can be looked at.
    """

    def __init__(self, shelves: Sequence[Shelf], site: Site, weights: Any, known: Known) -> None:
        self.shelves, self.site, self.weights, self.counted = shelves, site, weights, bool(weights.any())
        self.hull = Hull(shelves, weights, site.also, known)
        self.root = self.hull.cut(range(len(shelves)), site.rooms, site.limits)
        self.least, self.worth = sum(self.root.covers.values()), self.root.worth(site.rooms, site.limits)
        self.bound = ceil(self.root.bound - EPSILON) if self.counted else 0.0  # weights are whole
        self.open, self.exhausted, self.spent_s, self.width = True, False, 0.0, NARROW
        self.waste = FIRST * self.least
        self.below(float((site.rooms @ weights).max()))

    def below(self, most: float) -> None:
        """Only what weighs no more is of interest."""
        self.most = most
        self.full = (self.most if self.counted else 0.0) + self.worth - self.least + EPSILON * max(1.0, self.least)
        self.exhausted |= self.full < 0 or self.bound > most

    def value(self, counts: Sequence[Any]) -> float:
        return float(sum((one @ shelf.takes) @ self.weights for one, shelf in zip(counts, self.shelves, strict=True)))

    def more(self, ends_s: float) -> tuple[Any, ...] | None:
        """The lightest placement that wastes a little more than those before; None where none is seen."""
        begun = time.monotonic()
        if self.counted:
            most = min(self.most, max(self.bound, floor(self.least + self.waste - self.worth)))
            self.waste = most + self.worth - self.least
        else:
            most, self.waste = 0.0, min(self.waste, self.full)
        all_of_them = most >= self.most if self.counted else self.waste >= self.full
        found, proven = _Walk(self, self.waste, most, self.width, ends_s).end()
        if not proven:
            self.open, self.width = self.width < MOST_PLACED, MOST_PLACED
        elif found is not None or all_of_them:
            self.exhausted = self.counted or found is None
            self.open = False
        else:
            self.bound = most + 1 if self.counted else 0.0
            self.waste *= next(more for most_s, more in MORE if time.monotonic() - begun <= most_s)
        self.spent_s += time.monotonic() - begun
        return found


class _Walk:
    """Needs placed one after the other, each time the one with the fewest covers left."""

    def __init__(self, search: _Search, waste: float, most: float, width: int, ends_s: float) -> None:
        import numpy

        self.search, self.most, self.width, self.ends_s, self.proven = search, most, width, ends_s, True
        self.rooms = search.site.rooms
        #: Cuts, and what may be spent at their prices.
        self.cuts = [(search.root, waste + search.least)]
        self.use = numpy.zeros((1, self.rooms.shape[1]), numpy.int64)
        self.left = list(range(len(search.shelves)))
        self.found: dict[int, Any] = {}
        #: How much could be wasted when a need had more covers than so many.
        self.too_many: dict[tuple[int, int], float] = {}
        self.steps: list[tuple[int, Any, Any]] = []

    def end(self) -> tuple[tuple[Any, ...] | None, bool]:
        while self.left:
            need = self._next()
            if need is None:
                return None, False
            self._place(need)
            if not len(self.use):
                return None, self.proven
            if self.left and len(self.use) > FEW:
                self._cut()
            if len(self.use) > self.width:
                self.use, self.proven = self.use[self._slack().argsort()[-BEAM:]], False
            if not len(self.use):
                return None, self.proven
            if time.monotonic() > self.ends_s:
                return None, False
        self.use = self.use[self.search.site.holds(self.use)]
        if not len(self.use):
            return None, self.proven
        return self._back(self.use[(self.use @ self.search.weights).argmin()]), self.proven

    def _spent(self, cut: Cut, budget: float, needs: Sequence[int]) -> Any:
        """What each partial placement leaves to be wasted at the prices of a cut, if it knows these needs."""
        return budget - sum(cut.covers[need] for need in needs) - self.use @ cut.prices

    def _knowing(self, needs: Sequence[int]) -> list[tuple[Cut, float]]:
        return [(cut, budget) for cut, budget in self.cuts if all(need in cut.covers for need in needs)]

    def _slack(self) -> Any:
        """The least that any cut leaves each partial placement, as a share of what its needs cost."""
        import numpy

        return numpy.min(
            [
                self._spent(cut, budget, self.left) / max(EPSILON, sum(cut.covers[n] for n in self.left))
                for cut, budget in self._knowing(self.left)
            ],
            axis=0,
        )

    def _next(self) -> int | None:
        """The need with the fewest covers that are still possible; None where all have too many."""
        for most in (FEW_COVERS, MOST_COVERS // 10, MOST_COVERS):
            for need in self.left:
                if need in self.found:
                    self.found[need] = self._possible(need, self.found[need])
                else:
                    listed = self._listed(need, most)
                    if listed is not None:
                        self.found[need] = listed
            if self.found:
                return min(self.found, key=lambda need: len(self.found[need]))
        return None

    def _wastes(self, cut: Cut, budget: float) -> float:
        """The most that any partial placement leaves to be wasted."""
        return float(self._spent(cut, budget, self.left).max()) + EPSILON * max(1.0, budget)

    def _listed(self, need: int, most: int) -> Any | None:
        """Covers of a need as counts, by the cut that leaves the least to waste."""
        shelf = self.search.shelves[need]
        room = (self.rooms.max(axis=0)[None, :] - self.use).max(axis=0)
        cuts = self._knowing(self.left)
        shares = [self._wastes(*one) / max(EPSILON, sum(one[0].covers[n] for n in self.left)) for one in cuts]
        share = min(shares)
        if most < MOST_COVERS and share > AGAIN * self.too_many.get((need, most), float("inf")):
            return None
        cut, budget = cuts[shares.index(share)]
        listed = covers(
            shelf.takes, shelf.serves, shelf.demand, shelf.spares, prices=cut.prices,
            limit=cut.covers[need] + self._wastes(cut, budget), room=room, most=most,
        )  # fmt: skip
        if listed is None:
            self.too_many[need, most] = share
            return None
        return self._possible(need, listed)

    def _possible(self, need: int, counts: Any) -> Any:
        """Those of its covers that no cut excludes for every partial placement."""
        use = counts @ self.search.shelves[need].takes
        keep = (use <= (self.rooms.max(axis=0)[None, :] - self.use).max(axis=0)).all(axis=1)
        for cut, budget in self._knowing(self.left):
            keep &= use @ cut.prices <= cut.covers[need] + self._wastes(cut, budget)
        return counts[keep]

    def _place(self, need: int) -> None:
        """Every partial placement with every cover of the need that it can afford."""
        import numpy

        counts = self.found.pop(need)
        before, left = self.use, [one for one in self.left if one != need]
        added = counts @ self.search.shelves[need].takes
        order, pairs = min(
            (self._pairs(added, left, *cut) for cut in self._knowing(self.left)), key=lambda p: p[1].sum()
        )
        counts, added = counts[order], added[order]
        self.left = left
        parts, done = [], 0
        ends = numpy.cumsum(pairs)
        if len(ends) and ends[-1] > MOST_PAIRS:
            self.proven = False
            last = max(1, int(numpy.searchsorted(ends, MOST_PAIRS)))
            before, pairs, ends = before[:last], numpy.minimum(pairs[:last], MOST_PAIRS), ends[:last]
        while done < len(before):
            last = max(done + 1, int(numpy.searchsorted(ends, (ends[done - 1] if done else 0) + CHUNK)))
            mine = pairs[done:last]
            first = numpy.repeat(numpy.arange(done, done + len(mine)), mine)
            second = numpy.arange(len(first)) - numpy.repeat(numpy.cumsum(mine) - mine, mine)
            parts.append(self._kept(before, added, first, second))
            done = last
        self.use = numpy.concatenate(parts) if parts else before[:0]
        self.use = self.use[unique(self.use)]
        self.use = self.use[undominated(self.use)]
        self.steps.append((need, counts, before))

    def _pairs(self, added: Any, left: Sequence[int], cut: Cut, budget: float) -> tuple[Any, Any]:
        """Covers by their cost at a cut's prices, and how many of them each partial placement can afford."""
        import numpy

        costs = added @ cut.prices
        order = costs.argsort(kind="stable")
        afford = self._spent(cut, budget, left) + EPSILON * max(1.0, budget)
        return order, numpy.searchsorted(costs[order], afford, side="right")

    def _kept(self, before: Any, added: Any, first: Any, second: Any) -> Any:
        """Placements with covers, paired by their places, that some room holds, within every limit and cut."""
        site = self.search.site
        limits = [
            (cut.prices, budget - sum(cut.covers[n] for n in self.left)) for cut, budget in self._knowing(self.left)
        ]
        limits.reverse()
        limits += [(self.search.weights, self.most)] if self.search.counted else []
        limits += list(zip(site.also.T, site.limits, strict=True))
        for prices, budget in limits:  # in one number each, before placements are added up
            keep = (before @ prices)[first] + (added @ prices)[second] <= budget + EPSILON * max(1.0, abs(budget))
            first, second = first[keep], second[keep]
        use = before[first] + added[second]
        fits = _inside(use, site.rooms[0])
        for room in site.rooms[1:]:
            fits |= _inside(use, room)
        use = use[fits]
        return use[unique(use)]

    def _cut(self) -> None:
        """Cuts for the needs that are left, at the room that a partial placement leaves, while they pay."""
        import numpy

        site = self.search.site
        for turn in range(CUTS):
            slack = self._slack()
            one = self.use[slack.argmax() if turn % 2 else numpy.argsort(slack)[len(slack) // 2]]
            rooms = site.rooms - one
            rooms = rooms[(rooms >= 0).all(axis=1)]
            cut = self.search.hull.cut(self.left, rooms, site.limits - one @ site.also)
            budget = self.most + cut.worth(site.rooms, site.limits)
            self.cuts.append((cut, budget))
            keep = self._spent(cut, budget, self.left) >= -EPSILON * max(1.0, budget)
            self.use = self.use[keep]
            if len(self.use) <= FEW or keep.mean() > PAYS or time.monotonic() > self.ends_s:
                return

    def _back(self, use: Any) -> tuple[Any, ...]:
        """Which cover of each need led to this use."""
        chosen: list[Any] = [None] * len(self.steps)
        for need, counts, before in reversed(self.steps):
            known = {one.tobytes(): one for one in before}
            added = counts @ self.search.shelves[need].takes
            for cover, takes in zip(counts, added, strict=True):
                earlier = known.get((use - takes).tobytes())
                if earlier is not None:
                    chosen[need], use = cover, earlier
                    break
        return tuple(chosen)


def _inside(use: Any, room: Any) -> Any:
    """Which uses a room holds; column by column, as numpy is slow along short rows."""
    fits = use[:, 0] <= room[0]
    for column in range(1, len(room)):
        fits &= use[:, column] <= room[column]
    return fits
