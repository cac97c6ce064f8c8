"""Screen 7, the plan as files: what starts it and who checked that, the report to sign, the command that repeats it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from datetime import date

import streamlit as st

from infrascale.app import calibrate
from infrascale.app.forms import Form, refused
from infrascale.app.state import as_file, config_of
from infrascale.certainty import Certainty
from infrascale.errors import InfraScaleError
from infrascale.exports import Options, render, serving, targets
from infrascale.exports.checking import checked
from infrascale.locales import Words
from infrascale.parsing.objectives import market_of
from infrascale.parsing.plans import command, provenance
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.report import FORMATS, report
from infrascale.report.learnt import Own as Taught
from infrascale.screen import certainty_json, plan_json

#: Who checks the form of a target in this project's tests: see docs/deploy.md.
TESTED = {
    "vllm": "vLLM's own parser", "compose": "Compose Specification", "kubernetes": "kubernetes-validate",
    "helm": "production-stack chart", "lws": "kubernetes-validate", "kserve": "kubernetes-validate",
    "ray": "kubernetes-validate", "loadtest": "vLLM's own parser",
}  # fmt: skip


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    if plan.best is None:
        return
    language = w.language if w.language in ("en", "fr") else "en"
    own = calibrate.used(form.values)
    left, right = st.columns([3, 2])
    with left:
        st.subheader(w.say("app.files"), anchor=False)
        try:
            _files(w, form, plan, asked, language, calibrate.FILE if own else None)
        except InfraScaleError as error:
            refused(w, error)
    with right:
        st.subheader(w.say("app.report"), anchor=False)
        _report(w, form, plan, asked, language, today, own)
        st.subheader(w.say("deploying.again"), anchor=False)
        config = config_of(form.values)
        line = command(as_file(form.values, asked), plan.solver)
        st.code(line + (f" --calibration {calibrate.FILE}" if own else ""), language=None, wrap_lines=True)
        st.caption(w.say("deploying.again_hint"))
        if config:
            st.download_button(
                w.say("app.download", name="config.json"), json.dumps(config[1], indent=2), "config.json"
            )
        if own:
            st.download_button(w.say("calibration.download"), own.toml, calibrate.FILE, "application/toml")
            st.caption(w.say("deploying.calibrated"))
        asked_as = provenance(asked, plan.solver, config[1] if config else None, calibrate.FILE if own else None)
        saved = plan_json(plan) | certainty_json(sure) | asked_as
        st.download_button(w.say("app.plan_file"), json.dumps(saved, indent=2), "plan.json", "application/json")
        target = form.values["target"]
        st.code(f"infrascale export plan.json --to {target}\ninfrascale report plan.json --lang {language}",
                language=None, wrap_lines=True)  # fmt: skip


def _files(w: Words, form: Form, plan: Plan, asked: Question, language: str, calibration: str | None) -> None:
    target = form.choice("target", list(targets()), w.say("app.target"))
    files = render(target, serving(plan, asked, Options(language=language, calibration=calibration)))
    found = checked(target, files)
    if found is None:
        st.badge(w.say("deploying.tested", by=TESTED[target]), icon=":material/science:", color="gray")
    elif found.problems:
        st.error(w.say("deploying.problems", by=found.by, problems="; ".join(found.problems)))
    else:
        key = "deploying.checked_pods" if found.pods_only else "deploying.checked"
        st.badge(w.say(key, by=found.by), icon=":material/check_circle:", color="green")
    for place, (name, text) in enumerate(files.items()):
        with st.expander(f"`{name}`", expanded=not place):
            st.code(text, language=None, wrap_lines=True)
        st.download_button(w.say("app.download", name=name), text, name.replace("/", "-"), key=f"file_{name}")


def _report(
    w: Words, form: Form, plan: Plan, asked: Question, language: str, today: date, own: calibrate.Own | None
) -> None:
    kind = form.choice("format", list(FORMATS), w.say("app.report_format"), str.upper)
    if language != w.language:
        st.caption(w.say("deploying.english"))
    if not st.button(w.say("app.report_make"), key="w_make"):
        return
    with st.spinner(w.say("app.report_make")):
        market = market_of(asked, plan.scenario, today=today)
        taught = Taught(taught=own.calibration, file=calibrate.FILE) if own else None
        made = report(
            plan, asked, language=language, to=kind, name=f"report.{kind}", on=today, market=market, own=taught
        )
    name, content = next(iter(made.items())) if len(made) == 1 else ("report.zip", _zipped(made))
    st.download_button(w.say("app.download", name=name), content, name, key="made", type="primary")


def _zipped(files: Mapping[str, str | bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()
