"""Planning: a Scenario's cheapest deployment that keeps its promise, proven."""

from infrascale.planning.flow import Flow, flow
from infrascale.planning.plan import Candidate, Change, Check, Constraint, Nearest, Objective, Plan, Rejection
from infrascale.planning.planner import capacity, plan
from infrascale.planning.scenario import Knobs, Promise, Scenario, default_requests_per_user

__all__ = [
    "Candidate", "Change", "Check", "Constraint", "Flow", "Knobs", "Nearest", "Objective", "Plan", "Promise",
    "Rejection", "Scenario", "capacity", "default_requests_per_user", "flow", "plan",
]  # fmt: skip
