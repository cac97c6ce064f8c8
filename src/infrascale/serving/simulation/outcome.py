"""What users felt in a simulation: Records become one Performance, with how sure it is.

In: Records, the span that counts, the promise.    Out: Outcome.
Only requests that arrive within the span are judged: before it the replicas fill, after it they empty. Intervals are
batch means: the span is cut into twenty pieces and Student's t covers their spread, so that neighbouring requests,
who suffer together, do not count as independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt

import numpy as np

from infrascale.serving.performance import Performance, Spread
from infrascale.serving.simulation.fleet import Records
from infrascale.serving.simulation.request import PS_PER_S

QUANTILES = (0.5, 0.9, 0.95, 0.99)
BATCHES = 20
LOOKS = 50  # moments at which the queue is counted, in each third of the span
T_95 = 2.093  # Student's t, 19 degrees of freedom, two-sided 95 %


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`performance` is of one replica on average; the rest is of the whole fleet.

    `half_widths_s`: 95 % intervals, ± seconds, by ("ttft" | "tpot" | "e2e", "mean" | probability).
    `queue_grows`: more arrives than is served, so the figures grow with the time simulated.
    """

    performance: Performance
    judged_requests: int
    unanswered_requests: int
    goodput_request_per_s: float
    kept_fraction: float
    half_widths_s: Mapping[tuple[str, float | str], float]
    preemptions: int
    hit_fraction: float
    requests_by_replica: tuple[int, ...]
    queue_grows: bool
    sent_again: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What those felt who arrived in a stretch of time; quantiles are 0 where nobody was answered."""

    from_s: float
    until_s: float
    request_per_s: float
    ttft_p50_s: float
    ttft_p95_s: float
    tpot_p95_s: float
    kept_fraction: float
    replicas_alive: float


def course(
    records: Records, from_s: float, until_s: float, pieces: int, *, ttft_s: float, token_per_s: float
) -> tuple[Piece, ...]:
    """The span in equal stretches of time."""
    edges = np.linspace(from_s, until_s, pieces + 1)
    arrival_s = records.arrival_ps / PS_PER_S
    return tuple(_piece(records, arrival_s, a, b, ttft_s, token_per_s) for a, b in pairwise(map(float, edges)))


def _piece(
    records: Records, arrival_s: np.ndarray, from_s: float, until_s: float, ttft_s: float, token_per_s: float
) -> Piece:
    there = (arrival_s >= from_s) & (arrival_s < until_s)
    judged = there & (records.last_ps >= 0)
    times = _times(records, judged)
    several = records.osl_tokens[judged] > 1
    count = int(judged.sum())
    middle, late = np.quantile(times["ttft"], (0.5, 0.95)) if count else (0.0, 0.0)
    kept = (~several | (times["tpot"] <= 1 / token_per_s)) & (times["ttft"] <= ttft_s)
    moments = (records.moments_s >= from_s) & (records.moments_s < until_s)
    return Piece(
        from_s=from_s,
        until_s=until_s,
        request_per_s=float(there.sum()) / (until_s - from_s),
        ttft_p50_s=float(middle),
        ttft_p95_s=float(late),
        tpot_p95_s=float(np.quantile(times["tpot"][several], 0.95)) if several.any() else 0.0,
        kept_fraction=float(kept.mean()) if count else 1.0,
        replicas_alive=float(records.series[moments][..., 3].sum(axis=1).mean()) if moments.any() else 0.0,
    )


def outcome(
    records: Records, replicas: int, from_s: float, until_s: float, *, ttft_s: float, token_per_s: float
) -> Outcome:
    """The requests that arrive in [from_s, until_s), judged by a promised time to first token and speed."""
    answered = records.last_ps >= 0
    arrival_s = records.arrival_ps / PS_PER_S
    judged = answered & (arrival_s >= from_s) & (arrival_s < until_s)
    span_s = until_s - from_s
    times = _times(records, judged)
    several = records.osl_tokens[judged] > 1
    fast_enough = ~several | (times["tpot"] <= 1 / token_per_s)
    kept = fast_enough & (times["ttft"] <= ttft_s)
    spreads = {name: _spread(values if name != "tpot" else values[several]) for name, values in times.items()}
    count = int(judged.sum())
    in_system = float(times["e2e"].sum()) / span_s / replicas
    running = in_system * _running_share(records, from_s, until_s)
    return Outcome(
        performance=Performance(
            ttft_s=spreads["ttft"],
            tpot_s=spreads["tpot"],
            e2e_s=spreads["e2e"],
            itl_s=_gap_spread(records),
            request_per_s=count / span_s / replicas,
            output_token_per_s=float(records.osl_tokens[judged].sum()) / span_s / replicas,
            running_seqs=running,
            waiting_seqs=max(0.0, in_system - running),
            kv_used_fraction=float(records.series[..., 2].mean() / records.blocks) if records.series.size else 0.0,
        ),
        judged_requests=count,
        unanswered_requests=int((~answered).sum()),
        goodput_request_per_s=float(kept.sum()) / span_s,
        kept_fraction=float(kept.mean()) if count else 0.0,
        half_widths_s=_half_widths(times, arrival_s[judged]),
        preemptions=int(records.preemptions[judged].sum()),
        hit_fraction=float(records.hit_tokens[judged].sum() / max(1, records.isl_tokens[judged].sum())),
        requests_by_replica=tuple(np.bincount(records.replica[records.replica >= 0], minlength=replicas).tolist()),
        queue_grows=_grows(records, arrival_s, from_s, until_s),
        sent_again=records.sent_again,
    )


def _running_share(records: Records, from_s: float, until_s: float) -> float:
    """Of the requests inside, how many run: at the moments looked at, or over the whole time where there are none."""
    looked = records.series[(records.moments_s >= from_s) & (records.moments_s <= until_s)]
    running, inside = looked[..., 0].sum(), looked[..., :2].sum()
    if inside:
        return float(running / inside)
    answered = records.last_ps >= 0
    whole_s = (records.last_ps - records.arrival_ps)[answered].sum() / PS_PER_S
    return min(1.0, float(records.running_s.sum() / whole_s)) if whole_s else 1.0


def _times(records: Records, judged: np.ndarray) -> dict[str, np.ndarray]:
    arrival, first, last = records.arrival_ps[judged], records.first_ps[judged], records.last_ps[judged]
    after_first = np.maximum(1, records.osl_tokens[judged] - 1)
    return {
        "ttft": (first - arrival) / PS_PER_S,
        "tpot": (last - first) / PS_PER_S / after_first,
        "e2e": (last - arrival) / PS_PER_S,
    }


def _spread(values: np.ndarray) -> Spread:
    if not values.shape[0]:
        return Spread(mean_s=0.0)
    found = np.quantile(values, QUANTILES)
    return Spread(mean_s=float(values.mean()), quantiles_s=dict(zip(QUANTILES, map(float, found), strict=True)))


def _gap_spread(records: Records) -> Spread | None:
    """Gaps between tokens, from their classes of half a percent; of the whole simulation."""
    counted = np.cumsum(records.gaps)
    if counted[-1] == 0:
        return None
    edges = np.append(records.gap_edges_ps, records.gap_edges_ps[-1]) / PS_PER_S
    places = [int(np.searchsorted(counted, share * counted[-1])) for share in QUANTILES]
    return Spread(
        mean_s=float((records.gaps * edges).sum() / counted[-1]),
        quantiles_s={share: float(edges[place]) for share, place in zip(QUANTILES, places, strict=True)},
    )


def _half_widths(times: Mapping[str, np.ndarray], arrival_s: np.ndarray) -> dict[tuple[str, float | str], float]:
    order = np.argsort(arrival_s, kind="stable")
    if order.shape[0] < 10 * BATCHES:
        return {}
    found: dict[tuple[str, float | str], float] = {}
    for name, values in times.items():
        pieces = np.array_split(values[order], BATCHES)
        table = np.array([[piece.mean(), *np.quantile(piece, QUANTILES)] for piece in pieces])
        widths = T_95 * table.std(axis=0, ddof=1) / sqrt(BATCHES)
        found |= {(name, key): float(width) for key, width in zip(("mean", *QUANTILES), widths, strict=True)}
    return found


def _grows(records: Records, arrival_s: np.ndarray, from_s: float, until_s: float) -> bool:
    """Whether far more are inside in the last third of the span than in the middle one, on average over moments of
    each: by a quarter, and by five of the standard deviations that chance alone would give."""
    arrivals = np.sort(arrival_s)
    ends = np.sort(records.last_ps[records.last_ps >= 0] / PS_PER_S)
    moments = np.linspace(from_s + (until_s - from_s) / 3, until_s, 2 * LOOKS)
    inside = np.searchsorted(arrivals, moments, side="right") - np.searchsorted(ends, moments, side="right")
    early, late = float(inside[:LOOKS].mean()), float(inside[LOOKS:].mean())
    return late > 1.25 * early + 5 * sqrt(early + 1)
