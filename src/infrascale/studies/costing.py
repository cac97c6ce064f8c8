"""`infrascale cost`: from a plan to its options, and to the offers of APIs for the same workload.

In: Plan, Question, Market.    Out: Costing, one value that the screen and the JSON are made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from infrascale import api
from infrascale.economics import Span, monthly_usage
from infrascale.economics.apis import ApiOffer, BreakEven, break_even
from infrascale.economics.decision import Objective, Option, options, ordered, pareto
from infrascale.economics.energy import footprint
from infrascale.economics.market import Market
from infrascale.errors import ScenarioError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan

CURVE_POINTS = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Costing:
    """`options`: best first. `apis`: offers of the same weights and those declared comparable, cheapest first."""

    plan: Plan
    market: Market
    objective: Objective
    options: tuple[Option, ...]
    pareto: tuple[Option, ...]
    apis: tuple[tuple[ApiOffer, Span], ...] = ()
    against: ApiOffer | None = None
    break_even: BreakEven | None = None


def costing(plan: Plan, market: Market, objective: Objective, most_kw: float | None = None) -> Costing:
    found = options(plan, market.day, market.site, efficiency(), market.bill, most_kw)
    if objective is Objective.COST and found and not any(one.bill for one in found):
        gpus = sorted({one.candidate.deployment.gpu.id for one in found})
        offers = " or ".join(market.offers)
        raise ScenarioError(
            f"no price of {', '.join(gpus)[:60]}",
            why=f"the catalog has none that is {offers}",
            fix=f"give your quote: --price {gpus[0]}=2.10eur/h",
        )
    best_first = ordered(found, objective)
    return Costing(
        plan=plan,
        market=market,
        objective=objective,
        options=tuple(best_first),
        pareto=tuple(pareto(best_first)),
    )


def monthly_charges(offers: Sequence[ApiOffer], best: Option, market: Market) -> tuple[tuple[ApiOffer, Span], ...]:
    """What each offer charges a month for the same requests; those in the other currency need the rate."""
    usable = [o for o in offers if market.rate or o.per_request.currency is market.currency]
    charged = [(o, o.per_month(best.usage, market.currency, market.rate)) for o in usable]
    return tuple(sorted(charged, key=lambda pair: pair[1].low.amount))


def hosting_break_even(asked: Question, best: Option, market: Market, charge: Span, upto: float) -> BreakEven:
    """Own cost replanned at each number of users, on the GPU of the best option, against a charge for today's users.

    Needs a question in users: a rate of requests has no users to count.
    """
    if asked.users is None:
        raise ScenarioError(
            "a break-even counts users", why="the demand is not given in users", fix="ask with --users and repeat"
        )
    keys = asked.model_dump(exclude_none=True) | {"gpu": [best.candidate.deployment.gpu.id]}

    def own(users: float) -> Span | None:
        plan = api.plan(**keys | {"users": users})
        if plan.best is None:
            return None
        usage = monthly_usage(plan.scenario, plan.best, market.day)
        found = footprint(plan.scenario, plan.best, usage, efficiency(), market.site)
        bill = market.bill(plan.best, usage, found)
        return bill.per_month if bill else None

    first = max(1.0, upto / 4096)
    step = (upto / first) ** (1 / (CURVE_POINTS - 1))
    users = [first * step**index for index in range(CURVE_POINTS)]
    return break_even(own, charge / asked.users, users)
