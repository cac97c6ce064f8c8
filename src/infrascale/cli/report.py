"""`infrascale report`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from infrascale.cli.flags import Buy, Costs, Country, Currency, Prices, Rate

if TYPE_CHECKING:
    from pathlib import Path

    from infrascale.economics.market import Market
    from infrascale.parsing.scenarios import Question
    from infrascale.planning import Plan
    from infrascale.report.blocks import Block


def report(
    plan: Annotated[str, typer.Argument(help="A plan (infrascale plan … --json > plan.json), or a fleet.toml.")],
    to: Annotated[str | None, typer.Option(help="html, md or pdf; else by the ending of --out.")] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="The file to write.")] = "report.html",
    lang: Annotated[str, typer.Option(help="Language of the report.")] = "en",
    price: Prices = None,
    buy: Buy = False,
    currency: Currency = None,
    rate: Rate = None,
    country: Country = None,
    costs: Costs = None,
    break_even: Annotated[bool, typer.Option("--break-even", help="Users from which hosting beats an API.")] = False,
    compare: Annotated[list[str] | None, typer.Option(help="PROVIDER/MODEL you hold comparable.")] = None,
    curve: Annotated[str | None, typer.Option(help="Users of each quarter, to say when to buy: 500,1000.")] = None,
    start: Annotated[str | None, typer.Option(help="First day of the first quarter: 2027-01-01.")] = None,
    lead_months: Annotated[int, typer.Option(help="Months from order to service.", min=0, max=60)] = 0,
) -> None:
    """A decision report to hand over: the answer, why, alternatives, cost, risks, sources; or of a whole fleet."""
    from datetime import date
    from pathlib import Path

    from infrascale import api
    from infrascale.calibration.saved import read_calibration
    from infrascale.cli.progress import shown
    from infrascale.parsing.objectives import market_of
    from infrascale.parsing.plans import calibration_of, read_plan
    from infrascale.parsing.scenarios import question, read_toml
    from infrascale.report import report as made
    from infrascale.report.learnt import Own
    from infrascale.writing import write

    place = Path(out)
    kind = to or place.suffix.lstrip(".")
    given = {"price": price, "offer": "buy" if buy else None, "currency": currency, "rate": rate, "country": country}
    flags = {"lang": lang, "out": out, "to": to, "buy": buy, "costs": costs, "break_even": break_even,
             "compare": compare, "curve": curve, "start": start, "lead_months": lead_months}  # fmt: skip
    if plan.endswith(".toml"):
        _fleet(plan, kind, place, lang, {**given, "costs": costs, "compare": compare, "curve": curve})
        return
    found, asked = read_plan(plan, api.curves)
    rests = calibration_of(plan)
    if found.best is None:
        _no(found, asked, lang, rests, kind, place)
    priced = question(asked.model_dump(exclude_none=True) | {k: v for k, v in given.items() if v not in (None, [])})
    market = market_of(priced, found.scenario, read_toml(costs) if costs else {}, today=date.today())
    more: list[Block] = []
    if break_even or compare:
        more += _against_api(found, priced, market, compare or [], lang, rests)
    if curve:
        more += _when_to_buy(priced, market, curve, start, lead_months, lang, rests)
    with shown("report"):
        own = Own(taught=read_calibration(rests), file=rests) if rests else None
        files = made(
            found, asked, language=lang, to=kind, name=place.name, on=date.today(), market=market, own=own, more=more,
            again=_again(plan, {**flags, **given, "offer": None}),
        )  # fmt: skip
    for path in write(files, str(place.parent)):
        print(path)


def _no(found: Plan, asked: Question, lang: str, rests: str | None, kind: str, place: Path) -> NoReturn:
    """The report that says no, and why; exit code 3, as everywhere."""
    from datetime import date

    from infrascale.locales import words
    from infrascale.report import written
    from infrascale.report.refused import refused
    from infrascale.writing import write

    for path in write(written(refused(found, asked, lang, date.today(), rests), kind, place.name), str(place.parent)):
        print(path)
    typer.echo(words(lang).say("decision.infeasible"), err=True)
    raise typer.Exit(3)


def _again(plan: str, given: dict[str, object]) -> str:
    """This command, as it would be typed."""
    line = ["infrascale", "report", plan]
    for key, value in given.items():
        for one in value if isinstance(value, list) else [value] if value else []:
            line += [f"--{key.replace('_', '-')}", *([] if one is True else [str(one)])]
    return shlex.join(line)


def _fleet(path: str, kind: str, place: Path, lang: str, others: dict[str, object]) -> None:
    from datetime import date

    from infrascale.cli.progress import shown
    from infrascale.errors import ScenarioError
    from infrascale.report import written
    from infrascale.studies.fleets import fleet_of
    from infrascale.studies.sections import fleet_paper
    from infrascale.writing import write

    unused = next((key for key, value in others.items() if value), None)
    if unused:
        raise ScenarioError(
            f"--{unused} says nothing about a fleet", why="its prices are those of its file", fix="drop it"
        )
    with shown("models on servers") as progress:
        found = fleet_of(path, progress)
    for name in write(written(fleet_paper(found, path, lang, date.today()), kind, place.name), str(place.parent)):
        print(name)


def _against_api(
    found: Plan, asked: Question, market: Market, compare: list[str], lang: str, calibration: str | None
) -> list[Block]:
    from infrascale.api import curves
    from infrascale.cli.cost import with_apis
    from infrascale.locales import words
    from infrascale.studies.costing import costing
    from infrascale.studies.sections import against_api

    priced = costing(found, market, asked.objective, curves(calibration, found.scenario))
    return list(against_api(with_apis(priced, asked, compare, True, calibration), words(lang)))


def _when_to_buy(
    asked: Question, market: Market, curve: str, start: str | None, lead: int, lang: str, calibration: str | None
) -> list[Block]:
    from datetime import date

    from infrascale.cli.progress import shown
    from infrascale.cli.study import quarters
    from infrascale.locales import words
    from infrascale.studies.growth import growth
    from infrascale.studies.sections import when_to_buy

    users, first = quarters(curve, start)
    with shown("quarters") as progress:
        found = growth(asked, users, first, lead, calibration, market, progress)
    return list(when_to_buy(found, date.today(), words(lang)))
