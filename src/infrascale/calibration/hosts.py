"""What end-to-end runs alone can tell: an engine's host time, and how requests meet at the start of a benchmark.

In: closed-loop rows (deployment, workload, load, measured TPOT and TTFT).    Out: hosts and laws, with their errors on
models and on GPUs that took no part.
Kernel times stay at their measured tables: scaling those to the rows too fits them better and new models worse
(docs/method.md). Seventeen constants, each held to its prior as if by `HELD` rows, by robust least squares (SciPy).
TensorRT-LLM's time for a sequence is held by its saturated runs, whose batches are large enough to show it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from infrascale.calibration.columns import Columns, Floats, columns
from infrascale.calibration.residuals import excluded, warm_up
from infrascale.errors import InfraScaleError
from infrascale.hardware import Efficiency, Scale
from infrascale.hardware.efficiency import release_of
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import asked
from infrascale.parsing.tables import Row
from infrascale.serving import limits_of
from infrascale.serving.steady_state import admission, step_batches
from infrascale.work import Kind

ENGINES = ("vllm", "sglang", "trtllm")
#: Prior and its spread (log): step times from physics, the rest wide. A sequence: what transfers best to new models
#: (6 µs ± 0.7: TPOT 10.8 / 8.7 %, 12 µs ± 0.3: 10.6 / 8.4, 20 µs: 10.4 / 8.2); smaller batches hardly show it. A
#: request in the front end: between the 6 ms of open loops (`serving.queueing.FRONT_S`) and 30 ms; new models' TTFT
#: 21.2 / 16.9 % with 30 ms ± 0.5, 19.5 / 14.1 with 15 ms ± 0.7, 19.7 / 13.9 with 10 ms ± 1.
PRIORS: dict[str, tuple[float, float]] = {
    "vllm.step_s": (1.5e-3, 0.5), "vllm>=0.15.step_s": (0.8e-3, 0.5), "sglang.step_s": (1.2e-3, 0.5),
    "trtllm.step_s": (1.2e-3, 0.5), "vllm.seq_s": (2e-5, 0.3), "trtllm.seq_s": (2e-6, 0.3),
    "vllm<0.19.sorting": (30.0, 1.0), "trtllm<1.1.prompt_layer_s": (4e-4, 0.5),
    "vllm.request_s": (0.015, 0.7), "sglang.request_s": (0.015, 0.7), "trtllm.request_s": (0.015, 0.7),
    "vllm.prompt_token_s": (6e-6, 0.7), "sglang.prompt_token_s": (6e-6, 0.7), "trtllm.prompt_token_s": (6e-6, 0.7),
    "burst_residual_step": (0.5, 0.5), "burst_resync": (1.0, 0.5), "burst_front": (0.3, 0.7),
}  # fmt: skip
#: Sampling among the likeliest sorted the whole vocabulary for each sequence until vLLM 0.19; a factor of its time.
SAMPLING = f"{Kind.ELEMENTWISE}/likeliest"
HELD = 64.0
#: Errors beyond these (log) count less and less: TPOT, TTFT.
SCALES = (0.08, 0.2)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Closed-loop rows as columns, three steps a row: decode, with a prompt's chunk, prompts by themselves."""

    rows: tuple[Row, ...]
    steps: Columns
    numbers: Mapping[str, Floats]
    engine: Floats
    new: Floats
    sorting: Floats
    model: Floats
    gpu: Floats

    def of(self, values: Mapping[str, float], part: str) -> Floats:
        """A host constant of every row's engine; where an engine has none, vLLM's."""
        each = [values.get(f"{name}.{part}", values[f"vllm.{part}"]) for name in ENGINES]
        found = np.array(each)[self.engine]
        return np.where(self.new, values["vllm>=0.15.step_s"], found) if part == "step_s" else found

    def predicted(self, values: Mapping[str, float]) -> tuple[Floats, Floats]:
        """TPOT and TTFT [s]: `serving.steady_state.closed_loop` in its burst regime, over all rows at once."""
        n, kernels = self.numbers, self.steps.kernels_s({})
        kernels = kernels + (values["vllm<0.19.sorting"] - 1) * self.sorting
        host = self.of(values, "step_s") + self.of(values, "seq_s") * np.maximum(n["running"], 1) / n["ranks"]
        launches = values["trtllm<1.1.prompt_layer_s"] * n["eager_layers"]
        decode, mixed = kernels[0::3] + host, np.maximum(kernels[1::3], launches) + host
        extra = np.maximum(0.0, n["chunks"] * (mixed - decode))
        tpot = decode + n["running"] * (1 - 0.5 / n["waves"]) / n["osl"] * extra
        front = self.of(values, "request_s") + self.of(values, "prompt_token_s") * n["isl"]
        own = front + n["chunks"] * mixed
        wait = self._waits(values, decode, extra) + values["burst_front"] * front * (n["running"] - 1) / 2 / n["waves"]
        ttft = own + wait + (1 - 1 / n["waves"]) * (n["waited"] * decode + n["beside"] / 2 * extra)
        apart = kernels[2::3] + self.of(values, "step_s") + self.of(values, "seq_s") * n["prompts"] / n["ranks"]
        first = self._prompts_first(values, decode, n["apart_each"] * apart)
        apart = n["prompts_first"] > 0
        tpot, ttft = np.where(apart, first[0], tpot), np.where(apart, first[1], ttft)
        return tpot * (1 - n["first_text"] / np.maximum(1.0, n["osl"] - 1)), ttft + n["first_text"] * tpot

    def _waits(self, values: Mapping[str, float], decode: Floats, extra: Floats) -> Floats:
        """`serving.steady_state.burst_wait_s`."""
        n = self.numbers
        others, part = n["running"] - 1, n["isl"] / n["step_tokens"]
        held = extra + decode * np.minimum(1.0, part)
        shared = np.minimum(others, n["step_tokens"] // n["isl"])
        first_wave = others / 2 * held + np.maximum(0.0, shared - 1) / 2 * extra
        steps_met = values["burst_residual_step"] + n["unseen"]
        under_way = steps_met * decode * np.minimum(1.0, others)
        met = np.zeros_like(decode)
        for wave in range(1, int(n["waves"].max())):
            a_step = others / np.hypot(n["running"] * part, wave**0.5 * n["spread"] * n["osl"])
            busy = np.minimum(0.98, a_step * part)
            queued = np.minimum(others / 2 * held, held * busy / (2 * (1 - busy)))
            each = queued + (steps_met + 0.5) * a_step * extra
            met += np.where((n["spread"] > 0) & (wave < n["waves"]), each, 0.0)
        return (first_wave + values["burst_resync"] * met + (n["waves"] - 1) * under_way) / n["waves"]

    def _prompts_first(self, values: Mapping[str, float], decode: Floats, each: Floats) -> tuple[Floats, Floats]:
        """`serving.steady_state.prompts_first_s`."""
        n = self.numbers
        answer = (n["osl"] - 1) * (decode + n["running"] * each / n["osl"])
        others, ahead = n["running"] - 1, np.zeros_like(each)
        for wave in range(int(n["waves"].max())):
            apart = wave**0.5 * n["spread"] * answer / each
            busy = n["running"] / np.hypot(n["running"], apart)
            queue = np.where(busy < 1, busy / (2 * np.maximum(1e-12, 1 - busy)), n["running"])
            found = np.minimum(others / 2, np.maximum((n["running"] - apart) / 2, queue))
            ahead += np.where(wave < n["waves"], found, 0.0) / n["waves"]
        together = np.where(others > 0, 2 * ahead / np.maximum(others, 1e-12), 1.0)
        tpot = decode + (others - ahead) * each / n["osl"]
        steps_met = values["burst_residual_step"] + n["unseen"]
        under_way = steps_met * decode * np.minimum(1.0, others) * (1 - together)
        own = self.of(values, "request_s") + self.of(values, "prompt_token_s") * n["isl"] + each
        admitted = (1 - together) * (n["waited"] * decode + n["beside"] * each)
        return tpot, own + under_way + admitted + ahead * each


def rows_of(measured: Sequence[Row], curves: Efficiency) -> Rows:
    """Rows whose requests all run at once (what waits for the cache tells nothing of these constants)."""
    batches, numbers, engines, names, kept = [], [], [], [], []
    for row in measured:
        try:
            found = None if excluded(row) or warm_up(row) or "DISAGG" in row["notes"] else asked(row)
        except InfraScaleError:
            continue
        if found is None or not row["tpot_mean_s"] or not row["ttft_mean_s"] or not found.concurrency:
            continue
        limits = limits_of(found.deployment, found.workload)
        if found.concurrency > 0.85 * limits.running:
            continue
        step = step_batches(found.workload, limits, found.concurrency)
        waited, beside = admission(limits, found.workload, found.concurrency)
        batches += [(found.deployment, batch) for batch in (step.decode, step.mixed, step.apart)]
        release = release_of(found.deployment.engine.version or "")
        engine = found.deployment.engine.name
        vllm = engine == "vllm" and bool(release)
        eager = engine == "trtllm" and (1,) <= release < (1, 1)
        engines.append((ENGINES.index(engine), vllm and release >= (0, 15), vllm and release < (0, 19)))
        kept.append(row)
        names.append((row["model"].split("/")[-1], found.deployment.gpu.id))
        numbers.append(
            {
                "running": found.concurrency,
                "chunks": step.chunks,
                "apart_each": step.apart_each,
                "prompts": step.apart.prefill_seqs,
                "ranks": curves.host(engine, found.deployment.engine.version).ranks(found.deployment.shard),
                "isl": found.workload.isl_tokens,
                "osl": found.workload.osl_tokens,
                "step_tokens": limits.step_tokens,
                "unseen": limits.unseen_steps,
                "first_text": limits.first_text_steps,
                "eager_layers": found.deployment.model.layers / found.deployment.shard.pp if eager else 0.0,
                "waves": found.waves.count,
                "spread": found.waves.length_spread,
                "prompts_first": float(limits.prompts_first),
                "waited": waited,
                "beside": beside,
                "tpot": float(row["tpot_mean_s"]),
                "ttft": float(row["ttft_mean_s"]),
            }
        )
    steps = columns(batches, curves)
    # What sampling takes with the shared curve, under the releases that sort the whole vocabulary: one part of a step.
    sampling_s = steps.kernels_s({SAMPLING: Scale(moving=2.0)}) - steps.kernels_s({})
    return Rows(
        rows=tuple(kept),
        steps=steps,
        sorting=np.where(np.repeat([old for _, _, old in engines], 3), sampling_s, 0.0),
        numbers={key: np.array([row[key] for row in numbers]) for key in numbers[0]},
        engine=np.array([engine for engine, *_ in engines]),
        new=np.array([new for _, new, _ in engines]),
        model=np.array([model for model, _ in names]),
        gpu=np.array([gpu for _, gpu in names]),
    )


def fit(rows: Rows, kept: Floats) -> dict[str, float]:
    """The constants that these rows and the priors agree on best."""
    from scipy.optimize import least_squares

    start = np.log([prior for prior, _ in PRIORS.values()])
    spread = np.array([wide for _, wide in PRIORS.values()])

    def errors(logs: Floats) -> Floats:
        found = rows.predicted(_named(logs))
        parts = [
            _robust(np.log(predicted / rows.numbers[name])[kept] / scale)
            for predicted, name, scale in zip(found, ("tpot", "ttft"), SCALES, strict=True)
        ]
        return np.concatenate([*parts, HELD**0.5 * (logs - start) / spread])

    return _named(least_squares(errors, start, diff_step=1e-4).x)


def _named(logs: Floats) -> dict[str, float]:
    return dict(zip(PRIORS, (float(value) for value in np.exp(logs)), strict=True))


def _robust(errors: Floats) -> Floats:
    """Residuals whose squares are soft_l1's loss: linear where they are large."""
    return np.sign(errors) * np.sqrt(2 * (np.sqrt(1 + errors**2) - 1))


def left_out(rows: Rows, names: Floats) -> tuple[Floats, Floats]:
    """TPOT and TTFT of every row from constants fitted without its model, or without its GPU."""
    tpot, ttft = np.zeros(len(names)), np.zeros(len(names))
    for name in sorted(set(names)):
        out = names == name
        found = rows.predicted(fit(rows, ~out))
        tpot[out], ttft[out] = found[0][out], found[1][out]
    return tpot, ttft


def unscaled() -> Efficiency:
    """The shipped curves alone, sampling as if nothing were sorted."""
    found = efficiency()
    curves = {key: value for key, value in found.curves.items() if not key.startswith(SAMPLING)}
    return replace(found, curves=curves, scales={})


def as_data(values: Mapping[str, float]) -> dict[str, dict]:
    """What is no host constant or law of these, as an entry of the efficiency data."""
    shared = unscaled().curves[Kind.ELEMENTWISE]["bytes_fraction"]
    return {"curves": {f"{SAMPLING}:vllm<0.19": {"bytes_fraction": shared / values["vllm<0.19.sorting"]}}}
