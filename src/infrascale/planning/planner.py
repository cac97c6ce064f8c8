"""From a Scenario to a Plan: every legal deployment, the best of each, then the best of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from infrascale.deployment import Deployment, default_engine, runs, shards
from infrascale.hardware import Efficiency, Gpu
from infrascale.model import LAYER_PARTS, Quantization
from infrascale.planning.evaluate import Judge
from infrascale.planning.exact import solve
from infrascale.planning.plan import Candidate, Plan, Rejection
from infrascale.planning.scenario import Scenario

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


def plan(scenario: Scenario, efficiency: Efficiency, solver: str = "exact") -> Plan:
    """The plan with the fewest GPUs, proven; ties go to the faster answer. Other ways and refusals beside it.

    `nelder-mead` is measured against the exact answer, which is computed too.
    """
    if solver == "nelder-mead":
        from infrascale.planning.nelder_mead import solve as search

        found, truth = _plan(scenario, efficiency, solver, search), plan(scenario, efficiency)
        excess = found.best.gpus / truth.best.gpus - 1 if found.best and truth.best else 0.0
        return replace(found, excess_fraction=excess)
    return _plan(scenario, efficiency, solver, solve)


def _plan(
    scenario: Scenario, efficiency: Efficiency, solver: str, solve: Callable[[Judge], Candidate | Rejection]
) -> Plan:
    candidates: list[Candidate] = []
    rejected: list[Rejection] = []
    for gpu in scenario.gpus:
        for deployment in deployments(scenario, gpu):
            found = solve(Judge(scenario=scenario, deployment=deployment, efficiency=efficiency))
            (candidates if isinstance(found, Candidate) else rejected).append(found)  # type: ignore[arg-type]
    candidates.sort(key=lambda c: (c.gpus, -c.performance.token_per_s_per_request))
    return Plan(
        scenario=scenario,
        solver=solver,
        best=candidates[0] if candidates else None,
        others=tuple(candidates[1:]),
        rejected=tuple(rejected),
    )


def capacity(scenario: Scenario, efficiency: Efficiency, gpus: int) -> list[tuple[Candidate, float]]:
    """What `gpus` cards serve within the promise: for each deployment, the most requests in flight, best first.

    A replica's own limit is found by bisection over its load, for every batch; replicas multiply it.
    """
    from infrascale.workload import Demand

    found = []
    for gpu in scenario.gpus:
        for deployment in deployments(replace(scenario, most_gpus=gpus), gpu):
            replicas = gpus // deployment.shard.gpus - scenario.redundancy
            if replicas < 1:
                continue
            best = _most_requests(scenario, deployment, efficiency)
            if best is None:
                continue
            requests, exponent = best
            held = replace(scenario, demand=Demand(in_flight_requests=requests * replicas), headroom_fraction=0.0)
            judge = Judge(scenario=held, deployment=deployment, efficiency=efficiency)
            outcome = judge.outcome(replicas, exponent)
            candidate = Candidate(
                deployment=deployment,
                replicas=replicas,
                spare_replicas=scenario.redundancy,
                batch_exponent=exponent,
                load=outcome.load,
                performance=outcome.performance,
                memory=judge.memory,
                checks=outcome.checks,
                binds=min(outcome.checks, key=lambda check: check.slack_fraction).constraint,
            )
            found.append((candidate, requests * replicas))
    return sorted(found, key=lambda pair: -pair[1])


def _most_requests(scenario: Scenario, deployment: Deployment, efficiency: Efficiency) -> tuple[int, int] | None:
    """Most requests in flight that one replica serves within the promise, and the batch that does."""
    from infrascale.planning.exact import exponents
    from infrascale.workload import Demand

    best: tuple[int, int] | None = None
    for exponent in exponents(Judge(scenario=scenario, deployment=deployment, efficiency=efficiency)):
        low, high = 0, 2**exponent * 64
        while high - low > 1:
            middle = (low + high) // 2
            held = replace(scenario, demand=Demand(in_flight_requests=float(middle)), headroom_fraction=0.0)
            keeps = Judge(scenario=held, deployment=deployment, efficiency=efficiency).outcome(1, exponent).keeps
            low, high = (middle, high) if keeps else (low, middle)
        if low and (best is None or low > best[0]):
            best = (low, exponent)
    return best
