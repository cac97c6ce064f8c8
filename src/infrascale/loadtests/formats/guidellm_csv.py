"""GuideLLM's CSV: three header lines (group, name, statistic), one row a benchmark; percentiles as lists."""

from __future__ import annotations

import json

from infrascale.loadtests.document import Document, Table, broken
from infrascale.loadtests.loadtest import LoadTest, Point, Stat

NAME = "guidellm csv"
#: The places of its list of percentiles: p0.1 1 5 10 25 50 75 90 95 99 99.9.
PLACES = {0.5: 5, 0.9: 7, 0.95: 8, 0.99: 9}


def recognises(document: Document) -> bool:
    rows = document.rows
    return len(rows) >= 3 and rows[0][0] == "Run Info" and "Request Counts" in rows[0]


def read(document: Document) -> LoadTest:
    keys = ["|".join(part.strip() for part in column) for column in zip(*document.rows[:3], strict=False)]
    found = []
    for row in document.rows[3:]:
        values: dict[str, str] = {}
        for key, value in zip(keys, row, strict=False):
            values.setdefault(key, value)
        found.append(Table(values, document.path))
    return LoadTest(
        path=document.path, format=NAME, points=tuple(map(_point, found)), facts=_model(found[0]) if found else {}
    )


def _model(one: Table) -> dict[str, str]:
    try:
        name = json.loads(one.text("Run Info|Backend|") or str(one.get("Run Info|Backend|"))).get("model")
    except (ValueError, AttributeError, RecursionError):
        name = None
    if not isinstance(name, str):
        name = _between(str(one.get("Run Info|Backend|")), '"model": "', '"')
    return {"model": name} if name else {}


def _between(text: str, start: str, end: str) -> str:
    return text.split(start, 1)[1].split(end, 1)[0] if start in text else ""


def _point(one: Table) -> Point:
    kind, _, amount = one.text("Benchmark|Strategy|").partition("@")
    try:
        size = float(amount) if amount else None
    except ValueError:
        raise broken(one.path, f"its strategy {amount[:40]!r} is no number") from None
    in_flight = one.number("Server Throughput|Successful Concurrency|Mean")
    is_open = kind in ("constant", "poisson", "async")
    completed = one.count("Request Counts|Successful|")
    return Point(
        load_kind="open" if is_open else "closed",
        concurrency=None if is_open else (1.0 if kind == "synchronous" else size or in_flight),
        request_per_s=size if is_open else None,
        isl_tokens=one.number("Token Metrics|Successful Input Tokens|Mean") if completed else None,
        osl_tokens=one.number("Token Metrics|Successful Output Tokens|Mean") if completed else None,
        completed=completed,
        failed=one.count("Request Counts|Errored|"),
        duration_s=one.number("Timings|Duration|Sec"),
        ttft=_stat(one, "Time to First Token|Successful ms", 1e-3, completed),
        tpot=_stat(one, "Inter Token Latency|Successful ms", 1e-3, completed),
        e2e=_stat(one, "Request Latency|Successful Sec", 1.0, completed),
        output_token_per_s=one.number("Token Throughput|Successful Output Tokens/Sec|Mean"),
        in_flight=in_flight,
    )


def _stat(one: Table, name: str, scale: float, completed: int) -> Stat:
    mean = one.number(f"{name}|Mean")
    if not completed or mean is None:
        return Stat()
    try:
        listed = json.loads(str(one.get(f"{name}|Percentiles")))
        values = Table({"percentiles": listed}, one.path, name).numbers("percentiles")
    except (ValueError, RecursionError):
        values = []
    quantiles = {q: values[place] * scale for q, place in PLACES.items() if len(values) == 11}
    return Stat(mean_s=mean * scale, quantiles_s=quantiles)
