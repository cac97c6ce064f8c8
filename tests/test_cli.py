"""The command line as a person uses it: real processes in an empty folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PLAN = ["plan", "--model", "mistralai/Mistral-Small-3.1-24B-Instruct-2503", "--gpu", "h100-sxm", "--users", "1000",
        "--tokens-per-s", "20", "--ttft", "2", "--isl", "1000", "--osl", "400"]  # fmt: skip


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_a_plan_is_one_screen(tmp_path):
    done = run(*PLAN, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) <= 50 and max(map(len, lines)) <= 80
    for word in (
        "replica (N)",
        "GPUs (S)",
        "2^B",
        "Q =",
        "memory",
        "throughput",
        "capacity",
        "wait",
        "← binds",
    ):
        assert word in done.stdout


def test_json_says_the_same(tmp_path):
    found = json.loads(run(*PLAN, "--json", folder=tmp_path).stdout)
    best = found["best"]
    assert best["gpus"] == best["replicas"] * best["gpus_per_replica"] > 0


def test_a_scenario_file_asks_the_same(tmp_path):
    text = 'model = "mistralai/Mistral-Small-3.1-24B-Instruct-2503"\ngpu = "h100-sxm"\nusers = 1000\n'
    (tmp_path / "scenario.toml").write_text(text + "tokens_per_s = 20\nttft = 2\nisl = 1000\nosl = 400\n")
    assert run("plan", "scenario.toml", folder=tmp_path).stdout == run(*PLAN, folder=tmp_path).stdout


def test_infeasible_is_an_answer_with_code_3(tmp_path):
    done = run(*PLAN, "--ttft", "0.001", "--json", folder=tmp_path)
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert not found["feasible"] and found["nearest_changes"]


@pytest.mark.parametrize(
    "words",
    [
        ["plan", "--model", "mistral-smal", "--users", "3"],
        ["plan", "--users", "3"],
        ["plan", "broken.toml"],
        ["plan", "missing.toml"],
        ["catalog", "show", "h1000"],
        ["predict", "empty.csv", "--out", "out.csv"],
        ["plan", "--model", "folder", "--users", "3"],
    ],
)
def test_bad_input_is_a_screen_and_code_2(words, tmp_path):
    (tmp_path / "broken.toml").write_text("model = \n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "folder").mkdir()
    done = run(*words, folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr and "fix:" in done.stderr
    assert not (tmp_path / "out.csv").exists()


def test_a_toml_error_names_its_line(tmp_path):
    (tmp_path / "broken.toml").write_text('model = "llama-3.1-8b"\nusers = \n')
    assert "line 2" in run("plan", "broken.toml", folder=tmp_path).stderr


def test_a_config_of_ones_own_is_planned(tmp_path):
    config = {"model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 16, "num_attention_heads": 16,
              "num_key_value_heads": 4, "intermediate_size": 8192, "vocab_size": 32000,
              "max_position_embeddings": 8192}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = run("plan", "--model", "config.json", "--users", "100", folder=tmp_path)
    assert done.returncode == 0, done.stderr


def test_capacity_and_catalog_answer(tmp_path):
    done = run("capacity", "--gpus", "24", "--model", "llama-3.3-70b", "--gpu", "h100-sxm", folder=tmp_path)
    assert done.returncode == 0 and "connected users" in done.stdout
    assert "h100-sxm" in run("catalog", "gpus", folder=tmp_path).stdout
    assert "breaks first" in done.stdout and max(map(len, done.stdout.splitlines())) <= 80
    assert "sources" in json.loads(run("catalog", "show", "h100-sxm", "--json", folder=tmp_path).stdout)


def test_the_levers_of_a_plan_are_flags_that_save_what_they_say(tmp_path):
    asked = ["plan", "--model", "llama-3.3-70b", "--gpu", "h100-sxm", "--users", "3000"]
    found = json.loads(run(*asked, "--levers", "--json", folder=tmp_path).stdout)
    assert found["levers"] and all(one["saves_gpus"] > 0 for one in found["levers"])
    listed = [
        line.strip()
        for line in run(*asked, "--levers", folder=tmp_path).stdout.splitlines()
        if " --" in line and "fewer" in line
    ]
    assert len(listed) == len(found["levers"])
    flag = listed[0][listed[0].index(" --") :].split()
    again = json.loads(run(*asked, *flag, "--json", folder=tmp_path).stdout)["best"]["gpus"]
    assert again == found["best"]["gpus"] - found["levers"][0]["saves_gpus"]
