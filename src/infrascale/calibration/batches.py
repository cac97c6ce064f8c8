"""What static batches tell of early releases: their host time, and the kernels that AMD and Intel chips had then.

In: rows of batches handed over at once, with the measured time until the last token.    Out: hosts of early releases,
curves of `@amd:vllm<0.6` and `@intel:vllm<0.6`, and of the cards whose memory is slower than their architecture's
tables; with their errors on models and on GPUs that took no part.
NVIDIA's kernels stay at their tables but for that. One host is shared by all chips under an engine; each vendor's
kernels of that time differ from the shared curves by factors of launch, bytes and arithmetic. All are held to their
priors (`priors.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from infrascale.calibration import priors
from infrascale.calibration.columns import Columns, Floats, columns
from infrascale.calibration.residuals import excluded, impossible
from infrascale.errors import InfraScaleError
from infrascale.hardware import Efficiency, Scale
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import gpu
from infrascale.parsing.measurements import Asked, asked
from infrascale.parsing.tables import Row, number
from infrascale.serving import limits_of
from infrascale.serving.steady_state import decode_batch
from infrascale.work import Batch, Kind

#: Before CUDA graphs: every kernel is launched from Python.
EAGER = "vllm<0.2.6"
#: Prior and its spread (log). Hosts: early Python schedulers; kernels: factors of time over the shared curves.
ERAS = ("vllm<0.6", "vllm<0.2.6", "trtllm<0.12")
HOSTS = {"step_s": (1.2e-3, 0.5), "parallel_s": (1e-3, 0.7), "seq_s": (4e-5, 0.7), "token_s": (2e-8, 0.7)}
VENDORS = {
    "gemm.launch": (4.0, 1.0), "gemm.moving": (1.2, 0.3), "gemm.computing": (4.0, 1.0),
    "attention.launch": (4.0, 1.0), "attention.computing": (30.0, 1.5),
    "prefill.computing": (4.0, 1.0), "links.launch": (4.0, 1.0),
}  # fmt: skip
PRIORS: dict[str, tuple[float, float]] = {
    **{f"{engine}.{part}": prior for engine in ERAS for part, prior in HOSTS.items()},
    **{f"{vendor}.{part}": prior for vendor in ("amd", "intel") for part, prior in VENDORS.items()},
    "a100-sxm-40gb.gemm.moving": (1.0, 0.2),
    "vllm<0.2.6.layer_s": (4e-4, 0.5),
}
#: What a factor of time changes in a curve.
PARTS = ("launch_s", "bytes_fraction", "flop_fraction", "depth_s", "row_s")


@dataclass(frozen=True, kw_only=True)
class Class:
    """Rows that share their curves: even steps decode, odd steps carry prompts."""

    name: str
    index: Floats
    steps: Columns


@dataclass(frozen=True, kw_only=True)
class Rows:
    rows: tuple[Row, ...]
    classes: tuple[Class, ...]
    engine: Sequence[str]
    numbers: Mapping[str, Floats]
    model: Floats
    gpu: Floats

    def predicted(self, values: Mapping[str, float]) -> Floats:
        """Seconds until a batch's last token: `predicting._static` over all rows at once."""
        n = self.numbers
        decode, prompts = np.zeros(len(n["e2e"])), np.zeros(len(n["e2e"]))
        for group in self.classes:
            kernels = group.steps.kernels_s(scales_of(group.name, values))
            decode[group.index], prompts[group.index] = kernels[0::2], kernels[1::2]
        host = {part: np.array([values[f"{engine}.{part}"] for engine in self.engine]) for part in HOSTS}
        eager = np.array([engine == EAGER for engine in self.engine])
        launches = np.where(eager, values[f"{EAGER}.layer_s"] * n["layers"], 0.0)
        decode, prompts = np.maximum(decode, launches), np.maximum(prompts, launches)
        fixed = host["step_s"] + host["parallel_s"] * (n["gpus"] > 1)
        first = n["chunks"] * (prompts + fixed) + host["seq_s"] * n["wave"]
        token = decode + fixed + host["seq_s"] * n["wave"] + host["token_s"] * n["context"]
        return n["waves"] * (first + (n["osl"] - 1) * token)


def scales_of(name: str, values: Mapping[str, float]) -> dict[str, Scale]:
    """Factors of time of a class of chips over the shared curves, by kind of operator."""
    if f"{name}.gemm.launch" not in values:
        moving = values.get(f"{name}.gemm.moving", 1.0)
        return {Kind.GEMM: Scale(moving=moving)}
    v = {part: values[f"{name}.{part}"] for part in VENDORS}
    return {
        Kind.GEMM: Scale(launch=v["gemm.launch"], moving=v["gemm.moving"], computing=v["gemm.computing"]),
        Kind.DECODE_ATTENTION: Scale(launch=v["attention.launch"], computing=v["attention.computing"]),
        Kind.PREFILL_ATTENTION: Scale(launch=v["attention.launch"], computing=v["prefill.computing"]),
        Kind.ELEMENTWISE: Scale(launch=v["attention.launch"]),
        Kind.COMMUNICATION: Scale(launch=v["links.launch"]),
    }


def without_eras(found: Efficiency) -> Efficiency:
    """The shipped curves before early releases and single cards refine them."""

    def shared(table: Mapping) -> dict:
        return {key: value for key, value in table.items() if ":vllm<0.6" not in key and "@a100" not in key}

    return replace(found, curves=shared(found.curves), collectives=shared(found.collectives), scales={})


def rows_of(measured: Sequence[Row]) -> Rows:
    """Static batches of early releases whose end is known."""
    curves = without_eras(efficiency())
    batches: dict[str, list] = {}
    index: dict[str, list[int]] = {}
    kept, engines, names, numbers = [], [], [], []
    for row in measured:
        try:
            found = asked(row)
        except InfraScaleError:
            continue
        end_s = _end_s(row)
        if row["load_kind"] != "offline" or not end_s or not found.concurrency:
            continue
        if excluded(row) or impossible(row, found):
            continue
        engine = found.deployment.engine
        *_, era = curves.software(engine.name, engine.version)
        if era not in ERAS:
            continue
        shape, decode, prompts = _steps(found)
        card = found.deployment.gpu
        name = card.vendor if card.vendor in ("amd", "intel") else card.id
        index.setdefault(name, []).append(len(numbers))
        batches.setdefault(name, []).extend([(found.deployment, decode), (found.deployment, prompts)])
        kept.append(row)
        engines.append(era)
        names.append((row["model"].split("/")[-1], card.id))
        numbers.append({**shape, "e2e": end_s})
    return Rows(
        rows=tuple(kept),
        classes=tuple(
            Class(name=name, index=np.array(index[name]), steps=columns(batches[name], curves)) for name in batches
        ),
        engine=engines,
        numbers={key: np.array([row[key] for row in numbers]) for key in numbers[0]},
        model=np.array([model for model, _ in names]),
        gpu=np.array([name for _, name in names]),
    )


def _end_s(row: Row) -> float | None:
    """When a batch's last token came; from both parts where they were measured, as answers may have ended early."""
    first, token, osl = (number(row, key) for key in ("ttft_mean_s", "tpot_mean_s", "osl"))
    return first + (osl - 1) * token if first and token and osl else number(row, "e2e_mean_s")


def _steps(found: Asked) -> tuple[dict[str, float], Batch, Batch]:
    """The shape of a row's run, a step of its decoding and one of its prompts."""
    limits, load = limits_of(found.deployment, found.workload), found.workload
    batch = found.concurrency or 1.0
    waves = ceil(batch / max(1.0, limits.running))
    wave = batch / waves
    chunks = max(1, ceil(wave * load.isl_tokens / limits.step_tokens))
    decode = decode_batch(wave, load)
    prompts = Batch(prefill_tokens=wave * load.isl_tokens / chunks, prefill_seqs=max(1.0, wave / chunks))
    shape = {"waves": waves, "wave": wave, "chunks": chunks, "osl": load.osl_tokens, "context": decode.context_tokens}
    shape |= {"gpus": found.deployment.shard.gpus, "layers": found.deployment.model.layers / found.deployment.shard.pp}
    return shape, decode, prompts


def fit(rows: Rows, kept: Floats) -> dict[str, float]:
    """The constants that these rows and the priors agree on best."""
    return priors.fit(rows, "e2e", PRIORS, kept)


def left_out(rows: Rows, names: Floats) -> Floats:
    """The prediction of every row from constants fitted without its model, or without its GPU."""
    return priors.left_out(rows, "e2e", PRIORS, names)


def as_data(values: Mapping[str, float]) -> dict[str, dict[str, dict]]:
    """The fitted factors as entries of the efficiency data: hosts, curves and collectives, by key."""
    shared = without_eras(efficiency())
    curves: dict[str, dict] = {}
    links: dict[str, dict] = {}
    for card in (gpu("mi300x"), gpu("max-1550-stack")):
        scales, place = scales_of(card.vendor, values), f"@{card.vendor}:vllm<0.6"
        for kind in (Kind.GEMM, Kind.DECODE_ATTENTION, Kind.PREFILL_ATTENTION, Kind.ELEMENTWISE):
            curve = shared.curve(kind, "bf16", card).scaled(scales[kind])
            parts = {part: getattr(curve, part) for part in PARTS}
            curves[f"{kind}{place}"] = {part: value for part, value in parts.items() if value}
        table = shared.collective(card.link, card).scaled(scales[Kind.COMMUNICATION])
        links[f"{card.link.kind}{place}"] = {"latency_s": table.latency_s, "bus_fraction": table.bus_fraction}
    share = shared.curves["gemm@ampere"]["bytes_fraction"] / values["a100-sxm-40gb.gemm.moving"]
    curves["gemm@a100-sxm-40gb"] = {"bytes_fraction": share}
    hosts = {era: {part: values[f"{era}.{part}"] for part in HOSTS} for era in ERAS}
    hosts[EAGER]["layer_s"] = values[f"{EAGER}.layer_s"]
    return {"hosts": hosts, "curves": curves, "collectives": links}
