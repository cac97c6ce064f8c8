"""Bad input to the planner: one screen with what, why and fix, exit code 2, never a traceback."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrascale import cli, plan
from infrascale.errors import InfraScaleError
from infrascale.parsing.scenarios import Question

GOOD = {"model": "llama-3.1-8b", "gpu": ["h100-sxm"], "users": 1000}
WORDS = {"model", "gpu", "precision", "kv_cache_dtype", "engine", "engine_version",
         "objective", "price", "offer", "currency", "rate", "country"}  # fmt: skip
NUMBERS = sorted(set(Question.model_fields) - WORDS)
ABSURD = [-1, float("nan"), float("inf"), -float("inf"), 1e30]


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("key", NUMBERS)
def test_an_absurd_number_is_refused(key, value):
    with pytest.raises(InfraScaleError) as error:
        plan(**{**GOOD, key: value})
    assert error.value.why and error.value.fix


@settings(max_examples=150, deadline=None)
@given(
    key=st.sampled_from(sorted(Question.model_fields)),
    value=st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=20), st.lists(st.text(), max_size=2)),
)
def test_whatever_is_given_is_a_plan_or_an_error_of_ours(key, value):
    if key == "model" and isinstance(value, str):
        value = value.replace("/", "").replace(".", "")  # a name, not a file or a place on the network
    try:
        found = plan(**{**GOOD, key: value})
    except InfraScaleError as error:
        assert error.what and error.fix
    else:
        assert found.best or found.rejected


@pytest.mark.parametrize(
    "words",
    [["--users", "nan"], ["--users", "-1"], ["--users", "1e30"], ["--isl", "1e7"], ["--osl", "0"], ["--ttft", "inf"],
     ["--gpu", "h1000"], ["--model", "lama-3.1-8b"], ["--precision", "fp7"], ["--think-s", "3", "--request-per-s", "2"],
     ["--max-model-len", "999999999"], ["--tpot", "0.1", "--tokens-per-s", "10"], ["--engine", "vlm"],
     ["--solver", "magic"], ["--agents", "10"], ["--gpu-memory-utilization", "1.5"]],
)  # fmt: skip
def test_the_command_line_says_what_why_and_how_to_mend(words, monkeypatch, capsys):
    asked = ["infrascale", "plan", "--model", "llama-3.1-8b", "--users", "9", *words, "--json"]
    monkeypatch.setattr(sys, "argv", asked)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr()
    assert stopped.value.code == 2 and said.err and len(said.err.splitlines()) < 24
    assert all(json.loads(said.out)["error"][key] for key in ("what", "why", "fix"))


def test_an_error_in_toml_names_its_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "scenario.toml").write_text('model = "llama-3.1-8b"\nusers = = 3\n')
    monkeypatch.setattr(sys, "argv", ["infrascale", "plan", str(tmp_path / "scenario.toml")])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2 and "line 2" in capsys.readouterr().err


def test_gpus_that_no_cut_fills_are_refused_with_those_that_do():
    with pytest.raises(InfraScaleError) as error:
        plan(**GOOD, gpus_per_replica=[7])
    assert "[1, 2, 4, 8, 16]" in error.value.fix


def test_an_unknown_name_has_near_matches():
    for wrong, near in (({"gpu": ["h100-sxn"]}, "h100-sxm"), ({"model": "lama-3.1-8b"}, "Llama-3.1-8B")):
        with pytest.raises(InfraScaleError) as error:
            plan(**{**GOOD, **wrong})
        assert near in error.value.fix
