"""The page: language and goal, the screens, and above them the answer as it stands."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import streamlit as st

from infrascale import api
from infrascale.app import answer, calibrate, capacity, compare, cost, deploy, hardware, need, simulation
from infrascale.app.forms import Form, instead, put, refused
from infrascale.app.state import SCREENS, ignored, question, read, written
from infrascale.errors import InfraScaleError
from infrascale.locales import languages, words
from infrascale.parsing.scenarios import Question
from infrascale.parsing.scenarios import question as validated
from infrascale.planning import Judges, flow
from infrascale.report import facts
from infrascale.screen import flow_sentence

if TYPE_CHECKING:
    from infrascale.certainty import Certainty
    from infrascale.locales import Words
    from infrascale.planning import Plan

    Place = st.delta_generator.DeltaGenerator

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

#: Space that Streamlit leaves empty is taken back, lines stay short on wide screens (larger letters there would leave
#: charts, whose heights are pixels, without room for their words), the two
#: entrances look like doors.
STYLE = """
.stMainBlockContainer { padding-top: 3.6rem; padding-bottom: 3rem; max-width: 96rem; margin: 0 auto; }
h1 { padding: 0 !important; font-size: 2rem !important; }
h3 { font-size: 1.2rem !important; }
[data-testid=stCaptionContainer], [data-testid=stCaptionContainer] * { color: inherit !important; }
[data-testid=stCaptionContainer] { opacity: .85; }
.st-key-w_goal, .st-key-w_screen {
  [role=radiogroup] { gap: .4rem; }
  [role=radiogroup] > div { border: 1px solid color-mix(in srgb, currentColor 35%, transparent); border-radius: .5rem;
    padding: .35rem .7rem; }
  [role=radiogroup] > div:has(:focus-visible) { outline: 2px solid currentColor; outline-offset: 2px; }
  [role=radiogroup] > div[data-selected] { border-color: currentColor; box-shadow: inset 0 -3px 0 currentColor; }
  [data-testid=stRadioOption] > div > div:first-child:has(> div:empty) { display: none; }
  [data-testid=stRadioCaption] { margin: 0 !important; padding: 0 !important; }
}
"""


@st.cache_resource(max_entries=512, show_spinner=False)
def planned(asked: str) -> tuple[Plan, Certainty | None]:
    """The plan of a question as JSON; the same question of another session is answered from memory."""
    return _answered(asked, None)


def _answered(asked: str, own: calibrate.Own | None) -> tuple[Plan, Certainty | None]:
    law = own.calibration if own else None
    judged = Judges()
    plan = api.plan(calibration=law, judged=judged, **json.loads(asked))
    return plan, api.certainty(plan, calibration=law, judged=judged)


def main() -> None:
    st.set_page_config(page_title="InfraScale", layout="wide")
    given = {name: st.query_params.get_all(name) for name in st.query_params}
    values = read(given)
    w = words(str(values["lang"]))
    form = Form(values, w)
    if form.set:  # work that begins beside the page runs it anew, with the URL as it stands by then
        st.query_params.from_dict(written(form.values))
    top, right = st.columns([5, 1], vertical_alignment="bottom")
    with right:
        names = {code: words(code).say("language.name").capitalize() for code in languages()}
        w = form.w = words(form.choice("lang", list(languages()), w.say("app.language"), lambda code: names[code]))
    enter = "[data-testid=InputInstructions]"
    st.html(f"<style>{STYLE}{instead(f'{enter} span', enter, w.say('form.enter'))}</style>")
    top.title("InfraScale", anchor=False)
    top.markdown(w.say("app.tagline"))
    goals = ["need", "have"]
    goal = form.choice(
        "goal", goals, w.say("app.goal"), lambda code: f"**{w.say(f'app.goal_{code}')}**", radio=True,
        captions=[w.say(f"form.goal_{code}") for code in goals],
    )  # fmt: skip
    if strange := ignored(given):
        st.warning(w.say("form.ignored", names=", ".join(strange)), icon=":material/link_off:")
    banner = st.container()
    if goal == "have":
        capacity.show(w, form, banner)
    else:
        _plan(w, form, banner)
    st.query_params.from_dict(written(form.values))


def _plan(w: Words, form: Form, banner: Place) -> None:
    screen = form.choice(
        "screen", list(SCREENS), w.say("app.screen"), lambda code: w.say(f"app.screen_{code}"), radio=True
    )
    if screen in FORMS | ABOVE:
        (FORMS | ABOVE)[screen](w, form)
    if form.wrong:
        banner.error(w.say("form.wrong"), icon=":material/error:")
        return
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
        answer.sentence(w, plan, sure, asked)
        st.markdown(flow_sentence(w, facts.demand_of(asked), flow(plan.scenario, plan.best), plan.scenario))
        calibrate.said(w, form.values)
    if screen in FORMS:
        with st.container(border=True):
            answer.tiles(w, plan, sure)
    else:
        _result(w, form, screen, plan, sure, asked)
    _onwards(w, screen)


def _onwards(w: Words, screen: str) -> None:
    """The next step, where the reader's eye ends."""
    place = SCREENS.index(screen) + 1
    if place < len(SCREENS):
        label = w.say("app.next", step=w.say(f"app.screen_{SCREENS[place]}"))
        st.button(label, key="onwards", on_click=put, args=({"screen": SCREENS[place]},))


def _result(w: Words, form: Form, screen: str, plan: Plan, sure: Certainty | None, asked: Question) -> None:
    try:
        RESULTS[screen](w, form, plan, sure, asked, date.today())
    except InfraScaleError as error:
        refused(w, error)
