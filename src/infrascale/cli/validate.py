"""`infrascale validate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from infrascale.cli.flags import Json, Text


def validate(
    folder: Annotated[str | None, typer.Argument(help="Measurement CSVs of your own; without: those shipped.")] = None,
    by: Annotated[str, typer.Option(help="set, engine, gpu or model.")] = "set",
    worst: Annotated[int, typer.Option(help="Show so many of the worst rows of each measure.", min=0, max=100)] = 0,
    plot: Text = None,
    as_json: Json = False,
) -> None:
    """Predict published measurements again and show the errors, by set, engine, GPU or model."""
    from dataclasses import asdict

    from infrascale.calibration import validation as room
    from infrascale.calibration.table import accuracy_lines
    from infrascale.errors import ScenarioError

    if by not in room.GROUPINGS:
        raise ScenarioError(f"cannot group by {by[:30]}", why="there are four ways", fix=", ".join(room.GROUPINGS))
    if plot and Path(plot).suffix not in (".png", ".svg", ".pdf"):
        raise ScenarioError(f"cannot draw {plot[:60]}", why="it ends in no picture", fix="end in .png, .svg or .pdf")
    found = _validated(_sets(folder))
    if plot:
        room.plot(found, plot)
    scores = found.scores(by)
    if as_json:
        groups = {name: {m: asdict(score) for m, score in row.items()} for name, row in scores.items()}
        print(json.dumps({"rows": found.rows, "left_out": found.left_out, "groups": groups}, indent=2))
    else:
        print("\n".join(accuracy_lines(found, scores, worst)))


def _sets(folder: str | None) -> dict[str, list[dict[str, str]]]:
    from infrascale.calibration.residuals import shipped_rows
    from infrascale.errors import FileError
    from infrascale.parsing.tables import read_rows

    if folder is None:
        return shipped_rows()
    files = sorted(Path(folder).glob("*.csv")) if Path(folder).is_dir() else [Path(folder)]
    if not files:
        raise FileError(f"{folder} holds no measurements", why="no file in it ends in .csv", fix="name another folder")
    return {path.stem: read_rows(str(path))[1] for path in files}


def _validated(sets: dict[str, list[dict[str, str]]]):
    from infrascale.calibration.validation import validation

    if not sys.stderr.isatty():
        return validation(sets)
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=sum(map(len, sets.values())))
        return validation(sets, lambda: progress.advance(task))
