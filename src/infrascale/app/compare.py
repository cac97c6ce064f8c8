"""Screen 8, two saved scenarios side by side: what was asked differently, what is answered, what it costs.

A scenario is the address of a plan, or the question of a plan file; both stand in the URL, so a comparison can be sent.
Empty, the first is the plan on the page.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlencode

import streamlit as st

from infrascale import api, catalog
from infrascale.app import calibrate, charts, chips
from infrascale.app.forms import Form, refused, upload
from infrascale.app.state import Value, fields, question, read, written
from infrascale.calibration.own import Calibration
from infrascale.certainty import Certainty
from infrascale.economics.decision import Option
from infrascale.errors import FileError, InfraScaleError, ScenarioError
from infrascale.loadtests.document import decoded
from infrascale.locales import Words
from infrascale.parsing.models import known
from infrascale.parsing.objectives import market_of
from infrascale.parsing.scenarios import Question
from infrascale.parsing.scenarios import question as validated
from infrascale.planning import Plan
from infrascale.screen import cut
from infrascale.screen.month import amount, between, month_origins
from infrascale.screen.origins import Kind, Origin, origins
from infrascale.studies.costing import costing

SIDES = ("a", "b")
MOST_KIB = 512
#: Not part of a scenario: how the page is looked at.
LOOKS = ("lang", "screen", "goal", *SIDES)
#: Words for the keys of a question, where the app has them.
LABELS = {
    "users": "app.users", "agents": "app.agents", "request_per_s": "app.request_per_s", "adoption": "app.adoption",
    "requests_per_day": "app.requests_per_day", "peak_hour": "app.peak_hour", "isl": "app.isl", "osl": "app.osl",
    "prefix_hit": "app.prefix_hit", "tokens_per_s": "app.speed", "ttft": "app.ttft", "headroom": "app.headroom",
    "redundancy": "app.redundancy", "model": "app.model", "gpu": "app.gpus", "precision": "app.precision",
    "kv_cache_dtype": "app.kv", "offer": "costs.offer", "currency": "costs.currency", "country": "costs.country",
    "objective": "costs.objective", "rate": "costs.rate",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One scenario with all that is said of it."""

    asked: Question
    plan: Plan
    sure: Certainty | None
    option: Option | None


def saved(values: dict[str, Value]) -> str:
    """The scenario on the page as the parameters of its address."""
    return urlencode({k: v for k, v in written(values).items() if k not in LOOKS}, doseq=True)


def keys_of(text: str) -> dict[str, Any]:
    """The keys that a saved scenario asks: an address, its parameters alone, or a question as JSON."""
    text = text.strip()
    if text.startswith("{"):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ScenarioError("this is no scenario", why=str(error)[:100], fix="paste a plan's address") from None
        return _public(found)
    parameters = parse_qs(text.partition("?")[2] or text, max_num_fields=100)
    fitting = {name: raw for name, raw in parameters.items() if name in fields()}
    if not fitting:
        raise ScenarioError(
            "this is no scenario",
            why="it names no field of the app",
            fix="paste the address of a plan, or drop its file",
        )
    return question(read(fitting))


def _public(keys: Any) -> dict[str, Any]:
    """A stranger's keys name what the catalog has, and no file of this machine."""
    asked = validated(keys if isinstance(keys, dict) else {})
    names = {"model": known(asked.model).id, "gpu": [catalog.find("gpus", one)[0] for one in asked.gpu]}
    return asked.model_dump(exclude_defaults=True, mode="json") | names


def of_file(name: str, raw: bytes) -> str:
    """The question of a plan file, as the URL holds it."""
    if len(raw) > MOST_KIB << 10:
        raise FileError(f"{name} is too large", why=f"at most {MOST_KIB} KiB", fix="drop plan.json")
    try:
        found = json.loads(decoded(name, raw).text)["question"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise FileError(f"{name} is no plan file", why="it holds no question", fix="drop plan.json of step 7") from None
    return json.dumps(_public(found), separators=(",", ":"))


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    st.markdown(w.say("compare.what"))
    found: dict[str, Side] = {}
    own = calibrate.held()
    for name, column in zip(SIDES, st.columns(2), strict=True):
        with column:
            text = _asked(w, form, name)
            if (calibrated(text) if text or name == "b" else form.values["calibrated"]) and own is None:
                st.warning(w.say("calibration.missing"), icon=":material/link_off:")
            try:
                if text:
                    found[name] = _side(w, keys_of(text), today, own if calibrated(text) else None)
                elif name == "a":
                    found[name] = _side(w, question(form.values), today, own if form.values["calibrated"] else None)
            except InfraScaleError as error:
                refused(w, error)
    if len(found) < 2:
        st.info(w.say("compare.missing"))
        return
    _tables(w, found)


def _asked(w: Words, form: Form, name: str) -> str:
    st.subheader(w.say(f"compare.{name}"), anchor=False)
    key, drop = f"w_{name}", f"w_drop_{name}"
    if key not in st.session_state:
        st.session_state[key] = str(form.values[name])
    if st.button(w.say("compare.this"), key=f"this_{name}"):
        st.session_state[key] = saved(form.values)
    file = upload(w, w.say("compare.drop"), ["json"], drop, 1)
    if file is not None and st.session_state.get(f"taken_{name}") != file.file_id:
        st.session_state[f"taken_{name}"] = file.file_id
        try:
            st.session_state[key] = of_file(file.name[-80:], file.getvalue())
        except InfraScaleError as error:
            st.session_state[key] = ""
            refused(w, error)
    text = st.text_input(w.say("compare.address"), max_chars=fields()[name].most_text, key=key, autocomplete="off")
    form.values[name] = text.strip()
    return text.strip()


@st.cache_resource(max_entries=128, show_spinner=False)
def _planned(keys: str, today: date) -> Side:
    return _made(json.loads(keys), today, None)


def _made(keys: dict[str, Any], today: date, law: Calibration | None) -> Side:
    asked = validated(keys)
    plan = api.plan(calibration=law, **keys)
    sure = api.certainty(plan, calibration=law)
    option = None
    if plan.best is not None:
        market = market_of(asked, plan.scenario, today=today)
        option = costing(plan, market, asked.objective, api.curves(law, plan.scenario) if law else None).options[0]
    return Side(asked=asked, plan=plan, sure=sure, option=option)


def _side(w: Words, keys: dict[str, Any], today: date, own: calibrate.Own | None) -> Side:
    """The plan of these keys; on this session's own load tests where its address says so, and then said so."""
    if own is None:
        return _planned(json.dumps(keys, sort_keys=True), today)
    calibrate.rests(w, own)
    return _made(keys, today, own.calibration)


def calibrated(text: str) -> bool:
    """Whether a saved scenario says that its answer rests on load tests."""
    return "yes" in parse_qs(text.partition("?")[2] or text, max_num_fields=100).get("calibrated", [])


def _tables(w: Words, found: dict[str, Side]) -> None:
    a, b = found["a"], found["b"]
    names = [w.say(f"compare.{name}") for name in SIDES]
    st.subheader(w.say("compare.questions"), anchor=False)
    asked = [side.asked.model_dump(mode="json") for side in (a, b)]
    rows = [
        {"": w.say(label) if (label := LABELS.get(key, "")) in w.texts else key}
        | {name: _value(w, one[key]) for name, one in zip(names, asked, strict=True)}
        for key in asked[0]
        if asked[0][key] != asked[1][key]
    ]
    if rows:
        st.table(rows)
    else:
        st.caption(w.say("compare.same"))
    _titled(w, names, (a, b))
    cells = [_answer(w, side) for side in (a, b)]
    table = []
    for key in cells[0]:
        one, other = cells[0][key], cells[1][key]
        more = w.percent(other[1] / one[1] - 1, signed=True) if one[1] and other[1] else "–"
        table.append({"": key, names[0]: one[0], names[1]: other[0], w.titled("compare.change"): more})
    st.table(table)
    st.subheader(w.say("compare.side_by_side"), anchor=False)
    left, right = st.columns(2)
    with left:
        _gpus(w, names, (a, b))
    with right:
        _money(w, names, (a, b))


def _titled(w: Words, names: list[str], sides: tuple[Side, Side]) -> None:
    """What is answered, and how either side's GPUs and bill come about."""
    lines = []
    for name, side in zip(names, sides, strict=True):
        said = origins(w, side.plan, side.sure)
        said = {"gpus": said["gpus"]} if "gpus" in said else {}
        said |= month_origins(w, side.option) if side.option else {}
        lines += [f"**{name}** · {line}" for key in ("gpus", "bill", "electricity") if key in said
                  for line in said[key].formula[:1]]  # fmt: skip
    chips.titled(w, w.say("compare.answers"), Origin(kind=Kind.COMPUTED, formula=tuple(lines)), "compared")


def _value(w: Words, value: Any) -> str:
    if value is None or value == []:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return w.number(value, 0 if value == int(value) else 3) if isinstance(value, int | float) else str(value)


def _answer(w: Words, side: Side) -> dict[str, tuple[str, float | None]]:
    """What is shown by its name, and the number by which two are compared."""
    best, sure, option = side.plan.best, side.sure, side.option
    keys = ("app.tile_gpus", "compare.between", "app.way", "plan.speed", "app.tile_ttft", "app.limit",
            "costs.per_month", "costs.electricity", "costs.carbon")  # fmt: skip
    if best is None or option is None:
        return {
            w.titled(key): (w.say("calibration.infeasible") if not place else "–", None)
            for place, key in enumerate(keys)
        }
    ends = "–"
    if sure:
        ends = f"{w.number(sure.low_gpus or 1)} – {'∞' if sure.high_gpus is None else w.number(sure.high_gpus)}"
    speed, ttft_s = best.performance.token_per_s_per_request, best.performance.ttft_s.mean_s
    bill, foot = option.bill, option.footprint
    values: tuple[tuple[str, float | None], ...] = (
        (w.number(best.gpus), best.gpus),
        (ends, None),
        (cut(best), None),
        (w.quantity(speed, "token_per_s"), speed),
        (w.quantity(ttft_s, "s"), ttft_s),
        (w.say(f"constraint.{best.binding.constraint.value}"), None),
        (amount(w, bill.per_month), bill.per_month.middle.amount) if bill else (w.say("costs.unknown"), None),
        (f"{between(w, foot.kwh)} kWh", sum(foot.kwh)),
        (f"{between(w, foot.kg_co2e)} kg CO₂e", sum(foot.kg_co2e)),
    )
    return dict(zip(map(w.titled, keys), values, strict=True))


def _gpus(w: Words, names: list[str], sides: tuple[Side, Side]) -> None:
    rows = [
        {
            "name": name,
            "low": side.sure.low_gpus or 1,
            "high": side.sure.high_gpus or side.plan.best.gpus,
            "middle": side.plan.best.gpus,
        }
        for name, side in zip(names, sides, strict=True)
        if side.plan.best and side.sure
    ]
    if rows:
        table = [{"": row["name"], w.titled("compare.between"): f"{row['low']} – {row['high']}"} for row in rows]
        charts.shown(w, charts.ranges(rows, w.say("compare.between"), zero=True), table, w.say("compare.between"))


def _money(w: Words, names: list[str], sides: tuple[Side, Side]) -> None:
    bills = [(name, side.option.bill.per_month) for name, side in zip(names, sides, strict=True)
             if side.option and side.option.bill]  # fmt: skip
    if len({bill.currency for _, bill in bills}) > 1:
        st.info(w.say("compare.currencies"))
    elif bills:
        rows = [{"name": name, "low": bill.low.amount, "high": bill.high.amount} for name, bill in bills]
        table = [{"": name, w.say("costs.per_month"): amount(w, bill)} for name, bill in bills]
        title = f"{w.say('costs.a_month')} [{bills[0][1].currency}]"
        charts.shown(w, charts.ranges(rows, title, zero=True), table, w.say("costs.per_month"))
