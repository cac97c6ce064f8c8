"""GuideLLM's JSON report: version 2, version 1 (0.4 and 0.5) and the unnumbered one of 0.2 and 0.3.

Its `inter_token_latency_ms` is our TPOT; its `time_per_output_token_ms` is e2e / osl and is not used. It ends happily
when every request failed: the counts tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Note, Point, Stat

NAME = "guidellm"


def recognises(document: Document) -> bool:
    data = document.data
    if not isinstance(data, dict) or not isinstance(data.get("benchmarks"), list):
        return False
    return "guidellm" in str(data.get("metadata", "")) or (
        bool(data["benchmarks"]) and all(map(_old, data["benchmarks"]))
    )


def _old(one: object) -> bool:
    """A benchmark of 0.2 or 0.3, whose report does not name its tool."""
    return isinstance(one, dict) and "run_stats" in one and "inter_token_latency_ms" in str(one.get("metrics"))


def read(document: Document) -> LoadTest:
    top = Table(document.data, document.path)
    benchmarks = [Table(one, document.path, "benchmarks") for one in top.items("benchmarks")]
    found = _model(top, benchmarks) | top.table("metadata").facts(tool_version="guidellm_version")
    cut = any(_totals(one).count("incomplete") for one in benchmarks)
    return LoadTest(
        path=document.path,
        format=NAME,
        points=tuple(map(_point, benchmarks)),
        notes=(Note(code="cut_short"),) if cut else (),
        facts=found,
    )


def _model(top: Table, benchmarks: list[Table]) -> dict[str, str]:
    """Of the version's own place: the backend's specification, the arguments, or the first benchmark's worker."""
    places = [top.table("config", "spec", "backend").facts(model="model")]
    if isinstance(top.get("args"), Mapping):
        places.append(top.table("args").facts(model="model"))
    if benchmarks and isinstance(benchmarks[0].get("worker"), Mapping):
        places.append(benchmarks[0].table("worker").facts(model="backend_model"))
    return next((one for one in places if one), {})


def _totals(one: Table) -> Table:
    """Requests by how they ended; 0.2 and 0.3 count them beside the metrics."""
    return one.table("request_totals") if one.get("request_totals") else one.table("metrics", "request_totals")


def _point(one: Table) -> Point:
    strategy, metrics = one.table("args" if "run_stats" in one.values else "config", "strategy"), one.table("metrics")
    totals = _totals(one)
    rate = metrics.table("requests_per_second", "successful").number("mean")
    in_flight = metrics.table("request_concurrency", "successful").number("mean")
    completed = totals.count("successful")
    return Point(
        **_load(strategy, in_flight, rate),
        isl_tokens=metrics.table("prompt_token_count", "successful").number("mean") if completed else None,
        osl_tokens=metrics.table("output_token_count", "successful").number("mean") if completed else None,
        completed=completed,
        failed=totals.count("errored"),
        duration_s=one.number("duration"),
        ttft=_stat(metrics, "time_to_first_token_ms", 1e-3),
        tpot=_stat(metrics, "inter_token_latency_ms", 1e-3),
        e2e=_stat(metrics, "request_latency", 1.0),
        output_token_per_s=metrics.table("output_tokens_per_second", "successful").number("mean"),
        in_flight=in_flight,
        one_length=completed > 1 and metrics.table("output_token_count", "successful").number("std_dev") == 0,
    )


def _load(strategy: Table, in_flight: float | None, rate: float | None) -> dict[str, Any]:
    """Strategies: synchronous, concurrent, throughput (all at once), constant, poisson."""
    kind = strategy.text("type_", "kind")
    if kind in ("constant", "poisson", "async"):
        return {"load_kind": "open", "request_per_s": strategy.number("rate") or rate}
    clients = 1.0 if kind == "synchronous" else strategy.number("streams") or strategy.number("max_concurrency")
    return {"load_kind": "closed", "concurrency": clients or in_flight}


def _stat(metrics: Table, name: str, scale: float) -> Stat:
    found = metrics.table(name, "successful")
    if not found.count("count"):
        return Stat()
    percentiles = found.table("percentiles")
    quantiles = {q: percentiles.number(key) for q, key in ((0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99"))}
    mean = found.number("mean")
    return Stat(
        mean_s=None if mean is None else mean * scale,
        quantiles_s={q: v * scale for q, v in quantiles.items() if v is not None},
    )
