"""Screen 3, the answer: the sentence, the tiles, what binds and what would ease it, the options, how it bends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import streamlit as st

from infrascale.app import charts
from infrascale.app.forms import Form, put
from infrascale.app.state import values_of
from infrascale.certainty import Certainty
from infrascale.locales import Words
from infrascale.parsing.plans import command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Constraint, Plan
from infrascale.report import facts
from infrascale.report.levers import Lever, levers, remedies
from infrascale.screen import cut, headline, proof_and_limit, why_lost, why_refused
from infrascale.screen.origins import SIGNS, Origin, origins


@st.cache_resource(max_entries=256, show_spinner=False)
def _bent(asked: str, _plan: Plan, _question: Question) -> tuple[list, list, list]:
    """Steps in demand, the load curve and the sensitivity of a question, once for all sessions."""
    assert _plan.best is not None
    return (
        facts.staircase(_plan, _plan.best),
        facts.load_curve(_plan, _plan.best),
        facts.sensitivity(_plan, _question),
    )


@st.cache_resource(max_entries=256, show_spinner=False)
def _eased(asked: str, _plan: Plan, _question: Question) -> list[Lever]:
    """What would save GPUs, or make an infeasible question feasible; once for all sessions."""
    return levers(_plan, _question) if _plan.best else remedies(_plan, _question)


def sentence(w: Words, plan: Plan, sure: Certainty | None, asked: Question) -> None:
    """The answer in a sentence; or which constraint nothing keeps, and what would, one click away."""
    if plan.best is None:
        _infeasible(w, plan, asked)
        return
    proof, binds = proof_and_limit(w, plan, plan.best)
    st.success(f"**{headline(w, plan, plan.best, sure)}**  \n{proof} · {binds}")


def _infeasible(w: Words, plan: Plan, asked: Question) -> None:
    title = w.say("infeasible.title", model=plan.scenario.model.id)
    closest = min(plan.rejected, key=lambda one: abs(one.needed - one.available) / (one.available or 1), default=None)
    why = f"  \n{cut(closest)} · {why_refused(w, closest)}." if closest else ""
    st.warning(f"**{title}**{why}")
    found = _eased(asked.model_dump_json(), plan, asked)
    if not found:
        st.markdown(w.say("lever.no_remedy"))
        return
    st.markdown(w.say("lever.remedies"))
    for place, lever in enumerate(found):
        _offer(w, lever, f"remedy_{place}", w.say("lever.then", gpus=w.quantity(lever.best.gpus, "gpus")))


def _offer(w: Words, lever: Lever, key: str, effect: str) -> None:
    """The change as a button that makes it."""
    st.button(w.say("lever.effect", change=said(w, lever), effect=effect), key=key,
              icon=":material/build:", on_click=put, args=(values_of(lever.keys),))  # fmt: skip


def said(w: Words, lever: Lever) -> str:
    """A change in words, its new value with its unit."""
    value = lever.keys[lever.name]
    units = {"ttft": "s", "tokens_per_s": "token_per_s", "max_gpus": "gpus"}
    if lever.name in units:
        text = w.quantity(float(str(value)), units[lever.name])
    elif lever.name == "gpu":
        text = lever.best.deployment.gpu.name
    else:
        text = str(value[0] if isinstance(value, list) else value)
    return w.say(f"lever.{lever.name}", value=text)


def chip(w: Words, origin: Origin, key: str) -> None:
    """What kind of number this is; its formula, with one's own values, in what opens."""
    with st.popover(f"{SIGNS[origin.kind]} {w.say(f'origin.{origin.kind.value}')}", type="tertiary", key=f"chip_{key}"):
        st.markdown(f"**{w.say(f'origin.{origin.kind.value}')}** · {w.say(f'origin.is_{origin.kind.value}')}")
        for line in origin.formula:
            st.markdown(line)


def tiles(w: Words, plan: Plan, sure: Certainty | None) -> None:
    best = plan.best
    if best is None:
        return
    found, promise = best.performance, plan.scenario.promise
    speed, ttft_s = 1 / promise.tpot_of(found), promise.ttft_of(found)
    of = {
        "speed": f" p{100 - promise.speed_share * 100:.0f}" if promise.speed_share is not None else "",
        "ttft": f" p{promise.ttft_share * 100:.0f}" if promise.ttft_share is not None else "",
    }
    values = (
        ("gpus", w.say("app.tile_gpus"), w.number(best.gpus), _range(w, sure), None),
        ("speed", w.say("plan.speed") + of["speed"], w.quantity(speed, "token_per_s"),
         sure and _between(w, sure.token_per_s, "token_per_s"), promise.token_per_s),
        ("ttft", w.say("plan.ttft") + of["ttft"], w.quantity(ttft_s, "s"), sure and _between(w, sure.ttft_s, "s"),
         promise.ttft_s),
        ("throughput", w.say("app.tile_throughput"),
         w.quantity(found.output_token_per_s * best.replicas, "token_per_s"), None, None),
    )  # fmt: skip
    whence = origins(w, plan, sure)
    margins = {"speed": speed / promise.token_per_s - 1, "ttft": 1 - ttft_s / promise.ttft_s}
    units = {"speed": "token_per_s", "ttft": "s"}
    for column, (key, name, value, between, promised) in zip(st.columns(4), values, strict=True):
        with column:
            st.metric(name, value, between, delta_color="off", delta_arrow="off", help=_meaning(w, key))
            if promised is not None:
                margin = w.percent(margins[key], signed=True)
                st.caption(w.say("answer.promised", value=w.quantity(promised, units[key]), margin=margin))
            chip(w, whence[key], key)
    if sure and sure.evidence:
        evidence = sure.evidence
        st.caption(
            w.say(f"plan.evidence_{evidence.near}", n=evidence.measurements, error=w.percent(evidence.error_fraction))
        )


def _meaning(w: Words, key: str) -> str | None:
    words = {"speed": "tpot", "ttft": "ttft", "throughput": "throughput"}
    return w.glossary[words[key]].meaning if key in words else None


def _range(w: Words, sure: Certainty | None) -> str | None:
    if sure is None:
        return None
    high = "∞" if sure.high_gpus is None else w.number(sure.high_gpus)
    if sure.high_gpus == sure.low_gpus:
        return w.say("answer.sure", value=high)
    return w.say("answer.between", low=sure.low_gpus or 1, high=high)


def _between(w: Words, ends: tuple[float, float], unit: str) -> str:
    return w.say("answer.between", low=w.quantity(ends[0], unit), high=w.quantity(ends[1], unit))


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    best = plan.best
    if best is None:
        _refusals(w, plan)
        return
    with st.container(border=True):
        tiles(w, plan, sure)
    whence = origins(w, plan, sure)
    left, right = st.columns(2)
    with left:
        st.subheader(w.say("app.what_binds"), help=w.say("answer.binds_help"))
        binds(w, best)
        _levers(w, plan, asked)
    with right:
        st.subheader(w.say("app.memory"), help=w.glossary["kv_cache"].meaning)
        memory(w, best)
        chip(w, whence["memory"], "memory")
    st.subheader(w.say("app.options"))
    _options(w, plan, best)
    _bends(w, plan, best, asked)
    left, right = st.columns(2)
    with left:
        st.subheader(w.say("app.moves"))
        _moves(w, plan, best, asked)
    with right:
        st.subheader(w.say("answer.demand"))
        for line in whence["flow"].formula:
            st.markdown(line)
        chip(w, whence["flow"], "flow")
        st.subheader(w.say("app.same"))
        st.code(command(asked, plan.solver), language="sh", wrap_lines=True)
    glossary(w)


def glossary(w: Words) -> None:
    with st.popover(w.say("app.glossary"), icon=":material/menu_book:", key="glossary"):
        for entry in w.glossary.values():
            st.markdown(f"**{entry.term}** · {entry.meaning}")


def binds(w: Words, best: Candidate) -> None:
    """A bar for each constraint: how much of it is used, and what is left."""
    rows, table = [], []
    for check in best.checks:
        name, slack = w.say(f"constraint.{check.constraint.value}"), w.percent(check.slack_fraction)
        mark = " " + w.say("plan.binds") if check is best.binding else ""
        used = round(1 - check.slack_fraction, 4)
        rows.append({"name": name, "value": used, "mark": w.say("answer.slack", slack=slack) + mark,
                     "limit": bool(mark)})  # fmt: skip
        table.append(
            {
                w.say("plan.constraint"): name,
                w.say("plan.needed"): w.quantity(check.needed, check.unit),
                w.say("plan.available"): w.quantity(check.available, check.unit),
                w.say("plan.margin"): slack + mark,
            }
        )
    charts.shown(w, charts.bars(rows, w.say("app.used")), table, w.say("app.what_binds"))


def _levers(w: Words, plan: Plan, asked: Question) -> None:
    found = _eased(asked.model_dump_json(), plan, asked)
    if not found:
        st.markdown(w.say("lever.none"))
        return
    st.markdown(w.say("lever.title"))
    for place, lever in enumerate(found[:4]):
        _offer(w, lever, f"lever_{place}", w.say("lever.fewer", n=lever.saves_gpus))


def memory(w: Words, best: Candidate) -> None:
    held = best.memory
    check = next(c for c in best.checks if c.constraint is Constraint.MEMORY)
    parts = (
        ("weights", held.weights_bytes),
        ("cache", check.needed - held.needed_bytes),
        ("activations", held.activations_bytes),
        ("runtime", held.graphs_bytes + held.runtime_bytes),
        ("free", max(0.0, check.available - check.needed)),
        ("reserved", held.reserved_bytes),
    )
    rows = [
        {"name": w.say(f"plan.{key}"), "value": round(size / 2**30, 2), "place": place}
        for place, (key, size) in enumerate(parts)
    ]
    table = [{w.say("app.part"): w.say(f"plan.{key}"), w.say("report.gib"): w.number(size / 2**30, 1)}
             for key, size in parts]  # fmt: skip
    charts.shown(w, charts.stack(rows, w.say("report.gib")), table, w.say("app.memory"))


def _options(w: Words, plan: Plan, best: Candidate) -> None:
    """The winner, the runners-up and what they lack, then the ways that serve nobody."""
    rows = [_option(w, one, w.say("answer.wins") if one is best else why_lost(w, best, one))
            for one in (best, *plan.others[:9])]  # fmt: skip
    blank = dict.fromkeys(rows[0], "–")
    lost = w.say("answer.why_not")
    rows += [blank | {w.say("app.way"): cut(one), lost: why_refused(w, one)} for one in plan.rejected[:5]]
    st.table(rows, hide_index=True)


def _option(w: Words, one: Candidate, why: str) -> dict[str, str]:
    counted = w.number(one.replicas + one.spare_replicas)
    return {
        w.say("app.way"): cut(one),
        w.say("app.tile_gpus"): f"{w.number(one.gpus)} = {counted} × {one.gpus_per_replica}",
        w.say("plan.speed"): w.quantity(one.performance.token_per_s_per_request, "token_per_s"),
        w.say("plan.ttft"): w.quantity(one.performance.ttft_s.mean_s, "s"),
        w.say("answer.why_not"): why,
    }  # fmt: skip


def _refusals(w: Words, plan: Plan) -> None:
    """Each way that was tried, and what stopped it."""
    st.subheader(w.say("answer.tried"))
    st.table([{w.say("app.way"): cut(one), w.say("answer.why_not"): why_refused(w, one)}
              for one in plan.rejected[:20]], hide_index=True)  # fmt: skip


def _moves(w: Words, plan: Plan, best: Candidate, asked: Question) -> None:
    _, _, moved = _bent(asked.model_dump_json(), plan, asked)
    rows = [
        {"name": w.say(f"report.input.{m.key}"), "low": m.less or best.gpus, "high": m.more or best.gpus} for m in moved
    ]
    table = [
        {
            w.say("app.input"): w.say(f"report.input.{m.key}"),
            w.percent(-facts.MOVE, signed=True): "–" if m.less is None else w.number(m.less),
            w.percent(facts.MOVE, signed=True): "–" if m.more is None else w.number(m.more),
        }
        for m in moved
    ]
    charts.shown(w, charts.tornado(rows, w.say("app.tile_gpus"), best.gpus), table, w.say("app.moves"))


def _bends(w: Words, plan: Plan, best: Candidate, asked: Question) -> None:
    key, value = facts.demand_of(asked)
    staircase, curve, _ = _bent(asked.model_dump_json(), plan, asked)
    left, right = st.columns(2)
    axis, count, load, ttft = (
        w.say(name) for name in (f"report.axis_{key}", "app.tile_gpus", "app.load", "report.axis_ttft")
    )
    here = w.say("answer.here")
    with left:
        st.subheader(w.say("answer.staircase"))
        points = [{"x": 0.0, "y": staircase[0][1]}, *({"x": share * value, "y": gpus} for share, gpus in staircase)]
        table = [{axis: w.short(share * value), count: w.number(gpus)} for share, gpus in _thinned(staircase)]
        charts.shown(w, charts.steps(points, axis, count, (value, best.gpus), here), table, w.say("answer.staircase"))
    with right:
        st.subheader(w.say("answer.cliff"), help=w.glossary["ttft"].meaning)
        rows = [{"x": point.share, "y": point.ttft_s} for point in curve]
        table = [{load: w.percent(p.share), ttft: w.quantity(p.ttft_s, "s")} for p in curve]
        names = (w.say("report.promise_label"), here)
        limit = plan.scenario.promise.ttft_s
        charts.shown(w, charts.against(rows, load, ttft, limit, names), table, w.say("answer.cliff"))
        st.markdown(w.say("report.breaks_at", share=w.percent(facts.holds_up_to(plan, best))))


def _thinned(steps: Sequence[tuple[float, int]]) -> Sequence[tuple[float, int]]:
    """At most forty rows of a table that a person reads; both ends stay."""
    return steps if len(steps) <= 40 else [*steps[:: -(-len(steps) // 39)], steps[-1]]
