"""Logs of any size as one narrow table of requests, on disk, read once, in bounded memory.

In: files and their Layouts.    Out: a DuckDB table `request(t, u, i, o, ttft_s, d, cached, model, h)`: t arrival and d
stay in microseconds, u the user as a number, i and o tokens; and what was left out.
Idea: DuckDB streams each file through one SELECT. A user's name is hashed inside it with a random salt that lives in
this process only, so no name reaches a table; the table lies in a private folder that is deleted at the end.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Later
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from infrascale.errors import FileError, ScenarioError
from infrascale.locales import words
from infrascale.usage.evidence import Warned
from infrascale.usage.layouts import Layout

MICROSECOND_PER_S = 1_000_000
#: Shares of broken rows above which a log is refused, not mended.
BROKEN_FRACTION = 0.01
#: Codes by the number that SQL writes; `usage.left_CODE` of the locale says them.
LEFT_OUT = {1: "time", 2: "tokens", 3: "durations", 4: "failed", 5: "unanswered"}
REPEATED = "repeated"
BROKEN = (1, 2, 3)
LONGEST_S = 86_400.0
MOST_TOKENS = 1e8
#: 2000 and 2100 in microseconds: outside, a time was read in a wrong unit.
EARLIEST_US, LATEST_US = 946_684_800_000_000, 4_102_444_800_000_000


def reason(code: str) -> str:
    """Why rows were left out, as errors say it: in English."""
    return words("en").say(f"usage.left_{code}")


Progress = Callable[[str, float], None]  # a step's name, and its share done in percent (negative: unknown)


class Table:
    """The requests of all files. A context manager: what it keeps on disk goes with it."""

    def __init__(self, *, memory: str, naive_zone: str, dates: str | None, progress: Progress) -> None:
        try:
            import duckdb
        except ImportError:
            raise ScenarioError(
                "large logs need DuckDB", why="it is not installed", fix="pip install 'infrascale[usage]'"
            ) from None
        self._folder = tempfile.mkdtemp(prefix="infrascale-usage-")
        self._progress, self._dates, self._salt = progress, dates, secrets.token_hex(16)
        self.relative = False
        self.left_out: dict[str, int] = {}
        self.warnings: list[Warned] = []
        self.rows = 0
        self._duckdb = duckdb
        self._connection = duckdb.connect(str(Path(self._folder) / "requests.duckdb"))
        for setting, value in (
            ("memory_limit", memory),
            ("temp_directory", self._folder),
            ("preserve_insertion_order", False),
            ("autoinstall_known_extensions", False),
            ("autoload_known_extensions", False),
            ("enable_progress_bar", True),
            ("enable_progress_bar_print", False),
            ("TimeZone", naive_zone),
        ):
            try:
                self._connection.execute(f"SET {setting} = {str(value)!r}")
            except duckdb.Error:
                self.close()
                raise ScenarioError(f"{setting} = {value[:40]} cannot be", why="DuckDB refuses it",
                                    fix="give memory as 2GB, a zone as Europe/Paris") from None  # fmt: skip

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, step: str, sql: str, *values: Any) -> list[tuple]:
        """The rows of a query, its progress told while it runs."""
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(lambda: self._connection.execute(sql, values or None).fetchall())
            try:
                while True:
                    try:
                        found = future.result(timeout=0.25)
                        break
                    except Later:
                        self._progress(step, self._connection.query_progress())
            except KeyboardInterrupt:
                self._connection.interrupt()
                raise
            except self._duckdb.OutOfMemoryException:
                raise FileError(
                    "the log does not fit in the memory allowed", why=f"while: {step}", fix="allow more: --memory 4GB"
                ) from None
        self._progress(step, 100.0)
        return found

    def _read(self, path: str, step: str, sql: str) -> list[tuple]:
        """`run` over a file that a stranger wrote: what DuckDB refuses in it is told with its line."""
        try:
            return self.run(step, sql)
        except self._duckdb.Error as error:
            raise _unreadable(path, str(error)) from None

    def load(self, files: Sequence[tuple[str, Layout]], model: str | None) -> None:
        self.run("", "CREATE TABLE every (t BIGINT, u UBIGINT, i INTEGER, o INTEGER, ttft_s DOUBLE, d BIGINT, "
                     "cached INTEGER, model VARCHAR, h UBIGINT, blocks BIGINT[], why UTINYINT)")  # fmt: skip
        for path, layout in files:
            self._load(path, layout)
        chosen = "" if model is None else "AND model = $1"
        values = () if model is None else (model,)
        self._drop_repeats(files)
        self.run("", f"CREATE VIEW request AS SELECT * EXCLUDE why FROM every WHERE why = 0 {chosen}".replace(
            "$1", _literal(model or "")))  # fmt: skip
        if not self.run("", "SELECT count(*) FROM request")[0][0]:
            known = ", ".join(str(row[0]) for row in self.run("", "SELECT DISTINCT model FROM every LIMIT 9"))
            why = f"of {self.rows:,} rows: " + (
                ", ".join(f"{n:,} {reason(k)}" for k, n in self.left_out.items()) or "none is"
            )
            fix = f"models in it: {known[:200]}" if values else "give a log of answered requests"
            raise FileError("no request is left to learn from", why=why, fix=fix)

    def _load(self, path: str, layout: Layout) -> None:
        source = self._source(path, layout)
        row = self._row(path, layout)
        name = Path(path).name
        before = self.rows
        self._read(path, f"read {name}", f"INSERT INTO every SELECT * FROM ({_judged(row, source)})")
        self.rows = self.run("", "SELECT count(*) FROM every")[0][0]
        if self.rows == before:
            raise FileError(f"{path} has no rows", why="only its header is there", fix="export the log again")
        broken = 0
        for why, count in self.run("", f"SELECT why, count(*) FROM (SELECT why FROM every OFFSET {before}) "
                                       "WHERE why > 0 GROUP BY why ORDER BY why"):  # fmt: skip
            self.left_out[LEFT_OUT[why]] = self.left_out.get(LEFT_OUT[why], 0) + count
            broken += count if why in BROKEN else 0
        if broken:
            self._broken(path, broken, self.rows - before, row, source)

    def _broken(self, path: str, broken: int, rows: int, row: str, source: str) -> None:
        """Refuses a file of many broken rows; names where the first are."""
        numbered = f"(SELECT row_number() OVER () AS n, * FROM {source})"
        self.run("", "SET preserve_insertion_order = true")
        found = self.run("find the broken rows", f"SELECT n, why FROM ({_judged(row + ', n', numbered, ', n')}) "
                         "WHERE why IN (1, 2, 3) ORDER BY n LIMIT 3")  # fmt: skip
        self.run("", "SET preserve_insertion_order = false")
        where = ", ".join(f"row {n:,} ({reason(LEFT_OUT[why])})" for n, why in found)
        if broken > max(1, BROKEN_FRACTION * rows):
            raise FileError(
                f"{path}: {broken:,} of {rows:,} rows are broken",
                why=f"first: {where}, counted after the header",
                fix="mend or remove them, or check the columns' units and the time zone",
            )
        self.warnings.append(Warned(code="broken", values={"n": broken, "file": Path(path).name, "where": where}))

    def _drop_repeats(self, files: Sequence[tuple[str, Layout]]) -> None:
        """Rows written twice. Without an id, only rows that agree in user, time, tokens and times are the same.

        Counted by groups, which DuckDB spills to disk; what it counts as distinct it holds in memory.
        """
        if not any(layout.id or (layout.user and (layout.duration or layout.ttft)) for _, layout in files):
            return
        twice = self.run("look for repeated rows",
                         "SELECT coalesce(sum(n - 1), 0)::BIGINT FROM (SELECT count(*) AS n FROM every WHERE why = 0 "
                         "AND h IS NOT NULL GROUP BY h HAVING count(*) > 1)")[0][0]  # fmt: skip
        if twice:
            self.run("drop repeated rows", "DELETE FROM every WHERE why = 0 AND h IS NOT NULL AND rowid NOT IN "
                     "(SELECT min(rowid) FROM every WHERE why = 0 AND h IS NOT NULL GROUP BY h)")  # fmt: skip
            self.left_out[REPEATED] = twice

    def _source(self, path: str, layout: Layout) -> str:
        if layout.form == "parquet":
            return f"read_parquet({_literal(path)})"
        if layout.form == "jsonl":
            kinds = {name: "VARCHAR" for name in layout.columns} | {layout.blocks or "hash_ids": "BIGINT[]"}
            columns = ", ".join(f"{_name(name)}: '{kind}'" for name, kind in kinds.items())
            return (
                f"read_json({_literal(path)}, format='newline_delimited', "
                f"compression={_literal(layout.compression)}, columns={{{columns}}})"
            )
        columns = ", ".join(f"{_literal(name)}: 'VARCHAR'" for name in layout.columns)
        return (
            f"read_csv({_literal(path)}, auto_detect=false, header=true, columns={{{columns}}}, "
            f"delim={_literal(layout.delimiter)}, quote='\"', escape='\"', encoding='{layout.encoding}', "
            f"compression={_literal(layout.compression)}, "
            "nullstr=['', 'NULL', 'null', '\\N', 'None', 'NaN', 'nan'], max_line_size=16777216)"
        )

    def _row(self, path: str, layout: Layout) -> str:
        """The columns of one request, as expressions over the file's own."""
        comma = layout.form == "csv" and layout.delimiter != ","

        def number(column: str | None) -> str:
            if column is None:
                return "NULL::DOUBLE"
            text = f"replace({_name(column)}, ',', '.')" if comma else _name(column)
            return f"TRY_CAST({text} AS DOUBLE)"

        user = f"hash({_literal(self._salt)} || {_name(layout.user[0])}::VARCHAR)" if layout.user else "NULL"
        model = f"{_name(layout.model)}::VARCHAR" if layout.model else "NULL"
        told = f"{_name(layout.output)} IS NOT NULL" if layout.form == "csv" else "true"
        return f"""{self._time(path, layout)} AS t, {user} AS u, {number(layout.input)} AS i,
            {number(layout.output)} AS o, {number(layout.ttft)} * {layout.ttft_unit_s} AS ttft_s,
            {number(layout.duration)} * {layout.duration_unit_s} AS d_s, {number(layout.cached)} AS cached,
            {model} AS model, {number(layout.status)} AS status, {told} AS told,
            {f"hash({_name(layout.id)})" if layout.id else "NULL"} AS id,
            {_name(layout.blocks) if layout.blocks else "NULL"} AS blocks"""

    def _time(self, path: str, layout: Layout) -> str:
        """Arrival in microseconds: from a number by its size, a slashed date by its order, else ISO 8601."""
        column, first = _name(layout.time), self._first_time(path, layout)
        try:
            size = abs(float(first.replace(",", ".")))
        except ValueError:
            size = None
        if size is not None:
            relative = size < 1e8 or layout.kind == "Mooncake" or (layout.time.lower().endswith("_ms") and size < 1e11)
            self.relative = self.relative or relative
            unit_us = _unit_us(size, layout, relative)
            text = f"replace({column}::VARCHAR, ',', '.')" if layout.form == "csv" else column
            moment, low, high = f"TRY_CAST(round(TRY_CAST({text} AS DOUBLE) * {unit_us}) AS BIGINT)", 0, 10**16
            if not relative:
                low, high = EARLIEST_US, LATEST_US
        else:
            moment, low, high = f"epoch_us({self._moment(path, column, first, layout)})", EARLIEST_US, LATEST_US
        return f"CASE WHEN {moment} BETWEEN {low} AND {high} THEN {moment} END"

    def _first_time(self, path: str, layout: Layout) -> str:
        if layout.sample:
            return layout.sample[0]
        found = self._read(path, "", f"SELECT CAST({_name(layout.time)} AS VARCHAR) FROM {self._source(path, layout)} "
                                     f"WHERE {_name(layout.time)} IS NOT NULL LIMIT 1")  # fmt: skip
        return found[0][0] if found else ""

    def _moment(self, path: str, column: str, first: str, layout: Layout) -> str:
        if "/" not in first[:6]:
            return f"TRY_CAST({column} AS TIMESTAMPTZ)"
        orders = {"day-first": "%d/%m/%Y", "month-first": "%m/%d/%Y"}
        clocks = ("%H:%M:%S.%f", "%H:%M:%S", "%H:%M", "%I:%M:%S %p")
        read = {
            order: f"try_strptime({column}, {[f'{date} {clock}' for clock in clocks]})"
            for order, date in orders.items()
        }
        if self._dates is None:
            counts = ", ".join(f"count({column}) - count({one})" for one in read.values())
            lost = self._read(path, f"read the dates of {Path(path).name}",
                              f"SELECT {counts} FROM {self._source(path, layout)}")[0]  # fmt: skip
            if lost[0] == lost[1]:
                raise FileError(
                    f"{path}: its dates read both ways",
                    why="day/month and month/day fit every row alike",
                    fix="say --dates day-first (or month-first)",
                )
            self._dates = "day-first" if lost[0] < lost[1] else "month-first"
        return f"TRY_CAST({read[self._dates]} AS TIMESTAMPTZ)"


def _unit_us(size: float, layout: Layout, relative: bool) -> float:
    """Microseconds in a number of `size`: seconds since 1970 have 10 digits, milliseconds 13, and so on."""
    if relative:
        return 1e3 if layout.kind == "Mooncake" or layout.time.lower().endswith("_ms") else 1e6
    return 1e6 if size < 1e11 else 1e3 if size < 1e14 else 1.0 if size < 1e17 else 1e-3


def _judged(row: str, source: str, more: str = "") -> str:
    """Each row with what is wrong with it (0: nothing), in the columns of `every`."""
    fine = f"isfinite(i) AND i BETWEEN 0 AND {MOST_TOKENS} AND isfinite(o) AND o BETWEEN 0 AND {MOST_TOKENS}"
    times = " AND ".join(
        f"({one} IS NULL OR (isfinite({one}) AND {one} BETWEEN 0 AND {LONGEST_S}))" for one in ("d_s", "ttft_s")
    )
    good = f"coalesce({fine}, false) AND t IS NOT NULL AND {times}"
    return f"""SELECT t, u, CASE WHEN {good} THEN round(i)::INTEGER END AS i,
        CASE WHEN {good} THEN round(o)::INTEGER END AS o, ttft_s,
        CASE WHEN {good} THEN round(d_s * {MICROSECOND_PER_S})::BIGINT END AS d,
        CASE WHEN cached BETWEEN 0 AND i AND {good} THEN round(cached)::INTEGER END AS cached, model,
        CASE WHEN id IS NOT NULL THEN hash(id, t) WHEN u IS NOT NULL AND coalesce(d_s, ttft_s) IS NOT NULL
                          THEN hash(t, u, i, o, d_s, ttft_s, model) END AS h, blocks::BIGINT[] AS blocks,
        CASE WHEN t IS NULL THEN 1 WHEN status >= 400 THEN 4 WHEN coalesce(o = 0, NOT told) THEN 5
             WHEN NOT coalesce({fine}, false) THEN CASE WHEN o IS NULL AND NOT told THEN 5 ELSE 2 END
             WHEN NOT ({times}) THEN 3 ELSE 0 END AS why{more}
        FROM (SELECT {row} FROM {source})"""


def _unreadable(path: str, error: str) -> FileError:
    """DuckDB's refusal in our words: its own quote the line, which may hold personal data."""
    import re

    line = re.search(r"Line: (\d+)", error) or re.search(r"line (\d+)", error)
    at = f"{path} line {int(line[1]):,}" if line else path
    if "unicode" in error.lower() or "encoded" in error:
        return FileError(f"{at} is not UTF-8", why="a column that is read holds other bytes",
                         fix="iconv -f cp1252 -t utf-8 OLD > NEW")  # fmt: skip
    if "Number of Columns" in error:
        return FileError(f"{at} has another number of columns than the header", why="the row is torn or truncated",
                         fix="remove that line, or export the log again")  # fmt: skip
    return FileError(f"{at} cannot be read", why="the file is torn, or a column changes its kind",
                     fix="export the log again")  # fmt: skip


def zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ScenarioError(f"no time zone {name[:40]!r}", why="it is not in the tz database",
                            fix="name one such as Europe/Paris") from None  # fmt: skip


def _name(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
