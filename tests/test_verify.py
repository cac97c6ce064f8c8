"""The load test of a plan: what is measured tells most, its commands are commands, and the verdict is of the plan."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from dataclasses import replace
from math import exp, log
from pathlib import Path

import pytest

from infrascale import api
from infrascale.calibration.algebra import inverse
from infrascale.calibration.own import NAMES, calibrate, scaled
from infrascale.calibration.own import expected as predicted
from infrascale.calibration.planned import asked_at, planned_load
from infrascale.cli.loadtest import _cause
from infrascale.errors import InfraScaleError
from infrascale.loadtests import LoadTest, Point, Stat
from infrascale.locales import speak
from infrascale.parsing.efficiencies import efficiency
from infrascale.verifying.design import _told, design, expected, like
from infrascale.verifying.tools import Target, files_of, tools
from infrascale.verifying.verdict import Verdict, verdict

PLAN = {"model": "llama-3.1-8b", "gpu": "h100-sxm", "users": 2000}
#: Folders of vllm, guidellm and aiperf for the test that runs them: `INFRASCALE_TOOLS=/venv/bin pytest -m slow`.
TOOLS = os.environ.get("INFRASCALE_TOOLS", "")


@pytest.fixture(scope="module")
def plan():
    return api.plan(**PLAN)


@pytest.fixture(scope="module")
def designed(plan):
    return design(plan)


def test_the_planned_load_is_measured_first_and_no_load_twice(plan, designed):
    first, *others = designed.probes
    rate = plan.best.performance.request_per_s * plan.best.replicas
    assert first.planned and first.request_per_s == pytest.approx(rate) and not any(p.planned for p in others)
    loads = {(p.isl_tokens, p.osl_tokens, p.concurrency, p.request_per_s) for p in designed.probes}
    assert len(loads) == 5 and all(p.requests >= 20 and p.seconds > 0 for p in designed.probes)
    most = plan.best.max_batch * plan.best.replicas
    assert all(p.concurrency <= most for p in others)


def test_each_point_tells_less_than_the_one_before_and_more_points_narrow_more(plan, designed):
    learnt = [probe.learnt_nats for probe in designed.probes[1:]]
    assert learnt == sorted(learnt, reverse=True) and min(learnt) > 0
    few = design(plan, points=2)
    for measure in ("tpot", "ttft"):
        assert 1 < designed.after[measure] <= few.after[measure] <= few.before[measure]
        assert designed.after[measure] <= designed.even[measure] * 1.01
    assert [p.name for p in few.probes] == ["p1", "p2"] and few.probes[1].concurrency == designed.probes[1].concurrency


def test_bayes_one_measure_at_a_time_is_bayes():
    """Σ after a measure, by the matrix lemma, is the inverse of the precision with that measure added."""
    covariance = [[0.3, 0.1], [0.1, 0.2]]
    slopes, noise = [0.7, -0.4], 0.1
    precision = inverse(covariance)
    wanted = inverse([[precision[i][j] + slopes[i] * slopes[j] / noise**2 for j in range(2)] for i in range(2)])
    found = _told(slopes, covariance, noise)
    assert all(found[i][j] == pytest.approx(wanted[i][j]) for i in range(2) for j in range(2))


def measured_at(plan, factor: float = 1.0, **values) -> LoadTest:
    """The planned load as a server would show it that takes `factor` times as long as predicted."""
    best, load = plan.best, plan.scenario.workload
    rate = best.performance.request_per_s * best.replicas
    predicted = expected(asked_at(best, load, request_per_s=rate), None)
    point = Point(**{
        "load_kind": "open", "request_per_s": rate, "completed": 500,
        "isl_tokens": load.isl_tokens, "osl_tokens": load.osl_tokens,
        "tpot": Stat(mean_s=factor * predicted["tpot"][1]), "ttft": Stat(mean_s=factor * predicted["ttft"][1]),
    } | values)  # fmt: skip
    return LoadTest(path="seen.json", format="any", points=(point,))


def test_the_verdict_is_of_the_planned_load(plan):
    good = verdict(plan, [measured_at(plan)])
    assert (good.word, good.kept, good.holds) == ("within", True, True) and good.within == 2
    slow = verdict(plan, [measured_at(plan, 5.0)])
    assert (slow.word, slow.holds) == ("slower", False) and slow.kept is False
    quick = verdict(plan, [measured_at(plan, 0.3)])
    assert (quick.word, quick.holds) == ("faster", True)
    other = verdict(plan, [measured_at(plan, isl_tokens=50.0)])
    assert (other.word, other.kept, other.holds) == ("untested", None, True)


def burst_at(plan) -> tuple[dict, dict]:
    """The planned requests in flight as a closed loop, and what is expected of it."""
    clients = int(plan.best.load * plan.best.max_batch * plan.best.replicas)
    load = plan.scenario.workload
    asked = asked_at(plan.best, like(load, load.isl_tokens, load.osl_tokens), concurrency=clients, waves=6)
    sent = {"load_kind": "closed", "concurrency": clients, "request_per_s": None, "completed": round(6 * clients)}
    return sent, expected(asked, None)


def test_a_burst_is_not_held_against_a_promised_wait(plan):
    """But against its own prediction: the promise breaks where the plan's wait, as much longer, would break it."""
    closed, predicted = burst_at(plan)
    burst_s, waits_s = predicted["ttft"][1], plan.best.performance.ttft_s.mean_s
    most_s = plan.scenario.promise.ttft_s
    assert burst_s > waits_s
    for times in (0.8, 1.2):  # of what the promise leaves
        seen_s = burst_s * times * most_s / waits_s
        assert verdict(plan, [measured_at(plan, **closed, ttft=Stat(mean_s=seen_s))]).kept is (times < 1)


def test_a_promised_percentile_is_judged_by_the_percentile(plan):
    promised = api.plan(**PLAN, ttft="p95=2s", tokens_per_s="p5=15")
    assert promised.scenario.promise.ttft_share == promised.scenario.promise.speed_share == 0.95
    most_s = promised.scenario.promise.ttft_s

    def seen(mean_s: float, p95_s: float | None, **more) -> Verdict:
        wait = Stat(mean_s=mean_s, quantiles_s={} if p95_s is None else {0.95: p95_s})
        return verdict(promised, [measured_at(promised, ttft=wait, **more)])

    mean_s = promised.best.performance.ttft_s.mean_s
    late = seen(mean_s, 1.1 * most_s)  # nobody waits long on average, one in twenty does
    assert late.kept is False and {one.measure for one in late.judged} == {"tpot", "ttft", "ttft_p95"}
    assert seen(mean_s, 0.9 * most_s).kept is True
    assert seen(mean_s, None).kept is None  # the file does not tell what was promised
    assert seen(1.1 * most_s, None).kept is False  # but a mean that late does
    closed, predicted = burst_at(promised)
    _, best_s, high_s = predicted["ttft_p95"]
    assert seen(mean_s, best_s, **closed).kept is True
    assert seen(mean_s, 1.01 * high_s, **closed).word == "slower"


def test_points_without_load_or_with_failures_are_left_out_and_none_is_an_error(plan):
    failed = measured_at(plan, failed=200)
    found = verdict(plan, [measured_at(plan), replace(failed, path="failed.json")])
    assert found.left_out == ("failed.json",)
    with pytest.raises(InfraScaleError, match="no point"):
        verdict(plan, [failed])


def test_a_calibration_narrows_what_the_verdict_allows():
    from tests.test_calibrate import measured, question

    plan = api.plan(**PLAN | {"users": 1000})
    tp = plan.best.deployment.shard.tp
    asked = [question(clients, 1000, 400, card="h100-sxm", tp=tp) for clients in (1, 4, 16, 64, 128, 192, 256)]
    cases = [measured(one, [0.0] * len(NAMES)) for one in asked]
    own, _ = calibrate(cases, efficiency())
    general, sure = (expected(planned_load(plan.scenario, plan.best), one)["tpot"] for one in (None, own))
    assert sure[2] / sure[0] < general[2] / general[0]
    assert design(plan, own).before["tpot"] < design(plan).before["tpot"]


TARGET = Target(url="https://host/it's", model="a b", tokenizer="/t", metadata={"gpu": "h100-sxm"}, shared_tokens=100,
                serve="vllm serve x --port 8000")  # fmt: skip


@pytest.mark.parametrize("name", sorted(tools()))
def test_every_tool_writes_scripts_that_bash_reads_one_run_a_point(name, designed, tmp_path):
    files = files_of(name, TARGET, designed.probes)
    assert f"{name}.sh" in files
    for file, text in files.items():
        (tmp_path / file).write_text(text)
        if file.endswith(".json"):
            assert set(json.loads(text)) == {probe.name for probe in designed.probes}
            continue
        subprocess.run(["bash", "-n", file], cwd=tmp_path, check=True)
        # A program that only says what it was given: bash's own reading of every word.
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / tools()[name].PROGRAM).write_text('#!/bin/sh\nprintf "%s\\n" "$@" --end-- >> "$SAID"\n')
        (tmp_path / "bin" / tools()[name].PROGRAM).chmod(0o755)
        said = tmp_path / f"{file}.said"
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        subprocess.run(["bash", file], cwd=tmp_path, check=True, env=os.environ | {"PATH": path, "SAID": str(said)})
        runs = said.read_text().split("--end--\n")[:-1]
        assert len(runs) == (1 if "sweep" in file else len(designed.probes))
        there = "http://127.0.0.1:8000" if "sweep" in file else "https://host/it's"  # a sweep starts its own
        assert all(there in run for run in runs) and all("a b" in run for run in runs)


def test_the_command_writes_what_it_says_and_judges_files(tmp_path, monkeypatch, capsys):
    from infrascale.cli import main

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["infrascale", *words])
        with pytest.raises(SystemExit) as done:
            main()
        speak(None)
        return done.value.code or 0, capsys.readouterr().out

    monkeypatch.chdir(tmp_path)
    code, text = run("plan", "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--users", "2000", "--json")
    (tmp_path / "plan.json").write_text(text)
    code, english = run("loadtest", "--plan", "plan.json", "-o", "lt")
    assert code == 0 and "→ the planned load" in english and max(map(len, english.splitlines())) <= 80
    assert {"design.json", "vllm.sh", "guidellm.sh", "aiperf.sh"} <= {p.name for p in (tmp_path / "lt").iterdir()}
    assert os.access(tmp_path / "lt" / "vllm.sh", os.X_OK)
    code, french = run("loadtest", "--plan", "plan.json", "-o", "lt", "--lang", "fr")
    assert "charge prévue" in french and max(map(len, french.splitlines())) <= 80
    sample = Path(__file__).parent / "samples" / "loadtests" / "vllm_serve.json"
    code, judged = run("loadtest", "--plan", "plan.json", str(sample), "--json")
    assert code == 0 and json.loads(judged)["verdict"]["word"] == "untested"
    code, _ = run("loadtest", "--plan", "plan.json", "--url", "ftp://x")
    assert code == 2
    monkeypatch.setenv("PATH", "")
    assert run("loadtest", "--plan", "plan.json", "--run", "guidellm")[0] == 2


def test_the_sweep_asks_the_server_that_it_starts(tmp_path, monkeypatch, capsys):
    """Both commands name the model and the port alike, whatever the catalog and the plan call them."""
    planned(monkeypatch, capsys, tmp_path, "--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--users", "500")
    words = ("--model", "our chat", "--tokenizer", "/models/llama", "--url", "http://10.0.0.1:8124/v1")
    loadtest(monkeypatch, capsys, *words)
    text = (tmp_path / "loadtest" / "vllm-sweep.sh").read_text().replace("\\\n", " ")
    sweep = shlex.split(text, comments=True)
    serve, bench = (shlex.split(sweep[sweep.index(flag) + 1]) for flag in ("--serve-cmd", "--bench-cmd"))
    assert serve[serve.index("--served-model-name") + 1] == bench[bench.index("--model") + 1] == "our chat"
    assert serve[serve.index("--port") + 1] == "8124" and "http://127.0.0.1:8124" in bench


def test_near_the_most_that_is_sustained_an_interval_allows_for_the_queue():
    """An engine a tenth slower in all it does is well within ours; at the same rate its tokens take a third longer."""
    busy, calm = (api.plan(model="llama-3.1-8b", gpu="h100-sxm", users=users) for users in (2000, 100))
    slower = scaled(efficiency(), [log(1.1)] * len(NAMES))
    widths = []
    for plan in (busy, calm):
        asked = asked_at(plan.best, plan.scenario.workload, request_per_s=plan.best.performance.request_per_s)
        low, best, high = expected(asked, None)["tpot"]
        assert low < exp(predicted(asked, slower)["tpot"]) < high
        widths.append(high / best)
    assert widths[0] > 1.3 > 1.2 > widths[1]


def test_a_file_of_another_deployment_is_told(tmp_path, monkeypatch, capsys):
    planned(monkeypatch, capsys, tmp_path, "--model", "llama-3.1-8b", "--gpu", "l40s", "--users", "50")
    sample = Path(__file__).parent / "samples" / "loadtests" / "vllm_serve.json"  # it says an H100
    told = loadtest(monkeypatch, capsys, str(sample))
    assert "H100-80GB" in told and "l40s" in told


def printed(monkeypatch, capsys, *words: str) -> str:
    from infrascale.cli import main

    monkeypatch.setattr("sys.argv", ["infrascale", *words])
    with pytest.raises(SystemExit):
        main()
    return capsys.readouterr().out


def planned(monkeypatch, capsys, folder: Path, *words: str) -> None:
    """A plan, kept as plan.json in this folder, which is the current one from now on."""
    monkeypatch.chdir(folder)
    (folder / "plan.json").write_text(printed(monkeypatch, capsys, "plan", *words, "--json"))


def loadtest(monkeypatch, capsys, *words: str) -> str:
    return printed(monkeypatch, capsys, "loadtest", "--plan", "plan.json", *words)


def test_what_a_tool_says_last_is_not_always_why():
    log = "Starting\n│ TokenizerError: no such folder │\n╰──────╯\nLog File: /tmp/x\n"
    assert _cause(log) == "TokenizerError: no such folder"
    assert _cause("all went well\n") == "all went well" and _cause("") == "it said nothing"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(tools()))
def test_the_real_tools_take_every_flag(name, tmp_path):
    """Each tool's own parser; without a server behind the URL it must get as far as looking for one."""
    program = shutil.which(tools()[name].PROGRAM, path=f"{TOOLS}:{os.environ['PATH']}")
    if program is None:
        pytest.skip(f"{tools()[name].PROGRAM} is in none of INFRASCALE_TOOLS={TOOLS!r}")
    target = replace(
        TARGET, url="http://127.0.0.1:9", model="m", tokenizer=os.environ.get("INFRASCALE_TOKENIZER", "/t")
    )
    probes = design(api.plan(**PLAN), points=2).probes
    for probe in probes:
        (tmp_path / f"{name}.sh").write_text(files_of(name, target, [probe])[f"{name}.sh"])
        environment = os.environ | {"PATH": f"{Path(program).parent}:{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            ["bash", f"{name}.sh"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        said = (done.stdout + done.stderr).lower()
        assert done.returncode and not any(
            word in said
            for word in ("unrecognized argument", "no such option", "unknown option", "invalid choice", "usage:")
        ), said[-800:]
