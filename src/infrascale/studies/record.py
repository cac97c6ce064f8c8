"""Decisions as plain dictionaries, for machines: codes and numbers, the same in every language.

In: Costing, Fleet, Growth, Swings.    Out: what `--json` prints.
"""

from __future__ import annotations

from typing import Any

from infrascale.economics import Span
from infrascale.economics.decision import Option
from infrascale.economics.energy import Range
from infrascale.planning.fleet import Solution
from infrascale.screen.record import cut
from infrascale.studies.costing import Costing
from infrascale.studies.fleets import Fleet
from infrascale.studies.growth import Growth
from infrascale.studies.regret import Upkeep, ahead_above
from infrascale.studies.sensitivity import Distribution, Swing

RISKS = (0.5, 0.25, 0.1, 0.05, 0.01)


def _span_json(amount: Span | None) -> dict[str, Any] | None:
    if amount is None:
        return None
    return {"low": amount.low.amount, "high": amount.high.amount, "currency": amount.currency.value}


def option_json(one: Option) -> dict[str, Any]:
    foot, bill = one.footprint, one.bill
    return {
        "gpus": one.candidate.gpus,
        "way": cut(one.candidate),
        "requests_per_month": one.usage.requests,
        "million_tokens_per_month": one.usage.million_tokens,
        "utilisation_fraction": one.usage.utilisation_fraction,
        "kwh_per_month": foot.kwh,
        "kg_co2e_per_month": foot.kg_co2e,
        "kg_co2e_embodied_per_month": foot.kg_co2e_embodied,
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
        "payments": [
            {"offer": one.offer.value, "per_month": _span_json(one.per_month), "unpriced": one.unpriced,
             "on": one.quote.on.isoformat(), "source": one.quote.source}
            for one in found.payments
        ],
        "clouds": [
            {"provider": one.quote.provider, "per_month": _span_json(one.per_month), "on": one.quote.on.isoformat(),
             "source": one.quote.source}
            for one in found.hosts
        ],
        "pareto": [found.options.index(one) for one in found.pareto],
        "stale": [q.gpu for one in found.options if one.bill and (q := one.bill.quote).stale(found.market.today)],
        "apis": [
            {"provider": o.provider, "model": o.model, "same_model": o.same_model, "per_month": _span_json(charge),
             "cached_is_priced": o.cached_is_priced, "source": o.source}
            for o, charge in found.apis
        ],
        "apis_without_rate": found.apis_without_rate,
        "break_even": None if even is None else {
            "against": f"{found.against.provider}/{found.against.model}" if found.against else None,
            "users_at_low": even.users_at_low,
            "users_at_high": even.users_at_high,
            "curve": [
                {"users": p.users, "own_low": p.own[0].amount if p.own[0] else None,
                 "own_high": p.own[1].amount if p.own[1] else None, "api": _span_json(p.api)}
                for p in even.curve
            ],
        },
    }  # fmt: skip


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


def _range_json(pair: Range | None) -> dict[str, float] | None:
    return {"low": pair[0], "high": pair[1]} if pair else None


def _upkeep_json(found: Upkeep | None) -> dict[str, Any] | None:
    return None if found is None else {
        "server_unused_per_month": _span_json(found.unused),
        "server_used_per_month": _span_json(found.used),
        "rented_gpu_hour": _span_json(found.gpu_hour),
        "unpriced": found.unpriced,
        "prices": [
            {"price": _span_json(quote.price), "offer": quote.offer.value, "on": quote.on.isoformat(),
             "source": quote.source}
            for quote in (found.committed, found.rented)
        ],
    }  # fmt: skip


def growth_json(found: Growth) -> dict[str, Any]:
    return {
        "gpu": found.gpu,
        "gpus_per_server": found.gpus_per_server,
        "idle_gpu_quarters_if_bought_at_once": found.idle_gpu_quarters,
        "currency": found.upkeep.currency.value if found.upkeep else None,
        "upkeep": _upkeep_json(found.upkeep),
        "upkeep_if_reserved": _upkeep_json(found.reserved),
        "cost_if_bought_at_once": _range_json(found.at_once),
        "order_ahead_above_chance": found.ahead_above,
        "order_ahead_above_chance_if_reserved": ahead_above(found.regrets_if_reserved),
        "steps": [
            {
                "start": step.start.isoformat(),
                "users": step.users,
                "gpus_needed": step.gpus_needed,
                "servers_bought": step.servers_bought,
                "servers": step.servers,
                "order_by": step.order_by.isoformat() if step.order_by else None,
                "unserved_if_late": step.unserved_if_late,
                "cost_a_quarter_early": _range_json(step.regret.early if step.regret else None),
                "cost_a_quarter_late": _range_json(step.regret.late if step.regret else None),
                "cost_a_quarter_early_if_reserved": _range_json(step.if_reserved.early if step.if_reserved else None),
                "cost_a_quarter_late_if_reserved": _range_json(step.if_reserved.late if step.if_reserved else None),
            }
            for step in found.steps
        ],
    }


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
