"""Charts of numbers that others computed, each with its table for those who do not see it.

In: rows as dictionaries.    Out: a chart as Vega-Lite's own JSON, and the table under it. Written out rather than built
with Altair, whose checks of every part took half of an answer's time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from infrascale.locales import Words

Rows = Sequence[dict[str, Any]]
#: A view of one mark, or of several in layers.
Chart = dict[str, Any]
#: Told apart without colour too: dash, label or place differ wherever a colour does (Okabe and Ito's palette).
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"
PARTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#999999")
#: Words within a chart, by the page's theme.
INK = {"light": "#5A5A5A", "dark": "#C4C4C4"}
TALL = 300


def shown(w: Words, chart: Chart, rows: Rows, name: str | None = None) -> None:
    """The chart with the language's own separators, its name for a screen reader, its numbers one click away."""
    config = {"locale": {"number": _separators(w)}, "text": {"color": INK.get(st.context.theme.type or "", GREY)}}
    st.vega_lite_chart(chart | {"config": config}, width="stretch", alt=name)
    with st.expander(w.say("app.table")):
        st.table(rows, hide_index=True, alt=name)


def _separators(w: Words) -> dict[str, Any]:
    one = w.number(1234.5, 1)
    return {
        "decimal": one[-2],
        "thousands": one[1],
        "grouping": [3],
        "currency": ["", ""],
        "percent": w.percent(0.5).lstrip("50"),
    }


def _layers(*layers: Chart, height: int) -> Chart:
    return {"layer": list(layers), "height": height}


def _view(rows: Rows, mark: str, look: dict[str, Any], **channels: dict[str, Any]) -> Chart:
    return {"data": {"values": list(rows)}, "mark": {"type": mark} | look, "encoding": channels}


def _of(field: str, **more: Any) -> dict[str, Any]:
    """A channel that shows a number of the rows; `_named` one that shows their words."""
    return {"field": field, "type": "quantitative"} | more


def _named(field: str = "name", **more: Any) -> dict[str, Any]:
    return {"field": field, "type": "nominal"} | more


def _by_name(room: int) -> dict[str, Any]:
    """The rows one below the other in the order given, with so much room for their names, less on a phone."""
    return _named(sort=None, title=None, axis={"labelLimit": _most(room, "max(100, 0.3 * windowSize()[0])")})


def _most(pixels: int, allowed: str) -> dict[str, str]:
    """So many pixels, or what the window allows."""
    return {"expr": f"min({pixels}, {allowed})"}


def _told(*numbers: str) -> list[dict[str, Any]]:
    return [_named(), *map(_of, numbers)]


def bars(rows: Rows, title: str) -> Chart:
    """`value` a bar of each `name`, what `mark` says beside it; one at its `limit` is hatched by a dark edge too."""
    beside = [row | {"edge": max(1.0, row["value"])} for row in rows]
    y = _by_name(220)
    x = {"title": title, "axis": {"format": "%", "values": [0, 0.25, 0.5, 0.75, 1]}, "scale": {"domain": [0, 1.7]}}
    fill = {"condition": {"test": "datum.limit", "value": ORANGE}, "value": BLUE}
    return _layers(
        _view(beside, "bar", {"height": 18}, y=y, x=_of("value", **x), color=fill),
        _view(beside, "text", {"align": "left", "dx": 6}, y=y, x=_of("edge"), text=_named("mark")),
        _view([{"x": 1.0}], "rule", {"color": GREY, "strokeDash": [4, 3]}, x=_of("x")),
        height=38 * len(rows) + 40,
    )


def stack(rows: Rows, unit: str) -> Chart:
    """`value` of each `name`, side by side in the order of `place`."""
    names = [row["name"] for row in rows]
    legend = {
        "orient": "bottom",
        "columns": 2,
        "labelLimit": _most(240, "0.34 * windowSize()[0]"),
        "symbolType": "square",
    }
    parts = _view(
        rows, "bar", {"stroke": "white", "size": 26},
        x=_of("value", title=unit, stack="zero"),
        color=_named(sort=names, title=None, legend=legend, scale={"domain": names, "range": PARTS[: len(names)]}),
        order=_of("place"),
        tooltip=_told("value"),
    )  # fmt: skip
    return _layers(parts, height=210)


def steps(rows: Rows, x: str, y: str, here: tuple[float, float], label: str) -> Chart:
    """GPUs as a staircase over demand, and where the plan stands."""
    spot, at = [{"x": here[0], "y": here[1], "name": label}], {"x": _of("x"), "y": _of("y")}
    y_axis = _of("y", title=y, scale={"domainMin": 0}, axis={"tickMinStep": 1})
    return _layers(
        _view(rows, "line", {"interpolate": "step-before", "color": BLUE}, x=_of("x", title=x), y=y_axis),
        _view(spot, "point", {"color": ORANGE, "size": 140, "filled": True, "shape": "diamond"}, **at),
        _view(spot, "text", {"align": "left", "dx": 10, "dy": 8}, **at, text=_named()),
        height=TALL,
    )


def against(rows: Rows, x: str, y: str, promise: float, breaks: float, names: tuple[str, str, str]) -> Chart:
    """`y` over the load on a logarithmic axis; the promise dashed, the demand asked dotted, its end long dashed.

    All three are named: the curve may end there without a rise, where the queue would only grow.
    """
    seen = [row for row in rows if row["y"] <= 10 * promise]
    levels = [promise, *(row["y"] for row in seen)]
    ends = {"type": "log", "domain": [min(levels) / 1.5, max(levels) * 1.5], "nice": False}
    cliff = [{"x": breaks, "name": names[2]}] if breaks < 1.9 else []
    limit, now = [{"y": promise, "x": 0.02, "name": names[0]}], [{"x": 1.0, "name": names[1]}]
    return _layers(
        _view(
            seen, "line", {"color": BLUE},
            x=_of("x", title=x, axis={"format": "%"}, scale={"domain": [0, 2]}),
            y=_of("y", title=y, axis={"tickCount": 6}, scale=ends),
        ),
        _view(limit, "rule", {"color": ORANGE, "strokeDash": [6, 4]}, y=_of("y")),
        _view(limit, "text", {"align": "left", "dy": -7}, x=_of("x"), y=_of("y"), text=_named()),
        _view(now, "rule", {"color": GREY, "strokeDash": [2, 3]}, x=_of("x")),
        _view(cliff, "rule", {"color": ORANGE, "strokeDash": [12, 4]}, x=_of("x")),
        _view(cliff, "text", {"align": "left", "dx": 5}, x=_of("x"), y={"value": TALL / 2}, text=_named()),
        _view(
            now, "text", {"align": "left", "dx": 5, "baseline": "top"}, x=_of("x"), y={"value": 4},
            text=_named(),
        ),
        height=TALL,
    )  # fmt: skip


def tornado(rows: Rows, x: str, here: float) -> Chart:
    """From `low` to `high` for each `name`, what moves most on top; a tick where nothing moves, `here` dotted."""
    most = sorted(rows, key=lambda row: -abs(row["high"] - row["low"]))
    y, tick = _by_name(240), {"color": GREY, "thickness": 2, "height": 20}
    low = _of("low", title=x, scale={"zero": False, "nice": True}, axis={"tickMinStep": 1, "format": ",d"})
    return _layers(
        _view(most, "bar", {"color": BLUE, "height": 16}, y=y, x=low, x2={"field": "high"}),
        _view(most, "tick", tick, y=y, x=_of("low")),
        _view(most, "tick", tick, y=y, x=_of("high")),
        _view([{"x": here}], "rule", {"color": ORANGE, "strokeDash": [2, 3]}, x=_of("x")),
        height=38 * len(rows) + 40,
    )


def lines(
    rows: Rows, x: str, y: str, *, promise: float | None = None, marks: Sequence[tuple[float, str]] = (),
    percent: bool = False, log: bool = False,
) -> Chart:  # fmt: skip
    """`y` over `x`, one line for each `name`, told apart by dashes too; the promise dashed, `marks` named moments."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    colours, dashes = [BLUE, ORANGE, GREY][: len(names)], [[1, 0], [6, 3], [2, 2]][: len(names)]
    legend = (
        {"orient": "bottom", "columns": 1, "labelLimit": _most(420, "0.6 * windowSize()[0]")}
        if len(names) > 1
        else None
    )
    scale = {"type": "log"} if log else {"type": "linear", "domain": [0, 1]} if percent else {"type": "linear"}
    axis = {"format": "%"} if percent else {"tickCount": 5} if log else {}
    layers = [
        _view(
            rows, "line", {},
            x=_of("x", title=x, axis=axis if log else {}, scale={"type": "log" if log else "linear"}),
            y=_of("y", title=y, axis=axis, scale=scale),
            color=_named(title=None, legend=legend, scale={"domain": names, "range": colours}),
            strokeDash=_named(title=None, legend=legend, scale={"domain": names, "range": dashes}),
            tooltip=_told("x", "y"),
        )
    ]  # fmt: skip
    if promise is not None:
        layers.append(_view([{"y": promise}], "rule", {"color": ORANGE, "strokeDash": [6, 4]}, y=_of("y")))
    if marks:
        moments = [{"x": at, "label": label} for at, label in marks]
        said = {"align": "left", "baseline": "top", "dx": 3, "y": 0}
        layers.append(_view(moments, "rule", {"color": GREY, "strokeDash": [2, 3]}, x=_of("x")))
        layers.append(_view(moments, "text", said, x=_of("x"), text=_named("label")))
    return _layers(*layers, height=260)


def ranges(rows: Rows, x: str, *, zero: bool = False, log: bool = False) -> Chart:
    """From `low` to `high` for each `name`, a dot at its `middle`; from zero, bars up to that too."""
    rows = [{"middle": (row["low"] * row["high"]) ** 0.5 if log else (row["low"] + row["high"]) / 2} | row
            for row in rows]  # fmt: skip
    scale = {"type": "log"} if log else {"zero": zero, "nice": True}
    y, look = _by_name(360), {"title": x, "scale": scale, "axis": {"tickCount": 6}}
    layers = [
        _view(rows, "bar", {"color": ORANGE, "height": 6}, y=y, x=_of("low", **look), x2={"field": "high"}),
        _view(
            rows, "point", {"color": ORANGE, "filled": True, "size": 60, "opacity": 1}, y=y, x=_of("middle", **look),
            tooltip=_told("low", "high"),
        ),
    ]  # fmt: skip
    if zero:
        layers.insert(0, _view(rows, "bar", {"color": BLUE, "height": 18}, y=y, x=_of("middle", **look)))
    return _layers(*layers, height=34 * len(rows) + 50)


def diagonal(rows: Rows, x: str, y: str) -> Chart:
    """`y` against `x` on logarithmic axes, a shape for each `name`; on the diagonal they agree."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    ends = [min(min(r["x"], r["y"]) for r in rows) / 1.3, max(max(r["x"], r["y"]) for r in rows) * 1.3]
    axes = {"scale": {"type": "log", "domain": ends, "nice": False}, "axis": {"tickCount": 5}}
    told = {"title": None, "legend": {"orient": "bottom", "columns": 1}}
    return _layers(
        _view([{"x": end, "y": end} for end in ends], "line", {"color": GREY, "strokeDash": [3, 3]},
              x=_of("x"), y=_of("y")),
        _view(
            rows, "point", {"size": 70, "filled": True, "opacity": 0.9},
            x=_of("x", title=x, **axes),
            y=_of("y", title=y, **axes),
            color=_named(**told, scale={"domain": names, "range": [GREY, BLUE]}),
            shape=_named(**told, scale={"domain": names, "range": ["square", "circle"]}),
            tooltip=_told("x", "y"),
        ),
        height=300,
    )  # fmt: skip
