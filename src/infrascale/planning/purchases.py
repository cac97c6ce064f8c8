"""Purchases in the order of their price, and the first in whose servers every need finds whole replicas.

In: Problem without needs in shares.    Out: Solution, None where nothing serves all, or Undecided.
Idea: a purchase is a few whole servers of each kind. Prices of GPUs from the hull of whole covers (see hull) say what
all needs cost at least at them, so any purchase worth less is excluded:  Σ p_k · gpus_k · (owned_k + bought_k) ≥ Σ μ_n.
That alone leaves few purchases near the least price. They are tried level by level of price, and what is found is the
cheapest; of all purchases at its price the placement with the fewest GPUs in use is kept.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import ceil
from typing import Any

from infrascale.planning.covering import cover
from infrascale.planning.fleet import SERVED, Problem, Server, Solution, Way, undominated
from infrascale.planning.highs import quiet_solver
from infrascale.planning.hull import Cut, Hull, Shelf
from infrascale.planning.placing import Site, placed

MOST_ROOMS = 60  # purchases of one price
SAME_PRICE = 1e-9  # of the dearest server


class Undecided(Exception):
    """Neither an answer nor a proof that there is none, within the time or the room for partial placements."""


class Ground:
    """A problem in numbers: resources are GPUs of each kind, then of each quota."""

    def __init__(self, problem: Problem, scale: float = 1.0) -> None:
        import numpy

        self.problem, self.kinds = problem, problem.servers
        self.ways = [[w for w in undominated(problem) if w.need == need.id] for need in problem.needs]
        self.gpus = numpy.array([server.gpus for server in self.kinds])
        self.owned = numpy.array([server.owned for server in self.kinds])
        self.shelves = tuple(
            self._shelf(ways, need.demand * scale * (1 - SERVED), need.spares)
            for ways, need in zip(self.ways, problem.needs, strict=True)
        )
        draws = numpy.array([server.kw / server.gpus for server in self.kinds] + [0.0] * len(problem.quotas))
        powered = problem.most_kw is not None
        self.also = draws[:, None] if powered else numpy.zeros((len(draws), 0))
        self.limits = numpy.array([problem.most_kw] if powered else [])

    def _shelf(self, ways: Sequence[Way], demand: float, spares: int) -> Shelf:
        import numpy

        place = {server.id: column for column, server in enumerate(self.kinds)}
        takes = numpy.zeros((len(ways), len(self.kinds) + len(self.problem.quotas)), numpy.int64)
        for row, way in enumerate(ways):
            takes[row, place[way.server]] = way.gpus
            for column, (names, _) in enumerate(self.problem.quotas, start=len(self.kinds)):
                takes[row, column] = way.gpus * (way.need in names)
        serves = [way.serves for way in ways]
        return Shelf(
            takes=takes, serves=numpy.array(serves), demand=demand, spares=spares, cover=cover(serves, demand, spares)
        )

    def site(self, bought: Sequence[Any]) -> Site:
        """Rooms of what is owned and each of these purchases."""
        import numpy

        quotas = [gpus for _, gpus in self.problem.quotas]
        rooms = [numpy.concatenate([self.gpus * (self.owned + numpy.array(one)), quotas]) for one in bought]
        return Site(rooms=numpy.array(rooms).astype(numpy.int64), also=self.also, limits=self.limits, holds=self._holds)

    def _holds(self, use: Any) -> Any:
        """Whether the servers in use, each whole, stay within the power."""
        import numpy

        if self.problem.most_kw is None:
            return numpy.ones(len(use), bool)
        servers = -(-use[:, : len(self.kinds)] // self.gpus)
        return servers @ numpy.array([server.kw for server in self.kinds]) <= self.problem.most_kw * (1 + SERVED)

    def weights(self, counted: bool) -> Any:
        """One for each GPU in use, where these count."""
        import numpy

        return numpy.array([float(counted)] * len(self.kinds) + [0.0] * len(self.problem.quotas))

    def solution(self, counts: Sequence[Any], gap: float = 0.0, scale: float = 1.0) -> Solution:
        replicas = tuple(
            (way, int(count))
            for ways, one in zip(self.ways, counts, strict=True)
            for way, count in zip(ways, one, strict=True)
            if count
        )
        inside = {server.id: 0 for server in self.kinds}
        for way, count in replicas:
            inside[way.server] += way.gpus * count
        used = {server.id: -(-inside[server.id] // server.gpus) for server in self.kinds}
        bought = {server.id: max(0, used[server.id] - server.owned) for server in self.kinds}
        price = sum(server.price * bought[server.id] for server in self.kinds)
        return Solution(replicas=replicas, used=used, bought=bought, price=price, gap_fraction=gap, scale=scale)


def first_that_serves(problem: Problem, most_s: float) -> Solution | None:
    """The cheapest purchase that serves every need, and with it the fewest GPUs in use."""
    ground, ends_s = Ground(problem), time.monotonic() + most_s
    if not all(ground.ways):
        return None
    purchases = _Purchases(ground)
    while rooms := purchases.level(ends_s):
        weights = ground.weights(counted=True)
        found = placed(ground.shelves, ground.site(rooms), weights, ends_s, purchases.hull.known)
        if found.counts is not None:
            gap = 0.0 if found.proven else max(0.0, 1 - ceil(found.bound - 1e-6) / found.value)
            return ground.solution(found.counts, gap=gap)
        if not found.proven:
            raise Undecided
    return None


class _Purchases:
    """Servers to buy as whole numbers in HiGHS, with what the hull and earlier answers exclude."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.kinds = ground, ground.kinds
        self.hull = Hull(ground.shelves, ground.weights(counted=False), ground.also, [[] for _ in ground.shelves])
        self.solver, self.highs = quiet_solver()
        self.solver.setOptionValue("mip_rel_gap", 0.0)
        self.solver.setOptionValue("mip_abs_gap", 1e-6)
        self.solver.setOptionValue("mip_feasibility_tolerance", 1e-9)
        self.dearest = max((server.price for server in self.kinds), default=0.0) or 1.0
        for server in self.kinds:
            self._whole(server.price / self.dearest, self._least(server), self._most(server))

    def _most(self, server: Server) -> int:
        return max(0, server.most - server.owned)

    def _least(self, server: Server) -> int:
        """What costs nothing is there at once, all of it."""
        return self._most(server) if server.price == 0 else 0

    def _whole(self, price: float, low: float, high: float) -> int:
        column = int(self.solver.getNumCol())
        self.solver.addCol(price, low, high, 0, [], [])
        self.solver.changeColIntegrality(column, self.highs.HighsVarType.kInteger)
        return column

    def _cheapest(self) -> list[int] | None:
        self.solver.run()
        status = self.solver.getModelStatus()
        if status == self.highs.HighsModelStatus.kInfeasible:
            return None
        if status != self.highs.HighsModelStatus.kOptimal:
            raise Undecided
        return [round(value) for value in self.solver.getSolution().col_value[: len(self.kinds)]]

    def level(self, ends_s: float) -> list[list[int]]:
        """Every purchase of the least price left in which fractions of whole covers fit; none left: empty."""
        found: list[list[int]] = []
        price = float("inf")
        while (one := self._cheapest()) is not None:
            costs = sum(count * server.price for count, server in zip(one, self.kinds, strict=True))
            if costs > price + SAME_PRICE * self.dearest:
                break
            if len(found) > MOST_ROOMS or time.monotonic() > ends_s:
                raise Undecided
            site = self.ground.site([one])
            cut = self.hull.cut(range(len(self.ground.shelves)), site.rooms, site.limits)
            if cut.bound > 1 + SERVED:
                self._exclude(cut)
            else:
                price = costs
                found.append(one)
                self._more_than(one)
        return found

    def _exclude(self, cut: Cut) -> None:
        """What all needs cost at these prices must be there."""
        worth = cut.room[: len(self.kinds)] * self.ground.gpus
        quotas = cut.room[len(self.kinds) :] @ [gpus for _, gpus in self.ground.problem.quotas]
        there = worth @ self.ground.owned + quotas + self.ground.limits @ cut.limit
        wanted, size = sum(cut.covers.values()) - there, float(worth.max())
        if size <= 0:  # no purchase helps: quotas or power are short
            self.solver.addRow(1.0, self.highs.kHighsInf, 0, [], [])
            return
        columns = list(range(len(self.kinds)))
        self.solver.addRow(wanted / size - SERVED, self.highs.kHighsInf, len(columns), columns, (worth / size).tolist())

    def _more_than(self, one: Sequence[int]) -> None:
        """Of some kind more servers than in this purchase."""
        choices = []
        for column, (count, server) in enumerate(zip(one, self.kinds, strict=True)):
            if count < self._most(server):
                choice = self._whole(0.0, 0.0, 1.0)
                rows = [column, choice]
                self.solver.addRow(0.0, self.highs.kHighsInf, 2, rows, [1.0, -float(count + 1)])
                choices.append(choice)
        self.solver.addRow(1.0, self.highs.kHighsInf, len(choices), choices, [1.0] * len(choices))
