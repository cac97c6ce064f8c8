"""The API as strangers use it: the command line's answers, bounded, never a crash, never their file or network."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrascale import capacity, plan
from infrascale.parsing.plans import read_plan
from infrascale.screen import plan_json
from infrascale.server import verbs
from infrascale.server.app import create

APP = create()
CLIENT = TestClient(APP)
ASKED = {"model": "llama-3.1-8b", "gpu": ["l40s"], "users": 900, "isl": 800, "osl": 200}
CONFIG = {"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16,
          "num_key_value_heads": 4, "intermediate_size": 8192, "vocab_size": 32000,
          "max_position_embeddings": 8192}  # fmt: skip
API = schemathesis.openapi.from_asgi("/openapi.json", APP)
API.config.checks.negative_data_rejection.expected_statuses = ["4xx"]  # 413 too: what breaks the form may be too long


@API.parametrize()
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_the_answer_is_one_that_is_described(case):
    case.call_and_validate()


def number(low: float, high: float):
    return st.one_of(st.floats(low, high, exclude_min=low == 0), st.sampled_from([low or 5e-324, high]))


EXTREMES = st.fixed_dictionaries(
    {"model": st.sampled_from(["llama-3.1-8b", "openai/gpt-oss-20b", CONFIG]), "users": number(0, 1e12)},
    optional={
        "gpu": st.lists(st.sampled_from(["h100-sxm", "t4", "mi300x", "l4"]), min_size=1, max_size=2),
        "precision": st.lists(st.sampled_from(["fp8", "int4", "bf16", "nvfp4"]), max_size=2),
        "requests_per_user": number(0, 1), "tokens_per_s": number(0, 1e6), "ttft": number(0, 1e6),
        "isl": number(1, 1e8), "osl": number(1, 1e8), "prefix_hit": number(0, 1), "headroom": number(0, 10),
        "max_gpus": st.integers(1, 10**9), "redundancy": st.integers(0, 1000),
        "max_num_seqs": st.integers(1, 1 << 20), "max_num_batched_tokens": st.integers(16, 1 << 24),
        "max_model_len": st.integers(1, 1 << 30), "gpu_memory_utilization": number(0.01, 1),
    },
)  # fmt: skip


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(asked=EXTREMES)
def test_extreme_questions_are_answered_or_refused_in_finite_numbers(asked):
    answer = CLIENT.post("/plan", json=asked)
    assert answer.status_code in (200, 409), answer.text
    if answer.status_code == 200 and (best := json.loads(answer.text, parse_constant=pytest.fail)["best"]):
        assert best["gpus"] >= 1
        assert all(check["slack_fraction"] > -1e-6 for check in best["constraints"])


def test_a_plan_is_the_command_lines_and_a_plan_file(tmp_path):
    answer = CLIENT.post("/plan", json=ASKED).json()
    assert {k: answer[k] for k in ("best", "others", "rejected")} == {
        k: v for k, v in json.loads(json.dumps(plan_json(plan(**ASKED)))).items() if k in ("best", "others", "rejected")
    }
    (tmp_path / "plan.json").write_text(json.dumps(answer))
    again, _ = read_plan(str(tmp_path / "plan.json"))
    assert again == plan(**ASKED)


def test_a_model_of_ones_own_is_sent_whole_and_its_plan_file_keeps_it(tmp_path):
    answer = CLIENT.post("/plan", json={**ASKED, "model": CONFIG})
    assert answer.status_code == 200 and answer.json()["model"] == verbs.OWN
    (tmp_path / "plan.json").write_text(answer.text)
    again, _ = read_plan(str(tmp_path / "plan.json"))
    assert again.best.gpus == answer.json()["best"]["gpus"]


def test_infeasible_is_an_answer():
    answer = CLIENT.post("/plan", json={**ASKED, "ttft": 0.001})
    assert answer.status_code == 200
    assert answer.json()["feasible"] is False and answer.json()["nearest_changes"]


def test_capacity_is_the_command_lines():
    asked = {key: value for key, value in ASKED.items() if key != "users"}
    ways = CLIENT.post("/capacity", json={**asked, "gpus": 16}).json()["ways"]
    assert [way["requests_in_flight"] for way in ways] == [most for _, most in capacity(16, **asked)]


LOADED = {"model": "llama-3.1-8b", "gpu": ["l40s"], "request_per_s": 2, "isl": 800, "osl": 200, "isl_cv": 0.5}


def test_a_simulation_is_the_command_lines(tmp_path):
    pytest.importorskip("numba")
    answer = CLIENT.post("/simulate", json=LOADED | {"traffic": {"seconds": 300, "seed": 3}}).json()
    flags = ["--seconds", "300", "--seed", "3", "--json"]
    flags += [f"--{k.replace('_', '-')}={v[0] if isinstance(v, list) else v}" for k, v in LOADED.items()]
    line = [sys.executable, "-c", "from infrascale.cli import main; main()", "simulate", *flags]
    said = json.loads(subprocess.run(line, capture_output=True, text=True, check=True, cwd=tmp_path).stdout)
    assert answer.pop("feasible") and answer == said
    assert answer["ttft_s"]["p99"] >= answer["ttft_s"]["p50"] > 0


@pytest.mark.parametrize(
    ("status", "asked"),
    [
        (422, LOADED | {"traffic": {"replay": "/etc/passwd"}}),
        (422, LOADED | {"traffic": {"lengths_from": "trace.csv"}}),
        (422, LOADED | {"traffic": {"seconds": 1e9}}),
        (409, LOADED | {"request_per_s": 1e6}),
        (409, LOADED | {"traffic": {"seconds": 86_400}, "request_per_s": 50}),
        (409, LOADED | {"traffic": {"replicas": 1000}}),
        (409, LOADED | {"osl": 1e8}),
        (409, LOADED | {"traffic": {"hours": "9-17", "clients": 9}}),
        (409, LOADED | {"traffic": {"flash": ["1:2"]}}),
    ],
)
def test_a_simulation_that_takes_too_much_is_refused_before_it_starts(status, asked):
    pytest.importorskip("numba")
    begun = time.perf_counter()
    answer = CLIENT.post("/simulate", json=asked)
    assert answer.status_code == status and time.perf_counter() - begun < 5
    error = answer.json()["error"]
    assert error["what"] and error["why"] and error["fix"] and len(answer.text) < 2000


TRAFFICS = st.fixed_dictionaries(
    {"seconds": number(1, 86_400)},
    optional={
        "hours": st.sampled_from(["9-17", "0-24", "x"]), "outside": number(0, 1), "clients": st.integers(1, 10_000),
        "flash": st.lists(st.sampled_from(["100:60:3", "0:1:1000"]), max_size=2), "turns": number(1, 1000),
        "turn_think_s": number(0, 1e5), "system_tokens": st.integers(0, 1 << 20), "urgent": number(0, 1),
        "policy": st.sampled_from(["least-loaded", "prefix", "session", "random", "chance"]),
        "replicas": st.integers(1, 1000), "prefill_replicas": st.integers(1, 1000),
        "dies": st.lists(st.sampled_from(["10", "10:5"]), max_size=2), "late": st.sampled_from(["1:9", "9:100"]),
        "autoscale": st.sampled_from(["1:8:30", "2:0.1:0"]), "speculative": st.sampled_from(["3:0.7", "32:1:0.1"]),
    },
)  # fmt: skip


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(asked=EXTREMES, rate=number(0, 1000), traffic=TRAFFICS)
def test_extreme_traffic_is_simulated_in_seconds_or_refused(asked, rate, traffic):
    pytest.importorskip("numba")
    begun = time.perf_counter()
    scene = {key: value for key, value in asked.items() if key not in ("users", "requests_per_user")}
    answer = CLIENT.post("/simulate", json=scene | {"request_per_s": rate, "traffic": traffic})
    assert answer.status_code in (200, 409), answer.text
    json.loads(answer.text, parse_constant=pytest.fail)
    assert time.perf_counter() - begun < 30


def test_predicted_rows_keep_their_cells_and_say_when_they_cannot():
    rows = [
        {"model": "llama-3.1-8b", "gpu": "h100", "concurrency": 8, "isl": 512, "osl": 128, "tp": 1},
        {"model": "nobody/knows", "gpu": "h100", "concurrency": 8},
        {"model": "llama-3.1-8b", "gpu": "h100", "concurrency": "many"},
        {},
    ]
    answer = CLIENT.post("/predict", json={"rows": rows}).json()["rows"]
    assert [row["status"] for row in answer] == ["ok", "unsupported", "error", "unsupported"]
    assert all(row.items() <= found.items() for row, found in zip(rows, answer, strict=True))
    assert float(answer[0]["pred_tpot_mean_s"]) > 0


def test_the_catalog_has_what_a_plan_may_name():
    gpus, models = (CLIENT.get(f"/catalog/{kind}").json() for kind in ("gpus", "models"))
    assert "l40s" in {gpu["key"] for gpu in gpus}
    assert CLIENT.get("/catalog/gpus/H100").json()["sources"]
    named = next(model["id"] for model in models if "/" in model["id"])
    assert CLIENT.get(f"/catalog/models/{named}").json()["id"] == named


@pytest.mark.parametrize(
    ("status", "path", "sent"),
    [
        (422, "/plan", {"model": "llama-3.1-8b", "users": -1}),
        (422, "/plan", {"model": "llama-3.1-8b", "users": 9, "colour": 1}),
        (409, "/plan", {"model": "lama-3.1", "users": 9}),
        (409, "/plan", {"model": {"model_type": "llama"}, "users": 9}),
        (409, "/plan", {"model": {**CONFIG, "num_hidden_layers": 10**9}, "users": 9}),
        (409, "/plan", {"model": "llama-3.1-8b", "users": 9, "gpu": ["any"]}),
        (422, "/plan", {"model": "llama-3.1-8b", "users": 9, "gpu": ["h100"] * 9}),
        (409, "/plan", {"model": "llama-3.1-8b", "users": 9, "gpu": ["h100", "l4", "t4"], "precision": ["fp8"] * 4}),
        (422, "/capacity", {"model": "llama-3.1-8b", "gpus": 10**9}),
        (422, "/predict", {"rows": [{}] * 101}),
        (409, "/plan", {"model": "llama-3.1-8b", "users": 9, "request_per_s": 1}),
        (409, "/plan", {"model": "llama-3.1-8b"}),
        (413, "/plan", {"model": "x" * 300_000, "users": 9}),
        (404, "/plans", {}),
    ],
)
def test_what_cannot_be_answered_says_what_why_and_fix(status, path, sent):
    answer = CLIENT.post(path, json=sent)
    assert answer.status_code == status
    error = answer.json()["error"]
    assert error["what"] and error["why"] and error["fix"] and len(answer.text) < 2000


def test_a_body_without_a_length_is_bounded_too():
    def endless():
        for _ in range(10_000):
            yield b" " * 4096

    assert CLIENT.post("/plan", content=endless()).status_code == 413


def test_no_file_is_opened_and_nothing_is_fetched_on_a_strangers_word(tmp_path, monkeypatch):
    """A folder and a file that would be models, a hub name: none is looked at, watched by Python's own audit."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text(json.dumps(CONFIG))
    monkeypatch.chdir(tmp_path)
    CLIENT.post("/plan", json=ASKED)  # loads what is loaded once
    touched: list[str] = []
    watching = [True]

    def watch(event: str, arguments: tuple) -> None:
        if watching[0] and event in ("open", "socket.connect", "socket.getaddrinfo", "os.listdir", "os.scandir"):
            touched.append(f"{event} {arguments[0]}")

    sys.addaudithook(watch)
    for model in ("mine", str(tmp_path / "mine"), "mine/config.json", "someone/something", "../mine", "/etc/passwd"):
        assert CLIENT.post("/plan", json={**ASKED, "model": model}).status_code == 409
        row = {"model": model, "gpu": "h100", "concurrency": 1}
        (answer,) = CLIENT.post("/predict", json={"rows": [row]}).json()["rows"]
        assert answer["status"] == "unsupported"
        card = f"{model}.toml"  # a hardware profile, were it on the command line
        assert CLIENT.post("/plan", json={**ASKED, "gpu": [card]}).status_code == 409
        row |= {"model": "llama-3.1-8b", "gpu": card}
        (answer,) = CLIENT.post("/predict", json={"rows": [row]}).json()["rows"]
        assert answer["status"] == "unsupported"
    watching[0] = False
    assert not [line for line in touched if "mine" in line or "passwd" in line or line.startswith("socket")]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def test_a_real_server_answers(tmp_path):
    port = free_port()
    line = [sys.executable, "-c", "from infrascale.cli import main; main()", "serve", "--port", str(port)]
    server = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
                    assert json.load(answer)["status"] == "ok"
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the server did not start")
        asked = urllib.request.Request(
            f"http://127.0.0.1:{port}/plan", json.dumps(ASKED).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert json.load(answer)["best"]["gpus"] == plan(**ASKED).best.gpus
    finally:
        server.terminate()
        server.wait(10)
    assert not list(tmp_path.iterdir())


def test_a_language_models_client_finds_and_calls_the_tools(tmp_path: Path):
    from mcp import Client, StdioServerParameters

    async def talk() -> None:
        line = ["-c", "from infrascale.cli import main; main()", "serve", "--mcp"]
        async with Client(StdioServerParameters(command=sys.executable, args=line, cwd=str(tmp_path))) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            assert set(tools) == {"plan", "capacity", "simulate", "predict", "catalog"}
            assert all(tool.description for tool in tools.values())
            found = await client.call_tool("plan", {"question": ASKED})
            answer = found.structured_content or json.loads(found.content[0].text)
            assert answer["best"]["gpus"] == plan(**ASKED).best.gpus
            felt = await client.call_tool("simulate", {"question": LOADED | {"traffic": {"seconds": 300}}})
            felt = felt.structured_content or json.loads(felt.content[0].text)
            assert felt["ttft_s"]["p95"] >= felt["ttft_s"]["p50"] > 0
            refused = await client.call_tool("plan", {"question": {**ASKED, "model": "lama"}})
            assert refused.is_error and "fix:" in refused.content[0].text
            known = await client.call_tool("catalog", {"kind": "gpus", "name": "h100"})
            assert "hbm_bytes" in known.content[0].text

    asyncio.run(talk())
