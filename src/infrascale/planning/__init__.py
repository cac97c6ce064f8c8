"""Planning: a Scenario's cheapest deployment that keeps its promise, proven."""

from infrascale.planning.flow import Flow, flow
from infrascale.planning.plan import Candidate, Change, Check, Constraint, Nearest, Objective, Plan, Rejection
from infrascale.planning.planner import capacity, plan
from infrascale.planning.scenario import REQUESTS_PER_USER_HOUR, Knobs, Promise, Scenario

__all__ = [
    "REQUESTS_PER_USER_HOUR",
    "Candidate",
    "Change",
    "Check",
    "Constraint",
    "Flow",
    "Knobs",
    "Nearest",
    "Objective",
    "Plan",
    "Promise",
    "Rejection",
    "Scenario",
    "capacity",
    "flow",
    "plan",
]  # fmt: skip
