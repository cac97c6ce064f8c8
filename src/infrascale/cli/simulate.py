"""`infrascale simulate`: the plan of a scenario, or a number of replicas, under traffic, request by request."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infrascale.cli.flags import Gpus, Json, Model, Number, Precisions, ScenarioFile, Whole, keys_of

if TYPE_CHECKING:
    from infrascale.planning import Candidate, Scenario
    from infrascale.serving.simulation.fleet import Records
    from infrascale.serving.simulation.outcome import Outcome
    from infrascale.studies.simulating import Asked


def simulate(
    file: ScenarioFile = None,
    model: Model = None,
    gpu: Gpus = None,
    precision: Precisions = None,
    users: Number = None,
    think_s: Number = None,
    request_per_s: Number = None,
    tokens_per_s: Number = None,
    ttft: Number = None,
    isl: Number = None,
    osl: Number = None,
    prefix_hit: Number = None,
    replicas: Annotated[int | None, typer.Option(help="Instead of the planned number.", min=1, max=10_000)] = None,
    seconds: Annotated[float | None, typer.Option(help="Span that counts.", min=1, max=4e6)] = None,
    burstiness: Annotated[float, typer.Option(help="Of arrivals: 1 Poisson, 0 regular.", min=0, max=20)] = 1.0,
    isl_cv: Annotated[float, typer.Option(help="Spread of the input lengths over their mean.", min=0, max=10)] = 0.0,
    osl_cv: Annotated[float, typer.Option(help="Same of the output lengths.", min=0, max=10)] = 0.0,
    policy: Annotated[str, typer.Option(help="round-robin, least-loaded, session, prefix")] = "round-robin",
    seed: Annotated[int, typer.Option(help="Of the random traffic: the same gives the same.", min=0)] = 1,
    trace: Annotated[str | None, typer.Option(help="A Chrome/Perfetto trace to write.")] = None,
    plot: Annotated[str | None, typer.Option(help="A plot to write: .png or .svg.")] = None,
    max_num_seqs: Whole = None,
    as_json: Json = False,
) -> None:
    """What users feel: percentiles under random traffic, request by request through vLLM's scheduling."""
    own = (
        "file",
        "as_json",
        "replicas",
        "seconds",
        "burstiness",
        "isl_cv",
        "osl_cv",
        "policy",
        "seed",
        "trace",
        "plot",
    )
    flags = {key: value for key, value in locals().items() if key not in own and key != "own"}
    _needs("numba", "simulate")
    if plot is not None:
        _needs("matplotlib", "plots")
    from infrascale import api
    from infrascale.cli.progress import shown
    from infrascale.studies.simulating import Asked, run

    asked = Asked(
        replicas=replicas,
        seconds=seconds,
        seed=seed,
        burstiness=burstiness,
        isl_cv=isl_cv,
        osl_cv=osl_cv,
        policy=policy,
    )
    scenario = api.ask(**keys_of(file, flags))
    found = api.plan(scenario)
    if found.best is None:
        print("infeasible: no number of these GPUs keeps the promise; infrascale plan says why")
        raise typer.Exit(3)
    with shown("simulating") as progress:
        records, result, size, span = run(scenario, found.best, asked, progress)
    if trace is not None:
        from infrascale.serving.simulation.trace import chrome_trace
        from infrascale.writing import write

        write({"trace.json": json.dumps(chrome_trace(records))}, trace)
    if plot is not None:
        draw(records, scenario, plot)
    if as_json:
        print(json.dumps(outcome_json(result, size, span, asked), indent=2))
    else:
        print("\n".join(outcome_lines(result, scenario, found.best, size, span, asked)))


def _needs(module: str, extra: str) -> None:
    from infrascale.errors import ScenarioError

    if find_spec(module) is None:
        raise ScenarioError(f"this needs {module}", why="it is not installed", fix=f"pip install 'infrascale[{extra}]'")


def outcome_json(result: Outcome, replicas: int, span_s: float, asked: Asked) -> dict[str, Any]:
    found = result.performance
    spreads = {"ttft": found.ttft_s, "tpot": found.tpot_s, "itl": found.itl_s, "e2e": found.e2e_s}
    return {
        "seed": asked.seed,
        "replicas": replicas,
        "policy": asked.policy,
        "span_s": span_s,
        "judged_requests": result.judged_requests,
        "unanswered_requests": result.unanswered_requests,
        "queue_grows": result.queue_grows,
        "request_per_s": found.request_per_s * replicas,
        "output_token_per_s": found.output_token_per_s * replicas,
        "goodput_request_per_s": result.goodput_request_per_s,
        "kept_fraction": result.kept_fraction,
        "running_seqs_per_replica": found.running_seqs,
        "waiting_seqs_per_replica": found.waiting_seqs,
        "kv_used_fraction": found.kv_used_fraction,
        "preemptions": result.preemptions,
        "prefix_hit_fraction": result.hit_fraction,
        "requests_by_replica": list(result.requests_by_replica),
        **{
            f"{name}_s": {"mean": spread.mean_s, **{f"p{100 * q:g}": s for q, s in spread.quantiles_s.items()}}
            for name, spread in spreads.items()
            if spread is not None
        },
        "half_width_95_s": {
            f"{name}_{key if isinstance(key, str) else f'p{100 * key:g}'}": width
            for (name, key), width in result.half_widths_s.items()
        },
    }


def outcome_lines(
    result: Outcome, scenario: Scenario, best: Candidate, replicas: int, span_s: float, asked: Asked
) -> list[str]:
    found, promise = result.performance, scenario.promise
    fewest, most = min(result.requests_by_replica), max(result.requests_by_replica)
    lines = [
        f"{replicas:,} × {best.gpus_per_replica} × {best.deployment.gpu.name}  for {scenario.model.id}",
        f"  {result.judged_requests:,} requests in {span_s:,.0f} s, {asked.policy}, seed {asked.seed}",
        "",
        "  seconds           mean       p50       p90       p95       p99   ± of p95",
    ]
    for name, spread in (("TTFT", found.ttft_s), ("TPOT", found.tpot_s), ("ITL", found.itl_s), ("E2E", found.e2e_s)):
        if spread is not None:
            row = "".join(f"{spread.quantiles_s.get(q, 0.0):>10.4f}" for q in (0.5, 0.9, 0.95, 0.99))
            width = result.half_widths_s.get((name.lower(), 0.95))
            lines.append(f"  {name:<12}{spread.mean_s:>10.4f}{row}" + (f"{width:>11.4f}" if width is not None else ""))
    lines += [
        "",
        f"  promise kept      {result.kept_fraction:.2%} of requests (TTFT {promise.ttft_s:g} s,"
        f" {promise.token_per_s:g} tokens/s)",
        f"  goodput           {result.goodput_request_per_s:,.2f} of {found.request_per_s * replicas:,.2f} requests/s",
        f"  per replica       {found.running_seqs:,.1f} running, {found.waiting_seqs:,.1f} waiting,"
        f" {found.kv_used_fraction:.0%} of the cache",
        f"  preemptions       {result.preemptions:,}; prefix hits {result.hit_fraction:.0%} of the input",
        f"  balance           {fewest:,} to {most:,} requests a replica",
    ]
    if result.queue_grows:
        lines += ["", "  The queue grows: more arrives than is served, so these times have no end."]
    return lines


def draw(records: Records, scenario: Scenario, path: str) -> None:
    """Batch, queue and cache over time, and the distributions of TTFT and TPOT."""
    import io
    from pathlib import Path

    import matplotlib
    import numpy as np

    from infrascale.errors import FileError
    from infrascale.serving.simulation.request import PS_PER_S
    from infrascale.writing import write

    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in ("png", "svg"):
        raise FileError(f"{path} is no plot", why="its ending is neither .png nor .svg", fix="--plot out.png")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(2, 2, figsize=(10, 6), constrained_layout=True)
    names = (("running requests", 0), ("waiting requests", 1))
    for name, column in names:
        panels[0, 0].plot(records.moments_s, records.series[:, :, column].sum(axis=1), label=name)
    panels[0, 0].set(title="all replicas", xlabel="s")
    panels[0, 0].legend()
    used = records.series[:, :, 2] / records.blocks
    panels[0, 1].plot(records.moments_s, 100 * used.mean(axis=1), label="mean of the replicas")
    panels[0, 1].plot(records.moments_s, 100 * used.max(axis=1), label="fullest replica")
    panels[0, 1].set(title="KV cache in use, %", xlabel="s", ylim=(0, 105))
    panels[0, 1].legend()
    there = records.last_ps >= 0
    waits = (records.first_ps - records.arrival_ps)[there] / PS_PER_S
    paces = (records.last_ps - records.first_ps)[there] / np.maximum(1, records.osl_tokens[there] - 1) / PS_PER_S
    for panel, values, limit, title in (
        (panels[1, 0], waits, scenario.promise.ttft_s, "time to first token, s"),
        (panels[1, 1], paces, 1 / scenario.promise.token_per_s, "time per output token, s"),
    ):
        ordered = np.quantile(values, np.linspace(0, 1, 501))
        panel.plot(ordered, np.linspace(0, 100, 501))
        panel.axvline(limit, color="tab:red", linestyle="--", label="promise")
        panel.set(title=title, ylabel="% of requests at most", xscale="log")
        panel.legend()
    image = io.BytesIO()
    figure.savefig(image, format=kind, dpi=110)
    pyplot.close(figure)
    write({f"plot.{kind}": image.getvalue()}, path)
