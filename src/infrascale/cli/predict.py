"""`infrascale predict`."""

from __future__ import annotations

from typing import Annotated

import typer

from infrascale.cli.flags import Calibration


def predict(
    file: Annotated[str, typer.Argument(help="Measurement rows as CSV.")],
    out: Annotated[str, typer.Option(help="Where the rows with predictions go.")],
    calibration: Calibration = None,
) -> None:
    """Predict measured rows from their inputs alone."""
    from infrascale.calibration.saved import read_calibration
    from infrascale.cli.progress import shown
    from infrascale.predicting import predict_file

    own = read_calibration(calibration) if calibration else None
    with shown("predicting") as progress:
        predict_file(file, out, progress, own)
