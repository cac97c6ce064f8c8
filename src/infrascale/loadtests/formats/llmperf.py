"""llmperf's `_summary.json`. Seconds. Its `inter_token_latency_s` is the whole answer over all its tokens and is not
used: TPOT is (e2e − ttft) / (osl − 1) of the means. Tokens are counted by a Llama tokenizer of the client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import UNKNOWN, LoadTest, Note, Point, Stat

NAME = "llmperf"


def recognises(document: Document) -> bool:
    data = document.data
    return (
        isinstance(data, dict)
        and "num_concurrent_requests" in data
        and ("results_ttft_s_mean" in data or isinstance(data.get("results"), dict))
    )


def read(document: Document) -> LoadTest:
    top = Table(document.data, document.path)
    flat = Table(_flat(document.data), document.path)
    osl = flat.number("results_number_output_tokens_mean")
    ttft, e2e = _stat(flat, "ttft_s"), _stat(flat, "end_to_end_latency_s")
    known = ttft.mean_s is not None and e2e.mean_s is not None and osl and osl > 1
    completed = flat.count("results_num_completed_requests")
    per_minute = flat.number("results_num_completed_requests_per_min")
    point = Point(
        load_kind="closed",
        concurrency=top.need("num_concurrent_requests"),
        isl_tokens=flat.number("results_number_input_tokens_mean"),
        osl_tokens=osl,
        completed=completed,
        failed=flat.count("results_number_errors"),
        duration_s=60 * completed / per_minute if per_minute else None,
        ttft=ttft,
        tpot=Stat(mean_s=max(0.0, e2e.mean_s - ttft.mean_s) / (osl - 1)) if known else UNKNOWN,  # type: ignore[operator]
        e2e=e2e,
        output_token_per_s=flat.number("results_mean_output_throughput_token_per_s"),
        in_flight=per_minute / 60 * e2e.mean_s if per_minute and e2e.mean_s else None,
    )
    notes = (Note(code="client_tokens"),)
    return LoadTest(path=document.path, format=NAME, points=(point,), notes=notes, facts=top.facts(model="model"))


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Older files nest what newer ones join by underscores."""
    found: dict[str, Any] = {}
    for key, value in data.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}_")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _stat(flat: Table, name: str) -> Stat:
    quantiles = {q: flat.number(f"results_{name}_quantiles_p{round(100 * q)}") for q in (0.5, 0.9, 0.95, 0.99)}
    return Stat(
        mean_s=flat.number(f"results_{name}_mean"), quantiles_s={q: v for q, v in quantiles.items() if v is not None}
    )
