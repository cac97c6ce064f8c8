"""`infrascale cost`: from a plan to its options, and to the offers of APIs for the same workload.

In: Plan, Question, Market.    Out: Costing, one value that the screen and the JSON are made from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from infrascale import api
from infrascale.calibration.own import Calibration
from infrascale.economics import Bill, Span, monthly_usage
from infrascale.economics.apis import ApiOffer, BreakEven, Ends, break_even
from infrascale.economics.decision import Option, pareto
from infrascale.economics.energy import footprint
from infrascale.economics.market import Market
from infrascale.errors import ScenarioError
from infrascale.hardware import Efficiency
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.objectives import best_first
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Objective, Plan

CURVE_POINTS = 13
MOST_POINTS = 30  # with those of the bisection, about

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Costing:
    """`options`: best first. `payments`: the best one rented, reserved, bought, where priced; `hosts`: rented from
    named clouds.

    `apis`: offers of the same weights and those declared comparable, cheapest first; `apis_without_rate`: as many
    more in the other currency, which no rate turns into this one.
    """

    plan: Plan
    market: Market
    objective: Objective
    options: tuple[Option, ...]
    pareto: tuple[Option, ...]
    payments: tuple[Bill, ...] = ()
    hosts: tuple[Bill, ...] = ()
    apis: tuple[tuple[ApiOffer, Span], ...] = ()
    apis_without_rate: int = 0
    against: ApiOffer | None = None
    break_even: BreakEven | None = None


def costing(plan: Plan, market: Market, objective: Objective, curves: Efficiency | None = None) -> Costing:
    """`curves`: those that the plan was made with, where they are not the general ones."""
    found = best_first(plan, market, objective, curves or efficiency())
    best = found[0]
    return Costing(
        plan=plan,
        market=market,
        objective=objective,
        options=tuple(found),
        pareto=tuple(pareto(found)),
        payments=market.payments(best.candidate, best.usage, best.footprint),
        hosts=market.hosts(best.candidate, best.usage),
    )


def hosting_break_even(
    asked: Question, best: Option, market: Market, charge: Span, upto: float, progress: Progress | None = None,
    calibration: str | Calibration | None = None,
) -> BreakEven:  # fmt: skip
    """Own cost replanned at each number of users, on the GPU of the best option, against a charge for today's users.

    Both ends: the bold number of GPUs at the low price, the cautious one at the high price. Needs a question in users:
    a rate of requests has no users to count.
    """
    if asked.users is None:
        raise ScenarioError(
            "a break-even counts users", why="the demand is not given in users", fix="ask with --users and repeat"
        )
    keys = asked.model_dump(exclude_none=True) | {"gpu": [best.candidate.deployment.gpu.id], "max_gpus": None,
                                                  "max_kw": None}  # fmt: skip
    done = 0

    def own(users: float) -> Ends:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, MOST_POINTS), MOST_POINTS)
        plan = api.plan(calibration=calibration, **keys | {"users": users})
        sure = api.certainty(plan, calibration=calibration)
        if plan.best is None or sure is None:
            return None, None
        law = api.curves(calibration, plan.scenario)
        bills = [_bill(plan, plan.best, gpus, market, law) for gpus in (sure.low_gpus, sure.high_gpus)]
        low, high = (bill.per_month if bill else None for bill in bills)
        return low.low if low else None, high.high if high else None

    first = max(1.0, upto / 4096)
    step = (upto / first) ** (1 / (CURVE_POINTS - 1))
    users = [first * step**index for index in range(CURVE_POINTS)]
    return break_even(own, charge / asked.users, users)


def _bill(plan: Plan, one: Candidate, gpus: int | None, market: Market, law: Efficiency) -> Bill | None:
    """The bill of a candidate with about so many GPUs, in whole replicas."""
    if gpus is None:
        return None
    count = max(1, ceil(gpus / one.gpus_per_replica) - one.spare_replicas)
    resized = replace(one, replicas=count)
    usage = monthly_usage(plan.scenario, resized, market.day)
    return market.bill(resized, usage, footprint(plan.scenario, resized, usage, law, market.site))
