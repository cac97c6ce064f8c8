"""Tables of measured or wanted serving points: a CSV, one row a point, and each row as a question.

In: a CSV file; cells may be blank, columns missing, unknown columns are kept.    Out: rows, Question values.
A row that cannot be asked raises Unsupported (beyond this program) or Malformed (a number that cannot be).
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infrascale.deployment import Deployment, Engine, default_engine, runs
from infrascale.errors import CatalogError, FileError, InfraScaleError, ModelError
from infrascale.hardware import Gpu
from infrascale.model import Model, Quantization
from infrascale.parsing.gpus import gpu
from infrascale.parsing.models import model
from infrascale.precision import canonical
from infrascale.work import Shard
from infrascale.workload import Workload

PLAIN_ISL, PLAIN_OSL = 512, 256
ENGINES = ("vllm", "trtllm", "sglang")
_FIX = "save the table as comma- or semicolon-separated UTF-8 text with a header row"


class Unsupported(InfraScaleError):
    """A row that asks for what this program does not know."""


class Malformed(InfraScaleError):
    """A row with a number that cannot be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Equal workers of one role in a disaggregated deployment."""

    count: int
    shard: Shard


@dataclass(frozen=True, kw_only=True)
class Question:
    """One row, understood. `concurrency` per engine; `request_per_s` over all `replicas`."""

    deployment: Deployment
    workload: Workload
    load_kind: str
    replicas: float
    concurrency: float | None = None
    request_per_s: float | None = None
    n_requests: float | None = None
    prefill: Worker | None = None
    decode: Worker | None = None
    remarks: tuple[str, ...] = ()


def read_rows(path: str | Path) -> tuple[list[str], list[dict[str, str]]]:
    """In: a CSV file.    Out: its columns in order, and a dict a row, every column present."""
    path = Path(path)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path} cannot be read", why=error.strerror or str(error), fix="give a CSV file") from None
    if not raw.strip():
        raise FileError(f"{path} is empty", why="there is not even a header", fix=_FIX)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileError(f"{path} is not text", why="it is not UTF-8", fix=_FIX) from None
    if "\0" in text:
        raise FileError(f"{path} is not text", why="it holds zero bytes", fix=_FIX)
    first = next(line for line in text.splitlines() if line.strip())
    delimiter = max(",;\t", key=first.count)
    try:
        table = [cells for cells in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if cells]
    except csv.Error as error:
        raise FileError(f"{path} is not a CSV", why=str(error), fix=_FIX) from None
    columns = [name.strip() for name in table[0]]
    if "model" not in columns or "gpu" not in columns:
        why = "the header has no column 'model' or no column 'gpu'"
        raise FileError(f"{path} has no header that can be used", why=why, fix=_FIX)
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise FileError(f"{path} has two columns {twice!r}", why="names must differ", fix="rename one of them")
    if any(len(cells) > len(columns) for cells in table[1:]):
        columns += [f"column_{i + 1}" for i in range(len(columns), max(map(len, table)))]
    rows = [dict(zip(columns, cells + [""] * (len(columns) - len(cells)), strict=True)) for cells in table[1:]]
    return columns, rows


def number(row: Mapping[str, str], name: str, most: float, *, infinite: bool = False) -> float | None:
    """A positive number at most `most`; None for a blank cell, and for an infinite rate where that is allowed."""
    cell = (row.get(name) or "").strip()
    if not cell:
        return None
    fix = f"give a positive number, or leave {name} blank"
    try:
        value = float(cell)
    except ValueError:
        raise Malformed(f"{name} = {cell[:40]!r} is not a number", fix=fix) from None
    if math.isinf(value) and value > 0 and infinite:
        return None
    if not math.isfinite(value) or value <= 0:
        raise Malformed(f"{name} = {cell[:40]} is not a positive number", fix=fix)
    if value > most:
        raise Malformed(f"{name} = {cell[:40]} is beyond the possible", why=f"more than {most:g}", fix=fix)
    return value


def count(row: Mapping[str, str], name: str, most: int = 4096) -> int | None:
    """A whole positive number, or None for a blank cell."""
    value = number(row, name, most)
    if value is not None and value != int(value):
        raise Malformed(f"{name} = {row[name]} is not whole", fix=f"give {name} as a whole number")
    return None if value is None else int(value)


def question(row: Mapping[str, str]) -> Question:
    """In: one row as text.    Out: what it asks. Blank cells take plain defaults, which `remarks` names."""
    remarks: list[str] = []
    notes = row.get("notes") or ""
    isl, osl = number(row, "isl", 1e7), number(row, "osl", 1e7)
    concurrency = number(row, "concurrency", 1e6)
    rate = number(row, "request_rate", 1e6, infinite=True)
    gpus, n_requests = count(row, "gpu_count", 100_000), number(row, "n_requests", 1e9)
    if isl is None:
        isl = PLAIN_ISL
        remarks.append(f"isl blank: {PLAIN_ISL} taken")
    if osl is None:
        osl = PLAIN_OSL
        remarks.append(f"osl blank: {PLAIN_OSL} taken")
    chip, llm = _known(row)
    prefill, decode = _disaggregated(notes)
    shard = decode.shard if decode else _shard(row, notes, gpus)
    engine = _engine(row, chip, notes, remarks)
    quantization = _quantization(row, llm, remarks)
    engine = replace(engine, kv_cache_dtype=_kv(row, engine.name, chip, quantization))
    if not runs(quantization.precision, chip):
        remarks.append(f"{quantization.precision} has no known kernel on {chip.id}")
    if decode and concurrency is None:
        found = re.search(r"_c(\d+)(?:_|;|$)", notes)
        concurrency = float(found.group(1)) if found else None
    return Question(
        deployment=Deployment(model=llm, gpu=chip, shard=shard, engine=engine, quantization=quantization),
        workload=Workload(isl_tokens=isl, osl_tokens=osl),
        load_kind=_load_kind(row, concurrency, rate),
        replicas=1 if decode else max(1, (gpus or 1) // shard.gpus),
        concurrency=concurrency,
        request_per_s=rate,
        n_requests=n_requests,
        prefill=prefill,
        decode=decode,
        remarks=tuple(remarks),
    )


def _known(row: Mapping[str, str]) -> tuple[Gpu, Model]:
    for name in ("gpu", "model"):
        if not (row.get(name) or "").strip():
            raise Unsupported(f"{name} is blank")
    try:
        return gpu(row["gpu"].strip()), model(row["model"].strip())
    except (CatalogError, ModelError, FileError) as error:
        raise Unsupported(error.what, why=error.why, fix=error.fix) from None


def _load_kind(row: Mapping[str, str], concurrency: float | None, rate: float | None) -> str:
    kind = (row.get("load_kind") or "").strip().lower()
    if kind == "open" and rate is not None:
        return "open"
    if kind in ("closed", "single") and (concurrency is not None or kind == "single"):
        return kind
    if kind == "offline":
        return "offline"
    return "closed" if concurrency is not None else "open" if rate is not None else "offline"


def _setting(notes: str, name: str) -> int | None:
    found = re.search(rf"(?<![a-z_]){name}[=:](\d{{1,9}})", notes)
    return int(found.group(1)) or None if found else None


def _shard(row: Mapping[str, str], notes: str, gpus: int | None) -> Shard:
    tp, pp, ep, dp = (count(row, name) for name in ("tp", "pp", "ep", "dp"))
    pp = pp or 1
    if tp is None and dp is None:
        tp = max(1, (gpus or 1) // pp)
    tp = tp or 1
    attention = _setting(notes, "attention_dp") or _setting(notes, "attn_dp")
    parallel = _setting(notes, "data_parallel")
    if dp is None and attention and attention > 1 and gpus and gpus % (attention * pp) == 0:
        dp, tp = attention, gpus // attention // pp
    elif dp is None and parallel and gpus and (ep or 1) > tp and gpus % (parallel * pp) == 0:
        dp, tp = parallel, gpus // parallel // pp
    dp = dp or 1
    return Shard(tp=tp, pp=pp, dp=dp, ep=min(ep or 1, tp * dp))


def _disaggregated(notes: str) -> tuple[Worker | None, Worker | None]:
    if "DISAGG" not in notes:
        return None, None
    short = re.search(r"(\d+) prefill x TP(\d+) \+ (\d+) decode x TP(\d+)", notes)
    if short:
        p, ptp, d, dtp = (max(1, int(word)) for word in short.groups())
        return Worker(count=p, shard=Shard(tp=ptp)), Worker(count=d, shard=Shard(tp=dtp))
    found = {role: re.search(rf"(?<![a-z]){role}=(\S*tp_size:\S+)", notes) for role in ("prefill", "decode")}
    if not found["decode"]:
        raise Unsupported("disaggregated, and the notes do not say how the workers are cut")
    prefill = _worker(found["prefill"].group(1)) if found["prefill"] else None
    return prefill, _worker(found["decode"].group(1))


def _worker(text: str) -> Worker:
    facts = {key: max(1, int(value)) for key, value in re.findall(r"(\w+):(\d{1,6})", text)}
    dp, pp, ep = (facts.get(key, 1) for key in ("attention_dp_size", "pp_size", "moe_ep_size"))
    tp = facts.get("tp_size", 1)
    if dp > 1 and "moe_ep_size" in facts:
        tp = max(1, ep * facts.get("moe_tp_size", 1) // dp)
    return Worker(count=facts.get("num_workers", 1), shard=Shard(tp=tp, pp=pp, dp=dp, ep=min(ep, tp * dp)))


def _engine(row: Mapping[str, str], chip: Gpu, notes: str, remarks: list[str]) -> Engine:
    name = (row.get("engine") or "").strip().lower().split(" ")[0].replace("tensorrt-llm", "trtllm")
    if name not in ENGINES:
        if name:
            remarks.append(f"engine {row['engine'].strip()[:40]!r} unknown: taken for vllm")
        name = "vllm"
    text = (row.get("engine_version") or "").strip()
    version = re.search(r"\d+\.\d+(?:\.\d+)?(?:\.?(?:post|rc|dev)\d+)*", text)
    foreign = name == "trtllm" and text.startswith("TensorRT ")  # the compiler's version, not the engine's
    engine = default_engine(chip, name, version.group(0) if version and not foreign else None)
    tokens, seqs = _setting(notes, "max_num_batched_tokens"), _setting(notes, "max_num_seqs")
    return replace(
        engine,
        max_num_batched_tokens=tokens or engine.max_num_batched_tokens,
        max_num_seqs=seqs or engine.max_num_seqs,
    )


def _quantization(row: Mapping[str, str], llm: Model, remarks: list[str]) -> Quantization:
    cell = (row.get("weight_precision") or "").strip()
    if not cell:
        return llm.native
    precision = canonical(cell)
    if precision is None:
        raise Unsupported(f"weight_precision {cell[:40]!r} is unknown")
    native = llm.native
    if precision == native.precision or (precision == "fp16" and native.precision == "bf16"):
        return native
    if native.also and precision == native.also.precision:
        return native
    if precision in ("int4", "nvfp4", "mxfp4") and native.precision in ("int4", "nvfp4", "mxfp4"):
        return replace(native, precision=precision)
    return Quantization(precision=precision)


def _kv(row: Mapping[str, str], engine: str, chip: Gpu, quantization: Quantization) -> str:
    cell = (row.get("kv_precision") or "").strip().lower()
    narrow = quantization.precision in ("fp8", "nvfp4", "mxfp4")
    if not cell or cell == "auto":
        eager = narrow and "fp8" in chip.flop_per_s
        return "fp8" if eager and (engine == "trtllm" or chip.architecture.startswith("blackwell")) else "auto"
    precision = canonical(cell) or ("fp8" if cell.startswith("fp8") else "")
    if precision in ("fp8", "int8"):
        return "fp8"
    if precision in ("bf16", "fp16", "fp32"):
        return precision
    raise Unsupported(f"kv_precision {cell[:40]!r} is unknown")
