"""`infrascale plan` and `infrascale capacity`. With --json an error is JSON on stdout too."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from infrascale.cli.errors import errors_as
from infrascale.cli.flags import (
    Calibration,
    Country,
    Currency,
    FirstToken,
    Gpus,
    InputSpread,
    Json,
    Model,
    Number,
    Objective,
    OutputSpread,
    PeakHour,
    Power,
    Precisions,
    Prices,
    Rate,
    ScenarioFile,
    Speed,
    Text,
    Whole,
    Wholes,
    keys_of,
)

if TYPE_CHECKING:
    from infrascale.planning import Scenario
    from infrascale.simulating.verify import Verdict


def plan(
    file: ScenarioFile = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Annotated[float | None, typer.Option(help="People connected at the peak.")] = None,
    requests_per_user_hour: Annotated[float | None, typer.Option(help="Requests an hour of one; 24 assumed.")] = None,
    requests_per_user: Annotated[float | None, typer.Option(help="Or: share of them with a request in flight.")] = None,
    think_s: Annotated[float | None, typer.Option(help="Seconds a user thinks between requests.")] = None,
    request_per_s: Annotated[float | None, typer.Option(help="Requests per second at the peak.")] = None,
    agents: Annotated[float | None, typer.Option(help="A population, with --requests-per-day.")] = None,
    adoption: Number = None,
    requests_per_day: Number = None,
    peak_hour: PeakHour = None,
    tokens_per_s: Speed = None,
    tpot: Annotated[float | None, typer.Option(help="The same, as seconds per output token.")] = None,
    ttft: FirstToken = None,
    isl: Annotated[float | None, typer.Option(help="Input tokens.")] = None,
    osl: Annotated[float | None, typer.Option(help="Output tokens.")] = None,
    isl_cv: InputSpread = None,
    osl_cv: OutputSpread = None,
    arrival_cv: Annotated[float | None, typer.Option(help="Spread of request gaps; above 1 also simulate.")] = None,
    prefix_hit: Annotated[float | None, typer.Option(help="Share of the input in the prefix cache.")] = None,
    max_gpus: Whole = None,
    gpus_per_replica: Wholes = None,
    gpus_per_server: Annotated[int | None, typer.Option(help="GPUs in a server, where yours differ.")] = None,
    redundancy: Annotated[int | None, typer.Option(help="Spare replicas (N+1: 1).")] = None,
    headroom: Annotated[float | None, typer.Option(help="Demand added on top, as a share.")] = None,
    max_num_seqs: Whole = None,
    max_num_batched_tokens: Whole = None,
    max_model_len: Whole = None,
    gpu_memory_utilization: Number = None,
    kv_cache_dtype: Text = None,
    engine: Text = None,
    engine_version: Text = None,
    max_kw: Power = None,
    objective: Objective = None,
    price: Prices = None,
    offer: Annotated[str | None, typer.Option(help="rent, reserved or buy: what cost is counted in.")] = None,
    currency: Currency = None,
    rate: Rate = None,
    country: Country = None,
    solver: Annotated[str, typer.Option(help="exact (proven), or nelder-mead.")] = "exact",
    physics: Annotated[str, typer.Option(help="operators, or classic (the original's, to compare).")] = "operators",
    calibration: Calibration = None,
    verify: Annotated[bool, typer.Option("--verify", help="Simulate the short list; raise N where tails ask.")] = False,
    levers: Annotated[bool, typer.Option("--levers", help="Also: which single changes save GPUs.")] = False,
    as_json: Json = False,
) -> None:
    """The fewest GPUs that serve a demand within a promise, and why."""
    apart = ("file", "as_json", "tpot", "solver", "physics", "calibration", "verify", "levers")
    flags = {k: v for k, v in locals().items() if k not in ("apart", *apart)} | {"tpot_s": tpot}
    from infrascale import api
    from infrascale.parsing.plans import asked_as
    from infrascale.screen import certainty_json, plan_json, plan_lines, rest_json

    with errors_as(as_json):
        keys = keys_of(file, flags)
        if verify:
            from infrascale.cli.simulate import demanded

            keys = demanded(keys, file)
        if physics != "operators":
            _classic(physics, api.ask(**keys), as_json)
            return
        found = api.plan(solver=solver, calibration=calibration, **keys)
        verdicts: tuple[Verdict, ...] = ()
        if verify:
            from infrascale.cli.simulate import verified

            found, verdicts = verified(found, file, calibration)
        sure = api.certainty(found, calibration=calibration)
        eased = api.levers(found, calibration=calibration, **keys) if levers else []
    rest = api.rest(calibration, found.scenario, found.best) if calibration else None
    if as_json:
        printed = plan_json(found) | certainty_json(sure) | rest_json(rest) | asked_as(keys, found.solver, calibration)
        if verify:
            from infrascale.screen.simulation import verdicts_json

            printed |= verdicts_json(verdicts)
        if levers:
            from infrascale.report.levers import levers_json

            printed["levers"] = levers_json(eased)
        print(json.dumps(printed, indent=2))
    else:
        print("\n".join(plan_lines(found, sure=sure, rest=rest)))
        if verify:
            from infrascale.screen.simulation import verdict_lines

            print("\n".join(verdict_lines(verdicts, found.scenario.promise)))
        if levers and found.best is not None:
            from infrascale.locales import words
            from infrascale.report.levers import lever_lines

            print("\n".join(lever_lines(words(), eased)))
    if found.best is None or (verdicts and all(verdict.candidate is None for verdict in verdicts)):
        raise typer.Exit(3)


def _classic(physics: str, asked: Scenario, as_json: bool) -> None:
    """The original's answer for each GPU kind, labelled as such."""
    from infrascale.errors import ScenarioError
    from infrascale.planning.classic import classic
    from infrascale.screen.classic import classic_json, classic_lines
    from infrascale.workload import in_flight

    if physics != "classic":
        raise ScenarioError(f"unknown physics {physics[:30]!r}", why="there are two", fix="operators or classic")
    stays_s = asked.promise.ttft_s + asked.workload.osl_tokens / asked.promise.token_per_s
    requests = in_flight(asked.demand, stays_s) * (1 + asked.headroom_fraction)
    ways = {gpu.id: classic(asked, gpu, requests) for gpu in asked.gpus}
    print(json.dumps(classic_json(ways), indent=2) if as_json else "\n".join(classic_lines(ways)))
    if not any(ways.values()):
        raise typer.Exit(3)


def capacity(
    gpus: Annotated[int, typer.Option(help="How many GPUs there are.", min=1, max=10**7)],
    file: ScenarioFile = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    requests_per_user: Number = None,
    requests_per_user_hour: Number = None,
    tokens_per_s: Speed = None,
    ttft: FirstToken = None,
    isl: Number = None,
    osl: Number = None,
    isl_cv: Number = None,
    osl_cv: Number = None,
    arrival_cv: Number = None,
    prefix_hit: Number = None,
    gpus_per_replica: Wholes = None,
    gpus_per_server: Whole = None,
    redundancy: Whole = None,
    max_num_seqs: Whole = None,
    max_num_batched_tokens: Whole = None,
    max_model_len: Whole = None,
    gpu_memory_utilization: Number = None,
    kv_cache_dtype: Text = None,
    engine: Text = None,
    engine_version: Text = None,
    calibration: Calibration = None,
    as_json: Json = False,
) -> None:
    """What GPUs that you own can serve within the promise."""
    flags = {k: v for k, v in locals().items() if k not in ("file", "as_json", "gpus", "calibration")}
    from infrascale import api
    from infrascale.screen import beyond_json, capacity_lines, capacity_ways, rest_json

    with errors_as(as_json):
        asked = api.ask(needs_demand=False, **keys_of(file, flags))
        found = api.capacity(gpus, asked, calibration=calibration)
        beyond = api.beyond(gpus, asked, found, calibration=calibration)
    rest = api.rest(calibration, asked, found[0][0] if found else None) if calibration else None
    if as_json:
        extra = beyond_json(beyond) | rest_json(rest)
        ways = capacity_ways(asked, found)
        print(json.dumps({"gpus": gpus, "feasible": bool(found), **extra, "ways": ways}, indent=2))
    else:
        print("\n".join(capacity_lines(gpus, asked, found, beyond=beyond, rest=rest)))
    if not found:
        raise typer.Exit(3)
