"""Whole covers of many needs in rooms they share, as a linear programme: a bound, and prices that prove it anywhere.

In: needs with their ways as Shelf, rooms.    Out: Cut: prices of resources, and what each need's cheapest cover costs.
Idea: shares of covers, summing to one for each need, must fit the room. The programme knows the few covers that
matter: its prices name the cheapest cover of each need, which enters if it is cheaper than those known. Whatever the
prices p ≥ 0 are, the cheapest covers μ at them bound every answer from below, for any room at once:

    value  ≥  Σ μ_n(p) − p · room        of needs n still to place, in the room that is left

So one solution's prices exclude placements of other rooms too, which is what the search over placements lives on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from infrascale.planning.covering import Cover
from infrascale.planning.highs import quiet_solver

MISSING = 1e4  # what a need without a cover costs, in GPUs or in rooms
#: Covers of each need, as what they take.
Known = list[list[Any]]
ROUNDS = 200  # of covers entering, after which the bound is what it is
CLOSE = 1e-4  # of the value, to its bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A need: what each way takes of each resource [ways, resources], what it serves, and the cheapest cover of it."""

    takes: Any
    serves: Any
    demand: float
    spares: int
    cover: Cover


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """`prices` of resources, all told; `covers`: the least cost of each need at them.

    `room`, `limit`: what room and limits are worth. `bound` on the value where the cut was made.
    """

    prices: Any
    covers: Mapping[int, float]
    room: Any
    limit: Any
    bound: float

    def worth(self, rooms: Any, limits: Any) -> float:
        """Of the best room [rooms, resources] and of the limits."""
        return float((rooms @ self.room).max()) + float(limits @ self.limit)


class Hull:
    """`weights`: what a unit of each resource costs; all zero asks how many rooms are needed, as a fraction of one.

    `also`: linear combinations of resources that are limited too [resources, limits]. `known`: covers to begin with,
    what each takes; those that enter are added.
    """

    def __init__(self, shelves: Sequence[Shelf], weights: Any, also: Any, known: Known) -> None:
        self.shelves, self.weights, self.also, self.known = shelves, weights, also, known

    def cheapest(self, need: int, prices: Any) -> tuple[float, Any]:
        """The least cost of a need at these prices, and what its cover takes of each resource."""
        import numpy

        shelf = self.shelves[need]
        cost, counts = shelf.cover.cheapest((shelf.takes @ prices).tolist())
        return cost, numpy.array(counts) @ shelf.takes

    def cut(self, needs: Sequence[int], rooms: Any, limits: Any) -> Cut:
        """The best bound for these needs in any one of the rooms [rooms, resources] with what else is limited."""
        import numpy

        programme = _Programme(self, needs, rooms, limits)
        best: Cut | None = None
        for _ in range(ROUNDS):
            value, duals = programme.solve()
            room, limit, costs = numpy.split(duals, [rooms.shape[1], rooms.shape[1] + len(limits)])
            prices = self.weights + room + self.also @ limit
            covers, entered = {}, False
            for need, dual in zip(needs, costs, strict=True):
                covers[need], takes = self.cheapest(need, prices)
                if covers[need] < dual - 1e-6 * max(1.0, value):
                    self.known[need].append(takes)
                    programme.enter(need, takes)
                    entered = True
            cut = Cut(prices=prices, covers=covers, room=room, limit=limit, bound=0.0)
            worth, cost = cut.worth(rooms, limits), sum(covers.values())
            bound = cost - worth if self.weights.any() else cost / max(worth, 1e-9)
            if best is None or bound > best.bound:
                best = replace(cut, bound=bound)
            if not entered or value - best.bound < CLOSE * max(1.0, abs(value)):
                break
        assert best is not None
        return best


class _Programme:
    """Shares of rooms and of known covers, in HiGHS."""

    def __init__(self, hull: Hull, needs: Sequence[int], rooms: Any, limits: Any) -> None:
        self.hull, self.count = hull, rooms.shape[1] + len(limits)
        self.solver, highspy = quiet_solver()
        self.infinity = highspy.kHighsInf
        for _ in range(self.count):
            self.solver.addRow(-self.infinity, 0.0, 0, [], [])
        self.rows = {need: self.count + place for place, need in enumerate(needs)}
        for row in self.rows.values():
            self.solver.addRow(1.0, self.infinity, 0, [], [])
            self.solver.addCol(MISSING, 0.0, self.infinity, 1, [row], [1.0])
        one = self.solver.getNumRow()
        counted = bool(hull.weights.any())
        if counted:  # shares of rooms sum to one; else their sum is what is asked for
            self.solver.addRow(-self.infinity, 1.0, 0, [], [])
        for room in rooms:
            have = [*(-room).tolist(), *(-limits).tolist()]
            rows, values = [*range(self.count), *([one] if counted else [])], [*have, *([1.0] if counted else [])]
            self.solver.addCol(0.0 if counted else 1.0, 0.0, self.infinity, len(rows), rows, list(map(float, values)))
        for need in needs:
            for takes in hull.known[need]:
                self.enter(need, takes)

    def enter(self, need: int, takes: Any) -> None:
        import numpy

        use = numpy.concatenate([takes, takes @ self.hull.also])
        (inside,) = numpy.nonzero(use)
        rows = [self.rows[need], *inside.tolist()]
        cost = float(takes @ self.hull.weights)
        self.solver.addCol(cost, 0.0, self.infinity, len(rows), rows, [1.0, *use[inside].tolist()])

    def solve(self) -> tuple[float, Any]:
        """The value, and prices of resources and limits (never below zero), then what each need costs."""
        import numpy

        self.solver.run()
        duals = numpy.array(self.solver.getSolution().row_dual)
        prices = numpy.maximum(0.0, -duals[: self.count])
        needs = duals[self.count : self.count + len(self.rows)]
        return float(self.solver.getInfo().objective_function_value), numpy.concatenate([prices, needs])
