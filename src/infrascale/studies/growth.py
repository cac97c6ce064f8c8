"""Growth: what is needed quarter by quarter, when to order it, and what waiting would cost.

In: a Question, users of each quarter, months of delivery, a Market.    Out: Growth, a Step a quarter.
Servers are bought whole and never sold; the plan of each quarter is the planner's own. Compared with buying all at
once, ordering by quarter leaves fewer GPUs idle; ordering a quarter late leaves people unserved, or GPUs to rent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from infrascale import api
from infrascale.economics.energy import Range
from infrascale.economics.market import Market
from infrascale.errors import ScenarioError
from infrascale.parsing.scenarios import Question, scenario
from infrascale.studies.regret import Regret, Upkeep, ahead_above, regret, reserved, upkeep, waiting

MONTHS_PER_QUARTER = 3

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One quarter. `order_by`: the day to order by. `unserved_if_late`: users left out had it come a quarter later."""

    start: date
    users: float
    gpus_needed: int
    servers_bought: int
    servers: int
    order_by: date | None
    unserved_if_late: float
    regret: Regret | None = None
    if_reserved: Regret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """`idle_gpu_quarters`: GPUs bought before they are needed, if all were bought at the start.

    `upkeep`: the prices that the regrets rest on; None: not priced. `reserved`: those where the servers' GPUs are
    reserved for a year in place of bought. `at_once`: what buying all at the start costs more.
    """

    gpu: str
    gpus_per_server: int
    steps: tuple[Step, ...]
    idle_gpu_quarters: int
    upkeep: Upkeep | None = None
    reserved: Upkeep | None = None
    at_once: Range | None = None

    @property
    def ahead_above(self) -> float | None:
        return ahead_above(step.regret for step in self.steps if step.regret)

    @property
    def regrets_if_reserved(self) -> list[Regret]:
        return [step.if_reserved for step in self.steps if step.if_reserved]


def months_later(day: date, months: int) -> date:
    """The first of the month so many months away; negative: before. 2026-11, 3 months: 2027-02-01."""
    count = day.year * 12 + day.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def users_served(asked: Question, gpus: int, calibration: str | None = None) -> float:
    """People that so many GPUs serve within the promise."""
    if gpus <= 0:
        return 0.0
    found = scenario(asked.model_copy(update={"max_gpus": None}))
    ways = api.capacity(gpus, found, calibration=calibration)
    return max((n / found.share_in_flight(one.performance.e2e_s.mean_s) for one, n in ways), default=0.0)


def growth(
    asked: Question, users: Sequence[float], start: date, lead_months: int = 0, calibration: str | None = None,
    market: Market | None = None, progress: Progress | None = None,
) -> Growth:  # fmt: skip
    """A purchase for each quarter's need, ordered `lead_months` before it begins; its regrets where `market` prices."""
    if len(asked.gpu) != 1 or asked.gpu == ["any"] or asked.users is None or asked.think_s is not None:
        raise ScenarioError(
            "growth needs users on one kind of GPU",
            why="servers of one kind are added quarter by quarter, and their room is counted in people",
            fix="give one --gpu, and --users without --think-s",
        )
    needs = []
    for done, count in enumerate(users):
        if progress:
            progress(done, len(users))
        plan = api.plan(calibration=calibration, **asked.model_dump(exclude_none=True) | {"users": count})
        if plan.best is None:
            raise ScenarioError(
                f"{count:,.0f} users cannot be served", why="no number of these GPUs keeps the promise",
                fix="infrascale plan names the nearest change",
            )  # fmt: skip
        needs.append(plan.best.gpus)
    size = plan.scenario.gpus[0].gpus_per_server
    priced = upkeep(plan, market, api.curves(calibration, plan.scenario)) if market else None
    held = reserved(plan, market) if market else None
    steps, owned = [], 0
    for index, (count, gpus) in enumerate(zip(users, needs, strict=True)):
        begins = months_later(start, index * MONTHS_PER_QUARTER)
        bought = max(0, -(-gpus // size) - owned)
        unserved = max(0.0, count - users_served(asked, owned * size, calibration)) if bought else 0.0
        missing = gpus - owned * size
        owned += bought
        steps.append(
            Step(
                start=begins,
                users=count,
                gpus_needed=gpus,
                servers_bought=bought,
                servers=owned,
                order_by=months_later(begins, -lead_months) if bought else None,
                unserved_if_late=unserved,
                regret=regret(priced, bought, missing) if priced and bought else None,
                if_reserved=regret(held, bought, missing) if held and bought else None,
            )
        )
    idle = sum(owned - step.servers for step in steps)
    return Growth(
        gpu=plan.scenario.gpus[0].id,
        gpus_per_server=size,
        steps=tuple(steps),
        idle_gpu_quarters=idle * size,
        upkeep=priced,
        reserved=held,
        at_once=waiting(priced, idle) if priced else None,
    )
