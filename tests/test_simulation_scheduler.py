"""The plain mode decides as vLLM 0.32.0's own scheduler did, in recorded runs, token for token and block for block.

The runs come from benchmarks/scheduler_agreement.py --record: bursts, long prompts, shared prefixes, tight caches with
preemption, both policies.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from infrascale.serving.simulation.recorded import Question, differences

RUNS = sorted((Path(__file__).parent / "fixtures" / "scheduler").glob("*.json.gz"))


def read(path: Path) -> tuple[Question, list[dict]]:
    found = json.loads(gzip.decompress(path.read_bytes()))
    return Question(**found["question"]), found["recorded"]


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_every_step_is_vllms(path):
    asked, recorded = read(path)
    assert differences(asked, recorded) == []


def test_the_recorded_runs_exercise_what_is_hard():
    asked, recorded = zip(*map(read, RUNS), strict=True)
    steps = [line for lines in recorded for line in lines if "step" in line]
    assert sum(len(step["preempted"]) for step in steps) > 50
    assert sum(len(step["cached"]) for step in steps) > 300
    assert {question.by_priority for question in asked} == {True, False}
    assert {question.prefix_caching for question in asked} == {True, False}


def test_another_knob_would_be_noticed():
    """The comparison can fail: with one block less, or another policy, steps differ."""
    asked, recorded = read(RUNS[0])
    fields = asked.as_json()
    assert differences(Question(**fields | {"blocks": asked.blocks - 1}), recorded)
    assert differences(Question(**fields | {"max_num_batched_tokens": asked.max_num_batched_tokens - 1}), recorded)
