"""llmperf's `_individual_responses.json`: a list of requests. The number of clients is not in it: give the summary."""

from __future__ import annotations

from dataclasses import replace

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Note
from infrascale.loadtests.requests import Request, point

NAME = "llmperf requests"


def recognises(document: Document) -> bool:
    data = document.data
    return (
        isinstance(data, list)
        and bool(data)
        and all(
            isinstance(one, dict) and {"ttft_s", "end_to_end_latency_s", "number_output_tokens"} <= set(one)
            for one in data
        )
    )


def read(document: Document) -> LoadTest:
    rows = [Table(one, document.path) for one in document.data]
    good = [row for row in rows if row.get("error_code") is None and row.number("number_output_tokens")]
    found = point([_request(row) for row in good], load_kind="closed", failed=len(rows) - len(good))
    return LoadTest(
        path=document.path,
        format=NAME,
        points=(replace(found, concurrency=found.in_flight),),
        notes=(Note(code="client_tokens"), Note(code="load_guessed")),
    )


def _request(row: Table) -> Request:
    return Request(
        start_s=row.number("start_time"),
        ttft_s=row.number("ttft_s"),
        e2e_s=row.need("end_to_end_latency_s"),
        isl_tokens=row.number("number_input_tokens"),
        osl_tokens=row.number("number_output_tokens"),
    )
