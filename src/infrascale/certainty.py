"""How sure a plan is: between which numbers of GPUs the need lies, and what was measured nearest to it.

In: Plan.    Out: Certainty, from the 90 % intervals of predictions in the plan's regime.
Idea: if every request really took e^h times as long as predicted, the promise would have to be kept by predictions
e^h times as quick, and e^h times as many would come meanwhile. So the cautious number of GPUs is the plan for a promise
that much tighter, and the bold one for a promise that much looser, on the same GPU and format: each proven as the plan
itself is.
Knows only the error of predictions: demand, lengths and prices are the person's (`studies` varies those).
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import exp

from infrascale import catalog
from infrascale.deployment import ENGINE_NAMES
from infrascale.hardware import Efficiency
from infrascale.hardware.efficiency import release_of
from infrascale.planning import (
    Candidate,
    Constraint,
    Judged,
    Judges,
    Objective,
    Plan,
    Scenario,
    capacity,
    fewest_gpus,
    plan,
)
from infrascale.uncertainty import COVERAGE, Intervals, Regime, intervals, regime_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Published measurements nearest to a plan, by what they share with it: `near` is model, gpu or architecture.

    `error_fraction`: median absolute error of predicting TPOT there by constants fitted without the model.
    """

    near: str
    measurements: int
    error_fraction: float
    engine: str  # with the releases that were measured: vLLM 0.11–0.19


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """GPUs at the bold and the cautious end; None where no number would do. Speed and TTFT at both ends."""

    confidence_fraction: float
    low_gpus: int | None
    high_gpus: int | None
    token_per_s: tuple[float, float]
    ttft_s: tuple[float, float]
    evidence: Evidence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """How sure the capacity of given GPUs is, and what more would mean.

    `low_requests`, `high_requests`: in flight at the cautious and the bold end. `breaks`: the constraint that one
    request more in each replica breaks. `doubled_gpus`: GPUs of this kind for twice the requests; None: no number.
    """

    confidence_fraction: float
    low_requests: float
    high_requests: float
    breaks: Constraint
    doubled_gpus: int | None
    evidence: Evidence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What an answer owes to a calibration. `outside`: how many times beyond what was measured the question lies."""

    points: int
    model: str
    gpu: str
    kinship: str
    outside: float


def _regime(candidate: Candidate) -> Regime:
    """Requests that run at once: a plan knows its batch, so what waits beyond it adds no doubt of its own."""
    return regime_of(candidate.deployment, "closed")


def certainty(
    found: Plan, efficiency: Efficiency, own: Intervals | None = None, judged: Judged | None = None
) -> Certainty | None:
    """None for an infeasible plan: there is no number to be sure of. `own`: intervals after load tests of one's own.

    `judged`: with the tables that the plan was made with, if they were kept.
    """
    best = found.best
    if best is None:
        return None
    judged = judged or Judges()
    regime = _regime(best)
    token, first = ((own or intervals()).of(measure, regime) for measure in ("tpot_mean_s", "ttft_mean_s"))
    promise = found.scenario.promise
    speed, ttft_s = 1 / promise.tpot_of(best.performance), promise.ttft_of(best.performance)
    return Certainty(
        confidence_fraction=COVERAGE,
        low_gpus=_gpus(found, efficiency, judged, token.low, first.low),
        high_gpus=_gpus(found, efficiency, judged, token.high, first.high),
        token_per_s=(speed * exp(-token.high), speed * exp(-token.low)),
        ttft_s=first.around(ttft_s),
        evidence=None if own else nearest(best),
    )


def _gpus(found: Plan, efficiency: Efficiency, judged: Judged, token: float, first: float) -> int | None:
    """GPUs of the same kind that keep the promise when TPOT and TTFT are e^token and e^first times the predicted."""
    assert found.best is not None
    stretched = replace(_stretched(found.scenario, found.best, token, first), most_gpus=None, most_kw=None)
    if found.objective is not Objective.GPUS:  # which may like a larger cut
        stretched = replace(stretched, gpus_per_replica=(found.best.gpus_per_replica,))
    return fewest_gpus(stretched, efficiency, judged)


def _stretched(asked: Scenario, best: Candidate, token: float, first: float) -> Scenario:
    """The question for this GPU and format, its promise as tight as times e^token and e^first as long make it."""
    promise = asked.promise
    return replace(
        asked,
        promise=replace(promise, token_per_s=promise.token_per_s * exp(token), ttft_s=promise.ttft_s * exp(-first)),
        demand=asked.demand.to_slower(exp(token)),
        gpus=(best.deployment.gpu,),
        precisions=(best.deployment.quantization.precision,),
    )


def beyond(
    asked: Scenario, best: Candidate, requests: float, gpus: int, efficiency: Efficiency, own: Intervals | None = None
) -> Beyond:
    """What lies around the answer of `capacity`: `best` serves `requests` at once on `gpus`."""
    regime = _regime(best)
    token, first = ((own or intervals()).of(measure, regime) for measure in ("tpot_mean_s", "ttft_mean_s"))

    def most(end: str) -> float:
        stretched = _stretched(asked, best, getattr(token, end), getattr(first, end))
        found = capacity(stretched, efficiency, gpus)
        return found[0][1] if found else 0.0

    def needed(requests: float, sizes: tuple[int, ...]) -> Candidate | None:
        """The cheapest way to serve so many, without the spares that the answer already counts."""
        more = replace(
            _stretched(asked, best, 0.0, 0.0),
            demand=asked.demand.holding(requests, best.performance.e2e_s.mean_s),
            headroom_fraction=0.0,
            most_gpus=None,
            most_kw=None,
            gpus_per_replica=sizes,
        )
        return plan(more, efficiency).best

    one_more = needed(requests + best.replicas, (best.gpus_per_replica,))
    doubled = needed(2 * requests, asked.gpus_per_replica)
    return Beyond(
        confidence_fraction=COVERAGE,
        low_requests=most("high"),
        high_requests=most("low"),
        breaks=(one_more or best).binding.constraint,
        doubled_gpus=doubled.gpus if doubled else None,
        evidence=None if own else nearest(best),
    )


@cache
def _measured() -> tuple[dict[str, str], ...]:
    with (catalog.DATA / "evidence.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def nearest(candidate: Candidate) -> Evidence | None:
    """Closed-loop measurements with the same engine of the same GPU and model, else GPU, else architecture.

    Models of one shape are one: Llama 3.1 and 3.3 of 70 B differ in their weights only.
    """
    deployment = candidate.deployment
    own = [row for row in _measured() if row["engine"] == deployment.engine.name]
    for near, value in (
        ("model", (str(deployment.model.params), deployment.gpu.id)),
        ("gpu", (deployment.gpu.id,)),
        ("architecture", (deployment.gpu.architecture,)),
    ):
        keys = {"model": ("params", "gpu"), "gpu": ("gpu",), "architecture": ("architecture",)}[near]
        rows = [row for row in own if tuple(row[key] for key in keys) == value]
        if rows:
            return _joined(near, ENGINE_NAMES[deployment.engine.name], rows)
    return None


def _joined(near: str, engine: str, rows: Iterable[dict[str, str]]) -> Evidence:
    counts = [(int(row["measurements"]), float(row["tpot_error"])) for row in rows]
    total = sum(count for count, _ in counts)
    versions = sorted({word for row in rows for word in row["versions"].split(" ") if word}, key=release_of)
    ends = f"{_short(versions[0])}–{_short(versions[-1])}" if len(versions) > 1 else "".join(versions)
    return Evidence(
        near=near,
        measurements=total,
        error_fraction=sum(count * error for count, error in counts) / total,
        engine=f"{engine} {ends}".strip(),
    )


def _short(version: str) -> str:
    """0.19.0rc2 is 0.19."""
    return ".".join(map(str, release_of(version)[:2]))
