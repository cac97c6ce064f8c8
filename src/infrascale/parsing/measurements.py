"""Measurement rows become questions: a deployment, a workload and a load, from the inputs alone.

In: rows of the common measurement schema, as real files have them: aliases, blanks, odd spellings.
Out: Question per row, or an InfraScaleError that says why it cannot be one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from infrascale.catalog import board_left_open, gpus_named
from infrascale.deployment import Deployment, Engine, default_engine, memory_budget, runs, tensor_parallel_degrees
from infrascale.errors import ScenarioError
from infrascale.hardware import Gpu
from infrascale.hardware.efficiency import release_of
from infrascale.model import Model, Quantization
from infrascale.parsing.engines import engine_spelt
from infrascale.parsing.gpus import gpu
from infrascale.parsing.likeness import likened
from infrascale.parsing.quantization import precision_in_name, stated_precision, stored_as
from infrascale.parsing.recipes import as_set_up
from infrascale.parsing.sampling import asks_for_one_token
from infrascale.parsing.tables import Row, load_kind, number, unbounded
from infrascale.serving import Waves, limits_of
from infrascale.work import Shard
from infrascale.workload import Workload

#: What a row that does not say its lengths or its GPU is taken for; the reason column says so.
DEFAULT_ISL, DEFAULT_OSL, DEFAULT_GPU = 512.0, 256.0, "h100-sxm"
#: Formats that say no more than a blank cell.
_OWN_FORMAT = frozenset({"auto", "none", "native", "default", "original", "no", "unquantized", "mixed"})
#: Prompts of ML.ENERGY's tasks, whose lengths it does not export: what its dense models' runs fit best, rounded.
TASK_ISL = {"lm-arena-chat": 250.0, "gpqa": 250.0, "sourcegraph-fim": 1500.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One row's inputs. `replicas` engines share a `request_per_s` or a `concurrency` that the row states for all."""

    deployment: Deployment
    workload: Workload
    load_kind: str
    concurrency: float | None
    request_per_s: float | None
    replicas: float
    requests: float | None  # sent in the whole run
    arrival_scv: float  # 1: Poisson, 0: even
    waves: Waves
    assumed: str
    prefill: Deployment | None = None  # with pools apart: an engine of prompts; `deployment` is one of answers
    prefill_engines: float = 1
    decode_engines: float = 1
    engine_measured: bool = True  # False: another engine stands in for the one that was named
    lengths_vary: bool = False  # answers as chats have them, not of one length
    untold: str = ""  # gpu, or format: taken for the usual one


def _degree(row: Row, key: str) -> int | None:
    value = number(row, key)
    return None if value is None else max(1, round(value))


def _gpu_count(row: Row) -> int | None:
    """As the row says; where it says no degree either, as the name of its GPU or machine: `8xH100`, `p5.48xlarge`."""
    counted = _degree(row, "gpu_count")
    return counted or (None if row.get("tp") else gpus_named(row.get("gpu", "")))


def asked(row: Row) -> Asked:
    """The question a row answers."""
    found, taken = likened(row.get("model", ""))
    card = gpu(row.get("gpu", "").strip() or DEFAULT_GPU)
    notes, spelt = row.get("notes", ""), engine_spelt(row.get("engine", ""), row.get("engine_version", ""), card)
    engine_name, version = spelt.name, spelt.version
    if "DISAGG" in notes and not row.get("tp"):
        shard, share = _pool(notes, "decode"), True
    else:
        shard, share = _shard(row, notes, engine_name), False
    stated_format = _stated_format(row, notes, card)
    quantization = _quantization(found, stated_format, notes)
    engine = default_engine(card, engine_name, version)
    kv_stated = stated_precision(row.get("kv_precision", ""))
    kv = kv_stated or _kv_default(engine_name, quantization, card.architecture, card.hbm_bytes)
    if engine_name == "trtllm" and version and release_of(version) < (1,):
        found = _whole_attention(found)
    if load_kind(row) in ("offline", "single") or asks_for_one_token(notes):
        found = replace(found, samples_likeliest=False)  # engines' own benchmarks sample among all tokens
    deployment = Deployment(
        model=found,
        gpu=card,
        shard=shard,
        engine=replace(engine, kv_cache_dtype="fp8" if kv == "fp8" else "auto", **_knobs(notes)),
        quantization=quantization,
    )
    if not share and not row.get("tp") and shard.dp == 1:
        deployment = _smallest_that_fits(deployment, _gpu_count(row) or 8)
        shard = deployment.shard
    deployment, changed = _made_to_fit(deployment)
    shard = deployment.shard
    concurrency, counted = number(row, "concurrency"), _gpu_count(row)
    if concurrency and load_kind(row) == "offline" and not spelt.measured:
        deployment = _as_one_batch(deployment, _workload(row, notes, engine), concurrency, bool(kv_stated))
    known, precision = runs(quantization.precision, card), quantization.precision
    unknown = "" if known else f"no {precision} kernel of {card.id} is known"
    stated = (number(row, "isl") or DEFAULT_ISL, number(row, "osl") or DEFAULT_OSL)
    deployment = replace(deployment, engine=as_set_up(deployment, notes, stated, concurrency))
    return Asked(
        deployment=deployment,
        workload=_workload(row, notes, engine),
        load_kind=load_kind(row),
        concurrency=concurrency,
        request_per_s=None if unbounded(row) else number(row, "request_rate"),
        replicas=max(1.0, counted // shard.gpus) if counted and "SUSPECT: >8 GPUs" not in notes else _replicas(notes),
        requests=number(row, "n_requests"),
        arrival_scv=0.0 if "constant (not Poisson)" in notes else 1.0,
        # LMBenchmark asks for answers of a stated length of the same conversations.
        engine_measured=spelt.measured,
        lengths_vary=re.search(r"sharegpt(?! \(LMBenchmark)|lengths vary", notes, re.IGNORECASE) is not None,
        untold="gpu" if not row.get("gpu", "").strip() else "" if stated_format else "format",
        prefill=replace(deployment, shard=_pool(notes, "prefill")) if share else None,
        prefill_engines=_workers(notes, "prefill"),
        decode_engines=_workers(notes, "decode"),
        waves=Waves(count=10.0, length_spread=0.2 / 0.9) if _drawn_length_share(row) < 1 else Waves(),
        assumed="; ".join(filter(None, (*_blanks(row, notes, card), taken, spelt.note, unknown, changed))),
    )


def _workload(row: Row, notes: str, engine: Engine) -> Workload:
    """The lengths that were drawn; inference-perf cycles through a fixed list of prompts and vLLM's benchmark_latency
    repeats one batch, so that all but a prompt's last block is in the prefix cache."""
    drawn = _drawn_length_share(row)
    isl_tokens = max(1.0, drawn * (number(row, "isl") or _task_isl(notes)))
    repeated = "shared_prefix data" in notes or ("benchmark_latency" in notes and _caches_by_default(engine.version))
    found = Workload(
        isl_tokens=isl_tokens,
        osl_tokens=max(1.0, drawn * (number(row, "osl") or DEFAULT_OSL)),
        prefix_hit_fraction=max(0.0, 1 - engine.block_size / isl_tokens) if repeated else 0.0,
    )
    if found.max_context_tokens > 1e7:
        raise ScenarioError("isl + osl is beyond any context", why="over 10 million tokens", fix="mend the cell")
    return found


def _blanks(row: Row, notes: str, card: Gpu) -> Iterator[str]:
    """What a row leaves open, and what is taken for it."""
    blank = [key for key in ("isl", "osl") if not row.get(key)]
    if blank:
        isl = number(row, "isl") or _task_isl(notes)
        yield f"{' and '.join(blank)} not given: {isl:g} and {DEFAULT_OSL:g} taken"
    if not row.get("gpu", "").strip():
        yield f"GPU not given: {DEFAULT_GPU} taken"
    elif board_left_open(row["gpu"]):
        yield f"{row['gpu'].strip()[:30]} does not tell the board: {card.id} taken"
    stated = row.get("weight_precision", "").strip()
    if stated and not stated_precision(stated) and stated.lower() not in _OWN_FORMAT:
        yield f"format {stated[:20]!r} is not known: the checkpoint's own taken"
    kind = load_kind(row)
    if kind in ("closed", "open") and not row.get("concurrency") and not (kind == "open" and row.get("request_rate")):
        yield "neither clients nor a rate given: one client taken"


@cache
def _whole_attention(found: Model) -> Model:
    """Before 1.0, TensorRT-LLM kept and read the whole context where nobody set an attention window.

    Source: its documentation of gpt-attention: max_attention_window_size is the longest sequence unless given.
    """
    groups = tuple(
        replace(group, blocks=tuple(replace(b, window_tokens=None) if b.window_tokens else b for b in group.blocks))
        for group in found.groups
    )
    return replace(found, groups=groups)


def _caches_by_default(version: str | None) -> bool:
    """Whether vLLM keeps a prefix cache when nobody asks: since 0.8. Source: release notes of 0.8.0."""
    return not version or release_of(version) >= (0, 8)


def _knobs(notes: str) -> dict[str, int]:
    """Engine settings that the notes spell as the engine does."""
    found = re.findall(r"\b(max_num_seqs|max_num_batched_tokens)=(\d{1,7})\b", notes)
    return {name: int(value) for name, value in found if int(value) > 0}


def _task_isl(notes: str) -> float:
    task = re.search(r"\btask=([\w-]+)", notes)
    return TASK_ISL.get(task.group(1), DEFAULT_ISL) if task else DEFAULT_ISL


def _drawn_length_share(row: Row) -> float:
    """Mean length over the length a row states. InferenceX draws both lengths evenly between 80 % and 100 %.

    Source: its benchmark scripts (random_range_ratio 0.8 over lengths of 1024 and 8192), read 2026-11-24.
    """
    fixed = {row.get("isl", ""), row.get("osl", "")} <= {"1024", "8192", "1024.0", "8192.0"}
    return 0.9 if fixed and "family=inferencex" in row.get("notes", "") else 1.0


def _smallest_that_fits(deployment: Deployment, gpus: int) -> Deployment:
    """A row without `tp`: the fewest GPUs that hold the weights and leave a tenth of memory to the cache.

    Benchmarks of a whole server then run replicas side by side, as MLPerf's submitters do.
    """
    for tp in tensor_parallel_degrees(deployment.model, gpus):
        smaller = replace(deployment, shard=Shard(tp=tp))
        budget = memory_budget(smaller)
        if budget.kv_cache_bytes > 0.1 * budget.total_bytes:
            return smaller
    return deployment


def _as_one_batch(deployment: Deployment, load: Workload, batch: float, kv_stated: bool) -> Deployment:
    """A batch published for an engine whose defaults nobody entered did run at once: as many places, and a cache of 8
    bits where the weights have them and one of 16 would not hold it."""
    engine = replace(deployment.engine, max_num_seqs=max(deployment.engine.max_num_seqs, round(batch)))
    whole, halved = (
        replace(deployment, engine=replace(engine, kv_cache_dtype=dtype)) for dtype in (engine.kv_cache_dtype, "fp8")
    )
    if kv_stated or deployment.quantization.precision != "fp8" or limits_of(whole, load).running >= batch:
        return whole
    return halved


def _made_to_fit(deployment: Deployment) -> tuple[Deployment, str]:
    """What was measured did run: a row whose label cannot hold its weights gets more memory, then more GPUs."""
    if memory_budget(deployment).kv_cache_bytes > 0:
        return deployment, ""
    fuller = replace(deployment, engine=replace(deployment.engine, gpu_memory_utilization=0.97))
    if memory_budget(fuller).kv_cache_bytes > 0:
        return fuller, "gpu_memory_utilization 0.97 taken: the weights hardly fit"
    for tp in tensor_parallel_degrees(deployment.model, 64):
        larger = replace(deployment, shard=Shard(tp=tp))
        if memory_budget(larger).kv_cache_bytes > 0.1 * deployment.gpu.hbm_bytes:
            return larger, f"tp={tp} taken: as labelled, the weights do not fit"
    return deployment, ""


def _shard(row: Row, notes: str, engine: str) -> Shard:
    """Degrees as written. A data-parallel attention rank is a `dp`; experts over all GPUs with tp 1 are tp.

    Rows "corrected from tp=N" were mislabelled at their source, which multiplied tp by ep; under vLLM the original N
    is what ran: its running requests (Little's law) fit the cache of tp=N, not of data-parallel attention.
    """
    gpus, tp = _gpu_count(row), _degree(row, "tp")
    pp, ep = _degree(row, "pp") or 1, _degree(row, "ep") or 1
    if tp is not None and tp == gpus == ep * ep and "SUSPECT: >8 GPUs" in notes:
        tp = gpus = ep  # the source multiplied tp by ep, and nobody corrected it
    corrected = re.search(r"corrected from tp=(\d+)[^(]*", notes)
    if corrected:
        notes = notes.replace(corrected.group(), "")
    ranks = re.search(r"\b(?:attn_dp=|attention_dp=|data_parallel=|mapping=DEP)(\d+)", notes)
    dp = int(ranks.group(1)) if ranks else _degree(row, "dp") or 1
    if tp and "template enables attention DP" in notes:
        dp = tp
    if corrected and int(corrected.group(1)) == gpus and engine == "vllm":
        tp, dp = gpus, 1
    if tp is None:
        tp = max(1, (gpus or dp) // (pp * dp))
    if dp > 1:
        dp = min(dp, gpus or dp)
        tp = max(1, (gpus or tp * dp) // (dp * pp))
    elif ep > tp:
        tp = max(tp, (gpus or ep) // pp)
    if tp * pp * dp > 4096:
        raise ScenarioError(f"{tp * pp * dp} GPUs in one replica cannot be", why="over 4096", fix="mend the cells")
    return Shard(tp=tp, pp=pp, dp=dp, ep=min(ep, tp * dp) if ep > 1 else 1)


def _replicas(notes: str) -> float:
    """Engines that share the load, where a row counts no GPUs."""
    found = re.search(r"\breplicas=(\d+)", notes)
    return max(1.0, float(found.group(1))) if found else 1.0


def _workers(notes: str, role: str) -> int:
    found = re.search(rf"{role}=num_workers:(\d+)", notes)
    return int(found.group(1)) if found else 1


def _pool(notes: str, role: str) -> Shard:
    """One worker of a disaggregated deployment's role, as its notes spell it."""
    found = re.search(rf"{role}=([^\s;]*)", notes)
    parts = dict(p.split(":") for p in (found.group(1) if found else "").split(",") if ":" in p)
    tp, dp = int(parts.get("tp_size", 1)), int(parts.get("attention_dp_size", 1))
    ep = int(parts.get("moe_ep_size", 1))
    return Shard(tp=tp, pp=int(parts.get("pp_size", 1)), dp=dp, ep=min(ep, tp * dp))


def _stated_format(row: Row, notes: str, card: Gpu) -> str | None:
    """The format that the row, its model's name or its notes tell."""
    word = stated_precision(row.get("weight_precision", "")) or precision_in_name(row.get("model", ""))
    return "fp8" if word is None and "use_fp8=True" in notes and "fp8" in card.flop_per_s else word


def _quantization(found: Model, word: str | None, notes: str) -> Quantization:
    """The row's format, else the native one; a checkpoint that has it natively keeps its own choice of parts."""
    stored = found.native if word is None else stored_as(found, word)
    blocks = stored.precision == "fp8" and "gemm=fp8_block" in notes
    return replace(stored, block=True) if blocks else stored


def _kv_default(engine: str, quantization: Quantization, architecture: str, hbm_bytes: float) -> str | None:
    """Where a row is silent, with 8- or 4-bit weights: fp8 for TensorRT-LLM, Blackwell and the larger Hoppers.

    It is what the running requests of such rows (Little's law) fit: on H200 twice what a bf16 cache holds.
    """
    narrow = quantization.precision in ("fp8", "nvfp4", "mxfp4")
    large = architecture == "blackwell" or (architecture == "hopper" and hbm_bytes > 120e9)
    return "fp8" if narrow and (engine == "trtllm" or large) else None
