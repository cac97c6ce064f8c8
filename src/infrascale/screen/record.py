"""A Plan as plain dictionaries, for machines: codes and numbers, the same in every language.

In: Plan.    Out: what `--json` prints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from infrascale.certainty import Beyond, Certainty, Rest
from infrascale.planning import Candidate, Constraint, Plan, Rejection, Scenario


def cut(candidate: Candidate | Rejection) -> str:
    """How one replica is run: GPUs, degrees, format."""
    deployment = candidate.deployment
    return f"{deployment.gpu.id}, {deployment.shard}, {deployment.quantization.precision}"


def nearest_changes(plan: Plan) -> list[dict[str, Any]]:
    """Per constraint that refused, the smallest change of the promise or purchase that would do: `value` in `unit`."""
    closest = {
        Constraint.WAIT: lambda r: r.available,
        Constraint.THROUGHPUT: lambda r: -r.available,
        Constraint.STOCK: lambda r: r.needed,
        Constraint.POWER: lambda r: r.needed,
        Constraint.MEMORY: lambda r: r.needed / r.available,
    }
    found = []
    for constraint, distance in closest.items():
        refused = [r for r in plan.rejected if r.constraint is constraint]
        if refused:
            best = min(refused, key=distance)
            reached = constraint in (Constraint.WAIT, Constraint.THROUGHPUT)
            value = best.available if reached else best.needed
            found.append({"constraint": constraint.value, "value": value, "unit": best.unit, "way": cut(best)})
    return found


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
        "objective": plan.objective.value,
        "excess_fraction": plan.excess_fraction,
        **_habit(plan),
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


def _habit(plan: Plan) -> dict[str, Any]:
    """What a user does, where people ask: requests an hour, or the share of them with a request in flight."""
    asked = plan.scenario
    share = asked.requests_per_user
    if share is None and asked.users and plan.best:
        share = asked.share_in_flight(plan.best.performance.e2e_s.mean_s)
    return {
        "requests_per_user": share,
        "requests_per_user_hour": asked.requests_per_user_hour,
        "requests_per_user_is_assumed": asked.habit_is_assumed,
    }


def capacity_ways(asked: Scenario, found: Sequence[tuple[Candidate, float]]) -> list[dict[str, Any]]:
    """The most requests in flight of each way, and the users they mean."""
    return [
        {
            "requests_in_flight": n,
            "users": n / asked.share_in_flight(one.performance.e2e_s.mean_s),
            **candidate_json(one),
        }
        for one, n in found
    ]


def beyond_json(beyond: Beyond | None) -> dict[str, Any]:
    """How sure a capacity is and what lies beyond; empty where nothing is served."""
    return {"beyond": asdict(beyond)} if beyond else {}


def certainty_json(sure: Certainty | None) -> dict[str, Any]:
    """How sure a plan is; empty for an infeasible one."""
    return {"certainty": asdict(sure)} if sure else {}


def rest_json(rest: Rest | None) -> dict[str, Any]:
    """What an answer owes to load tests; empty where it owes nothing."""
    return {"rests_on": asdict(rest)} if rest else {}
