"""Load-test files that are not what they seem: other tools' results, other units, other encodings, nothing to use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infrascale.calibration.cases import cases_of, differing
from infrascale.cli import main
from infrascale.errors import InfraScaleError
from infrascale.loadtests import LoadTest, read

SAMPLES = Path(__file__).parent / "samples"
LOADTESTS = SAMPLES / "loadtests"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def summary(clients: int = 8, tpot_ms: float = 8.0, ttft_ms: float = 45.0, **changes: object) -> dict:
    """What `vllm bench serve --save-result` writes of a closed loop on a card that the model knows."""
    requests, osl = 10 * clients, 200
    e2e_ms = ttft_ms + (osl - 1) * tpot_ms
    found: dict[str, object] = {
        "backend": "openai",
        "model_id": MODEL,
        "request_rate": "inf",
        "max_concurrency": clients,
        "num_prompts": requests,
        "completed": requests,
        "failed": 0,
        "total_input_tokens": 1000 * requests,
        "total_output_tokens": osl * requests,
        "duration": 10 * e2e_ms / 1000,
        "request_throughput": clients / e2e_ms * 1000,
        "output_throughput": clients * osl / e2e_ms * 1000,
    }
    for name, ms in (("ttft", ttft_ms), ("tpot", tpot_ms), ("e2el", e2e_ms)):
        found |= {f"mean_{name}_ms": ms, f"median_{name}_ms": ms, f"p99_{name}_ms": 1.2 * ms}
    return found | changes


def written(folder: Path, content: object, name: str = "result.json") -> str:
    place = folder / name
    place.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return str(place)


def said(monkeypatch, capsys, *words: str) -> str:
    """What the command prints."""
    monkeypatch.setattr("sys.argv", ["infrascale", *words])
    with pytest.raises(SystemExit) as done:
        main()
    assert done.value.code in (0, None)
    return capsys.readouterr().out


def codes(found: LoadTest) -> set[str]:
    return {note.code for note in found.notes}


def test_one_run_in_four_tools_words_is_one_point():
    """SGLang's and TensorRT-LLM's files were written, by their tools' definitions, of the run vLLM's details tell."""
    detail = read(str(LOADTESTS / "vllm_serve_detailed.json")).points[0]
    for name in ("sglang.jsonl", "trtllm_bench.json", "llmperf.json"):
        other = read(str(LOADTESTS / name)).points[0]
        assert other.concurrency == detail.concurrency and other.osl_tokens == detail.osl_tokens
        for measure in ("ttft", "tpot", "e2e"):
            assert getattr(other, measure).mean_s == pytest.approx(getattr(detail, measure).mean_s, rel=1e-3)
        assert other.output_token_per_s == pytest.approx(detail.output_token_per_s, rel=0.01)


def test_guidellms_older_report_says_what_its_newer_one_does(tmp_path):
    new = read(str(LOADTESTS / "guidellm.json"))
    assert read(str(LOADTESTS / "guidellm_0.3.json")).points == new.points
    raw = json.loads((LOADTESTS / "guidellm.json").read_text())
    middle = {"metadata": {"version": 1, "guidellm_version": "0.5.2"}, "args": {"model": "demo-model"}}
    found = read(written(tmp_path, middle | {"benchmarks": raw["benchmarks"]}))
    assert found.points == new.points and found.facts["model"] == "demo-model"


def test_each_tools_engine_is_the_one_it_drove(tmp_path):
    assert read(str(LOADTESTS / "sglang.jsonl")).facts["engine"] == "sglang"
    assert read(str(LOADTESTS / "trtllm_bench.json")).facts["engine"] == "trtllm"
    assert read(written(tmp_path, summary(backend="tgi"))).facts["engine"] == "tgi"
    assert "engine" not in read(written(tmp_path, summary())).facts


def test_an_engine_driven_without_a_server_teaches_no_first_token(tmp_path):
    raw = json.loads((LOADTESTS / "trtllm_bench.json").read_text())
    raw["engine"]["model"] = MODEL
    for level, key, value in (
        ("streaming_metrics", "avg_tpot_ms", 8.0),
        ("request_info", "avg_num_concurrent_requests", 4),
    ):
        raw[level][key] = value
    cases, _ = cases_of([read(written(tmp_path, raw))], {"gpu": "h100-sxm"})
    assert set(cases[0].measured) == {"tpot"}
    assert cases[0].asked.deployment.engine.name == "trtllm" and cases[0].asked.deployment.engine.max_num_seqs == 32


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            {"elapsed_time": 1, "num_requests": 2, "total_num_tokens": 3, "tokens_per_second": 3},
            "vllm bench throughput",
        ),
        ({"avg_latency": 1, "latencies": [1], "percentiles": {"10": 1}}, "vllm bench latency"),
        ([{"case": "decode", "requests": [], "median_us": 12.0}], "infrascale profile --forward"),
        ({"metrics": {"http_req_duration": {"avg": 1}}}, "k6"),
        (b"Type,Name,Request Count,Failure Count,Median Response Time\nGET,/,1,0,3\n", "Locust"),
        (b"====\nMLPerf Results Summary\n====\nSUT name : x\n", "MLPerf"),
        (b"============ Serving Benchmark Result ============\nSuccessful requests: 3\n", "--save-result"),
        (b"# HELP vllm:x y\n# TYPE vllm:x gauge\nvllm:x 1\n", "infrascale usage"),
        ({"status": "success", "data": {"resultType": "matrix", "result": []}}, "infrascale usage"),
        (b'{"mean_ttft_ms": 12.0, "comp', "cut off"),
    ],
)
def test_what_is_no_load_test_is_told_what_it_is(tmp_path, content, told):
    with pytest.raises(InfraScaleError) as caught:
        read(written(tmp_path, content))
    assert told in f"{caught.value.why} {caught.value.fix}"


@pytest.mark.parametrize(
    "name", ["opengatellm_2025.csv", "opengatellm_2026.csv", "azure_2023_conv.csv", "vllm_scrape.txt"]
)
def test_logs_of_demand_are_sent_to_usage(name):
    with pytest.raises(InfraScaleError) as caught:
        read(str(SAMPLES / "usage" / name))
    assert "infrascale usage" in caught.value.fix


@pytest.mark.parametrize("factor", [0.001, 1000.0])
def test_times_in_other_units_are_refused(tmp_path, factor):
    """Eight clients cannot have thousands of requests in flight, nor next to none."""
    raw = summary()
    mixed = raw | {key: value * factor for key, value in raw.items() if key.endswith("_ms")}
    with pytest.raises(InfraScaleError, match="units are mixed"):
        read(written(tmp_path, mixed))


def test_milliseconds_in_columns_of_seconds_are_left_out(tmp_path):
    row = f"model,gpu,isl,osl,concurrency,ttft_mean_s,tpot_mean_s\n{MODEL},h100-sxm,1000,200,8,45,8\n"
    _, left_out = cases_of([read(written(tmp_path, row.encode(), "rows.csv"))], {})
    assert [why for _, why in left_out] == ["units"]
    named = row.replace("_mean_s", "_mean_ms")
    cases, left_out = cases_of([read(written(tmp_path, named.encode(), "ms.csv"))], {})
    assert not left_out and cases[0].measured == {"tpot": pytest.approx(0.008), "ttft": pytest.approx(0.045)}


def test_answers_in_one_piece_teach_no_first_token(tmp_path):
    found = read(written(tmp_path, summary(mean_tpot_ms=0.0, mean_ttft_ms=1600.0, mean_e2el_ms=1600.0)))
    assert "not_streamed" in codes(found)
    assert not found.points[0].ttft.known and not found.points[0].tpot.known and found.points[0].e2e.mean_s == 1.6


def test_parts_that_do_not_make_the_whole_are_told_whatever_the_tool(tmp_path):
    assert "contradicts" in codes(read(written(tmp_path, summary(mean_tpot_ms=24.0))))
    assert "contradicts" not in codes(read(written(tmp_path, summary())))


def test_first_tokens_after_their_answers_ends_are_refused(tmp_path):
    raw = json.loads((LOADTESTS / "vllm_serve_detailed.json").read_text())
    with pytest.raises(InfraScaleError, match="after the ends"):
        read(written(tmp_path, raw | {"latencies": [one / 10 for one in raw["latencies"]]}))


def test_a_rate_that_ramps_up_is_no_load(tmp_path):
    found = read(written(tmp_path, summary(ramp_up_strategy="linear", ramp_up_start_rps=1, ramp_up_end_rps=10)))
    assert "ramp" in codes(found)
    assert cases_of([found], {"gpu": "h100-sxm"})[1] == [(found.path, "no_load")]


def test_encodings_separators_and_lists_that_people_save(tmp_path):
    once = read(written(tmp_path, summary())).points
    both = [summary(), summary(16)]
    for content in (json.dumps(summary()).encode("utf-16"), json.dumps([summary()]).encode()):
        assert read(written(tmp_path, content)).points == once
    pretty = "\n".join(json.dumps(one, indent=2) for one in both).encode()
    assert [one.concurrency for one in read(written(tmp_path, pretty)).points] == [8, 16]
    french = f"model;gpu;isl;osl;concurrency;ttft_mean_s;tpot_mean_s\n{MODEL};h100-sxm;1000;200;8;0,045;0,008\n"
    assert read(written(tmp_path, french.encode(), "rows.csv")).points[0].tpot.mean_s == 0.008


def test_runs_of_one_file_keep_their_own_deployment(tmp_path):
    lines = [summary(gpu="h100-sxm", tp="1"), summary(16, gpu="h100-sxm", tp="2"), summary(32, gpu="a100-sxm-80gb")]
    found = read(written(tmp_path, "\n".join(map(json.dumps, lines)).encode()))
    assert [dict(one.facts) for one in found.points] == [{}, {"tp": "2"}, {"gpu": "a100-sxm-80gb", "tp": ""}]
    with pytest.raises(InfraScaleError, match="ran on different things"):
        cases_of([found], {})


def test_replicas_share_the_clients_and_pools_are_left_out(tmp_path):
    told = {"gpu": "h100-sxm", "tp": "2", "replicas": "3"}
    cases, _ = cases_of([read(written(tmp_path, summary(12, **told)))], {})
    assert cases[0].asked.replicas == 3 and cases[0].asked.deployment.shard.tp == 2
    found = read(written(tmp_path, summary()))
    assert cases_of([found], {"gpu": "h100-sxm", "pools": "prefill, decode"})[1] == [(found.path, "pools")]


def test_a_degree_that_no_engine_starts_is_refused(tmp_path):
    with pytest.raises(InfraScaleError, match="tp=3 cannot split"):
        cases_of([read(written(tmp_path, summary()))], {"gpu": "h100-sxm", "tp": "3"})


def test_what_a_file_says_otherwise_is_told(tmp_path):
    found = [read(written(tmp_path, summary(gpu="h100-sxm")))]
    assert differing(found, {"model": "mistral-7b-v0.3", "gpu": "h100-sxm"}) == [("model", MODEL, "mistral-7b-v0.3")]
    assert not differing(found, {"model": MODEL, "gpu": "h100-sxm"})
    assert not differing([read(written(tmp_path, summary(model_id="our-chat")))], {"model": MODEL})  # an alias


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_screen_and_its_json_say_the_same(tmp_path, monkeypatch, capsys, language):
    monkeypatch.chdir(tmp_path)
    files = [written(tmp_path, summary(c, t), f"c{c}.json") for c, t in ((1, 6.9), (8, 8.0), (32, 11.0))]
    files.append(written(tmp_path, summary(64, 15.0, failed=300), "failed.json"))
    words = ["--lang", language, "calibrate", *files, "--gpu", "h100-sxm", "--model", "mistral-7b-v0.3"]
    screen = said(monkeypatch, capsys, *words)
    assert all(len(line) <= 80 for line in screen.splitlines()) and "{" not in screen
    assert "failed.json" in screen and MODEL in screen  # what was left out, and what a file says otherwise
    found = json.loads(said(monkeypatch, capsys, *words, "--json"))
    assert found["points"] == 3 and found["left_out"] == [{"file": files[-1], "why": "failed"}]
    assert set(found["error_fraction"]["tpot"]) == {"before", "after", "left_out"}
    assert Path("calibration.toml").exists()
