"""The page: language and goal, the screens, and above them the answer as it stands."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import streamlit as st

from infrascale import api
from infrascale.app import answer, calibrate, compare, cost, deploy, hardware, need, simulation
from infrascale.app.forms import Form, refused
from infrascale.app.state import SCREENS, question, read, written
from infrascale.errors import InfraScaleError
from infrascale.locales import languages, words
from infrascale.parsing.scenarios import Question
from infrascale.parsing.scenarios import question as validated

if TYPE_CHECKING:
    from infrascale.certainty import Certainty
    from infrascale.locales import Words
    from infrascale.planning import Plan

FORMS = {"need": need.form, "hardware": hardware.form}
#: Forms whose answer is a screen of its own.
ABOVE = {"cost": cost.form, "calibrate": calibrate.form}
RESULTS = {
    "answer": answer.show,
    "simulation": simulation.show,
    "cost": cost.show,
    "calibrate": calibrate.show,
    "compare": compare.show,
    "deploy": deploy.show,
}


@st.cache_resource(max_entries=512, show_spinner=False)
def planned(asked: str) -> tuple[Plan, Certainty | None]:
    """The plan of a question as JSON; the same question of another session is answered from memory."""
    return _answered(asked, None)


def _answered(asked: str, own: calibrate.Own | None) -> tuple[Plan, Certainty | None]:
    law = own.calibration if own else None
    plan = api.plan(calibration=law, **json.loads(asked))
    return plan, api.certainty(plan, calibration=law)


def main() -> None:
    st.set_page_config(page_title="InfraScale", layout="wide")
    values = read({name: st.query_params.get_all(name) for name in st.query_params})
    form = Form(values)
    top, right = st.columns([4, 1], vertical_alignment="bottom")
    with right:
        found = form.choice("lang", list(languages()), words(str(values["lang"])).say("app.language"), str.upper)
    w = words(found)
    top.title("InfraScale")
    top.markdown(w.say("app.tagline"))
    goal = form.choice("goal", ["need", "have"], w.say("app.goal"), lambda code: w.say(f"app.goal_{code}"), radio=True)
    banner = st.container()
    if goal == "have":
        _capacity(w, form, banner)
    else:
        _plan(w, form, banner)
    st.query_params.from_dict(written(form.values))


def _plan(w: Words, form: Form, banner: st.delta_generator.DeltaGenerator) -> None:
    screen = form.choice(
        "screen", list(SCREENS), w.say("app.screen"), lambda code: w.say(f"app.screen_{code}"), radio=True
    )
    if screen in FORMS | ABOVE:
        (FORMS | ABOVE)[screen](w, form)
    try:
        keys = question(form.values)
        asked = validated(keys)
        text, own = json.dumps(keys, sort_keys=True), calibrate.used(form.values)
        plan, sure = _answered(text, own) if own else planned(text)
    except InfraScaleError as error:
        with banner:
            refused(w, error)
        return
    with banner:
        answer.sentence(w, plan, sure)
        calibrate.said(w, form.values, screen)
    if screen in FORMS:
        with st.container(border=True):
            answer.tiles(w, plan, sure)
    else:
        _result(w, form, screen, plan, sure, asked)


def _result(w: Words, form: Form, screen: str, plan: Plan, sure: Certainty | None, asked: Question) -> None:
    try:
        RESULTS[screen](w, form, plan, sure, asked, date.today())
    except InfraScaleError as error:
        refused(w, error)


def _capacity(w: Words, form: Form, banner: st.delta_generator.DeltaGenerator) -> None:
    """The other entrance: what the GPUs that one owns can serve."""
    from infrascale.screen import capacity_lines

    left, right = st.columns(2)
    with left:
        form.number("owned", w.say("app.owned"), step=1.0)
        need.promise(w, form)
    with right:
        hardware.form(w, form)
    try:
        keys = question(form.values)
        for name in ("users", "agents", "adoption", "requests_per_day", "peak_hour", "request_per_s", "max_gpus"):
            keys.pop(name, None)
        asked = api.ask(needs_demand=False, **keys)
        gpus = int(float(str(form.values["owned"])))
        found = api.capacity(gpus, asked)
    except InfraScaleError as error:
        with banner:
            refused(w, error)
        return
    lines = capacity_lines(gpus, asked, found, w)
    end = lines.index("") if "" in lines else len(lines)
    with banner:
        (st.success if found else st.warning)(" ".join(line.strip() for line in lines[:end]))
    if found:
        st.code("\n".join(lines[end + 1 :]), language=None)
