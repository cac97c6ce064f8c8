"""What saturated runs tell of TensorRT-LLM: its attention and experts, its host, and PCIe between Ada cards.

In: rows of everything queued at once, with the measured tokens per second.    Out: curves `:trtllm` and shares of
`pcie@ada`; with their errors on models and on GPUs that took no part.
The kernel tables are vLLM's. TensorRT-LLM's own attention reads the cache at a share of bandwidth that one number gives
for all GPUs, it computes prompts in 8 bits where the cache is so, and the arithmetic of its experts takes a factor of
the tables' time, another one before 1.0. Its host is the closed loops' (`hosts`). All are held to their
priors (`priors.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from infrascale.calibration import priors
from infrascale.calibration.columns import Columns, Floats, columns
from infrascale.calibration.residuals import excluded
from infrascale.errors import InfraScaleError
from infrascale.hardware import Efficiency, Scale
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import asked
from infrascale.parsing.tables import Row
from infrascale.predicting import balanced, kind_of
from infrascale.serving import limits_of
from infrascale.serving.steady_state import step_batches
from infrascale.work import Kind

#: Prior and its spread (log): a share of bandwidth, factors of time over the tables, a factor of PCIe's shares.
PRIORS: dict[str, tuple[float, float]] = {
    "attention": (0.85, 0.1),
    "prompt_attention/fp8": (0.7, 0.4),
    "experts": (1.0, 0.3),
    "experts<1": (1.0, 0.3),
    "experts/mxfp4": (1.0, 0.5),
    "pcie@ada": (1.0, 0.4),
}


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Even steps decode, odd steps carry a prompt's chunk. `groups`: rows on Ada or not, before 1.0 or not."""

    rows: tuple[Row, ...]
    groups: tuple[tuple[tuple[bool, bool], Floats, Columns], ...]
    numbers: Mapping[str, Floats]
    model: Floats
    gpu: Floats

    def predicted(self, values: Mapping[str, float]) -> Floats:
        """Tokens per second: `predicting._saturated` over all rows at once."""
        n = self.numbers
        decode, mixed = np.zeros(len(n["rate"])), np.zeros(len(n["rate"]))
        for group, index, steps in self.groups:
            kernels = steps.kernels_s(scales_of(values, *group))
            decode[index], mixed[index] = kernels[0::2], np.maximum(kernels[1::2], n["launches"][index])
        extra = np.maximum(0.0, n["chunks"] * (mixed - decode))
        token = decode + n["host"] + n["running"] / n["osl"] * extra
        return n["replicas"] * n["running"] / token


def scales_of(values: Mapping[str, float], on_ada: bool, early: bool) -> dict[str, Scale]:
    """Factors of time of a group of rows over the bare curves."""
    scales = {
        Kind.DECODE_ATTENTION: Scale(moving=1 / values["attention"]),
        f"{Kind.PREFILL_ATTENTION}/fp8": Scale(computing=values["prompt_attention/fp8"]),
        Kind.MOE: Scale(computing=values["experts<1" if early else "experts"]),
        f"{Kind.MOE}/mxfp4": Scale(computing=values["experts/mxfp4"]),
    }
    return {**scales, Kind.COMMUNICATION: Scale(moving=1 / values["pcie@ada"])} if on_ada else scales


def bare(found: Efficiency) -> Efficiency:
    """The shipped curves before what is fitted here: this engine's attention at the whole bandwidth, no factors."""
    whole = {f"{Kind.DECODE_ATTENTION}:trtllm": {"bytes_fraction": 1.0, "most_bytes_per_s": inf}}
    links = {**found.collectives, "pcie@ada": found.collectives["pcie"]}
    return replace(found, curves={**found.curves, **whole}, collectives=links, scales={}, factors={})


def rows_of(measured: Sequence[Row]) -> Rows:
    curves = bare(efficiency())
    kept, batches, numbers, names = [], [], [], []
    members: dict[tuple[bool, bool], list[int]] = {}
    for row in measured:
        try:
            found = asked(row)
        except InfraScaleError:
            continue
        engine = found.deployment.engine
        if engine.name != "trtllm" or kind_of(found) != "saturated":
            continue
        if excluded(row) or not row["output_tok_per_s_total"]:
            continue
        limits, load = balanced(limits_of(found.deployment, found.workload), found.workload), found.workload
        running = min(limits.running, (found.requests or inf) / found.replicas)
        if running < 1:
            continue
        step = step_batches(load, limits, running)
        host = curves.host(engine.name, engine.version)
        kept.append(row)
        batches.append([(found.deployment, step.decode), (found.deployment, step.mixed)])
        names.append((row["model"].split("/")[-1], found.deployment.gpu.id))
        numbers.append(
            {
                "running": running,
                "chunks": step.chunks,
                "osl": load.osl_tokens,
                "launches": host.launches_s(step.mixed, found.deployment.model.layers / found.deployment.shard.pp),
                "replicas": found.replicas,
                "host": host.of_step_s(step.decode, found.deployment.shard),
                "rate": float(row["output_tok_per_s_total"]),
            }
        )
        early = "trtllm<1" in curves.software(engine.name, engine.version)
        on_ada = found.deployment.gpu.architecture == "ada"
        members.setdefault((on_ada, early), []).append(len(kept) - 1)
    return Rows(
        rows=tuple(kept),
        groups=tuple(
            (group, np.array(index), columns([batch for i in index for batch in batches[i]], curves))
            for group, index in members.items()
        ),
        numbers={key: np.array([number[key] for number in numbers]) for key in numbers[0]},
        model=np.array([model for model, _ in names]),
        gpu=np.array([name for _, name in names]),
    )


def fit(rows: Rows, kept: Floats) -> dict[str, float]:
    """The constants that these rows and the priors agree on best."""
    return priors.fit(rows, "rate", PRIORS, kept)


def left_out(rows: Rows, names: Floats) -> Floats:
    """The prediction of every row from constants fitted without its model, or without its GPU."""
    return priors.left_out(rows, "rate", PRIORS, names)


def as_data(values: Mapping[str, float]) -> dict[str, dict]:
    """The fitted constants as entries of the efficiency data: factors, curves and collectives, by key."""
    factors = {
        f"{Kind.PREFILL_ATTENTION}/fp8:trtllm": values["prompt_attention/fp8"],
        f"{Kind.MOE}:trtllm": (values["experts"] * values["experts<1"]) ** 0.5,
        f"{Kind.MOE}:trtllm>=1": values["experts"],
        f"{Kind.MOE}:trtllm<1": values["experts<1"],
        f"{Kind.MOE}/mxfp4:trtllm": values["experts/mxfp4"],
    }
    attention = {"bytes_fraction": values["attention"], "most_bytes_per_s": inf}
    pcie = bare(efficiency()).collectives["pcie@ada"]
    shares = {gpus: share * values["pcie@ada"] for gpus, share in pcie.bus_fraction.items()}
    return {
        "factors": factors,
        "curves": {f"{Kind.DECODE_ATTENTION}:trtllm": attention},
        "collectives": {"pcie@ada": {"latency_s": pcie.latency_s, "bus_fraction": shares}},
    }
