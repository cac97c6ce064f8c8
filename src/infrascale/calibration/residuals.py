"""What was measured beside what is predicted, and which measurements are left out, by written rules.

In: measurement rows.    Out: Residual per row and measure: the log of predicted over measured, with its regime.
A rule never looks at a residual: it names a label that cannot be true, a setting that the row does not tell, or a
time that no hardware can reach.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log

from infrascale import catalog
from infrascale.deployment import Deployment, PhysicsTimer
from infrascale.errors import InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.generic import PREFIX, generic
from infrascale.parsing.measurements import Asked, asked
from infrascale.parsing.quantization import stored_as
from infrascale.parsing.tables import Row, number, read_rows
from infrascale.predicting import Own, Prediction, predict
from infrascale.serving.steady_state import decode_batch
from infrascale.uncertainty import Regime
from infrascale.work import Batch, Kind, Work

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


NO_GPU = "no GPU is told"


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
        return NO_GPU
    if "DISAGG" in notes and "num_workers" not in notes:
        return "how many engines each pool has is not told"
    if row.get("load_kind") == "closed" and not row.get("concurrency"):
        return "no concurrency is told"
    if row.get("load_kind") == "open" and not row.get("request_rate") and not row.get("concurrency"):
        return "no rate is told"
    if "div=open" in notes and "benchmark=" in notes:
        return "MLPerf's open division changes the model"
    if "RUN LATER DROPPED BY THE AUTHORS" in notes:
        return "its authors dropped the run"
    if row.get("gpu") == "GB200" and int(row.get("gpu_count") or 0) > 8 and "DISAGG" not in notes:
        return "a rack of separate pools, labelled as one engine"
    if engine == "trtllm" and version.startswith("1.3") and "family=inferencex" in notes:
        return "pools and prefix cache of a recipe that the row does not tell"
    if row.get("gpu") and not row.get("tp") and not row.get("gpu_count") and "DISAGG" not in notes:
        return "neither TP nor the number of GPUs is told"
    if "div=open" in notes:
        return "MLPerf's open division may change the model (pruned, sparse, other weights)"
    if "power-capped" in row.get("gpu", ""):
        return "the power cap is not told"
    return "the source calls it suspect" if "SUSPECT host-bound" in notes else ""


def impossible(row: Row, question: Asked) -> str:
    """Which time of a row beats physics as labelled; empty when none does. Bounds are the datasheet's.

    A token takes at least one read of the weights that it needs; the prompts of a batch handed over at once at least
    their arithmetic, of which a run's average request waits for half.
    """
    token_s, osl = weights_read_s(question), question.workload.osl_tokens
    if (number(row, "tpot_mean_s") or token_s) < token_s:
        return "tokens come faster than their weights can be read"
    if (number(row, "e2e_mean_s") or osl * token_s) < (osl - 1) * token_s:
        return "the answer comes faster than its tokens' weights can be read"
    together = question.concurrency or (question.requests or 0.0) / question.replicas / 2
    prompts_s = arithmetic_s(question, together) if question.load_kind == "offline" else 0.0
    if (number(row, "ttft_mean_s") or prompts_s) < prompts_s:
        return "prompts come faster than the chip's arithmetic"
    gpus = question.deployment.shard.gpus * question.replicas
    if (number(row, "power_w") or 0.0) > 1.05 * gpus * question.deployment.gpu.power_w:
        return "more power than the cards' limit"
    return ""


def weights_read_s(question: Asked) -> float:
    """Bytes of a lone decode step over the datasheet's bandwidth, cache left out: no kernel is faster [s]."""
    read = sum(w.count * w.hbm_bytes for w in _weights(question, decode_batch(1.0, question.workload)))
    return read / question.deployment.gpu.hbm_bytes_per_s


def arithmetic_s(question: Asked, prompts: float) -> float:
    """Arithmetic of this many prompts over the dense rate, attention left out: no kernel is faster [s]."""
    batch = Batch(prefill_tokens=prompts * question.workload.new_tokens, prefill_seqs=prompts)
    gpu = question.deployment.gpu
    return sum(w.count * w.flop / gpu.rate(w.dtype) for w in _weights(question, batch))


def _weights(question: Asked, batch: Batch) -> list[Work]:
    works = PhysicsTimer(deployment=question.deployment, efficiency=efficiency()).works(batch)
    return [work for work in works if work.kind in (Kind.GEMM, Kind.MOE)]


#: InferenceX sends warm-up requests since then. Source: its pull request 480 of 17 January 2026, merged ten days later.
WARMED_SINCE = "2026-01-27"


def warm_up(row: Row) -> bool:
    """Whether TTFT has warm-up in it.

    The gap-analysis runs count theirs in the TTFT of few clients. InferenceX had none until `WARMED_SINCE`: SGLang,
    which compiles kernels for the shapes that it meets, did so inside the measured run (its issues 124 and 2819).
    Runs with pools apart had a warm-up of their own (srt-slurm, sa-bench).
    """
    notes = row.get("notes", "")
    if "family=nvidia-gap-analysis" in notes:
        return float(row.get("concurrency") or 0) <= 32
    measured = (re.search(r"measured=(\d{4}-\d\d-\d\d)", notes) or ["", ""])[1]
    cold = "" < measured < WARMED_SINCE and "DISAGG" not in notes
    return cold and "family=inferencex" in notes and row.get("engine") == "sglang"


def unlike(row: Row, measure: str) -> bool:
    """Whether a row's measure is of something else.

    First tokens: of warm-up, or of prompts that LMCache kept from earlier runs. Ends: of answers cut short, or of a
    length that is not told.
    """
    if measure == "ttft_mean_s":
        return warm_up(row) or "stack=lmcache" in row.get("notes", "")
    ends, token, osl = (number(row, key) for key in ("e2e_mean_s", "tpot_mean_s", "osl"))
    early = bool(ends and token and osl and ends < 0.9 * (osl - 1) * token)
    whole = measure in ("e2e_mean_s", "output_tok_per_s_total")
    return whole and (not osl or (early and row.get("load_kind") == "offline"))


def residuals(
    rows: Iterable[Row],
    source: str,
    done: Callable[[], None] = lambda: None,
    left_out: Callable[[str], None] = lambda rule: None,
    seen_as: Callable[[Asked], Asked] = lambda question: question,
    blank: Sequence[str] = (),
    own: Own | None = None,
) -> list[Residual]:
    """All that can be compared in these rows; `done` is called once a row, `left_out` with its rule.

    `seen_as` may change what is predicted, not which rows are left out (`of_its_size`). `blank`: cells that the
    prediction may not see, with the rows where nobody filled them. `own`: other curves.
    """
    found: list[Residual] = []
    for row in rows:
        done()
        try:
            rule = excluded(row)
            if rule == NO_GPU and "gpu" in blank:
                rule = ""
            question = None if rule else asked(row)
            rule = rule or impossible(row, question)
            seen = asked({**row, **dict.fromkeys(blank, "")}) if blank and not rule else question
            prediction = None if rule else predict(seen_as(seen), own)
        except (InfraScaleError, ArithmeticError, ValueError):
            continue
        if prediction is None:
            left_out(rule)
        else:
            found += _compared(row, prediction, source)
    return found


def of_its_size(question: Asked) -> Asked:
    """The same row, as if nobody knew more of its model than its size; the stored format stays."""
    was = question.deployment
    active = f"-a{was.model.active_params / 1e9:.2g}b" if was.model.is_moe else ""
    model = generic(f"{PREFIX}{was.model.params / 1e9:.3g}b{active}")
    stored = replace(was.quantization, parts=stored_as(model, was.quantization.precision).parts, also=None)

    def as_if(deployment: Deployment) -> Deployment:
        return replace(deployment, model=model, quantization=stored)

    return replace(question, deployment=as_if(was), prefill=as_if(question.prefill) if question.prefill else None)


def _compared(row: Row, prediction: Prediction, source: str) -> Iterator[Residual]:
    for measure, predicted in {**prediction.measures, "power_w": prediction.power_w}.items():
        measured = number(row, measure)
        if measured is not None and not unlike(row, measure):
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
