"""A simulation drawn: load, cache, balance and first tokens over time, and what the requests felt.

In: Simulation.    Out: a PNG or SVG file. Needs Matplotlib.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from infrascale.serving.simulation.request import PS_PER_S
from infrascale.simulating.run import Simulation
from infrascale.writing import write


def draw(found: Simulation, path: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(3, 2, figsize=(11, 9), constrained_layout=True)
    _load(panels[0, 0], found)
    _cache(panels[0, 1], found)
    _balance(panels[1, 0], found)
    _course(panels[1, 1], found)
    _felt(panels[2, 0], found, "ttft")
    _felt(panels[2, 1], found, "tpot")
    image, kind = io.BytesIO(), Path(path).suffix.lstrip(".").lower()
    figure.savefig(image, format=kind, dpi=110)
    pyplot.close(figure)
    write({f"plot.{kind}": image.getvalue()}, path)


def _load(panel: Any, found: Simulation) -> None:
    records = found.records
    panel.plot(records.moments_s, records.series[:, :, 0].sum(axis=1), label="running")
    panel.plot(records.moments_s, records.series[:, :, 1].sum(axis=1), label="waiting")
    panel.set(title="requests, all replicas", xlabel="s")
    panel.legend(loc="upper left")
    if not found.circumstances.is_calm:
        alive = panel.twinx()
        alive.step(records.moments_s, records.series[:, :, 3].sum(axis=1), color="tab:gray", linestyle=":")
        alive.set(ylabel="replicas (dotted)", ylim=(0, None))


def _cache(panel: Any, found: Simulation) -> None:
    records = found.records
    used = 100 * records.series[:, :, 2] / records.blocks
    panel.plot(records.moments_s, used.mean(axis=1), label="mean of the replicas")
    panel.plot(records.moments_s, used.max(axis=1), label="fullest replica")
    panel.set(title="KV cache in use, %", xlabel="s", ylim=(0, 105))
    panel.legend(loc="upper left")
    struck = records.preemptions > 0
    if struck.any():
        counts, edges = np.histogram(
            records.arrival_ps[struck] / PS_PER_S, weights=records.preemptions[struck], bins=40
        )
        bars = panel.twinx()
        bars.bar(edges[:-1], counts, width=np.diff(edges), align="edge", alpha=0.25, color="tab:red")
        bars.set(ylabel="preemptions")


def _balance(panel: Any, found: Simulation) -> None:
    records = found.records
    inside = records.series[:, :, :2].sum(axis=2)
    panel.fill_between(records.moments_s, inside.min(axis=1), inside.max(axis=1), alpha=0.3, label="least to most")
    panel.plot(records.moments_s, np.median(inside, axis=1), label="median")
    panel.set(title="requests in one replica", xlabel="s")
    panel.legend(loc="upper left")


def _course(panel: Any, found: Simulation) -> None:
    at_s = [(piece.from_s + piece.until_s) / 2 for piece in found.pieces]
    panel.plot(at_s, [piece.ttft_p50_s for piece in found.pieces], label="TTFT p50, s")
    panel.plot(at_s, [piece.ttft_p95_s for piece in found.pieces], label="TTFT p95, s")
    if found.upheaval:
        first_s = min((piece.ttft_p50_s for piece in found.pieces if piece.ttft_p50_s), default=0.0)
        panel.plot([one.at_s for one in found.upheaval], [first_s + one.wait_s for one in found.upheaval],
                   color="tab:purple", linestyle="-.", label="mean, analytic transient")  # fmt: skip
    panel.axhline(found.scenario.promise.ttft_s, color="tab:red", linestyle="--", label="promise")
    panel.set(title="what those felt who arrived then", xlabel="s", yscale="log")
    kept = panel.twinx()
    kept.plot(at_s, [100 * piece.kept_fraction for piece in found.pieces], color="tab:green", linestyle=":")
    kept.set(ylabel="% within the promise (dotted)", ylim=(0, 103))
    panel.legend(loc="upper left")


def _felt(panel: Any, found: Simulation, which: str) -> None:
    records, promise = found.records, found.scenario.promise
    there = records.last_ps >= 0
    if which == "ttft":
        values, limit, title = (records.first_ps - records.arrival_ps)[there], promise.ttft_s, "time to first token, s"
    else:
        several = there & (records.osl_tokens > 1)
        values = (records.last_ps - records.first_ps)[several] / (records.osl_tokens[several] - 1)
        limit, title = 1 / promise.token_per_s, "time per output token, s"
    shares = np.linspace(0, 100, 501)
    panel.plot(np.quantile(values / PS_PER_S, shares / 100), shares, label="TPOT" if which == "tpot" else "TTFT")
    if which == "tpot" and found.records.gaps.sum():
        counted = np.cumsum(records.gaps) / records.gaps.sum()
        seen = records.gaps[:-1] > 0
        panel.plot(records.gap_edges_ps[seen] / PS_PER_S, 100 * counted[:-1][seen], label="ITL, gap by gap")
    panel.axvline(limit, color="tab:red", linestyle="--", label="promise")
    panel.set(title=title, ylabel="% of requests at most", xscale="log")
    panel.legend(loc="lower right")
