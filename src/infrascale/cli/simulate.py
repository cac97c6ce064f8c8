"""`infrascale simulate`: the plan of a scenario, a saved plan, or a number of replicas, under traffic."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrascale.cli.errors import errors_as
from infrascale.cli.flags import (
    Calibration,
    Gpus,
    InputSpread,
    Json,
    Model,
    Number,
    OutputSpread,
    Precisions,
    Text,
    Whole,
    Wholes,
    keys_of,
)

if TYPE_CHECKING:
    from infrascale.parsing.traffic import Asked
    from infrascale.planning import Plan
    from infrascale.simulating.verify import Verdict

File = Annotated[str | None, typer.Argument(help="A scenario.toml, or a plan saved with plan --json.")]


def simulate(
    file: File = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Number = None,
    requests_per_user: Number = None,
    requests_per_user_hour: Number = None,
    think_s: Number = None,
    request_per_s: Number = None,
    agents: Number = None,
    adoption: Number = None,
    requests_per_day: Number = None,
    peak_hour: Number = None,
    tokens_per_s: Text = None,
    ttft: Text = None,
    isl: Number = None,
    osl: Number = None,
    isl_cv: InputSpread = None,
    osl_cv: OutputSpread = None,
    arrival_cv: Annotated[float | None, typer.Option(help="Spread of request gaps: 1 Poisson, 0 even.")] = None,
    prefix_hit: Number = None,
    gpus_per_replica: Wholes = None,
    redundancy: Whole = None,
    max_num_seqs: Whole = None,
    max_num_batched_tokens: Whole = None,
    # From here to `seed`, the keys of [traffic].
    replicas: Annotated[int | None, typer.Option(help="Instead of the planned number.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Span that counts.")] = None,
    hours: Annotated[str | None, typer.Option(help="Office hours, 9-17; the rate is the busiest hour's.")] = None,
    days: Annotated[int | None, typer.Option(help="Working days of a week.")] = None,
    outside: Annotated[float | None, typer.Option(help="Share of that rate at other hours.")] = None,
    usage: Annotated[str | None, typer.Option(help="The week of this workload file.")] = None,
    start: Annotated[str | None, typer.Option(help="Hour that it begins with: 'mon 8:30'.")] = None,
    flash: Annotated[list[str] | None, typer.Option(help="A crowd, AT:SECONDS:TIMES; repeat.")] = None,
    turns: Annotated[float | None, typer.Option(help="Turns of a conversation, on average.")] = None,
    turn_think_s: Annotated[float | None, typer.Option(help="Seconds between its turns.")] = None,
    system_tokens: Annotated[int | None, typer.Option(help="Shared head of all conversations.")] = None,
    clients: Annotated[int | None, typer.Option(help="A closed loop of so many, without thinking.")] = None,
    lengths_from: Annotated[str | None, typer.Option(help="Lengths in pairs, as in this trace.")] = None,
    replay: Annotated[str | None, typer.Option(help="A trace: Azure, BurstGPT, Mooncake, plain CSV.")] = None,
    speedup: Annotated[float | None, typer.Option(help="Of the trace.")] = None,
    urgent: Annotated[float | None, typer.Option(help="Share of requests with priority.")] = None,
    policy: Annotated[str | None, typer.Option(help="round-robin, random, least-loaded, session, prefix")] = None,
    dies: Annotated[list[str] | None, typer.Option(help="A replica dies, AT or AT:BACK_AFTER; repeat.")] = None,
    late: Annotated[str | None, typer.Option(help="Replicas that start late, COUNT:UNTIL.")] = None,
    autoscale: Annotated[str | None, typer.Option(help="LEAST:IN_FLIGHT_EACH:LAG, up to the planned N.")] = None,
    prefill_replicas: Annotated[int | None, typer.Option(help="Engines for prompts only; N then answer.")] = None,
    speculative: Annotated[str | None, typer.Option(help="Guesses, DRAFTS:ACCEPTANCE[:COST], 3:0.7.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the random traffic: the same gives the same.")] = None,
    calibration: Calibration = None,
    trace: Annotated[str | None, typer.Option(help="A Chrome/Perfetto trace to write.")] = None,
    plot: Annotated[str | None, typer.Option(help="A plot to write: .png or .svg.")] = None,
    as_json: Json = False,
) -> None:
    """What users feel: percentiles under real traffic, request by request through vLLM's scheduling."""
    flags = {key: value for key, value in locals().items() if value not in (None, [])}
    apart = {"file", "as_json", "calibration", "trace", "plot"}
    _needs("numba", "simulate")
    if plot is not None:
        _needs("matplotlib", "plots")
        _check_plot(plot)
    from infrascale import api
    from infrascale.cli.progress import shown
    from infrascale.parsing.plans import calibration_of
    from infrascale.parsing.traffic import Asked, asked_of, circumstances
    from infrascale.screen.simulation import simulation_json, simulation_lines
    from infrascale.simulating.failures import fates
    from infrascale.simulating.run import simulate as simulated

    with errors_as(as_json):
        own = {key: value for key, value in flags.items() if key in Asked.model_fields}
        scene = {key: value for key, value in flags.items() if key not in own and key not in apart}
        asked = asked_of(_table(file) | own)
        told = circumstances(asked)
        found = _plan(file, scene, asked, told.pattern.replay, calibration)
        if found.best is None:
            from infrascale.screen import plan_lines

            print("\n".join(plan_lines(found)))
            raise typer.Exit(3)
        if file and file.endswith(".json"):
            calibration = calibration_of(file)
        subject = api.subject(found, told, calibration=calibration)
        with shown("simulating") as progress:
            result = simulated(subject, progress)
            dying = fates(subject, result, progress) if told.deaths else None
    if trace is not None:
        from infrascale.serving.simulation.trace import chrome_trace
        from infrascale.writing import write

        write({"trace.json": json.dumps(chrome_trace(result.records))}, trace)
    if plot is not None:
        from infrascale.report.simulation import draw

        draw(result, plot)
    if as_json:
        print(json.dumps(simulation_json(result, dying), indent=2))
    else:
        print("\n".join(simulation_lines(result, dying)))


def demanded(keys: dict[str, Any], file: str | None) -> dict[str, Any]:
    """The keys with the demand of the file's traffic, where they have none of their own."""
    _needs("numba", "simulate")
    from infrascale.parsing.traffic import asked_of, demanding, trace

    asked = asked_of(_table(file))
    return demanding(keys, asked, trace(asked.replay) if asked.replay else None)


def verified(found: Plan, file: str | None, calibration: str | None) -> tuple[Plan, tuple[Verdict, ...]]:
    """For `plan --verify`: the short list under the traffic that the file tells."""
    _needs("numba", "simulate")
    from infrascale import api
    from infrascale.cli.progress import shown
    from infrascale.parsing.traffic import asked_of, circumstances

    asked = asked_of(_table(file))
    with shown("simulating") as progress:
        return api.verify(found, circumstances(asked), calibration=calibration, progress=progress)


def _table(file: str | None) -> dict[str, Any]:
    from infrascale.parsing.scenarios import traffic_table

    return traffic_table(file) if file and not file.endswith(".json") else {}


def _plan(file: str | None, scene: dict[str, Any], asked: Asked, replay: Any, calibration: str | None) -> Plan:
    """The plan that is simulated: saved, or made now; of a trace's demand where nothing else is given."""
    from infrascale import api
    from infrascale.errors import ScenarioError
    from infrascale.parsing.traffic import demanding

    if file and file.endswith(".json"):
        from infrascale.parsing.plans import read_plan

        if scene or calibration:
            given = ", ".join([*scene, *(["calibration"] if calibration else [])])
            raise ScenarioError(f"{given} beside a saved plan", why="a plan keeps its question", fix="leave them out")
        return read_plan(file, api.curves)[0]
    return api.plan(calibration=calibration, **demanding(keys_of(file, scene), asked, replay))


def _needs(module: str, extra: str) -> None:
    from infrascale.errors import ScenarioError

    if find_spec(module) is None:
        raise ScenarioError(f"this needs {module}", why="it is not installed", fix=f"pip install 'infrascale[{extra}]'")


def _check_plot(path: str) -> None:
    from pathlib import Path

    from infrascale.errors import FileError

    if Path(path).suffix.lower() not in (".png", ".svg"):
        raise FileError(f"{path} is no plot", why="its ending is neither .png nor .svg", fix="--plot out.png")
