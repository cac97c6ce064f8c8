"""inference-perf's `per_request_lifecycle_metrics.json`: one request an entry, with the server's token counts.

The load is not in the file: taken as open, at the rate at which the requests began.
"""

from __future__ import annotations

from dataclasses import replace

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Note
from infrascale.loadtests.requests import Request, point

NAME = "inference-perf requests"


def recognises(document: Document) -> bool:
    data = document.data
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(one, dict) and {"start_time", "end_time", "info"} <= set(one) for one in data)
    )


def read(document: Document) -> LoadTest:
    rows = [Table(one, document.path) for one in document.data]
    good = [row for row in rows if not row.get("error")]
    requests = [_request(row) for row in good]
    found = point(requests, load_kind="open", failed=len(rows) - len(good))
    starts = [r.start_s for r in requests if r.start_s is not None]
    span = max(starts) - min(starts) if len(starts) > 1 else 0.0
    rate = (len(starts) - 1) / span if span else None
    return LoadTest(
        path=document.path,
        format=NAME,
        points=(replace(found, request_per_s=rate),),
        notes=(Note(code="load_guessed"),),
    )


def _request(row: Table) -> Request:
    start, answer = row.need("start_time"), row.table("info", "response_metrics")
    times = answer.items("output_token_times") or answer.items("chunk_times")
    first = Table({"first": times[0]}, row.path).number("first") if times else None
    usage = answer.table("server_usage")
    return Request(
        start_s=start,
        ttft_s=None if first is None else max(0.0, first - start),
        e2e_s=max(0.0, row.need("end_time") - start),
        isl_tokens=usage.number("prompt_tokens") or row.table("info").number("input_tokens"),
        osl_tokens=usage.number("completion_tokens") or answer.number("output_tokens"),
    )
