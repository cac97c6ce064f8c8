"""Screen 5, money and carbon of the plan, month by month, from dated prices or the person's own."""

from __future__ import annotations

from datetime import date

import streamlit as st

from infrascale.app.forms import Form
from infrascale.certainty import Certainty
from infrascale.economics.decision import Objective
from infrascale.locales import Words
from infrascale.parsing import prices
from infrascale.parsing.scenarios import Question
from infrascale.planning import Plan
from infrascale.studies.costing import costing
from infrascale.studies.screens import cost_lines


def show(w: Words, form: Form, plan: Plan, sure: Certainty | None, asked: Question, today: date) -> None:
    if plan.best is None:
        return
    buy = form.choice("buy", ["", "yes"], w.say("app.buy"), lambda code: w.say(f"app.buy_{code or 'no'}"), radio=True)
    market = prices.market(
        plan.scenario.gpus,
        {},
        offers=prices.BUY if buy else prices.RENT,
        own=(),
        rate=None,
        currency=None,
        where=prices.site(str(form.values["country"]), None, None),
        peak_fraction=asked.peak_hour,
        today=today,
    )
    st.code("\n".join(cost_lines(costing(plan, market, Objective.GPUS))), language=None)
