"""Curves from whole steps: what `vllm bench forward --output-json` timed, without scheduler, traffic or weights.

In: its JSON, the deployment it ran on.    Out: the generation's curves under the multipliers that fit.
A file holds [{case, requests: [{query_len, kv_len, num_draft_tokens, chunked}], median_us, ranks}] (vLLM 0.33).
A request whose query is one token and whose cache is longer decodes; the others prefill.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, isfinite, log
from statistics import median
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter

from infrascale.calibration.own import NAMES, PRIOR_SPREADS, scaled
from infrascale.deployment import Deployment, PhysicsTimer
from infrascale.errors import FileError
from infrascale.parsing.checked import shaped, text_of
from infrascale.parsing.efficiencies import efficiency
from infrascale.profiling.fitting import Fit, most_probable
from infrascale.work import Batch, Kind

MOST_BYTES = 64 << 20
#: Log-noise of a step in a CUDA graph; vLLM itself warns above half a per cent.
NOISE = 0.02
#: What kernels alone can tell: a step here has no host in it.
TOLD = ("weights", "arithmetic", "cache", "links")


class _Request(BaseModel):
    query_len: Annotated[int, Field(ge=1, le=10**8)]
    kv_len: Annotated[int, Field(ge=1, le=10**8)]
    num_draft_tokens: Annotated[int, Field(ge=0, le=1000)] = 0

    @property
    def decodes(self) -> bool:
        return self.kv_len > self.query_len and self.query_len == 1 + self.num_draft_tokens


class _Case(BaseModel):
    case: str
    requests: Annotated[list[_Request], Field(min_length=1, max_length=10**5)]
    median_us: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]


_CASES = TypeAdapter(Annotated[list[_Case], Field(min_length=1, max_length=10**4)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step that was timed."""

    case: str
    batch: Batch
    seconds: float


def read_forward(path: str) -> list[Step]:
    """The steps in this file; those that verify drafts are left to the engine's own tools."""
    text = text_of(path, MOST_BYTES, _broken)
    cases = shaped(path, lambda: _CASES.validate_python(json.loads(text)), _broken)
    steps = [_step(case) for case in cases if not any(r.num_draft_tokens for r in case.requests)]
    if not steps:
        raise _broken(path, "every step in it verifies drafts")
    return steps


def _step(case: _Case) -> Step:
    decodes = [r for r in case.requests if r.decodes]
    prompts = [r for r in case.requests if not r.decodes]
    batch = Batch(
        prefill_tokens=float(sum(r.query_len for r in prompts)),
        prefill_seqs=float(len(prompts)),
        prefill_past_tokens=sum(r.kv_len - r.query_len for r in prompts) / len(prompts) if prompts else 0.0,
        decode_seqs=float(len(decodes)),
        context_tokens=float(sum(r.kv_len for r in decodes)),
    )
    return Step(case=case.case, batch=batch, seconds=case.median_us / 1e6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """`curves` and `bus` as a profile holds them; errors of step times [fraction], before and after."""

    multipliers: dict[str, float]
    curves: dict[tuple[Kind, str], Fit]
    bus: dict[str, dict[int, float]] | None
    before_fraction: float
    after_fraction: float


def learn(steps: Sequence[Step], deployment: Deployment) -> Learnt:
    """The curves of this model's operators on this card, as these steps have them."""

    def curves(theta: Sequence[float]):
        told = dict(zip(TOLD, theta, strict=True))
        return scaled(efficiency(), [told.get(name, 0.0) for name in NAMES])

    def logs(theta: Sequence[float]) -> list[float]:
        timer = PhysicsTimer(deployment=deployment, efficiency=curves(theta))
        return [log(step.seconds / timer.kernels_s(step.batch)) for step in steps]

    first = [0.0] * len(TOLD)
    held = [PRIOR_SPREADS[name] ** -2 for name in TOLD]
    theta = most_probable(lambda t: [r / NOISE for r in logs(t)], first, held)
    found, gpu = curves(theta), deployment.gpu
    works = [
        work for step in steps for work in deployment.model.work(step.batch, deployment.shard, deployment.numerics)
    ]
    errors = [abs(exp(-r) - 1) for r in logs(theta)]
    fits = {
        (kind, format): Fit(
            values={k: v for k, v in asdict(found.curve(kind, format, gpu)).items() if isfinite(v)},
            error_fraction=median(errors),
            samples=len(steps),
        )
        for kind, format in dict.fromkeys((work.kind, work.format) for work in works if work.message is None)
    }
    return Learnt(
        multipliers={name: exp(t) for name, t in zip(TOLD, theta, strict=True)},
        curves=fits,
        bus=asdict(found.collective(gpu.link, gpu)) if any(work.message for work in works) else None,
        before_fraction=median(abs(exp(-r) - 1) for r in logs(first)),
        after_fraction=median(errors),
    )


def _broken(path: str, why: str) -> FileError:
    fix = "vllm bench forward --model … --case decode=32*1@8192 --output-json FILE"
    return FileError(f"{path} is no result of vllm bench forward", why=why, fix=fix)
