"""A day on a plan, and the hour in which a replica dies at the peak: simulated, request by request.

In: Subject (a planned way and its demand), the share of a day in its busiest hour.    Out: Lived: percentiles, and
slices of time to plot.
Idea: round robin sends every N-th request to a replica, whatever the others do. So of a large fleet a few replicas are
simulated, each with exactly the requests that it would get; where one dies, all are.
The day is round about its peak (see `rounded_day`), arrivals come by themselves: who waits long does not stay away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infrascale.errors import ScenarioError
from infrascale.workload.profile import Profile, rounded_day

if TYPE_CHECKING:
    import numpy as np

    from infrascale.planning import Scenario
    from infrascale.serving.simulation.fleet import Fleet, Records, Requests
    from infrascale.serving.simulation.outcome import Outcome
    from infrascale.simulating.run import Progress, Subject

DAY_S = 86_400.0
#: What may be drawn; what is followed of a day, some seconds on one core; and of an hour in which a replica dies.
MOST_DRAWN, MOST_FOLLOWED, MOST_AT_A_LOSS = 30_000_000, 1_000_000, 3_000_000
DAY_SLICES, LOOKS_A_SLICE = 96, 4
#: Around a loss: quiet before it, and time to recover after the replica is back.
BEFORE_S, AFTER_S = 900.0, 1800.0
SLICE_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A stretch of time. Times of the requests that arrived in it; None where none did. Sequences of all replicas."""

    from_s: float
    request_per_s: float
    ttft_median_s: float | None
    ttft_p95_s: float | None
    tpot_p95_s: float | None
    kept_fraction: float | None
    running_seqs: float
    waiting_seqs: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """`simulated_replicas` of `replicas` stand for all; counts and rates are of all."""

    outcome: Outcome
    slices: tuple[Slice, ...]
    requests: int
    replicas: int
    simulated_replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """The same hour with the planned replicas and with `spares` more, one of which dies."""

    at_s: float
    back_s: float
    spares: int
    without: Lived
    with_spare: Lived


def live_day(
    subject: Subject, peak_hour_fraction: float, *, times: float = 1.0, seed: int = 1,
    progress: Progress | None = None,
) -> Lived:  # fmt: skip
    """From midnight to midnight, `times` the demand asked. Spare replicas stand by."""
    import numpy as np

    from infrascale.serving.simulation.fleet import Fleet
    from infrascale.simulating.run import requests_at

    best, profile = subject.candidate, rounded_day(peak_hour_fraction)
    rng = np.random.default_rng(seed)
    arrivals = _arrivals(subject, times, DAY_S, profile, rng)
    replicas = best.replicas
    kept = max(1, min(replicas, int(replicas * MOST_FOLLOWED / max(1, len(arrivals)))))
    mine = arrivals[np.arange(len(arrivals)) % replicas < kept]
    requests = requests_at(subject, mine, rng)
    records = _served(requests, subject, Fleet(replicas=kept), DAY_S, DAY_SLICES, progress)
    return _lived(records, subject.scenario, len(arrivals), replicas, kept, DAY_S, DAY_SLICES)


def lose_one(
    subject: Subject, down_s: float, *, times: float = 1.0, seed: int = 1,
    progress: Progress | None = None,
) -> Loss:  # fmt: skip
    """At the steady rate of the peak a replica dies with all that it holds, and another is there `down_s` later."""
    import numpy as np

    from infrascale.serving.simulation.fleet import Change, Fleet
    from infrascale.simulating.run import requests_at

    best, scenario = subject.candidate, subject.scenario
    seconds, rng = BEFORE_S + down_s + AFTER_S, np.random.default_rng(seed)
    arrivals = _arrivals(subject, times, seconds, None, rng)
    if len(arrivals) > MOST_AT_A_LOSS:
        raise ScenarioError(
            f"{len(arrivals):,} requests around the loss are too many to simulate",
            why=f"all replicas must be simulated then, with at most {MOST_AT_A_LOSS:,} requests",
            fix="a shorter time until the replica is back, or simulate a part of the demand",
        )
    requests = requests_at(subject, arrivals, rng)
    spares, lived = max(1, best.spare_replicas), []
    changes = (
        Change(at_s=BEFORE_S, replica=0, alive=False),
        Change(at_s=BEFORE_S + down_s, replica=0, alive=True),
    )
    for turn, replicas in enumerate((best.replicas, best.replicas + spares)):
        fleet = Fleet(replicas=replicas, changes=changes)
        told = _part(progress, turn, 2)
        slices = round(seconds / SLICE_S)
        records = _served(requests, subject, fleet, seconds, slices, told)
        lived.append(_lived(records, scenario, len(arrivals), replicas, replicas, seconds, slices))
    return Loss(at_s=BEFORE_S, back_s=BEFORE_S + down_s, spares=spares, without=lived[0], with_spare=lived[1])


def _part(progress: Progress | None, turn: int, turns: int) -> Progress | None:
    """Progress of one of several runs of the same length."""
    if progress is None:
        return None
    return lambda done, total: progress(turn * total + done, turns * total)


def _arrivals(
    subject: Subject, times: float, seconds: float, profile: Profile | None, rng: np.random.Generator
) -> np.ndarray:
    from infrascale.workload.arrivals import arrival_times

    peak = times * subject.request_per_s
    mean = peak / (profile.peak_factor if profile else 1.0)
    if mean * seconds > MOST_DRAWN:
        raise ScenarioError(
            f"{mean * seconds:,.0f} requests are too many to simulate",
            why=f"at most {MOST_DRAWN:,} fit a small machine's memory",
            fix="simulate a part of the demand",
        )
    return arrival_times(mean, seconds, rng, cv=subject.scenario.arrival_cv, profile=profile)


def _served(
    requests: Requests, subject: Subject, fleet: Fleet, seconds: float, slices: int,
    progress: Progress | None,
) -> Records:  # fmt: skip
    import numpy as np

    from infrascale.serving.simulation.fleet import simulate_fleet
    from infrascale.simulating.run import engine_of

    table, settings = engine_of(subject, requests)
    looks = slices * LOOKS_A_SLICE
    moments = (np.arange(looks) + 0.5) * seconds / looks
    return simulate_fleet(requests, table, settings, fleet, moments_s=moments, progress=progress)


def _lived(
    records: Records, scenario: Scenario, requests: int, replicas: int, simulated: int, seconds: float, slices: int
) -> Lived:
    from infrascale.serving.simulation.outcome import outcome

    promise = scenario.promise
    return Lived(
        outcome=outcome(records, simulated, 0.0, seconds, ttft_s=promise.ttft_s, token_per_s=promise.token_per_s),
        slices=_slices(records, scenario, replicas / simulated, seconds, slices),
        requests=requests,
        replicas=replicas,
        simulated_replicas=simulated,
    )


def _slices(records: Records, scenario: Scenario, scale: float, seconds: float, count: int) -> tuple[Slice, ...]:
    """Requests by when they arrived; `scale`: all replicas for each that was simulated."""
    import numpy as np

    from infrascale.serving.simulation.request import PS_PER_S

    width, promise = seconds / count, scenario.promise
    order = np.argsort(records.arrival_ps, kind="stable")
    arrival = records.arrival_ps[order] / PS_PER_S
    first, last = records.first_ps[order] / PS_PER_S, records.last_ps[order] / PS_PER_S
    ttft, tpot = first - arrival, (last - first) / np.maximum(1, records.osl_tokens[order] - 1)
    kept = (ttft <= promise.ttft_s) & (tpot * promise.token_per_s <= 1)
    ends = np.searchsorted(arrival, np.arange(count + 1) * width)
    state = records.series.sum(axis=1).reshape(count, LOOKS_A_SLICE, -1).mean(axis=1) * scale
    found = []
    for index in range(count):
        some = slice(ends[index], ends[index + 1])
        any_there = ends[index + 1] > ends[index]
        middle, tail = map(float, np.quantile(ttft[some], (0.5, 0.95))) if any_there else (None, None)
        found.append(
            Slice(
                from_s=index * width,
                request_per_s=scale * float(ends[index + 1] - ends[index]) / width,
                ttft_median_s=middle,
                ttft_p95_s=tail,
                tpot_p95_s=float(np.quantile(tpot[some], 0.95)) if any_there else None,
                kept_fraction=float(kept[some].mean()) if any_there else None,
                running_seqs=float(state[index, 0]),
                waiting_seqs=float(state[index, 1]),
            )
        )
    return tuple(found)
