"""What would have to change for an infeasible question to have an answer: each change alone, and proven by its plan.

In: Scenario without a plan, other GPU kinds.    Out: Nearest changes.
Idea: with unlimited replicas each request is alone on its replica, so the best speed and the best TTFT of a way to run
the model are those of one request (of a share of the requests: those of a replica with hardly anything to do); a
promise is kept where they keep it. Every change is planned anew before it is
named. Bounded: one look at each deployment, one plan for each named change, GPU kind and format.
Knows no words: constraints, numbers and candidates only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from infrascale.deployment import peak_kw
from infrascale.hardware import Gpu
from infrascale.planning.evaluate import TOLERANCE, Judge
from infrascale.planning.plan import Candidate, Change, Constraint, Nearest, Rejection
from infrascale.planning.scenario import Scenario
from infrascale.precision import PRECISIONS

Solve = Callable[[Scenario], tuple[list[Candidate], list[Rejection]]]
#: Other GPU kinds named, those that need the fewest GPUs first.
MOST_KINDS = 3


def nearest(scenario: Scenario, judges: list[Judge], solve: Solve, elsewhere: tuple[Gpu, ...]) -> tuple[Nearest, ...]:
    """The changes that would do: of the promise, the purchase, the format, the GPU kind."""
    asked = {gpu.id for gpu in scenario.gpus}
    broken = _broken(scenario, judges, solve)
    constraint = broken[0].constraint if broken else Constraint.MEMORY
    named = [*broken]
    for precision in PRECISIONS:
        if precision in scenario.precisions or precision == scenario.model.native.precision:
            continue
        best = _best(solve(replace(scenario, precisions=(precision,))))
        named += [_by(Change.PRECISION, constraint, scenario, best)] if best else []
    others = [gpu for gpu in elsewhere if gpu.id not in asked]
    found = [best for gpu in others if (best := _best(solve(replace(scenario, gpus=(gpu,)))))]
    found.sort(key=lambda best: (best.gpus, -best.performance.token_per_s_per_request))
    return (*named, *(_by(Change.GPU, constraint, scenario, best) for best in found[:MOST_KINDS]))


def _broken(scenario: Scenario, judges: list[Judge], solve: Solve) -> list[Nearest]:
    """The promise, or the number of GPUs, that would have to give; of memory only what is missing."""
    held = [judge for judge in judges if judge.memory_check(1).slack_fraction >= 0]
    if not held:
        short = [(judge.memory_check(1), judge) for judge in judges]
        if not short:
            return []
        check, judge = max(short, key=lambda pair: pair[0].slack_fraction)
        return [
            Nearest(constraint=Constraint.MEMORY, change=None, wanted=check.needed, best=check.available, unit="bytes",
                    deployment=judge.deployment)
        ]  # fmt: skip
    return [*_promises(scenario, held, solve), *_stock(scenario, solve), *_power(scenario, solve)]


def _promises(scenario: Scenario, held: list[Judge], solve: Solve) -> Iterator[Nearest]:
    """The smallest relaxation of one promise while the other stays; of both where neither alone helps."""
    promise = scenario.promise
    alone = [(judge, 1 / promise.tpot_of(judge.alone), promise.ttft_of(judge.alone)) for judge in held]
    quick = [one for one in alone if one[1] >= promise.token_per_s * (1 - TOLERANCE)]
    prompt = [one for one in alone if one[2] <= promise.ttft_s * (1 + TOLERANCE)]
    if any(one in prompt for one in quick):
        return  # not the promise: see the purchase
    together = not quick and not prompt
    if quick or together:
        judge, speed, ttft_s = min(quick or alone, key=lambda one: one[2])
        eased = replace(promise, ttft_s=ttft_s, token_per_s=min(promise.token_per_s, speed))
        yield Nearest(
            constraint=Constraint.WAIT, change=Change.PROMISE, wanted=promise.ttft_s, best=ttft_s,
            unit="s", deployment=judge.deployment, candidate=_best(solve(replace(scenario, promise=eased))),
        )  # fmt: skip
    if prompt or together:
        judge, speed, ttft_s = max(prompt or alone, key=lambda one: one[1])
        eased = replace(promise, token_per_s=speed, ttft_s=max(promise.ttft_s, ttft_s))
        yield Nearest(
            constraint=Constraint.THROUGHPUT, change=Change.PROMISE, wanted=promise.token_per_s,
            best=speed, unit="token_per_s", deployment=judge.deployment,
            candidate=_best(solve(replace(scenario, promise=eased))),
        )  # fmt: skip


def _stock(scenario: Scenario, solve: Solve) -> Iterator[Nearest]:
    best = _best(solve(replace(scenario, most_gpus=None))) if scenario.most_gpus is not None else None
    if best is not None:
        yield Nearest(
            constraint=Constraint.STOCK, change=Change.STOCK, wanted=scenario.most_gpus or 0, best=best.gpus,
            unit="gpus", deployment=best.deployment, candidate=best,
        )  # fmt: skip


def _power(scenario: Scenario, solve: Solve) -> Iterator[Nearest]:
    """The least power that does, of any way."""
    candidates = solve(replace(scenario, most_kw=None))[0] if scenario.most_kw is not None else []
    best = min(candidates, key=lambda c: peak_kw(c.deployment.gpu, c.gpus), default=None)
    if best is not None:
        yield Nearest(
            constraint=Constraint.POWER, change=Change.POWER, wanted=scenario.most_kw or 0.0,
            best=peak_kw(best.deployment.gpu, best.gpus), unit="kw", deployment=best.deployment, candidate=best,
        )  # fmt: skip


def _by(change: Change, constraint: Constraint, scenario: Scenario, best: Candidate) -> Nearest:
    """The constraint that broke, as it stands after the change."""
    promise, found = scenario.promise, best.performance
    values = {
        Constraint.WAIT: (promise.ttft_s, promise.ttft_of(found), "s"),
        Constraint.THROUGHPUT: (promise.token_per_s, 1 / promise.tpot_of(found), "token_per_s"),
        Constraint.STOCK: (scenario.most_gpus or 0, best.gpus, "gpus"),
        Constraint.POWER: (scenario.most_kw or 0.0, peak_kw(best.deployment.gpu, best.gpus), "kw"),
    }
    memory = best.checks[0]
    wanted, value, unit = values.get(constraint, (memory.needed, memory.available, memory.unit))
    return Nearest(
        constraint=constraint, change=change, wanted=wanted, best=value, unit=unit, deployment=best.deployment,
        candidate=best,
    )  # fmt: skip


def _best(found: tuple[list[Candidate], list[Rejection]]) -> Candidate | None:
    candidates, _ = found
    return min(candidates, key=lambda c: (c.gpus, -c.performance.token_per_s_per_request), default=None)
