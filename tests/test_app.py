"""The web app's screens through Streamlit's own test runner: what they answer, and that the URL holds all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from infrascale import api
from infrascale.app.state import SCREENS, fields, question, read, written
from infrascale.locales import words

APP = str(Path(__file__).parents[1] / "app.py")


def opened(**parameters: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def test_it_answers_as_the_command_line_does():
    app = opened(users="40000")
    assert not app.exception
    best = api.plan(**question(read({"users": ["40000"]}))).best
    assert app.success[0].value.startswith(f"**{best.gpus:,} × {best.deployment.gpu.name}")


@pytest.mark.parametrize("language", ["en", "fr", "de", "es", "it"])
@pytest.mark.parametrize("screen", SCREENS)
def test_every_screen_opens_in_every_language(language, screen):
    app = opened(lang=language, screen=screen)
    assert not app.exception and not app.error and app.success
    assert app.radio(key="w_screen").label == words(language).say("app.screen")


def test_the_other_entrance_says_what_gpus_can_do():
    app = opened(goal="have", owned="8", lang="fr")
    assert not app.exception and "8 GPU servent" in app.success[0].value


def test_a_change_is_answered_without_a_button_and_stands_in_the_url():
    app = opened()
    before = app.success[0].value
    app.number_input(key="w_users").set_value(100_000.0).run()
    assert app.success[0].value != before
    assert app.query_params["users"] in ("100000", ["100000"])
    again = opened(**{name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()})
    assert again.success[0].value == app.success[0].value


def test_a_preset_sets_the_lengths():
    app = opened()
    app.button(key="case_rag").click().run()
    assert app.number_input(key="w_isl").value == 4096 and app.number_input(key="w_osl").value == 512
    assert not app.exception


def test_an_infeasible_question_shows_no_stale_answer():
    app = opened(ttft="0.01")
    assert not app.success and not app.exception and app.warning


def test_an_error_is_said_inline_with_its_remedy():
    app = opened(isl="900000")
    assert not app.exception and not app.success
    assert app.error and words("en").say("error.fix") in app.error[0].value


@given(st.dictionaries(st.sampled_from(sorted(fields())), st.lists(st.text(max_size=30), max_size=3), max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_url_is_read_as_values_that_write_back_the_same(parameters):
    values = read(parameters)
    back = {name: value if isinstance(value, list) else [value] for name, value in written(values).items()}
    again = read(back)
    for name, value in values.items():
        assert again[name] == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value)


def test_what_is_said_of_money_changes_the_bill_and_stands_in_the_url_and_the_command():
    app = opened(screen="cost", offer="buy", currency="EUR", rate="1.16", country="DEU")
    assert not app.exception and not app.error
    assert any("EUR" in line or "€" in line for line in (one.value for one in app.markdown))
    asked = question(read({name: [value] for name, value in (("offer", "buy"), ("rate", "1.16"), ("country", "DEU"))}))
    assert asked["offer"] == "buy" and asked["country"] == "DEU" and asked["rate"] == "1.16"
    assert app.query_params["country"] in ("DEU", ["DEU"])


def test_prices_that_need_a_rate_are_refused_inline():
    app = opened(screen="cost", currency="EUR")
    assert not app.exception
    assert app.error and "EUR" in app.error[0].value and words("en").say("error.fix") in app.error[0].value


def test_the_command_shown_gives_the_same_gpus():
    import shlex

    from typer.testing import CliRunner

    from infrascale.cli import app as commands

    parameters = {"screen": "deploy", "users": "7000", "isl": "700", "gpu": "h200-sxm", "redundancy": "1"}
    app = opened(**parameters)
    line = next(block.value for block in app.code if block.value.startswith("infrascale plan"))
    done = CliRunner().invoke(commands, [*shlex.split(line)[1:], "--json"])
    assert done.exit_code == 0, done.output
    best = json.loads(done.output)["best"]
    assert f"{best['gpus']} ×" in app.success[0].value and best["gpu"] == "h200-sxm"


def test_a_rendered_target_says_who_checked_it():
    app = opened(screen="deploy", target="kubernetes")
    assert not app.exception and any("kubernetes-validate" in one.value for one in app.markdown)


def test_two_scenarios_stand_side_by_side_and_in_the_url():
    app = opened(screen="compare", users="5000", b="users=20000&gpu=h200-sxm")
    assert not app.exception and not app.error
    texts = [str(table.value) for table in app.table]
    assert any("h100-sxm" in text and "h200-sxm" in text for text in texts)
    assert app.query_params["b"] in ("users=20000&gpu=h200-sxm", ["users=20000&gpu=h200-sxm"])
    question_of = '{"model":"llama-3.1-8b","users":100}'
    assert not opened(screen="compare", b=question_of).error


@pytest.mark.parametrize(
    "text", ["nonsense", "{", '{"model":"/etc/passwd","users":5}', '{"model":5}', "http://example.org/?x=1", "{" * 3000]
)
def test_what_is_no_scenario_is_refused_beside_its_field(text):
    app = opened(screen="compare", b=text)
    assert not app.exception and app.success and app.error
    assert words("en").say("error.fix") in app.error[0].value


def test_a_url_that_speaks_of_a_calibration_says_that_it_cannot_hold_it():
    app = opened(calibrated="yes", lang="fr")
    assert not app.exception and app.success
    assert any(one.value == words("fr").say("calibration.missing") for one in app.warning)
