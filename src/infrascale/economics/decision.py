"""A plan's ways side by side: what each costs, draws and emits, the best for an objective, and those nothing beats.

In: Plan, Day, Site, how to price.    Out: Options, ordered; the Pareto list of GPUs, cost, energy, carbon and speed.
Every way is at its own fewest GPUs: cheaper in money or energy than the fewest may be another card or cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from infrascale.economics.cost import Bill
from infrascale.economics.energy import Footprint, Site, footprint
from infrascale.economics.usage import Day, Usage, monthly_usage
from infrascale.hardware import Efficiency
from infrascale.planning import Candidate, Objective, Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One way to serve. `bill` None: nobody priced this GPU."""

    candidate: Candidate
    usage: Usage
    footprint: Footprint
    bill: Bill | None

    def score(self, objective: Objective) -> float:
        """Less is better; ranges count by their middle. An unpriced way loses on cost."""
        if objective is Objective.GPUS:
            return self.candidate.gpus
        if objective is Objective.COST:
            return self.bill.per_month.middle.amount if self.bill else float("inf")
        pair = self.footprint.kwh if objective is Objective.ENERGY else self.footprint.kg_co2e
        return sum(pair) / 2


Pricing = Callable[[Candidate, Usage, Footprint], Bill | None]


def options(plan: Plan, day: Day, site: Site, efficiency: Efficiency, pricing: Pricing) -> list[Option]:
    """Every way of the plan, priced and weighed."""
    found = []
    for candidate in (plan.best, *plan.others):
        if candidate is None:
            continue
        usage = monthly_usage(plan.scenario, candidate, day)
        print_ = footprint(plan.scenario, candidate, usage, efficiency, site)
        bill = pricing(candidate, usage, print_)
        found.append(Option(candidate=candidate, usage=usage, footprint=print_, bill=bill))
    return found


def ordered(found: Sequence[Option], objective: Objective) -> list[Option]:
    """Best first; equals by GPUs, then by speed."""

    def key(one: Option) -> tuple[float, float, float]:
        return one.score(objective), one.candidate.gpus, -one.candidate.performance.token_per_s_per_request

    return sorted(found, key=key)


def pareto(found: Sequence[Option]) -> list[Option]:
    """Those that no other way beats in one of GPUs, cost, energy, carbon, speed without losing in another."""

    def marks(one: Option) -> tuple[float, ...]:
        return (*(one.score(o) for o in Objective), -one.candidate.performance.token_per_s_per_request)

    def beaten(mine: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return other != mine and all(o <= m for o, m in zip(other, mine, strict=True))

    all_marks = [marks(one) for one in found]
    return [one for one, mine in zip(found, all_marks, strict=True) if not any(beaten(mine, o) for o in all_marks)]
