"""Single requests become a Point: the way that leaves nothing to a tool's own definitions.

In: Requests (no texts).    Out: Point with means and quantiles, TPOT as (e2e − ttft) / (osl − 1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

from infrascale.loadtests.loadtest import UNKNOWN, Point, Stat

QUANTILES = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One that succeeded. `start_s` on any clock; None where the tool kept none."""

    start_s: float | None
    ttft_s: float | None
    e2e_s: float
    isl_tokens: float | None
    osl_tokens: float | None


def stat(values: Sequence[float]) -> Stat:
    """Mean and quantiles, straight lines between order statistics."""
    if not values:
        return UNKNOWN
    ordered = sorted(values)

    def quantile(q: float) -> float:
        place = q * (len(ordered) - 1)
        low = floor(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    return Stat(mean_s=sum(values) / len(values), quantiles_s={q: quantile(q) for q in QUANTILES})


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def point(
    requests: Sequence[Request],
    *,
    load_kind: str,
    concurrency: float | None = None,
    request_per_s: float | None = None,
    failed: int = 0,
    duration_s: float | None = None,
    itl: Stat = UNKNOWN,
) -> Point:
    """What these requests met. In flight on average: the time they were in the system over the time it took.

    Raises ValueError where first tokens come after the ends of their answers.
    """
    if sum(r.ttft_s > 1.001 * r.e2e_s + 1e-3 for r in requests if r.ttft_s is not None) > 0.01 * len(requests):
        raise ValueError("first tokens come after the ends of their answers")
    starts = [r.start_s for r in requests if r.start_s is not None]
    if duration_s is None and len(starts) == len(requests) and starts:
        duration_s = max(r.start_s + r.e2e_s for r in requests) - min(starts)  # type: ignore[operator]
    outputs = [r.osl_tokens for r in requests if r.osl_tokens is not None]
    return Point(
        load_kind=load_kind,
        concurrency=concurrency,
        request_per_s=request_per_s,
        isl_tokens=mean([r.isl_tokens for r in requests if r.isl_tokens is not None]),
        osl_tokens=mean(outputs),
        completed=len(requests),
        failed=failed,
        duration_s=duration_s,
        ttft=stat([r.ttft_s for r in requests if r.ttft_s is not None]),
        tpot=stat([t for r in requests if (t := tpot_s(r)) is not None]),
        itl=itl,
        e2e=stat([r.e2e_s for r in requests]),
        output_token_per_s=sum(outputs) / duration_s if outputs and duration_s else None,
        in_flight=sum(r.e2e_s for r in requests) / duration_s if duration_s else None,
        one_length=len(outputs) > 1 and len(set(outputs)) == 1,
    )


def tpot_s(request: Request) -> float | None:
    """(e2e − ttft) / (osl − 1); None for a single token or where a part is unknown [s]."""
    if request.ttft_s is None or request.osl_tokens is None or request.osl_tokens <= 1:
        return None
    return max(0.0, request.e2e_s - request.ttft_s) / (request.osl_tokens - 1)
