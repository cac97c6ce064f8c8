"""Screen 6, one's own load tests: what was read, what was learnt, and whether the answer rests on it.

Files are read in memory, within bounds, and never executed, unpickled or written. What was learnt stays in the session:
the URL says that a calibration was used and cannot hold it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from math import exp, sqrt
from typing import Any

import streamlit as st

from infrascale import api, catalog
from infrascale.app import charts, chips, jobs
from infrascale.app.forms import Form, refused, upload
from infrascale.calibration.cases import cases_of
from infrascale.calibration.own import NAMES, Z_90, Calibration, Error
from infrascale.calibration.own import calibrate as fitted
from infrascale.calibration.saved import as_toml, parsed
from infrascale.certainty import Certainty
from infrascale.deployment import ENGINE_NAMES
from infrascale.errors import FileError, InfraScaleError, ScenarioError
from infrascale.loadtests import LoadTest
from infrascale.loadtests.document import decoded
from infrascale.loadtests.reading import distinct, understood
from infrascale.locales import Words
from infrascale.parsing.efficiencies import efficiency
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.screen.origins import Kind, Origin

MOST_FILES, MOST_MIB, MOST_UNPACKED_MIB = 20, 20, 64
KINDS = ["json", "jsonl", "csv", "yaml", "yml", "gz", "toml"]
OWN = "own_calibration"  # where the session keeps it
FILE = "calibration.toml"  # what is downloaded beside an answer that rests on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """A calibration of this session, and where it is from; without tests where it came as a file of its own."""

    calibration: Calibration
    toml: str
    tests: tuple[LoadTest, ...] = ()
    errors: tuple[Error, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def used(values: dict[str, Any]) -> Own | None:
    """The calibration that this answer rests on."""
    return st.session_state.get(OWN) if values["calibrated"] else None


def said(w: Words, values: dict[str, Any]) -> None:
    """Beside the answer: that it rests on load tests, or that the URL speaks of some that this session lacks."""
    if not values["calibrated"]:
        return
    own: Own | None = st.session_state.get(OWN)
    if own is None:
        st.warning(w.say("calibration.missing"), icon=":material/link_off:")
        return
    rests(w, own)


def rests(w: Words, own: Own) -> None:
    st.info(w.say("calibration.used", n=own.calibration.points, gpu=own.calibration.gpu), icon=":material/tune:")


def held() -> Own | None:
    """The calibration that this session has, used or not."""
    return st.session_state.get(OWN)


def form(w: Words, form: Form) -> None:
    st.markdown(w.say("calibration.what"))
    label = w.say("calibration.drop", files=MOST_FILES, mib=MOST_MIB)
    files = upload(w, label, KINDS, "w_loadtests", MOST_MIB, several=True)
    given = _given(w, str(form.values["model"]))
    if files:
        contents = [(_name(one.name), one.getvalue()) for one in files]
        key = sha256(repr([(name, sha256(raw).digest()) for name, raw in contents]).encode() + repr(given).encode())
        made = date.today().isoformat()
        try:
            found = jobs.answer(
                w, "calibrate", key.hexdigest(), None, lambda tell: learnt(contents, given, made), private=True
            )
            if found is not None:
                st.session_state[OWN] = found
        except InfraScaleError as error:
            refused(w, error)
    if st.session_state.get(OWN) is None:
        return
    if "w_calibrated" not in st.session_state:
        st.session_state["w_calibrated"] = bool(form.values["calibrated"])
    use = st.toggle(w.say("calibration.use"), key="w_calibrated", help=w.say("calibration.url"))
    form.values["calibrated"] = "yes" if use else ""
    if use:
        st.caption(w.say("calibration.url"))


def _given(w: Words, model: str) -> dict[str, str]:
    """What the files may not say."""
    with st.expander(w.say("calibration.facts")):
        st.caption(w.say("calibration.facts_hint"))
        gpus = catalog.entries("gpus")
        one, two, three, four = st.columns(4)
        gpu = one.selectbox(
            "GPU", ["", *gpus], key="w_own_gpu",
            format_func=lambda code: str(gpus[code]["name"]) if code else w.say("calibration.as_said"),
        )  # fmt: skip
        same = one.toggle(w.say("calibration.this_model", model=model.split("/")[-1]), key="w_own_model")
        tp = two.number_input("TP", 0, 1024, 0, key="w_own_tp", help=w.say("calibration.zero"))
        isl = three.number_input(w.say("app.isl"), 0, 1_000_000, 0, key="w_own_isl", help=w.say("calibration.zero"))
        osl = three.number_input(w.say("app.osl"), 0, 1_000_000, 0, key="w_own_osl", help=w.say("calibration.zero"))
        seqs = four.number_input("max_num_seqs", 0, 1 << 20, 0, key="w_own_seqs", help=w.say("calibration.zero"))
    numbers = {"tp": tp, "isl": isl, "osl": osl, "max_num_seqs": seqs}
    words = {"gpu": gpu, "model": model if same else ""}
    return {key: str(value) for key, value in (words | numbers).items() if value}


def _name(name: str) -> str:
    """A file's name as messages may say it: it comes from outside, and no path is ever made of it."""
    return re.sub(r"[^\w.\- ]", "_", name)[-80:] or "file"


def learnt(contents: Sequence[tuple[str, bytes]], given: dict[str, str], made: str) -> Own:
    """From files to what they teach; a calibration that was saved before is taken as it is."""
    if len(contents) > MOST_FILES:
        raise FileError(f"{len(contents)} files are too many", why=f"at most {MOST_FILES}", fix="drop fewer")
    for name, raw in contents:
        if len(raw) > MOST_MIB << 20:
            raise FileError(f"{name} is too large", why=f"at most {MOST_MIB} MiB", fix="drop the tool's summary")
    saved = [(name, raw) for name, raw in contents if name.lower().endswith(".toml")]
    if saved:
        if len(contents) > 1:
            raise FileError("a calibration comes alone", why="other files were dropped with it", fix="drop it alone")
        name, text = saved[0][0], decoded(*saved[0]).text
        return Own(calibration=parsed(name, text), toml=text)
    tests = distinct(understood(decoded(name, raw, MOST_UNPACKED_MIB << 20)) for name, raw in contents)
    cases, left_out = cases_of(tests, given)
    if not cases:
        why = "; ".join(f"{path}: {reason}" for path, reason in left_out)[:300]
        raise ScenarioError("no point can be used", why=why, fix="say what the files leave out, below them")
    found, errors = fitted(cases, efficiency())
    digest = sha256(b"".join(sha256(raw).digest() for _, raw in contents)).hexdigest()
    toml = as_toml(found, made=made, data_sha256=digest, files=[name for name, _ in contents])
    return Own(calibration=found, toml=toml, tests=tuple(tests), errors=tuple(errors), left_out=tuple(left_out))


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    own: Own | None = st.session_state.get(OWN)
    if own is None:
        return
    found = own.calibration
    st.subheader(
        w.say(
            "calibrate.points",
            n=found.points,
            model=found.model,
            gpu=found.gpu,
            engine=ENGINE_NAMES.get(found.engine, found.engine),
        )
    )
    st.download_button(w.say("calibration.download"), own.toml, FILE, "application/toml")
    if own.tests:
        _read(w, own)
    left, right = st.columns(2)
    with left:
        if own.errors:
            _titled(w, w.say("calibration.errors"), Kind.MEASURED, w.say("origin.errors", n=len(own.errors)))
            _errors(w, own.errors)
        _titled(w, w.say("calibration.learnt"), Kind.CALIBRATED, w.say("origin.learnt", n=found.points))
        _learnt(w, found)
    with right:
        for measure in ("tpot", "ttft"):
            if any(one.measure == measure for one in own.errors):
                title = w.say("calibration.predicted", measure=measure.upper())
                _titled(w, title, Kind.MEASURED, w.say("origin.errors", n=len(own.errors)))
                _points(w, own.errors, measure)
    _titled(w, w.say("calibration.interval"), Kind.CALIBRATED, w.say("calibration.interval_means"))
    _interval(w, own, asked)


def _titled(w: Words, title: str, kind: Kind, formula: str) -> None:
    chips.titled(w, title, Origin(kind=kind, formula=(formula,)), title)


def _read(w: Words, own: Own) -> None:
    st.subheader(w.say("calibration.read"), anchor=False)
    st.table(
        [
            {
                w.titled("calibration.file"): one.path,
                w.titled("calibration.format"): one.format,
                w.titled("calibration.points"): w.number(len(one.points)),
            }
            for one in own.tests
        ]
    )
    notes = [note for test in own.tests for note in test.notes]
    for code in dict.fromkeys(note.code for note in notes):
        alike = [note for note in notes if note.code == code]
        more = " " + w.say("calibrate.and_more", n=len(alike) - 1) if len(alike) > 1 else ""
        st.warning(w.say(f"note.{code}", **alike[0].values) + more, icon=":material/warning:")
    for path, why in own.left_out:
        said = w.titled("calibrate.left_out", path=path, why=w.say(f"calibrate.left_{why}"))
        st.warning(said, icon=":material/block:")


def _errors(w: Words, errors: Sequence[Error]) -> None:
    """Mean error before, after, and of each point predicted from the others."""
    rows = []
    for measure in ("tpot", "ttft"):
        own = [one for one in errors if one.measure == measure]
        if own:
            cells = [
                w.percent(sum(abs(exp(-getattr(one, key)) - 1) for one in own) / len(own), 1)
                for key in ("before", "after", "left_out")
            ]
            names = [w.titled(f"calibration.{key}") for key in ("general", "calibrated", "left_out")]
            rows.append({"": measure.upper(), **dict(zip(names, cells, strict=True))})
    st.table(rows)
    st.caption(w.say("calibration.errors_mean"))


def _learnt(w: Words, found: Calibration) -> None:
    rows, table = [], []
    for index, name in enumerate(NAMES):
        middle, spread = found.multipliers[index], Z_90 * sqrt(found.covariance[index][index])
        label, ends = w.titled(f"calibrate.{name}"), (exp(middle - spread), exp(middle + spread))
        rows.append({"name": label, "low": ends[0], "high": ends[1]})
        table.append(
            {
                w.titled("calibration.part"): label,
                w.titled("calibration.times"): w.number(exp(middle), 2),
                w.titled("calibration.interval_90"): f"{w.number(ends[0], 2)} – {w.number(ends[1], 2)}",
            }
        )
    charts.shown(w, charts.ranges(rows, w.titled("calibration.times"), log=True), table, w.say("calibration.learnt"))


def _points(w: Words, errors: Sequence[Error], measure: str) -> None:
    rows, table = [], []
    for one in errors:
        if one.measure != measure:
            continue
        seconds = one.case.measured[measure]
        ends = {key: seconds * exp(-getattr(one, key)) for key in ("before", "after")}
        rows += [
            {"x": seconds, "y": ends["before"], "name": w.titled("calibration.general")},
            {"x": seconds, "y": ends["after"], "name": w.titled("calibration.calibrated")},
        ]
        table.append(
            {
                w.titled("calibration.measured"): w.quantity(seconds, "s"),
                w.titled("calibration.general"): w.quantity(ends["before"], "s"),
                w.titled("calibration.calibrated"): w.quantity(ends["after"], "s"),
            }
        )
    names = (w.say("calibration.axis_measured"), w.say("calibration.axis_predicted"))
    charts.shown(w, charts.diagonal(rows, *names), table, w.say("calibration.predicted", measure=measure.upper()))


def _interval(w: Words, own: Own, asked: Question) -> None:
    """What the answer is with and without these load tests."""
    keys, rows = asked.model_dump(exclude_none=True), []
    for name, calibration in (("general", None), ("calibrated", own.calibration)):
        plan = api.plan(calibration=calibration, **keys)
        sure = api.certainty(plan, calibration=calibration)
        cells = {"": w.titled(f"calibration.{name}")}
        if plan.best is None or sure is None:
            cells |= {w.say("app.tile_gpus"): w.say("calibration.infeasible"), w.titled("plan.speed"): "–", "TTFT": "–"}
        else:
            high = "∞" if sure.high_gpus is None else w.number(sure.high_gpus)
            ends = f"{w.number(sure.low_gpus or 1)} – {high}"
            speed = " – ".join(w.quantity(one, "token_per_s") for one in sure.token_per_s)
            first = " – ".join(w.quantity(one, "s") for one in sure.ttft_s)
            cells |= {w.say("app.tile_gpus"): f"{w.number(plan.best.gpus)} ({ends})", w.titled("plan.speed"): speed,
                      "TTFT": first}  # fmt: skip
        rows.append(cells)
    st.table(rows)
    rest = api.rest(own.calibration, *_of(asked, own))
    facts = {"n": rest.points, "model": rest.model, "gpu": rest.gpu}
    st.caption(w.say(f"calibrate.rests_{rest.kinship}", **facts) + " " + w.say("calibration.interval_means"))


def _of(asked: Question, own: Own) -> tuple[Any, Any]:
    plan = api.plan(calibration=own.calibration, **asked.model_dump(exclude_none=True))
    return plan.scenario, plan.best
