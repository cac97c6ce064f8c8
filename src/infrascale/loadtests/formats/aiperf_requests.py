"""aiperf's `profile_export.jsonl`: one request a line, times in ns, the server's token counts where it sent them."""

from __future__ import annotations

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.formats.aiperf import SECONDS
from infrascale.loadtests.loadtest import LoadTest, Note
from infrascale.loadtests.requests import Request, point

NAME = "aiperf requests"


def recognises(document: Document) -> bool:
    lines = document.lines or ([document.data] if isinstance(document.data, dict) else [])
    return bool(lines) and all("metrics" in one and "request_start_ns" in str(one.get("metadata")) for one in lines)


def read(document: Document) -> LoadTest:
    lines = document.lines or [document.data]
    rows = [Table(one, document.path) for one in lines]
    timed = [row for row in rows if row.table("metadata").text("benchmark_phase") in ("profiling", "")]
    good = [row for row in timed if not row.get("error") and row.table("metrics", "request_latency").values]
    notes = (
        () if len(timed) == len(rows) else (Note(code="warm_up_left_out", values={"n": str(len(rows) - len(timed))}),)
    )
    found = point([_request(row) for row in good], load_kind="closed", failed=len(timed) - len(good))
    from dataclasses import replace

    return LoadTest(
        path=document.path,
        format=NAME,
        points=(replace(found, concurrency=found.in_flight),),
        notes=(*notes, Note(code="load_guessed")),
    )


def _request(row: Table) -> Request:
    metrics, meta = row.table("metrics"), row.table("metadata")

    def seconds(name: str) -> float | None:
        one = metrics.table(name)
        value = one.number("value")
        return None if value is None else value * SECONDS.get(one.text("unit").lower(), 1e-3)

    def tokens(*names: str) -> float | None:
        return next((v for name in names if (v := metrics.table(name).number("value")) is not None), None)

    start = meta.number("request_start_ns")
    return Request(
        start_s=None if start is None else start / 1e9 % 1e7,
        ttft_s=seconds("time_to_first_token"),
        e2e_s=seconds("request_latency") or 0.0,
        isl_tokens=tokens("usage_prompt_tokens", "input_sequence_length"),
        osl_tokens=tokens("usage_completion_tokens", "output_sequence_length"),
    )
