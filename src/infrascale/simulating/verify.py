"""Is the plan's N enough? The short list simulated, and N raised where its tail breaks the promise.

In: Plan, Efficiency, Circumstances.    Out: the Plan as verified, and a Verdict for each way that was simulated.
Idea: the planner's quantiles come from a queue with assumptions; vLLM's scheduler, request by request, has none of
them. More replicas of one deployment only ease each, so the least N that keeps the promise is bisected. The demand is
the plan's, its margin included; spare replicas stand aside. N is never lowered: what was proven stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from infrascale.errors import ScenarioError
from infrascale.hardware import Efficiency
from infrascale.planning import Candidate, Objective, Plan
from infrascale.planning.evaluate import Judge
from infrascale.planning.exact import raised
from infrascale.planning.scenario import Promise
from infrascale.simulating.circumstances import Circumstances
from infrascale.simulating.run import Progress, Simulation, Subject, simulate

#: Ways that are simulated: the best, and its runners-up as long as they may still overtake it.
SHORT_LIST = 3
#: Beyond so many times the planned replicas none is looked for.
MOST_TIMES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`candidate` with the replicas that the simulation asks for, None where no number was enough; `planned` as the
    planner had it, with what its users would have felt; `found` what they feel now."""

    planned: Candidate
    candidate: Candidate | None
    as_planned: Simulation
    found: Simulation

    @property
    def is_raised(self) -> bool:
        return self.candidate is None or self.candidate.replicas > self.planned.replicas


def verify(
    plan: Plan, efficiency: Efficiency, told: Circumstances | None = None, progress: Progress = None
) -> tuple[Plan, tuple[Verdict, ...]]:
    """The plan with the N that simulation confirms; an infeasible one stays as it is."""
    told = told or Circumstances()
    if told.replicas or told.prefill_replicas:
        raise ScenarioError(
            "the number of replicas is what is verified",
            why="[traffic] fixes replicas or prefill_replicas",
            fix="leave them out; infrascale simulate takes them",
        )
    if plan.best is None:
        return plan, ()
    verdicts: list[Verdict] = []
    fewest = None
    listed = SHORT_LIST if plan.objective is Objective.GPUS else 1  # who wins by money is not simulated anew
    for planned in (plan.best, *plan.others)[:listed]:
        if fewest is not None and planned.gpus >= fewest:
            break
        verdict = _verdict(plan, planned, efficiency, told, progress)
        verdicts.append(verdict)
        if verdict.candidate is not None:
            fewest = min(fewest or verdict.candidate.gpus, verdict.candidate.gpus)
    return with_verdicts(plan, verdicts), tuple(verdicts)


def with_verdicts(plan: Plan, verdicts: list[Verdict]) -> Plan:
    """The plan with the ways as verified in front; the same plan where nothing changed, or nothing is enough."""
    kept = [verdict.candidate for verdict in verdicts if verdict.candidate is not None]
    if not kept or not any(verdict.is_raised for verdict in verdicts):
        return plan
    if plan.objective is Objective.GPUS:
        kept.sort(key=lambda c: (c.gpus, -c.performance.token_per_s_per_request))
    rest = (plan.best, *plan.others)[len(verdicts) :]
    best, *others = (*kept, *(other for other in rest if other is not None))
    return replace(plan, solver="simulated", best=best, others=tuple(others))


def keeps(found: Simulation, promise: Promise) -> bool:
    """The promise as it was made, of means or of a share; and under steady traffic a queue that does not grow."""
    felt = found.outcome.performance
    quick = promise.tpot_of(felt) * promise.token_per_s <= 1
    endless = found.circumstances.pattern.is_steady and found.outcome.queue_grows
    return quick and promise.ttft_of(felt) <= promise.ttft_s and not endless


def _verdict(
    plan: Plan, planned: Candidate, efficiency: Efficiency, told: Circumstances, progress: Progress
) -> Verdict:
    def at(replicas: int) -> Simulation:
        case = replace(told, replicas=replicas)
        subject = Subject(
            scenario=plan.scenario, candidate=planned, efficiency=efficiency, circumstances=case, with_headroom=True
        )
        return simulate(subject, progress)

    promise = plan.scenario.promise
    as_planned = at(planned.replicas)
    if keeps(as_planned, promise):
        return Verdict(planned=planned, candidate=planned, as_planned=as_planned, found=as_planned)
    low, found, step = planned.replicas, as_planned, 1
    most = MOST_TIMES * planned.replicas + 4
    high = low
    while not keeps(found, promise) and high < most:
        low, high, step = high, min(most, planned.replicas + step), 2 * step
        found = at(high)
    if not keeps(found, promise):
        return Verdict(planned=planned, candidate=None, as_planned=as_planned, found=found)
    while high - low > 1:
        middle = (low + high) // 2
        tried = at(middle)
        if keeps(tried, promise):
            high, found = middle, tried
        else:
            low = middle
    judge = Judge(scenario=plan.scenario, deployment=planned.deployment, efficiency=efficiency)
    candidate = raised(judge, planned, high)
    return Verdict(
        planned=planned,
        candidate=candidate if isinstance(candidate, Candidate) else None,
        as_planned=as_planned,
        found=found,
    )
