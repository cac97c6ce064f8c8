"""Screen 3, the answer: the sentence, the tiles, what binds, the options, the memory, and how it bends."""

from __future__ import annotations

from datetime import date

import streamlit as st

from infrascale.app import charts
from infrascale.app.forms import Form
from infrascale.certainty import Certainty
from infrascale.locales import Words
from infrascale.parsing.plans import command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Constraint, Plan
from infrascale.report import facts
from infrascale.screen import answer_sentences, cut, plan_lines


@st.cache_resource(max_entries=256, show_spinner=False)
def _bent(asked: str, _plan: Plan, _question: Question) -> tuple[list, list, list]:
    """Steps in demand, the load curve and the sensitivity of a question, once for all sessions."""
    assert _plan.best is not None
    return (
        facts.staircase(_plan, _plan.best),
        facts.load_curve(_plan, _plan.best),
        facts.sensitivity(_plan, _question),
    )


def sentence(w: Words, plan: Plan, sure: Certainty | None) -> None:
    """The answer in a sentence; or what would make the question feasible."""
    if plan.best is None:
        text = [line.strip() for line in plan_lines(plan, w) if line.strip()]
        st.warning(f"**{text[0]}**")
        return
    first, *rest = answer_sentences(w, plan, plan.best, sure)
    st.success(f"**{first}**  \n" + " · ".join(said.rstrip(".") for said in rest))


def tiles(w: Words, plan: Plan, sure: Certainty | None) -> None:
    best = plan.best
    if best is None:
        return
    found, promise = best.performance, plan.scenario.promise
    values = (
        (w.say("app.tile_gpus"), w.number(best.gpus), _range(w, sure)),
        (w.say("plan.speed"), w.quantity(found.token_per_s_per_request, "token_per_s"),
         w.percent(found.token_per_s_per_request / promise.token_per_s - 1, signed=True)),
        (w.say("plan.ttft"), w.quantity(found.ttft_s.mean_s, "s"),
         w.percent(1 - found.ttft_s.mean_s / promise.ttft_s, signed=True)),
        (w.say("app.tile_throughput"), w.quantity(found.output_token_per_s * best.replicas, "token_per_s"), None),
    )  # fmt: skip
    for column, (name, value, under) in zip(st.columns(4), values, strict=True):
        column.metric(name, value, under, delta_color="off", delta_arrow="off")
    if sure and sure.evidence:
        evidence = sure.evidence
        st.markdown(
            w.say(f"plan.evidence_{evidence.near}", n=evidence.measurements, error=w.percent(evidence.error_fraction))
        )


def _range(w: Words, sure: Certainty | None) -> str | None:
    if sure is None:
        return None
    high = "∞" if sure.high_gpus is None else w.number(sure.high_gpus)
    return f"{w.number(sure.low_gpus or 1)} – {high} ({w.percent(sure.confidence_fraction)})"


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    best = plan.best
    if best is None:
        st.code("\n".join(plan_lines(plan, w)), language=None)
        return
    tiles(w, plan, sure)
    left, right = st.columns(2)
    with left:
        st.subheader(w.say("app.what_binds"))
        _binds(w, best)
        st.subheader(w.say("app.memory"))
        _memory(w, best)
    with right:
        st.subheader(w.say("app.options"))
        _options(w, plan, best)
        st.subheader(w.say("app.moves"))
        _moves(w, plan, best, asked)
    st.subheader(w.say("app.bends"))
    _bends(w, plan, best, asked)
    st.subheader(w.say("app.same"))
    st.code(command(asked, plan.solver), language="sh")
    with st.expander(w.say("app.glossary")):
        for entry in w.glossary.values():
            st.markdown(f"**{entry.term}** · {entry.meaning}")


def _binds(w: Words, best: Candidate) -> None:
    rows = [
        {
            "name": w.say(f"constraint.{check.constraint.value}"),
            "value": round(1 - check.slack_fraction, 4),
            "mark": w.say("plan.binds") if check is best.binding else "",
        }
        for check in best.checks
    ]
    table = [
        {
            w.say("plan.constraint"): w.say(f"constraint.{check.constraint.value}"),
            w.say("plan.needed"): w.quantity(check.needed, check.unit),
            w.say("plan.available"): w.quantity(check.available, check.unit),
            w.say("plan.margin"): w.percent(check.slack_fraction),
        }
        for check in best.checks
    ]
    charts.shown(w, charts.bars(rows, w.say("app.used")), table)


def _memory(w: Words, best: Candidate) -> None:
    memory = best.memory
    check = next(c for c in best.checks if c.constraint is Constraint.MEMORY)
    parts = (
        ("weights", memory.weights_bytes),
        ("cache", check.needed - memory.needed_bytes),
        ("activations", memory.activations_bytes),
        ("runtime", memory.graphs_bytes + memory.runtime_bytes),
        ("free", max(0.0, check.available - check.needed)),
        ("reserved", memory.reserved_bytes),
    )
    rows = [
        {"name": w.say(f"plan.{key}"), "value": round(size / 2**30, 2), "place": place}
        for place, (key, size) in enumerate(parts)
    ]
    table = [{w.say("app.part"): w.say(f"plan.{key}"), "GiB": w.number(size / 2**30, 1)} for key, size in parts]
    charts.shown(w, charts.stack(rows), table)


def _options(w: Words, plan: Plan, best: Candidate) -> None:
    st.table(
        [
            {
                w.say("app.tile_gpus"): w.number(one.gpus),
                w.say("app.way"): cut(one),
                w.say("plan.speed"): w.quantity(one.performance.token_per_s_per_request, "token_per_s"),
                w.say("plan.ttft"): w.quantity(one.performance.ttft_s.mean_s, "s"),
                w.say("app.limit"): w.say(f"constraint.{one.binding.constraint.value}"),
            }
            for one in (best, *plan.others[:7])
        ]
    )


def _moves(w: Words, plan: Plan, best: Candidate, asked: Question) -> None:
    _, _, moved = _bent(asked.model_dump_json(), plan, asked)
    rows = [
        {"name": w.say(f"report.input.{m.key}"), "low": m.less or best.gpus, "high": m.more or best.gpus} for m in moved
    ]
    table = [
        {
            w.say("app.input"): w.say(f"report.input.{m.key}"),
            "−20 %": "–" if m.less is None else w.number(m.less),
            "+20 %": "–" if m.more is None else w.number(m.more),
        }
        for m in moved
    ]
    charts.shown(w, charts.tornado(rows, w.say("app.tile_gpus")), table)


def _bends(w: Words, plan: Plan, best: Candidate, asked: Question) -> None:
    key, value = facts.demand_of(asked)
    staircase, curve, _ = _bent(asked.model_dump_json(), plan, asked)
    left, right = st.columns(2)
    axis, count, load, ttft = (
        w.say(name) for name in (f"report.axis_{key}", "app.tile_gpus", "app.load", "report.axis_ttft")
    )
    with left:
        points = [{"x": 0.0, "y": staircase[0][1]}, *({"x": share * value, "y": gpus} for share, gpus in staircase)]
        table = [{axis: w.short(share * value), count: w.number(gpus)} for share, gpus in staircase]
        charts.shown(w, charts.steps(points, axis, count, (value, best.gpus)), table)
    with right:
        rows = [{"x": point.share, "y": point.ttft_s} for point in curve]
        table = [{load: w.percent(p.share), ttft: w.quantity(p.ttft_s, "s")} for p in curve]
        charts.shown(w, charts.against(rows, load, ttft, plan.scenario.promise.ttft_s), table)
    st.markdown(w.say("report.breaks_at", share=w.percent(facts.holds_up_to(plan, best))))
