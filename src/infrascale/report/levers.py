"""What would make a plan cheaper, or an infeasible question feasible: one change at a time, each proven by a plan.

In: Plan and its question.    Out: Lever, whose keys are those of a scenario.toml: a flag on the command line, a button
in the app. Nothing is estimated from the constraint that binds: every change is planned anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from infrascale.deployment import kv_cache_dtypes, runs
from infrascale.errors import InfraScaleError
from infrascale.hardware import Efficiency
from infrascale.locales import Words
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.scenarios import Question, scenario
from infrascale.planning import (
    Change,
    Constraint,
    Judged,
    Judges,
    Nearest,
    Plan,
    Promise,
    Scenario,
    fewest_gpus,
)
from infrascale.precision import PRECISIONS
from infrascale.screen.text import fit, paragraph

#: How far a promise is eased to see what that buys: a fifth of the speed, half as long again to wait.
EASED_SPEED, EASED_TTFT = 0.8, 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """`keys` of scenario.toml that change, the first of which names it; the GPUs then needed, and saved by it."""

    keys: Mapping[str, object]
    gpus: int
    saves_gpus: int = 0
    gpu_name: str = ""

    @property
    def name(self) -> str:
        return next(iter(self.keys))


#: The unit of a number that a lever changes.
UNITS = {"ttft": "s", "tokens_per_s": "token_per_s", "max_gpus": "gpus", "max_kw": "kw"}


def changed(w: Words, lever: Lever) -> str:
    """A change in words, its new value with its unit."""
    value = lever.keys[lever.name]
    if lever.name in UNITS:
        text = w.quantity(float(str(value)), UNITS[lever.name])
    elif lever.name == "gpu":
        text = lever.gpu_name
    else:
        text = str(value[0] if isinstance(value, list) else value)
    return w.say(f"lever.{lever.name}", value=text)


def lever_lines(w: Words, found: Sequence[Lever]) -> list[str]:
    """What `infrascale plan --levers` adds to its screen; each line's flag is the change."""
    if not found:
        return ["", *paragraph(w.say("lever.none"), "  ")]
    rows = [(changed(w, one), w.say("lever.fewer", n=one.saves_gpus), _flags(one)) for one in found]
    return ["", *paragraph(w.say("lever.title"), "  "),
            *(f"    {fit(change, 36):<37}{effect:<15} {flag}" for change, effect, flag in rows)]  # fmt: skip


def _flags(lever: Lever) -> str:
    """The first change as a flag; what else it holds only keeps the users' habits as they are."""
    value = lever.keys[lever.name]
    return f"--{lever.name.replace('_', '-')} {value[0] if isinstance(value, list) else value}"


def levers_json(found: Sequence[Lever]) -> list[dict[str, Any]]:
    return [{"keys": dict(one.keys), "gpus": one.gpus, "saves_gpus": one.saves_gpus} for one in found]


def levers(
    found: Plan, asked: Question, law: Efficiency | None = None, judged: Judged | None = None
) -> list[Lever]:  # fmt: skip
    """Single changes that save GPUs of the kind planned, those that save most first; of equals, the mildest.

    `judged`: with the tables of questions before this one, if they were kept.
    """
    best = found.best
    if best is None:
        return []
    law, judged, helpful = law or efficiency(), judged or Judges(), []
    for keys in _changes(found, asked):
        changed = _scenario(found, asked, keys | {"gpu": [best.deployment.gpu.id]})
        gpus = fewest_gpus(changed, law, judged, best.gpus) if changed else None
        if gpus is not None:
            helpful.append(Lever(keys=keys, gpus=gpus, saves_gpus=best.gpus - gpus))
    return sorted(helpful, key=lambda lever: -lever.saves_gpus)


def remedies(found: Plan, asked: Question) -> list[Lever]:
    """Single changes after which an infeasible question has an answer; promises rounded to what people would say."""
    if found.best is not None:
        return []
    helpful = []
    for one in found.nearest:
        keys = _keys(one, asked, found.scenario.promise)
        changed = _scenario(found, asked, keys) if keys else None
        gpus = fewest_gpus(changed, efficiency()) if changed else None
        if gpus is not None:
            name = one.candidate.deployment.gpu.name if one.candidate else ""
            helpful.append(Lever(keys=keys, gpus=gpus, gpu_name=name))
    return helpful


def _scenario(found: Plan, asked: Question, keys: Mapping[str, object]) -> Scenario | None:
    """The question so changed; None where the change contradicts the rest of it, and so helps nobody."""
    try:
        return scenario(Question.model_validate(asked.model_dump() | dict(keys)), given=found.scenario.model)
    except InfraScaleError:
        return None


def _changes(found: Plan, asked: Question) -> Iterator[dict[str, object]]:
    """What a person could do, mildest first: a smaller cache, smaller weights, then a weaker promise."""
    assert found.best is not None
    deployment = found.best.deployment
    if asked.kv_cache_dtype == "auto" and "fp8" in kv_cache_dtypes(deployment.gpu):
        yield {"kv_cache_dtype": "fp8"}
    now = PRECISIONS[deployment.quantization.precision].weight_bytes_per_param
    for precision in PRECISIONS:
        if PRECISIONS[precision].weight_bytes_per_param < now and runs(precision, deployment.gpu):
            yield {"precision": [precision]}
    promise = found.scenario.promise
    yield _eased("ttft", promise.ttft_s * EASED_TTFT, asked)
    yield _eased("tokens_per_s", promise.token_per_s * EASED_SPEED, asked)


def _eased(key: str, value: float, asked: Question) -> dict[str, object]:
    freed = {"tpot_s": None} if key == "tokens_per_s" and asked.tpot_s is not None else {}
    return {key: _said(value)} | freed


def _keys(nearest: Nearest, asked: Question, promise: Promise) -> dict[str, object]:
    """The keys that make the change; empty where there is none to make."""
    if nearest.candidate is None or nearest.change is None:
        return {}
    if nearest.change is Change.STOCK:
        return {"max_gpus": nearest.candidate.gpus}
    if nearest.change is Change.POWER:
        return {"max_kw": _said(nearest.best, up=True)}
    if nearest.change is Change.PRECISION:
        return {"precision": [nearest.candidate.deployment.quantization.precision]}
    if nearest.change is Change.GPU:
        return {"gpu": [nearest.candidate.deployment.gpu.id]}
    performance = nearest.candidate.performance
    speed, ttft_s = 1 / promise.tpot_of(performance), promise.ttft_of(performance)
    wait = {"ttft": max(asked.ttft, _said(max(ttft_s, nearest.best), up=True))}
    promised = asked.tokens_per_s or (1 / asked.tpot_s if asked.tpot_s else 20.0)
    eased = {"tokens_per_s": _said(min(speed, nearest.best), up=False), "tpot_s": None}
    if nearest.constraint is Constraint.WAIT:
        return wait | (eased if speed < promised else {})
    return eased | (wait if ttft_s > asked.ttft else {})


def _said(value: float, *, up: bool | None = None) -> float:
    """Two digits: 0.0484 s as 0.049 when rounded up, so that what is said can be kept."""
    step = 10 ** (floor(log10(value)) - 1)
    whole = round(value / step) if up is None else ceil(value / step) if up else floor(value / step)
    return round(whole * step, 10)
