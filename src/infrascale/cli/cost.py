"""`infrascale cost`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrascale.cli.flags import (
    Buy,
    Calibration,
    Costs,
    Country,
    Currency,
    Gpus,
    Json,
    Model,
    Number,
    Objective,
    PeakHour,
    Power,
    Precisions,
    Prices,
    Rate,
    Text,
    Whole,
    keys_of,
)

if TYPE_CHECKING:
    from infrascale.parsing.scenarios import Question
    from infrascale.planning import Plan
    from infrascale.studies.costing import Costing


def cost(
    file: Annotated[str | None, typer.Argument(help="A plan.json (plan … --json), or a scenario.toml.")] = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Number = None,
    requests_per_user: Number = None,
    requests_per_user_hour: Number = None,
    request_per_s: Number = None,
    agents: Number = None,
    adoption: Number = None,
    requests_per_day: Number = None,
    peak_hour: PeakHour = None,
    tokens_per_s: Text = None,
    ttft: Text = None,
    isl: Number = None,
    osl: Number = None,
    prefix_hit: Number = None,
    headroom: Number = None,
    redundancy: Whole = None,
    max_gpus: Whole = None,
    max_kw: Power = None,
    costs: Costs = None,
    price: Prices = None,
    buy: Buy = False,
    reserved: Annotated[bool, typer.Option("--reserved", help="Rented at reserved prices.")] = False,
    currency: Currency = None,
    rate: Rate = None,
    country: Country = None,
    pue: Number = None,
    kg_co2e_per_kwh: Number = None,
    objective: Objective = None,
    api: Annotated[bool, typer.Option("--api", help="The same requests at API prices.")] = False,
    compare: Annotated[list[str] | None, typer.Option(help="PROVIDER/MODEL you hold comparable.")] = None,
    break_even: Annotated[bool, typer.Option("--break-even", help="Users from which hosting wins.")] = False,
    calibration: Calibration = None,
    plot: Annotated[str | None, typer.Option(help="A drawing to write, .svg: the ways, or the break-even.")] = None,
    as_json: Json = False,
) -> None:
    """What a plan costs, draws and emits a month; other ways; the same by API; the break-even."""
    given = dict(locals())
    apart = ("file", "costs", "buy", "reserved", "pue", "kg_co2e_per_kwh", "api", "compare", "break_even",
             "calibration", "plot", "as_json")  # fmt: skip
    flags = {key: value for key, value in given.items() if key not in apart}
    flags["offer"] = "buy" if buy else "reserved" if reserved else None
    from datetime import date

    from infrascale.api import curves
    from infrascale.locales import words
    from infrascale.parsing.objectives import market_of
    from infrascale.parsing.scenarios import read_toml
    from infrascale.studies.costing import costing
    from infrascale.studies.record import cost_json
    from infrascale.studies.screens import cost_lines

    plan, question = _plan(file, flags, calibration)
    if plan.best is None:
        typer.echo(words().say("decision.infeasible"), err=True)
        raise typer.Exit(3)
    prices = read_toml(costs) if costs else {}
    market = market_of(question, plan.scenario, prices, today=date.today(), pue=pue, kg_co2e_per_kwh=kg_co2e_per_kwh)
    found = costing(plan, market, question.objective, curves(calibration, plan.scenario))
    if api or compare or break_even:
        found = with_apis(found, question, compare or [], break_even, calibration)
    if plot:
        _draw(found, plot)
    print(json.dumps(cost_json(found), indent=2) if as_json else "\n".join(cost_lines(found)))


def _plan(file: str | None, flags: dict[str, Any], calibration: str | None) -> tuple[Plan, Question]:
    """A saved plan with other prices, or a question from a scenario.toml and flags."""
    from infrascale import api
    from infrascale.errors import ScenarioError
    from infrascale.parsing.objectives import PLACE
    from infrascale.parsing.plans import read_plan
    from infrascale.parsing.scenarios import question

    if not (file and file.endswith(".json")):
        keys = keys_of(file, flags)
        return api.plan(calibration=calibration, **keys), question(keys)
    given = {key: value for key, value in flags.items() if value not in (None, [])}
    other = [key for key in given if key not in (*PLACE, "objective")]
    if other or calibration:
        raise ScenarioError(
            f"{file} holds a question already",
            why=f"--{(other or ['calibration'])[0].replace('_', '-')} would ask another",
            fix="only prices, currency, country and objective may change here; else ask infrascale plan again",
        )
    found, asked = read_plan(file)
    return found, question(asked.model_dump(exclude_none=True) | given)


def with_apis(found: Costing, question: Question, compare: list[str], even: bool, calibration: str | None) -> Costing:
    from dataclasses import replace

    from infrascale.cli.progress import shown
    from infrascale.economics.apis import monthly_charges
    from infrascale.errors import ScenarioError
    from infrascale.parsing.apis import api_offers, declared
    from infrascale.studies.costing import hosting_break_even

    scenario, best = found.plan.scenario, found.options[0]
    offers = api_offers(scenario.workload, scenario.model.id, found.market.today)
    same = [offer for offer in offers if offer.same_model]
    wanted = declared(offers, compare) if compare else same
    charges = monthly_charges(wanted, best.usage, found.market.currency, found.market.rate)
    if not charges:
        raise ScenarioError(
            f"no API price of {scenario.model.id} in {found.market.currency}",
            why="no source here hosts these weights at a price in that currency",
            fix="pip install 'infrascale[apis]'; --rate for prices in the other currency; --compare PROVIDER/MODEL",
        )
    found = replace(found, apis=charges, against=charges[0][0], apis_without_rate=len(wanted) - len(charges))
    if even:
        upto = max((question.users or 1.0) * 8, 4096.0)
        with shown("break-even") as progress:
            curve = hosting_break_even(question, best, found.market, charges[0][1], upto, progress, calibration)
        found = replace(found, break_even=curve)
    return found


def _draw(found: Costing, path: str) -> None:
    from infrascale.errors import FileError
    from infrascale.locales import words
    from infrascale.studies.drawings import break_even, frontier
    from infrascale.writing import write

    if not path.endswith(".svg"):
        raise FileError(f"{path} is no drawing", why="its ending is not .svg", fix="--plot out.svg")
    write({"plot.svg": break_even(found, words()) if found.break_even else frontier(found, words())}, path)
