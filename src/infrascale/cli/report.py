"""`infrascale report`."""

from __future__ import annotations

from typing import Annotated

import typer

from infrascale.cli.flags import Buy, Costs, Country, Currency, Prices, Rate


def report(
    plan: Annotated[str, typer.Argument(help="A plan: infrascale plan … --json > plan.json")],
    to: Annotated[str | None, typer.Option(help="html, md or pdf; else by the ending of --out.")] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="The file to write.")] = "report.html",
    lang: Annotated[str, typer.Option(help="Language of the report.")] = "en",
    price: Prices = None,
    buy: Buy = False,
    currency: Currency = None,
    rate: Rate = None,
    country: Country = None,
    costs: Costs = None,
) -> None:
    """A decision report to hand over: the answer, why, alternatives, risks, sources."""
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

    found, asked = read_plan(plan, api.curves)
    rests = calibration_of(plan)
    if found.best is None:
        typer.echo("infeasible: there is no decision to report; infrascale plan names the nearest change", err=True)
        raise typer.Exit(3)
    given = {"price": price, "offer": "buy" if buy else None, "currency": currency, "rate": rate, "country": country}
    priced = question(asked.model_dump(exclude_none=True) | {k: v for k, v in given.items() if v not in (None, [])})
    market = market_of(priced, found.scenario, read_toml(costs) if costs else {}, today=date.today())
    place = Path(out)
    kind = to or place.suffix.lstrip(".")
    with shown("report"):
        own = Own(taught=read_calibration(rests), file=rests) if rests else None
        files = made(found, asked, language=lang, to=kind, name=place.name, on=date.today(), market=market, own=own)
    for path in write(files, str(place.parent)):
        print(path)
