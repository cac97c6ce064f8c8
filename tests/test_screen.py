"""The screen in every language: whole within 80 columns, the answer first, no number cut, JSON the same for all."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from functools import cache

import pytest

from infrascale import api
from infrascale.certainty import Certainty, Evidence
from infrascale.locales import languages, words
from infrascale.planning import Plan
from infrascale.screen import capacity_lines, nearest_changes, plan_json, plan_lines

MISTRAL = {"model": "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "gpu": ["h100-sxm"]}
QUESTIONS = {
    "one replica": MISTRAL | {"users": 1000},
    "many": MISTRAL | {"request_per_s": 200, "redundancy": 2, "headroom": 0.3},
    "a nation": MISTRAL | {"users": 10_000_000},
    "thinkers": MISTRAL | {"users": 900, "think_s": 30.0},
    "any": {"model": "deepseek-r1", "gpu": ["any"], "users": 3000},
    "too small": {"model": "llama-3.3-70b", "gpu": ["l4"], "users": 1000},
    "too few": MISTRAL | {"users": 100_000, "max_gpus": 4},
    "too quick": MISTRAL | {"users": 10, "ttft": 0.001},
}


@cache
def planned(name: str) -> Plan:
    return api.plan(**QUESTIONS[name])


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("name", QUESTIONS)
def test_it_is_one_screen_of_80_columns(name, language):
    lines = plan_lines(planned(name), words(language))
    assert max(map(len, lines)) <= 80, max(lines, key=len)
    assert len(lines) <= 48
    assert not any("{" in line for line in lines)


@pytest.mark.parametrize("language", languages())
def test_the_answer_is_the_first_sentence(language):
    plan, w = planned("many"), words(language)
    best = plan.best
    first = " ".join(plan_lines(plan, w)[:2])
    assert first.startswith(f"{w.number(best.gpus)} × {best.deployment.gpu.name} = (")
    assert w.quantity(best.replicas, "replicas") in first and f"+ {w.number(2)} " in first


@pytest.mark.parametrize("language", languages())
def test_what_binds_is_marked_and_said(language):
    plan, w = planned("many"), words(language)
    marked = [line for line in plan_lines(plan, w) if "←" in line]
    assert len(marked) == 1
    assert marked[0].split()[0] == w.say(f"constraint.{plan.best.binding.constraint.value}")
    assert w.say(f"plan.binds_{plan.best.binding.constraint.value}") in " ".join(map(str.strip, plan_lines(plan, w)))


@pytest.mark.parametrize("language", languages())
def test_every_amount_is_whole(language):
    """Names may be cut to their column, numbers and units never."""
    plan, w = planned("too small"), words(language)
    screen = "\n".join(plan_lines(plan, w))
    for refused in plan.rejected:
        assert w.quantity(refused.needed, refused.unit) in screen
        assert w.quantity(refused.available, refused.unit) in screen


def test_memory_adds_up_to_the_gpu():
    plan = planned("one replica")
    lines = plan_lines(plan, words("en"))
    start = next(i for i, line in enumerate(lines) if line.startswith("  memory of one GPU"))
    sizes = [float(line.split(" GiB")[0].split()[-1]) for line in lines[start + 1 : start + 7]]
    assert sum(sizes) == pytest.approx(float(lines[start].split()[-2]), abs=0.3)


def test_plurals_agree_with_their_numbers():
    english, french = ("\n".join(plan_lines(planned("one replica"), words(code))) for code in ("en", "fr"))
    assert "1 replica (N)" in english and "replicas (N)" not in english
    assert "1 réplique (N)" in french and "GPUs" not in french


def test_how_sure_is_said_when_it_is_known():
    sure = Certainty(
        confidence_fraction=0.9, low_gpus=5, high_gpus=7, token_per_s=(18.0, 26.0), ttft_s=(0.08, 0.2),
        evidence=Evidence(near="model", measurements=12, error_fraction=0.05, engine="vLLM 0.11–0.19"),
    )  # fmt: skip
    screen = " ".join("\n".join(plan_lines(planned("many"), words("en"), sure=sure)).split())
    assert "5 to 7 GPUs with 90% confidence" in screen and "18 tokens/s … 26 tokens/s" in screen.replace(".0", "")
    assert "12 measurements of this model on this GPU with vLLM 0.11–0.19; median error of speed there 5%" in screen
    assert "no number would do" in "\n".join(
        plan_lines(planned("many"), words("en"), sure=replace(sure, high_gpus=None))
    )
    assert "confidence" not in "\n".join(plan_lines(planned("many"), words("en")))


def test_nearest_changes_are_numbers_that_every_language_words():
    for name, constraint in (("too small", "memory"), ("too few", "stock"), ("too quick", "wait")):
        changes = nearest_changes(planned(name))
        assert constraint in {change["constraint"] for change in changes}
        for language in languages():
            screen = " ".join(map(str.strip, plan_lines(planned(name), words(language))))
            for change in changes:
                assert words(language).quantity(change["value"], change["unit"]) in screen


def test_the_nearest_wait_is_what_the_quickest_way_takes():
    plan = planned("too quick")
    change = next(c for c in nearest_changes(plan) if c["constraint"] == "wait")
    assert change["value"] == min(r.available for r in plan.rejected) > plan.scenario.promise.ttft_s


@pytest.mark.parametrize("language", languages())
def test_capacity_leads_with_what_they_serve(language):
    asked, w = api.ask(needs_demand=False, **MISTRAL), words(language)
    found = api.capacity(8, asked)
    lines = capacity_lines(8, asked, found, w)
    assert w.number(round(found[0][1])) in lines[0] and max(map(len, lines)) <= 80
    whole = capacity_lines(8, asked, found, w, beyond=api.beyond(8, asked, found))
    assert whole[: len(lines[:2])] == lines[:2] and max(map(len, whole)) <= 80
    assert capacity_lines(8, asked, [], w) == [w.say("capacity.none")]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


ASK = ("plan", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--users", "50")


def test_lang_stands_before_or_after_the_verb():
    before, after = _run("--lang", "fr", *ASK), _run(*ASK, "--lang", "fr")
    assert before.stdout == after.stdout and "réplique (N)" in after.stdout
    assert "replica (N)" in _run(*ASK).stdout


def test_json_speaks_no_language():
    assert json.loads(_run(*ASK, "--lang", "fr", "--json").stdout) == json.loads(_run(*ASK, "--json").stdout)
    assert plan_json(planned("too small"))["nearest_changes"][0]["constraint"]


def test_an_unknown_language_is_one_screen_and_code_2():
    done = _run(*ASK, "--lang", "xx")
    assert done.returncode == 2 and "fix: one of" in done.stderr and "Traceback" not in done.stderr


def test_the_labels_of_an_error_are_in_the_readers_language():
    done = _run("plan", "--users", "3", "--lang", "fr")
    assert done.returncode == 2 and "cause\u00a0:" in done.stderr and "remède\u00a0:" in done.stderr


@pytest.mark.parametrize("kind", ["gpus", "models"])
def test_every_entry_is_shown_within_a_screens_width_with_all_its_sources(kind):
    from infrascale import catalog
    from infrascale.screen.entries import entry_lines

    for name, entry in catalog.entries(kind).items():
        lines = entry_lines(name, entry)
        assert max(map(len, lines)) <= 80 or any("/" in line for line in lines if len(line) > 80), name
        text = "".join("".join(lines).split())
        assert all("".join(source["at"].split()) in text for source in entry["sources"].values()), name


def test_full_replicas_say_that_a_mean_promises_no_tail():
    """Mistral-24B for 5,000: six cards in the mean have requests queue, more for a percentile have not."""
    asked = {"model": "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "gpu": "h100-sxm", "users": 5000, "isl": 1200}
    asked["requests_per_user"] = 0.147
    mean, tail = api.plan(**asked), api.plan(**asked, ttft="p95=2s")
    assert mean.best.load > 1 > tail.best.load and tail.best.gpus > mean.best.gpus
    shown = [" ".join("\n".join(plan_lines(one, words("fr"))).split()) for one in (mean, tail)]
    assert "Promettez un centile" in shown[0] and "Promettez un centile" not in shown[1]
