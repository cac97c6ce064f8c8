"""A Plan as one screen of text, and as JSON. No number is computed here but margins.

In: Plan.    Out: text within 80 columns, or plain dictionaries.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from infrascale.planning import Candidate, Check, Constraint, Plan, Rejection
from infrascale.units import GIB


def amount(value: float, unit: str) -> str:
    """A quantity as people read it."""
    if unit == "bytes":
        return f"{value / GIB:,.1f} GiB"
    if unit == "s":
        return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"
    if unit == "token_per_s":
        return f"{value:,.1f} tokens/s"
    if unit == "gpus":
        return f"{value:,.0f} GPUs"
    return f"{value:,.0f} {unit}"


def cut(candidate: Candidate | Rejection) -> str:
    """How one replica is run: GPUs, degrees, format."""
    shard = candidate.deployment.shard
    degrees = f"TP {shard.tp}" + (f" PP {shard.pp}" if shard.pp > 1 else "")
    return f"{candidate.deployment.gpu.id}, {degrees}, {candidate.deployment.quantization.precision}"


def plan_lines(plan: Plan) -> list[str]:
    return _feasible(plan, plan.best) if plan.best else _infeasible(plan)


def _feasible(plan: Plan, best: Candidate) -> list[str]:
    gpu, found, promise = best.deployment.gpu, best.performance, plan.scenario.promise
    spare = f" + {best.spare_replicas} spare" if best.spare_replicas else ""
    lines = [
        f"{best.gpus:,} × {gpu.name}  for {plan.scenario.model.id}",
        f"  {best.replicas:,}{spare} replicas (N) × {best.gpus_per_replica} GPUs (S), {cut(best)}; {_proof(plan)}",
        f"  batch up to {best.max_batch} (2^B, B = {best.batch_exponent}), load Q = {best.load:.2f}",
        *_asked(plan),
        "",
        f"  speed per request  {found.token_per_s_per_request:8,.1f} tokens/s"
        f"   promise {promise.token_per_s:g}  ({_margin(found.token_per_s_per_request / promise.token_per_s - 1)})",
        f"  TTFT               {amount(found.ttft_s.mean_s, 's'):>10}       "
        f"   promise {promise.ttft_s:g} s  ({_margin(1 - found.ttft_s.mean_s / promise.ttft_s)})",
        f"  end to end         {amount(found.e2e_s.mean_s, 's'):>10}",
        f"  throughput         {found.output_token_per_s * best.replicas:8,.0f} tokens/s out,"
        f" {found.request_per_s * best.replicas:,.2f} requests/s in all",
        "",
        "  constraint      needed           available        slack",
        *(_check(check, check is best.binding) for check in best.checks),
        "",
        *_memory(best),
    ]
    if plan.others:
        lines += ["", "  runners-up"]
        lines += [_other(best, other) for other in plan.others[:5]]
    refused = [r for r in plan.rejected][: max(0, 7 - len(plan.others))]
    lines += [_refused(r) for r in refused]
    lines += ["", "  Evidence: kernel tables, published runs. Means, not percentiles: see README."]
    return lines


def _proof(plan: Plan) -> str:
    return "proven fewest" if plan.solver == "exact" else f"{plan.excess_fraction:.0%} above exact"


def _asked(plan: Plan) -> list[str]:
    scenario = plan.scenario
    load = scenario.workload
    words = f"  for {load.isl_tokens:,.0f} tokens in, {load.osl_tokens:,.0f} out"
    demand = scenario.demand
    if demand.request_per_s is not None:
        words += f", {demand.request_per_s:,.2f} requests/s"
    elif demand.users is not None:
        words += f", {demand.users:,.0f} users who think {demand.think_s:g} s"
    else:
        words += f", {demand.in_flight_requests:,.0f} requests in flight"
    lines = [words]
    if scenario.requests_per_user_is_assumed and scenario.users:
        lines.append(f"  assumed: {scenario.requests_per_user:.3f} requests in flight per user (0.4 a minute each);")
        lines.append("           set your own with --requests-per-user")
    return lines


def _margin(share: float) -> str:
    return f"{share:+.0%}"


def _check(check: Check, binds: bool) -> str:
    mark = "  ← binds" if binds else ""
    return (
        f"  {check.constraint.value:<14}{amount(check.needed, check.unit):>14}"
        f"{amount(check.available, check.unit):>19}{check.slack_fraction:>11.0%}{mark}"
    )


def _memory(best: Candidate) -> list[str]:
    memory = best.memory
    check = next(c for c in best.checks if c.constraint is Constraint.MEMORY)
    cache = check.needed - memory.needed_bytes
    parts = [
        ("weights", memory.weights_bytes),
        ("KV cache in use", cache),
        ("activations", memory.activations_bytes),
        ("CUDA graphs, runtime", memory.graphs_bytes + memory.runtime_bytes),
        ("free for more cache", check.available - check.needed),
        ("kept back", memory.reserved_bytes),
    ]
    lines = [f"  memory of one GPU: {amount(memory.total_bytes, 'bytes')}"]
    for name, size in parts:
        bar = "█" * round(30 * max(0.0, size) / memory.total_bytes)
        lines.append(f"    {name:<22}{amount(size, 'bytes'):>10}  {bar}")
    return lines


def _other(best: Candidate, other: Candidate) -> str:
    more = other.gpus - best.gpus
    why = f"{more} more" if more else f"same number, {other.performance.token_per_s_per_request:.0f} tokens/s"
    return f"    {other.gpus:>6,} GPUs  {cut(other):<38} {why}, {other.binding.constraint.value} binds"[:80]


def _refused(refused: Rejection) -> str:
    need, best = amount(refused.needed, refused.unit), amount(refused.available, refused.unit)
    return f"        no     {cut(refused):<38} {refused.constraint.value}: {need}, best {best}"[:80]


def _infeasible(plan: Plan) -> list[str]:
    lines = [f"No number of these GPUs keeps the promise for {plan.scenario.model.id}.", ""]
    lines += ["  way                                     constraint    needed       best"]
    for refused in plan.rejected[:14]:
        lines.append(
            f"  {cut(refused):<38}  {refused.constraint.value:<11}"
            f"{amount(refused.needed, refused.unit):>12}  {amount(refused.available, refused.unit):>12}"[:80]
        )
    lines += ["", *(f"  nearest: {line}" for line in nearest_changes(plan))]
    return lines


def nearest_changes(plan: Plan) -> list[str]:
    """Per constraint that refused, the smallest change of the promise or purchase that would do."""
    found = []
    for constraint in Constraint:
        refused = [r for r in plan.rejected if r.constraint is constraint]
        if not refused:
            continue
        if constraint is Constraint.WAIT:
            best = min(refused, key=lambda r: r.available)
            found.append(f"allow a TTFT of {amount(best.available, 's')} ({cut(best)})")
        elif constraint is Constraint.THROUGHPUT:
            best = max(refused, key=lambda r: r.available)
            found.append(f"ask {amount(best.available, best.unit)} per request ({cut(best)})")
        elif constraint is Constraint.STOCK:
            best = min(refused, key=lambda r: r.needed)
            found.append(f"allow {best.needed:,.0f} GPUs ({cut(best)})")
        elif constraint is Constraint.MEMORY:
            best = min(refused, key=lambda r: r.needed / r.available)
            found.append(f"a smaller format or larger GPU: {amount(best.needed, 'bytes')} a GPU ({cut(best)})")
    return found or ["no listed GPU has a kernel for this format; see `infrascale catalog gpus`"]


def candidate_json(candidate: Candidate) -> dict[str, Any]:
    deployment, found = candidate.deployment, candidate.performance
    return {
        "gpu": deployment.gpu.id,
        "gpus": candidate.gpus,
        "gpus_per_replica": candidate.gpus_per_replica,
        "replicas": candidate.replicas,
        "spare_replicas": candidate.spare_replicas,
        "batch_exponent": candidate.batch_exponent,
        "max_batch": candidate.max_batch,
        "load": candidate.load,
        "tp": deployment.shard.tp,
        "pp": deployment.shard.pp,
        "dp": deployment.shard.dp,
        "ep": deployment.shard.ep,
        "engine": asdict(deployment.engine),
        "precision": deployment.quantization.precision,
        "binding": candidate.binding.constraint.value,
        "token_per_s_per_request": found.token_per_s_per_request,
        "ttft_mean_s": found.ttft_s.mean_s,
        "tpot_mean_s": found.tpot_s.mean_s,
        "e2e_mean_s": found.e2e_s.mean_s,
        "output_token_per_s": found.output_token_per_s * candidate.replicas,
        "request_per_s": found.request_per_s * candidate.replicas,
        "constraints": [
            {
                "constraint": c.constraint.value,
                "needed": c.needed,
                "available": c.available,
                "unit": c.unit,
                "slack_fraction": c.slack_fraction,
            }
            for c in candidate.checks
        ],
        "memory_bytes": {
            "total": candidate.memory.total_bytes,
            "reserved": candidate.memory.reserved_bytes,
            "weights": candidate.memory.weights_bytes,
            "activations": candidate.memory.activations_bytes,
            "graphs": candidate.memory.graphs_bytes,
            "runtime": candidate.memory.runtime_bytes,
        },
    }


def plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "model": plan.scenario.model.id,
        "feasible": plan.best is not None,
        "solver": plan.solver,
        "excess_fraction": plan.excess_fraction,
        "requests_per_user": plan.scenario.requests_per_user,
        "requests_per_user_is_assumed": plan.scenario.requests_per_user_is_assumed,
        "best": candidate_json(plan.best) if plan.best else None,
        "others": [candidate_json(other) for other in plan.others],
        "rejected": [
            {
                "way": cut(r),
                "gpus_per_replica": r.deployment.shard.gpus,
                "constraint": r.constraint.value,
                "needed": r.needed,
                "available": r.available,
                "unit": r.unit,
            }
            for r in plan.rejected
        ],
        "nearest_changes": [] if plan.best else nearest_changes(plan),
    }
