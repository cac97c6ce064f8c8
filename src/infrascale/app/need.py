"""Screen 1, the need: who asks, what they ask, what they are promised."""

from __future__ import annotations

import tomllib

import streamlit as st

from infrascale import catalog
from infrascale.app.forms import Form
from infrascale.app.state import DEMANDS
from infrascale.locales import Words


def form(w: Words, form: Form) -> None:
    who, what, promised = st.columns(3)
    with who:
        st.subheader(w.say("app.who"))
        _who(w, form)
    with what:
        st.subheader(w.say("app.what"))
        _what(w, form)
    with promised:
        st.subheader(w.say("app.promised"))
        promise(w, form)


def _who(w: Words, form: Form) -> None:
    demand = form.choice("demand", list(DEMANDS), w.say("app.demand"), lambda code: w.say(f"app.demand_{code}"))
    if demand == "users":
        form.number("users", w.say("app.users"), step=100.0)
        form.share("requests_per_user", w.say("app.share"), hint=w.say("app.share_hint"))
    elif demand == "agents":
        form.number("agents", w.say("app.agents"), step=1000.0)
        form.share("adoption", w.say("app.adoption"))
        form.number("requests_per_day", w.say("app.requests_per_day"), step=1.0)
        form.share("peak_hour", w.say("app.peak_hour"), hint=w.say("app.peak_hour_hint"))
    else:
        form.number("request_per_s", w.say("app.request_per_s"), step=0.1)


def _what(w: Words, form: Form) -> None:
    cases = tomllib.loads((catalog.DATA / "usecases.toml").read_text(encoding="utf-8"))
    st.markdown(w.say("app.presets"))
    columns = st.columns(2)
    for place, (name, case) in enumerate(cases.items()):
        if columns[place % 2].button(w.say(f"app.case_{name}"), key=f"case_{name}", width="stretch"):
            for key in ("isl", "osl"):
                form.values[key] = st.session_state[f"w_{key}"] = float(case[key])
    form.number("isl", w.say("app.isl"), step=1.0, hint=w.glossary["isl"].meaning)
    form.number("osl", w.say("app.osl"), step=1.0, hint=w.glossary["osl"].meaning)
    form.share("prefix_hit", w.say("app.prefix_hit"), hint=w.glossary["prefix_cache"].meaning)


def promise(w: Words, form: Form) -> None:
    form.number("tokens_per_s", w.say("app.speed"), step=1.0, hint=w.glossary["tpot"].meaning)
    form.number("ttft", w.say("app.ttft"), step=0.1, hint=w.glossary["ttft"].meaning)
    form.share("headroom", w.say("app.headroom"), hint=w.glossary["headroom"].meaning)
    form.number("redundancy", w.say("app.redundancy"), step=1.0)
