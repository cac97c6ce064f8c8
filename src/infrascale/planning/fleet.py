"""Several models on an inventory of real servers: which replicas go where and what must be bought, proven.

In: Problem (servers owned and to buy, needs, evaluated ways to serve them).    Out: Solution with its optimality gap.
Idea: an integer programme over replicas x_w of each way and servers y_k in use of each kind, solved by HiGHS:

    every need n      Σ serves_w · x_w  −  spares · Σ serves_v · t_v  ≥  demand_n,   t_v: v is the strongest way in use
    every way v of n  Σ serves_w · x_w over w at least as strong  ≤  Σ (demand_n + (spares + 1) · serves_w) · t_w
    every kind k      Σ gpus_w · x_w  ≤  gpus_k · y_k,     y_k ≤ owned_k + bought_k ≤ most_k
    every quota       Σ gpus_w · x_w of some needs  ≤  its GPUs
    power             Σ kw_k · y_k  ≤  most_kw

Requests of several lengths to one model are several needs, and more for those served together: each carries a share
f_n of its demand, and the shares of all that serve a length sum to one. So short requests find small cards where that
is cheaper, and share replicas with long ones where it is not.

First the cheapest purchase, then with it the fewest GPUs in use. The second line says that nothing stronger than the
strongest runs; its bound, above which a replica could be dropped, makes fractions of it cost what they should, so far
fewer branches are looked at than with a loss for each way. Replicas that halve or double each other fill whole
servers without gaps, so GPUs may be counted per kind; other sizes are refused. Knows no model and no GPU, only sizes.
For more than one spare the loss counts as if all were of the strongest kind in use: never too few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, gcd
from typing import Any

from infrascale.errors import ScenarioError
from infrascale.planning.highs import quiet_solver

MOST_SERVERS = 100_000
#: How far demands may be scaled when asking what an inventory can serve.
MOST_SCALE = 1000.0
SERVED = 1e-7  # what rounding of the solver may leave unserved, as a share of the demand
MOST_S = 60.0  # after which the best found is taken, with its gap
MOST_SCALING_S = 10.0  # the same, for how much more an inventory would serve
SCALE_GAP = 1e-3
SCALE_BOUNDS = 3  # times that fractions bound the scale, each time from the last bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A kind of server. `most` in all, owned included; equal to `owned`: none may be bought. `price` of one."""

    id: str
    gpus: int
    owned: int = 0
    most: int = 0
    price: float = 0.0
    kw: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One replica of a need's model on a kind of server: `gpus` of it serve `serves` units of the need's demand."""

    need: str
    server: str
    gpus: int
    serves: float
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A demand in any unit, the same as its ways' `serves`; `spares`: replicas that may fail and leave it served."""

    id: str
    demand: float
    spares: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """`covers`: needs of which one, or several in shares, must be met; every need in none of them must be met alone.

    `quotas`: needs that share a number of GPUs.
    """

    servers: tuple[Server, ...]
    needs: tuple[Need, ...]
    ways: tuple[Way, ...]
    most_kw: float | None = None
    covers: tuple[tuple[str, ...], ...] = ()
    quotas: tuple[tuple[tuple[str, ...], int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """`replicas` of each way that is used; servers in use and bought, by kind. `gap_fraction` 0: proven optimal.

    `scale`: the share of every demand that is served; 1 where all is.
    """

    replicas: tuple[tuple[Way, int], ...]
    used: dict[str, int]
    bought: dict[str, int]
    price: float
    gap_fraction: float
    scale: float = 1.0

    @property
    def gpus(self) -> int:
        return sum(way.gpus * count for way, count in self.replicas)


def fits(gpus: int, server: Server) -> bool:
    """Whether replicas of this size share servers without gaps: halves, quarters … of a server, or whole servers."""
    if gpus > server.gpus:
        return gpus % server.gpus == 0
    share = server.gpus // gpus
    return server.gpus % gpus == 0 and share & (share - 1) == 0


def _check(problem: Problem) -> None:
    kinds = {server.id: server for server in problem.servers}
    for way in problem.ways:
        if not fits(way.gpus, kinds[way.server]):
            raise ScenarioError(
                f"{way.gpus} GPUs do not fill servers of {kinds[way.server].gpus}",
                why="replicas would leave gaps that counting GPUs does not see",
                fix="use halves, quarters … of a server, or whole servers",
            )


def cheapest(problem: Problem) -> Solution | None:
    """The cheapest purchase that serves every need, and with it the fewest GPUs in use; None if none does."""
    from infrascale.planning.purchases import Undecided, first_that_serves

    _check(problem)
    if not problem.covers:
        try:
            return first_that_serves(problem, MOST_S)
        except Undecided:
            pass
    return _by_programme(problem)


def _by_programme(problem: Problem) -> Solution | None:
    """The same, by one integer programme: where needs share demands, or purchases are too many to try."""
    first = _Programme(problem)
    if not first.minimise([(server.price, first.bought[server.id]) for server in problem.servers]):
        return None
    paid = first.solution()
    second = _Programme(problem, prices=(paid.price * (1 - first.gap_fraction), paid.price))
    fewest = [(way.gpus, count) for way, count in second.replicas]
    try:  # HiGHS sometimes calls the answer it starts from the best, which is not: only where it finds none itself
        second.minimise(fewest)
    except ScenarioError:
        second.minimise(fewest, start=first)
    found = second.solution()
    return replace(found, gap_fraction=max(first.gap_fraction, second.gap_fraction))


def most_served(problem: Problem) -> Solution:
    """The largest equal share of every demand that the servers owned can serve, nothing bought; to a thousandth."""
    from infrascale.planning.ceiling import highest_scale

    owned = replace(problem, servers=tuple(replace(s, most=s.owned) for s in problem.servers))
    most = MOST_SCALE
    for _ in range(SCALE_BOUNDS):
        relaxed = _Programme(owned, most_scale=most, whole=False)
        relaxed.minimise([(-1.0, relaxed.scale)])
        most = min(most, relaxed.solution().scale * (1 + SCALE_GAP))
    most = highest_scale(owned, most)
    programme = _Programme(owned, most_scale=most)
    programme.minimise([(-1.0, programme.scale)])
    return programme.solution()


def smallest_purchase(problem: Problem) -> Solution | None:
    """What to buy, of any kind listed and beyond its quota, so that every need is served."""
    opened = tuple(replace(s, most=MOST_SERVERS) for s in problem.servers)
    return cheapest(replace(problem, servers=opened))


def undominated(problem: Problem) -> tuple[Way, ...]:
    """Ways worth trying: not those that copies of a smaller way, on the same kind of server, replace without loss.

    k copies of v serve at least w on as many GPUs or fewer. With a spare too: what the loss of a stronger v costs
    more, v itself brought.
    """

    def beats(v: Way, w: Way) -> bool:
        copies = w.gpus // v.gpus
        if copies == 0 or (v.need, v.server) != (w.need, w.server):
            return False
        return (v.serves * copies, -v.gpus) > (w.serves, -w.gpus) or (v.serves * copies >= w.serves and v.gpus < w.gpus)

    unique = {(w.need, w.server, w.gpus, w.serves): w for w in problem.ways}.values()
    return tuple(w for w in unique if not any(beats(v, w) for v in unique if v is not w))


class _Programme:
    """The integer programme in HiGHS: variables, constraints, and its answer as a Solution.

    `prices`: between which the purchase is known to lie. `most_scale`: demands are scaled, at most so far. `whole`
    False: fractions of everything, for a bound.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        prices: tuple[float, float] | None = None,
        most_scale: float | None = None,
        whole: bool = True,
    ) -> None:
        self.problem = problem
        self.solver, highspy = quiet_solver()
        self._highs = highspy
        options = {
            "mip_heuristic_effort": 0.1,
            "solve_relaxation": not whole,
            "mip_feasibility_tolerance": 1e-9,
            "mip_rel_gap": SCALE_GAP if most_scale is not None else 0.0,
            "time_limit": MOST_SCALING_S if most_scale is not None else MOST_S,
        }
        for key, value in options.items():
            self.solver.setOptionValue(key, value)
        self._found = highspy.SolutionStatus.kSolutionStatusFeasible
        status = highspy.HighsModelStatus
        self._impossible = (status.kInfeasible, status.kUnboundedOrInfeasible)
        kinds = {server.id: server for server in problem.servers}
        self.most_scale = 1.0 if most_scale is None else most_scale
        self.scale = self.solver.addVariable(lb=0, ub=most_scale) if most_scale is not None else None
        self.bought = {s.id: self.solver.addIntegral(lb=0, ub=max(0, s.most - s.owned)) for s in problem.servers}
        self.used = {s.id: self.solver.addIntegral(lb=0, ub=max(s.most, s.owned)) for s in problem.servers}
        self.replicas = [
            (way, self.solver.addIntegral(lb=0, ub=self._most(way, kinds))) for way in undominated(problem)
        ]
        if prices is not None:
            one = prices[1] or max(server.price for server in problem.servers) or 1.0
            least, most = (price / one for price in prices)
            paid = self.expression([(s.price / one, self.bought[s.id]) for s in problem.servers])
            self.solver.addConstr(paid <= most + SERVED)
            self.solver.addConstr(paid >= least - SERVED)
        self._room()
        apart = {name for cover in problem.covers for name in cover}
        self.shares = {name: self.solver.addVariable(lb=0, ub=self.most_scale) for name in sorted(apart)}
        wanted = self.scale * 1.0 if self.scale is not None else 1.0 - SERVED
        for cover in problem.covers:
            self.solver.addConstr(self.expression([(1.0, self.shares[name]) for name in cover]) >= wanted)
        for names, gpus in problem.quotas:
            inside = [(way.gpus, x) for way, x in self.replicas if way.need in names]
            self.solver.addConstr(self.expression(inside) <= gpus)
        for need in problem.needs:
            self._serve(need)

    def _most(self, way: Way, kinds: dict[str, Server]) -> int:
        """Replicas beyond which neither room nor demand could want more."""
        server = kinds[way.server]
        room = max(server.most, server.owned) * server.gpus // way.gpus
        need = next(n for n in self.problem.needs if n.id == way.need)
        return min(room, int(self.most_scale * need.demand / way.serves) + 2 + need.spares)

    def expression(self, terms: Sequence[tuple[float, Any]]) -> Any:
        return sum((factor * variable for factor, variable in terms), start=0.0 * self.used[next(iter(self.used))])

    def _room(self) -> None:
        """Replicas inside servers in use, those inside what is owned and bought, all within the power."""
        for server in self.problem.servers:
            inside = [(way.gpus, x) for way, x in self.replicas if way.server == server.id]
            if inside:
                self.solver.addConstr(self.expression(inside) <= server.gpus * self.used[server.id])
            self.solver.addConstr(self.used[server.id] <= server.owned + 1.0 * self.bought[server.id])
        if self.problem.most_kw is not None:
            draws = self.expression([(s.kw, self.used[s.id]) for s in self.problem.servers])
            self.solver.addConstr(draws <= self.problem.most_kw)

    def _serve(self, need: Need) -> None:
        """The demand met, and met still when `spares` of the strongest way in use are lost. In shares of the demand."""
        ways = sorted(((way, x) for way, x in self.replicas if way.need == need.id), key=lambda pair: -pair[0].serves)
        shares = [way.serves / need.demand for way, _ in ways]
        served = [(share, x) for share, (_, x) in zip(shares, ways, strict=True)]
        wanted = self.scale * 1.0 if self.scale is not None else 1.0 - SERVED
        if need.id in self.shares:
            wanted = self.shares[need.id] * 1.0
        if not need.spares:
            self.solver.addConstr(self.expression(served) >= wanted)
            return
        strongest = [self.solver.addBinary() for _ in ways]
        lost = [(-need.spares * share, one) for share, one in zip(shares, strongest, strict=True)]
        self.solver.addConstr(self.expression(served + lost) >= wanted)
        self.solver.addConstr(self.expression([(1.0, one) for one in strongest]) <= 1.0)
        enough = [
            (self.most_scale + (need.spares + 1) * share, one) for share, one in zip(shares, strongest, strict=True)
        ]
        for last in range(1, len(ways) + 1):
            self.solver.addConstr(self.expression(served[:last]) <= self.expression(enough[:last]))

    def minimise(self, terms: Sequence[tuple[float, Any]], start: _Programme | None = None) -> bool:
        """Whether there is a solution. Whole factors are divided by their common measure: a gap below one is none.

        `start`: a solved programme of the same variables, so that there is an answer whatever the time.
        """
        factors = [factor for factor, _ in terms]
        measure = (
            gcd(*map(int, factors)) if all(float(factor).is_integer() and factor >= 0 for factor in factors) else 0
        )
        self._whole = measure > 0
        self.solver.setOptionValue("mip_abs_gap", 0.999 if self._whole else 1e-9)
        self.solver.setObjective(
            self.expression([(factor / (measure or 1), variable) for factor, variable in terms]),
            self._highs.ObjSense.kMinimize,
        )
        if start is not None:
            known = self._highs.HighsSolution()
            known.col_value = [round(value, 9) for value in start.solver.getSolution().col_value]
            self.solver.setSolution(known)
        self.solver.solve()
        if self.solver.getInfo().primal_solution_status == self._found:
            return True
        if self.solver.getModelStatus() not in self._impossible:
            raise ScenarioError(
                f"no answer within {MOST_S:g} s",
                why="the solver found neither a solution nor a proof that there is none",
                fix="name fewer kinds of servers or fewer models",
            )
        return False

    @property
    def gap_fraction(self) -> float:
        """How far the answer may be above the best there is, as a share of it; 0: proven."""
        info = self.solver.getInfo()
        bound, value = info.mip_dual_bound, info.objective_function_value
        bound = ceil(bound - 1e-6) if self._whole else bound
        return max(0.0, value - bound) / max(1e-9, abs(value)) if value - bound > 1e-6 else 0.0

    def value(self, variable: Any) -> int:
        return round(self.solver.val(variable))

    def solution(self) -> Solution:
        servers = self.problem.servers
        inside = {server.id: 0 for server in servers}
        counts = [(way, self.value(x)) for way, x in self.replicas]
        for way, count in counts:
            inside[way.server] += way.gpus * count
        used = {server.id: -(-inside[server.id] // server.gpus) for server in servers}
        bought = {server.id: max(0, used[server.id] - server.owned) for server in servers}
        return Solution(
            replicas=tuple((way, count) for way, count in counts if count),
            used=used,
            bought=bought,
            price=sum(server.price * bought[server.id] for server in self.problem.servers),
            gap_fraction=self.gap_fraction,
            scale=self.solver.val(self.scale) if self.scale is not None else 1.0,
        )
