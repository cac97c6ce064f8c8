"""`vllm bench sweep serve`: `summary.csv`, one row a run: columns of `vllm bench serve` and the swept parameters."""

from __future__ import annotations

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.formats.vllm_serve import MARKS, facts, point_of, with_own
from infrascale.loadtests.loadtest import LoadTest

NAME = "vllm bench sweep"


def recognises(document: Document) -> bool:
    return document.header >= MARKS | {"run_number"}


def read(document: Document) -> LoadTest:
    rows = [Table({k: v for k, v in row.items() if v != ""}, document.path) for row in document.records]
    common = facts(rows[0]) if rows else {}
    points = tuple(with_own(point_of(row), facts(row), common) for row in rows)
    return LoadTest(path=document.path, format=NAME, points=points, facts=common)
