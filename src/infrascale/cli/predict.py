"""`infrascale predict`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def predict(
    file: Annotated[str, typer.Argument(help="Measurement rows as CSV.")],
    out: Annotated[str, typer.Option(help="Where the rows with predictions go.")],
) -> None:
    """Predict measured rows from their inputs alone."""
    from infrascale.predicting import predict_file

    if not sys.stderr.isatty():
        predict_file(file, out)
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("predicting", total=None)
        predict_file(file, out, lambda done, total: progress.update(task, completed=done, total=total))
