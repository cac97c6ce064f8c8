"""A plan for least cost, energy or carbon: its ways in that order, at the prices and the grid of the question.

In: Plan, Question.    Out: the Plan with another best way. Each way stays at its own, proven fewest GPUs: with more of
them it would cost, draw and emit more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from infrascale.economics.decision import Option, options, ordered
from infrascale.economics.market import Market
from infrascale.errors import ScenarioError
from infrascale.hardware import Efficiency
from infrascale.parsing import prices
from infrascale.parsing.scenarios import Question
from infrascale.planning import Objective, Plan, Scenario

#: The keys of a question that say where and at which price; they do not change how many GPUs serve it.
PLACE = ("price", "offer", "currency", "rate", "country")


def market_of(asked: Question, scenario: Scenario, costs: Mapping[str, Any] | None = None, *, today: date,
              pue: float | None = None, kg_co2e_per_kwh: float | None = None) -> Market:  # fmt: skip
    """Prices and site of a question; `costs`: the keys of a costs.toml."""
    return prices.market(
        scenario.gpus,
        costs or {},
        offers=prices.OFFERS[asked.offer],
        own=asked.price,
        rate=asked.rate,
        currency=asked.currency,
        where=prices.site(asked.country, pue, kg_co2e_per_kwh),
        peak_fraction=asked.peak_hour,
        today=today,
    )


def best_first(found: Plan, market: Market, objective: Objective, efficiency: Efficiency) -> list[Option]:
    """The ways of a plan in the order of an objective; an error where cost decides and nobody priced any."""
    ways = options(found, market.day, market.site, efficiency, market.bill)
    if objective is Objective.COST and ways and not any(one.bill for one in ways):
        gpus = sorted({one.candidate.deployment.gpu.id for one in ways})
        offers = " or ".join(market.offers)
        raise ScenarioError(
            f"no price of {', '.join(gpus)[:60]}",
            why=f"the catalog has none that is {offers}",
            fix=f"give your quote: --price {gpus[0]}=2.10eur/h",
        )
    return ordered(ways, objective)


def preferred(found: Plan, asked: Question, efficiency: Efficiency, today: date | None = None) -> Plan:
    """The plan in the order of its question's objective."""
    defaults = Question.model_fields
    if asked.objective is Objective.GPUS and all(getattr(asked, key) == defaults[key].default for key in PLACE):
        return found
    market = market_of(asked, found.scenario, today=today or date.today())
    if asked.objective is Objective.GPUS or found.best is None:
        return found
    return reordered(found, best_first(found, market, asked.objective, efficiency), asked.objective)


def reordered(found: Plan, ways: Sequence[Option], objective: Objective) -> Plan:
    best, *others = (one.candidate for one in ways)
    return replace(found, best=best, others=tuple(others), objective=objective)
