"""What was measured beside what is predicted, and which measurements are left out, by written rules.

In: measurement rows.    Out: Residual per row and measure: the log of predicted over measured, with its regime.
A rule never looks at a residual: it names a label that cannot be true or a setting that the row does not tell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import log

from infrascale import catalog
from infrascale.errors import InfraScaleError
from infrascale.parsing.measurements import Row, asked, number, read_rows
from infrascale.predicting import Prediction, predict
from infrascale.uncertainty import Regime

#: Sets whose licence allows shipping, with it. BLIS, ML.ENERGY, MLPerf and the French load tests are only checked.
SHIPPED = {
    "aic_silicon": "Apache-2.0",
    "argonne_llm_inference_bench": "BSD-3-Clause",
    "dstack": "Apache-2.0",
    "llmd_benchmark_history": "Apache-2.0",
    "rocm_vllm_docker": "Apache-2.0",
    "splitwise_perf_model": "MIT",
    "surajssd_llm_k8s": "Apache-2.0",
    "trtllm_perf_overview": "Apache-2.0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    source: str
    measure: str
    regime: Regime
    version: str
    gpu: str
    model: str
    predicted: float
    measured: float

    @property
    def log_ratio(self) -> float:
        return log(self.predicted / self.measured)


def excluded(row: Row) -> str:
    """Why a row says nothing about the model of its label; empty when it does."""
    notes, engine, version = row.get("notes", ""), row.get("engine", ""), row.get("engine_version", "")
    measured = (re.search(r"measured=(\d{4}-\d\d)", notes) or ["", ""])[1]
    deepseek = "deepseek" in row.get("model", "").lower()
    if deepseek and engine in ("trtllm", "sglang") and measured >= "2026-01":
        return "speculative decoding is likely and not marked (DeepSeek of 2026)"
    if deepseek and "R1" in row.get("model", "") and "DISAGG" in notes:
        return "speculative decoding is likely and not marked (disaggregated DeepSeek-R1)"
    if not row.get("gpu"):
        return "no GPU is told"
    if "DISAGG" in notes and "num_workers" not in notes:
        return "how many engines each pool has is not told"
    if row.get("load_kind") == "closed" and not row.get("concurrency"):
        return "no concurrency is told"
    if row.get("gpu") == "GB200" and int(row.get("gpu_count") or 0) > 8 and "DISAGG" not in notes:
        return "a rack of separate pools, labelled as one engine"
    if engine == "trtllm" and version.startswith("1.3") and "family=inferencex" in notes:
        return "pools and prefix cache of a recipe that the row does not tell"
    return "the source calls it suspect" if "SUSPECT host-bound" in notes else ""


def warm_up(row: Row) -> bool:
    """The gap-analysis runs count their warm-up in the TTFT of few clients."""
    return "family=nvidia-gap-analysis" in row.get("notes", "") and float(row.get("concurrency") or 0) <= 32


def residuals(rows: Iterable[Row], source: str, done: Callable[[], None] = lambda: None) -> list[Residual]:
    """All that can be compared in these rows."""
    found: list[Residual] = []
    for row in rows:
        done()
        try:
            prediction = None if excluded(row) else predict(asked(row))
        except (InfraScaleError, ArithmeticError, ValueError):
            continue
        if prediction is not None:
            found += _compared(row, prediction, source)
    return found


def _compared(row: Row, prediction: Prediction, source: str) -> Iterator[Residual]:
    for measure, predicted in {**prediction.measures, "power_w": prediction.power_w}.items():
        measured = number(row, measure)
        if measured is not None and not (measure == "ttft_mean_s" and warm_up(row)):
            yield Residual(
                source=source,
                measure=measure,
                regime=prediction.regime,
                version=row.get("engine_version", ""),
                gpu=row.get("gpu", ""),
                model=row.get("model", "").split("/")[-1],
                predicted=predicted,
                measured=measured,
            )


def shipped_rows() -> dict[str, list[dict[str, str]]]:
    """The measurements in the package, by set."""
    return {name: read_rows(str(catalog.DATA / "measurements" / f"{name}.csv.gz"))[1] for name in SHIPPED}
