"""`infrascale fleet`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from infrascale.cli.flags import Json


def fleet(
    file: Annotated[str, typer.Argument(help="A fleet.toml: [[server]] owned or to buy, [[model]] to serve.")],
    calibration: Annotated[
        list[str] | None, typer.Option(help="Files of infrascale calibrate; may be repeated.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Several models on the servers you own or may buy: what goes where, proven; else what to buy."""
    from infrascale.calibration.saved import read_calibration
    from infrascale.cli.progress import shown
    from infrascale.studies.fleets import fleet_of
    from infrascale.studies.record import fleet_json
    from infrascale.studies.screens import fleet_lines

    with shown("evaluating") as progress:
        found = fleet_of(file, progress, tuple(map(read_calibration, calibration or ())))
    print(json.dumps(fleet_json(found), indent=2) if as_json else "\n".join(fleet_lines(found)))
    if not found.feasible:
        raise typer.Exit(3)
