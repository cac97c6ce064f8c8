"""Which log a file is, by its content: the names of its columns, never the name of the file.

In: the first bytes of a file.    Out: a Layout: which column is what, in which unit; or an error that names what lacks.
A table is read only through its Layout, so every column that is not named here (e-mail, key, address, prompt) is never
taken out of the file.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from infrascale.errors import FileError

#: Names a column may have, lower case, blanks and dashes as underscores; the first found is taken.
TIMES = ("timestamp", "timestamp_ms", "timestamp_s", "created", "created_at", "datetime", "time", "date", "arrival",
         "arrived_at", "arrival_time", "start_time")  # fmt: skip
USERS = ("user_id", "user", "user_email", "email", "token_id", "api_key", "client_id", "session_id")
INPUTS = ("input_tokens", "prompt_tokens", "contexttokens", "request_tokens", "input_length", "input", "isl",
          "num_prompt_tokens", "tokens_in")  # fmt: skip
OUTPUTS = ("output_tokens", "completion_tokens", "generatedtokens", "response_tokens", "output_length", "output",
           "osl", "num_generation_tokens", "tokens_out")  # fmt: skip
CACHED = ("cached_tokens", "cached_input_tokens", "cache_read_tokens", "prompt_cached_tokens")
TTFTS = ("ttft", "ttft_s", "ttft_ms", "time_to_first_token", "time_to_first_token_s", "time_to_first_token_ms")
DURATIONS = ("duration", "duration_s", "duration_ms", "latency", "latency_s", "latency_ms", "elapsed_time", "e2e",
             "e2e_s", "e2e_ms")  # fmt: skip
MODELS = ("provider_model_name", "request_model", "model", "router_name", "model_name")
IDS = ("request_id", "id")
#: OpenGateLLM's two schemas: its times are milliseconds whatever their name.
OPENGATELLM = ({"created", "latency", "ttft"}, {"datetime", "duration", "time_to_first_token"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns by meaning (None: absent), in the file's own spelling."""

    kind: str
    form: str  # csv, parquet, jsonl
    columns: tuple[str, ...]
    time: str
    input: str
    output: str
    user: tuple[str, ...] = ()
    cached: str | None = None
    ttft: str | None = None
    duration: str | None = None
    model: str | None = None
    status: str | None = None
    id: str | None = None
    blocks: str | None = None
    ttft_unit_s: float = 1.0
    duration_unit_s: float = 1.0
    delimiter: str = ","
    encoding: str = "utf-8"
    compression: str = "none"  # or gzip
    sample: tuple[str, ...] = field(default=())  # first times, as written


#: First bytes of what is packed, and how a person unpacks what does not stream.
GZIP = b"\x1f\x8b"
PACKED = {b"PK\x03\x04": "unzip", b"\x28\xb5\x2f\xfd": "unzstd", b"\xfd7zXZ": "unxz", b"BZh": "bunzip2"}


def recognise(path: str) -> Layout | None:
    """The layout of a table of requests, plain or gzipped; None for Prometheus metrics, which are no table."""
    head = _head(path)
    if head.startswith(GZIP):
        found = _of_text(path, _unpacked(path))
        return found and replace(found, compression="gzip")
    for first, how in PACKED.items():
        if head.startswith(first):
            raise FileError(f"{path} is packed", why="only gzip streams", fix=f"{how} it, and give what comes out")
    if head.startswith(b"PAR1"):
        return _parquet(path)
    return _of_text(path, head)


def _unpacked(path: str) -> bytes:
    """The first of what a gzipped file holds."""
    try:
        with gzip.open(path) as file:
            return file.read(1 << 16)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be unpacked", why=str(error), fix="copy it again, whole") from None


def _of_text(path: str, head: bytes) -> Layout | None:
    text, encoding = _decoded(path, head)
    start = text.lstrip()
    if not start:
        raise FileError(f"{path} is empty", why="there is nothing in it", fix="export the log again")
    if start.startswith("{"):
        first = start.splitlines()[0]
        return _jsonl(path, first) if '"timestamp"' in first and '"input_length"' in first else None
    metrics = ("# HELP", "# TYPE", "vllm:", "ogl_inference_", "inference_")
    if start.startswith(metrics) or "\nvllm:" in start or "\nogl_inference_" in start:
        return None
    return _csv(path, text, encoding)


def _head(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            return file.read(1 << 16)
    except OSError as error:
        raise FileError(f"{path} cannot be read", why=error.strerror or str(error), fix="name a log file") from None


def _decoded(path: str, head: bytes) -> tuple[str, str]:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(f"{path} is UTF-16", why="only UTF-8 and Latin-1 stream", fix="iconv -f utf-16 -t utf-8")
    if b"\0" in head:
        raise FileError(f"{path} is no log that we know", why="it is binary", fix="give a CSV, Parquet or JSON lines")
    try:
        return head[: head.rfind(b"\n") + 1 or None].decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        return head.decode("cp1252", errors="replace"), "latin-1"


def _plain(name: str) -> str:
    return name.strip().strip('"').lower().replace(" ", "_").replace("-", "_")


def _csv(path: str, text: str, encoding: str) -> Layout:
    line = text.splitlines()[0]
    delimiter = max(",;\t|", key=line.count)
    header = next(csv.reader([line], delimiter=delimiter))
    if line.count(delimiter) == 0 or len(line) > 20_000:
        raise FileError(
            f"{path} is no log that we know",
            why="its first line names no columns",
            fix="give a CSV with a header: timestamp,input_tokens,output_tokens[,user_id,ttft_s,duration_s]",
        )
    if len(set(header)) < len(header):
        raise FileError(f"{path}: a column comes twice", why="its header repeats a name", fix="rename one of them")
    rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))[1:201]
    return _table(path, header, "csv", delimiter=delimiter, encoding=encoding, rows=rows)


def _parquet(path: str) -> Layout:
    import duckdb

    try:
        found = duckdb.connect().execute("DESCRIBE SELECT * FROM read_parquet(?)", [path]).fetchall()
    except duckdb.Error:
        raise FileError(f"{path} is a broken Parquet file", why="its end is missing", fix="export it again") from None
    return _table(path, [row[0] for row in found], "parquet")


def _jsonl(path: str, line: str) -> Layout:
    try:
        names = list(json.loads(line))
    except ValueError as error:
        raise FileError(f"{path} line 1 is not JSON", why=str(error), fix="give one JSON object a line") from None
    return _table(path, names, "jsonl")


def _table(path: str, header: list[str], form: str, *, delimiter: str = ",", encoding: str = "utf-8",
           rows: list[list[str]] | None = None) -> Layout:  # fmt: skip
    names = {_plain(name): name for name in header}

    def first(options: tuple[str, ...]) -> str | None:
        return next((names[name] for name in options if name in names), None)

    time, given, made = first(TIMES), first(INPUTS), first(OUTPUTS)
    for what, found, options in (
        ("time", time, TIMES),
        ("input tokens", given, INPUTS),
        ("output tokens", made, OUTPUTS),
    ):
        if found is None:
            raise FileError(
                f"{path} is no log that we know",
                why=f"no column for {what}",
                fix=f"name it {', '.join(options[:3])}",
            )
    assert time and given and made
    ours = any(schema <= names.keys() for schema in OPENGATELLM) and "prompt_tokens" in names
    ttft, duration = first(TTFTS), first(DURATIONS)
    at = header.index(time)
    return Layout(
        kind=_kind(names, ours, form),
        form=form,
        columns=tuple(header),
        time=time,
        input=given,
        output=made,
        user=tuple(names[name] for name in USERS if name in names)[:1],
        cached=first(CACHED),
        ttft=ttft,
        duration=duration,
        model=first(MODELS),
        status=names.get("status") or names.get("status_code"),
        id=first(IDS),
        blocks=names.get("hash_ids"),
        ttft_unit_s=_unit_s(ttft, ours),
        duration_unit_s=_unit_s(duration, ours),
        delimiter=delimiter,
        encoding=encoding,
        sample=tuple(row[at] for row in rows or () if len(row) > at and row[at].strip()),
    )


def _kind(names: dict[str, str], ours: bool, form: str) -> str:
    if ours:
        return "OpenGateLLM"
    if "contexttokens" in names:
        return "Azure"
    if "request_tokens" in names and "log_type" in names:
        return "BurstGPT"
    return "Mooncake" if form == "jsonl" else "plain"


def _unit_s(column: str | None, ours: bool) -> float:
    """Seconds in the column's unit: milliseconds where the name or the schema says so."""
    return 1e-3 if column and (ours or _plain(column).endswith("_ms")) else 1.0
