"""The web app's screens through Streamlit's own test runner: what they answer, and that the URL holds all of it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from infrascale import api
from infrascale.app.state import SCREENS, fields, ignored, model_of, pack, question, read, values_of, written
from infrascale.errors import InfraScaleError
from infrascale.locales import languages, words
from infrascale.parsing.models import model

APP = str(Path(__file__).parents[1] / "app.py")


def opened(**parameters: str | list[str]) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


def typed(app: AppTest, field: str, text: str) -> AppTest:
    return app.text_input(key=f"w_{field}").set_value(text).run()


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


@pytest.mark.parametrize("step", ["simulation", "cost", "calibrate", "deploy", "compare"])
def test_the_other_entrance_goes_on_to_every_step_of_a_plan_on_those_gpus(step):
    app = opened(goal="have", owned="9", redundancy="1", ttft_at="95")
    users = app.metric[1].value
    app.button(key=f"onwards_{step}").click().run()
    assert not app.exception and not app.error and f"{users} users" in app.markdown[1].value
    assert int(re.match(r"\*\*(\d+) ×", app.success[0].value)[1]) <= 9
    assert app.query_params["screen"] in (step, [step]) and "goal" not in app.query_params
    app.radio(key="w_goal").set_value("have").run()
    assert app.metric[1].value == users


def test_what_ones_gpus_carry_rests_on_ones_own_load_tests_too():
    app = opened(goal="have", calibrated="yes", lang="fr")
    assert not app.exception and any(one.value == words("fr").say("calibration.missing") for one in app.warning)


def test_a_change_is_answered_without_a_button_and_stands_in_the_url():
    app = opened()
    before = app.success[0].value
    typed(app, "users", "100,000")
    assert app.success[0].value != before
    assert app.query_params["users"] in ("100000", ["100000"])
    again = opened(**{name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()})
    assert again.success[0].value == app.success[0].value


def test_what_the_demand_means_is_said_as_it_is_typed():
    """10 000 people · 20 % · 10 a day · 15 % in the peak hour / 3600 s = 0.83 requests/s."""
    app = opened(demand="agents", agents="10000")
    assert any("10,000 people → 0.83 requests/s at the peak → about" in line.value for line in app.markdown)
    typed(app, "agents", "100000")
    assert any("100,000 people → 8.3 requests/s" in line.value for line in app.markdown)


def test_growth_multiplies_the_demand():
    best = api.plan(**question(read({"users": ["48400"]}))).best
    app = opened(users="40000", growth="0.1", years="2")
    assert app.success[0].value.startswith(f"**{best.gpus:,} ×")


def test_a_preset_sets_the_lengths_and_names_its_source():
    app = opened()
    app.button(key="case_agents").click().run()
    assert [app.text_input(key=f"w_{key}").value for key in ("isl", "osl", "prefix_hit")] == ["8,596", "182", "59"]
    assert any("Mooncake" in line.value for line in app.caption) and not app.exception
    app.button(key="case_rag").click().run()
    assert app.text_input(key="w_isl").value == "4,096" and app.text_input(key="w_prefix_hit").value == "0"
    app.button(key="case_promise").click().run()
    assert app.text_input(key="w_ttft").value == "1.2" and not app.exception


def test_numbers_are_typed_as_the_language_writes_them_and_follow_a_change_of_language():
    app = typed(opened(lang="fr"), "users", "12 000,5")
    assert app.query_params["users"] in ("12000.5", ["12000.5"])
    app.selectbox(key="w_lang").set_value("de").run()
    assert app.text_input(key="w_users").value == "12.000,5" and app.success and not app.error


@pytest.mark.parametrize("text", ["abc", "", "-101", "1e400", "nan", "1,5,3", "9" * 30, "<b>7</b>", "０x1F"])
@pytest.mark.parametrize("where", [{"screen": "need"}, {"screen": "hardware"}, {"goal": "have"}, {"demand": "agents"}])
def test_bad_input_is_said_beside_its_field_and_no_older_answer_stays(text, where):
    app = opened(**where)
    held = [one for one in app.text_input if one.key not in ("w_engine_version", "w_price")]
    assert len(held) > 6
    good = [one.value for one in held]
    for one in held:
        one.set_value(text)
    app.run()
    assert not app.exception and not app.success and not app.metric
    assert len(app.error) == len(held) + 1  # one beside each, one where the answer would stand
    for one, value in zip(held, good, strict=True):
        app.text_input(key=one.key).set_value(value)
    assert app.run().success and not app.error


def test_a_price_that_is_none_is_said_beside_it():
    app = typed(opened(screen="hardware"), "price", "h100-sxm=cheap")
    assert not app.exception and len(app.error) == 2 and not app.success
    assert not typed(app, "price", "h100-sxm=2.10eur/h").error


def test_an_address_that_makes_no_sense_is_said():
    app = opened(users="-5", gpu="abacus")
    assert not app.exception and app.success
    assert any("users, gpu" in line.value for line in app.warning)
    assert ignored({"users": ["-5"], "isl": ["7"], "unknown": ["x"]}) == ["users"]


def test_an_infeasible_question_offers_a_change_that_makes_it_feasible():
    app = opened(ttft="0.01", screen="answer")
    assert not app.success and not app.exception and app.warning
    app.button(key="remedy_0").click().run()
    assert app.success and not app.warning and not app.exception


def test_a_lever_gives_what_it_promises():
    app = opened(users="20000", screen="answer")
    offers = [button for button in app.button if str(button.key).startswith("lever_")]
    gpus = int(app.metric[0].value)
    fewer = int(offers[0].label.split(": ")[1].split()[0])
    offers[0].click().run()
    assert int(app.metric[0].value) == gpus - fewer


def test_a_lever_of_a_percentile_gives_what_it_promises():
    """Its change outlives the page's second run, in which the work beside it begins."""
    app = opened(users="20000", screen="answer", ttft_at="95")
    app.session_state["job_bends"]._thread.join(120)
    app.run()
    offers = [button for button in app.button if str(button.key).startswith("lever_")]
    gpus, fewer = int(app.metric[0].value), int(offers[0].label.split(": ")[1].split()[0])
    offers[0].click().run()
    assert int(app.metric[0].value) == gpus - fewer


def test_an_error_is_said_inline_with_its_remedy():
    app = opened(isl="900000")
    assert not app.exception and not app.success
    assert app.error and words("en").say("error.fix") in app.error[0].value


def test_a_config_json_travels_in_the_url():
    config = json.loads(json.dumps(CONFIG))
    packed = pack(config, "ours")
    app = opened(config=packed)
    assert not app.exception and app.success
    name = model_of(read({"config": [packed]}))
    assert name.startswith("ours-") and model(name).layers == CONFIG["num_hidden_layers"]


@pytest.mark.parametrize("packed", ["!!!", "eJw=", "AAAA", pack([1, 2], "list"), pack({}, "empty"), "x" * 9000])  # type: ignore[arg-type]
def test_a_broken_config_in_the_url_is_no_traceback(packed):
    app = opened(config=packed)
    assert not app.exception and (app.error or app.warning)


@pytest.mark.parametrize("name", ["/etc/hosts.json", "config.json", "src", "../.."])
def test_no_name_of_a_file_is_looked_up(name):
    with pytest.raises(InfraScaleError):
        model_of(read({"model": [name]}))
        api.plan(**question(read({"model": [name]})))


@given(st.dictionaries(st.sampled_from(sorted(fields())), st.lists(st.text(max_size=30), max_size=3), max_size=8))
@settings(max_examples=200, deadline=None)
def test_any_url_is_read_as_values_that_write_back_the_same(parameters):
    values = read(parameters)
    back = {name: value if isinstance(value, list) else [value] for name, value in written(values).items()}
    assert read(back) == values and not ignored(back)


@given(number=st.floats(1e-3, 1e9), language=st.sampled_from(languages()))
@settings(max_examples=200, deadline=None)
def test_a_number_shown_is_the_number_read(number, language):
    w = words(language)
    assert w.parsed(w.typed(number)) == pytest.approx(number, rel=1e-9)


def test_keys_of_a_workload_file_become_fields():
    values = read({}) | values_of({"users": 50.0, "think_s": 30.0, "isl": 700.0, "ttft": 1.0, "ttft_percentile": 95})
    asked = question(values)
    assert (asked["users"], asked["think_s"], asked["isl"], asked["ttft_percentile"]) == (50.0, 30.0, 700.0, 95)


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


def test_the_command_of_the_other_entrance_serves_as_many():
    """What the screen says of one's own GPUs, percentile and knobs included, the command line says too."""
    import shlex

    from typer.testing import CliRunner

    from infrascale.cli import app as commands

    parameters = {"goal": "have", "owned": "9", "isl": "700", "gpu": "h200-sxm", "redundancy": "1", "ttft_at": "95",
                  "max_num_seqs": "64", "osl_cv": "0.5"}  # fmt: skip
    app = opened(**parameters)
    line = next(block.value for block in app.code if block.value.startswith("infrascale capacity"))
    done = CliRunner().invoke(commands, [*shlex.split(line)[1:], "--json"])
    assert done.exit_code == 0, done.output
    most = round(json.loads(done.output)["ways"][0]["requests_in_flight"])
    assert not app.exception and f"serve {most:,} requests" in app.success[0].value


def test_a_percentile_is_answered_first_and_bends_beside_the_page():
    """Its plan and tiles stand at once; levers and curves come from a thread, and are then those of the percentile."""
    app = opened(users="3000", ttft_at="95", screen="answer")
    assert app.success and app.metric[2].label.endswith("p95") and not app.exception
    job = app.session_state["job_bends"]
    assert not [one for one in app.button if str(one.key).startswith("lever_")]
    job._thread.join(120)
    app.run()
    assert any("p95" in column for table in app.table for column in table.value) and not app.exception
    assert any(one.value == words("en").say("axis.breaks_at", share=words("en").percent(job.result.holds))
               for one in app.markdown)  # fmt: skip


def test_a_limit_of_power_and_what_is_looked_for_stand_in_the_question():
    asked = question(read({"max_kw": ["40"], "objective": ["carbon"]}))
    assert (asked["max_kw"], asked["objective"]) == (40.0, "carbon")
    app = opened(users="9000", max_kw="2", screen="answer")
    assert app.warning and not app.success and not app.exception
    app.button(key="remedy_0").click().run()
    assert app.success and not app.exception and app.query_params["max_kw"]


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


CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 32000,
    "max_position_embeddings": 8192, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip


#: For every field a value that is not its default, as its widget or a colleague's address would write it.
OTHER = {
    "lang": "fr", "goal": "need", "demand": "agents", "case": "rag", "model": "meta-llama/Llama-3.1-8B-Instruct",
    "precision": ["fp8"], "gpu": ["h200-sxm", "h100-sxm"], "kv_cache_dtype": "fp8", "speed_at": "5", "ttft_at": "95",
    "engine": "sglang", "engine_version": "0.5.1", "calibrated": "yes", "target": "vllm", "format": "md",
    "a": "users=5", "b": "users=7", "film": "loss", "offer": "buy", "currency": "USD", "objective": "energy",
    "country": "DEU", "price": ["h100-sxm=2.10usd/h"], "max_gpus": "5000", "gpus_per_replica": "2",
    "max_num_seqs": "128", "max_num_batched_tokens": "4096", "max_model_len": "8192", "gpu_memory_utilization": "0.8",
    "gpus_per_server": "8", "redundancy": "2", "owned": "16",
}  # fmt: skip


@pytest.mark.parametrize("screen", SCREENS)
def test_every_field_comes_back_from_the_page_as_the_address_had_it(screen):
    """All fields at once, each with a value of its own; what a screen shows as a widget goes through that widget."""
    given = {name: OTHER.get(name) for name in fields() if name not in ("config", "screen")}
    for name, value in given.items():
        if value is None:
            field = fields()[name]
            given[name] = f"{field.default + 0.01 * (field.most - field.default):.3g}" if field.most <= 1 else None
        if given[name] is None:
            given[name] = {"isl": "900", "osl": "300", "tokens_per_s": "25", "ttft": "3", "users": "2000"}.get(
                name, "2"
            )
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in (given | {"screen": screen}).items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    back = {name: value if isinstance(value, list) else [value] for name, value in app.query_params.items()}
    again, wanted = read(back), read({n: v if isinstance(v, list) else [v] for n, v in given.items()})
    for name in given:
        assert again[name] == wanted[name] == pytest.approx(wanted[name]), name


BAD = ("abc", "-5", "1e999", "<script>alert(1)</script>", "1,2.3,4")


@pytest.mark.parametrize(("screen", "film"), [("simulation", "day"), ("simulation", "loss"), ("cost", "day")])
def test_bad_input_in_any_field_is_said_beside_it_and_leaves_no_answer_standing(screen, film):
    app = opened(screen=screen, film=film)
    keys = [one.key for one in app.text_input]
    assert len(keys) >= 2
    for key in keys:
        good = app.text_input(key=key).value
        for bad in BAD:
            app.text_input(key=key).set_value(bad).run()
            assert not app.exception, (key, bad)
            assert app.error, (key, bad)
            started = [one for one in app.button if one.key == f"start_{film}"]
            standing = started or app.metric if screen == "simulation" else app.success
            assert not standing, f"{key} = {bad!r} left an answer standing"
        app.text_input(key=key).set_value(good).run()
        assert not app.exception and not app.error and app.success


def test_work_that_breaks_off_is_said_and_not_offered_again_in_silence():
    from infrascale.app.jobs import Job

    def breaks(tell):
        tell(1, 2)
        raise ValueError("no such thing")

    job = Job("any", breaks)
    while job.running:
        time.sleep(0.01)
    assert job.result is None and "no such thing" in job.error.why and job.error.fix
