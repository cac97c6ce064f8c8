"""Counters of vLLM or OpenGateLLM as evidence of demand: scrapes of /metrics, or what Prometheus answers on a range.

In: text exposition (one or more scrapes, in order) and query_range JSON of bare metrics.    Out: Usage without users.
Idea: counters say how many requests and tokens passed between two moments; histograms carry lengths and times; a
counter that falls was restarted, and counts from zero again. One scrape alone speaks of all time since the start.
OpenGateLLM counts tokens of all requests together: of lengths it tells the mean alone. Its embeddings and failures are
left out, and its TTFT is in milliseconds (api/utils/monitoring.py of 2026; the prefix `ogl` is that of its `app.py`).
Limits: no user and no single request, so nothing on sessions, bursts or lognormals; quantiles are read off buckets, as
histogram_quantile does; rates need times: of the samples, or `every_s` between scrapes that carry none.
"""

from __future__ import annotations

import gzip
import json
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from infrascale.errors import FileError
from infrascale.units import HOUR_S, MILLISECONDS_PER_S
from infrascale.usage.arrivals import moment
from infrascale.usage.distributions import distribution, quantile
from infrascale.usage.evidence import Distribution, Levels, PeakHour, Prefix, Source, Usage, Warned
from infrascale.usage.layouts import GZIP

#: Today's name of a metric (vLLM's documentation, 2026), then those it had before.
NAMES = {
    "running": ("vllm:num_requests_running",),
    "waiting": ("vllm:num_requests_waiting",),
    "requests": ("vllm:request_success_total", "vllm:request_success", "vllm:e2e_request_latency_seconds_count",
                 "ogl_inference_requests_total"),
    "prompt": ("vllm:request_prompt_tokens", "ogl_prompt"),
    "generation": ("vllm:request_generation_tokens", "ogl_generation"),
    "ttft": ("vllm:time_to_first_token_seconds", "ogl_inference_ttft_milliseconds"),
    "itl": ("vllm:inter_token_latency_seconds", "vllm:time_per_output_token_seconds",
            "vllm:request_time_per_output_token_seconds"),
    "e2e": ("vllm:e2e_request_latency_seconds", "ogl_inference_requests_duration_seconds"),
    "queries": ("vllm:prefix_cache_queries_total", "vllm:prefix_cache_queries", "vllm:gpu_prefix_cache_queries_total",
                "vllm:gpu_prefix_cache_queries"),
    "hits": ("vllm:prefix_cache_hits_total", "vllm:prefix_cache_hits", "vllm:gpu_prefix_cache_hits_total",
             "vllm:gpu_prefix_cache_hits"),
}  # fmt: skip
#: OpenGateLLM's, with its prefix or, as they first were, without; endpoints that answer with text.
OURS = ("ogl_inference_", "inference_")
TEXT = re.compile(r"completions|responses|messages")
LINE = re.compile(r"^((?:vllm:|ogl_|inference_)[\w:]+)(?:\{(.*)\})?\s+(\S+)(?:\s+(-?\d+))?\s*$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
POINTS_PER_BUCKET = 10
#: Nothing that a server counts, and no second of our era, is beyond.
MOST = 1e15

Key = tuple[str, frozenset[tuple[str, str]]]
Samples = list[tuple[float, float]]  # (time [s], value), in order


class Series:
    """Every series of every file by name and labels."""

    def __init__(self, files: Sequence[str], every_s: float | None) -> None:
        self.values: dict[Key, Samples] = defaultdict(list)
        self.timed = True
        self._scrapes = 0
        self._every_s = every_s
        for path in files:
            text = _text(path)
            if text.lstrip().startswith("{"):
                self._range(path, text)
            else:
                self._exposition(path, text)
        for samples in self.values.values():
            samples.sort(key=lambda sample: sample[0])

    def _exposition(self, path: str, text: str) -> None:
        """A series that comes again opens the next scrape."""
        seen: set[Key] = set()
        self._scrapes += 1
        for number, line in enumerate(text.splitlines(), 1):
            if not line.startswith(("vllm:", *OURS)):
                continue
            found = LINE.match(line)
            try:
                assert found
                value = float(found[3])
            except (AssertionError, ValueError):
                raise FileError(f"{path} line {number} is no sample", why="it is not NAME{LABELS} VALUE [TIME]",
                                fix="scrape /metrics again, whole") from None  # fmt: skip
            key = found[1], frozenset(LABEL.findall(found[2] or ""))
            if key in seen:
                seen.clear()
                self._scrapes += 1
            seen.add(key)
            if found[4]:
                at = int(found[4]) / MILLISECONDS_PER_S
            else:
                at = self._scrapes * (self._every_s or 1.0)
                self.timed = self.timed and self._every_s is not None
            self._add(f"{path} line {number}", key, at, value)

    def _range(self, path: str, text: str) -> None:
        try:
            found = json.loads(text)
            result = found["data"]["result"]
            for one in result:
                name = one["metric"].get("__name__")
                if name is None:
                    raise FileError(f"{path}: a series has no name", why="it is a computed expression, not a metric",
                                    fix="query bare metrics, such as vllm:num_requests_running")  # fmt: skip
                labels = frozenset((k, v) for k, v in one["metric"].items() if k != "__name__")
                for at, value in one["values"] if "values" in one else [one["value"]]:
                    self._add(path, (name, labels), float(at), float(value))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            line = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
            raise FileError(f"{path}{line} is no answer of Prometheus", why="data.result is missing or torn",
                            fix="save the answer of /api/v1/query_range") from None  # fmt: skip

    def _add(self, where: str, key: Key, at: float, value: float) -> None:
        """Prometheus writes NaN for what it has no value of; nothing that is counted is below zero or without end."""
        if math.isnan(value):
            return
        if not 0 <= value <= MOST or not 0 <= at <= MOST or not _edge(key) >= -MOST:
            raise FileError(f"{where}: {key[0]} cannot be so", why="a value, a time or an edge is out of all bounds",
                            fix="scrape /metrics again, whole") from None  # fmt: skip
        for known in _keys(key) if key[0].startswith(OURS) else (key,):
            self.values[known].append((at, value / MILLISECONDS_PER_S if "_milliseconds_sum" in known[0] else value))

    def named(self, what: str, ending: str = "") -> dict[Key, Samples]:
        """The series of the first name that is there."""
        for name in NAMES[what]:
            found = {key: samples for key, samples in self.values.items() if key[0] == name + ending}
            if found:
                return found
        return {}

    def increase(self, what: str, ending: str = "") -> float:
        return sum(sum(step for _, _, step in steps(samples)) for samples in self.named(what, ending).values())


def _keys(key: Key) -> list[Key]:
    """What a series of OpenGateLLM's says: requests, and with them how many prompts and answers there are; or tokens.

    Nothing where they are no text, or no answer came.
    """
    name, labels = "ogl_" + key[0].removeprefix("ogl_"), dict(key[1])
    if not TEXT.search(labels.get("endpoint", "completions")) or labels.get("status_code", "200")[:1] != "2":
        return []
    if name == "ogl_inference_requests_total":
        return [(name, key[1]), ("ogl_prompt_count", key[1]), ("ogl_generation_count", key[1])]
    if name == "ogl_inference_tokens_total":
        kind = {"prompt": "ogl_prompt_sum", "completion": "ogl_generation_sum"}.get(labels.get("type", ""))
        return [(kind, key[1])] if kind else []
    return [(name, key[1])]


def _edge(key: Key) -> float:
    """The upper edge of a histogram's bucket [s or tokens]; NaN where its label is no number."""
    unit = 1 / MILLISECONDS_PER_S if "_milliseconds" in key[0] else 1.0
    try:
        return unit * float(dict(key[1]).get("le", "inf"))
    except (TypeError, ValueError):
        return math.nan


def steps(samples: Samples) -> list[tuple[float, float, float]]:
    """(from, to, increase) between samples of a counter; a single sample counts from the start of its server."""
    if len(samples) == 1:
        return [(samples[0][0], samples[0][0], samples[0][1])]
    return [(a[0], b[0], b[1] - a[1] if b[1] >= a[1] else b[1]) for a, b in pairwise(samples)]


def learn(files: Sequence[str], zone: ZoneInfo, every_s: float | None) -> Usage:
    series = Series(files, every_s)
    requests = series.increase("requests")
    prompt, generation = _histogram(series, "prompt"), _histogram(series, "generation")
    if prompt is None or generation is None:
        raise FileError(
            "the metrics tell no lengths",
            why="neither vllm:request_prompt_tokens nor ogl_inference_tokens_total counted anything",
            fix="add those of prompts and answers (_bucket, _sum, _count) to the scrape or the query",
        )
    times = [at for samples in series.values.values() for at, _ in samples]
    span_s = max(times) - min(times) if series.timed else 0.0
    itl = _histogram(series, "itl")
    queries, hits = series.increase("queries"), series.increase("hits")
    counted = round(requests or prompt.count)
    ours = any(key[0] == "ogl_prompt_count" for key in series.named("prompt", "_count"))
    codes = ("no_times",) * (not span_s) + ("means",) * ours
    return Usage(
        source=Source(
            kinds=("OpenGateLLM metrics" if ours else "vLLM metrics",),
            rows=sum(map(len, series.values.values())),
            requests=counted,
            left_out={},
            first=moment(round(min(times) * 1e6), zone) if span_s and min(times) > 1e8 else None,
            last=moment(round(max(times) * 1e6), zone) if span_s and max(times) > 1e8 else None,
            span_s=span_s,
            warnings=tuple(Warned(code=code) for code in codes),
        ),
        input_tokens=prompt,
        output_tokens=generation,
        request_per_s=counted / span_s if span_s else None,
        peak=_peak(series, zone) if span_s else None,
        in_flight=_levels(series, _busiest(series)) if span_s else None,
        burstiness=None,
        users=None,
        ttft_s=_histogram(series, "ttft"),
        duration_s=_histogram(series, "e2e"),
        token_per_s=1 / itl.mean if itl and itl.mean > 0 else None,
        prefix=Prefix(hit_fraction=min(1.0, hits / queries), measured=True) if queries else None,
        profile=None,
        models=_models(series, counted),
    )


def _models(series: Series, requests: int) -> dict[str, int]:
    names = {value for _, labels in series.values for name, value in labels if name in ("model_name", "model")}
    return {next(iter(names)): requests} if len(names) == 1 else dict.fromkeys(sorted(names), 0)


def _histogram(series: Series, what: str) -> Distribution | None:
    """Mean from _sum/_count, exact; quantiles linear within buckets, the open one at its lower edge."""
    count, total = series.increase(what, "_count"), series.increase(what, "_sum")
    if not count > 0 or not total >= 0:
        return None
    edges: dict[float, float] = defaultdict(float)
    for (name, labels), samples in series.named(what, "_bucket").items():
        edges[_edge((name, labels))] += sum(step for _, _, step in steps(samples))
    points: list[tuple[float, float]] = []
    below, low = 0.0, 0.0
    for edge, upto in sorted(edges.items()):
        inside = upto - below
        if inside > 0:
            high = low if math.isinf(edge) else edge
            share = inside / POINTS_PER_BUCKET
            points += [(low + (high - low) * (k + 1) / POINTS_PER_BUCKET, share) for k in range(POINTS_PER_BUCKET)]
        below, low = max(below, upto), low if math.isinf(edge) else edge
    found = distribution(points or [(total / count, count)])
    assert found
    return replace(found, count=round(count), mean=total / count, log_mean=None, log_sd=None, log_ks=None)


def _busiest(series: Series) -> tuple[float, float, float]:
    """(start, end, requests per second) of the busiest hour, or of all that was seen when that is shorter."""
    found = sorted(step for samples in series.named("requests").values() for step in steps(samples))
    if not found:
        return 0.0, 0.0, 0.0
    first, last = found[0][0], max(end for _, end, _ in found)
    best = (first, last, sum(n for _, _, n in found) / max(last - first, 1e-9))
    if last - first <= HOUR_S:
        return best
    best = (first, first, 0.0)
    for start in sorted({a for a, _, _ in found if a <= last - HOUR_S}):
        end = start + HOUR_S
        inside = sum(n * max(0.0, min(b, end) - max(a, start)) / (b - a) for a, b, n in found if b > a)
        best = max(best, (start, end, inside / HOUR_S), key=lambda one: one[2])
    return best


def _peak(series: Series, zone: ZoneInfo) -> PeakHour | None:
    start, end, rate = _busiest(series)
    if not rate:
        return None
    running = _levels(series, (start, end, rate))
    return PeakHour(
        starts=moment(round(start * 1e6), zone) if start > 1e8 else None,
        seconds=end - start,
        request_per_s=rate,
        in_flight=running.peak_hour if running else None,
        users=None,
        residence_s=running.peak_hour / rate if running else None,
        think_s=None,
    )


def _levels(series: Series, peak: tuple[float, float, float]) -> Levels | None:
    """Running and waiting requests of all engines, each sample counting alike."""
    at: dict[float, float] = defaultdict(float)
    for what in ("running", "waiting"):
        for samples in series.named(what).values():
            for time, value in samples:
                at[time] += value
    if not at:
        return None
    rows = [(value, 1.0) for value in sorted(at.values())]
    inside = [value for time, value in at.items() if peak[0] <= time <= peak[1]]
    mean = sum(at.values()) / len(at)
    return Levels(
        mean=mean,
        p50=quantile(rows, 0.5),
        p95=quantile(rows, 0.95),
        p99=quantile(rows, 0.99),
        largest=rows[-1][0],
        peak_hour=sum(inside) / len(inside) if inside else mean,
    )


def _text(path: str) -> str:
    try:
        raw = Path(path).read_bytes()
        return (gzip.decompress(raw) if raw.startswith(GZIP) else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise FileError(f"{path} cannot be read", why=str(error)[:100], fix="give a text file") from None
