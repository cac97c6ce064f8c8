"""Screen 3, the answer: the sentence, the tiles, what binds and what would ease it, the options, how it bends.

What is planned stands first. What asks for plans of its own (levers, steps in demand, what moves the answer) is filled
in below it: at once for a promise in the mean, beside the page and with its progress for a percentile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from math import isfinite

import streamlit as st

from infrascale import api
from infrascale.app import calibrate, charts, chips, jobs
from infrascale.app.forms import Form, put
from infrascale.app.state import as_file, values_of
from infrascale.certainty import Certainty
from infrascale.hardware import Efficiency
from infrascale.locales import Words
from infrascale.parsing.plans import command
from infrascale.parsing.scenarios import Question
from infrascale.planning import Candidate, Constraint, Judges, Plan, Promise
from infrascale.report import facts
from infrascale.report.levers import Lever, changed, levers, remedies
from infrascale.screen import cut, headline, percentiles, proof_and_limit, why_lost, why_refused
from infrascale.screen.origins import Origin, origins
from infrascale.screen.text import evidence_said

Place = st.delta_generator.DeltaGenerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Bends:
    """What other plans say of this one. `holds`: the share of the demand up to which it keeps the promise."""

    levers: Sequence[Lever]
    stairs: Sequence[tuple[float, int]]
    curve: Sequence[facts.Point]
    holds: float
    moved: Sequence[facts.Moved]


def _bent(plan: Plan, asked: Question, law: Efficiency | None, tell: jobs.Tell = lambda done, total: None) -> Bends:
    best = plan.best
    assert best is not None
    judged = Judges()
    stairs, holds = facts.staircase(plan, best, law=law, judged=judged), facts.holds_up_to(plan, best, law, judged)
    tell(5, 100)
    curve = facts.load_curve(plan, best, law, judged)
    tell(10, 100)
    found = levers(plan, asked, law, judged)
    tell(50, 100)
    moved = facts.sensitivity(plan, asked, law, judged)
    return Bends(levers=found, stairs=stairs, curve=curve, holds=holds, moved=moved)


@st.cache_resource(max_entries=256, show_spinner=False)
def _known(asked: str, _plan: Plan, _question: Question) -> Bends:
    """Once for all sessions."""
    return _bent(_plan, _question, None)


@st.cache_resource(max_entries=256, show_spinner=False)
def _remedies(asked: str, _plan: Plan, _question: Question) -> list[Lever]:
    """What would make an infeasible question feasible; once for all sessions."""
    return remedies(_plan, _question)


def sentence(w: Words, plan: Plan, sure: Certainty | None, asked: Question) -> None:
    """The answer in a sentence; or which constraint nothing keeps, and what would, one click away."""
    if plan.best is None:
        _infeasible(w, plan, asked)
        return
    proof, binds = proof_and_limit(w, plan, plan.best)
    st.success(f"**{headline(w, plan, plan.best, sure)}**  \n{proof[:1].upper()}{proof[1:]} · {binds}")


def _infeasible(w: Words, plan: Plan, asked: Question) -> None:
    title = w.say("infeasible.title", model=plan.scenario.model.id)
    closest = min(plan.rejected, key=lambda one: abs(one.needed - one.available) / (one.available or 1), default=None)
    why = f"  \n{cut(closest)} · {why_refused(w, closest)}." if closest else ""
    st.warning(f"**{title}**{why}")
    found = _remedies(asked.model_dump_json(), plan, asked)
    if not found:
        st.markdown(w.say("lever.no_remedy"))
        return
    st.markdown(w.say("lever.remedies"))
    for place, lever in enumerate(found):
        _offer(w, lever, f"remedy_{place}", w.say("lever.then", gpus=w.quantity(lever.gpus, "gpus")))


def _offer(w: Words, lever: Lever, key: str, effect: str) -> None:
    """The change as a button that makes it."""
    st.button(w.say("lever.effect", change=changed(w, lever), effect=effect), key=key,
              icon=":material/build:", on_click=put, args=(values_of(lever.keys),))  # fmt: skip


def tiles(w: Words, plan: Plan, sure: Certainty | None, whence: dict[str, Origin] | None = None) -> None:
    best = plan.best
    if best is None:
        return
    found, promise = best.performance, plan.scenario.promise
    speed, ttft_s, of = 1 / promise.tpot_of(found), promise.ttft_of(found), percentiles(promise)
    whence = whence or origins(w, plan, sure)

    def kept(promised: float, unit: str, margin: float) -> str:
        return w.say("answer.promised", value=w.quantity(promised, unit), margin=w.percent(margin, signed=True))

    replicas = w.quantity(best.replicas + best.spare_replicas, "replicas")
    values = (
        ("gpus", w.say("app.tile_gpus"), w.number(best.gpus), _range(w, sure),
         f"{replicas} × {w.quantity(best.gpus_per_replica, 'gpus')}"),
        ("speed", w.titled("plan.speed") + of["speed"], w.quantity(speed, "token_per_s"),
         sure and _between(w, sure.token_per_s, "token_per_s"),
         kept(promise.token_per_s, "token_per_s", speed / promise.token_per_s - 1)),
        ("ttft", w.say("app.tile_ttft") + of["ttft"], w.quantity(ttft_s, "s"), sure and _between(w, sure.ttft_s, "s"),
         kept(promise.ttft_s, "s", 1 - ttft_s / promise.ttft_s)),
        ("throughput", w.say("app.tile_throughput"),
         w.quantity(found.output_token_per_s * best.replicas, "token_per_s"),
         w.quantity(found.request_per_s * best.replicas, "request_per_s"),
         w.say("answer.in_flight", n=round(best.load * best.max_batch * best.replicas))),
    )  # fmt: skip
    chips.metrics(w, [(whence[key], key, *rest, _meaning(w, key)) for key, *rest in values])
    if sure and sure.evidence:
        st.caption(evidence_said(w, sure.evidence))


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
    low, high = (w.quantity(end, unit) for end in ends)
    named, other = (end.lstrip("0123456789.,\u202f\u00a0 ") for end in (high, low))
    if named == other:  # a unit that both share is said once
        low = low.removesuffix(named).rstrip()
    return w.say("answer.between", low=low, high=high)


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    best = plan.best
    if best is None:
        _refusals(w, plan)
        return
    own = calibrate.used(form.values)
    whence = origins(w, plan, sure, api.rest(own.calibration, plan.scenario, best) if own else None)
    with st.container(border=True):
        tiles(w, plan, sure, whence)
    left, right = st.columns(2)
    with left:
        chips.titled(w, w.say("app.what_binds"), whence["binds"], "binds", w.say("answer.binds_help"))
        binds(w, best)
        eased = st.container()
    with right:
        chips.titled(w, w.say("app.memory"), whence["memory"], "memory", w.glossary["kv_cache"].meaning)
        memory(w, best)
    chips.titled(w, w.say("app.options"), whence["others"], "options")
    _options(w, plan, best)
    bends = st.container()
    left, right = st.columns(2)
    moves = left.container()
    with right:
        chips.titled(w, w.say("answer.demand"), whence["flow"], "flow")
        for line in whence["flow"].formula:
            st.markdown(line)
        st.subheader(w.say("app.same"), anchor=False)
        line = command(as_file(form.values, asked), plan.solver)
        st.code(line + (f" --calibration {calibrate.FILE}" if own else ""), language="sh", wrap_lines=True)
    glossary(w)
    with bends:
        found = _bends(w, plan, asked, own)
    if found is None:
        return
    with eased:
        _levers(w, found.levers, whence["levers"])
    with bends:
        _curves(w, plan, best, asked, found, whence)
    with moves:
        chips.titled(w, w.say("app.moves"), whence["levers"], "moves", w.say("answer.moves_means"))
        _moves(w, best, found.moved)


def _bends(w: Words, plan: Plan, asked: Question, own: calibrate.Own | None) -> Bends | None:
    """At once where it takes a moment; None while the work goes on."""
    law = api.curves(own.calibration, plan.scenario) if own else None
    key = asked.model_dump_json()
    if not plan.scenario.promise.is_of_shares:
        return _bent(plan, asked, law) if own else _known(key, plan, asked)
    key += sha256(own.toml.encode()).hexdigest() if own else ""
    work: Callable[[jobs.Tell], Bends] = lambda tell: _bent(plan, asked, law, tell)  # noqa: E731
    return jobs.answer(w, "bends", f"bends {key}", None, work, private=own is not None)


def glossary(w: Words) -> None:
    with st.popover(w.say("app.glossary"), icon=":material/menu_book:", key="glossary"):
        for entry in w.glossary.values():
            st.markdown(f"**{entry.term}** · {entry.meaning}")


def binds(w: Words, best: Candidate, first: Constraint | None = None) -> None:
    """A bar for each constraint: how much of it is used, and what is left. `first`: the one that breaks first."""
    rows, table = [], []
    for check in best.checks:
        name, slack = w.titled(f"constraint.{check.constraint.value}"), w.percent(check.slack_fraction)
        mark = " " + w.say("plan.binds") if check.constraint is (first or best.binds) else ""
        used = round(1 - check.slack_fraction, 4)
        rows.append({"name": name, "value": used, "mark": w.say("answer.slack", slack=slack) + mark,
                     "limit": bool(mark)})  # fmt: skip
        table.append(
            {
                w.titled("plan.constraint"): name,
                w.titled("plan.needed"): w.quantity(check.needed, check.unit),
                w.titled("plan.available"): w.quantity(check.available, check.unit),
                w.titled("plan.margin"): slack + mark,
            }
        )
    charts.shown(w, charts.bars(rows, w.say("app.used")), table, w.say("app.what_binds"))


def _levers(w: Words, found: Sequence[Lever], whence: Origin) -> None:
    if not found:
        st.markdown(w.say("lever.none"))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(w.say("lever.title"), width="content")
        chips.chip(w, whence, "levers")
    with st.container(horizontal=True, gap="small"):
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
        {"name": w.titled(f"plan.{key}"), "value": round(size / 2**30, 2), "place": place}
        for place, (key, size) in enumerate(parts)
    ]
    table = [{w.titled("app.part"): w.titled(f"plan.{key}"), w.say("axis.gib"): w.number(size / 2**30, 1)}
             for key, size in parts]  # fmt: skip
    charts.shown(w, charts.stack(rows, w.say("axis.gib")), table, w.say("app.memory"))


def _options(w: Words, plan: Plan, best: Candidate) -> None:
    """The winner, the runners-up and what they lack, then the ways that serve nobody."""
    promise = plan.scenario.promise
    rows = [_option(w, promise, one, w.say("answer.wins") if one is best else why_lost(w, plan, best, one))
            for one in (best, *plan.others[:9])]  # fmt: skip
    blank = dict.fromkeys(rows[0], "–")
    lost = w.say("answer.why_not")
    rows += [blank | {w.titled("app.way"): cut(one), lost: why_refused(w, one)} for one in plan.rejected[:5]]
    st.table(rows, hide_index=True)


def _option(w: Words, promise: Promise, one: Candidate, why: str) -> dict[str, str]:
    counted = w.number(one.replicas + one.spare_replicas)
    return {
        w.titled("app.way"): cut(one),
        w.say("app.tile_gpus"): f"{w.number(one.gpus)} = {counted} × {one.gpus_per_replica}",
        **felt(w, promise, one),
        w.say("answer.why_not"): why,
    }


def felt(w: Words, promise: Promise, one: Candidate) -> dict[str, str]:
    """Speed and wait as the promise counts them, in the mean or at its percentile."""
    of = percentiles(promise)
    return {
        w.titled("plan.speed") + of["speed"]: w.quantity(1 / promise.tpot_of(one.performance), "token_per_s"),
        w.say("app.tile_ttft") + of["ttft"]: w.quantity(promise.ttft_of(one.performance), "s"),
    }


def _refusals(w: Words, plan: Plan) -> None:
    """Each way that was tried, and what stopped it."""
    st.subheader(w.say("answer.tried"), anchor=False)
    st.table([{w.titled("app.way"): cut(one), w.say("answer.why_not"): why_refused(w, one)}
              for one in plan.rejected[:20]], hide_index=True)  # fmt: skip


def _moves(w: Words, best: Candidate, moved: Sequence[facts.Moved]) -> None:
    rows = [{"name": w.say(f"input.{m.key}"), "low": m.less or best.gpus, "high": m.more or best.gpus} for m in moved]
    table = [
        {
            w.titled("app.input"): w.say(f"input.{m.key}"),
            w.percent(-facts.MOVE, signed=True): "–" if m.less is None else w.number(m.less),
            w.percent(facts.MOVE, signed=True): "–" if m.more is None else w.number(m.more),
        }
        for m in moved
    ]
    charts.shown(w, charts.tornado(rows, w.say("app.tile_gpus"), best.gpus), table, w.say("app.moves"))


def _curves(
    w: Words, plan: Plan, best: Candidate, asked: Question, found: Bends, whence: dict[str, Origin]
) -> None:  # fmt: skip
    key, value = facts.demand_of(asked)
    promise = plan.scenario.promise
    left, right = st.columns(2)
    axis, count, load, ttft = (w.say(name) for name in (f"axis.{key}", "app.tile_gpus", "app.load", "axis.ttft"))
    here, ttft = w.say("answer.here"), ttft + percentiles(promise)["ttft"]
    with left:
        chips.titled(w, w.say("answer.staircase"), whence["stairs"], "stairs")
        points = [{"x": 0.0, "y": found.stairs[0][1]}, *({"x": share * value, "y": n} for share, n in found.stairs)]
        table = [{axis: w.short(share * value), count: w.number(gpus)} for share, gpus in _thinned(found.stairs)]
        charts.shown(w, charts.steps(points, axis, count, (value, best.gpus), here), table, w.say("answer.staircase"))
    with right:
        chips.titled(w, w.say("answer.cliff"), whence["cliff"], "cliff", w.glossary["ttft"].meaning)
        rows = [{"x": point.share, "y": point.ttft_s} for point in found.curve if isfinite(point.ttft_s)]
        table = [{load: w.percent(p.share), ttft: w.quantity(p.ttft_s, "s") if isfinite(p.ttft_s) else "∞"}
                 for p in found.curve]  # fmt: skip
        names = (w.say("axis.promise"), here, w.say("axis.breaks"))
        charts.shown(
            w, charts.against(rows, load, ttft, promise.ttft_s, found.holds, names), table, w.say("answer.cliff")
        )
        st.markdown(w.say("axis.breaks_at", share=w.percent(found.holds)))


def _thinned(steps: Sequence[tuple[float, int]]) -> Sequence[tuple[float, int]]:
    """At most forty rows of a table that a person reads; both ends stay."""
    return steps if len(steps) <= 40 else [*steps[:: -(-len(steps) // 39)], steps[-1]]
