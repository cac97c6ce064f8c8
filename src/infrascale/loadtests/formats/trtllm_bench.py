"""`trtllm-bench throughput|latency --report_json`: an engine driven without a server; times in ms, rates a second.

Requests carry no network and no front end, so their TTFT is the engine's. Without `--streaming` there is no TTFT and no
TPOT, only whole answers. All requests are queued at once unless a concurrency was set: what the report calls concurrent
requests is the mean that were under way, the wait for a place included.
"""

from __future__ import annotations

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Note, Point, Stat

NAME = "trtllm-bench"
PARTS = {"engine", "world_info", "request_info", "performance"}


def recognises(document: Document) -> bool:
    data = document.data
    return isinstance(data, dict) and set(data) >= PARTS


def read(document: Document) -> LoadTest:
    top = Table(document.data, document.path)
    requests, speed = top.table("request_info"), top.table("performance")
    streamed = top.get("streaming_metrics") is not None
    times = top.table("streaming_metrics")
    in_flight = requests.number("avg_num_concurrent_requests")
    clients = round(in_flight) if in_flight and in_flight > 1 else 1
    e2e = _stat(speed, "avg_request_latency_ms", "request_latency_percentiles_ms")
    notes = [Note(code="load_guessed"), Note(code="no_front_end")]
    found = Point(
        load_kind="closed",
        concurrency=float(clients),
        isl_tokens=requests.number("avg_input_length"),
        osl_tokens=requests.number("avg_output_length"),
        completed=requests.count("num_requests"),
        duration_s=_seconds(speed.number("total_latency_ms")),
        ttft=_stat(times, "avg_ttft_ms", "ttft_percentiles") if streamed else Stat(),
        tpot=_stat(times, "avg_tpot_ms", "tpot_percentiles") if streamed else Stat(),
        e2e=e2e,
        output_token_per_s=speed.number("system_output_throughput_tok_s"),
        in_flight=in_flight,
    )
    if top.get("decoding_stats"):
        notes.append(Note(code="speculative"))
    return LoadTest(path=document.path, format=NAME, points=(found,), notes=tuple(notes), facts=_facts(top))


def _facts(top: Table) -> dict[str, str]:
    engine, world = top.table("engine"), top.table("world_info")
    found = engine.facts(model="model", engine_version="version", precision="quantization", kv="kv_cache_dtype")
    found |= world.facts(
        tp="tp_size", pp="pp_size", ep="ep_size", gpu_count="world_size", max_num_seqs="max_batch_size"
    )
    return found | world.facts(max_num_batched_tokens="max_num_tokens") | {"engine": "trtllm", "front_end": "none"}


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else ms / 1000


def _stat(at: Table, mean: str, percentiles: str) -> Stat:
    tails = at.table(percentiles)
    quantiles = {q: _seconds(tails.number(f"p{round(100 * q)}")) for q in (0.5, 0.9, 0.95, 0.99)}
    told = at.number(mean) if at.get(mean) is not None else tails.number("average")
    return Stat(mean_s=_seconds(told), quantiles_s={q: v for q, v in quantiles.items() if v is not None})
