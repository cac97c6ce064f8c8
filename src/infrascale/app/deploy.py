"""Screen 7, the plan as files: what starts it, and the report to sign."""

from __future__ import annotations

import json
from datetime import date

import streamlit as st

from infrascale.app.forms import Form
from infrascale.certainty import Certainty
from infrascale.exports import Options, render, serving, targets
from infrascale.locales import Words
from infrascale.parsing.plans import provenance
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.report import FORMATS, report
from infrascale.screen import certainty_json, plan_json


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    if plan.best is None:
        return
    language = w.language if w.language in ("en", "fr") else "en"
    saved = plan_json(plan) | certainty_json(sure) | provenance(asked, plan.solver)
    st.subheader(w.say("app.files"))
    st.download_button(w.say("app.plan_file"), json.dumps(saved, indent=2), "plan.json", "application/json")
    target = st.selectbox(w.say("app.target"), list(targets()), key="w_target")
    files = render(target, serving(plan, asked, Options(language=language)))
    for name, text in files.items():
        st.markdown(f"`{name}`")
        st.code(text, language=None)
        st.download_button(w.say("app.download", name=name), text, name.replace("/", "-"), key=f"file_{name}")
    st.subheader(w.say("app.report"))
    kind = st.selectbox(w.say("app.report_format"), list(FORMATS), key="w_format")
    if st.button(w.say("app.report_make"), key="w_make"):
        with st.spinner(w.say("app.report_make")):
            made = report(plan, asked, language=language, to=kind, name=f"report.{kind}", on=today)
        for name, content in made.items():
            st.download_button(w.say("app.download", name=name), content, name, key=f"made_{name}")
