"""The other entrance: what the GPUs that one owns can do, and what stops them first."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import streamlit as st

from infrascale import api
from infrascale.app import answer, hardware, need
from infrascale.app.forms import Form, refused
from infrascale.app.state import DEMANDS, question
from infrascale.errors import InfraScaleError
from infrascale.locales import Words
from infrascale.screen import capacity_sentences, cut

if TYPE_CHECKING:
    from infrascale.certainty import Beyond
    from infrascale.planning import Candidate, Scenario

    Ways = list[tuple[Candidate, float]]

#: A demand, or a limit to what is bought, means nothing to those who ask what they can carry.
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
)


@st.cache_resource(max_entries=256, show_spinner=False)
def carried(gpus: int, asked: str) -> tuple[Scenario, Ways, Beyond | None]:
    """What so many GPUs serve; the same question of another session is answered from memory."""
    scenario = api.ask(needs_demand=False, **json.loads(asked))
    found = api.capacity(gpus, scenario)
    return scenario, found, api.beyond(gpus, scenario, found)


def show(w: Words, form: Form, banner: st.delta_generator.DeltaGenerator) -> None:
    _form(w, form)
    if form.wrong:
        banner.error(w.say("form.wrong"), icon=":material/error:")
        return
    gpus = int(float(str(form.values["owned"])))
    try:
        keys = {key: value for key, value in question(form.values).items() if key not in NOT_ASKED}
        scenario, found, around = carried(gpus, json.dumps(keys, sort_keys=True))
    except InfraScaleError as error:
        with banner:
            refused(w, error)
        return
    first, *rest = capacity_sentences(w, gpus, scenario, found, around)
    (banner.success if found else banner.warning)(f"**{first}**" + "".join(f"  \n{said}" for said in rest))
    if found:
        _result(w, scenario, found, around)


def _form(w: Words, form: Form) -> None:
    what, model, promised = st.columns(3)
    with what:
        st.subheader(w.say("form.owned"))
        form.number("owned", w.say("app.owned"))
        hardware.gpus(w, form)
        form.share("requests_per_user", w.say("app.share"), hint=w.say("app.share_hint"))
    with model:
        st.subheader(w.say("app.model"))
        hardware.model(w, form)
    with promised:
        st.subheader(w.say("app.promised"))
        need.promise(w, form, headroom=False)
    with st.expander(w.say("app.what"), icon=":material/chat:"):
        need.lengths(w, form)
    with st.expander(w.say("app.advanced"), icon=":material/tune:"):
        hardware.knobs(w, form)


def _result(w: Words, scenario: Scenario, found: Ways, around: Beyond | None) -> None:
    best, most = found[0]
    share = scenario.requests_per_user or 1.0
    between = (
        w.say("answer.between", low=round(around.low_requests), high=round(around.high_requests)) if around else None
    )
    performance = best.performance
    values = (
        (w.say("answer.at_once"), w.number(round(most)), between),
        (w.say("answer.users_served"), w.number(round(most / share)), None),
        (w.say("answer.rate"), w.quantity(performance.request_per_s * best.replicas, "request_per_s"), None),
        (w.say("app.tile_throughput"), w.quantity(performance.output_token_per_s * best.replicas, "token_per_s"), None),
    )  # fmt: skip
    with st.container(border=True):
        for column, (name, value, under) in zip(st.columns(4), values, strict=True):
            column.metric(name, value, under, delta_color="off", delta_arrow="off")
    left, right = st.columns(2)
    with left:
        st.subheader(w.say("app.what_binds"))
        answer.binds(w, best)
        st.subheader(w.say("app.memory"))
        answer.memory(w, best)
    with right:
        st.subheader(w.say("app.options"))
        st.table([_way(w, one, requests) for one, requests in found[:10]], hide_index=True)


def _way(w: Words, one: Candidate, requests: float) -> dict[str, str]:
    return {
        w.say("answer.at_once"): w.number(round(requests)),
        w.say("app.way"): f"{w.number(one.replicas)} × {cut(one)}",
        w.say("plan.speed"): w.quantity(one.performance.token_per_s_per_request, "token_per_s"),
        w.say("plan.ttft"): w.quantity(one.performance.ttft_s.mean_s, "s"),
    }
