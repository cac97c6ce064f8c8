"""What the report computes beside the plan: steps in demand, the load curve, one replica fewer, what moves the answer.

In: Plan, its question.    Out: plain numbers. Each is another plan or another point of the same judge, never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from infrascale.hardware import Efficiency
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.scenarios import Question, scenario
from infrascale.planning import Candidate, Check, Judged, Judges, Plan, Scenario, fewest_gpus, plan
from infrascale.planning.evaluate import TOLERANCE, Judge, Outcome, crossing
from infrascale.planning.exact import held_batches

#: Load in the plots, as shares of the demand asked.
SHARES = tuple(i / 20 for i in range(1, 41))
#: How far the sensitivity table moves each input.
MOVE = 0.2
DEMANDS = ("users", "request_per_s", "agents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The planned GPUs under another load: what the promise is of, the mean or a percentile, infinite when saturated.

    `share`: of the demand asked.
    """

    share: float
    ttft_s: float
    token_per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """GPUs when one input is a fifth less or more; None: infeasible then."""

    key: str
    less: int | None
    more: int | None


def demand_of(asked: Question) -> tuple[str, float]:
    """The demand as it was asked: its key and number."""
    return next((key, value) for key in DEMANDS if (value := getattr(asked, key)) is not None)


def in_flight(best: Candidate) -> float:
    """Requests in flight at the peak, over all replicas that the plan needs."""
    return best.load * best.max_batch * best.replicas


def replicas_a_server(best: Candidate) -> int:
    """Whole replicas that a server holds; at least one of a replica that spans several."""
    return max(1, best.deployment.gpu.gpus_per_server // best.gpus_per_replica)


def servers_of(best: Candidate) -> int:
    """Servers that hold all replicas, none cut between servers without need."""
    spanned = ceil(best.gpus_per_replica / best.deployment.gpu.gpus_per_server)
    return ceil((best.replicas + best.spare_replicas) / replicas_a_server(best)) * spanned


def again(found: Plan, asked: Question, law: Efficiency | None = None, **changes: object) -> Plan:
    """The plan of a changed question, for the same model and kind of GPU; who plans anew may cut it otherwise."""
    return plan(_changed(found, asked, **changes), law or efficiency(), found.solver)


def _changed(found: Plan, asked: Question, **changes: object) -> Scenario:
    assert found.best is not None
    asked = asked.model_copy(update={"gpu": [found.best.deployment.gpu.id]} | changes)
    return scenario(asked, given=found.scenario.model)


def demand_of_one(found: Plan, best: Candidate, law: Efficiency | None = None, judged: Judged = Judge) -> float:
    """Share of the demand asked that one replica of the winner serves within the promise.

    Replicas share the demand evenly, so N of them serve N times as much: steps in demand are this wide.
    For each batch the most requests in flight are sought; Little's law turns them into the form of the demand.
    """
    judge = _judge(found, best, law, judged)
    return max(1 / best.replicas, *(_share_of_one(judge, batch) for batch in held_batches(judge)))


def holds_up_to(found: Plan, best: Candidate, law: Efficiency | None = None, judged: Judged = Judge) -> float:
    """Share of the demand asked up to which the planned replicas and batch keep the promise."""
    share = max(1 / best.replicas, _share_of_one(_judge(found, best, law, judged), best.max_batch))
    return best.replicas * share * (1 + found.scenario.headroom_fraction)


def _judge(found: Plan, best: Candidate, law: Efficiency | None, judged: Judged = Judge) -> Judge:
    return judged(scenario=found.scenario, deployment=best.deployment, efficiency=law or efficiency())


def _share_of_one(judge: Judge, batch: int) -> float:
    """The promise as it was made, in the mean or for a share of the requests; 0 where not even one is served so."""

    def spare(requests: float) -> float:
        return judge.comfort(judge.performance(requests, batch)) + TOLERANCE

    if judge.memory_check(batch).slack_fraction < 0 or spare(judge.least) < 0:
        return 0.0
    width = 1e-3 if judge.scenario.promise.is_of_shares else 1e-7
    low, _ = crossing(spare, judge.least, judge.beyond(batch), lambda low, high: high - low <= width * high)
    return 1 / judge.replicas_for(low, batch)


def staircase(
    found: Plan, best: Candidate, most: float = 2.0, law: Efficiency | None = None, judged: Judged = Judge
) -> list[tuple[float, int]]:
    """Where the steps end, as shares of the demand asked, and the GPUs up to there, spares included."""
    step = demand_of_one(found, best, law, judged)
    steps = range(1, ceil(most / step) + 1)
    return [(min(most, n * step), (n + best.spare_replicas) * best.gpus_per_replica) for n in steps]


def judge_of(
    found: Plan, best: Candidate, share: float = 1.0, law: Efficiency | None = None, judged: Judged = Judge
) -> Judge:
    """The winner's judge, at a share of the demand asked, spare demand left out."""
    demand = found.scenario.demand
    fields = ("in_flight_requests", "request_per_s", "users")
    scaled = {f: value * share for f in fields if (value := getattr(demand, f)) is not None}
    held = replace(found.scenario, demand=replace(demand, **scaled), headroom_fraction=0.0)
    return judged(scenario=held, deployment=best.deployment, efficiency=law or efficiency())


def load_curve(
    found: Plan, best: Candidate, law: Efficiency | None = None, judged: Judged = Judge
) -> list[Point]:  # fmt: skip
    """How the planned replicas answer when fewer or more come than was asked."""
    promise, points = found.scenario.promise, []
    for share in SHARES:
        outcome = judge_of(found, best, share, law, judged).outcome(best.replicas, best.max_batch)
        ttft_s, tpot_s = promise.ttft_of(outcome.performance), promise.tpot_of(outcome.performance)
        points.append(Point(share=share, ttft_s=ttft_s, token_per_s=1 / tpot_s))
    return points


def one_fewer(found: Plan, best: Candidate, law: Efficiency | None = None) -> tuple[Outcome, Check] | None:
    """With one replica less, at the batch that comes nearest: the outcome, and the check that breaks."""
    if best.replicas == 1:
        return None
    judge = _judge(found, best, law)
    outcome = judge.outcome(best.replicas - 1, best.max_batch)
    broken = min(outcome.checks, key=lambda check: check.slack_fraction)
    return (outcome, broken) if not outcome.keeps else None


def sensitivity(
    found: Plan, asked: Question, law: Efficiency | None = None, judged: Judged | None = None
) -> list[Moved]:  # fmt: skip
    """GPUs when demand, lengths and promises are each a fifth less or more, the rest as asked."""
    key, _ = demand_of(asked)
    speed = "tpot_s" if asked.tpot_s is not None else "tokens_per_s"
    values = {
        key: getattr(asked, key),
        "isl": asked.isl,
        "osl": asked.osl,
        speed: asked.tpot_s or found.scenario.promise.token_per_s,
        "ttft": asked.ttft,
    }
    judged = judged or Judges()

    def gpus(name: str, value: float) -> int | None:
        if found.solver == "exact":
            return fewest_gpus(_changed(found, asked, **{name: value}), law or efficiency(), judged)
        best = again(found, asked, law, **{name: value}).best
        return best.gpus if best else None

    return [
        Moved(key=name, less=gpus(name, value * (1 - MOVE)), more=gpus(name, value * (1 + MOVE)))
        for name, value in values.items()
    ]
