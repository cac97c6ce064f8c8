"""Our own measurement CSV: the columns of the shipped measurements, one row a point; tokens, and seconds.

Times in milliseconds are read where their columns say so: `tpot_mean_ms`.
"""

from __future__ import annotations

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Point, Stat

NAME = "measurement rows"
MARKS = {"model", "gpu", "isl", "osl"}
TIMES = {f"{name}_mean_{unit}" for name in ("ttft", "tpot", "e2e") for unit in ("s", "ms")}
FACTS = ("model", "gpu", "gpu_count", "tp", "pp", "ep", "engine", "engine_version")


def recognises(document: Document) -> bool:
    return document.header >= MARKS and bool(document.header & TIMES)


def read(document: Document) -> LoadTest:
    rows = [Table(row, document.path) for row in document.records]
    facts = [row.facts(**{k: k for k in FACTS}, precision="weight_precision", kv="kv_precision") for row in rows]
    common = {k: v for k, v in (facts[0] if facts else {}).items() if all(one.get(k) == v for one in facts)}
    points = tuple(
        _point(row, {k: v for k, v in one.items() if k not in common}) for row, one in zip(rows, facts, strict=True)
    )
    return LoadTest(path=document.path, format=NAME, points=points, facts=common)


def _point(row: Table, facts: dict[str, str]) -> Point:
    rate = row.number("request_rate")
    return Point(
        load_kind="open" if row.text("load_kind") == "open" or (rate and not row.text("load_kind")) else "closed",
        concurrency=row.number("concurrency"),
        request_per_s=rate,
        isl_tokens=row.number("isl"),
        osl_tokens=row.number("osl"),
        completed=row.count("n_requests") or 1,
        ttft=_stat(row, "ttft"),
        tpot=_stat(row, "tpot"),
        itl=_stat(row, "itl"),
        e2e=_stat(row, "e2e"),
        output_token_per_s=row.number("output_tok_per_s_total"),
        facts=facts,
    )


def _stat(row: Table, name: str) -> Stat:
    quantiles = {q: _seconds(row, f"{name}_p{round(100 * q)}") for q in (0.5, 0.9, 0.95, 0.99)}
    known = {q: v for q, v in quantiles.items() if v is not None}
    return Stat(mean_s=_seconds(row, f"{name}_mean"), quantiles_s=known)


def _seconds(row: Table, name: str) -> float | None:
    seconds, ms = row.number(f"{name}_s"), row.number(f"{name}_ms")
    return seconds if seconds is not None or ms is None else ms / 1000
