"""The command line shown beside an answer gives that answer: over random states of the app, both entrances."""

from __future__ import annotations

import json
import shlex

import pytest

pytest.importorskip("streamlit")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.main import get_command
from typer.testing import CliRunner

from infrascale import api
from infrascale.app.capacity import NOT_ASKED
from infrascale.app.state import as_file, fields, pack, question, read, written
from infrascale.cli import app as commands
from infrascale.errors import InfraScaleError
from infrascale.parsing.plans import capacity_command, command
from infrascale.parsing.scenarios import Question
from infrascale.parsing.scenarios import question as validated
from infrascale.screen import plan_json

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "intermediate_size": 8192, "vocab_size": 32000,
    "max_position_embeddings": 65536, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip

NUMBERS = {
    "users": (1, 30_000), "requests_per_user_hour": (1, 200), "requests_per_user": (0.01, 1), "think_s": (1, 300),
    "agents": (100, 1e6), "adoption": (0.05, 1), "requests_per_day": (1, 50), "peak_hour": (0.05, 0.3),
    "request_per_s": (0.1, 300), "growth": (-0.2, 1), "years": (0, 5), "isl": (10, 8000), "osl": (2, 1500),
    "isl_cv": (0, 1), "osl_cv": (0, 1), "arrival_cv": (0.5, 2), "prefix_hit": (0, 0.9), "tokens_per_s": (5, 60),
    "ttft": (0.05, 10), "headroom": (0, 1), "max_kw": (1, 500), "gpu_memory_utilization": (0.6, 0.95),
}  # fmt: skip
WHOLE = {
    "redundancy": (0, 3), "max_gpus": (1, 64), "gpus_per_replica": (1, 8), "gpus_per_server": (1, 8),
    "max_num_seqs": (8, 512), "max_num_batched_tokens": (512, 8192), "max_model_len": (4096, 32768),
}  # fmt: skip
CHOICES = {
    "demand": ["users", "agents", "request_per_s"], "engine": ["vllm", "sglang", "trtllm"],
    "kv_cache_dtype": ["auto", "fp8", "bf16"], "ttft_at": ["mean", "95"], "speed_at": ["mean", "5"],
    "model": ["meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-32B"], "gpu": ["h100-sxm", "l40s", "mi300x"],
    "precision": ["fp8", "int4"], "objective": ["gpus", "energy", "cost"], "offer": ["rent", "buy"],
    "config": [pack(CONFIG, "ours")],
}  # fmt: skip


def written_as(number: float) -> str:
    return f"{number:.6g}"


VALUES = (
    {name: st.floats(*ends).map(written_as) for name, ends in NUMBERS.items()}
    | {name: st.integers(*ends).map(str) for name, ends in WHOLE.items()}
    | {name: st.sampled_from(choices) for name, choices in CHOICES.items()}
)
#: Up to a dozen fields that differ from their defaults, as an address has them.
STATES = st.sets(st.sampled_from(sorted(VALUES)), max_size=12).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[name] for name in sorted(names)})
)


def answered(line: str) -> tuple[int, dict]:
    done = CliRunner().invoke(commands, [*shlex.split(line)[1:], "--json"])
    assert done.exit_code in (0, 2, 3), done.output
    if done.exit_code == 2 and done.exception and isinstance(done.exception, InfraScaleError):
        return 2, {"what": done.exception.what}
    return done.exit_code, json.loads(done.output)


def stated(state: dict[str, str], folder) -> dict:
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    values = read({name: [raw] for name, raw in state.items()})
    assert read({n: v if isinstance(v, list) else [v] for n, v in written(values).items()}) == values
    assert all(name in fields() for name in state)
    return values


LONG = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(state=STATES)
@LONG
def test_the_command_of_any_state_gives_the_plan_that_the_app_shows(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = stated(state, tmp_path)
    try:
        keys = question(values)
        asked = validated(keys)
        found = api.plan(**keys)
    except InfraScaleError:  # a contradiction, which the app refuses and shows no command of
        return
    code, told = answered(command(as_file(values, asked), found.solver))
    assert code == (0 if found.best else 3), told
    ours = json.loads(json.dumps(plan_json(found)))
    assert told["best"] == ours["best"]


def test_what_the_other_entrance_asks_its_command_takes():
    taken = {one.name for one in get_command(commands).commands["capacity"].params}
    spelled_apart = {"tpot_s", "ttft_percentile", "speed_percentile"}
    assert set(Question.model_fields) - set(NOT_ASKED) - spelled_apart <= taken


@given(state=STATES, gpus=st.integers(1, 64))
@LONG
def test_the_command_of_the_other_entrance_does_so_too(state, gpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = stated(state, tmp_path)
    try:
        keys = {key: value for key, value in question(values).items() if key not in NOT_ASKED}
        asked = validated(keys)
        found = api.capacity(gpus, api.ask(needs_demand=False, **keys))
    except InfraScaleError:
        return
    code, told = answered(capacity_command(gpus, as_file(values, asked)))
    assert code == (0 if found else 3), told
    assert [round(one["requests_in_flight"], 6) for one in told["ways"]] == [round(most, 6) for _, most in found]
