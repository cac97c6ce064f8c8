"""How much of every demand an inventory could serve at most, replicas counted whole: a bound on the integer programme.

In: Problem.    Out: a scale that no answer exceeds.
Idea: of each need only whole covers count, shares of which (summing to one) must fit the servers together. The linear
programme over all covers is solved with the few that matter: its prices of GPUs of each kind name the cheapest cover,
which enters if it is cheaper than those known. What all covers cost at these prices, less the room they share, is how
far the demand is from fitting at all, so a scale is excluded by proof and not by a search. Unlike fractions, a whole
cover holds its last replica and its spare. Power, quotas and needs in shares are left out: never too low.
"""

from __future__ import annotations

from collections.abc import Mapping

from infrascale.planning.covering import Cover, cover
from infrascale.planning.fleet import SERVED, Need, Problem, Way, undominated
from infrascale.planning.highs import quiet_solver

CLOSE = 5e-4  # of the scale, between what is excluded and what is not
LEAST_SCALE = 1e-6  # below which nothing is served
LEFT_OUT = 1e-6  # covers missing of all needs, which rounding may leave


def highest_scale(problem: Problem, high: float) -> float:
    """The least scale that is proven to be out of reach, or `high`; to half a thousandth."""
    ways, low = undominated(problem), 0.0
    while high - low > max(CLOSE * high, LEAST_SCALE):
        middle = (low + high) / 2
        low, high = (low, middle) if excluded(problem, ways, middle) else (middle, high)
    return high


def excluded(problem: Problem, ways: tuple[Way, ...], scale: float) -> bool:
    """Whether no whole replicas on the servers owned serve so much of every demand."""
    programme = _Covers({server.id: server.gpus * server.owned for server in problem.servers})
    shared = {name for one in problem.covers for name in one}
    for need in problem.needs:
        if need.id not in shared:
            programme.add(need, [way for way in ways if way.need == need.id], scale)
    return programme.missing()


class _Covers:
    """The linear programme: a share of each known cover, rooms, and what is missing of each need."""

    def __init__(self, rooms: Mapping[str, int]) -> None:
        self.solver, highspy = quiet_solver()
        self._infinity = highspy.kHighsInf
        self._rows: dict[str, int] = {}
        for name, gpus in rooms.items():
            self._rows[name] = self.solver.getNumRow()
            self.solver.addRow(-self._infinity, float(gpus), 0, [], [])
        self._needs: list[tuple[Cover, list[Way], int]] = []
        self._known: set[tuple[int, tuple[int, ...]]] = set()

    def add(self, need: Need, ways: list[Way], scale: float) -> None:
        row = self.solver.getNumRow()
        self.solver.addRow(1.0, self._infinity, 0, [], [])
        self.solver.addCol(1.0, 0.0, self._infinity, 1, [row], [1.0])
        if ways:
            wanted = need.demand * scale * (1 - SERVED)
            self._needs.append((cover([way.serves for way in ways], wanted, need.spares), ways, row))

    def missing(self) -> bool:
        """Whether some need stays without a whole cover, by proof."""
        while True:
            self.solver.run()
            least = self.solver.getInfo().objective_function_value
            duals, bound, entered = self.solver.getSolution().row_dual, least, False
            for one, ways, row in self._needs:
                cost, counts = one.cheapest([way.gpus * max(0.0, -duals[self._rows[way.server]]) for way in ways])
                bound += min(0.0, cost - duals[row])
                if cost < duals[row] - LEFT_OUT / 10 and (row, counts) not in self._known:
                    self._enter(row, ways, counts)
                    entered = True
            if bound > LEFT_OUT or least <= LEFT_OUT or not entered:
                return bound > LEFT_OUT

    def _enter(self, row: int, ways: list[Way], counts: tuple[int, ...]) -> None:
        self._known.add((row, counts))
        use: dict[int, float] = {}
        for way, count in zip(ways, counts, strict=True):
            if count:
                use[self._rows[way.server]] = use.get(self._rows[way.server], 0.0) + way.gpus * count
        rows = [row, *use]
        self.solver.addCol(0.0, 0.0, self._infinity, len(rows), rows, [1.0, *use.values()])
