"""Answers to a table of questions: every row gets a prediction or the reason why there is none.

In: a CSV in the schema of `parsing.measurements`.    Out: the same rows with the columns PREDICTED added.
"""

from __future__ import annotations

import csv
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil
from pathlib import Path

from infrascale.deployment import PhysicsTimer, memory_budget
from infrascale.errors import FileError, InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import Malformed, Question, Unsupported, Worker, question, read_rows
from infrascale.serving import Limits, Regime, Saturated, closed_loop, limits_of, open_loop, steps, tpot_s
from infrascale.work import Batch

QUANTITIES = ("ttft_mean_s", "tpot_mean_s", "e2e_mean_s", "output_tok_per_s_total")
PREDICTED = (
    *(f"pred_{name}{suffix}" for name in QUANTITIES for suffix in ("", "_low", "_high")),
    "pred_power_w",
    "status",
    "reason",
)
#: Memory share, tokens and sequences a step that an operator falls back to when the defaults leave no cache.
_TIGHTER = ((0.95, 2048, 256), (0.98, 512, 64))

Numbers = dict[str, float]


def predict_row(row: Mapping[str, str]) -> dict[str, str]:
    """In: one row as text.    Out: the columns PREDICTED; `status` is ok, unsupported or error. Never raises."""
    answer = dict.fromkeys(PREDICTED, "")
    try:
        asked = question(row)
        values, remarks = _answer(asked)
        bad = next((name for name, value in values.items() if not (math.isfinite(value) and value > 0)), None)
        if bad is not None:
            raise Malformed(f"{bad} came out as {values[bad]:g}", why="the row asks for more than the model can tell")
        answer.update({f"pred_{name}": f"{value:.6g}" for name, value in values.items()})
        answer.update(status="ok", reason="; ".join(remarks))
    except Unsupported as error:
        answer.update(status="unsupported", reason=_plain(error))
    except InfraScaleError as error:
        answer.update(status="error", reason=_plain(error))
    except (ArithmeticError, ValueError, LookupError, TypeError) as error:
        answer.update(status="error", reason=f"no number comes out: {type(error).__name__}: {error}")
    return answer


def predict_file(
    path: str | Path, out: str | Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, int]:
    """In: a CSV, where to write, `progress(done, total)`.    Out: rows by status; `out` appears whole or not at all.

    Columns of an earlier prediction are replaced.
    """
    columns, rows = read_rows(path)
    counts = {"ok": 0, "unsupported": 0, "error": 0}
    kept = [name for name in columns if name not in PREDICTED]
    found = []
    for done, row in enumerate(rows, 1):
        answer = predict_row(row)
        counts[answer["status"]] += 1
        found.append({**{name: row[name] for name in kept}, **answer})
        if progress:
            progress(done, len(rows))
    _write(Path(out), [*kept, *PREDICTED], found)
    return counts


def _write(out: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
        with open(handle, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, out)
    except OSError as error:
        why = error.strerror or str(error)
        raise FileError(f"{out} cannot be written", why=why, fix="choose another place") from None
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def _plain(error: InfraScaleError) -> str:
    text = error.what + (f" ({error.why})" if error.why else "")
    return " ".join(text.split())


def _fitting(asked: Question) -> tuple[Question, Limits, list[str]]:
    """The question with an engine whose cache holds a request, or Unsupported."""
    remarks = list(asked.remarks)
    deployment = asked.deployment
    budget = memory_budget(deployment)
    gib = budget.weights_bytes / 2**30
    if budget.weights_bytes > budget.total_bytes:
        have = budget.total_bytes / 2**30
        raise Unsupported(f"weights do not fit: {gib:.0f} GiB a GPU of {have:.0f} GiB", fix="more GPUs, fewer bits")
    limits = limits_of(deployment, asked.workload)
    for share, tokens, seqs in _TIGHTER:
        if limits.running >= 1:
            break
        engine = replace(
            deployment.engine,
            gpu_memory_utilization=share,
            max_num_batched_tokens=min(tokens, deployment.engine.max_num_batched_tokens),
            max_num_seqs=min(seqs, deployment.engine.max_num_seqs),
        )
        tighter = replace(deployment, engine=engine)
        limits = limits_of(tighter, asked.workload)
        if limits.running >= 1:
            remarks.append(f"fits only with {share:.0%} of the memory and {tokens} tokens a step")
            asked = replace(asked, deployment=tighter)
    if limits.running < 1:
        raise Unsupported(f"weights ({gib:.0f} GiB a GPU) leave no cache for one request of this length")
    return asked, limits, remarks


def _answer(asked: Question) -> tuple[Numbers, list[str]]:
    """The four quantities and the power, and what was assumed."""
    asked, limits, remarks = _fitting(asked)
    if asked.decode:
        return _disaggregated(asked, limits, remarks)
    shared = efficiency()
    timer = PhysicsTimer(deployment=asked.deployment, efficiency=shared)
    workload, host, laws = asked.workload, timer.host, shared.laws
    if asked.load_kind == "offline" and asked.concurrency is not None:
        values, running = _static_batch(asked, timer, limits, asked.concurrency)
    elif asked.load_kind == "open":
        assert asked.request_per_s is not None
        rate = asked.request_per_s / asked.replicas
        found = open_loop(timer, workload, limits, host, laws, rate)
        if isinstance(found, Saturated):
            most = found.request_per_s * asked.replicas
            remarks.append(f"saturated: {most:.3g} requests/s at most; predicted at that limit")
            found = closed_loop(timer, workload, limits, host, laws, limits.running)
        values = _quantities(found.ttft_s.mean_s, found.tpot_s.mean_s, found.e2e_s.mean_s, found.output_token_per_s)
        running = found.running_seqs
    elif asked.load_kind == "offline":
        running = min(limits.running, asked.n_requests or limits.running)
        found = closed_loop(timer, workload, limits, host, laws, running, Regime.BURST)
        token_s = tpot_s(steps(timer, workload, limits, running), workload, running)
        values = _quantities(found.ttft_s.mean_s, found.tpot_s.mean_s, found.e2e_s.mean_s, running / token_s)
    else:
        found = closed_loop(timer, workload, limits, host, laws, max(1.0, asked.concurrency or 1.0), Regime.BURST)
        values = _quantities(found.ttft_s.mean_s, found.tpot_s.mean_s, found.e2e_s.mean_s, found.output_token_per_s)
        running = found.running_seqs
    values["output_tok_per_s_total"] *= asked.replicas
    values["power_w"] = _power_w(timer, asked, running) * asked.deployment.shard.gpus * asked.replicas
    return values, remarks


def _quantities(ttft: float, tpot: float, e2e: float, tokens_per_s: float) -> Numbers:
    return dict(zip(QUANTITIES, (ttft, tpot, e2e, tokens_per_s), strict=True))


def _static_batch(asked: Question, timer: PhysicsTimer, limits: Limits, batch: float) -> tuple[Numbers, float]:
    """A batch submitted at once: all prompts, then decoding together; beyond what fits, in equal waves."""
    workload = asked.workload
    waves = ceil(batch / limits.running)
    wave = batch / waves
    first_s = _prefill_s(timer, limits, workload.isl_tokens, wave)
    token_s = timer(Batch(decode_seqs=wave, context_tokens=wave * workload.mean_context_tokens))
    e2e_s = waves * (first_s + max(0.0, workload.osl_tokens - 1) * token_s)
    return _quantities(first_s, token_s, e2e_s, batch * workload.osl_tokens / e2e_s), wave


def _prefill_s(timer: PhysicsTimer, limits: Limits, isl: float, prompts: float) -> float:
    """Prefill of `prompts` prompts, in steps no larger than the engine's [s]."""
    parts = max(1, ceil(isl * prompts / limits.step_tokens))
    tokens = isl * prompts / parts
    past = max(0.0, isl - tokens) / 2
    seqs = max(1.0, prompts / parts)
    return parts * timer(Batch(prefill_tokens=tokens, prefill_seqs=seqs, prefill_past_tokens=past))


def _power_w(timer: PhysicsTimer, asked: Question, running: float) -> float:
    """One GPU: idle, and the rest in the share of the roofline that a decode step reaches."""
    gpu = asked.deployment.gpu
    batch = Batch(decode_seqs=running, context_tokens=running * asked.workload.mean_context_tokens)
    ideal = sum(
        work.count * max(work.hbm_bytes / gpu.hbm_bytes_per_s, work.flop / gpu.rate(work.dtype))
        for work in timer.works(batch)
    )
    idle = gpu.idle_power_w or 0.15 * gpu.power_w
    return idle + (gpu.power_w - idle) * min(1.0, ideal / timer(batch))


def _disaggregated(asked: Question, limits: Limits, remarks: list[str]) -> tuple[Numbers, list[str]]:
    """Separate prefill and decode workers: decoding undisturbed, a queue before the prompts."""
    decode, workload = asked.decode, asked.workload
    assert decode is not None
    if asked.concurrency is None:
        raise Unsupported("disaggregated, and the concurrency is not given")
    remarks = [*remarks, "disaggregated: transfer of the cache left out"]
    shared = efficiency()
    running = min(max(1.0, asked.concurrency / decode.count), limits.running)
    timer = PhysicsTimer(deployment=asked.deployment, efficiency=shared)
    token_s = timer(Batch(decode_seqs=running, context_tokens=running * workload.mean_context_tokens))
    prefill = asked.prefill or Worker(count=1, shard=decode.shard)
    prompts = replace(asked, deployment=replace(asked.deployment, shard=prefill.shard), decode=None, remarks=())
    prompts, prompt_limits, _ = _fitting(prompts)
    other = PhysicsTimer(deployment=prompts.deployment, efficiency=shared)
    alone_s = _prefill_s(other, prompt_limits, workload.isl_tokens, 1.0)
    decode_s = max(0.0, workload.osl_tokens - 1) * token_s
    ranks = prefill.count * prefill.shard.dp
    busy = min(0.9, running * decode.count / (alone_s + decode_s) * alone_s / ranks)
    first_s = other.host.request_s + alone_s * (1 + busy / (1 - busy) / 2)
    e2e_s = first_s + decode_s
    values = _quantities(first_s, token_s, e2e_s, asked.concurrency * workload.osl_tokens / e2e_s)
    power = decode.count * decode.shard.gpus * _power_w(timer, asked, running)
    values["power_w"] = power + prefill.count * prefill.shard.gpus * asked.deployment.gpu.power_w * max(0.3, busy)
    return values, remarks
