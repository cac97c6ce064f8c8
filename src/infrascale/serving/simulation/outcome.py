"""What users felt in a simulation: Records become one Performance, with how sure it is.

In: Records, the span that counts, the promise.    Out: Outcome.
Only requests that arrive within the span are judged: before it the replicas fill, after it they empty. Intervals are
batch means: the span is cut into twenty pieces and Student's t covers their spread, so that neighbouring requests,
who suffer together, do not count as independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import numpy as np

from infrascale.serving.performance import Performance, Spread
from infrascale.serving.simulation.fleet import Records
from infrascale.serving.simulation.request import PS_PER_S

QUANTILES = (0.5, 0.9, 0.95, 0.99)
BATCHES = 20
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
    running = min(in_system, float(records.running_s.sum()) / (records.last_ps.max() / PS_PER_S) / replicas)
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
    """Whether far more are inside at the end of the span than a third into it: by a quarter, and by five of the
    standard deviations that chance alone would give."""

    def inside(at_s: float) -> int:
        there = (arrival_s <= at_s) & ((records.last_ps < 0) | (records.last_ps > at_s * PS_PER_S))
        return int(there.sum())

    early, late = inside(from_s + (until_s - from_s) / 3), inside(until_s)
    return late > 1.25 * early + 5 * sqrt(early + 1)
