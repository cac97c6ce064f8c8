"""The command line: words in, one screen or JSON out. Exit codes: 0 an answer, 3 infeasible, 2 bad input."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from infrascale.errors import InfraScaleError

app = typer.Typer(
    name="infrascale",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="How many GPUs does serving a language model need?",
)

Model = Annotated[str | None, typer.Option(help="Catalog id, config.json or its folder, or a hub id.")]
Gpus = Annotated[list[str] | None, typer.Option("--gpu", help="GPU kind; repeat to compare, or 'any'.")]
Precisions = Annotated[list[str] | None, typer.Option("--precision", help="Weight format; repeat to compare.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ScenarioFile = Annotated[str | None, typer.Argument(help="A scenario.toml; flags override its keys.")]
Number = Annotated[float | None, typer.Option()]
Whole = Annotated[int | None, typer.Option()]
Wholes = Annotated[list[int] | None, typer.Option()]
Text = Annotated[str | None, typer.Option()]


def _keys(file: str | None, flags: dict[str, object]) -> dict[str, object]:
    from infrascale.parsing.scenarios import read_toml

    keys: dict[str, object] = read_toml(file) if file else {}
    keys.update({key: value for key, value in flags.items() if value not in (None, [])})
    if "model" not in keys:
        from infrascale.errors import ScenarioError

        raise ScenarioError("no model is named", why="every question is about one", fix="add --model ID")
    return keys


@app.command()
def plan(
    file: ScenarioFile = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Annotated[float | None, typer.Option(help="People connected at the peak.")] = None,
    requests_per_user: Annotated[float | None, typer.Option(help="Share of them with a request in flight.")] = None,
    think_s: Annotated[float | None, typer.Option(help="Seconds a user thinks between requests.")] = None,
    request_per_s: Annotated[float | None, typer.Option(help="Requests per second at the peak.")] = None,
    agents: Annotated[float | None, typer.Option(help="A population, with --requests-per-day.")] = None,
    adoption: Number = None,
    requests_per_day: Number = None,
    peak_hour: Annotated[float | None, typer.Option(help="Share of a day's requests in its peak hour.")] = None,
    tokens_per_s: Annotated[float | None, typer.Option(help="Promised speed of one request.")] = None,
    tpot: Annotated[float | None, typer.Option(help="The same, as seconds per output token.")] = None,
    ttft: Annotated[float | None, typer.Option(help="Promised time to first token, seconds.")] = None,
    isl: Annotated[float | None, typer.Option(help="Input tokens.")] = None,
    osl: Annotated[float | None, typer.Option(help="Output tokens.")] = None,
    prefix_hit: Annotated[float | None, typer.Option(help="Share of the input in the prefix cache.")] = None,
    max_gpus: Whole = None,
    gpus_per_replica: Wholes = None,
    redundancy: Annotated[int | None, typer.Option(help="Spare replicas (N+1: 1).")] = None,
    headroom: Annotated[float | None, typer.Option(help="Demand added on top, as a share.")] = None,
    max_num_seqs: Whole = None,
    max_num_batched_tokens: Whole = None,
    max_model_len: Whole = None,
    gpu_memory_utilization: Number = None,
    kv_cache_dtype: Text = None,
    engine: Text = None,
    engine_version: Text = None,
    solver: Annotated[str, typer.Option(help="exact (proven), or nelder-mead.")] = "exact",
    as_json: Json = False,
) -> None:
    """The fewest GPUs that serve a demand within a promise, and why."""
    flags = {k: v for k, v in locals().items() if k not in ("file", "as_json", "tpot", "solver")} | {"tpot_s": tpot}
    from infrascale import api
    from infrascale.screen import plan_json, plan_lines

    found = api.plan(solver=solver, **_keys(file, flags))
    print(json.dumps(plan_json(found), indent=2) if as_json else "\n".join(plan_lines(found)))
    if found.best is None:
        raise typer.Exit(3)


@app.command()
def capacity(
    gpus: Annotated[int, typer.Option(help="How many GPUs there are.", min=1, max=10**7)],
    file: ScenarioFile = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    requests_per_user: Number = None,
    tokens_per_s: Number = None,
    ttft: Number = None,
    isl: Number = None,
    osl: Number = None,
    prefix_hit: Number = None,
    redundancy: Whole = None,
    kv_cache_dtype: Text = None,
    as_json: Json = False,
) -> None:
    """What GPUs that you own can serve within the promise."""
    flags = {k: v for k, v in locals().items() if k not in ("file", "as_json", "gpus")}
    from infrascale import api
    from infrascale.screen import candidate_json, cut

    asked = api.ask(needs_demand=False, **_keys(file, flags))
    found = api.capacity(gpus, asked)
    share = asked.requests_per_user or 1.0
    if as_json:
        rows = [{"requests_in_flight": n, "users": n / share, **candidate_json(c)} for c, n in found]
        print(json.dumps({"gpus": gpus, "feasible": bool(found), "ways": rows}, indent=2))
    elif found:
        best, most = found[0]
        print(f"{gpus} GPUs serve {most:,.0f} requests in flight of {asked.model.id}")
        print(f"  about {most / share:,.0f} connected users at {share:.3f} requests in flight each")
        for candidate, requests in found[:6]:
            print(f"  {requests:>8,.0f}{candidate.replicas:>4} × {cut(candidate):<40} "[:80])
    else:
        print("These GPUs cannot keep the promise, not even for one request.")
    if not found:
        raise typer.Exit(3)


@app.command()
def catalog(
    kind: Annotated[str, typer.Argument(help="gpus, models, or show")] = "gpus",
    name: Annotated[str | None, typer.Argument(help="With show: the entry.")] = None,
    as_json: Json = False,
) -> None:
    """GPUs and models known offline, and where their numbers come from."""
    from infrascale import catalog as shelf
    from infrascale.errors import CatalogError

    if kind == "show":
        if not name:
            raise CatalogError("nothing to show", why="no entry is named", fix="infrascale catalog show h100-sxm")
        try:
            stem, entry = shelf.find("gpus", name)
        except CatalogError:
            stem, entry = shelf.find("models", name)
        print(json.dumps({"entry": stem, **entry}, indent=2, default=str, ensure_ascii=False))
    elif kind in ("gpus", "models"):
        found = shelf.entries(kind)
        if as_json:
            print(json.dumps({k: v.get("id", v.get("name")) for k, v in found.items()}, indent=2))
        for stem, entry in () if as_json else found.items():
            if kind == "gpus":
                size, speed = entry["hbm_bytes"] / 1e9, entry["hbm_bytes_per_s"] / 1e12
                print(f"{stem:<26} {size:6.1f} GB {speed:6.2f} TB/s  {entry['name']}"[:80])
            else:
                print(f"{entry['id']:<58} {entry['params'] / 1e9:8.1f} B"[:80])
    else:
        raise CatalogError(f"no catalog of {kind[:40]}", why="there are two", fix="gpus, models, or show NAME")


@app.command()
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


def main() -> None:
    """Entry point: an error of ours is one screen and exit code 2."""
    try:
        app()
    except InfraScaleError as error:
        print(error, file=sys.stderr)
        raise SystemExit(2) from None
