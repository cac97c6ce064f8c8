"""The report's section on money, energy and carbon: the month's bill, the same requests by API, where prices are from.

In: the chosen way as an Option, Market.    Out: blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from infrascale.economics import HOURLY, Bill, Footprint, Offer, Span, Usage
from infrascale.economics.apis import monthly_charges
from infrascale.economics.decision import Option, options
from infrascale.economics.market import Market
from infrascale.errors import ScenarioError
from infrascale.hardware import Efficiency
from infrascale.locales import Words
from infrascale.parsing.apis import api_offers
from infrascale.planning import Candidate, Plan
from infrascale.report.blocks import Block, Heading, Table, Text


def priced_ways(found: Plan, market: Market, law: Efficiency) -> list[Option]:
    """The ways of a plan with their bills; a runner-up whose price is in a currency without a rate has none."""

    def bill(one: Candidate, usage: Usage, mark: Footprint) -> Bill | None:
        try:
            return market.bill(one, usage, mark)
        except ScenarioError:
            if one is found.best:
                raise
            return None

    return options(found, market.day, market.site, law, bill)


def cost(found: Plan, chosen: Option, market: Market, on: date, words: Words) -> Iterator[Block]:
    """What the plan costs, draws and emits a month, as ranges, and what the sums leave out."""
    usage, mark, bill = chosen.usage, chosen.footprint, chosen.bill
    rows = _bill(bill, words) if bill else []
    rows.append((words.say("report.k_kwh"), span_of(mark.kwh, "kwh", words)))
    rows.append((words.say("report.k_carbon"), span_of(mark.kg_co2e, "kg", words)))
    rows.append((words.say("report.k_hardware"), span_of(mark.kg_co2e_embodied, "kg", words)))
    if mark.water_l:
        rows.append((words.say("report.k_water"), span_of(mark.water_l, "litres", words)))
    yield Heading(text=words.say("report.h_cost"))
    yield Text(
        text=words.say(
            "report.k_use",
            requests=words.number(usage.requests),
            share=words.percent(usage.day.peak_fraction),
            used=words.percent(usage.utilisation_fraction),
        )
    )
    yield Table(header=(words.say("report.k_what"), ""), rows=tuple(rows), numeric=frozenset({1}))
    paid = market.payments(chosen.candidate, usage, mark)
    if len(paid) > 1:
        named = words.say("report.separator").join(_paid(one, words) for one in paid)
        yield Text(text=words.say("report.k_paid", list=named))
    hosts = market.hosts(chosen.candidate, usage)
    if hosts:
        named = words.say("report.separator").join(
            words.say("report.k_cloud", name=one.quote.provider, price=money(one.per_month, words),
                      on=words.date(one.quote.on))
            for one in hosts
        )  # fmt: skip
        yield Text(text=words.say("report.k_clouds", list=named))
    said = _by_api(found, chosen, market, on, words)
    if said:
        yield Text(text=said)
    yield Text(text=" ".join(_priced(bill, chosen, market, words)))


def _bill(bill: Bill, words: Words) -> list[tuple[str, str]]:
    """Line by line where there are several, then the sum and what one user and a million tokens cost."""
    rows = [(words.say(f"report.line_{line.name}"), money(line.per_month, words)) for line in bill.lines]
    if len(rows) > 1:
        rows.append((words.say("report.k_total"), money(bill.per_month, words)))
    if bill.per_user:
        rows.append((words.say("report.k_user"), money(bill.per_user, words, 2)))
    return [*rows, (words.say("report.k_tokens"), money(bill.per_million_tokens, words, 2))]


def _paid(bill: Bill, words: Words) -> str:
    """One way to pay, with what its sum leaves out."""
    said = words.say(f"report.k_paid_{bill.offer.name.lower()}", price=money(bill.per_month, words))
    out = ", ".join(words.say(f"report.unpriced.{name}") for name in bill.unpriced)
    return f"{said} ({words.say('report.k_without', list=out)})" if out else said


def _by_api(found: Plan, chosen: Option, market: Market, on: date, words: Words) -> str | None:
    """The cheapest and the dearest host of the same weights; None where none is priced in this currency."""
    scenario = found.scenario
    offers = [one for one in api_offers(scenario.workload, scenario.model.id, on) if one.same_model]
    charged = monthly_charges(offers, chosen.usage, market.currency, market.rate)
    if not charged:
        return None
    (low, least), (high, most) = charged[0], charged[-1]
    names = {"low": low.provider, "high": high.provider}
    if len(charged) == 1:
        return words.say("report.k_api_one", price=money(least, words), **names)
    return words.say("report.k_api", n=len(charged), least=money(least, words), most=money(most, words), **names)


def _priced(bill: Bill | None, chosen: Option, market: Market, words: Words) -> Iterator[str]:
    """Where the prices and the carbon are from, how old they are, and what is left out."""
    gpu, site = chosen.candidate.deployment.gpu, market.site
    if bill is None:
        yield words.say("report.k_noprice", gpu=gpu.name, id=gpu.id)
    else:
        quote = bill.quote
        unit = "hour" if quote.offer in HOURLY else "server" if quote.offer is Offer.SERVER else "each"
        price, source = money(quote.price, words, 2), words.say("report.k_own") if quote.typed else quote.source
        yield words.say(
            "report.k_price", price=price, per=words.say(f"report.k_{unit}"), on=words.date(quote.on), source=source
        )
        if quote.stale(market.today):
            yield words.say("report.k_stale", n=quote.age_days(market.today))
        for name, day in (
            ("tariff", market.tariff_on),
            ("colocation", market.hosting_on),
            ("upkeep", market.upkeep_on),
        ):
            if day and quote.offer not in HOURLY:
                yield words.say(f"report.k_{name}", on=words.date(day))
        if bill.unpriced:
            names = (words.say(f"report.unpriced.{name}") for name in bill.unpriced)
            yield words.say("report.k_unpriced", list=", ".join(names))
    yield words.say(
        "report.k_site",
        country=words.country(site.country),
        mix=words.number(site.kg_co2e_per_kwh, 4),
        source=words.say("report.k_own") if site.source == "your own figure" else site.source,
        low=words.number(site.pue[0], 2),
        high=words.number(site.pue[1], 2),
    )


def money(value: Span, words: Words, digits: int = 0) -> str:
    """A range of money, or one sum where both ends are the same: 1 990 – 5 000 USD."""
    low, high = (words.number(end.amount, digits) for end in (value.low, value.high))
    return words.say("report.money", amount=low if low == high else f"{low} – {high}", currency=value.currency)


def thousands(value: Span, words: Words) -> str:
    """The range in thousands, without its currency: 36.5 – 102.3."""
    low, high = (words.number(end.amount / 1000, 1) for end in (value.low, value.high))
    return low if low == high else f"{low} – {high}"


def span_of(pair: tuple[float, float], unit: str, words: Words) -> str:
    low, high = (words.number(end) for end in pair)
    return words.say(f"report.{unit}", n=low if low == high else f"{low} – {high}")
