"""`infrascale report`."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    plan: Annotated[str, typer.Argument(help="A plan: infrascale plan … --json > plan.json")],
    to: Annotated[str | None, typer.Option(help="html, md or pdf; else by the ending of --out.")] = None,
    out: Annotated[str, typer.Option("--out", "-o", help="The file to write.")] = "report.html",
    lang: Annotated[str, typer.Option(help="en or fr.")] = "en",
) -> None:
    """A decision report to hand over: the answer, why, alternatives, risks, sources."""
    from datetime import date
    from pathlib import Path

    from infrascale.parsing.plans import read_plan
    from infrascale.report import report as made
    from infrascale.writing import write

    found, asked = read_plan(plan)
    if found.best is None:
        typer.echo("infeasible: there is no decision to report; infrascale plan names the nearest change", err=True)
        raise typer.Exit(3)
    place = Path(out)
    files = made(found, asked, language=lang, to=to or place.suffix.lstrip("."), name=place.name, on=date.today())
    for path in write(files, str(place.parent)):
        print(path)
