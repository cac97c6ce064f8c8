"""Planning: a Scenario's cheapest deployment that keeps its promise, proven."""

from infrascale.planning.plan import Candidate, Check, Constraint, Plan, Rejection
from infrascale.planning.planner import capacity, plan
from infrascale.planning.scenario import Knobs, Promise, Scenario, default_requests_per_user

__all__ = [
    "Candidate", "Check", "Constraint", "Knobs", "Plan", "Promise", "Rejection", "Scenario", "capacity",
    "default_requests_per_user", "plan",
]  # fmt: skip
