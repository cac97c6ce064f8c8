"""`infrascale export`."""

from __future__ import annotations

from typing import Annotated

import typer


def export(
    plan: Annotated[str, typer.Argument(help="A plan: infrascale plan … --json > plan.json")],
    to: Annotated[str, typer.Option(help="vllm, compose, kubernetes, helm, lws, kserve, ray, loadtest")],
    out: Annotated[str | None, typer.Option("--out", "-o", help="A folder, or a file where there is one.")] = None,
    name: Annotated[str | None, typer.Option(help="What to call the deployment.")] = None,
    image: Annotated[str | None, typer.Option(help="REPOSITORY:TAG in place of vLLM's own.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="Weights to load, in the planned format.")] = None,
    node_selector: Annotated[list[str] | None, typer.Option(help="KEY=VALUE of the nodes; may be repeated.")] = None,
    max_replicas: Annotated[int | None, typer.Option(help="kubernetes: scale up to so many.", min=1)] = None,
    prometheus: Annotated[str | None, typer.Option(help="kubernetes: where the metrics are.")] = None,
    lang: Annotated[str, typer.Option(help="Language of the comments: en or fr.")] = "en",
) -> None:
    """Files that start what was planned: commands, Compose, Kubernetes, Helm, a load test."""
    from infrascale import api
    from infrascale.exports import Options, render, serving
    from infrascale.locales import words
    from infrascale.parsing.plans import calibration_of, read_plan
    from infrascale.writing import write

    options = Options(
        name=name,
        image=image,
        checkpoint=checkpoint,
        node_selector=tuple(_pair(word) for word in node_selector or ()),
        max_replicas=max_replicas,
        prometheus=prometheus,
        calibration=calibration_of(plan),
        language=lang,
    )
    found, asked = read_plan(plan, api.curves)
    if found.best is None:
        typer.echo(words(lang).say("decision.infeasible"), err=True)
        raise typer.Exit(3)
    files = render(to, serving(found, asked, options))
    if out is None and len(files) == 1:
        print(next(iter(files.values())), end="")
        return
    for path in write(files, out or "."):
        print(path)


def _pair(word: str) -> tuple[str, str]:
    from infrascale.errors import ExportError

    key, equals, value = word.partition("=")
    if not (key and equals and value):
        raise ExportError(f"{word[:60]!r} selects no node", why="it is not KEY=VALUE", fix="--node-selector KEY=VALUE")
    return key, value
