"""`infrascale fleet`: what an inventory serves, what is missing, and which replicas go where.

In: fleet.toml.    Out: Fleet: the solution, or the smallest purchase that makes one, and the room that is left.
Each model on each kind of GPU is evaluated by the planner (the most that one replica serves within its promise), then
the integer programme combines them. One model on several kinds shares its demand in proportion to what each serves; its
short and long requests (`[[model.lengths]]`) may find cards of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from infrascale.calibration.own import Calibration
from infrascale.calibration.planned import nearest_curves
from infrascale.deployment import Deployment
from infrascale.errors import ScenarioError
from infrascale.hardware import Efficiency
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.inventories import Inventory, inventory
from infrascale.parsing.scenarios import Question, scenario
from infrascale.planning import Candidate, Scenario
from infrascale.planning.evaluate import Judge
from infrascale.planning.exact import held_batches
from infrascale.planning.fleet import (
    Need,
    Problem,
    Server,
    Solution,
    Way,
    cheapest,
    fits,
    most_served,
    smallest_purchase,
)
from infrascale.planning.planner import deployments
from infrascale.planning.planner import most_served as most_served_by

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """`solution` None: infeasible, and `purchase` is the smallest that helps. `headroom`: what is owned could serve."""

    inventory: Inventory
    problem: Problem
    solution: Solution | None
    purchase: Solution | None
    headroom: Solution

    @property
    def feasible(self) -> bool:
        return self.solution is not None


def demand_of(asked: Scenario) -> float:
    """The demand in its own unit: requests in flight, requests a second, or users who think; headroom added."""
    return asked.demand.amount * (1 + asked.headroom_fraction)


def served_by(asked: Scenario, candidate: Candidate, requests: float) -> float:
    """What one replica with `requests` in flight serves, in the unit of the demand (Little's law)."""
    return asked.demand.holding(requests, candidate.performance.e2e_s.mean_s).amount


def cut(candidate: Candidate) -> str:
    """How one replica is cut and in which format: TP 4, fp8."""
    return f"{candidate.deployment.shard}, {candidate.deployment.quantization.precision}"


def ways_of(
    name: str,
    asked: Question,
    server: Server,
    gpu: str,
    kinds: Sequence[Question] = (),
    own: Sequence[Calibration] = (),
) -> list[Way]:
    """Every cut of the model that fills these servers without gaps; over two of them where one is too small.

    `kinds`: questions for each length of request that it mixes. `own`: load tests, each way by those of its kin.
    """
    found, *alone = (_on(gpu, one) for one in (asked, *kinds))
    for gpus in (server.gpus, 2 * server.gpus):
        ways: list[Way] = []
        for deployment in deployments(replace(found, most_gpus=gpus), found.gpus[0]):
            served = _served(found, alone, deployment, gpus, nearest_curves(own, deployment, efficiency()))
            if served is None or not fits(served[0].gpus_per_replica, server):
                continue
            candidate, requests = served
            one = served_by(found, candidate, requests / candidate.replicas)
            size = candidate.gpus_per_replica
            ways.append(Way(need=name, server=server.id, gpus=size, serves=one, label=cut(candidate)))
        if ways:
            break
    return ways


def _on(gpu: str, asked: Question) -> Scenario:
    return scenario(asked.model_copy(update={"gpu": [gpu], "redundancy": 0, "max_gpus": None, "max_kw": None}))


def _served(
    asked: Scenario, kinds: Sequence[Scenario], deployment: Deployment, gpus: int, law: Efficiency
) -> tuple[Candidate, float] | None:
    """What so many GPUs serve of a mix; its longest requests must keep their promise too.

    Alone on a replica they take longer to a first token than the mean of the mix. As much shorter is the mean held
    to, which errs on the safe side where the wait for others is part of it.
    """
    judge = Judge(scenario=asked, deployment=deployment, efficiency=law)
    if kinds and held_batches(judge):
        mean_s, promises_s = judge.alone.ttft_s.mean_s, [asked.promise.ttft_s]
        for kind in kinds:
            own = Judge(scenario=kind, deployment=deployment, efficiency=law)
            if not held_batches(own):
                return None
            promises_s.append(kind.promise.ttft_s * mean_s / own.alone.ttft_s.mean_s)
        promise = replace(asked.promise, ttft_s=min(promises_s))
        judge = replace(judge, scenario=replace(asked, promise=promise))
    return most_served_by(judge, gpus)


def problem_of(found: Inventory, progress: Progress | None = None, own: Sequence[Calibration] = ()) -> Problem:
    """Every model evaluated on every kind of server; the same GPU in servers of the same size only once."""
    ways: list[Way] = []
    known: dict[tuple[str, str, int], list[Way]] = {}
    total = len(found.questions) * len(found.servers)
    for name, asked in found.questions.items():
        for server in found.servers:
            key = (name, found.gpus[server.id].id, server.gpus)
            if key not in known:
                kinds = [found.questions[kind] for kind in found.mixes.get(name, ())]
                known[key] = ways_of(name, asked, server, found.gpus[server.id].id, kinds, own)
            ways += [replace(way, server=server.id) for way in known[key]]
            if progress:
                progress(len(known), total)
    needs = tuple(
        Need(id=name, demand=demand_of(scenario(asked)), spares=asked.redundancy)
        for name, asked in found.questions.items()
    )
    return Problem(
        servers=found.servers, needs=needs, ways=tuple(ways), most_kw=found.max_kw, covers=found.covers,
        quotas=found.quotas,
    )  # fmt: skip


def fleet_of(path: str, progress: Progress | None = None, own: Sequence[Calibration] = ()) -> Fleet:
    """`own`: what load tests taught; each way to serve a model rests on those of its nearest kin."""
    found = inventory(path)
    problem = problem_of(found, progress, own)
    served = {way.need for way in problem.ways}
    apart = {name for cover in problem.covers for name in cover}
    alone = ((need.id,) for need in problem.needs if need.id not in apart)
    unservable = tuple(names[0] for names in (*alone, *problem.covers) if not served & set(names))
    if unservable:
        raise ScenarioError(
            f"no server here keeps the promise of {', '.join(unservable)}"[:200],
            why="not even one request on an idle replica does",
            fix="infrascale plan names the nearest promise; or add another kind of [[server]]",
        )
    solution = cheapest(problem)
    return Fleet(
        inventory=found,
        problem=problem,
        solution=solution,
        purchase=None if solution else smallest_purchase(problem),
        headroom=most_served(problem),
    )
