"""Flags that several verbs share, and how they join the keys of a scenario.toml."""

from __future__ import annotations

from typing import Annotated

import typer

Model = Annotated[str | None, typer.Option(help="Catalog id, config.json or its folder, or a hub id.")]
Gpus = Annotated[list[str] | None, typer.Option("--gpu", help="GPU kind; repeat to compare, or 'any'.")]
Precisions = Annotated[list[str] | None, typer.Option("--precision", help="Weight format; repeat to compare.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ScenarioFile = Annotated[str | None, typer.Argument(help="A scenario.toml; flags override its keys.")]
Number = Annotated[float | None, typer.Option()]
Whole = Annotated[int | None, typer.Option()]
Prices = Annotated[list[str] | None, typer.Option("--price", help="Your quote: h100-sxm=2.10eur/h; repeat.")]
Calibration = Annotated[str | None, typer.Option(help="A file of infrascale calibrate.")]
Wholes = Annotated[list[int] | None, typer.Option()]
Text = Annotated[str | None, typer.Option()]


def keys_of(file: str | None, flags: dict[str, object]) -> dict[str, object]:
    """The keys of the file, overridden by the flags that were given."""
    from infrascale.parsing.scenarios import read_toml

    keys: dict[str, object] = read_toml(file) if file else {}
    keys.update({key: value for key, value in flags.items() if value not in (None, [])})
    if "model" not in keys:
        from infrascale.errors import ScenarioError

        raise ScenarioError("no model is named", why="every question is about one", fix="add --model ID")
    return keys
