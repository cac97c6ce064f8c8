"""The command line: words in, one screen or JSON out. Exit codes: 0 an answer, 3 infeasible, 2 bad input.

One file per verb or pair of verbs; what they need is imported when they run, so that --help is quick.
"""

from __future__ import annotations

import sys

import typer

from infrascale.cli import app as app_verb
from infrascale.cli import (
    calibrate,
    catalog,
    cost,
    export,
    fleet,
    language,
    loadtest,
    planning,
    predict,
    profile,
    report,
    serve,
    simulate,
    study,
    usage,
    validate,
)
from infrascale.errors import InfraScaleError

app = typer.Typer(
    name="infrascale",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="How many GPUs does serving a language model need?",
)
for verb in (
    planning.plan,
    planning.capacity,
    catalog.catalog,
    calibrate.calibrate,
    cost.cost,
    fleet.fleet,
    study.growth,
    study.sensitivity,
    study.study,
    predict.predict,
    profile.profile,
    export.export,
    loadtest.loadtest,
    report.report,
    serve.serve,
    simulate.simulate,
    usage.usage,
    validate.validate,
    app_verb.app,
):
    app.command()(language.speaking(verb))
app.callback()(language.spoken)


def main() -> None:
    """Entry point: an error of ours is one screen and exit code 2."""
    try:
        app()
    except InfraScaleError as error:
        from infrascale.screen import error_lines

        print("\n".join(error_lines(error)), file=sys.stderr)
        raise SystemExit(2) from None
