"""Charts of numbers that others computed, each with its table for those who do not see it.

In: rows as dictionaries.    Out: an Altair chart and the table under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import streamlit as st

from infrascale.locales import Words

#: Told apart without colour too: dash, label or place differ wherever a colour does (Okabe and Ito's palette).
Rows = Sequence[dict[str, Any]]
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"
PARTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#999999")
TALL = 300


def shown(w: Words, chart: alt.Chart | alt.LayerChart, rows: Rows, name: str | None = None) -> None:
    """The chart with the language's own separators, its name for a screen reader, its numbers one click away."""
    one = w.number(1234.5, 1)
    numbers = alt.NumberLocale(decimal=one[-2], thousands=one[1], grouping=[3], currency=["", ""])
    st.altair_chart(chart.configure(locale=alt.Locale(number=numbers)), width="stretch", alt=name)
    with st.expander(w.say("app.table")):
        st.table(rows, hide_index=True, alt=name)


def _data(rows: Rows) -> alt.Chart:
    return alt.Chart(alt.Data(values=list(rows)))


def bars(rows: Rows, title: str) -> alt.LayerChart:
    """`value` a bar of each `name`, what `mark` says beside it; one at its `limit` is hatched by a dark edge too."""
    beside = [row | {"edge": max(1.0, row["value"])} for row in rows]
    base = _data(beside).encode(
        y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=220)),
        x=alt.X("value:Q", title=title, axis=alt.Axis(format="%", values=[0, 0.25, 0.5, 0.75, 1]),
                scale=alt.Scale(domain=[0, 1.7])),
    )  # fmt: skip
    fill = alt.condition(alt.datum.limit, alt.value(ORANGE), alt.value(BLUE))
    edge = alt.X("edge:Q")
    named = base.mark_text(align="left", dx=6, color=GREY).encode(x=edge, text="mark:N")
    full = _data([{"x": 1.0}]).mark_rule(color=GREY, strokeDash=[4, 3]).encode(x="x:Q")
    return (base.mark_bar(height=18).encode(color=fill) + named + full).properties(height=38 * len(rows) + 40)


def stack(rows: Rows, unit: str) -> alt.Chart:
    """`value` of each `name`, side by side in the order of `place`."""
    names = [row["name"] for row in rows]
    return (
        _data(rows)
        .mark_bar(stroke="white", size=44)
        .encode(
            x=alt.X("value:Q", title=unit, stack="zero"),
            color=alt.Color(
                "name:N",
                sort=names,
                title=None,
                scale=alt.Scale(domain=names, range=PARTS[: len(names)]),
                legend=alt.Legend(orient="bottom", columns=2, labelLimit=240, symbolType="square"),
            ),
            order=alt.Order("place:Q"),
            tooltip=["name:N", "value:Q"],
        )
        .properties(height=290)
    )


def steps(rows: Rows, x: str, y: str, here: tuple[float, float], label: str) -> alt.LayerChart:
    """GPUs as a staircase over demand, and where the plan stands."""
    line = (
        _data(rows)
        .mark_line(interpolate="step-before", color=BLUE)
        .encode(x=alt.X("x:Q", title=x), y=alt.Y("y:Q", title=y, scale=alt.Scale(domainMin=0)))
    )
    spot = _data([{"x": here[0], "y": here[1], "name": label}]).encode(x="x:Q", y="y:Q")
    point = spot.mark_point(color=ORANGE, size=140, filled=True, shape="diamond")
    return (line + point + spot.mark_text(align="left", dx=10, dy=8, color=GREY).encode(text="name:N")).properties(
        height=TALL
    )


def against(rows: Rows, x: str, y: str, promise: float, names: tuple[str, str]) -> alt.LayerChart:
    """`y` over the load on a logarithmic axis; the promise dashed, the demand asked dotted, both named."""
    seen = [row for row in rows if row["y"] <= 10 * promise]
    line = (
        _data(seen)
        .mark_line(color=BLUE)
        .encode(
            x=alt.X("x:Q", title=x, axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 2])),
            y=alt.Y("y:Q", title=y, scale=alt.Scale(type="log"), axis=alt.Axis(tickCount=6)),
        )
    )
    limit = _data([{"y": promise, "x": 0.02, "name": names[0]}]).encode(y="y:Q")
    now = _data([{"x": 1.0, "name": names[1]}]).encode(x="x:Q")
    return (
        line
        + limit.mark_rule(color=ORANGE, strokeDash=[6, 4])
        + limit.mark_text(align="left", dy=-7, color=GREY).encode(x="x:Q", text="name:N")
        + now.mark_rule(color=GREY, strokeDash=[2, 3])
        + now.mark_text(align="left", dx=5, color=GREY, baseline="top").encode(y=alt.value(4), text="name:N")
    ).properties(height=TALL)


def tornado(rows: Rows, x: str, here: float) -> alt.LayerChart:
    """From `low` to `high` for each `name`, what moves most on top; a tick where nothing moves, `here` dotted."""
    most = sorted(rows, key=lambda row: -abs(row["high"] - row["low"]))
    base = _data(most).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=240)))
    scale = alt.Scale(zero=False, nice=True)
    bar = base.mark_bar(color=BLUE, height=16).encode(x=alt.X("low:Q", title=x, scale=scale), x2="high:Q")
    ticks = base.mark_tick(color=GREY, thickness=2, height=20)
    now = _data([{"x": here}]).mark_rule(color=ORANGE, strokeDash=[2, 3]).encode(x="x:Q")
    return (bar + ticks.encode(x="low:Q") + ticks.encode(x="high:Q") + now).properties(height=38 * len(rows) + 40)


def lines(
    rows: Rows, x: str, y: str, *, promise: float | None = None, marks: Sequence[tuple[float, str]] = (),
    percent: bool = False, log: bool = False,
) -> alt.LayerChart:  # fmt: skip
    """`y` over `x`, one line for each `name`, told apart by dashes too; the promise dashed, `marks` named moments."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    colours, dashes = [BLUE, ORANGE, GREY][: len(names)], [[1, 0], [6, 3], [2, 2]][: len(names)]
    legend = alt.Legend(orient="bottom", columns=1, labelLimit=420) if len(names) > 1 else None
    kind: dict[str, Any] = (
        {"type": "log"} if log else {"type": "linear", "domain": [0, 1]} if percent else {"type": "linear"}
    )
    axis = alt.Axis(format="%") if percent else alt.Axis(tickCount=5) if log else alt.Axis()
    line = (
        _data(rows)
        .mark_line()
        .encode(
            x=alt.X("x:Q", title=x, axis=axis if log else alt.Axis(), scale=alt.Scale(type="log" if log else "linear")),
            y=alt.Y("y:Q", title=y, axis=axis, scale=alt.Scale(**kind)),
            color=alt.Color("name:N", title=None, legend=legend, scale=alt.Scale(domain=names, range=colours)),
            strokeDash=alt.StrokeDash("name:N", title=None, legend=legend, scale=alt.Scale(domain=names, range=dashes)),
            tooltip=["name:N", "x:Q", "y:Q"],
        )
    )
    layers: list[alt.Chart] = [line]
    if promise is not None:
        layers.append(_data([{"y": promise}]).mark_rule(color=ORANGE, strokeDash=[6, 4]).encode(y="y:Q"))
    if marks:
        moments = _data([{"x": at, "label": label} for at, label in marks]).encode(x="x:Q")
        layers.append(moments.mark_rule(color=GREY, strokeDash=[2, 3]))
        layers.append(moments.mark_text(align="left", baseline="top", dx=3, y=0).encode(text="label:N"))
    return alt.layer(*layers).properties(height=260)


def ranges(rows: Rows, x: str, *, zero: bool = False) -> alt.LayerChart:
    """From `low` to `high` for each `name`, a dot at its `middle`; from zero, bars up to that too."""
    rows = [{"middle": (row["low"] + row["high"]) / 2} | row for row in rows]
    base = _data(rows).encode(y=alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=260)))
    scale = alt.Scale(zero=zero, nice=True)
    span = base.mark_bar(color=ORANGE, height=6).encode(x=alt.X("low:Q", title=x, scale=scale), x2="high:Q")
    dot = base.mark_point(color=ORANGE, filled=True, size=60, opacity=1).encode(
        x=alt.X("middle:Q", title=x, scale=scale), tooltip=["name:N", "low:Q", "high:Q"]
    )
    layers = [span, dot]
    if zero:
        layers.insert(0, base.mark_bar(color=BLUE, height=18).encode(x=alt.X("middle:Q", title=x, scale=scale)))
    return alt.layer(*layers).properties(height=34 * len(rows) + 50)


def diagonal(rows: Rows, x: str, y: str) -> alt.LayerChart:
    """`y` against `x` on logarithmic axes, a shape for each `name`; on the diagonal they agree."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    ends = [min(min(r["x"], r["y"]) for r in rows) / 1.3, max(max(r["x"], r["y"]) for r in rows) * 1.3]
    scale = alt.Scale(type="log", domain=ends, nice=False)
    legend = alt.Legend(orient="bottom", columns=1)
    points = (
        _data(rows)
        .mark_point(size=70, filled=True, opacity=0.9)
        .encode(
            x=alt.X("x:Q", title=x, scale=scale, axis=alt.Axis(tickCount=5)),
            y=alt.Y("y:Q", title=y, scale=scale, axis=alt.Axis(tickCount=5)),
            color=alt.Color("name:N", title=None, legend=legend, scale=alt.Scale(domain=names, range=[GREY, BLUE])),
            shape=alt.Shape(
                "name:N", title=None, legend=legend, scale=alt.Scale(domain=names, range=["square", "circle"])
            ),
            tooltip=["name:N", "x:Q", "y:Q"],
        )
    )
    line = (
        _data([{"x": end, "y": end} for end in ends]).mark_line(color=GREY, strokeDash=[3, 3]).encode(x="x:Q", y="y:Q")
    )
    return (line + points).properties(height=300)
