"""SGLang's `bench_serving --output-file`: one object a line, times in ms, as vLLM's tool that it grew from.

Told from it by `mean_e2e_latency_ms`. `concurrency` is the mean number in flight, `max_concurrency` the clients. Output
tokens are the server's; the retokenized count beside them is not used. `accept_length` tells of speculative decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.formats.vllm_serve import MARKS, engine_of, point_of, results_of, with_own
from infrascale.loadtests.loadtest import LoadTest, Note, Point

NAME = "sglang bench_serving"
OWN = "mean_e2e_latency_ms"


def recognises(document: Document) -> bool:
    return bool(_results(document))


def _results(document: Document) -> list[Mapping[str, Any]]:
    return results_of(document, MARKS | {OWN})


def read(document: Document) -> LoadTest:
    results = [Table(_named(one), document.path) for one in _results(document)]
    faster = [one for one in results if (one.number("accept_length") or 0) > 1.01]
    common = _facts(results[0])
    return LoadTest(
        path=document.path,
        format=NAME,
        points=tuple(with_own(_point(one), _facts(one), common) for one in results),
        notes=(Note(code="speculative"),) if faster else (),
        facts=common,
    )


def _named(one: Mapping[str, Any]) -> dict[str, Any]:
    """Its end-to-end times under vLLM's names."""
    return {key.replace("_e2e_latency_ms", "_e2el_ms"): value for key, value in one.items()}


def _point(one: Table) -> Point:
    found = point_of(one)
    return replace(found, in_flight=one.number("concurrency") or found.in_flight)


def _facts(one: Table) -> dict[str, str]:
    """The engine it drove, and what newer versions keep of the server."""
    server = one.get("server_info")
    told = Table(server if isinstance(server, Mapping) else {}, one.path, "server_info")
    facts = told.facts(model="model_path", tp="tp_size", pp="pp_size", engine_version="version")
    return one.facts(model="model_id") | facts | (engine_of(one) or {"engine": "sglang"})
