"""Files that people take for a load test of a language model, and what is missing from each: refused by name.

In: a Document that no format knows.    Out: why it cannot be used and what to do, or None where it is not known either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from infrascale.loadtests.document import Document

USAGE = "infrascale usage FILE learns the demand from it"
TOOLS = "measure with vllm bench serve, GuideLLM or aiperf: infrascale loadtest writes their commands"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    knows: Callable[[Document], bool]
    why: str
    fix: str


def strange(document: Document) -> Stranger | None:
    """The first that knows this file."""
    return next((one for one in STRANGERS if one.knows(document)), None)


def _keys(document: Document) -> set[str]:
    """Of the object, of the first of a list, or of the first line."""
    data = document.data
    if isinstance(data, list) and data:
        data = data[0]
    if data is None and document.lines:
        data = document.lines[0]
    return {str(key) for key in data} if isinstance(data, dict) else set()


def _has(*keys: str) -> Callable[[Document], bool]:
    return lambda document: _keys(document) >= set(keys)


def _columns(*names: str) -> Callable[[Document], bool]:
    return lambda document: document.header >= set(names)


def _says(*words: str) -> Callable[[Document], bool]:
    return lambda document: all(word in document.text for word in words)


def _k6(document: Document) -> bool:
    metrics = document.data.get("metrics") if isinstance(document.data, dict) else None
    lines = document.lines and document.lines[0]
    return (isinstance(metrics, dict) and "http_req_duration" in metrics) or (
        isinstance(lines, dict) and {"type", "metric", "data"} <= set(lines)
    )


def _prometheus(document: Document) -> bool:
    data = document.data if isinstance(document.data, dict) else {}
    answer = data.get("data")
    return "# TYPE " in document.text[:4000] or (isinstance(answer, dict) and "resultType" in answer)


NO_TOKENS = "it times whole HTTP requests and knows neither tokens nor the first one"
STRANGERS = (
    Stranger(
        knows=_has("elapsed_time", "num_requests", "tokens_per_second"),
        why="as vllm bench throughput, it tells one rate of input and output tokens together, no request's time",
        fix=TOOLS,
    ),
    Stranger(
        knows=_has("avg_latency", "latencies", "percentiles"),
        why="as vllm bench latency, it tells the time of a batch but neither its size nor its lengths",
        fix=TOOLS,
    ),
    Stranger(
        knows=_has("case", "requests", "median_us"),
        why="as vllm bench forward, it times steps of the engine and no requests",
        fix="infrascale profile --forward FILE --model … --gpu …",
    ),
    Stranger(
        knows=_has("scenario", "best", "certainty"),
        why="it is a plan of infrascale, not a measurement",
        fix="infrascale loadtest --plan FILE writes the load test for it",
    ),
    Stranger(knows=_k6, why=f"as k6's, {NO_TOKENS}", fix=TOOLS),
    Stranger(
        knows=lambda d: _columns("Request Count", "Failure Count")(d) or _has("num_requests", "response_times")(d),
        why=f"as Locust's, {NO_TOKENS}",
        fix=TOOLS,
    ),
    Stranger(
        knows=lambda d: _says("MLPerf Results Summary")(d) or ":::MLLOG" in d.text[:4000],
        why="as MLPerf's, it names neither the model, the cards nor the lengths of its requests",
        fix="write its row into a CSV: model, gpu, tp, isl, osl, request_rate, ttft_mean_s, tpot_mean_s",
    ),
    Stranger(
        knows=_says("Serving Benchmark Result"),
        why="it is what the benchmark printed, not what it saves",
        fix="run it with --save-result (SGLang: --output-file), and give that file",
    ),
    Stranger(
        knows=_columns("Metric", "avg", "p99"),
        why="as aiperf's or genai-perf's CSV, it does not tell the load",
        fix="give the JSON beside it: profile_export_aiperf.json or profile_export_genai_perf.json",
    ),
    Stranger(knows=_prometheus, why="as metrics of Prometheus, it mixes every load that the server met", fix=USAGE),
    Stranger(
        knows=lambda d: (
            _columns("prompt_tokens", "completion_tokens", "user_id")(d)
            or _columns("TIMESTAMP", "ContextTokens")(d)
            or _has("timestamp", "input_length", "output_length")(d)
        ),
        why="as a log of requests, it tells the demand, not what a server does under a load",
        fix=USAGE,
    ),
)
