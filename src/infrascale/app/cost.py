"""Screen 5, money and carbon of the plan, month by month, and the same requests bought by the token."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import streamlit as st

from infrascale import api
from infrascale.app import calibrate, charts, chips, hardware, jobs
from infrascale.app.forms import Form
from infrascale.certainty import Certainty
from infrascale.economics import HOURLY, Bill, Offer
from infrascale.economics.apis import BreakEven, monthly_charges
from infrascale.economics.decision import Option
from infrascale.economics.energy import Footprint
from infrascale.economics.prices import STALE_AFTER_DAYS
from infrascale.locales import Words
from infrascale.parsing.apis import api_offers
from infrascale.parsing.objectives import market_of
from infrascale.parsing.prices import OFFERS, countries, own_price
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.screen import cut
from infrascale.screen.month import amount, between, kind_of_line, month_origins
from infrascale.screen.origins import Kind, Origin
from infrascale.studies.costing import Costing, costing, hosting_break_even

MOST_WAYS = MOST_OFFERS = 8


def form(w: Words, form: Form) -> None:
    """What a question says of money and place; the answer above follows."""
    columns = st.columns(4)
    with columns[0]:
        form.choice("offer", list(OFFERS), w.say("costs.offer"), lambda code: w.say(f"costs.offer_{code}"))
    with columns[1]:
        form.choice(
            "currency", ["", "EUR", "USD"], w.say("costs.currency"), lambda code: code or w.say("costs.as_priced")
        )
    with columns[2]:
        form.choice("country", sorted(countries(), key=w.country), w.say("costs.country"), w.country)
    with columns[3]:
        hardware.objective(w, form)
    left, middle, right = st.columns(3)
    with left:
        form.phrases(
            "price", w.say("form.price"), lambda one: own_price(one, date.today()), hint=w.say("form.price_hint")
        )
    with middle:
        form.share("peak_hour", w.say("app.peak_hour"), hint=w.say("costs.peak_hint"))
    with right:
        form.number("rate", w.say("costs.rate"), hint=w.say("costs.rate_hint"))


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    if plan.best is None:
        return
    market = market_of(asked, plan.scenario, today=today)
    own = calibrate.used(form.values)
    law = api.curves(own.calibration, plan.scenario) if own else None
    found = costing(plan, market, asked.objective, law)
    best = found.options[0]
    usage, foot = best.usage, best.footprint
    whence = month_origins(w, best)
    _tiles(w, best, whence)
    st.markdown(
        w.say("costs.month", requests=w.number(usage.requests), tokens=w.number(usage.million_tokens),
              used=w.percent(usage.utilisation_fraction), peak=w.percent(usage.day.peak_fraction))
    )  # fmt: skip
    if best.bill:
        _prices(w, best.bill, found)
    else:
        gpu = best.candidate.deployment.gpu
        st.warning(w.say("costs.no_price", gpu=gpu.name, id=gpu.id))
    left, right = st.columns(2)
    with left:
        if best.bill:
            chips.titled(w, w.say("costs.bill"), whence["bill"], "bill")
            _bill(w, best.bill)
    with right:
        chips.titled(w, w.say("costs.carbon"), whence["carbon"], "carbon")
        _carbon(w, foot, usage.million_tokens)
    if len(found.options) > 1:
        chips.titled(w, w.say("costs.ways"), whence.get("bill", whence["electricity"]), "ways")
        _ways(w, found)
    listed = w.say("origin.api", requests=w.number(usage.requests))
    chips.titled(w, w.say("costs.apis"), Origin(kind=Kind.ASSUMED, formula=(listed,)), "apis")
    _apis(w, found, asked, own)


def _tiles(w: Words, best: Option, whence: dict[str, Origin]) -> None:
    bill, foot, none = best.bill, best.footprint, w.say("costs.unknown")
    values = (
        ("bill", w.say("costs.per_month"), amount(w, bill.per_month) if bill else none),
        ("per_user", w.say("costs.per_user"), amount(w, bill.per_user) if bill and bill.per_user else "–"),
        ("per_tokens", w.say("costs.per_tokens"), amount(w, bill.per_million_tokens) if bill else none),
        ("electricity", w.say("costs.electricity"), f"{between(w, foot.kwh)} kWh"),
        ("carbon", w.say("costs.carbon"), f"{between(w, foot.kg_co2e)} kg CO₂e"),
    )
    for column, (key, name, value) in zip(st.columns(len(values)), values, strict=True):
        with column.container(border=True, height="stretch", gap="xsmall"):
            st.markdown(f"{name}  \n**{value}**")
            if key in whence:
                chips.chip(w, whence[key], f"month_{key}")


def _prices(w: Words, bill: Bill, found: Costing) -> None:
    """Where the price is from and how old; what the sum leaves out."""
    market, quote = found.market, bill.quote
    unit = "hour" if quote.offer in HOURLY else "server" if quote.offer is Offer.SERVER else "gpu"
    source = w.say("costs.own") if quote.typed else quote.source
    said = [w.say("costs.price", price=amount(w, quote.price, 2), unit=w.say(f"costs.a_{unit}"), on=w.date(quote.on),
                  source=source)]  # fmt: skip
    dated = (
        {"tariff": market.tariff_on, "colocation": market.hosting_on, "upkeep": market.upkeep_on}
        if quote.offer not in HOURLY
        else {}
    )
    assumed = {name: on for name, on in dated.items() if on}
    said += [w.say(f"costs.{name}", on=w.date(on)) for name, on in assumed.items()]
    if market.rate:
        said.append(w.say("costs.rated", rate=w.number(market.rate.usd_per_eur, 4), on=w.date(market.rate.on)))
    if bill.unpriced:
        said.append(w.say("costs.unpriced", names=", ".join(w.say(f"costs.line_{name}") for name in bill.unpriced)))
    st.markdown("  \n".join(said))
    old = [quote.on] if quote.stale(market.today) else []
    old += [on for on in assumed.values() if (market.today - on).days > STALE_AFTER_DAYS]
    for on in dict.fromkeys(old):
        st.warning(w.say("costs.stale", on=w.date(on), days=(market.today - on).days), icon=":material/history:")


def _bill(w: Words, bill: Bill) -> None:
    lines = [(line.name, w.say(f"costs.line_{line.name}"), line.per_month) for line in bill.lines]
    rows = [{"name": name, "low": one.low.amount, "high": one.high.amount} for _, name, one in lines]
    quoted = bill.lines[0].name
    lines.append((quoted, w.say("costs.in_all"), bill.per_month))
    lines.append((quoted, w.say("costs.per_output"), bill.per_million_output_tokens))
    table = [
        {
            w.titled("costs.line"): name,
            w.titled("costs.a_month"): amount(w, one, 2),
            w.titled("origin.kind"): kind_of_line(w, bill, key),
        }
        for key, name, one in lines
    ]
    title = f"{w.say('costs.a_month')} [{bill.per_month.currency}]"
    charts.shown(w, charts.ranges(rows, title, zero=True), table, w.say("costs.bill"))


def _carbon(w: Words, foot: Footprint, million_tokens: float) -> None:
    kinds = (("use", foot.kg_co2e_use), ("hardware", foot.kg_co2e_embodied))
    rows = [{"name": w.say(f"costs.{key}"), "low": pair[0], "high": pair[1]} for key, pair in kinds]

    def per_tokens(pair: tuple[float, float]) -> str:
        return between(w, (pair[0] / million_tokens, pair[1] / million_tokens), 4)

    figures = [
        (w.say("costs.use"), foot.kg_co2e_use, "kg CO₂e", 0),
        (w.say("costs.hardware"), foot.kg_co2e_embodied, "kg CO₂e", 0),
        (w.say("costs.electricity"), foot.kwh, "kWh", 0),
    ]
    if foot.water_l:
        figures.append((w.say("costs.water"), foot.water_l, w.say("costs.litres"), 0))
    what, month, tokens = (w.titled(f"costs.{key}") for key in ("line", "a_month", "per_tokens"))
    table = [
        {what: name, month: f"{between(w, pair, digits)} {unit}", tokens: f"{per_tokens(pair)} {unit}"}
        for name, pair, unit, digits in figures
    ]
    charts.shown(w, charts.ranges(rows, "kg CO₂e", zero=True), table, w.say("costs.carbon"))
    site = foot.site
    st.caption(
        w.say("costs.grid", country=w.country(site.country), kg=w.number(site.kg_co2e_per_kwh, 3), source=site.source,
              pue=between(w, site.pue, 2), watts=w.number(foot.mean_gpu_w))
    )  # fmt: skip


def _ways(w: Words, found: Costing) -> None:
    shown = found.options[:MOST_WAYS]
    named = [(f"{w.number(one.candidate.gpus)} × {cut(one.candidate)}", one) for one in shown]
    rows = [
        {"name": name, "low": one.bill.per_month.low.amount, "high": one.bill.per_month.high.amount}
        for name, one in named
        if one.bill
    ]
    table = [
        {
            w.titled("costs.way"): name,
            w.titled("costs.a_month"): amount(w, one.bill.per_month) if one.bill else w.say("costs.unknown"),
            "kWh": between(w, one.footprint.kwh),
            "kg CO₂e": between(w, one.footprint.kg_co2e),
            w.titled("costs.speed"): w.number(one.candidate.performance.token_per_s_per_request, 1),
            w.titled("costs.front"): w.say("costs.yes") if one in found.pareto else "",
        }
        for name, one in named
    ]
    title = f"{w.say('costs.a_month')} [{found.market.currency}]"
    charts.shown(w, charts.ranges(rows, title), table, w.say("costs.ways"))
    st.caption(w.say("costs.front_means"))


def _apis(w: Words, found: Costing, asked: Question, learnt: calibrate.Own | None) -> None:
    best, market = found.options[0], found.market
    offers = [one for one in api_offers(found.plan.scenario.workload, found.plan.scenario.model.id, market.today)
              if one.same_model]  # fmt: skip
    charges = monthly_charges(offers, best.usage, market.currency, market.rate)
    if not charges:
        other = bool(offers) and market.rate is None
        st.info(w.say("costs.other_currency" if other else "costs.no_api", model=found.plan.scenario.model.id))
        return
    st.caption(w.say("costs.apis_means"))
    cached = bool(found.plan.scenario.workload.prefix_hit_fraction)
    own = best.bill.per_month if best.bill else None
    rows = [{"name": f"{o.provider} / {o.model}", "low": c.low.amount, "high": c.high.amount}
            for o, c in charges[:MOST_OFFERS]]  # fmt: skip
    if own:
        rows.insert(0, {"name": w.say("costs.hosting"), "low": own.low.amount, "high": own.high.amount})
    table = []
    for offer, charge in charges:
        notes = []
        if offer.on and (market.today - offer.on).days > STALE_AFTER_DAYS:
            notes.append(w.say("costs.stale_word"))
        if cached and not offer.cached_is_priced:
            notes.append(w.say("costs.cache_unpriced"))
        table.append(
            {
                "API": f"{offer.provider} / {offer.model}",
                w.titled("costs.a_month"): amount(w, charge),
                w.titled("costs.priced_on"): w.date(offer.on) if offer.on else "–",
                w.titled("costs.note"): ", ".join(notes),
            }
        )
    title = f"{w.say('costs.a_month')} [{market.currency}]"
    charts.shown(w, charts.ranges(rows, title, zero=True), table, w.say("costs.apis"))
    chips.titled(w, w.say("costs.break_even"), Origin(kind=Kind.COMPUTED, formula=(w.say("origin.even"),)), "even")
    if asked.users is None:
        st.info(w.say("costs.needs_users"))
        return
    if own is None:
        return
    against, charge = charges[0]
    key = f"even {asked.model_dump_json()} {against.provider} {against.model} {market.today} {learnt and learnt.toml}"
    upto = max(asked.users * 8, 4096.0)
    law = learnt.calibration if learnt else None
    even = jobs.answer(
        w, "even", key, None, lambda tell: hosting_break_even(asked, best, market, charge, upto, tell, law),
        private=learnt is not None,
    )  # fmt: skip
    if even is not None:
        _break_even(w, replace(found, apis=charges, against=against, break_even=even), even)


def _break_even(w: Words, found: Costing, even: BreakEven) -> None:
    assert found.against is not None
    api, currency = f"{found.against.provider} / {found.against.model}", found.market.currency
    names = (w.say("costs.hosting_low"), w.say("costs.hosting_high"), api)
    rows, table = [], []
    for point in even.curve:
        money = (point.own[0], point.own[1], point.api.middle)
        rows += [
            {"x": point.users, "y": one.amount, "name": name} for name, one in zip(names, money, strict=True) if one
        ]
        cells = [w.money(one.amount, currency.value, 0) if one else w.say("costs.no_plan") for one in money]
        table.append({w.titled("costs.users"): w.number(point.users)} | dict(zip(names, cells, strict=True)))
    last = w.number(even.curve[-1].users)
    if even.users_at_low is None:
        st.markdown(w.say("costs.never", users=last))
    else:
        high = w.number(even.users_at_high) if even.users_at_high else w.say("costs.beyond", users=last)
        st.markdown(w.say("costs.wins", low=w.number(even.users_at_low), high=high))
    title = f"{w.say('costs.a_month')} [{currency}]"
    charts.shown(w, charts.lines(rows, w.say("costs.users"), title, log=True), table, w.say("costs.break_even"))
