"""Predictions for measured rows, from their inputs alone: how accuracy is judged.

In: a CSV of measurement rows.    Out: the same rows with pred_* columns, a status and a reason. No row is dropped.
A benchmark's closed loop starts all its clients at once, so its TTFT is the burst's, not the steady state's.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import ceil, inf, isfinite, log
from pathlib import Path
from typing import Protocol

from infrascale.deployment import PhysicsTimer, busy_power_w, cache_bytes_per_request, memory_budget
from infrascale.errors import CatalogError, FileError, InfraScaleError, ModelError
from infrascale.hardware import BETWEEN_SERVERS, Efficiency, Gpu
from infrascale.model import Model
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import Asked, asked
from infrascale.parsing.tables import Row, read_table
from infrascale.serving import (
    Limits,
    Performance,
    Pool,
    Spread,
    closed_loop,
    disaggregated,
    limits_of,
    steps,
    steps_until_seen,
    tpot_s,
)
from infrascale.serving import Regime as Load
from infrascale.serving.at_once import CHAT_CV, run_at_once
from infrascale.serving.burst import burst_spread
from infrascale.serving.queueing import Loaded, Replica
from infrascale.serving.routing import Arrivals
from infrascale.serving.steady_state import decode_batch, prompts_fraction
from infrascale.uncertainty import Intervals, Regime, intervals, regime_of
from infrascale.work import Batch
from infrascale.workload import Workload

MEASURES = ("ttft_mean_s", "tpot_mean_s", "e2e_mean_s", "output_tok_per_s_total")
COLUMNS = tuple(f"pred_{m}{end}" for m in MEASURES for end in ("", "_low", "_high"))
#: Percentiles, where the load is open and steady; of a closed loop in which nobody waits for a place, of the TTFT. No
#: measurements tell how sure they are.
TAILS = tuple(f"{name}_p{share}_s" for name in ("ttft", "tpot", "e2e") for share in (50, 90, 95, 99))
COLUMNS += (*(f"pred_{name}" for name in TAILS), "pred_power_w", "status", "reason")
Found = dict[str, float | str]
#: Arrival rate over predicted capacity up to which a completed run is taken as sustained.
KNEE = 1.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One row's predicted measures, in the regime that tells how sure they are; `power_w` of all engines' GPUs."""

    measures: dict[str, float]
    power_w: float
    regime: Regime
    reason: str = ""
    tails: dict[str, float] = field(default_factory=dict)


class Own(Protocol):
    """What load tests of one's own make of the general model (`calibration.own.Calibration`)."""

    def efficiency(
        self, general: Efficiency, gpu: Gpu, model: Model, engine: str | None = None, gpus: int | None = None
    ) -> Efficiency: ...

    def intervals(self, asked: Asked, general: Efficiency) -> Intervals: ...


def predict_file(
    path: str, out: str, progress: Callable[[int, int], None] | None = None, own: Own | None = None
) -> None:
    """Predict every row of `path` into `out`, which appears whole or not at all."""
    table = read_table(path)
    header, rows = table.header, list(zip(table.rows, table.named, strict=True))
    target = Path(out)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, [*header, *(c for c in COLUMNS if c not in header)])
            writer.writeheader()
            for done, (row, named) in enumerate(rows, 1):
                writer.writerow({**row, **predict_row(named, own)})
                if progress:
                    progress(done, len(rows))
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise FileError(f"{out} cannot be written", why=error.strerror or str(error), fix="check the path") from None


def predict_row(row: Row, own: Own | None = None) -> dict[str, str]:
    """The new cells of one row."""
    cells = dict.fromkeys(COLUMNS, "")
    try:
        question = asked(row)
        found = predict(question, own)
        table = own.intervals(question, efficiency()) if own else intervals()
    except (CatalogError, ModelError) as error:
        return {**cells, "status": "unsupported", "reason": _one_line(error)}
    except InfraScaleError as error:
        return {**cells, "status": "error", "reason": _one_line(error)}
    except (ArithmeticError, ValueError) as error:
        return {**cells, "status": "error", "reason": f"the numbers of this row do not go together ({error})"}
    for measure, (low, high) in table.bounds(found.measures, found.regime).items():
        values = (("", found.measures[measure]), ("_low", low), ("_high", high))
        cells |= {f"pred_{measure}{end}": f"{value:.6g}" for end, value in values}
    cells |= {f"pred_{name}": f"{value:.6g}" for name, value in found.tails.items()}
    cells["pred_power_w"] = f"{found.power_w:.6g}"
    return {**cells, "status": "ok", "reason": found.reason}


def _one_line(error: InfraScaleError) -> str:
    return f"{error.what}: {error.why}" if error.why else error.what


def predict(row: Asked, own: Own | None = None) -> Prediction:
    """`own` load tests correct the general model.

    Raises CatalogError where the weights do not fit, ValueError where a number is not finite.
    """
    limits = limits_of(row.deployment, row.workload)
    of = row.deployment
    curves = own.efficiency(efficiency(), of.gpu, of.model, of.engine.name, of.shard.gpus) if own else efficiency()
    timer = PhysicsTimer(deployment=row.deployment, efficiency=curves)
    if limits.running < 1:
        budget = memory_budget(row.deployment)
        if budget.kv_cache_bytes <= 0:
            needed, total = budget.needed_bytes / 1e9, budget.total_bytes / 1e9
            raise CatalogError(f"needs {needed:.1f} GB a GPU, which has {total:.1f}", why="", fix="more GPUs")
        limits = Limits(max_num_seqs=1, cached_seqs=1, step_tokens=limits.step_tokens)
    kind = kind_of(row)
    found = _WAYS[kind](row, timer, limits)
    note = str(found.pop("reason", ""))
    running = float(found.pop("running"))
    sharing = row.decode_engines * (row.replicas if kind == "closed" else 1)
    beyond = (row.concurrency or 0.0) > 0.9 * limits.running * sharing
    queued = bool(found.pop("queued", False)) or beyond
    tails = {key: float(found.pop(key)) for key in TAILS if key in found}
    measures = {key: float(value) for key, value in found.items()}
    if any(not isfinite(value) or value <= 0 for value in measures.values()):
        raise ValueError("no finite prediction")
    regime = regime_of(of, kind, queued, row.engine_measured, row.untold)
    strange = f"kernels for latent attention were new in {of.engine.name} {of.engine.version}" if regime.new else ""
    return Prediction(
        measures=measures,
        power_w=row.replicas * power_w(timer, row.workload, limits, running, kind == "pools"),
        regime=regime,
        reason="; ".join(part for part in (row.assumed, strange, note) if part),
        tails=tails,
    )


def power_w(timer: PhysicsTimer, load: Workload, limits: Limits, running: float, apart: bool = False) -> float:
    """Watts of one engine with `running` in its batch; `apart`: their prompts are read elsewhere."""
    running = max(1.0, running)
    share = 0.0 if apart else prompts_fraction(steps(timer, load, limits, running), load, running)
    return busy_power_w(timer, decode_batch(running, load), share)


def kind_of(row: Asked) -> str:
    """How the load was offered: closed, pools (disaggregated), open, static (a batch at once), saturated.

    `single`: one request alone, timed at the engine, so a batch of one.
    """
    if row.prefill is not None:
        return "pools"
    if row.load_kind in ("offline", "single"):
        return "static" if row.concurrency else "saturated"
    return "open" if row.load_kind == "open" and row.request_per_s else "closed"


def _closed(row: Asked, timer: PhysicsTimer, limits: Limits) -> Found:
    """The clients are shared among the replicas, and so is what they get."""
    laws, clients = dict(timer.efficiency.laws), max(1.0, (row.concurrency or 1.0) / row.replicas)
    p = closed_loop(timer, row.workload, limits, timer.host, laws, clients, Load.BURST, row.waves)
    busy = min(row.replicas, row.concurrency or 1.0)  # fewer clients than replicas leave some idle
    cells = _cells(p.ttft_s.mean_s, p.tpot_s.mean_s, p.e2e_s.mean_s, busy * p.output_token_per_s, p.running_seqs)
    first = p.ttft_s
    if not first.quantiles_s and limits.takes_any_step and not p.waiting_seqs:
        args = timer, row.workload, limits, timer.host, laws, p.running_seqs, row.waves
        first = burst_spread(*args, first.mean_s)
    return cells | _tails({"ttft": first})


def _tails(felt: dict[str, Spread]) -> Found:
    """Percentiles, as far as they are known."""
    every = {f"{name}_p{q * 100:.0f}_s": v for name, spread in felt.items() for q, v in spread.quantiles_s.items()}
    return {name: value for name, value in every.items() if name in TAILS}


def _cells(ttft: float, tpot: float, e2e: float, rate: float, running: float) -> Found:
    return {**dict(zip(MEASURES, (ttft, tpot, e2e, rate), strict=True)), "running": running}


def _static(row: Asked, timer: PhysicsTimer, limits: Limits) -> Found:
    """A batch handed over at once, to one engine: all prompts, then decoding together; more goes in later waves.

    Nothing is sent over a network: the front end's time is left out.
    """
    batch = row.concurrency or 1.0
    waves = ceil(batch / limits.running)
    wave, load = batch / waves, row.workload
    chunks = max(1, ceil(wave * load.isl_tokens / limits.step_tokens))
    prompts = Batch(prefill_tokens=wave * load.isl_tokens / chunks, prefill_seqs=max(1.0, wave / chunks))
    ttft = chunks * timer(prompts)
    tpot = timer(decode_batch(wave, load))
    e2e = waves * (ttft + (load.osl_tokens - 1) * tpot)
    return _cells(ttft, tpot, e2e, batch * load.osl_tokens / e2e, wave)


def _apart(row: Asked, timer: PhysicsTimer, limits: Limits) -> Found:
    """Pools of prefill and decode engines; the cache of a prompt moves over the network between servers."""
    assert row.prefill is not None
    deployment, load = row.prefill, row.workload
    pool = Pool(
        timer=PhysicsTimer(deployment=deployment, efficiency=timer.efficiency),
        limits=limits_of(deployment, load),
        engines=row.prefill_engines,
        lanes=deployment.shard.dp,
    )
    answers = Pool(timer=timer, limits=limits, engines=row.decode_engines)
    moving = cache_bytes_per_request(row.deployment, load.isl_tokens) / BETWEEN_SERVERS.bytes_per_s
    p = disaggregated(pool, answers, load, timer.host, row.concurrency or 1.0, moving, row.waves)
    running = p.running_seqs / row.decode_engines
    return _cells(p.ttft_s.mean_s, p.tpot_s.mean_s, p.e2e_s.mean_s, p.output_token_per_s, running)


def _saturated(row: Asked, timer: PhysicsTimer, limits: Limits) -> Found:
    """Everything queued at once: the batch is as full as the cache, the engine and the run allow.

    Of n requests the times are those of the run they make (`serving.at_once`), its start and its end included; of
    untold many, those of a batch that is full throughout. Tokens per second are the run's where answers of many lengths
    finish one by one; benchmarks of one length report what a full batch does.
    """
    even, load = balanced(limits, row.workload), row.workload
    sent = (row.requests or inf) / row.replicas
    running = min(even.running, sent)
    found = steps(timer, load, even, running)
    token = tpot_s(found, load, running)
    full = row.replicas * running / token
    if row.requests:
        run = run_at_once(timer, load, limits, sent, CHAT_CV if row.lengths_vary else 0.0)
        total = row.requests * load.osl_tokens / run.whole_s if row.lengths_vary else full
        host_s = timer.host.request_s
        return _cells(host_s + run.ttft_s, run.tpot_s, host_s + run.e2e_s, total, run.running(sent))
    own, answer = timer.host.request_s + found.prompt_s, load.osl_tokens * token
    wait = (running - 1) / 2 * found.extra_s
    cells = _cells(own + wait, token, own + wait + answer, full, running)
    return {**cells, "reason": "saturated: the engine is taken as full throughout"}


def _tail_s(row: Asked, timer: PhysicsTimer, limits: Limits, running: float) -> float:
    """From the last arrival until the last answer, with `running` under way then [s].

    Answers of one length end together. Of answers that vary as widely as chats do, each as likely to end as the next,
    b in flight lose one in osl · tpot(b) / b: the tail is the sum over b, here by halves of what is left.
    """
    load = row.workload
    if not row.lengths_vary:
        return load.osl_tokens * tpot_s(steps(timer, load, limits, running), load, running)
    tail, left = 0.0, max(1.0, running)
    while left > 1:
        half = max(1.0, left / 2)
        middle = (left * half) ** 0.5
        tail += log(left / half) * load.osl_tokens * timer(decode_batch(middle, load))
        left = half
    return tail + load.osl_tokens * timer(decode_batch(1.0, load))


def _open(row: Asked, timer: PhysicsTimer, limits: Limits) -> Found:
    """Arrivals at a rate λ; beyond the most that is sustained, μ, a run of n requests queues ever longer.

    The average request then waits n/2 · (1/μ − 1/λ). Within `KNEE` of μ, which is not known better, a run that was
    completed and published is taken as sustained. A short run is not all steady state: its requests are spread over
    n/λ and the time of one answer, so that on average as many are in flight as at the rate n / (n/λ + answer).
    """
    rate = offered = (row.request_per_s or 0.0) / row.replicas
    sent = (row.requests or inf) / row.replicas
    limits = balanced(limits, row.workload)
    limits = replace(limits, max_num_seqs=max(1.0, min(limits.max_num_seqs, sent)))  # no more run than were sent
    unseen = steps_until_seen(row.deployment)
    replica = Replica(timer=timer, workload=row.workload, limits=limits, host=timer.host, unseen_steps=unseen)
    for _ in range(1 if sent == inf else 3):
        found = replica.under(Arrivals(request_per_s=rate, scv=row.arrival_scv))
        full = None if isinstance(found, Loaded) else _full(row, timer, limits)
        p = found.performance if isinstance(found, Loaded) else full
        rate = offered if sent == inf else 1 / (1 / offered + p.e2e_s.mean_s / sent)
    total = _over_the_run(row, timer, limits, p.output_token_per_s, p.running_seqs)
    if isinstance(found, Loaded):
        cells = _cells(p.ttft_s.mean_s, p.tpot_s.mean_s, p.e2e_s.mean_s, total, p.running_seqs)
        return cells | _tails({"ttft": p.ttft_s, "tpot": p.tpot_s, "e2e": p.e2e_s})
    most = found.request_per_s
    wait = (row.requests or 0.0) / row.replicas / 2 * max(0.0, 1 / most - KNEE / offered)
    cells = _cells(p.ttft_s.mean_s + wait, p.tpot_s.mean_s, p.e2e_s.mean_s + wait, total, p.running_seqs)
    note = f"saturated: at most {most * row.replicas:.3g} requests/s are sustained"
    return {**cells, "reason": note, "queued": True}


def _full(row: Asked, timer: PhysicsTimer, limits: Limits) -> Performance:
    """As many running as may."""
    laws = dict(efficiency().laws)
    return closed_loop(timer, row.workload, limits, timer.host, laws, limits.running, Load.STEADY)


def balanced(limits: Limits, load: Workload) -> Limits:
    """Limits under a flow: each answer of osl steps brings one prompt of isl tokens into the same steps' tokens.

    running · (1 + isl / osl) <= tokens of a step
    """
    most = limits.step_tokens / (1 + load.new_tokens / load.osl_tokens)
    return replace(limits, max_num_seqs=max(1.0, min(limits.max_num_seqs, most)))


def _over_the_run(row: Asked, timer: PhysicsTimer, limits: Limits, steady: float, running: float) -> float:
    """Tokens per second of all replicas over a run of n requests, which ends with the last answer [tokens/s]."""
    if not row.requests or steady <= 0:
        return steady * row.replicas
    tokens = row.requests / row.replicas * row.workload.osl_tokens
    return row.replicas * tokens / (tokens / steady + _tail_s(row, timer, limits, max(1.0, running)))


_WAYS: dict[str, Callable[[Asked, PhysicsTimer, Limits], Found]] = {
    "closed": _closed,
    "pools": _apart,
    "open": _open,
    "static": _static,
    "saturated": _saturated,
}
