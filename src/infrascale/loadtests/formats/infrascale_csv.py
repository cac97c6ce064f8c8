"""The CSV of the original InfraScale's load tests, comma or semicolon: bursts, a row a number of requests.

Outputs are counted in characters, prompts not at all; TPOT is (e2e − ttft) over the tokens that its speed implies. The
speed includes the wait in older files and not in newer ones, so no TPOT is taken from it: lengths must be given.
"""

from __future__ import annotations

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Note, Point, Stat

NAME = "infrascale csv"
MARKS = {"number_concurrent_requests", "avg_time_to_first_token", "end_to_end_latency", "avg_output_length"}


def recognises(document: Document) -> bool:
    return document.header >= MARKS


def read(document: Document) -> LoadTest:
    rows = [Table(_plain(row), document.path) for row in document.records]
    facts = rows[0].facts(model="model_tested") if rows else {}
    card = rows[0].text("gpu") if rows else ""
    count, _, name = card.partition("-") if card[:1].isdigit() else ("1", "", card)
    facts |= {"gpu": name, "tp": count} if name else {}
    return LoadTest(
        path=document.path,
        format=NAME,
        points=tuple(map(_point, rows)),
        notes=(Note(code="bursts"), Note(code="characters")),
        facts=facts,
    )


def _plain(row: dict[str, str]) -> dict[str, str]:
    """Decimal commas, as French spreadsheets write them."""
    return {key: value.replace(",", ".") if key not in ("model_tested", "gpu") else value for key, value in row.items()}


def _point(row: Table) -> Point:
    requests = row.need("number_concurrent_requests")
    failed = min(1.0, (row.number("percentage_failed_requests") or 0.0) / 100)
    return Point(
        load_kind="closed",
        concurrency=requests,
        isl_tokens=None,
        osl_tokens=None,
        completed=round(requests * (1 - failed)),
        failed=round(requests * failed),
        ttft=_stat(row, "avg_time_to_first_token", "95_percentile_time_to_first_token"),
        e2e=_stat(row, "end_to_end_latency", "95_percentile_end_to_end_latency"),
    )


def _stat(row: Table, mean: str, tail: str) -> Stat:
    last = row.number(tail)
    return Stat(mean_s=row.number(mean), quantiles_s={} if last is None else {0.95: last})
