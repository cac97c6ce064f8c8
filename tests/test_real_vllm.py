"""A real vLLM, driven and predicted from step times learnt in a few runs.

    INFRASCALE_VLLM=PATH/bin/vllm pytest -m slow tests/test_real_vllm.py

Any environment with vLLM in it will do, its CPU build too; the model is made here. Five minutes on two cores. All times
are in the pace of a reference batch that runs every few seconds, so a machine that slows down meanwhile is judged too.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "real_vllm.py"
CASES = ("open, 60 %", "closed, 8 clients", "closed, 24 clients", "tight cache, closed, 24")


@pytest.fixture(scope="module")
def script():
    pytest.importorskip("numpy")
    spec = importlib.util.spec_from_file_location("real_vllm", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_vllm"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(script):
    vllm = os.environ.get("INFRASCALE_VLLM")
    if not vllm or not Path(vllm).exists():
        pytest.skip("INFRASCALE_VLLM names no vllm")
    found = script.measure(Path(vllm).absolute(), 30, 4, tuple(case for case in script.CASES if case.name in CASES))
    script.printed(found)
    return {row["case"]: row for row in found["rows"]}


def off(row: dict, key: str, of: str, who: str = "simulated") -> float:
    return row[who][key][of] / row["measured"][key][of] - 1


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_what_users_feel_is_what_was_predicted(rows, case):
    row = rows[case]
    assert abs(off(row, "tpot", "mean")) < 0.1 and abs(off(row, "tpot", "p95")) < 0.15
    assert abs(off(row, "e2e", "mean")) < 0.1 and abs(off(row, "e2e", "p95")) < 0.15
    assert abs(off(row, "ttft", "mean")) < 0.25


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_gaps_between_tokens_are_what_was_predicted(rows, case):
    assert abs(off(rows[case], "itl", "p50")) < 0.1 and abs(off(rows[case], "itl", "p95")) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("case", ("closed, 8 clients", "closed, 24 clients"))
def test_the_batch_is_what_was_predicted(rows, case):
    running = rows[case]["running"]
    assert running["simulated"] == pytest.approx(running["measured"], rel=0.12)


@pytest.mark.slow
def test_a_tight_cache_preempts_as_often_as_predicted(rows):
    preemptions = rows["tight cache, closed, 24"]["preemptions"]
    assert preemptions["measured"] > 10
    assert preemptions["simulated"] == pytest.approx(preemptions["measured"], rel=0.25)


@pytest.mark.parametrize("ahead", (False, True))
def test_every_token_of_a_replayed_request_has_its_time(script, ahead):
    """Gaps between tokens add up to the answer, one fewer than its tokens, preempted or not; and a machine half as fast
    is the same film: at its pace, nothing is left of that."""
    learnt = script.Learnt(4e-3, 2e-5, 3e-4, 1e-7, 2e-3)
    sent = [script.Sent(50 + 7 * i % 90, 1 + 31 * i % 120, 0.01 * i) for i in range(60)]
    case = script.Case("", 40)
    settings = script.settings_of(case, ahead)
    felt, preempted, running = script.replayed(sent, learnt, settings)
    assert preempted > 10 and max(running) > 4
    kept = sent[len(sent) // 8 : len(sent) - len(sent) // 8]
    assert len(felt["itl"]) == sum(one.osl - 1 for one in kept)
    assert sum(felt["itl"]) == pytest.approx(sum(felt["e2e"]) - sum(felt["ttft"]))
    slow = script.Learnt(*(2 * getattr(learnt, name) for name in script.Learnt.__slots__))
    late = [script.Sent(one.isl, one.osl, 2 * one.at_s) for one in sent]
    assert script.replayed([one.at_pace(2.0) for one in late], learnt, settings)[0] == felt
    doubled = script.replayed(late, slow, settings)[0]
    assert sum(doubled["itl"]) == pytest.approx(2 * sum(felt["itl"]), rel=1e-6)
