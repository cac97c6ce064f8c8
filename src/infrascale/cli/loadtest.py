"""`infrascale loadtest`. Exit code 3: the plan does not hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infrascale.cli.errors import errors_as
from infrascale.cli.flags import Calibration, Json

if TYPE_CHECKING:
    from infrascale.loadtests import LoadTest
    from infrascale.parsing.scenarios import Question
    from infrascale.planning import Plan
    from infrascale.verifying.tools import Target


def loadtest(
    plan: Annotated[str, typer.Option(help="A plan: infrascale plan … --json > plan.json")],
    url: Annotated[str, typer.Option(help="The server: http://host:8000/v1")] = "http://localhost:8000/v1",
    results: Annotated[list[str] | None, typer.Argument(help="Measured already: files of any known tool.")] = None,
    points: Annotated[int, typer.Option(help="How many loads to measure.", min=1, max=20)] = 5,
    replicas: Annotated[int | None, typer.Option(help="Replicas behind the URL, if not all.", min=1)] = None,
    run: Annotated[str | None, typer.Option(help="Run it now with vllm, guidellm or aiperf.")] = None,
    model: Annotated[str | None, typer.Option(help="The model's name on the server.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="A tokenizer on the hub, or its folder.")] = None,
    calibration: Calibration = None,
    out: Annotated[str, typer.Option("--out", "-o", help="Folder for commands and results.")] = "loadtest",
    as_json: Json = False,
) -> None:
    """The load test that verifies a plan: its commands, or run, and the verdict."""
    from infrascale import api
    from infrascale.calibration.saved import read_calibration
    from infrascale.cli.calibrate import notes
    from infrascale.loadtests import read_all
    from infrascale.parsing.plans import read_plan
    from infrascale.verifying.screen import verdict_json, verdict_lines
    from infrascale.verifying.verdict import verdict

    with errors_as(as_json):
        found, asked = read_plan(plan, api.curves)
        if found.best is None:
            typer.echo("infeasible: no number of these GPUs keeps the promise, so there is nothing to test", err=True)
            raise typer.Exit(3)
        behind = replicas or found.best.replicas + found.best.spare_replicas
        found = replace(found, best=replace(found.best, replicas=behind, spare_replicas=0))
        own = read_calibration(calibration) if calibration else None
        paths = results or _designed(found, asked, own, points, (url, model, tokenizer), out, run, as_json)
        if not paths:
            return
        tests = read_all(paths)
        judged = verdict(found, tests, own)
    if as_json:
        print(json.dumps(verdict_json(judged), indent=2))
    else:
        print("\n".join([*verdict_lines(judged), *notes(tests), *_others(found, tests)]))
    if not judged.holds:
        raise typer.Exit(3)


def _others(found: Plan, tests: list[LoadTest]) -> list[str]:
    """Where a file says that another deployment was tested."""
    from infrascale.calibration.cases import differing
    from infrascale.cli.calibrate import wrapped
    from infrascale.locales import words

    assert found.best is not None
    of = found.best.deployment
    planned = {"model": of.model.id, "gpu": of.gpu.id, "tp": str(of.shard.tp), "engine": of.engine.name}
    return [
        line
        for what, said, taken in differing(tests, planned)
        for line in wrapped(words().say("loadtest.differs", what=what, said=said, taken=taken))
    ]


def _designed(found: Plan, asked: Question, own, points: int, server: tuple, out: str, run: str | None, as_json: bool):
    """Writes the design and its commands; with `run`, the files of results."""
    from infrascale.verifying.design import design
    from infrascale.verifying.screen import design_json, design_lines
    from infrascale.verifying.tools import files_of, tool, tools
    from infrascale.writing import write

    chosen = tool(run) if run else None
    made = design(found, own, points)
    target = _target(found, asked, *server)
    files = {"design.json": json.dumps(design_json(made), indent=2) + "\n"}
    for name in tools():
        files |= files_of(name, target, made.probes)
    written = write(files, f"{out}/")
    if chosen is None:
        shown = json.dumps(design_json(made) | {"files": list(map(str, written))}, indent=2)
        print(shown if as_json else "\n".join(design_lines(made, written)))
        return []
    return _run(chosen, Path(out), [probe.name for probe in made.probes])


def _target(found: Plan, asked: Question, url: str, model: str | None, tokenizer: str | None) -> Target:
    import shlex
    from urllib.parse import urlsplit

    from infrascale.errors import InfraScaleError, ScenarioError
    from infrascale.exports import Options, serving
    from infrascale.exports.loadtest import metadata
    from infrascale.exports.serving import IMAGES, VLLM, plan_hash
    from infrascale.verifying.tools import Target

    best, load = found.best, found.scenario.workload
    assert best is not None
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ScenarioError(f"{url[:60]!r} is no server", why="it is not http://HOST…", fix="--url http://host:8000/v1")
    own = tokenizer or found.scenario.model.id
    try:
        # No image is started: the sweep runs the vLLM that is installed here.
        started = serving(found, asked, Options(checkpoint=tokenizer, image=f"{IMAGES['nvidia']}:v{VLLM}"))
        own_words = {
            "served-model-name": shlex.quote(model or found.scenario.model.id),
            "port": str(parts.port or 8000),
        }
        flags = [(flag, own_words.get(flag, value)) for flag, value in started.flags]
        words = [f"--{flag}" if value is None else f"--{flag} {value}" for flag, value in flags]
        serve = " ".join(["vllm serve", started.checkpoint, *words])
        own = started.checkpoint
    except InfraScaleError:
        serve = None  # a server that this plan cannot start is tested all the same
    return Target(
        url=url.rstrip("/").removesuffix("/v1"),
        model=model or found.scenario.model.id,
        tokenizer=own,
        metadata=metadata(best, plan_hash(found, asked)),
        shared_tokens=int(load.isl_tokens * load.prefix_hit_fraction),
        serve=serve if best.replicas == 1 else None,
        port=parts.port or 8000,
    )


def _run(chosen, folder: Path, names: list[str]) -> list[str]:
    """The tool's own commands, its output in a log; the files it wrote."""
    import os
    import shutil
    import subprocess
    import time

    from infrascale.cli.progress import shown
    from infrascale.errors import ScenarioError

    name = chosen.__name__.rsplit(".", 1)[1]
    if shutil.which(chosen.PROGRAM) is None:
        fix = f"pip install {chosen.PROGRAM}, or run {folder}/{name}.sh where it is installed"
        raise ScenarioError(f"{chosen.PROGRAM} is not there", why="no program of this name is on the PATH", fix=fix)
    results = folder / f"results-{name}"
    shutil.rmtree(results, ignore_errors=True)
    wanted = [results / chosen.RESULT.format(name=point) for point in names]
    log = folder / f"{name}.log"
    with log.open("w") as output, shown(f"load test, {name}") as progress:
        environment = os.environ | {"RESULTS": results.name}
        process = subprocess.Popen(
            ["bash", f"{name}.sh"], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                time.sleep(0.5)
                if progress:
                    progress(sum(path.exists() for path in wanted), len(wanted))
        finally:
            process.terminate()
    missing = [path.name for path in wanted if not path.exists()]
    if process.returncode or missing:
        raise ScenarioError(f"{name} did not finish", why=_cause(log.read_text(errors="replace")), fix=f"see {log}")
    return [str(path) for path in wanted]


def _cause(log: str) -> str:
    """The last line that speaks of an error, else the last one; without the frames that tools draw."""
    lines = [line.strip(" │╭╮╰╯─\t") for line in log.splitlines()]
    told = [line for line in lines if "error" in line.lower() and len(line) > len("errors")]
    return (told or [line for line in lines if line] or ["it said nothing"])[-1][:200]
