"""Flags that several verbs share, and how they join the keys of a scenario.toml."""

from __future__ import annotations

from typing import Annotated

import typer

Text = Annotated[str | None, typer.Option()]
Number = Annotated[float | None, typer.Option()]
Whole = Annotated[int | None, typer.Option()]
Wholes = Annotated[list[int] | None, typer.Option()]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]

ScenarioFile = Annotated[str | None, typer.Argument(help="A scenario.toml; flags override its keys.")]
Model = Annotated[str | None, typer.Option(help="Catalog id, config.json or its folder, or a hub id.")]
Gpus = Annotated[list[str] | None, typer.Option("--gpu", help="GPU kind; repeat to compare, or 'any'.")]
Precisions = Annotated[list[str] | None, typer.Option("--precision", help="Weight format; repeat to compare.")]
Calibration = Annotated[str | None, typer.Option(help="A file of infrascale calibrate.")]
Objective = Annotated[str | None, typer.Option(help="gpus, cost, energy or carbon.")]
Power = Annotated[float | None, typer.Option(help="Power of GPUs and servers, before cooling.")]

PeakHour = Annotated[float | None, typer.Option(help="Share of a day's requests in its peak hour.")]
InputSpread = Annotated[float | None, typer.Option(help="Spread of the input lengths over their mean.")]
OutputSpread = Annotated[float | None, typer.Option(help="The same of the output.")]
Speed = Annotated[str | None, typer.Option(help="Promised speed of a request; p5=15: of 95 %.")]
FirstToken = Annotated[str | None, typer.Option(help="Promised time to first token; p95=2s: of 95 %.")]

Prices = Annotated[
    list[str] | None,
    typer.Option("--price", help="h100-sxm=2.10eur/h, your quote; or a cloud's, =scaleway."),
]
Costs = Annotated[str | None, typer.Option(help="A costs.toml: hosting, staff, electricity, day …")]
Buy = Annotated[bool, typer.Option("--buy", help="Bought and amortised, in place of rented.")]
Currency = Annotated[str | None, typer.Option(help="EUR or USD.")]
Rate = Annotated[str | None, typer.Option(help="Dollars for one euro, and the day: 1.16@2026-11-20.")]
Country = Annotated[str | None, typer.Option(help="Grid, three letters; FRA if not given.")]


def keys_of(file: str | None, flags: dict[str, object]) -> dict[str, object]:
    """The keys of the file, overridden by the flags that were given."""
    from infrascale.parsing.scenarios import read_toml

    keys: dict[str, object] = read_toml(file) if file else {}
    keys.update({key: value for key, value in flags.items() if value not in (None, [])})
    if "model" not in keys:
        from infrascale.errors import ScenarioError

        raise ScenarioError("no model is named", why="every question is about one", fix="add --model ID")
    return keys
