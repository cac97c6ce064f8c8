"""From files to Usage: recognise, load, measure.

In: paths and how to read them.    Out: Usage; or an error that names the file, the line and the mend.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infrascale.errors import FileError, ScenarioError
from infrascale.usage import arrivals, prometheus, sessions
from infrascale.usage.distributions import distribution
from infrascale.usage.evidence import Distribution, PeakHour, Prefix, Source, Usage, Warned
from infrascale.usage.layouts import Layout, recognise
from infrascale.usage.table import MICROSECOND_PER_S, Progress, Table, zone

#: Tokens in a block of Mooncake's traces (its README, github.com/kvcache-ai/Mooncake).
MOONCAKE_BLOCK_TOKENS = 512
#: Answers longer than this are the exception; where they are the median, milliseconds were read as seconds.
PLAUSIBLE_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How to read: the zone of the clock shown, that of times which name none, the order of slashed dates, the one
    model to keep, the silence that ends a session (None: found), seconds between untimed scrapes, DuckDB's memory."""

    timezone: str = "UTC"
    naive_timezone: str = "UTC"
    dates: str | None = None
    model: str | None = None
    gap_s: float | None = None
    every_s: float | None = None
    memory: str = "1GB"


def learn(paths: Sequence[str], reading: Reading, progress: Progress = lambda step, percent: None) -> Usage:
    shown = zone(reading.timezone)
    zone(reading.naive_timezone)
    if reading.dates not in (None, "day-first", "month-first"):
        raise ScenarioError(f"no order {reading.dates[:20]!r}", why="dates are day-first or month-first",
                            fix="--dates day-first")  # fmt: skip
    layouts = _recognised(paths)
    if layouts is None:
        return prometheus.learn(paths, shown, reading.every_s)
    with Table(memory=reading.memory, naive_zone=reading.naive_timezone, dates=reading.dates,
               progress=progress) as table:  # fmt: skip
        table.load(layouts, reading.model)
        return _measured(table, [layout for _, layout in layouts], reading)


def _recognised(paths: Sequence[str]) -> list[tuple[str, Layout]] | None:
    """Each file's layout, all of a kind; None when all are metrics."""
    once = {Path(path).resolve() for path in paths}
    if len(once) < len(paths):
        raise FileError("a file is given twice", why="its requests would count twice", fix="name each file once")
    found = [(path, recognise(path)) for path in paths]
    tables = [(path, layout) for path, layout in found if layout is not None]
    kinds = sorted({layout.kind for _, layout in tables} | ({"vLLM metrics"} if len(tables) < len(found) else set()))
    if len(kinds) > 1:
        raise FileError(
            f"{' and '.join(kinds)} do not add up",
            why="different kinds of log may count the same requests twice, and lack different columns",
            fix="learn from one kind at a time",
        )
    return tables or None


def _measured(table: Table, layouts: list[Layout], reading: Reading) -> Usage:
    shown = zone("UTC" if table.relative else reading.timezone)
    first, last, requests, timed = table.run("", "SELECT min(t), max(t), count(*), count(d) FROM request")[0]
    span, is_timed = (first, last), timed >= 0.5 * requests
    span_s = (last - first) / MICROSECOND_PER_S
    counted = arrivals.quarters(table)
    peak_us = arrivals.busiest_hour(counted, span)
    duration_s = _times(table, f"d / {MICROSECOND_PER_S}::DOUBLE")
    ttft_s = _times(table, "ttft_s")
    for name, found in (("durations", duration_s), ("TTFTs", ttft_s)):
        if found and found.p50 > PLAUSIBLE_S:
            raise FileError(f"half of the {name} exceed {PLAUSIBLE_S:.0f} s", why="they look like milliseconds",
                            fix="end the column's name in _ms")  # fmt: skip
    flying = None
    if is_timed and span_s:
        flying = arrivals.levels(table, "count requests in flight", arrivals.IN_FLIGHT, span, peak_us)
    people = sessions.users(table, gap_s=reading.gap_s, stand_in=_stand_in(layouts), timed=is_timed, span_us=span,
                            peak_us=peak_us) if span_s else None  # fmt: skip
    lengths = [_lengths(table, column) for column in ("i", "o")]
    assert lengths[0] and lengths[1]
    models = dict(table.run("", "SELECT model, count(*) AS n FROM request WHERE model IS NOT NULL GROUP BY model "
                                "ORDER BY n DESC LIMIT 20"))  # fmt: skip
    return Usage(
        source=Source(
            kinds=tuple(sorted({layout.kind for layout in layouts})),
            rows=table.rows,
            requests=requests,
            left_out=table.left_out,
            first=None if table.relative else arrivals.moment(first, shown),
            last=None if table.relative else arrivals.moment(last, shown),
            span_s=span_s,
            warnings=(*table.warnings, *_warnings(table, span, requests, timed, models)),
        ),
        input_tokens=lengths[0],
        output_tokens=lengths[1],
        request_per_s=requests / span_s if span_s else None,
        peak=_peak(table, peak_us, span_s, flying, people, shown) if span_s else None,
        in_flight=flying,
        burstiness=arrivals.burstiness(table) if requests >= 100 and span_s else None,
        users=people,
        ttft_s=ttft_s,
        duration_s=duration_s,
        token_per_s=_speed(table),
        prefix=_prefix(table, layouts),
        profile=None if table.relative else arrivals.profile(counted, span, shown),
        models=models,
    )


def _stand_in(layouts: list[Layout]) -> str | None:
    """A column that only stands for users: a key may be shared, and a conversation is one of several of a person."""
    columns = {column for layout in layouts for column in layout.user}
    return next((column for column in sorted(columns) if "user" not in column.lower() and "mail" not in column), None)


def _peak(table: Table, peak_us, span_s: float, flying, people, shown) -> PeakHour:
    seconds = (peak_us[1] - peak_us[0]) / MICROSECOND_PER_S
    arrived = table.run("", f"SELECT count(*) FROM request WHERE t BETWEEN {peak_us[0]} AND {peak_us[1] - 1}")[0][0]
    rate = max(arrived, 1) / seconds
    in_flight = flying.peak_hour if flying else None
    residence_s = in_flight / rate if in_flight else None
    connected = people.connected.peak_hour if people and people.connected else None
    think_s = connected / rate - residence_s if connected and residence_s else None
    return PeakHour(
        starts=None if table.relative else arrivals.moment(peak_us[0], shown),
        seconds=seconds,
        request_per_s=rate,
        in_flight=in_flight,
        users=connected,
        residence_s=residence_s,
        think_s=think_s,
    )


def _lengths(table: Table, column: str) -> Distribution | None:
    return distribution(table.run("measure lengths", f"SELECT {column} AS v, count(*) FROM request GROUP BY v "
                                                     "ORDER BY v"))  # fmt: skip


def _times(table: Table, expression: str) -> Distribution | None:
    """Exact to the millisecond."""
    counted = f"SELECT round({expression}, 3) AS v, count(*) FROM request WHERE {expression} IS NOT NULL"
    return distribution(table.run("measure times", f"{counted} GROUP BY v ORDER BY v"))


def _speed(table: Table) -> float | None:
    """Tokens per second of a request after its first: reciprocal of the mean of (e2e − ttft) / (n − 1)."""
    tpot_s = table.run("", f"SELECT avg((d / {MICROSECOND_PER_S} - ttft_s) / (o - 1)) FROM request "
                           f"WHERE o > 1 AND d / {MICROSECOND_PER_S} > ttft_s")[0][0]  # fmt: skip
    return 1 / tpot_s if tpot_s else None


def _prefix(table: Table, layouts: list[Layout]) -> Prefix | None:
    if any(layout.cached for layout in layouts):
        hits, tokens = table.run("", "SELECT sum(cached), sum(i) FROM request WHERE cached IS NOT NULL")[0]
        return Prefix(hit_fraction=hits / tokens, measured=True) if tokens else None
    if not any(layout.blocks for layout in layouts):
        return None
    hits, tokens = table.run(
        "follow prefix blocks",
        f"""WITH numbered AS (SELECT row_number() OVER (ORDER BY t, rowid) AS n, i, blocks FROM every WHERE why = 0),
        block AS (SELECT n, i, unnest(blocks) AS b FROM numbered),
        first AS (SELECT b, min(n) AS n FROM block GROUP BY b),
        hit AS (SELECT block.n, any_value(i) AS i, count(*) AS c FROM block JOIN first USING (b)
                WHERE first.n < block.n GROUP BY block.n)
        SELECT (SELECT sum(least(i, c * {MOONCAKE_BLOCK_TOKENS})) FROM hit), (SELECT sum(i) FROM numbered)""",
    )[0]
    return Prefix(hit_fraction=(hits or 0) / tokens, measured=False) if tokens else None


def _warnings(table: Table, span: tuple[int, int], requests: int, timed: int, models: dict[str, int]) -> list[Warned]:
    found = []
    if requests < 1000:
        found.append(Warned(code="few", values={"n": requests}))
    if 0 < timed < 0.99 * requests:
        found.append(Warned(code="untimed", values={"percent": round(100 * (1 - timed / requests))}))
    if len(models) > 1:
        found.append(Warned(code="models", values={"n": len(models)}))
    early, late = table.run("", "SELECT approx_quantile(t, 0.001), approx_quantile(t, 0.999) FROM request")[0]
    if span[1] - span[0] > 5 * (late - early) + 60 * MICROSECOND_PER_S:
        found.append(Warned(code="far"))
    return found
