"""When requests come and how many are there at once: rates, levels over time, bursts, the week's profile.

In: a Table.    Out: Levels, Burstiness, PeakHour, Profile.
Idea: an arrival is +1 and a departure −1. Summed by bin, with the share of the bin that was left, they give each bin's
exact mean level without sorting the events: mean of bin b = all deltas before b + Σ delta · (share of b after it).
Knows nothing of sessions: those hand over their own +1 and −1.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from infrascale.units import HOUR_S
from infrascale.usage.distributions import quantile
from infrascale.usage.evidence import Burstiness, Levels, Profile
from infrascale.usage.table import MICROSECOND_PER_S, Table

QUARTER_S = 900
#: A window in which the rate hardly changes, and the gaps it must hold for its variation to mean something.
WINDOW_S, LEAST_GAPS = 600, 100

IN_FLIGHT = """SELECT t AS stamp, 1 AS delta FROM request WHERE d IS NOT NULL
    UNION ALL SELECT t + d, -1 FROM request WHERE d IS NOT NULL"""


def bins(table: Table, step: str, events: str, bin_s: int, view: str) -> None:
    """A table `view(b, level, after)`: mean level of each bin with an event, and the level it leaves behind."""
    bin_us = bin_s * MICROSECOND_PER_S
    table.run(
        step,
        f"""CREATE OR REPLACE TABLE {view} AS
        WITH part AS (SELECT stamp // {bin_us} AS b, sum(delta) AS step,
                             sum(delta * (1 - (stamp % {bin_us}) / {bin_us}::DOUBLE)) AS inside
                      FROM ({events}) GROUP BY b)
        SELECT b, coalesce(sum(step) OVER before, 0) + inside AS level, sum(step) OVER upto AS after FROM part
        WINDOW before AS (ORDER BY b ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING),
               upto AS (ORDER BY b ROWS UNBOUNDED PRECEDING)""",
    )


def levels(table: Table, step: str, events: str, span_us: tuple[int, int], peak_us: tuple[int, int]) -> Levels:
    """How many at once, second by second, over `span_us` and in the mean of `peak_us`."""
    bins(table, step, events, 1, "level")
    first, last = (moment // MICROSECOND_PER_S for moment in span_us)
    histogram = table.run(
        "",
        f"""WITH row AS (SELECT b, level, after, lead(b, 1, {last} + 1) OVER (ORDER BY b) - b - 1 AS idle FROM level),
        part AS (SELECT level AS n, 1 AS w FROM row WHERE b BETWEEN {first} AND {last}
                 UNION ALL SELECT after, least(b + 1 + idle, {last} + 1) - greatest(b + 1, {first})
                 FROM row WHERE idle > 0 AND b < {last})
        SELECT round(greatest(n, 0), 2) AS value, sum(w)::DOUBLE FROM part WHERE w > 0 GROUP BY value ORDER BY value""",
    )
    total = sum(weight for _, weight in histogram)
    return Levels(
        mean=sum(value * weight for value, weight in histogram) / total,
        p50=quantile(histogram, 0.5),
        p95=quantile(histogram, 0.95),
        p99=quantile(histogram, 0.99),
        largest=histogram[-1][0],
        peak_hour=mean_between(table, events, *peak_us),
    )


def mean_between(table: Table, events: str, start_us: int, end_us: int) -> float:
    """Mean level over an interval: each event's share of it, to the microsecond."""
    found = table.run(
        "",
        f"SELECT sum(delta * ({end_us} - greatest(stamp, {start_us}))::DOUBLE) FROM ({events}) WHERE stamp < {end_us}",
    )[0][0]
    return max(0.0, (found or 0.0) / (end_us - start_us))


def quarters(table: Table) -> list[tuple[int, int]]:
    """Requests by quarter of an hour since the epoch, those with none left out."""
    return table.run(
        "count arrivals",
        f"SELECT t // {QUARTER_S * MICROSECOND_PER_S} AS b, count(*) FROM request GROUP BY b ORDER BY b",
    )


def busiest_hour(counted: list[tuple[int, int]], span_us: tuple[int, int]) -> tuple[int, int]:
    """The 60 minutes with most arrivals, starting at a quarter within the log; all of a log that is shorter."""
    hour_us = round(HOUR_S * MICROSECOND_PER_S)
    first, last = span_us
    if last - first <= hour_us:
        return first, max(last, first + 1)
    counts, quarter_us = dict(counted), QUARTER_S * MICROSECOND_PER_S
    starts = {b - back for b in counts for back in range(4)}
    whole = [b for b in starts if b * quarter_us >= first and b * quarter_us + hour_us <= last]
    if not whole:
        return first, first + hour_us
    best = max(sorted(whole), key=lambda b: sum(counts.get(b + k, 0) for k in range(4)))
    return best * quarter_us, best * quarter_us + hour_us


def burstiness(table: Table) -> Burstiness:
    """Local variation of arrivals: see Burstiness.

    Allan factor: Lowen and Teich, Fractal-Based Point Processes (Wiley 2005), section 3.4: it needs no constant rate.
    """
    resolution_s = _resolution_s(table)
    window_us = WINDOW_S * MICROSECOND_PER_S
    squared, gaps, mean_gap_s = table.run(
        "measure gaps between arrivals",
        f"""WITH gap AS (SELECT t // {window_us} AS w, t - lag(t) OVER (PARTITION BY t // {window_us} ORDER BY t) AS x
                         FROM request),
        window_ AS (SELECT count(x) AS n, avg(x) AS m, var_samp(x) AS v FROM gap GROUP BY w)
        SELECT sum(n * v / (m * m)), sum(n), sum(n * m) / sum(n) / {MICROSECOND_PER_S} FROM window_
        WHERE n >= {LEAST_GAPS} AND m > 0""",
    )[0]
    fine = gaps and resolution_s <= mean_gap_s / 10
    return Burstiness(
        resolution_s=resolution_s,
        cv=math.sqrt(squared / gaps) if fine else None,
        dispersion_1s=_allan(table, 1) if resolution_s <= 1 else None,
        dispersion_10s=_allan(table, 10) if resolution_s <= 10 else None,
        dispersion_60s=_allan(table, 60) if resolution_s <= 60 else None,
    )


def _resolution_s(table: Table) -> float:
    """The coarsest clock whose ticks hold every arrival."""
    ticks = (60_000_000, 10_000_000, 3_000_000, 1_000_000, 100_000, 10_000, 1_000)
    fits = table.run("", f"SELECT {', '.join(f'bool_and(t % {tick} = 0)' for tick in ticks)} FROM request")[0]
    return next((tick / MICROSECOND_PER_S for tick, fit in zip(ticks, fits, strict=True) if fit), 1e-6)


def _allan(table: Table, bin_s: int) -> float | None:
    """½ · mean((count of the next bin − of this)²) / mean count; empty bins count as 0, those outside the log not."""
    squares, total, first, last = table.run(
        "measure bursts",
        f"""WITH bin AS (SELECT t // {bin_s * MICROSECOND_PER_S} AS b, count(*)::DOUBLE AS c FROM request GROUP BY b),
        row AS (SELECT b, c, lead(b) OVER (ORDER BY b) AS b2, lead(c) OVER (ORDER BY b) AS c2 FROM bin)
        SELECT sum(CASE WHEN b2 = b + 1 THEN (c2 - c) ** 2 ELSE c ** 2 + coalesce(c2, 0) ** 2 END
                   - CASE WHEN b2 IS NULL THEN c ** 2 ELSE 0 END), sum(c), min(b), max(b) FROM row""",
    )[0]
    pairs = last - first
    if pairs < 30:
        return None
    return squares / pairs / 2 / (total / (pairs + 1))


def profile(counted: list[tuple[int, int]], span_us: tuple[int, int], zone: ZoneInfo) -> Profile:
    """Mean requests an hour, by the clock and the calendar of `zone`; an hour that changed over counts as it was."""
    first, last = span_us
    quarter_us, counts = QUARTER_S * MICROSECOND_PER_S, [b for b, _ in counted]
    hours, days = [[0.0, 0.0] for _ in range(24)], [[0.0, 0.0] for _ in range(7)]
    for b in range(first // quarter_us, last // quarter_us + 1):
        seen_s = (min(last, (b + 1) * quarter_us) - max(first, b * quarter_us)) / MICROSECOND_PER_S
        at = bisect_left(counts, b)
        requests = counted[at][1] if at < len(counts) and counts[at] == b else 0
        local = datetime.fromtimestamp(b * QUARTER_S, zone)
        for slot in (hours[local.hour], days[local.weekday()]):
            slot[0] += requests
            slot[1] += seen_s
    mean = [tuple(n / s * HOUR_S if s >= QUARTER_S else None for n, s in slots) for slots in (hours, days)]
    return Profile(timezone=zone.key, by_hour=mean[0], by_weekday=mean[1])


def moment(us: int, zone: ZoneInfo) -> str:
    return (
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us))
        .astimezone(zone)
        .isoformat(sep=" ", timespec="minutes")
    )
