"""Load tests become Cases: what the files say, what the person adds, and what cannot be used, with the reason.

In: LoadTests, and words for what files leave out (gpu, model, tp …).    Out: Cases, and sentences on those left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from math import log

from infrascale.calibration.own import Case, expected
from infrascale.calibration.residuals import weights_read_s
from infrascale.deployment import tensor_parallel_degrees
from infrascale.errors import InfraScaleError, ScenarioError
from infrascale.loadtests import LoadTest, Point
from infrascale.loadtests.reading import MOST_FAILED
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.gpus import gpu
from infrascale.parsing.likeness import likened
from infrascale.parsing.measurements import Asked, asked
from infrascale.serving import Waves

#: The engine's own settings that decide what runs together.
KNOBS = ("max_num_seqs", "max_num_batched_tokens")
#: Why a point cannot be used; `calibrate.left_NAME` of the locale says it.
FASTER, FAILED, NO_LENGTHS, NO_LOAD, POOLS, UNITS = "faster", "failed", "no_lengths", "no_load", "pools", "units"
#: A token in so many times the predicted time is one in other units: the slowest machine measured took nine times.
MOST_TIMES = 40.0


def cases_of(tests: Iterable[LoadTest], given: Mapping[str, str]) -> tuple[list[Case], list[tuple[str, str]]]:
    """Every usable point, and path and reason of each other.

    `given` fills what the files leave out and overrides the model's and the GPU's names.
    """
    found, left_out = [], []
    for test in tests:
        for point in test.points:
            facts = {**test.facts, **point.facts, **given}
            why = _unusable(point, facts)
            case = None if why else _case(point, facts)
            if case and _too_fast(case):
                why = FASTER
            elif case and _too_slow(case):
                why = UNITS
            if why:
                left_out.append((test.path, why))
            elif case:
                found.append(case)
    one = {(c.asked.deployment.gpu.id, c.asked.deployment.engine.name) for c in found}
    if len(one) > 1:
        raise ScenarioError(
            "these load tests ran on different things",
            why=", ".join(" under ".join(pair) for pair in sorted(one)),
            fix="calibrate each GPU and engine alone",
        )
    return found, list(dict.fromkeys(left_out))


def differing(tests: Iterable[LoadTest], given: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """What a file says and the person said otherwise: key, file's word, person's. A model's alias on a server is none.

    Names that both mean something known are compared by what they mean; degrees as they stand.
    """
    means: dict[str, Callable[[str], str]] = {
        "model": lambda word: likened(word)[0].id,
        "gpu": lambda word: gpu(word).id,
    }
    found = {}
    for test in tests:
        for facts in ({**test.facts, **point.facts} for point in test.points):
            for key in ("model", "gpu", "tp", "engine"):
                said, taken = facts.get(key, ""), given.get(key, "")
                if said and taken and _meant(means.get(key), said) not in ("", _meant(means.get(key), taken)):
                    found[key] = (key, said, taken)
    return list(found.values())


def _meant(means: Callable[[str], str] | None, word: str) -> str:
    try:
        return means(word) if means else word.lower()
    except InfraScaleError:
        return ""


def _unusable(point: Point, facts: Mapping[str, str]) -> str:
    for key in ("model", "gpu"):
        if not facts.get(key):
            raise ScenarioError(f"no {key} is named", why="the load tests do not say", fix=f"add --{key}")
    if point.failed / (point.failed + point.completed) > MOST_FAILED:
        return FAILED
    if facts.get("pools"):
        return POOLS
    if not (point.isl_tokens or facts.get("isl")) or not (point.osl_tokens or facts.get("osl")):
        return NO_LENGTHS
    return "" if point.concurrency or point.request_per_s else NO_LOAD


def _case(point: Point, facts: Mapping[str, str]) -> Case:
    row = {key: facts.get(key, "") for key in ("model", "gpu", "gpu_count", "tp", "pp", "ep", "engine_version")}
    row["engine"] = facts.get("engine", "vllm")
    row["weight_precision"], row["kv_precision"] = facts.get("precision", ""), facts.get("kv", "")
    row["gpu_count"] = row["gpu_count"] or _gpus(facts)
    row |= {
        "isl": f"{point.isl_tokens or float(facts['isl']):g}",
        "osl": f"{point.osl_tokens or float(facts['osl']):g}",
        "load_kind": point.load_kind,
        "concurrency": f"{point.concurrency:g}" if point.concurrency else "",
        "request_rate": f"{point.request_per_s:g}" if point.request_per_s else "",
    }
    question = asked(row)
    _splittable(question, row["tp"])
    knobs = {name: round(float(facts[name])) for name in KNOBS if facts.get(name)}
    if knobs:
        deployment = replace(question.deployment, engine=replace(question.deployment.engine, **knobs))
        question = replace(question, deployment=deployment)
    if point.waves:
        waves = Waves(count=max(1.0, point.waves), one_length=point.one_length)
        question = replace(question, waves=waves)
    seen = measured(point, question.workload.osl_tokens)
    if facts.get("front_end") == "none":  # a first token without what every server adds would teach a quick one
        seen.pop("ttft", None)
    return Case(asked=question, measured=seen, requests=point.completed if point.completed > 1 else None)


def _splittable(question: Asked, tp: str) -> None:
    """A degree that no engine starts is a mistyped one."""
    model = question.deployment.model
    if tp and model.heads % float(tp):
        why = f"its {model.heads} attention heads are not a multiple of {tp}"
        legal = tensor_parallel_degrees(model, 16)
        raise ScenarioError(f"tp={tp} cannot split {model.id}", why=why, fix=f"use tp in {legal}")


def _gpus(facts: Mapping[str, str]) -> str:
    """All GPUs behind the load, where a file tells their degrees and replicas but not their number."""
    if not facts.get("tp"):
        return ""
    count = 1.0
    for key in ("tp", "pp", "replicas"):
        try:
            count *= float(facts.get(key) or 1)
        except ValueError:
            raise ScenarioError(
                f"{key} = {facts[key][:30]!r} is no number", why="a load test says so", fix=f"--{key}"
            ) from None
    return f"{count:g}"


def measured(point: Point, osl_tokens: float) -> dict[str, float]:
    """Mean TPOT and TTFT of a point, as far as it tells [s]."""
    tpot, ttft, e2e = point.tpot.mean_s, point.ttft.mean_s, point.e2e.mean_s
    if tpot is None and ttft is not None and e2e is not None and osl_tokens > 1:
        tpot = (e2e - ttft) / (osl_tokens - 1)
    return {key: value for key, value in (("tpot", tpot), ("ttft", ttft)) if value}


def _too_fast(case: Case) -> bool:
    """A token in less time than one GPU needs to read its weights at the datasheet's bandwidth."""
    return case.measured.get("tpot", 1.0) < weights_read_s(case.asked)


def _too_slow(case: Case) -> bool:
    """Milliseconds in a column of seconds."""
    seconds = case.measured.get("tpot")
    return seconds is not None and log(seconds) > log(MOST_TIMES) + expected(case.asked, efficiency())["tpot"]
