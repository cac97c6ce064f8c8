"""Sessions and think times of users: who is connected, who waits for an answer, how long they think.

In: a Table.    Out: Users.
Idea: put a user's requests in order and carry the latest end so far. A request that starts after it follows a silence;
one that starts before it is parallel. A silence longer than the gap ends a session, a shorter one is think time. So
connected time is busy time plus the short silences, whatever the gap: one pass serves every gap.
Limits: a think time longer than the gap is taken for the end of a session, and a session has no tail after its last
answer. Without answer times a silence runs from arrival to arrival, and think time stays unknown.
"""

from __future__ import annotations

import math

from infrascale.units import DAY_S, HOUR_S
from infrascale.usage.arrivals import levels
from infrascale.usage.distributions import quantile
from infrascale.usage.evidence import Levels, SessionsAt, Users
from infrascale.usage.table import MICROSECOND_PER_S, Table

#: Half an hour of silence ends a session, where the log shows no gap of its own: the convention of web analytics.
DEFAULT_GAP_S = 1800.0
#: Where the valley between thinking and being away is looked for.
SHORTEST_GAP_S, LONGEST_GAP_S = 300.0, 4 * 3600.0
BINS_PER_DECADE = 10
#: Think times are told to a tenth of a second: a histogram of them stays small and needs no order.
THINK_US = MICROSECOND_PER_S // 10


def silences(table: Table) -> None:
    """A table `silence(u, t, e, x)`: each request's start and end, and the silence before it (null at first, ≤ 0 when
    parallel), in microseconds; `p` is the latest end before."""
    table.run(
        "follow each user",
        """CREATE OR REPLACE TABLE silence AS SELECT u, t, e, p, t - p AS x FROM (
        SELECT u, t, t + coalesce(d, 0) AS e, max(t + coalesce(d, 0)) OVER (PARTITION BY u ORDER BY t
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS p FROM request WHERE u IS NOT NULL)""",
    )


def found_gap_s(table: Table) -> float | None:
    """The valley between two hills of silences on a logarithmic axis, thinking and being away; None without one.

    Histogram at ten bins a decade, smoothed over three; the lowest bins between 5 min and 4 h, their middle; a valley
    when it is at most half as high as the hills on both sides.
    """
    rows = dict(
        table.run(
            "",
            f"SELECT floor(log10(x / {MICROSECOND_PER_S}::DOUBLE) * {BINS_PER_DECADE})::INTEGER AS b, count(*) "
            f"FROM silence WHERE x >= {MICROSECOND_PER_S} GROUP BY b",
        )
    )
    if sum(rows.values()) < 200:
        return None
    last = max(rows)
    smooth = [(rows.get(b - 1, 0) + rows.get(b, 0) + rows.get(b + 1, 0)) / 3 for b in range(last + 1)]
    low = math.ceil(math.log10(SHORTEST_GAP_S) * BINS_PER_DECADE)
    high = min(last - 1, math.floor(math.log10(LONGEST_GAP_S) * BINS_PER_DECADE))
    if high <= low:
        return None
    depth = min(smooth[low : high + 1])
    lowest = [b for b in range(low, high + 1) if smooth[b] <= depth]
    left, right = max(smooth[: lowest[0]], default=0), max(smooth[lowest[-1] + 1 :], default=0)
    if depth > min(left, right) / 2 or min(left, right) < 5:
        return None
    return 10 ** (((lowest[0] + lowest[-1]) / 2 + 0.5) / BINS_PER_DECADE)


def sessions_at(table: Table, gap_s: float, timed: bool) -> SessionsAt:
    gap_us = round(gap_s * MICROSECOND_PER_S)
    requests, sessions, busy_us, thought_us, think_us = table.run(
        "cut sessions",
        f"""SELECT count(*), count(*) FILTER (x IS NULL OR x > {gap_us}),
        sum(greatest(0, e - greatest(t, coalesce(p, t))))::DOUBLE, sum(x) FILTER (x > 0 AND x <= {gap_us})::DOUBLE,
        avg(x) FILTER (x > 0 AND x <= {gap_us}) FROM silence""",
    )[0]
    thoughts = table.run(
        "measure think times",
        f"SELECT (x // {THINK_US}) * {THINK_US} AS v, count(*) FROM silence WHERE x > 0 AND x <= {gap_us} "
        "GROUP BY v ORDER BY v",
    )
    connected_s = (busy_us + (thought_us or 0)) / MICROSECOND_PER_S
    return SessionsAt(
        gap_s=gap_s,
        sessions=sessions,
        requests_per_session=requests / sessions,
        mean_session_s=connected_s / sessions,
        think_s=think_us / MICROSECOND_PER_S if timed and think_us else None,
        think_p50_s=quantile(thoughts, 0.5) / MICROSECOND_PER_S if timed and thoughts else None,
        share_in_flight=busy_us / MICROSECOND_PER_S / connected_s if timed and connected_s else None,
        requests_per_user_hour=requests / connected_s * HOUR_S if connected_s else None,
    )


def connected(gap_s: float) -> str:
    """Events of users coming and going: a session opens after a long silence, and closes where that began."""
    cut = f"x > {round(gap_s * MICROSECOND_PER_S)}"
    return f"""SELECT t AS stamp, 1 AS delta FROM silence WHERE x IS NULL OR {cut}
        UNION ALL SELECT p, -1 FROM silence WHERE {cut}
        UNION ALL SELECT max(e), -1 FROM silence GROUP BY u"""


def users(
    table: Table, *, gap_s: float | None, stand_in: str | None, timed: bool, span_us: tuple[int, int],
    peak_us: tuple[int, int],
) -> Users | None:  # fmt: skip
    """None where no request names a user."""
    known, everyone = table.run("", "SELECT count(u), count(*) FROM request")[0]
    if not known:
        return None
    silences(table)
    found = gap_s or found_gap_s(table)
    at = sessions_at(table, found or DEFAULT_GAP_S, timed)
    sensitivity = tuple(sessions_at(table, at.gap_s * factor, timed) for factor in (0.5, 2.0))
    there: Levels = levels(table, "count connected users", connected(at.gap_s), span_us, peak_us)
    count, most = table.run(
        "count users", "SELECT count(*), max(n) FROM (SELECT count(*) AS n FROM request WHERE u IS NOT NULL GROUP BY u)"
    )[0]
    hour_us = round(HOUR_S * MICROSECOND_PER_S)
    active, parallel, worked_us = table.run(
        "count active hours",
        f"""SELECT (SELECT count(*) FROM (SELECT DISTINCT u, t // {hour_us} FROM silence)),
        (SELECT count(*) FROM silence WHERE x <= 0), (SELECT sum(d)::DOUBLE FROM request WHERE u IS NOT NULL)""",
    )[0]
    connected_s = at.mean_session_s * at.sessions
    days = max((span_us[1] - span_us[0]) / MICROSECOND_PER_S / DAY_S, 1 / DAY_S)
    return Users(
        users=count,
        stand_in=stand_in,
        known_fraction=known / everyone,
        requests_per_user_day=known / count / days,
        requests_per_active_hour=known / active,
        parallel_fraction=parallel / known,
        busiest_user_fraction=most / known,
        gap_found=gap_s is None and found is not None,
        at=at,
        sensitivity=sensitivity,
        connected=there,
        in_flight_per_user=worked_us / MICROSECOND_PER_S / connected_s if timed and connected_s else None,
    )
