"""`infrascale usage`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from infrascale.cli.flags import Json


def usage(
    files: Annotated[
        list[str], typer.Argument(help="OpenGateLLM, vLLM metrics, Azure, BurstGPT, Mooncake, CSV, Parquet.")
    ],
    out: Annotated[str | None, typer.Option("--out", "-o", help="Workload file to write (TOML).")] = None,
    plots: Annotated[str | None, typer.Option(help="Folder for pictures.")] = None,
    demand: Annotated[str, typer.Option(help="auto, users (who think) or rate: what plan is to take.")] = "auto",
    model: Annotated[str | None, typer.Option(help="Keep the requests of one model.")] = None,
    timezone: Annotated[str, typer.Option(help="Zone of the hours shown, such as Europe/Paris.")] = "UTC",
    naive_timezone: Annotated[str, typer.Option(help="Zone of times that name none.")] = "UTC",
    dates: Annotated[str | None, typer.Option(help="Slashed dates: day-first or month-first.")] = None,
    session_gap_min: Annotated[
        float | None, typer.Option(help="Silence that ends a session; else found, or 30.", min=0.1, max=1440)
    ] = None,
    every: Annotated[float | None, typer.Option(help="Seconds between untimed scrapes.", min=0.001)] = None,
    memory: Annotated[str, typer.Option(help="Memory for large logs; more goes to disk.")] = "1GB",
    as_json: Json = False,
) -> None:
    """What your own logs say about demand, as a workload file for plan. No user id is kept."""
    from dataclasses import asdict

    from infrascale.locales import words
    from infrascale.usage import Reading, learn, workload_toml
    from infrascale.usage.plots import plots as drawn
    from infrascale.usage.screen import usage_lines
    from infrascale.writing import write

    reading = Reading(
        timezone=timezone,
        naive_timezone=naive_timezone,
        dates=dates,
        model=model,
        gap_s=session_gap_min * 60 if session_gap_min else None,
        every_s=every,
        memory=memory,
    )
    with _bar() as progress:
        found = learn(files, reading, progress)
    text = workload_toml(found, demand)
    pictures = drawn(found) if plots else {}
    written = (write({"workload.toml": text}, out) if out else []) + (write(pictures, f"{plots}/") if plots else [])
    print(json.dumps(asdict(found), indent=2) if as_json else "\n".join(usage_lines(found, demand)))
    for path in written:
        typer.echo(words().say("usage.wrote", path=path), err=True)


class _bar:
    """A progress bar on stderr where that is a terminal, gone when it is done."""

    def __enter__(self):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.description:<32.32}"), BarColumn(24), TextColumn("{task.percentage:>3.0f}%"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True)
        self._step, self._task = "", None
        return self._tell

    def _tell(self, step: str, percent: float) -> None:
        if not step or not self._progress.console.is_terminal:
            return
        self._progress.start()  # not before: a file that cannot be read leaves no empty line
        if step != self._step:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._step, self._task = step, self._progress.add_task(step, total=100.0)
        self._progress.update(self._task, completed=max(0.0, percent))

    def __exit__(self, *_: object) -> None:
        if self._task is not None:
            self._progress.stop()
