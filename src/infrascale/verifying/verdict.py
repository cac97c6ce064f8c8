"""What was measured beside what was predicted: each point within its interval or not, and the plan kept or not.

In: LoadTests, the Plan, perhaps a Calibration.    Out: Verdict.
The plan is judged at its own load only: the points within a tenth of its rate, or of its requests in flight, and within
a fifth of its lengths. Of ten points one may well lie outside a 90 % interval. Where a percentile is promised and the
file tells it, it is judged beside the mean. All clients of a closed loop begin at once, which no user does: the wait
measured there is held against what the model says of that very loop, and the promise against the planned wait, as many
times as long as that loop's was of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from infrascale.calibration.cases import measured
from infrascale.calibration.own import Calibration
from infrascale.calibration.planned import asked_at
from infrascale.errors import ScenarioError
from infrascale.loadtests import LoadTest, Point
from infrascale.loadtests.reading import MOST_FAILED
from infrascale.planning import Candidate, Plan
from infrascale.verifying.design import expected, like

NEAR_LOAD, NEAR_LENGTH = 0.1, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One measure of one point [s]. `place`: within, below (faster than predicted) or above its interval."""

    file: str
    planned: bool
    concurrency: float | None
    request_per_s: float | None
    isl_tokens: float
    osl_tokens: float
    measure: str
    measured_s: float
    low_s: float
    best_s: float
    high_s: float

    @property
    def place(self) -> str:
        return "below" if self.measured_s < self.low_s else "above" if self.measured_s > self.high_s else "within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`word`: within, faster, slower or untested, of the planned load. `kept`: the promise, as measured there."""

    word: str
    kept: bool | None
    judged: tuple[Judged, ...]
    left_out: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return self.word != "slower" and self.kept is not False

    @property
    def within(self) -> int:
        return sum(one.place == "within" for one in self.judged)


def verdict(plan: Plan, tests: Iterable[LoadTest], own: Calibration | None = None) -> Verdict:
    """Every point judged; the word is of the planned load."""
    best = plan.best
    assert best is not None
    judged: list[Judged] = []
    left_out: list[str] = []
    kept: list[bool] = []
    for test in tests:
        for point in test.points:
            if point.failed > MOST_FAILED * (point.failed + point.completed) or not (
                point.concurrency or point.request_per_s
            ):
                left_out.append(test.path)
                continue
            rows = _judged(test.path, point, plan, best, own)
            judged += rows
            if rows and rows[0].planned:
                kept += _promise(point, rows, plan)
    if not judged:
        raise ScenarioError("no point can be judged", why="failed requests, or no load is known", fix="test again")
    places = {one.place for one in judged if one.planned}
    word = "slower" if "above" in places else "faster" if "below" in places else "within" if places else "untested"
    return Verdict(word=word, kept=all(kept) if kept else None, judged=tuple(judged), left_out=tuple(left_out))


def _judged(path: str, point: Point, plan: Plan, best: Candidate, own: Calibration | None) -> list[Judged]:
    workload = like(plan.scenario.workload, point.isl_tokens, point.osl_tokens)
    closed = point.load_kind == "closed"
    asked = asked_at(
        best,
        workload,
        concurrency=point.concurrency if closed else None,
        request_per_s=None if closed else point.request_per_s,
        waves=point.waves,
        one_length=point.one_length,
    )
    predicted = expected(asked, own)
    seen = measured(point, workload.osl_tokens) | _percentiles(point, plan)
    return [
        Judged(
            file=path,
            planned=_planned(point, plan, best),
            concurrency=asked.concurrency,
            request_per_s=asked.request_per_s,
            isl_tokens=workload.isl_tokens,
            osl_tokens=workload.osl_tokens,
            measure=measure,
            measured_s=seconds,
            low_s=predicted[measure][0],
            best_s=predicted[measure][1],
            high_s=predicted[measure][2],
        )
        for measure, seconds in seen.items()
        if measure in predicted
    ]


def _percentiles(point: Point, plan: Plan) -> dict[str, float]:
    """The promised percentiles as measured, where the file tells them [s]."""
    promise = plan.scenario.promise
    asked = (("tpot", point.tpot, promise.speed_share), ("ttft", point.ttft, promise.ttft_share))
    return {_name(m, share): stat.quantiles_s[share] for m, stat, share in asked if share in stat.quantiles_s}


def _name(measure: str, share: float | None) -> str:
    return measure if share is None else f"{measure}_p{100 * share:.0f}"


def _planned(point: Point, plan: Plan, best: Candidate) -> bool:
    """Whether this is the load that the plan is for."""
    load = plan.scenario.workload
    lengths = ((point.isl_tokens, load.isl_tokens), (point.osl_tokens, load.osl_tokens))
    if any(have is not None and abs(have / want - 1) > NEAR_LENGTH for have, want in lengths):
        return False
    if point.load_kind == "closed":
        have, want = point.concurrency, max(1.0, best.load * best.max_batch * best.replicas)
    else:
        have, want = point.request_per_s, best.performance.request_per_s * best.replicas
    return have is not None and abs(have / want - 1) <= NEAR_LOAD


def _promise(point: Point, rows: list[Judged], plan: Plan) -> list[bool]:
    """The promised speed and wait, each of the share that was promised; nothing where the file does not tell it.

    A mean that breaks the promise breaks it for any larger share too.
    """
    promise, found = plan.scenario.promise, {one.measure: one for one in rows}
    planned = plan.best.performance.ttft_s if plan.best else None
    kept = []
    for measure, share, most in (
        ("tpot", promise.speed_share, 1 / promise.token_per_s),
        ("ttft", promise.ttft_share, promise.ttft_s),
    ):
        told, mean = found.get(_name(measure, share)), found.get(measure)
        seconds = told.measured_s if told else None
        if measure == "ttft" and point.load_kind == "closed":
            waits = planned and (planned.mean_s if share is None else planned.quantiles_s.get(share))
            seconds = waits * told.measured_s / told.best_s if told and waits else None
        elif told is None and mean is not None and mean.measured_s > most:
            seconds = mean.measured_s
        if seconds is not None:
            kept.append(seconds <= most)
    return kept
