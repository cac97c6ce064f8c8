"""llm-d benchmark reports, versions 0.1, 0.2 and 0.2.1, YAML or JSON. Each quantity carries its `units`.

Latencies that do not come to their own end-to-end time are a sign of wrong units, which these files do have: noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from infrascale.loadtests.document import Document, Table, broken
from infrascale.loadtests.loadtest import UNKNOWN, LoadTest, Point, Stat

NAME = "llm-d benchmark report"
UNITS = {"ms": 1e-3, "s": 1.0, "us": 1e-6, "ns": 1e-9, "ms/token": 1e-3, "s/token": 1.0, "us/token": 1e-6}


def recognises(document: Document) -> bool:
    data = document.data
    if not isinstance(data, dict) or "version" not in data:
        return False
    results = data.get("results")
    return ("metrics" in data and "scenario" in data) or (
        isinstance(results, dict) and "request_performance" in results
    )


def read(document: Document) -> LoadTest:
    top = Table(document.data, document.path)
    first = str(top.get("version")) == "0.1"
    body = top.table("metrics") if first else top.table("results", "request_performance", "aggregate")
    requests, latency, throughput = (body.table(key) for key in ("requests", "latency", "throughput"))
    ttft, tpot, e2e = (_stat(latency, k) for k in ("time_to_first_token", "time_per_output_token", "request_latency"))
    osl, failed = requests.table("output_length").number("mean"), requests.count("failures")
    point = Point(
        **_load(top, first, throughput),
        isl_tokens=requests.table("input_length").number("mean"),
        osl_tokens=osl,
        completed=max(0, requests.count("total") - failed - requests.count("incomplete")),
        failed=failed,
        duration_s=body.table("time").number("duration") if first else None,
        ttft=ttft,
        tpot=tpot if tpot.known else _other(ttft, e2e, osl),
        itl=_stat(latency, "inter_token_latency"),
        e2e=e2e,
        output_token_per_s=_rate(throughput, first, "output_tokens_per_sec", "output_token_rate"),
    )
    facts = _facts_first(top) if first else _facts(top)
    return LoadTest(path=document.path, format=NAME, points=(point,), facts=facts)


def _other(ttft: Stat, e2e: Stat, osl: float | None) -> Stat:
    if ttft.mean_s is None or e2e.mean_s is None or not osl or osl <= 1:
        return UNKNOWN
    return Stat(mean_s=max(0.0, e2e.mean_s - ttft.mean_s) / (osl - 1))


def _rate(throughput: Table, first: bool, old: str, new: str) -> float | None:
    return throughput.number(old) if first else throughput.table(new).number("mean")


def _stat(latency: Table, name: str) -> Stat:
    found = latency.table(name)
    if not found.values:
        return UNKNOWN
    unit = found.text("units")
    if unit not in UNITS:
        raise broken(latency.path, f"{name} is in {unit[:20]!r}, which is no unit of time")
    quantiles = {q: found.number(f"p{round(100 * q)}") for q in (0.5, 0.9, 0.95, 0.99)}
    mean, scale = found.number("mean"), UNITS[unit]
    return Stat(
        mean_s=None if mean is None else mean * scale,
        quantiles_s={q: v * scale for q, v in quantiles.items() if v is not None},
    )


def _load(top: Table, first: bool, throughput: Table) -> dict[str, Any]:
    """A finite rate is an open loop, else a finite concurrency a closed one, else the rate that was served."""
    if first:
        arguments = top.table("scenario", "load", "args")
        rate, clients = arguments.get("qps_values"), arguments.get("max_concurrency")
    else:
        standard = top.table("scenario", "load", "standardized")
        rate, clients = standard.get("rate_qps"), standard.get("concurrency")
    if _finite(rate):
        return {"load_kind": "open", "request_per_s": float(rate)}  # type: ignore[arg-type]
    if _finite(clients):
        return {"load_kind": "closed", "concurrency": float(clients)}  # type: ignore[arg-type]
    return {"load_kind": "open", "request_per_s": _rate(throughput, first, "requests_per_sec", "request_rate")}


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e15 and isfinite(value)


def _facts_first(top: Table) -> dict[str, str]:
    scenario = top.table("scenario")
    found = scenario.table("model").facts(model="name", precision="quantization")
    cards, engines = scenario.table("host").items("accelerator"), scenario.table("platform").items("engine")
    if cards and isinstance(cards[-1], Mapping):
        found |= _card(Table(cards[-1], top.path))
    if engines and isinstance(engines[-1], Mapping):
        found |= Table(engines[-1], top.path).facts(engine="name", engine_version="version")
    return found | ({"pools": "prefill, decode"} if "prefill" in scenario.table("host").items("type") else {})


def _facts(top: Table) -> dict[str, str]:
    found, roles = {}, set()
    for part in top.table("scenario").items("stack"):
        standard = Table(part, top.path, "scenario.stack").table("standardized")
        if standard.text("kind") == "inference_engine":
            roles.add(standard.text("role"))
            found |= _card(standard.table("accelerator")) | standard.table("model").facts(model="name")
            found |= standard.facts(engine="tool", engine_version="tool_version", replicas="replicas")
    return found | ({"pools": ", ".join(sorted(roles))} if "prefill" in roles else {})


def _card(card: Table) -> dict[str, str]:
    return card.facts(gpu="model", gpu_count="count") | card.table("parallelism").facts(tp="tp", pp="pp", dp="dp")
