"""Planning: a Scenario's cheapest deployment that keeps its promise, proven."""

from infrascale.planning.flow import Flow, flow
from infrascale.planning.plan import Candidate, Change, Check, Constraint, Nearest, Objective, Plan, Rejection
from infrascale.planning.planner import Judged, capacity, fewest_gpus, plan
from infrascale.planning.scenario import REQUESTS_PER_USER_HOUR, Knobs, Promise, Scenario
from infrascale.planning.tables import Judges

__all__ = [
    "REQUESTS_PER_USER_HOUR",
    "Candidate",
    "Change",
    "Check",
    "Constraint",
    "Flow",
    "Judged",
    "Judges",
    "Knobs",
    "Nearest",
    "Objective",
    "Plan",
    "Promise",
    "Rejection",
    "Scenario",
    "capacity",
    "fewest_gpus",
    "flow",
    "plan",
]  # fmt: skip
