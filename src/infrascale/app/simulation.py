"""Screen 4, a simulated day on the plan, and the hour in which a replica dies at the peak."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from functools import partial
from importlib.util import find_spec

import streamlit as st

from infrascale import api
from infrascale.app import calibrate, charts, chips, jobs
from infrascale.app.forms import Form
from infrascale.certainty import Certainty
from infrascale.errors import ScenarioError
from infrascale.locales import Words
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Plan, Promise
from infrascale.screen.origins import Kind, Origin
from infrascale.studies.day import Lived, Loss, Slice, live_day, lose_one

#: A minute in which more requests than this miss the promise counts as one in which it is broken.
MOST_MISSED = 0.05


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    best = plan.best
    if best is None:
        return
    _needs_numba()
    own = calibrate.used(form.values)
    subject = api.subject(plan, calibration=own.calibration if own else None)
    left, middle, right = st.columns(3)
    with left:
        film = form.choice("film", ["day", "loss"], w.say("simulation.film"), lambda code: w.say(f"simulation.{code}"))
    with middle:
        times = form.share("traffic", w.say("simulation.traffic"), hint=w.say("simulation.traffic_hint"))
    with right:
        if film == "day":
            peak = form.share("peak_hour", w.say("app.peak_hour"), hint=w.say("simulation.peak_hint"))
            work = partial(live_day, subject, peak, times=times)
        else:
            minutes = form.number("down_min", w.say("simulation.down"), hint=w.say("simulation.down_hint"))
            work = partial(lose_one, subject, minutes * 60, times=times)
    if form.wrong:  # said beside the field; a result of what stood there before would be stale
        return
    of = form.values["peak_hour"] if film == "day" else form.values["down_min"]
    key = json.dumps([asked.model_dump(), plan.solver, own.toml if own else None, film, times, of], sort_keys=True)
    found = jobs.answer(w, film, key, w.say(f"simulation.start_{film}"), lambda tell: work(progress=tell),
                        private=own is not None)  # fmt: skip
    if isinstance(found, Lived):
        _day(w, found, plan.scenario.promise)
    elif isinstance(found, Loss):
        _loss(w, found, best, plan.scenario.promise)


def _needs_numba() -> None:
    if find_spec("numba") is None:
        raise ScenarioError(
            "a simulation needs numba", why="it is not installed", fix="pip install 'infrascale[simulate]'"
        )


def _day(w: Words, found: Lived, promise: Promise) -> None:
    _said(w, w.say("simulation.of_day", requests=found.requests, rate=w.quantity(_peak(found), "request_per_s")))
    if found.simulated_replicas < found.replicas:
        st.caption(w.say("simulation.sample", n=found.simulated_replicas, of=found.replicas))
    if found.outcome.queue_grows:
        st.warning(w.say("simulation.grows"))
    _tiles(w, found, promise)
    st.subheader(w.say("simulation.percentiles"), anchor=False)
    st.table(_percentiles(w, found, promise))
    st.caption(w.say("simulation.means"))
    hours = w.say("simulation.hour")
    left, right = st.columns(2)
    with left:
        st.subheader(w.say("simulation.state"), anchor=False)
        _over_time(w, found.slices, hours, 3600, ("running_seqs", "waiting_seqs"), w.say("simulation.requests"))
        st.subheader(w.say("simulation.load"), anchor=False)
        _over_time(w, found.slices, hours, 3600, ("request_per_s",), w.say("simulation.rate"))
    with right:
        st.subheader(w.say("simulation.wait"), anchor=False)
        names = ("ttft_median_s", "ttft_p95_s")
        _over_time(w, found.slices, hours, 3600, names, w.say("simulation.wait_axis"), promise.ttft_s)
        st.subheader(w.say("simulation.kept"), anchor=False)
        _over_time(w, found.slices, hours, 3600, ("kept_fraction",), w.say("simulation.kept_axis"), percent=True)


def _peak(found: Lived) -> float:
    return max(one.request_per_s for one in found.slices)


def _said(w: Words, text: str) -> None:
    chips.chip(w, Origin(kind=Kind.SIMULATED, formula=(text,)), "simulated")
    st.markdown(text)


def _tiles(w: Words, found: Lived, promise: Promise) -> None:
    outcome = found.outcome
    speeds, waits = outcome.performance.tpot_s.quantiles_s, outcome.performance.ttft_s.quantiles_s
    values = (
        (w.say("simulation.tile_kept"), w.percent(outcome.kept_fraction, 1), None),
        (w.say("simulation.tile_wait"), w.quantity(waits[0.95], "s"), w.quantity(promise.ttft_s, "s")),
        (
            w.say("simulation.tile_speed"),
            w.quantity(1 / speeds[0.95], "token_per_s") if speeds[0.95] else "–",
            w.quantity(promise.token_per_s, "token_per_s"),
        ),
        (w.say("simulation.tile_preempted"), w.number(outcome.preemptions), None),
    )
    for column, (name, value, promised) in zip(st.columns(4), values, strict=True):
        under = w.say("simulation.promised", value=promised) if promised else None
        column.metric(name, value, under, delta_color="off", delta_arrow="off")


def _percentiles(w: Words, found: Lived, promise: Promise) -> list[dict[str, str]]:
    performance, rows = found.outcome.performance, []
    for name, spread, limit in (
        ("TTFT", performance.ttft_s, promise.ttft_s),
        ("TPOT", performance.tpot_s, 1 / promise.token_per_s),
        ("E2E", performance.e2e_s, None),
    ):
        cells = {"": name, w.titled("simulation.mean"): w.quantity(spread.mean_s, "s")}
        cells |= {f"p{100 * share:g}": w.quantity(value, "s") for share, value in spread.quantiles_s.items()}
        cells[w.titled("simulation.promise")] = "–" if limit is None else w.quantity(limit, "s")
        rows.append(cells)
    return rows


def _over_time(
    w: Words, slices: Sequence[Slice], x: str, unit_s: float, names: Sequence[str], y: str,
    promise: float | None = None, percent: bool = False,
) -> None:  # fmt: skip
    """Fields of the slices, a line each, against the time of day in units of `unit_s`."""
    rows = [
        {"x": one.from_s / unit_s, "y": getattr(one, name), "name": w.say(f"simulation.{name}")}
        for name in names
        for one in slices
        if getattr(one, name) is not None
    ]
    written = w.percent if percent else lambda value: w.number(value, 3 if abs(value) < 10 else 1)
    table = [
        {
            x: w.number(one.from_s / unit_s, 2 if unit_s > 60 else 0),
            **{
                w.say(f"simulation.{name}"): "–" if (value := getattr(one, name)) is None else written(value)
                for name in names
            },
        }
        for one in slices
    ]
    charts.shown(w, charts.lines(rows, x, y, promise=promise, percent=percent), table, y)


def _loss(w: Words, found: Loss, best: Candidate, promise: Promise) -> None:
    minutes = w.number((found.back_s - found.at_s) / 60)
    _said(w, w.say("simulation.of_loss", replicas=w.quantity(best.replicas, "replicas"), minutes=minutes,
                   at=w.number(found.at_s / 60)))  # fmt: skip
    sides = (("without", found.without), ("with_spare", found.with_spare))
    for column, (name, lived) in zip(st.columns(2), sides, strict=True):
        with column:
            st.subheader(w.titled(f"simulation.{name}", n=found.spares), anchor=False)
            one, two = st.columns(2)
            one.metric(w.say("simulation.tile_kept"), w.percent(lived.outcome.kept_fraction, 1))
            broken = [s for s in lived.slices if s.kept_fraction is not None and s.kept_fraction < 1 - MOST_MISSED]
            two.metric(w.say("simulation.broken"), w.say("simulation.minutes", n=len(broken)))
            st.caption(w.say("simulation.again", n=lived.outcome.sent_again))
    left, right = st.columns(2)
    with left:
        st.subheader(w.titled("simulation.waiting_seqs"), anchor=False)
        _sides(w, sides, found, "waiting_seqs", w.say("simulation.requests"))
    with right:
        st.subheader(w.say("simulation.wait"), anchor=False)
        _sides(w, sides, found, "ttft_p95_s", w.say("simulation.wait_axis"), promise.ttft_s)
    st.caption(w.say("simulation.broken_means", share=w.percent(MOST_MISSED)))


def _sides(
    w: Words, sides: Sequence[tuple[str, Lived]], found: Loss, field: str, y: str, promise: float | None = None
) -> None:
    x, names = w.say("simulation.minute"), {name: w.say(f"simulation.{name}", n=found.spares) for name, _ in sides}
    rows = [
        {"x": one.from_s / 60, "y": value, "name": names[name]}
        for name, lived in sides
        for one in lived.slices
        if (value := getattr(one, field)) is not None
    ]
    pairs = zip(*(lived.slices for _, lived in sides), strict=True)
    table = [
        {
            x: w.number(pair[0].from_s / 60),
            **{
                names[name]: "–" if (value := getattr(one, field)) is None else w.number(value, 2)
                for (name, _), one in zip(sides, pair, strict=True)
            },
        }
        for pair in pairs
    ]
    marks = [(found.at_s / 60, w.say("simulation.dies")), (found.back_s / 60, w.say("simulation.returns"))]
    charts.shown(w, charts.lines(rows, x, y, promise=promise, marks=marks), table, y)
