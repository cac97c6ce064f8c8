"""Which few loads to measure: the planned one, then those that tell most of what the model does not know.

In: a Plan, perhaps a Calibration, a number of points.    Out: Design.
Idea: D-optimal, one point after the other. With slopes J of log TPOT and log TTFT by the seven multipliers, covariance
Σ of what is known so far, and noises σ, a load teaches ½·log det(I + σ⁻¹·J·Σ·Jᵀ·σ⁻¹); the most telling is taken, and
Σ follows Bayes. The planned load comes first, as an open loop: arrivals as the plan assumes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, log, sqrt

from infrascale.calibration.algebra import Matrix, quadratic
from infrascale.calibration.own import NAMES, NOISES, Z_90, Calibration, prior, scaled, slopes_at
from infrascale.calibration.own import expected as moved
from infrascale.calibration.planned import asked_at
from infrascale.deployment import longest_request_tokens
from infrascale.errors import InfraScaleError
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.measurements import Asked
from infrascale.planning import Candidate, Plan
from infrascale.predicting import predict
from infrascale.uncertainty import intervals
from infrascale.workload import Workload

#: Requests for each in flight: enough for a steady middle after the ramp.
ROUNDS = 10
#: Shares of the planned load that are candidates, beside a single request, and factors on its lengths.
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25)
LENGTHS = ((1.0, 1.0), (4.0, 0.25), (0.25, 1.0), (1.0, 0.25))
LEAST_OSL = 8
#: Half a 90 % interval (log) that a percentile of one run adds to its mean: the p95 of sixty requests is of a few
#: of them. A real vLLM's lay up to 25 % further off than its means (benchmarks/live_loop.py).
TAIL_SPREAD = 0.25
#: Beyond this log-spread an interval says nothing.
MOST_SPREAD = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A load to measure: clients of a closed loop or a rate, over all replicas. `expected`: low, best, high [s]."""

    name: str
    planned: bool
    isl_tokens: int
    osl_tokens: int
    concurrency: int | None
    request_per_s: float | None
    requests: int
    seconds: float
    learnt_nats: float
    expected: dict[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """`before`, `after`: half the 90 % interval at the planned load, as a factor of time, now and once it is measured.

    `even`: the same after as many evenly spaced loads of the planned lengths.
    """

    probes: tuple[Probe, ...]
    before: dict[str, float]
    after: dict[str, float]
    even: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    asked: Asked
    planned: bool
    slopes: dict[str, list[float]]


def design(plan: Plan, own: Calibration | None = None, points: int = 5) -> Design:
    """The planned load and the `points` − 1 most telling others."""
    best = _feasible(plan)
    theta, known = _known(best, own)
    noises = own.noises if own else NOISES
    first, *others = [
        _Load(asked=asked, planned=planned, slopes=slopes_at(asked, efficiency(), theta)[1])
        for planned, asked in _candidates(plan, best)
    ]
    target = first.slopes
    chosen, covariance = [(first, _nats(first, known, noises))], _after(first, known, noises)
    while len(chosen) < points and others:
        telling = max(others, key=lambda load: _nats(load, covariance, noises))
        chosen.append((telling, _nats(telling, covariance, noises)))
        covariance = _after(telling, covariance, noises)
        others.remove(telling)
    even = known
    for load in _evenly(plan, best, points):
        even = _after(_Load(asked=load, planned=False, slopes=slopes_at(load, efficiency(), theta)[1]), even, noises)

    def half(found: Matrix) -> dict[str, float]:
        return {m: exp(Z_90 * sqrt(quadratic(target[m], found) + noises[m] ** 2)) for m in target}

    return Design(
        probes=tuple(_probe(load, nats, own, f"p{n}") for n, (load, nats) in enumerate(chosen, 1)),
        before=half(known) if own else _shipped(first.asked),
        after=half(covariance),
        even=half(even),
    )


def _feasible(plan: Plan) -> Candidate:
    if plan.best is None:
        raise InfraScaleError("an infeasible plan cannot be tested", why="nothing would be started", fix="plan anew")
    return plan.best


def _known(best: Candidate, own: Calibration | None) -> tuple[list[float], Matrix]:
    """Multipliers and their covariance before the test."""
    if own is not None:
        return own.at(best.deployment)
    return [0.0] * len(NAMES), prior(best.deployment.gpu)


def _shipped(goal: Asked) -> dict[str, float]:
    """Half of the interval at the planned load, before any load test."""
    found = expected(goal, None)
    return {m: exp(log(found[m][2] / found[m][0]) / 2) for m in ("tpot", "ttft")}


def _queued(asked: Asked, told: Mapping[str, tuple[float, float, float]]) -> dict[str, tuple[float, float, float]]:
    """The ends of an engine as unsure as told, at this rate: a slower one has more under way, which slows it again.

    What all its times c times as long make of a measure beyond c times it is doubt of its own.
    """
    low, best, high = told["tpot"]
    general = efficiency()
    base = moved(asked, general)
    found = dict(told)
    for end, factor in ((0, log(low / best)), (2, log(high / best))):
        felt = moved(asked, scaled(general, [factor] * len(NAMES)))
        for measure in ("tpot", "ttft"):
            beyond = min(MOST_SPREAD, max(0.0, abs(felt[measure] - base[measure]) - abs(factor)))
            ends = list(found[measure])
            ends[end] = _wider(told[measure], beyond)[end]
            found[measure] = ends[0], ends[1], ends[2]
    return found


def _candidates(plan: Plan, best: Candidate) -> Iterator[tuple[bool, Asked]]:
    """The planned load first; then closed loops of fewer and more requests, with other lengths too."""
    load, engine = plan.scenario.workload, best.deployment.engine
    rate = best.performance.request_per_s * best.replicas
    yield True, asked_at(best, load, request_per_s=rate)
    peak = max(1.0, best.load * best.max_batch * best.replicas)
    longest = engine.max_model_len or min(best.deployment.model.max_model_len, longest_request_tokens(best.deployment))
    seen = set()
    for isl_factor, osl_factor in LENGTHS:
        isl = max(1.0, round(load.isl_tokens * isl_factor))
        osl = max(LEAST_OSL, round(load.osl_tokens * osl_factor))
        if isl + osl > longest:
            continue
        workload = replace(load, isl_tokens=isl, osl_tokens=osl, isl_cv=0.0, osl_cv=0.0)
        for share in (0.0, *SHARES):
            clients = max(best.replicas, min(round(share * peak), best.max_batch * best.replicas))
            if (isl, osl, clients) not in seen:
                seen.add((isl, osl, clients))
                yield False, asked_at(best, workload, concurrency=clients, waves=ROUNDS, one_length=True)


def _evenly(plan: Plan, best: Candidate, points: int) -> Iterator[Asked]:
    """What people measure when nobody designs: the planned lengths at evenly spaced numbers of clients."""
    peak = max(1.0, best.load * best.max_batch * best.replicas)
    for turn in range(1, points + 1):
        clients = max(best.replicas, round(peak * turn / points))
        yield asked_at(best, plan.scenario.workload, concurrency=clients, waves=ROUNDS, one_length=True)


def _nats(load: _Load, covariance: Matrix, noises: dict[str, float]) -> float:
    """½·log det of what is learnt: one measure after the other, each after those before it."""
    total = 0.0
    for measure, slopes in load.slopes.items():
        total += 0.5 * log(1 + quadratic(slopes, covariance) / noises[measure] ** 2)
        covariance = _told(slopes, covariance, noises[measure])
    return total


def _after(load: _Load, covariance: Matrix, noises: dict[str, float]) -> Matrix:
    for measure, slopes in load.slopes.items():
        covariance = _told(slopes, covariance, noises[measure])
    return covariance


def _told(slopes: Sequence[float], covariance: Matrix, noise: float) -> Matrix:
    """Σ − Σ·j·jᵀ·Σ / (σ² + jᵀ·Σ·j)."""
    moved = [sum(a * s for a, s in zip(row, slopes, strict=True)) for row in covariance]
    total = noise**2 + sum(m * s for m, s in zip(moved, slopes, strict=True))
    return [
        [v - a * b / total for v, b in zip(row, moved, strict=True)] for row, a in zip(covariance, moved, strict=True)
    ]


def _probe(load: _Load, nats: float, own: Calibration | None, name: str) -> Probe:
    asked, found = load.asked, predict(load.asked, own)
    rate, e2e_s = asked.request_per_s, found.measures["e2e_mean_s"]
    clients = None if rate else round(asked.concurrency or 1)
    requests = max(20, round(ROUNDS * (clients or rate * e2e_s)))  # type: ignore[operator]
    return Probe(
        name=name,
        planned=load.planned,
        isl_tokens=round(asked.workload.isl_tokens),
        osl_tokens=round(asked.workload.osl_tokens),
        concurrency=clients,
        request_per_s=rate,
        requests=requests,
        seconds=requests / rate + e2e_s if rate else requests / (clients or 1) * e2e_s,
        learnt_nats=nats,
        expected=expected(asked, own),
    )


def expected(asked: Asked, own: Calibration | None) -> dict[str, tuple[float, float, float]]:
    """Low, best and high of TPOT and TTFT at a load, 90 %, and of the percentiles that are known of it [s].

    Of a rate near the most that is sustained, more (`_queued`). A percentile is as unsure as its mean, and
    `TAIL_SPREAD` more.
    """
    found = predict(asked, own)
    table = own.intervals(asked, efficiency()) if own else intervals()
    places = asked.deployment.engine.max_num_seqs * asked.deployment.shard.dp * asked.replicas
    regime = replace(found.regime, kind="closed", queued=(asked.concurrency or 0) > places)  # as the plan is judged
    bounds = table.bounds(found.measures, regime)
    told = {
        m: (bounds[f"{m}_mean_s"][0], found.measures[f"{m}_mean_s"], bounds[f"{m}_mean_s"][1]) for m in ("tpot", "ttft")
    }
    if asked.request_per_s and not own:  # a calibration's spread goes through the queue by itself
        told = _queued(asked, told)
    for name, seconds in found.tails.items():
        measure = name.removesuffix("_s")
        low, mean, high = told.get(measure.partition("_")[0], (0.0, 0.0, 0.0))
        if mean:
            told[measure] = _wider((seconds * low / mean, seconds, seconds * high / mean), TAIL_SPREAD)
    return told


def _wider(ends: tuple[float, float, float], spread: float) -> tuple[float, float, float]:
    """Low, best and high with another, independent doubt (log)."""
    low, best, high = ends
    return best * exp(-hypot(log(best / low), spread)), best, best * exp(hypot(log(high / best), spread))


def like(asked: Workload, isl: float | None, osl: float | None) -> Workload:
    """The planned workload with the lengths that were measured."""
    return replace(
        asked, isl_tokens=isl or asked.isl_tokens, osl_tokens=osl or asked.osl_tokens, isl_cv=0.0, osl_cv=0.0
    )
