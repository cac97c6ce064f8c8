"""Screen 1, the need: who asks, what they ask, what they are promised; and what that means, as it is typed."""

from __future__ import annotations

import streamlit as st

from infrascale.app import imports
from infrascale.app.forms import Form, put
from infrascale.app.state import DEMANDS, HABITS, SPEED_AT, TTFT_AT
from infrascale.locales import Words
from infrascale.parsing.usecases import UseCase, use_cases


def form(w: Words, form: Form) -> None:
    who, what, promised = st.columns(3)
    with who:
        st.subheader(w.say("app.who"), anchor=False)
        _who(w, form)
    with what:
        st.subheader(w.say("app.what"), anchor=False)
        lengths(w, form)
    with promised:
        st.subheader(w.say("app.promised"), anchor=False)
        promise(w, form)
    with st.expander(w.say("form.import"), icon=":material/upload_file:"):
        imports.demand(w)


def _who(w: Words, form: Form) -> None:
    demand = form.choice("demand", list(DEMANDS), w.say("app.demand"), lambda code: w.say(f"app.demand_{code}"))
    if demand == "users":
        form.number("users", w.say("app.users"))
        form.number("requests_per_user_hour", w.say("app.hourly"), hint=w.say("app.hourly_hint"))
        form.share("requests_per_user", w.say("app.share"), hint=w.say("app.share_hint"))
        form.number("think_s", w.say("form.think"), hint=w.say("form.think_hint"))
    elif demand == "agents":
        form.number("agents", w.say("app.agents"))
        form.share("adoption", w.say("app.adoption"))
        form.number("requests_per_day", w.say("app.requests_per_day"))
        form.share("peak_hour", w.say("app.peak_hour"), hint=w.say("app.peak_hour_hint"))
    else:
        form.number("request_per_s", w.say("app.request_per_s"))
    growth, years = st.columns(2)
    with growth:
        form.share("growth", w.say("form.growth"))
    with years:
        form.number("years", w.say("form.years"), hint=w.say("form.growth_hint"))


def lengths(w: Words, form: Form) -> None:
    """Typical requests one click away, their lengths, and how much these vary."""
    st.markdown(w.say("form.presets"))
    cases = use_cases()
    held = cases.get(str(form.values["case"]))
    chosen = str(form.values["case"]) if held and _is(held, form) else None
    with st.container(horizontal=True, gap="small"):
        for name, case in cases.items():
            mark = "✓ " if name == chosen else ""
            st.button(
                mark + w.say(f"form.case_{name}"),
                key=f"case_{name}",
                on_click=put,
                args=(case.lengths | {"case": name},),
            )
    if chosen:
        _source(w, form, cases[chosen])
    form.number("isl", w.say("app.isl"), hint=w.glossary["isl"].meaning)
    form.number("osl", w.say("app.osl"), hint=w.glossary["osl"].meaning)
    form.share("prefix_hit", w.say("app.prefix_hit"), hint=w.glossary["prefix_cache"].meaning)
    with st.expander(w.say("form.spread")):
        st.caption(w.say("form.spread_hint"))
        form.number("isl_cv", w.say("form.isl_cv"))
        form.number("osl_cv", w.say("form.osl_cv"))
        form.number("arrival_cv", w.say("form.arrival_cv"))


def _is(case: UseCase, form: Form) -> bool:
    return all(form.values[key] == value for key, value in case.lengths.items())


def _source(w: Words, form: Form, case: UseCase) -> None:
    """Where a typical request is from; its promise and its users' rate on offer where the source has them."""
    cached = w.say("form.preset_cached", share=w.percent(case.prefix_hit)) if case.prefix_hit else ""
    said = w.say("form.preset_source", source=case.source, isl=case.isl, osl=case.osl, cached=cached)
    st.caption(said if case.prefix_hit else f"{said} {w.say('form.preset_uncached')}")
    habits = case.habits
    if habits is None:
        return
    values = {"tokens_per_s": habits.token_per_s, "ttft": habits.ttft_s, **dict.fromkeys(HABITS, 0.0)}
    values["requests_per_user_hour"] = habits.request_per_user_min * 60
    label = w.say(
        "form.preset_promise", speed=w.quantity(habits.token_per_s, "token_per_s"), ttft=w.quantity(habits.ttft_s, "s"),
        rate=w.short(habits.request_per_user_min),
    )  # fmt: skip
    st.button(label, key="case_promise", type="tertiary", on_click=put, args=(values,))


def promise(w: Words, form: Form, *, headroom: bool = True) -> None:
    form.number("tokens_per_s", w.say("app.speed"), hint=w.glossary["tpot"].meaning)
    form.choice("speed_at", list(SPEED_AT), w.say("form.speed_at"), lambda at: _at(w, at, "speed"))
    form.number("ttft", w.say("app.ttft"), hint=w.glossary["ttft"].meaning)
    form.choice("ttft_at", list(TTFT_AT), w.say("form.ttft_at"), lambda at: _at(w, at, "ttft"))
    if headroom:
        form.share("headroom", w.say("app.headroom"), hint=w.glossary["headroom"].meaning)
    form.number("redundancy", w.say("app.redundancy"))


def _at(w: Words, at: str, what: str) -> str:
    if at == "mean":
        return w.say("form.mean")
    kept = int(at) if what == "ttft" else 100 - int(at)
    return w.say("form.for_share", share=w.percent(kept / 100), at=at)
