"""`vllm bench serve --save-result`: one object, or one a line (`--append-result`). Times in ms, arrays in s.

With `--save-detailed` everything is computed again from the requests. `max_concurrent_requests` is a peak over 1-s
bins and is not used. GPU and degrees come from `--metadata gpu=… tp=…`, where the person gave it. A rate that ramps up
is no load of its own: such a run has neither clients nor a rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf, isinf
from typing import Any

from infrascale.loadtests.document import Document, Table, broken
from infrascale.loadtests.loadtest import UNKNOWN, LoadTest, Note, Point, Stat
from infrascale.loadtests.requests import Request, point, stat

NAME = "vllm bench serve"
#: So many answers of drawn lengths hardly come to a whole number on average; those of one length always do.
LEAST_ALIKE = 20
#: What `--metadata` may tell under our own names.
TOLD = ("gpu", "gpu_count", "pp", "ep", "replicas", "engine", "plan", "max_num_seqs", "max_num_batched_tokens")
MARKS = {"mean_ttft_ms", "mean_tpot_ms", "completed", "total_output_tokens", "duration"}


def recognises(document: Document) -> bool:
    return bool(_results(document))


def _results(document: Document) -> list[Mapping[str, Any]]:
    found = results_of(document, MARKS)
    return [] if any("mean_e2e_latency_ms" in one for one in found) else found  # SGLang's


def results_of(document: Document, marks: frozenset[str] | set[str]) -> list[Mapping[str, Any]]:
    """Results with all these keys: one object, a list of them, or one a line; nothing where any lacks one."""
    data = document.data
    found = [data] if isinstance(data, dict) else data if isinstance(data, list) else document.lines
    return found if found and all(isinstance(one, dict) and set(one) >= marks for one in found) else []


def read(document: Document) -> LoadTest:
    results = [Table(one, document.path) for one in _results(document)]
    notes = [Note(code="speculative") for one in results if one.get("spec_decode_acceptance_length")][:1]
    notes += [Note(code="ramp") for one in results if one.get("ramp_up_strategy")][:1]
    common = facts(results[0])
    points = tuple(with_own(point_of(one), facts(one), common) for one in results)
    return LoadTest(path=document.path, format=NAME, points=points, notes=tuple(notes), facts=common)


def with_own(found: Point, facts: Mapping[str, str], common: Mapping[str, str]) -> Point:
    """A run with the facts of its own; what it leaves out of the file's it does not have."""
    own = {
        key: facts.get(key, "") for key in {**common, **facts} if facts.get(key) != common.get(key) and key != "date"
    }
    return replace(found, facts=own)


def facts(one: Table) -> dict[str, str]:
    """What the file says of the deployment: the model always, the rest from --metadata."""
    found = one.facts(model="model_id", date="date", engine_version="engine_version", precision="weight_precision")
    found |= engine_of(one)
    found |= {k: v for k in TOLD if (v := one.text(k))}
    tp = one.text("tp", "tensor_parallel_size", "tensor-parallel-size")
    return found | ({"tp": tp} if tp else {})


def engine_of(one: Table) -> dict[str, str]:
    """The engine whose own API was driven; an OpenAI one may be anybody's."""
    spoken = one.text("backend", "endpoint_type").lower()
    return {"engine": spoken} if spoken and not spoken.startswith("openai") else {}


def point_of(one: Table) -> Point:
    rate, clients, completed = _rate(one), one.number("max_concurrency"), one.count("completed")
    failed = one.count("failed") if one.get("failed") is not None else max(0, one.count("num_prompts") - completed)
    ramp = bool(one.get("ramp_up_strategy"))
    closed = isinf(rate) and not ramp
    load: dict[str, Any] = {
        "load_kind": "closed" if closed else "open",
        "concurrency": None if ramp else clients or (one.number("num_prompts") or completed if closed else None),
        "request_per_s": None if closed or ramp else rate,
        "failed": failed,
        "duration_s": one.number("duration"),
    }
    if one.items("latencies") and one.items("ttfts") and one.items("output_lens"):
        good = _requests(one)
        load["failed"] = max(failed, len(one.items("latencies")) - len(good))
        return point(good, itl=_gaps(one), **load)
    if not completed:
        return Point(isl_tokens=None, osl_tokens=None, completed=0, **load)
    osl = one.need("total_output_tokens") / completed
    e2e, ttft, tpot = (_stat(one, key) for key in ("e2el", "ttft", "tpot"))
    if not e2e.known and ttft.mean_s is not None and tpot.mean_s is not None:
        e2e = Stat(mean_s=ttft.mean_s + max(0.0, osl - 1) * tpot.mean_s)
    throughput = one.number("request_throughput")
    return Point(
        isl_tokens=one.need("total_input_tokens") / completed,
        osl_tokens=osl,
        completed=completed,
        ttft=ttft,
        tpot=tpot if osl > 1 else UNKNOWN,
        itl=_stat(one, "itl"),
        e2e=e2e,
        output_token_per_s=one.number("output_throughput"),
        in_flight=throughput * e2e.mean_s if throughput and e2e.mean_s else None,
        one_length=completed >= LEAST_ALIKE and osl == round(osl),
        **load,
    )


def _rate(one: Table) -> float:
    value = one.get("request_rate")
    return inf if value in (None, "inf", "Infinity") or value == inf else one.need("request_rate")


def _stat(one: Table, name: str) -> Stat:
    """`mean_ttft_ms`, `median_…`, `p99_…`: milliseconds."""
    quantiles = {0.5: one.number(f"median_{name}_ms")}
    for key in one.values:
        if isinstance(key, str) and key.startswith("p") and key.endswith(f"_{name}_ms"):
            share = key[1 : -len(f"_{name}_ms")]
            if share.replace(".", "", 1).isdigit():
                quantiles[float(share) / 100] = one.number(key)
    mean = one.number(f"mean_{name}_ms")
    return Stat(
        mean_s=None if mean is None else mean / 1000,
        quantiles_s={q: v / 1000 for q, v in quantiles.items() if v is not None and 0 < q < 1},
    )


def _requests(one: Table) -> list[Request]:
    """Those that succeeded; a failed one has an error, and no output."""
    columns = {key: one.numbers(key) for key in ("latencies", "ttfts", "output_lens", "input_lens", "start_times")}
    errors = one.items("errors") or [""] * len(columns["latencies"])
    lengths = {len(values) for values in columns.values() if values} | {len(errors)}
    if len(lengths) != 1:
        raise broken(one.path, "its arrays of requests differ in length")
    inputs = columns["input_lens"] or [None] * len(errors)
    starts = columns["start_times"] or [None] * len(errors)
    rows = zip(errors, starts, columns["ttfts"], columns["latencies"], inputs, columns["output_lens"], strict=True)
    return [
        Request(start_s=start, ttft_s=ttft, e2e_s=e2e, isl_tokens=isl, osl_tokens=osl)
        for error, start, ttft, e2e, isl, osl in rows
        if not error and osl > 0
    ]


def _gaps(one: Table) -> Stat:
    return stat([gap for gaps in one.items("itls") for gap in Table({"itls": gaps}, one.path).numbers("itls")])
