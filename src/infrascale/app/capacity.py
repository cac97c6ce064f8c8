"""The other entrance: what the GPUs that one owns can do, and what stops them first.

The steps after it (a day, cost, files, report) are those of a plan: of as many users as these GPUs serve, on them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from infrascale import api
from infrascale.app import answer, calibrate, chips, hardware, need
from infrascale.app.forms import Form, put, refused
from infrascale.app.state import DEMANDS, as_file, question
from infrascale.errors import InfraScaleError
from infrascale.locales import Words
from infrascale.parsing.plans import capacity_command
from infrascale.parsing.scenarios import question as validated
from infrascale.screen import capacity_sentences, cut, origins

if TYPE_CHECKING:
    from infrascale.certainty import Beyond
    from infrascale.planning import Candidate, Promise, Scenario

    Ways = list[tuple[Candidate, float]]

#: A demand, or a limit to what is bought or its price, means nothing to those who ask what they can carry.
NOT_ASKED = (
    *DEMANDS,
    "adoption",
    "requests_per_day",
    "peak_hour",
    "think_s",
    "max_gpus",
    "max_kw",
    "headroom",
    "objective",
    "offer",
    "price",
    "currency",
    "rate",
    "country",
)


#: What follows an answer, by its screen.
STEPS = ("simulation", "cost", "calibrate", "deploy", "compare")


@st.cache_resource(max_entries=256, show_spinner=False)
def carried(gpus: int, asked: str) -> tuple[Scenario, Ways, Beyond | None]:
    """What so many GPUs serve; the same question of another session is answered from memory."""
    return _carried(gpus, asked, None)


def _carried(gpus: int, asked: str, own: calibrate.Own | None) -> tuple[Scenario, Ways, Beyond | None]:
    law = own.calibration if own else None
    scenario = api.ask(needs_demand=False, **json.loads(asked))
    found = api.capacity(gpus, scenario, calibration=law)
    return scenario, found, api.beyond(gpus, scenario, found, calibration=law)


def show(w: Words, form: Form, banner: st.delta_generator.DeltaGenerator) -> None:
    _form(w, form)
    if form.wrong:
        banner.error(w.say("form.wrong"), icon=":material/error:")
        return
    gpus = int(float(str(form.values["owned"])))
    try:
        keys = {key: value for key, value in question(form.values).items() if key not in NOT_ASKED}
        text, own = json.dumps(keys, sort_keys=True), calibrate.used(form.values)
        scenario, found, around = _carried(gpus, text, own) if own else carried(gpus, text)
    except InfraScaleError as error:
        with banner:
            refused(w, error)
        return
    first, *rest = capacity_sentences(w, gpus, scenario, found, around)
    (banner.success if found else banner.warning)(f"**{first}**" + "".join(f"  \n{said}" for said in rest))
    with banner:
        calibrate.said(w, form.values)
    if found:
        _result(w, scenario, found, around)
        _onwards(w, gpus, scenario, found)
    st.subheader(w.say("app.same"), anchor=False)
    line = capacity_command(gpus, as_file(form.values, validated(keys)))
    st.code(line + (f" --calibration {calibrate.FILE}" if own else ""), language="sh", wrap_lines=True)
    answer.glossary(w)


def _onwards(w: Words, gpus: int, scenario: Scenario, found: Ways) -> None:
    """The steps of a plan for as many users as the best way serves."""
    best, most = found[0]
    users = round(most / scenario.share_in_flight(best.performance.e2e_s.mean_s))
    if users < 1:
        return
    plan = {
        "goal": "need", "demand": "users", "users": float(users), "growth": 0.0, "years": 0.0, "think_s": 0.0,
        "headroom": 0.0, "max_gpus": float(gpus), "max_kw": 0.0, "objective": "gpus", "gpu": [best.deployment.gpu.id],
    }  # fmt: skip
    st.subheader(w.say("app.onwards"), anchor=False)
    st.markdown(w.say("app.onwards_means", users=users, gpus=w.quantity(gpus, "gpus")))
    with st.container(horizontal=True, gap="small"):
        for step in STEPS:
            st.button(w.say(f"app.screen_{step}"), key=f"onwards_{step}", on_click=put, args=(plan | {"screen": step},))


def _form(w: Words, form: Form) -> None:
    what, model, promised = st.columns(3)
    with what:
        st.subheader(w.say("form.owned"), anchor=False)
        form.number("owned", w.say("app.owned"))
        hardware.gpus(w, form, w.say("form.kind"))
        form.number("requests_per_user_hour", w.say("app.hourly"), hint=w.say("app.hourly_hint"))
        form.share("requests_per_user", w.say("app.share"), hint=w.say("app.share_hint"))
    with model:
        st.subheader(w.say("app.model"), anchor=False)
        hardware.model(w, form)
    with promised:
        st.subheader(w.say("app.promised"), anchor=False)
        need.promise(w, form, headroom=False)
    with st.expander(w.say("app.what"), icon=":material/chat:"):
        need.lengths(w, form)
    with st.expander(w.say("app.advanced"), icon=":material/tune:"):
        hardware.knobs(w, form)


def _result(w: Words, scenario: Scenario, found: Ways, around: Beyond | None) -> None:
    best, most = found[0]
    whence, performance = origins.carried(w, scenario, best, most), best.performance
    share = scenario.share_in_flight(performance.e2e_s.mean_s)
    around_requests = around_users = ""
    if around:
        low, high = around.low_requests, around.high_requests
        around_requests = w.say("answer.between", low=round(low), high=round(high))
        around_users = w.say("answer.between", low=round(low / share), high=round(high / share))

    def rate(each: float, unit: str) -> tuple[str, str]:
        per_gpu = w.say("answer.per_gpu", value=w.quantity(each / best.gpus_per_replica, unit))
        return w.quantity(each * best.replicas, unit), per_gpu

    tiles = (
        ("at_once", w.say("answer.at_once"), w.number(round(most)), around_requests),
        ("users", w.say("answer.users_served"), w.number(round(most / share)), around_users),
        ("rate", w.say("answer.rate"), *rate(performance.request_per_s, "request_per_s")),
        ("throughput", w.say("app.tile_throughput"), *rate(performance.output_token_per_s, "token_per_s")),
    )
    with st.container(border=True):
        chips.metrics(w, [(whence[key], key, name, value, None, beside, None) for key, name, value, beside in tiles])
    left, right = st.columns(2)
    with left:
        chips.titled(w, w.say("app.what_binds"), whence["binds"], "binds", w.say("answer.binds_help"))
        answer.binds(w, best, around.breaks if around else None)
    with right:
        chips.titled(w, w.say("app.memory"), whence["memory"], "memory", w.glossary["kv_cache"].meaning)
        answer.memory(w, best)
    chips.titled(w, w.say("app.options"), whence["ways"], "ways")
    st.table([_way(w, scenario.promise, one, requests) for one, requests in found[:10]], hide_index=True)


def _way(w: Words, promise: Promise, one: Candidate, requests: float) -> dict[str, str]:
    return {
        w.say("answer.at_once"): w.number(round(requests)),
        w.titled("app.way"): f"{w.number(one.replicas)} × {cut(one)}",
        **answer.felt(w, promise, one),
    }
