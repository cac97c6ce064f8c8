"""The screen of `infrascale cost`: the bill, energy and carbon, the other ways, the APIs, the break-even.

In: Costing, Words.    Out: lines within 80 columns.
"""

from __future__ import annotations

from datetime import date

from infrascale.economics import HOURLY, Bill, Offer, Quote, Span
from infrascale.economics.apis import ApiOffer, BreakEven, Ends
from infrascale.economics.decision import Option
from infrascale.economics.energy import Footprint
from infrascale.economics.prices import STALE_AFTER_DAYS
from infrascale.locales import Words, words
from infrascale.screen.record import cut
from infrascale.screen.text import fit, paragraph
from infrascale.studies.costing import Costing

MOST_WAYS = MOST_OFFERS = 8


def cost_lines(found: Costing, say: Words | None = None) -> list[str]:
    w = say or words()
    best = found.options[0]
    return [
        *_answer(w, found, best),
        "",
        *(_bill(w, best.bill, found) if best.bill else _no_price(w, best)),
        "",
        *_payments(w, found),
        *_hosts(w, found),
        *_footprint(w, best.footprint, best.usage.million_tokens),
        *_others(w, found),
        *_apis(w, found),
    ]


def amount(w: Words, money: Span) -> str:
    """29,073.90 – 73,050.00 USD; one number where the range has no width."""
    low, high = w.number(money.low.amount, 2), w.number(money.high.amount, 2)
    return f"{low if low == high else f'{low} – {high}'} {money.currency}"


def ends(w: Words, own: Ends) -> str:
    """From the bold to the cautious end; an open one where no number of GPUs reaches the latter."""
    low, high = own
    if low is None:
        return w.say("decision.no_plan")
    if high is None:
        return f"≥ {w.number(low.amount, 2)} {low.currency}"
    return amount(w, Span(low=low, high=high))


def between(w: Words, pair: tuple[float, float], digits: int = 0) -> str:
    return f"{w.number(pair[0], digits)} – {w.number(pair[1], digits)}".replace("-", "−")


def _row(label: str, value: str, unit: str = "") -> str:
    return f"  {fit(label, 24):<25}{value:>31} {unit}".rstrip()


def _answer(w: Words, found: Costing, best: Option) -> list[str]:
    usage, one = best.usage, best.candidate
    chosen = w.say("decision.chosen", way=cut(one), objective=w.say(f"plan.by_{found.objective.value}"),
                   n=len(found.options))  # fmt: skip
    month = w.say("decision.month", requests=w.number(usage.requests), tokens=w.number(usage.million_tokens))
    used = w.say("decision.used", share=w.percent(usage.utilisation_fraction), peak=w.percent(usage.day.peak_fraction),
                 days=w.number(usage.day.active_days, 1))  # fmt: skip
    title = w.say("decision.cost", gpus=one.gpus, gpu=one.deployment.gpu.name, model=found.plan.scenario.model.id)
    return [*paragraph(title, ""), *(line for text in (chosen, month, used) for line in paragraph(text, "  "))]


def _no_price(w: Words, best: Option) -> list[str]:
    return paragraph(w.say("decision.no_price", gpu=best.candidate.deployment.gpu.id), "  ")


def _bill(w: Words, bill: Bill, found: Costing) -> list[str]:
    month = w.say("decision.a_month")
    lines = [_row(w.say(f"decision.line_{line.name}"), amount(w, line.per_month), month) for line in bill.lines]
    lines.append(_row(w.say("decision.in_all"), amount(w, bill.per_month), month))
    if bill.per_user:
        lines.append(_row(w.say("decision.per_user"), amount(w, bill.per_user), month))
    lines.append(_row(w.say("decision.per_tokens"), amount(w, bill.per_million_tokens), w.say("decision.in_and_out")))
    lines.append(_row("", amount(w, bill.per_million_output_tokens), w.say("decision.of_output")))
    return [*lines, *(line for text in _sources(w, bill, found) for line in paragraph(text, "  "))]


def _payments(w: Words, found: Costing) -> list[str]:
    """The same GPUs paid otherwise, where more than one way has a price."""
    if len(found.payments) < 2:
        return []
    lines = ["  " + w.say("decision.payments")]
    for one in found.payments:
        stale = w.say("decision.stale") if one.quote.stale(found.market.today) else ""
        name = w.say(f"decision.pay_{one.offer.name.lower()}")
        lines.append(_row(name, amount(w, one.per_month), f"{one.quote.on} {stale}"))
        if len(one.unpriced) > 1:
            names = ", ".join(w.say(f"decision.line_{name}") for name in one.unpriced)
            lines += paragraph(w.say("decision.without", names=names), "    ")
    return [*lines, ""]


def _hosts(w: Words, found: Costing) -> list[str]:
    """The same GPUs rented from clouds that publish a price, each in its own currency, dated."""
    if not found.hosts:
        return []
    lines = ["  " + w.say("decision.clouds")]
    for one in found.hosts:
        stale = w.say("decision.stale") if one.quote.stale(found.market.today) else ""
        lines.append(_row(one.quote.provider or "", amount(w, one.per_month), f"{one.quote.on} {stale}"))
    return [*lines, ""]


def _sources(w: Words, bill: Bill, found: Costing) -> list[str]:
    """Where the prices are from, how old they are, and what the sum leaves out."""
    market, quote = found.market, bill.quote
    said = quoted(w, quote, market.today)
    assumed = {"tariff": market.tariff_on, "colocation": market.hosting_on, "upkeep": market.upkeep_on}
    for name, on in assumed.items():
        if on and quote.offer not in HOURLY:
            stale = (market.today - on).days > STALE_AFTER_DAYS
            said.append(w.say(f"decision.{name}_stale" if stale else f"decision.{name}", on=on))
    if market.rate:
        said.append(w.say("decision.rate", rate=w.number(market.rate.usd_per_eur, 4), on=market.rate.on))
    if bill.unpriced:
        said.append(
            w.say("decision.unpriced", names=", ".join(w.say(f"decision.line_{name}") for name in bill.unpriced))
        )
    return said


def quoted(w: Words, quote: Quote, today: date) -> list[str]:
    """One price, its day and source; stale said aloud."""
    unit = "hour" if quote.offer in HOURLY else "server" if quote.offer is Offer.SERVER else "gpu"
    source = w.say("decision.own_quote") if quote.typed else quote.source
    said = w.say("decision.price", price=amount(w, quote.price), unit=w.say(f"decision.a_{unit}"),
                 offer=w.say(f"decision.offer_{quote.offer.name.lower()}"), on=quote.on, source=source)  # fmt: skip
    return [said, w.say("decision.stale_price", days=quote.age_days(today))] if quote.stale(today) else [said]


def _footprint(w: Words, foot: Footprint, million_tokens: float) -> list[str]:
    site = foot.site

    def each(pair: tuple[float, float]) -> str:
        return between(w, (pair[0] / million_tokens, pair[1] / million_tokens), 4)

    rows = [
        ("electricity", between(w, foot.kwh), w.say("decision.kwh_month")),
        ("", w.number(foot.mean_gpu_w), w.say("decision.gpu_w")),
        ("carbon", between(w, foot.kg_co2e), w.say("decision.kg_month")),
        ("hardware", between(w, foot.kg_co2e_embodied), w.say("decision.kg_month")),
        ("per_tokens", each(foot.kwh), "kWh"),
        ("", each(foot.kg_co2e), "kg CO2e"),
    ]
    if foot.water_l:
        rows.append(("water", between(w, foot.water_l), w.say("decision.litres_month")))
    lines = [_row(w.say(f"decision.{key}") if key else "", value, unit) for key, value, unit in rows]
    grid = w.say("decision.grid", country=site.country, kg=w.number(site.kg_co2e_per_kwh, 4), source=site.source,
                 pue=between(w, site.pue, 2))  # fmt: skip
    return [*lines, *paragraph(grid, "  ")]


def _others(w: Words, found: Costing) -> list[str]:
    if len(found.options) < 2:
        return []
    head = f"  {w.say('decision.other_ways'):<38}{w.say('decision.a_month'):>18}{'kWh':>10}{'kg CO2e':>10}"
    rows = [_other(w, one, one in found.pareto) for one in found.options[:MOST_WAYS]]
    return ["", head, *rows, *paragraph(w.say("decision.front"), "  ")]


def _other(w: Words, one: Option, on_front: bool) -> str:
    month = w.say("decision.unknown")
    if one.bill:
        month = f"{w.number(one.bill.per_month.middle.amount)} {one.bill.per_month.currency}"
    kwh, carbon = w.number(sum(one.footprint.kwh) / 2), w.number(sum(one.footprint.kg_co2e) / 2)
    name = fit(f"{w.number(one.candidate.gpus):>6} × {cut(one.candidate)}", 38)
    return f"{'*' if on_front else ' '} {name:<38}{month:>18}{kwh:>10}{carbon:>10}"


def _apis(w: Words, found: Costing) -> list[str]:
    if not found.apis:
        return []
    cached = bool(found.plan.scenario.workload.prefix_hit_fraction)
    lines = ["", *paragraph(w.say("decision.apis"), "  ")]
    for offer, charge in found.apis[:MOST_OFFERS]:
        lines.append(f"  {amount(w, charge):>22}  {fit(f'{offer.provider}/{offer.model}', 54)}")
        notes = [] if offer.same_model else [w.say("decision.declared")]
        if cached and not offer.cached_is_priced:
            notes.append(w.say("decision.cache_unpriced"))
        if offer.on and (found.market.today - offer.on).days > STALE_AFTER_DAYS:
            notes.append(w.say("decision.stale_api", on=offer.on))
        lines += [f"  {'':>22}  {note}" for note in notes]
    if len(found.apis) > MOST_OFFERS:
        lines.append("  " + w.say("decision.dearer", n=len(found.apis) - MOST_OFFERS))
    if found.apis_without_rate:
        lines += paragraph(w.say("decision.apis_without_rate", n=found.apis_without_rate), "  ")
    if found.break_even and found.against:
        lines += ["", *_break_even(w, found.break_even, found.against)]
    return lines


def _break_even(w: Words, found: BreakEven, against: ApiOffer) -> list[str]:
    def users(number: float | None) -> str:
        if number is None:
            return w.say("decision.users_beyond", users=w.number(found.curve[-1].users))
        return w.number(number)

    low, high = users(found.users_at_low), users(found.users_at_high)
    wins = w.say("decision.wins", users=low) if low == high else w.say("decision.wins_between", low=low, high=high)
    if found.users_at_low is None:
        wins = w.say("decision.never_wins", users=w.number(found.curve[-1].users))
    lines = paragraph(w.say("decision.against", name=f"{against.provider}/{against.model}"), "  ")
    lines += paragraph(wins, "  ")
    lines.append(f"  {w.say('decision.users'):>12}{w.say('decision.hosting'):>38}{w.say('decision.api'):>24}")
    for point in found.curve:
        mine = ends(w, point.own)
        lines.append(f"  {w.number(point.users):>12}{mine:>38}{amount(w, point.api):>24}")
    return lines
