"""From a Scenario to a Plan: every legal deployment, the best of each, then the best of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from infrascale.deployment import Deployment, default_engine, runs, shards
from infrascale.hardware import Efficiency, Gpu
from infrascale.model import LAYER_PARTS, Quantization
from infrascale.planning.evaluate import Judge
from infrascale.planning.exact import Found, beyond_limits, candidate_of, gpus_below, held_batches, most_requests, solve
from infrascale.planning.nearest import nearest
from infrascale.planning.plan import Candidate, Nearest, Plan, Rejection
from infrascale.planning.scenario import Scenario

Judged = Callable[..., Judge]
#: GPUs of one replica that are tried when nobody sets a limit: a server, and two joined by the network.
MOST_GPUS_PER_REPLICA = 16


def quantizations(scenario: Scenario) -> Iterator[Quantization]:
    native = scenario.model.native
    if not scenario.precisions:
        yield native
    for precision in scenario.precisions:
        yield (native if precision == native.precision else Quantization(precision=precision, parts=LAYER_PARTS))


def deployments(scenario: Scenario, gpu: Gpu) -> Iterator[Deployment]:
    """Every way to run the model on this GPU: formats that have a kernel, legal cuts."""
    knobs = scenario.knobs
    engine = default_engine(gpu, knobs.engine, knobs.version, knobs.gpu_memory_utilization)
    fixed = {
        key: value
        for key in ("max_num_seqs", "max_num_batched_tokens", "max_model_len")
        if (value := getattr(knobs, key)) is not None
    }
    engine = replace(engine, kv_cache_dtype=knobs.kv_cache_dtype, **fixed)
    most = min(scenario.most_gpus or MOST_GPUS_PER_REPLICA, MOST_GPUS_PER_REPLICA)
    for quantization in quantizations(scenario):
        if not runs(quantization.precision, gpu):
            continue
        for shard in shards(scenario.model, gpu, most):
            if scenario.gpus_per_replica and shard.gpus not in scenario.gpus_per_replica:
                continue
            yield Deployment(model=scenario.model, gpu=gpu, shard=shard, engine=engine, quantization=quantization)


def plan(
    scenario: Scenario,
    efficiency: Efficiency,
    solver: str = "exact",
    elsewhere: tuple[Gpu, ...] | None = (),
    judged: Judged = Judge,
) -> Plan:
    """The plan with the fewest GPUs, proven; ties go to the faster answer. Other ways and refusals beside it.

    `nelder-mead` is measured against the exact answer, which is computed too. `elsewhere`: GPU kinds to try when those
    asked have no answer; None: do not ask what would help. `judged`: makes a Judge, with tables kept from before.
    """
    if solver == "nelder-mead":
        from infrascale.planning.nelder_mead import solve as search

        truth, found = plan(scenario, efficiency, elsewhere=elsewhere), _ways(scenario, efficiency, search)
        candidates, rejected = found
        excess = candidates[0].gpus / truth.best.gpus - 1 if candidates and truth.best else 0.0
        return _plan(scenario, solver, candidates, rejected, excess_fraction=excess, nearest=truth.nearest)
    candidates, rejected = _ways(scenario, efficiency, solve, judged)
    helps: tuple[Nearest, ...] = ()
    if not candidates and elsewhere is not None:
        judges = [
            Judge(scenario=scenario, deployment=deployment, efficiency=efficiency)
            for gpu in scenario.gpus
            for deployment in deployments(scenario, gpu)
        ]
        helps = nearest(scenario, judges, lambda changed: _ways(changed, efficiency, solve), elsewhere)
    return _plan(scenario, solver, candidates, rejected, nearest=helps)


def _ways(
    scenario: Scenario,
    efficiency: Efficiency,
    solve: Callable[[Judge], Candidate | Rejection],
    judged: Judged = Judge,
) -> tuple[list[Candidate], list[Rejection]]:
    """Every way to run the model on the GPUs asked: the best of each, fewest GPUs first, and those refused."""
    candidates: list[Candidate] = []
    rejected: list[Rejection] = []
    for gpu in scenario.gpus:
        for deployment in deployments(scenario, gpu):
            found = solve(judged(scenario=scenario, deployment=deployment, efficiency=efficiency))
            (candidates if isinstance(found, Candidate) else rejected).append(found)  # type: ignore[arg-type]
    candidates.sort(key=lambda c: (c.gpus, -c.performance.token_per_s_per_request))
    return candidates, rejected


def fewest_gpus(
    scenario: Scenario, efficiency: Efficiency, judged: Judged = Judge, below: int | None = None
) -> int | None:
    """The number of GPUs of `plan(...).best` alone, several times as quick; None: infeasible.

    `below`: only fewer than so many are of interest; None too where they would not do.
    """
    fewest: int | None = None
    for gpu in scenario.gpus:
        for deployment in deployments(scenario, gpu):
            judge = judged(scenario=scenario, deployment=deployment, efficiency=efficiency)
            gpus = gpus_below(judge, below if fewest is None else fewest)
            if gpus is not None and beyond_limits(judge, gpus) is None:
                fewest = gpus
    return fewest


def _plan(scenario: Scenario, solver: str, candidates: list[Candidate], rejected: list[Rejection], **more: Any) -> Plan:
    best = candidates[0] if candidates else None
    others = tuple(candidates[1:])
    return Plan(scenario=scenario, solver=solver, best=best, others=others, rejected=tuple(rejected), **more)


def capacity(scenario: Scenario, efficiency: Efficiency, gpus: int) -> list[tuple[Candidate, float]]:
    """What `gpus` cards serve within the promise: for each deployment, the most requests in flight, best first."""
    judges = (
        Judge(scenario=scenario, deployment=deployment, efficiency=efficiency)
        for gpu in scenario.gpus
        for deployment in deployments(replace(scenario, most_gpus=gpus), gpu)
    )
    found = (most_served(judge, gpus) for judge in judges)
    return sorted((one for one in found if one is not None), key=lambda pair: -pair[1])


def most_served(judge: Judge, gpus: int) -> tuple[Candidate, float] | None:
    """The same for one deployment; None where not even one request is.

    A replica's own limit, in whole requests, is the largest of any batch; replicas multiply it.
    """
    replicas = gpus // judge.deployment.shard.gpus - judge.scenario.redundancy
    limits = [(most_requests(judge, batch), -batch) for batch in held_batches(judge)]
    if replicas < 1 or not limits or max(limits)[0] < 1:
        return None
    each, batch = max(limits)[0], -max(limits)[1]
    stays_s = judge.performance(each, batch).e2e_s.mean_s
    demand = judge.scenario.demand.holding(each * replicas, stays_s)
    unlimited = replace(judge.scenario, demand=demand, headroom_fraction=0.0, most_gpus=None, most_kw=None)
    judge = replace(judge, scenario=unlimited)
    outcome = judge.outcome(replicas, batch)
    point = Found(replicas=replicas, batch=batch, outcome=outcome, bracket=(each, each + 1))
    candidate = candidate_of(judge, point)
    assert isinstance(candidate, Candidate)  # nothing limits its GPUs
    return candidate, each * replicas
