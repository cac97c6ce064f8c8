"""What a quarter too early or too late costs: servers that wait for users, or GPUs rented until the servers come.

In: the plan of the last quarter, a Market.    Out: Upkeep of one server; then the Regret of each purchase.

    early   servers · what one costs unused, a month · 3
    late    GPUs missing · price of a GPU-hour · hours of 3 months  −  servers · what one costs in use, a month · 3

A server in use costs its share of price and network, maintenance, hosting and electricity; unused, no electricity.
GPUs reserved for a year cost their rent, used or not. Staff is the same either way. Below zero, waiting saves: renting
meanwhile is cheaper than owning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from infrascale.economics import Offer, Quote, Span, monthly_usage
from infrascale.economics.cost import servers
from infrascale.economics.energy import Range, footprint
from infrascale.economics.market import Market
from infrascale.economics.money import Currency, converted, span
from infrascale.economics.usage import HOURS_PER_MONTH
from infrascale.errors import ScenarioError
from infrascale.hardware import Efficiency
from infrascale.planning import Plan

MONTHS = 3  # of a quarter


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """One server a month, unused and in use, one GPU rented on demand an hour, and where the two prices are from.

    `committed`: the price of a server, of its GPUs, or of their hour reserved for a year.
    """

    unused: Span
    used: Span
    gpu_hour: Span
    committed: Quote
    rented: Quote
    unpriced: tuple[str, ...]

    @property
    def currency(self) -> Currency:
        return self.used.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """Money, low to high, of one purchase a quarter too early and a quarter too late."""

    early: Range
    late: Range


def upkeep(plan: Plan, market: Market, curves: Efficiency) -> Upkeep | None:
    """None where a server or a rented hour has no price in the market's currency."""
    best = plan.best
    if best is None:
        return None
    size, count = best.deployment.gpu.gpus_per_server, servers(best)
    full = replace(best, replicas=max(best.replicas, count * size // best.gpus_per_replica - best.spare_replicas))
    usage = monthly_usage(plan.scenario, full, market.day)
    mark = footprint(plan.scenario, full, usage, curves, market.site)
    try:
        bill = replace(market, offers=(Offer.SERVER, Offer.PURCHASE)).bill(full, usage, mark)
        quote = replace(market, offers=(Offer.ON_DEMAND,)).quote(best.deployment.gpu.id)
        if bill is None or quote is None:
            return None
        hour = converted(quote.price, market.currency, market.rate)
    except ScenarioError:  # in the other currency, and no rate
        return None
    lines = {line.name: line.per_month / servers(full) for line in bill.lines if line.name != "staff"}
    kept = [one for name, one in lines.items() if name != "electricity"]
    return Upkeep(
        unused=_sum(kept), used=_sum(lines.values()), gpu_hour=hour, committed=bill.quote, rented=quote,
        unpriced=tuple(name for name in bill.unpriced if name != "staff"),
    )  # fmt: skip


def reserved(plan: Plan, market: Market) -> Upkeep | None:
    """The same of GPUs reserved for a year. At 1.80 EUR an hour, eight: 8 · 1.80 · 730.5 = 10 519.20 EUR a month."""
    if plan.best is None:
        return None
    gpu = plan.best.deployment.gpu
    quotes = [replace(market, offers=(offer,)).quote(gpu.id) for offer in (Offer.RESERVED, Offer.ON_DEMAND)]
    if None in quotes:
        return None
    try:
        held, hour = (converted(one.price, market.currency, market.rate) for one in quotes if one)
    except ScenarioError:  # in the other currency, and no rate
        return None
    month = held * (gpu.gpus_per_server * HOURS_PER_MONTH)
    committed, rented = (one for one in quotes if one)
    return Upkeep(unused=month, used=month, gpu_hour=hour, committed=committed, rented=rented, unpriced=())


def _sum(spans: Iterable[Span]) -> Span:
    found = list(spans)
    return span(sum(s.low.amount for s in found), found[0].currency, sum(s.high.amount for s in found))


def waiting(one: Upkeep, server_quarters: float) -> Range:
    """What servers cost before anyone needs them. Two for three quarters are six."""
    months = server_quarters * MONTHS
    return one.unused.low.amount * months, one.unused.high.amount * months


def regret(one: Upkeep, servers_bought: int, gpus_missing: int) -> Regret:
    """At 1.5 EUR an hour and 6 000 EUR a server a month, one server and 8 GPUs: 8 · 1.5 · 2 191.5 − 18 000 = 8 298."""
    rent, months = one.gpu_hour * (gpus_missing * HOURS_PER_MONTH * MONTHS), servers_bought * MONTHS
    return Regret(
        early=waiting(one, servers_bought),
        late=(rent.low.amount - one.used.high.amount * months, rent.high.amount - one.used.low.amount * months),
    )


def total(found: Iterable[Regret]) -> Regret:
    """Of several orders, each as far off."""
    pairs = [(one.early, one.late) for one in found]
    early, late = (tuple(map(sum, zip(*ends, strict=True))) for ends in zip(*pairs, strict=True))
    return Regret(early=(early[0], early[1]), late=(late[0], late[1]))


def ahead_above(found: Iterable[Regret]) -> float | None:
    """The chance of growth a quarter sooner above which ordering a quarter ahead costs less, at the middle of prices.

    Early costs 10, late 30: from one in four on. None where waiting costs nothing, so never.
    """
    early, late = 0.0, 0.0
    for one in found:
        early, late = early + sum(one.early) / 2, late + sum(one.late) / 2
    return early / (early + late) if late > 0 else None
