"""A real vLLM, driven and predicted from step times learnt in a few runs.

    INFRASCALE_VLLM=PATH/bin/vllm pytest -m slow tests/test_real_vllm.py

Any environment with vLLM in it will do, its CPU build too; the model is made here. Five minutes on two quiet cores; on
a machine that slows down meanwhile nothing is judged.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
SCRIPT = Path(__file__).parent.parent / "benchmarks" / "real_vllm.py"


@pytest.fixture(scope="module")
def rows():
    vllm = os.environ.get("INFRASCALE_VLLM")
    if not vllm or not Path(vllm).exists():
        pytest.skip("INFRASCALE_VLLM names no vllm")
    pytest.importorskip("numpy")
    spec = importlib.util.spec_from_file_location("real_vllm", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["real_vllm"] = module
    spec.loader.exec_module(module)
    names = ("open, 60 %", "closed, 8 clients", "closed, 24 clients", "tight cache, closed, 24")
    found = module.measure(Path(vllm).absolute(), 30, 4, tuple(case for case in module.CASES if case.name in names))
    return {row["case"]: row for row in found["rows"]}


def judged(rows, case: str) -> dict:
    row = rows[case]
    if not 0.9 < row["pace"] < 1.1:
        pytest.skip(f"the machine runs at {row['pace']:.2f} of the pace at which it was learnt")
    return row


def off(row: dict, key: str, of: str, who: str = "simulated") -> float:
    return row[who][key][of] / row["measured"][key][of] - 1


@pytest.mark.parametrize("case", ("open, 60 %", "closed, 8 clients", "closed, 24 clients", "tight cache, closed, 24"))
def test_what_users_feel_is_what_was_predicted(rows, case):
    row = judged(rows, case)
    assert abs(off(row, "tpot", "mean")) < 0.1 and abs(off(row, "tpot", "p95")) < 0.15
    assert abs(off(row, "e2e", "mean")) < 0.1 and abs(off(row, "e2e", "p95")) < 0.15
    assert abs(off(row, "ttft", "mean")) < 0.25


@pytest.mark.parametrize("case", ("closed, 8 clients", "closed, 24 clients"))
def test_the_batch_is_what_was_predicted(rows, case):
    row = judged(rows, case)
    assert row["running"]["simulated"] == pytest.approx(row["running"]["measured"], rel=0.12)


def test_a_tight_cache_preempts_as_often_as_predicted(rows):
    row = judged(rows, "tight cache, closed, 24")
    assert row["preemptions"]["measured"] > 10
    assert row["preemptions"]["simulated"] == pytest.approx(row["preemptions"]["measured"], rel=0.25)
