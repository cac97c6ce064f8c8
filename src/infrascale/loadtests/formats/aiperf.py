"""aiperf's `profile_export_aiperf.json`, and genai-perf's JSON of the same shape: each metric with its unit.

Its token counts are its own tokenizer's; where the server's (`usage_*`) are there, TPOT is made from them: decode
duration / (osl − 1), its quantiles scaled alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infrascale.loadtests.document import Document, Table, broken
from infrascale.loadtests.loadtest import LoadTest, Note, Point, Stat

NAME = "aiperf"
SECONDS = {"ms": 1e-3, "s": 1.0, "sec": 1.0, "us": 1e-6, "ns": 1e-9, "": 1e-3}


def recognises(document: Document) -> bool:
    data = _flat(document.data)
    return isinstance(data, dict) and all(
        isinstance(data.get(key), dict) and "avg" in data[key] for key in ("request_latency", "output_sequence_length")
    )


def _flat(data: Any) -> Any:
    """The first releases kept the metrics under `records`."""
    inner = data.get("records") if isinstance(data, dict) else None
    return {**data, **inner} if isinstance(inner, dict) else data


def read(document: Document) -> LoadTest:
    top = Table(_flat(document.data), document.path)
    osl, usage = _mean(top, "output_sequence_length"), _mean(top, "usage_completion_tokens")
    ttft, e2e, tpot = (_stat(top, key) for key in ("time_to_first_token", "request_latency", "inter_token_latency"))
    notes = []
    if top.table("usage_discrepancy_count").number("avg"):
        notes.append(Note(code="token_counts", values={"n": f"{_mean(top, 'usage_discrepancy_count'):.0f}"}))
    if usage and tpot.mean_s and e2e.mean_s is not None and ttft.mean_s is not None and usage > 1:
        tpot = tpot.times((e2e.mean_s - ttft.mean_s) / (usage - 1) / tpot.mean_s)
        if osl and abs(usage / osl - 1) > 0.01:
            notes.append(Note(code="tpot_converted", values={"client": f"{osl:.1f}", "server": f"{usage:.1f}"}))
    if top.get("was_cancelled") is True or top.get("is_complete") is False:
        notes.append(Note(code="cut_short"))
    duration = _seconds(top, "benchmark_duration")
    completed = _completed(top, duration)
    tokens = _mean(top, "total_usage_completion_tokens")
    found = Point(
        **_load(top),
        isl_tokens=_mean(top, "usage_prompt_tokens") or _mean(top, "input_sequence_length"),
        osl_tokens=usage or osl,
        completed=completed,
        failed=_failed(top, completed),
        duration_s=duration,
        ttft=ttft,
        tpot=tpot,
        itl=_stat(top, "inter_chunk_latency"),
        e2e=e2e,
        output_token_per_s=tokens / duration if tokens and duration else _mean(top, "output_token_throughput"),
        in_flight=_mean(top, "effective_concurrency"),
        one_length=_one_length(top.table("usage_completion_tokens" if usage else "output_sequence_length")),
    )
    return LoadTest(path=document.path, format=NAME, points=(found,), notes=tuple(notes), facts=_facts(top))


def _completed(top: Table, duration: float | None) -> int:
    """genai-perf before 0.0.9 counts no requests: its rate over its time, at least one, since it has their times."""
    counted = _mean(top, "request_count") or top.table("request_latency").number("count")
    if counted is not None or "request_count" in top.values:
        return round(counted or 0)
    return max(1, round((_mean(top, "request_throughput") or 0) * (duration or 0)))


def _one_length(tokens: Table) -> bool:
    return tokens.number("std") == 0 and tokens.count("count") > 1


def _mean(top: Table, name: str) -> float | None:
    return top.table(name).number("avg")


def _seconds(top: Table, name: str) -> float | None:
    found = top.table(name)
    value, unit = found.number("avg"), found.text("unit").lower()
    if value is None:
        return None
    if unit not in SECONDS:
        raise broken(top.path, f"{name} is in {unit[:20]!r}, which is no unit of time")
    return value * SECONDS[unit]


def _stat(top: Table, name: str) -> Stat:
    found, mean = top.table(name), _seconds(top, name)
    if mean is None:
        return Stat()
    scale = SECONDS[found.text("unit").lower()]
    quantiles = {q: found.number(f"p{round(100 * q)}") for q in (0.5, 0.9, 0.95, 0.99)}
    return Stat(mean_s=mean, quantiles_s={q: v * scale for q, v in quantiles.items() if v is not None})


def _failed(top: Table, completed: int) -> int:
    share = (_mean(top, "request_error_rate") or 0.0) / 100
    errors = top.table("error_request_count").number("avg")
    return round(errors) if errors is not None else round(completed * share / (1 - share)) if share < 1 else 1


def _load(top: Table) -> dict[str, Any]:
    """aiperf keeps the phases of its configuration, genai-perf a `stimulus`, older ones its arguments, or nothing."""
    configuration = top.table("input_config")
    for phase in [p for p in configuration.items("phases") if isinstance(p, Mapping)][-1:]:
        one = Table(phase, top.path, "input_config.phases")
        clients, rate = one.number("concurrency"), one.number("rate") or one.number("request_rate")
        return _by(clients, rate)
    stimulus = configuration.table("perf_analyzer", "stimulus")
    places = (stimulus, configuration.table("loadgen"), configuration)
    clients, rate = (
        next((v for at in places if (v := at.number(key))), None) for key in ("concurrency", "request_rate")
    )
    return _by(clients or (None if rate else _mean(top, "effective_concurrency")), rate)


def _by(clients: float | None, rate: float | None) -> dict[str, Any]:
    return {"load_kind": "open" if rate else "closed", "request_per_s": rate, "concurrency": clients}


def _facts(top: Table) -> dict[str, str]:
    found = top.facts(tool_version="aiperf_version")
    configuration = top.table("input_config")
    models = configuration.get("models")
    items = models.get("items") if isinstance(models, Mapping) else None
    if isinstance(items, list) and items and isinstance(items[0], Mapping):
        return found | Table(items[0], top.path).facts(model="name")
    endpoint = configuration.get("endpoint")
    of_endpoint = endpoint.get("model_names") if isinstance(endpoint, Mapping) else None
    names = configuration.get("model_names") or configuration.get("model") or of_endpoint
    return found | ({"model": str(names[0])} if isinstance(names, list) and names else {})
