"""Pictures of a usage: the day and the week, lengths, levels. Needs matplotlib (extra `plots`).

In: Usage.    Out: PNG files by name. Nothing is computed here but the curve of a fit.
"""

from __future__ import annotations

import io
import math

from infrascale.errors import ScenarioError
from infrascale.locales import words
from infrascale.usage.evidence import Distribution, Levels, Usage
from infrascale.usage.screen import DAYS


def plots(usage: Usage) -> dict[str, bytes]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ScenarioError("plots need matplotlib", why="it is not installed",
                            fix="pip install 'infrascale[plots]'") from None  # fmt: skip

    w = words()
    made = {"lengths.png": Figure((8, 3.5), layout="constrained")}
    left, right = made["lengths.png"].subplots(1, 2)
    _length(left, usage.input_tokens, "input")
    _length(right, usage.output_tokens, "output")
    if usage.profile:
        made["profile.png"] = Figure((8, 3.5), layout="constrained")
        hour, day = made["profile.png"].subplots(1, 2)
        hour.bar(range(24), [value or 0 for value in usage.profile.by_hour])
        hour.set(xlabel=w.say("usage.axis_hour", zone=usage.profile.timezone), ylabel=w.say("usage.hourly"))
        day.bar([w.say(f"usage.{name}") for name in DAYS], [value or 0 for value in usage.profile.by_weekday])
        day.set(ylabel=w.say("usage.hourly"))
    levels = [("in_flight", usage.in_flight), ("connected", usage.users.connected if usage.users else None)]
    told = [(name, one) for name, one in levels if one]
    if told:
        made["levels.png"] = Figure((8, 3.5), layout="constrained")
        for axis, (name, one) in zip(made["levels.png"].subplots(1, len(told), squeeze=False)[0], told, strict=True):
            _level(axis, one, name)
    return {name: _png(figure) for name, figure in made.items()}


def _length(axis, found: Distribution, name: str) -> None:
    """Quantiles seen, and the lognormal of the same likelihood."""
    w = words()
    shares, values = (10, 50, 90, 95, 99), (found.p10, found.p50, found.p90, found.p95, found.p99)
    axis.plot(values, shares, "o", label=w.say("usage.seen"))
    if found.log_mean is not None and found.log_sd:
        low, high = math.log(max(1.0, found.smallest)), math.log(max(2.0, found.largest))
        points = [low + (high - low) * k / 200 for k in range(201)]
        curve = [50 * math.erfc((found.log_mean - x) / (found.log_sd * math.sqrt(2))) for x in points]
        axis.plot([math.exp(x) for x in points], curve, label=w.say("usage.lognormal"))
    axis.axvline(found.mean, linestyle=":", color="gray", label=w.say("usage.col_mean"))
    if found.p10 == found.p99:  # all of one length: an axis needs two ends
        axis.set_xlim(max(0.1, found.mean / 10), max(1.0, found.mean * 10))
    axis.set(xscale="log", xlabel=w.say(f"usage.{name}"), ylabel=w.say("usage.axis_share"), ylim=(0, 100))
    axis.legend()


def _level(axis, levels: Levels, name: str) -> None:
    w, keys = words(), {"mean": "col_mean", "largest": "col_most", "peak_hour": "peak_hour"}
    named = ("mean", "p50", "p95", "p99", "largest", "peak_hour")
    labels = [w.say(f"usage.{keys[one]}") if one in keys else one for one in named]
    axis.barh(labels, [getattr(levels, one) for one in named])
    axis.invert_yaxis()
    axis.set(xlabel=w.say("usage.axis_level", name=w.say(f"usage.{name}")))


def _png(figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()
