"""inference-perf's `stage_N_` and `summary_lifecycle_metrics.json`. Seconds; `output_len` is the client's count,
`output_tokens` the server's: TPOT is made from the latter. Loads are rates.
"""

from __future__ import annotations

from infrascale.loadtests.document import Document, Table
from infrascale.loadtests.loadtest import LoadTest, Note, Point, Stat

NAME = "inference-perf"


def recognises(document: Document) -> bool:
    data = document.data
    return isinstance(data, dict) and {"load_summary", "successes", "failures"} <= set(data)


def read(document: Document) -> LoadTest:
    top = Table(document.data, document.path)
    good, load = top.table("successes"), top.table("load_summary")
    latency, notes = good.table("latency"), []
    ttft, e2e = _stat(latency, "time_to_first_token"), _stat(latency, "request_latency")
    tpot = _stat(latency, "time_per_output_token")
    client, server = good.table("output_len").number("mean"), good.table("output_tokens").number("mean")
    if good.number("token_count_mismatches"):
        notes.append(Note(code="token_counts", values={"n": good.text("token_count_mismatches")}))
    if server and server > 1 and tpot.mean_s and e2e.mean_s is not None and ttft.mean_s is not None:
        if client and abs(server / client - 1) > 0.01:
            notes.append(Note(code="tpot_converted", values={"client": f"{client:.1f}", "server": f"{server:.1f}"}))
        tpot = tpot.times((e2e.mean_s - ttft.mean_s) / (server - 1) / tpot.mean_s)
    rate, throughput = load.number("requested_rate"), good.table("throughput").number("requests_per_sec")
    if rate is None:
        notes.append(Note(code="stages_mixed"))
    completed, duration = good.count("count"), top.number("benchmark_time_seconds")
    total = good.table("output_tokens").number("total")
    found = Point(
        load_kind="open",
        request_per_s=rate or load.number("achieved_rate") or throughput,
        isl_tokens=good.table("prompt_tokens").number("mean") or good.table("prompt_len").number("mean"),
        osl_tokens=server or client,
        completed=completed,
        failed=top.table("failures").count("count"),
        duration_s=duration,
        ttft=ttft,
        tpot=tpot,
        itl=_stat(latency, "inter_token_latency"),
        e2e=e2e,
        output_token_per_s=total / duration if total and duration else _rate(good),
        in_flight=throughput * e2e.mean_s if throughput and e2e.mean_s else None,
    )
    return LoadTest(path=document.path, format=NAME, points=(found,), notes=tuple(notes))


def _rate(good: Table) -> float | None:
    return good.table("throughput").number("output_tokens_per_sec")


def _stat(latency: Table, name: str) -> Stat:
    found = latency.table(name)
    quantiles = {0.5: found.number("median")} | {q: found.number(f"p{round(100 * q)}") for q in (0.9, 0.95, 0.99)}
    return Stat(mean_s=found.number("mean"), quantiles_s={q: v for q, v in quantiles.items() if v is not None})
