"""The report's drawings, as SVG with text as outlines, so that they look the same on every screen and paper.

Colours of Okabe and Ito, told apart by the colour-blind; lines also differ in dash or label.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infrascale.errors import ExportError
from infrascale.locales import Words
from infrascale.report.facts import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY, PURPLE = "#0072B2", "#D55E00", "#767676", "#CC79A7"
PARTS = (BLUE, ORANGE, "#F0E442", PURPLE, "#CFE8DC", "#D9D9D9")
WIDTH_IN = 6.6


def _canvas(columns: int, height_in: float) -> tuple[Figure, Any]:
    try:
        import matplotlib
    except ImportError:
        raise ExportError(
            "a report needs Matplotlib", why="it is not installed", fix="pip install 'infrascale[report]'"
        ) from None
    matplotlib.use("svg")
    from matplotlib import pyplot

    pyplot.rcParams.update(
        {
            "font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "path",
            "svg.hashsalt": "infrascale", "axes.edgecolor": GREY, "axes.labelcolor": "#333333",
            "xtick.color": "#333333", "ytick.color": "#333333", "axes.grid": True, "grid.color": "#E6E6E6",
            "axes.axisbelow": True, "lines.linewidth": 1.6,
        }
    )  # fmt: skip
    return pyplot.subplots(1, columns, figsize=(WIDTH_IN, height_in), layout="constrained")


def _svg(figure: Figure) -> str:
    """The drawing without XML header and date."""
    from matplotlib import pyplot

    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    text = out.getvalue()
    return re.sub(r"\s*<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)


def _ticks(axes: Axes, words: Words, *, x: bool = True, y: bool = True) -> None:
    from matplotlib.ticker import FuncFormatter

    def shortest(value: float, _: int) -> str:
        return words.number(value, next((d for d in (0, 1, 2) if abs(value - round(value, d)) < 1e-9), 3))

    short = FuncFormatter(shortest)
    if x:
        axes.xaxis.set_major_formatter(short)
    if y:
        axes.yaxis.set_major_formatter(short)
        axes.yaxis.set_minor_formatter("")


def staircase(steps: Sequence[tuple[float, int]], asked: float, gpus: int, label: str, words: Words) -> str:
    """GPUs over demand as steps, and where the plan stands."""
    figure, axes = _canvas(1, 1.95)
    ends = [0.0, *(share * asked for share, _ in steps)]
    axes.stairs([count for _, count in steps], ends, color=BLUE, linewidth=1.6, baseline=None)
    axes.plot([asked], [gpus], "o", color=ORANGE, zorder=3)
    here = words.say("report.here", gpus=words.number(gpus))
    axes.annotate(here, (asked, gpus), xytext=(8, -12), textcoords="offset points", color=ORANGE)
    axes.set(xlabel=label, ylabel=words.say("report.figure_gpus"), xlim=(0, None), ylim=(0, None))
    axes.yaxis.get_major_locator().set_params(integer=True)
    _ticks(axes, words)
    return _svg(figure)


def load(points: Sequence[Point], ttft_s: float, token_per_s: float, words: Words) -> str:
    """TTFT and speed over load, each against its promise."""
    from matplotlib.ticker import LogLocator

    figure, (left, right) = _canvas(2, 1.9)
    shares = [100 * point.share for point in points]
    left.plot(shares, [point.ttft_s for point in points], color=BLUE)
    left.set_yscale("log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.plot(shares, [point.token_per_s for point in points], color=BLUE)
    for axes, promise, label in (
        (left, ttft_s, words.say("axis.ttft")),
        (right, token_per_s, words.say("report.axis_speed")),
    ):
        axes.axhline(promise, color=ORANGE, linestyle="--", linewidth=1)
        axes.text(3, promise, words.say("axis.promise"), color=ORANGE, ha="left", va="bottom", fontsize=7)
        axes.axvline(100, color=GREY, linestyle=":", linewidth=1)
        axes.set(xlabel=words.say("report.axis_load"), ylabel=label, xlim=(0, 200))
        _ticks(axes, words)
    left.set_ylim(0.7 * min(ttft_s, *(point.ttft_s for point in points)), 10 * ttft_s)
    right.set_ylim(bottom=0)
    return _svg(figure)


def memory(parts: Sequence[tuple[str, float]], words: Words) -> str:
    """One GPU's memory as a bar, its parts named with their size in GiB."""
    from matplotlib.patches import Patch

    figure, axes = _canvas(1, 1.05)
    left = 0.0
    for (_, size), colour in zip(parts, PARTS, strict=True):
        axes.barh(0, size, left=left, color=colour, edgecolor="white", height=0.8)
        left += size
    axes.set(xlim=(0, left), ylim=(-0.45, 0.45), yticks=[], xlabel=words.say("axis.gib"))
    axes.spines[["left"]].set_visible(False)
    axes.grid(visible=False)
    _ticks(axes, words, y=False)
    handles = [
        Patch(color=c, label=f"{name} {words.number(size, 1)}") for (name, size), c in zip(parts, PARTS, strict=True)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False, fontsize=7.5)
    return _svg(figure)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A point of the frontier."""

    name: str
    x: float
    y: float
    on_front: bool


MOST_NAMED = 8


def frontier(ways: Sequence[Way], x: str, y: str, words: Words) -> str:
    """Ways as points; those that none beats are filled, numbered from the left and named beside the drawing."""
    figure, axes = _canvas(1, 2.4)
    front = sorted((one for one in ways if one.on_front), key=lambda one: (one.x, one.y))[:MOST_NAMED]
    others = [one for one in ways if one not in front]
    axes.plot([one.x for one in others], [one.y for one in others], "o", mfc="white", color=GREY)
    for number, one in enumerate(front, 1):
        axes.plot([one.x], [one.y], "o", color=BLUE, label=f"{number}  {one.name}")
        axes.annotate(str(number), (one.x, one.y), xytext=(5, -2.5), textcoords="offset points", fontsize=7)
    low, high = min(one.y for one in ways), max(one.y for one in ways)
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1.08 * max(one.x for one in ways)), ylim=(0.85 * low, 1.1 * high))
    figure.legend(loc="outside right upper", frameon=False, fontsize=7, handlelength=0, handletextpad=0, markerscale=0)
    _ticks(axes, words)
    return _svg(figure)


def band(
    users: Sequence[float], own: Sequence[tuple[float, float | None]], api: Sequence[float], axes_: tuple[str, str],
    names: tuple[str, str], words: Words,
) -> str:  # fmt: skip
    """Hosting between its ends (the upper one open where it is None) and the API, both axes logarithmic."""
    figure, axes = _canvas(1, 2.6)
    low = [one for one, _ in own]
    highest = max(high or one for one, high in own) * 10
    axes.fill_between(users, low, [high or highest for _, high in own], color=BLUE, alpha=0.25, label=names[0])
    axes.plot(users, low, color=BLUE, linewidth=0.8)
    axes.plot(users, api, color=ORANGE, linestyle="--", label=names[1])
    axes.set(xscale="log", yscale="log", xlabel=axes_[0], ylabel=axes_[1], xlim=(users[0], users[-1]))
    axes.set_ylim(0.5 * min(*low, *api), highest / 5)
    axes.legend(frameon=False, fontsize=7)
    _ticks(axes, words)
    return _svg(figure)
