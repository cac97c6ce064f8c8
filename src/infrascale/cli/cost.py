"""`infrascale cost`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from infrascale.cli.flags import Gpus, Json, Model, Number, Precisions, Whole, keys_of


def cost(
    file: Annotated[str | None, typer.Argument(help="A plan.json (plan … --json), or a scenario.toml.")] = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Number = None,
    requests_per_user: Number = None,
    request_per_s: Number = None,
    agents: Number = None,
    adoption: Number = None,
    requests_per_day: Number = None,
    peak_hour: Annotated[float | None, typer.Option(help="Share of a day's requests in its peak hour.")] = None,
    tokens_per_s: Number = None,
    ttft: Number = None,
    isl: Number = None,
    osl: Number = None,
    prefix_hit: Number = None,
    headroom: Number = None,
    redundancy: Whole = None,
    costs: Annotated[str | None, typer.Option(help="A costs.toml: hosting, staff, electricity, day …")] = None,
    price: Annotated[list[str] | None, typer.Option(help="Your quote: h100-sxm=2.10eur/h; repeat.")] = None,
    buy: Annotated[bool, typer.Option("--buy", help="Bought and amortised, in place of rented.")] = False,
    reserved: Annotated[bool, typer.Option("--reserved", help="Rented at reserved prices.")] = False,
    currency: Annotated[str | None, typer.Option(help="EUR or USD.")] = None,
    rate: Annotated[str | None, typer.Option(help="Dollars for one euro, and the day: 1.16@2026-11-20.")] = None,
    country: Annotated[str, typer.Option(help="Grid, three letters.")] = "FRA",
    pue: Number = None,
    kg_co2e_per_kwh: Number = None,
    max_kw: Annotated[float | None, typer.Option(help="Power budget at the meter.")] = None,
    objective: Annotated[str, typer.Option(help="gpus, cost, energy or carbon.")] = "gpus",
    api: Annotated[bool, typer.Option("--api", help="The same requests at API prices.")] = False,
    compare: Annotated[list[str] | None, typer.Option(help="PROVIDER/MODEL you hold comparable.")] = None,
    break_even: Annotated[bool, typer.Option("--break-even", help="Users from which hosting wins.")] = False,
    as_json: Json = False,
) -> None:
    """What a plan costs, draws and emits a month; other ways; the same by API; the break-even."""
    given = dict(locals())
    asked_keys = ("model", "gpu", "precision", "users", "requests_per_user", "request_per_s", "agents", "adoption",
                  "requests_per_day", "peak_hour", "tokens_per_s", "ttft", "isl", "osl", "prefix_hit", "headroom",
                  "redundancy")  # fmt: skip
    flags = {key: given[key] for key in asked_keys}
    from infrascale.economics.decision import Objective
    from infrascale.locales import words
    from infrascale.studies.costing import costing
    from infrascale.studies.record import cost_json
    from infrascale.studies.screens import cost_lines

    plan, question = _plan(file, flags)
    if plan.best is None:
        typer.echo(words().say("decision.infeasible"), err=True)
        raise typer.Exit(3)
    market = _market(plan, question.peak_hour, given)
    if objective not in list(Objective):
        from infrascale.errors import ScenarioError

        raise ScenarioError(f"unknown objective {objective[:30]!r}", why="there are four", fix=", ".join(Objective))
    found = costing(plan, market, Objective(objective), max_kw)
    if not found.options:
        typer.echo(words().say("decision.too_much_power", kw=max_kw or 0.0), err=True)
        raise typer.Exit(3)
    if api or compare or break_even:
        found = _with_apis(found, question, compare or [], break_even)
    print(json.dumps(cost_json(found), indent=2) if as_json else "\n".join(cost_lines(found)))


def _plan(file, flags):  # type: ignore[no-untyped-def]
    """A saved plan as it is, or a question from a scenario.toml and flags."""
    from infrascale import api
    from infrascale.parsing.plans import read_plan
    from infrascale.parsing.scenarios import question

    if file and file.endswith(".json"):
        return read_plan(file)
    keys = keys_of(file, flags)
    return api.plan(**keys), question(keys)


def _market(plan, peak_hour, given):  # type: ignore[no-untyped-def]
    from datetime import date

    from infrascale.parsing import prices
    from infrascale.parsing.scenarios import read_toml

    offers = prices.BUY if given["buy"] else prices.RENT_RESERVED if given["reserved"] else prices.RENT
    return prices.market(
        plan.scenario.gpus,
        read_toml(given["costs"]) if given["costs"] else {},
        offers=offers,
        own=given["price"] or (),
        rate=given["rate"],
        currency=given["currency"],
        where=prices.site(given["country"], given["pue"], given["kg_co2e_per_kwh"]),
        peak_fraction=peak_hour,
        today=date.today(),
    )


def _with_apis(found, question, compare, even):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    from infrascale.errors import ScenarioError
    from infrascale.parsing.apis import api_offers, declared
    from infrascale.studies.costing import hosting_break_even, monthly_charges

    scenario, best = found.plan.scenario, found.options[0]
    offers = api_offers(scenario.workload, scenario.model.id, found.market.today)
    same = [offer for offer in offers if offer.same_model]
    charges = monthly_charges(declared(offers, compare) if compare else same, best, found.market)
    if not charges:
        raise ScenarioError(
            f"no API price of {scenario.model.id} in {found.market.currency}",
            why="no source here hosts these weights at a price in that currency",
            fix="pip install 'infrascale[apis]'; --rate for prices in the other currency; --compare PROVIDER/MODEL",
        )
    found = replace(found, apis=charges, against=charges[0][0])
    if even:
        users = question.users or 1.0
        curve = hosting_break_even(question, best, found.market, charges[0][1], max(users * 8, 4096.0))
        found = replace(found, break_even=curve)
    return found
