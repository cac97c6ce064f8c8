"""Decisions as screens of text within 80 columns, and as JSON. All wording of this room is here; nothing computes."""

from __future__ import annotations

from datetime import date
from typing import Any

from infrascale.economics import HOURLY, Bill, Span
from infrascale.economics.apis import BreakEven
from infrascale.economics.decision import Option
from infrascale.economics.prices import STALE_AFTER_DAYS
from infrascale.planning import Candidate
from infrascale.planning.fleet import Solution
from infrascale.studies.costing import Costing
from infrascale.studies.fleets import Fleet, cut
from infrascale.studies.growth import Growth
from infrascale.studies.sensitivity import Distribution, Swing


def way(candidate: Candidate) -> str:
    return f"{candidate.deployment.gpu.id}, {cut(candidate)}"


def _range(pair: tuple[float, float], unit: str) -> str:
    return f"{pair[0]:,.0f} – {pair[1]:,.0f} {unit}"


def _per(pair: tuple[float, float], count: float) -> str:
    return f"{pair[0] / count:.3g} – {pair[1] / count:.3g}"


def cost_lines(found: Costing) -> list[str]:
    best = found.options[0]
    gpus, usage, foot = best.candidate.gpus, best.usage, best.footprint
    lines = [
        f"{gpus:,} × {best.candidate.deployment.gpu.name}  for {found.plan.scenario.model.id}"[:80],
        f"  {way(best.candidate)}; chosen by {found.objective.value} of {len(found.options)} ways",
        f"  {usage.requests:,.0f} requests a month, {usage.million_tokens:,.0f} million tokens in and out",
        f"  use of the peak's capacity: {usage.utilisation_fraction:.0%} "
        f"(peak hour {usage.day.peak_fraction:.0%} of a day, "
        f"{usage.day.active_days:.4g} days)",
        "",
        *(_bill(best.bill, found) if best.bill else [_unpriced(best)]),
        "",
        f"  electricity        {_range(foot.kwh, 'kWh a month')}, a GPU draws {foot.mean_gpu_w:.0f} W on average",
        f"  carbon             {_range(foot.kg_co2e, 'kg CO2e a month')}, of it {foot.kg_co2e_embodied:,.0f} hardware",
        f"  per million tokens {_per(foot.kwh, usage.million_tokens)} kWh, "
        f"{_per(foot.kg_co2e, usage.million_tokens)} kg CO2e",
    ]
    if foot.water_l:
        lines.append(f"  water              {_range(foot.water_l, 'litres a month')}")
    site = foot.site
    lines.append(
        f"  grid {site.country}: {site.kg_co2e_per_kwh:g} kg CO2e/kWh ({site.source}), "
        f"PUE {site.pue[0]:g} – {site.pue[1]:g}"
    )
    if len(found.options) > 1:
        lines += ["", "  other ways                                  a month          kWh   kg CO2e"]
        lines += [_other(one, one in found.pareto) for one in found.options[:8]]
        lines.append("  * beaten by none in GPUs, cost, energy, carbon and speed at once")
    return lines + _api_lines(found)


def _unpriced(best: Option) -> str:
    gpu = best.candidate.deployment.gpu.id
    return f"  no price of {gpu} is known: give yours, --price {gpu}=2.10eur/h"


def _bill(bill: Bill, found: Costing) -> list[str]:
    today, quote = found.market.today, bill.quote
    lines = [f"  {line.name:<22}{line.per_month!s:>34} a month" for line in bill.lines]
    lines.append(f"  {'in all':<22}{bill.per_month!s:>34} a month")
    if bill.per_user:
        lines.append(f"  {'per user':<22}{bill.per_user!s:>34} a month")
    lines.append(f"  {'per million tokens':<22}{bill.per_million_tokens!s:>34} in and out")
    lines.append(f"  {'':<22}{bill.per_million_output_tokens!s:>34} of output")
    unit = "a GPU-hour" if quote.offer in HOURLY else "a server" if quote.offer == "server" else "a GPU"
    lines.append(f"  price: {quote.price} {unit}, {quote.offer.value}, {quote.on}; {quote.source}"[:80])
    if quote.stale(today):
        lines.append(f"  STALE: that price is {quote.age_days(today)} days old; ask for a quote, then --price")
    if quote.offer not in HOURLY and (on := found.market.tariff_on):
        old = "STALE: " if (today - on).days > STALE_AFTER_DAYS else ""
        lines.append(f"  {old}electricity at the EU's non-household average, {on} (Eurostat)")
    if found.market.rate:
        lines.append(f"  rate: {found.market.rate.usd_per_eur:g} USD for one EUR, {found.market.rate.on}")
    if bill.unpriced:
        lines.append(f"  not in the sum, no price given: {', '.join(bill.unpriced)}"[:80])
    return lines


def _other(one: Option, on_front: bool) -> str:
    month = f"{one.bill.per_month.middle.amount:,.0f} {one.bill.per_month.currency}" if one.bill else "no price"
    kwh, carbon = sum(one.footprint.kwh) / 2, sum(one.footprint.kg_co2e) / 2
    mark = "*" if on_front else " "
    return f"{mark} {one.candidate.gpus:>5,} GPUs {way(one.candidate):<29}{month:>15}{kwh:>12,.0f}{carbon:>10,.0f}"


def _api_lines(found: Costing) -> list[str]:
    if not found.apis:
        return []
    lines = ["", "  the same requests by API, the same weights or as you declared, a month"]
    for offer, charge in found.apis[:8]:
        cached = (
            "" if offer.cached_is_priced or not found.plan.scenario.workload.prefix_hit_fraction else "  cache unpriced"
        )
        lines.append(f"  {charge!s:>22}  {offer.provider}/{offer.model}{cached}"[:80])
        if offer.on and (found.market.today - offer.on).days > STALE_AFTER_DAYS:
            lines.append(f"  {'':>22}  STALE: price of {offer.on}")
    if len(found.apis) > 8:
        lines.append(f"  and {len(found.apis) - 8} dearer; --json lists all")
    if found.break_even and found.against:
        lines += ["", *_break_even(found.break_even, f"{found.against.provider}/{found.against.model}")]
    return lines


def _break_even(found: BreakEven, name: str) -> list[str]:
    def users(number: float | None) -> str:
        return f"{number:,.0f}" if number is not None else f"more than {found.curve[-1].users:,.0f}"

    low, high = users(found.users_at_low), users(found.users_at_high)
    between = low if low == high else f"{low} (at the lowest price) – {high} (at the highest)"
    lines = [f"  against {name}"[:80], f"  hosting costs less from {between} users on"[:80]]
    lines.append("         users        hosting, a month              API")
    for point in found.curve:
        mine = str(point.own) if point.own else "no plan keeps the promise"
        lines.append(f"  {point.users:>12,.0f}{mine:>32}{point.api.middle.amount:>17,.2f}")
    return lines


def _span_json(amount: Span | None) -> dict[str, Any] | None:
    if amount is None:
        return None
    return {"low": amount.low.amount, "high": amount.high.amount, "currency": amount.currency.value}


def option_json(one: Option) -> dict[str, Any]:
    foot, bill = one.footprint, one.bill
    return {
        "gpus": one.candidate.gpus,
        "way": way(one.candidate),
        "requests_per_month": one.usage.requests,
        "million_tokens_per_month": one.usage.million_tokens,
        "utilisation_fraction": one.usage.utilisation_fraction,
        "kwh_per_month": foot.kwh,
        "kg_co2e_per_month": foot.kg_co2e,
        "water_l_per_month": foot.water_l,
        "mean_gpu_w": foot.mean_gpu_w,
        "peak_kw": foot.peak_kw,
        "cost": None if bill is None else {
            "per_month": _span_json(bill.per_month),
            "per_user": _span_json(bill.per_user),
            "per_million_tokens": _span_json(bill.per_million_tokens),
            "per_million_output_tokens": _span_json(bill.per_million_output_tokens),
            "lines": {line.name: _span_json(line.per_month) for line in bill.lines},
            "unpriced": bill.unpriced,
            "quote": {"price": _span_json(bill.quote.price), "offer": bill.quote.offer.value,
                      "on": bill.quote.on.isoformat(), "source": bill.quote.source},
        },
    }  # fmt: skip


def cost_json(found: Costing) -> dict[str, Any]:
    even = found.break_even
    return {
        "model": found.plan.scenario.model.id,
        "objective": found.objective.value,
        "options": [option_json(one) for one in found.options],
        "pareto": [found.options.index(one) for one in found.pareto],
        "stale": [q.gpu for one in found.options if one.bill and (q := one.bill.quote).stale(found.market.today)],
        "apis": [
            {"provider": o.provider, "model": o.model, "same_model": o.same_model, "per_month": _span_json(charge),
             "cached_is_priced": o.cached_is_priced, "source": o.source}
            for o, charge in found.apis
        ],
        "break_even": None if even is None else {
            "against": f"{found.against.provider}/{found.against.model}" if found.against else None,
            "users_at_low": even.users_at_low,
            "users_at_high": even.users_at_high,
            "curve": [{"users": p.users, "own": _span_json(p.own), "api": _span_json(p.api)} for p in even.curve],
        },
    }  # fmt: skip


def fleet_lines(found: Fleet) -> list[str]:
    shown = found.solution or found.purchase
    if shown is None:
        return ["No purchase of these kinds of servers serves every model within the power budget."]
    lines = []
    if not found.feasible:
        share = found.headroom.scale
        lines += [f"Not all can be served: what is owned serves at least {share:.0%} of every demand.", ""]
        lines += ["The smallest purchase that serves all:"]
    elif found.headroom.scale >= 1:
        lines += [f"All is served; what is owned serves at least {found.headroom.scale:.2f} times every demand."]
    else:
        lines += ["All is served with the purchase below."]
    if any(shown.bought.values()):
        names = [f"{count} × {name}" for name, count in shown.bought.items() if count]
        price = f"  for {shown.price:,.0f} {found.inventory.currency}" if found.inventory.currency else ""
        lines.append(f"  buy {', '.join(names)}{price}"[:80])
    proof = "proven optimal" if shown.gap_fraction == 0 else f"within {shown.gap_fraction:.2%} of the optimum"
    lines += [
        "",
        f"  {shown.gpus:,} GPUs in use; {proof}",
        "  server                      owned  bought  in use  GPUs free",
    ]
    for server in found.problem.servers:
        inside = sum(way.gpus * n for way, n in shown.replicas if way.server == server.id)
        have = server.owned + shown.bought[server.id]
        lines.append(
            f"  {server.id:<26}{server.owned:>7}{shown.bought[server.id]:>8}{shown.used[server.id]:>8}"
            f"{have * server.gpus - inside:>11}"
        )
    lines += ["", "  model                replicas × GPUs  on                how"]
    for need in found.problem.needs:
        for way, count in shown.replicas:
            if way.need == need.id:
                spare = f", {need.spares} spare" if need.spares else ""
                lines.append(
                    f"  {need.id[:22]:<23}{count:>5} × {way.gpus:<6}  {way.server:<17} {way.label}{spare}"[:80]
                )
    return lines


def _solution_json(found: Solution | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "gpus": found.gpus,
        "used": found.used,
        "bought": found.bought,
        "price": found.price,
        "gap_fraction": found.gap_fraction,
        "replicas": [
            {"model": w.need, "server": w.server, "gpus": w.gpus, "replicas": n, "serves": w.serves, "way": w.label}
            for w, n in found.replicas
        ],
    }


def fleet_json(found: Fleet) -> dict[str, Any]:
    return {
        "feasible": found.feasible,
        "owned_serves_fraction": found.headroom.scale,
        "currency": found.inventory.currency,
        "solution": _solution_json(found.solution),
        "smallest_purchase": _solution_json(found.purchase),
    }


def growth_lines(found: Growth, today: date) -> list[str]:
    lines = [f"Servers of {found.gpus_per_server} × {found.gpu}, bought whole and kept", ""]
    lines.append("  from            users  GPUs needed    buy  servers  order by     missed late")
    for step in found.steps:
        order = step.order_by.isoformat() if step.order_by else "–"
        late = f"{step.unserved_if_late:,.0f} users" if step.servers_bought else "–"
        lines.append(
            f"  {step.start.isoformat()}{step.users:>11,.0f}{step.gpus_needed:>13,}{step.servers_bought:>7,}"
            f"{step.servers:>9,}  {order:<11}{late:>14}"
        )
    late_orders = [step for step in found.steps if step.order_by and step.order_by < today]
    if late_orders:
        lines += ["", f"  TOO LATE to order in time for {', '.join(s.start.isoformat() for s in late_orders)}"[:80]]
    lines += ["", "  missed late: left out where that order arrives a quarter late"]
    lines += [f"  bought all at the start, {found.idle_gpu_quarters:,} GPU-quarters would wait for users"]
    return lines


def growth_json(found: Growth) -> dict[str, Any]:
    return {
        "gpu": found.gpu,
        "gpus_per_server": found.gpus_per_server,
        "idle_gpu_quarters_if_bought_at_once": found.idle_gpu_quarters,
        "steps": [
            {
                "start": step.start.isoformat(),
                "users": step.users,
                "gpus_needed": step.gpus_needed,
                "servers_bought": step.servers_bought,
                "servers": step.servers,
                "order_by": step.order_by.isoformat() if step.order_by else None,
                "unserved_if_late": step.unserved_if_late,
            }
            for step in found.steps
        ],
    }


RISKS = (0.5, 0.25, 0.1, 0.05, 0.01)


def sensitivity_lines(swings: list[Swing], share: float, found: Distribution | None) -> list[str]:
    base = swings[0].base_gpus
    lines = [f"{base:,} GPUs; each input alone moved by ±{share:.0%}", "", f"  {'input':<20}{'-':>8}{'+':>8}"]
    widest = max((one.width for one in swings if one.width < float("inf")), default=0) or 1

    def count(gpus: int | None) -> str:
        return "none do" if gpus is None else f"{gpus:,}"

    for one in swings:
        bar = "infeasible" if one.width == float("inf") else "█" * round(30 * one.width / widest)
        lines.append(f"  {one.key:<20}{count(one.low_gpus):>8}{count(one.high_gpus):>8}  {bar}")
    if found:
        lines += [
            "",
            f"  {len(found.gpus)} draws of all inputs at once",
            "  risk of too few      GPUs     cost a month",
        ]
        for risk in RISKS:
            gpus = found.gpus_at(risk)
            number = "none do" if gpus == float("inf") else f"{gpus:,.0f}"
            cost = f"{found.cost_at(risk):,.0f} {found.currency}" if found.currency and gpus < float("inf") else "–"
            lines.append(f"  {risk:>15.0%}{number:>10}{cost:>17}")
    return lines


def sensitivity_json(swings: list[Swing], found: Distribution | None) -> dict[str, Any]:
    return {
        "gpus": swings[0].base_gpus,
        "swings": [{"key": s.key, "value": s.value, "low_gpus": s.low_gpus, "high_gpus": s.high_gpus} for s in swings],
        "risks": None if found is None else [
            {"risk": risk, "gpus": _finite(found.gpus_at(risk)),
             "cost_per_month": _finite(found.cost_at(risk)) if found.currency else None, "currency": found.currency}
            for risk in RISKS
        ],
        "infeasible_draws": found.infeasible if found else None,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None
