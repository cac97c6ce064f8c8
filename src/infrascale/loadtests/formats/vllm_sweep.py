"""`vllm bench sweep serve`: `summary.csv`, one row a run: columns of `vllm bench serve` and the swept parameters."""

from __future__ import annotations

from collections.abc import Mapping

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.formats.vllm_serve import MARKS, facts, point_of
from infrascale.loadtests.loadtest import LoadTest, Point

NAME = "vllm bench sweep"


def recognises(document: Document) -> bool:
    return document.header >= MARKS | {"run_number"}


def read(document: Document) -> LoadTest:
    rows = [Table({k: v for k, v in row.items() if v != ""}, document.path) for row in document.records]
    common = facts(rows[0]) if rows else {}
    return LoadTest(path=document.path, format=NAME, points=tuple(_point(row, common) for row in rows), facts=common)


def _point(row: Table, common: Mapping[str, str]) -> Point:
    """A run, with what the sweep changed."""
    from dataclasses import replace

    own = {key: value for key, value in facts(row).items() if common.get(key) != value and key != "date"}
    return replace(point_of(row), facts=own)
