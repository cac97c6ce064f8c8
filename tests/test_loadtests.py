"""Load-test files: each format knows its own sample and no other, loses nothing, and refuses what it cannot trust."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infrascale.errors import InfraScaleError
from infrascale.loadtests import LoadTest, read, read_all
from infrascale.loadtests.document import decoded, opened
from infrascale.loadtests.formats import formats
from infrascale.loadtests.requests import Request, point, tpot_s
from infrascale.locales import words

SAMPLES = Path(__file__).parent / "samples" / "loadtests"
FILES = sorted(p for p in SAMPLES.iterdir() if p.suffix != ".md")
GOOD = [p for p in FILES if "all_errored" not in p.name]
BYTES = [p.read_bytes() for p in GOOD]
STEMS = {one.__name__.rsplit(".", 1)[1] for one in formats()}


def owner(path: Path) -> str:
    """The format a sample is named after."""
    return max((stem for stem in STEMS if path.name.startswith(stem)), key=len)


def codes(found: LoadTest) -> set[str]:
    return {note.code for note in found.notes}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_a_sample_is_known_by_its_own_format_alone(path):
    known = [one.__name__.rsplit(".", 1)[1] for one in formats() if one.recognises(opened(str(path)))]
    assert known == [owner(path)]


def test_every_format_has_a_sample():
    assert {owner(path) for path in FILES} == STEMS


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.name)
def test_what_is_read_goes_together(path):
    found = read(str(path))
    assert found.points
    for one in found.points:
        assert one.completed > 0 and (one.ttft.known or one.e2e.known)
        assert one.concurrency or one.request_per_s or owner(path) in ("llmperf_requests", "measurements")
        for stat in (one.ttft, one.tpot, one.e2e):
            ordered = [stat.quantiles_s[q] for q in sorted(stat.quantiles_s)]
            assert ordered == sorted(ordered)
        contradicts = {"contradicts", "bursts"} & codes(found) or owner(path) == "measurements"
        if one.osl_tokens and one.tpot.mean_s and one.e2e.mean_s and not contradicts:
            whole = one.ttft.mean_s + (one.osl_tokens - 1) * one.tpot.mean_s
            # llm-d 0.1's own example calls seconds "ms" throughout, which leaves the parts in proportion
            assert whole == pytest.approx(one.e2e.mean_s, rel=0.05)
    for note in found.notes:
        for language in ("en", "fr"):
            assert "{" not in words(language).say(f"note.{note.code}", **note.values)


def test_one_run_in_two_files_says_the_same():
    """GuideLLM's CSV and JSON; vLLM's details and llmperf's summary of the same requests; stages and requests."""
    for a, b in (("guidellm.json", "guidellm_csv.csv"), ("vllm_serve_detailed.json", "llmperf.json")):
        for one, other in zip(read(str(SAMPLES / a)).points, read(str(SAMPLES / b)).points, strict=True):
            assert one.concurrency == other.concurrency and one.completed == other.completed
            for name in ("ttft", "tpot", "e2e"):
                assert getattr(one, name).mean_s == pytest.approx(getattr(other, name).mean_s, rel=1e-3)


def test_a_summary_agrees_with_its_own_requests():
    summary, detail = (read(str(SAMPLES / f)).points[0] for f in ("aiperf.json", "aiperf_requests.jsonl"))
    assert detail.tpot.mean_s == pytest.approx(summary.tpot.mean_s, rel=1e-6)
    assert detail.ttft.mean_s == pytest.approx(summary.ttft.mean_s, rel=1e-9)
    assert detail.in_flight == pytest.approx(summary.in_flight, rel=0.02)


def test_vllms_own_means_come_out_of_its_requests():
    path = SAMPLES / "vllm_serve_detailed.json"
    raw, found = json.loads(path.read_text()), read(str(path)).points[0]
    assert 1000 * found.ttft.mean_s == pytest.approx(raw["mean_ttft_ms"])
    assert 1000 * found.tpot.mean_s == pytest.approx(raw["mean_tpot_ms"])
    assert 1000 * found.itl.mean_s == pytest.approx(raw["mean_itl_ms"])
    assert found.output_token_per_s == pytest.approx(raw["output_throughput"], rel=0.01)


def test_tpot_is_one_quantity_whatever_a_tool_calls_so():
    """GuideLLM's time_per_output_token is e2e / n; aiperf and inference-perf count by the client's tokenizer."""
    raw = json.loads((SAMPLES / "guidellm.json").read_text())["benchmarks"][0]["metrics"]
    found = read(str(SAMPLES / "guidellm.json")).points[0]
    assert 1000 * found.tpot.mean_s == pytest.approx(raw["inter_token_latency_ms"]["successful"]["mean"])
    assert 1000 * found.tpot.mean_s < 0.9 * raw["time_per_output_token_ms"]["successful"]["mean"]
    for name in ("aiperf.json", "inference_perf_stage_0.json"):
        test = read(str(SAMPLES / name))
        one = test.points[0]
        assert {"tpot_converted", "token_counts"} <= codes(test)
        assert one.tpot.mean_s == pytest.approx((one.e2e.mean_s - one.ttft.mean_s) / (one.osl_tokens - 1))


def test_a_client_at_its_limit_is_a_closed_loop():
    found = read(str(SAMPLES / "vllm_serve.json"))
    assert "client_cap" in codes(found)
    assert found.points[0].load_kind == "closed" and found.points[0].concurrency == 4


def test_texts_are_not_kept():
    for path in GOOD:
        said = repr(read(str(path)))
        assert "mot mot" not in said and 'prompt":' not in said


def test_a_test_whose_requests_all_failed_is_refused():
    with pytest.raises(InfraScaleError, match="all of its 24 requests failed"):
        read(str(SAMPLES / "guidellm_all_errored.json"))


def changed(tmp_path: Path, **values: object) -> str:
    raw = json.loads((SAMPLES / "vllm_serve.json").read_text()) | values
    place = tmp_path / "changed.json"
    place.write_text(json.dumps(raw))
    return str(place)


@pytest.mark.parametrize(
    "values",
    [
        {"completed": 0, "failed": 16},
        {"mean_ttft_ms": -1.0},
        {"mean_ttft_ms": float("inf")},
        {"mean_ttft_ms": "quick"},
        {"mean_ttft_ms": True},
        {"total_output_tokens": None},
        {"completed": 1e300},
        {"request_rate": {}},
    ],
)
def test_impossible_values_are_refused(tmp_path, values):
    with pytest.raises(InfraScaleError):
        read(changed(tmp_path, **values))


def test_failures_short_runs_and_idle_clients_are_noted(tmp_path):
    assert "many_failed" in codes(read(changed(tmp_path, failed=8)))
    assert "some_failed" in codes(read(changed(tmp_path, failed=1)))
    assert "short" in codes(read(changed(tmp_path, request_rate="inf", max_concurrency=16)))
    assert "idle_clients" in codes(read(changed(tmp_path, request_rate="inf", request_throughput=2.0)))
    assert "speculative" in codes(read(changed(tmp_path, spec_decode_acceptance_length=2.1)))


@pytest.mark.parametrize(
    "content",
    [b"", b"\n \n", b"\0\1\2\3", b"\xff\xfe\xfa", b"{", b"[]", b"{}", b"null", b"1", b"a,b\n1,2\n", b"[" * 200_000,
     b'{"benchmarks": [], "metadata": {"guidellm_version": "1"}}', b"\x1f\x8b\x08broken"],
)  # fmt: skip
def test_what_is_no_load_test_is_refused_with_what_why_and_fix(tmp_path, content):
    place = tmp_path / "file.json"
    place.write_bytes(content)
    with pytest.raises(InfraScaleError) as caught:
        read(str(place))
    assert caught.value.why and caught.value.fix and len(str(caught.value).splitlines()) <= 4


def test_an_absent_file_a_folder_and_a_packed_one(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(InfraScaleError):
            read(str(path))
    packed = tmp_path / "result.json.gz"
    packed.write_bytes(gzip.compress((SAMPLES / "vllm_serve.json").read_bytes()))
    assert read(str(packed)).points == read(str(SAMPLES / "vllm_serve.json")).points


def test_a_name_says_nothing_the_content_all(tmp_path):
    place = tmp_path / "guidellm.csv"
    place.write_bytes((SAMPLES / "vllm_serve.json").read_bytes())
    assert read(str(place)).format == "vllm bench serve"


def test_the_same_test_twice_is_refused(tmp_path):
    twin = tmp_path / "twin.json"
    twin.write_bytes((SAMPLES / "aiperf.json").read_bytes())
    with pytest.raises(InfraScaleError, match="repeats"):
        read_all([str(SAMPLES / "aiperf.json"), str(twin)])


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.name)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_a_truncated_file_is_refused_or_read_without_a_traceback(tmp_path, path, share):
    content = path.read_bytes()
    place = tmp_path / path.name
    place.write_bytes(content[: int(share * len(content))])
    try:
        assert read(str(place)).points
    except InfraScaleError as error:
        assert error.why


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_bytes_anywhere_are_read_or_refused_never_a_traceback(tmp_path, data):
    """CSV and YAML as well as JSON: bytes overwritten, cut out or doubled in a real file."""
    content = data.draw(st.sampled_from(BYTES))
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 400)))
    put = data.draw(st.one_of(st.binary(max_size=12), st.just(content[start:end] * 2), st.just(b"")))
    file = tmp_path / "fuzz.txt"
    file.write_bytes(content[:start] + put + content[end:])
    try:
        assert read(str(file)).points
    except InfraScaleError as error:
        assert error.why and error.fix


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(InfraScaleError, match="no load test"):
        read(str(huge))
    with pytest.raises(InfraScaleError, match="no load test"):
        decoded("bomb.json.gz", gzip.compress(b" " * 2**21), most_bytes=2**20)


def test_two_formats_in_one_file_are_refused(tmp_path):
    mixed = json.loads((SAMPLES / "vllm_serve.json").read_text()) | json.loads((SAMPLES / "guidellm.json").read_text())
    (tmp_path / "mixed.json").write_text(json.dumps(mixed))
    with pytest.raises(InfraScaleError) as caught:
        read(str(tmp_path / "mixed.json"))
    assert "looks like" in str(caught.value)
    both = (SAMPLES / "guidellm_csv.csv").read_bytes() + (SAMPLES / "vllm_serve.json").read_bytes()
    (tmp_path / "both.csv").write_bytes(both)
    try:
        assert read(str(tmp_path / "both.csv")).points == read(str(SAMPLES / "guidellm_csv.csv")).points
    except InfraScaleError as error:
        assert error.why


def leaves(value, at=()):
    if isinstance(value, dict):
        return [leaf for key, one in value.items() for leaf in leaves(one, (*at, key))] + [(*at,)]
    if isinstance(value, list):
        return [leaf for index, one in enumerate(value[:5]) for leaf in leaves(one, (*at, index))] + [(*at,)]
    return [at]


PARSED = [(p, opened(str(p)).data) for p in GOOD if opened(str(p)).data is not None]
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}), st.just([[]])
)


def test_a_first_token_later_than_the_whole_answer_is_refused(tmp_path):
    document = next(
        copy.deepcopy(whole)
        for _, whole in PARSED
        if isinstance(whole, dict) and "successes" in whole and whole["successes"]
    )
    document["successes"]["latency"]["time_to_first_token"]["mean"] = 1e6
    (tmp_path / "mixed.json").write_text(json.dumps(document))
    with pytest.raises(InfraScaleError, match="units are mixed"):
        read(str(tmp_path / "mixed.json"))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused_never_a_traceback(tmp_path, data):
    _, whole = data.draw(st.sampled_from(PARSED))
    broken = copy.deepcopy(whole)
    *way, last = data.draw(st.sampled_from([leaf for leaf in leaves(whole) if leaf]))
    place = broken
    for key in way:
        place = place[key]
    place[last] = data.draw(JUNK)
    file = tmp_path / "fuzz.json"
    file.write_text(json.dumps(broken, default=str))
    try:
        found = read(str(file))
    except InfraScaleError as error:
        assert error.why and error.fix
        return
    for one in found.points:
        for stat in (one.ttft, one.tpot, one.e2e):
            assert stat.mean_s is None or 0 <= stat.mean_s < 1e20


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0.001, 5), st.floats(0.001, 60), st.integers(2, 4000)), min_size=1)
)
def test_requests_keep_their_own_tpot_and_obey_littles_law(rows):
    requests = [
        Request(start_s=start, ttft_s=ttft, e2e_s=ttft + rest, isl_tokens=10, osl_tokens=osl)
        for start, ttft, rest, osl in rows
    ]
    found = point(requests, load_kind="closed")
    own = [tpot_s(r) for r in requests]
    assert found.tpot.mean_s == pytest.approx(sum(own) / len(own))
    assert min(own) <= found.tpot.quantiles_s[0.5] <= max(own) + 1e-12
    assert found.in_flight == pytest.approx(found.completed / found.duration_s * found.e2e.mean_s)
    assert found.in_flight <= len(requests) + 1e-6


def test_every_note_has_a_sentence():
    import re

    source = "".join(p.read_text() for p in (Path(read.__code__.co_filename).parent).rglob("*.py"))
    used = set(re.findall(r'code="(\w+)"', source)) | {"many_failed", "some_failed"}
    assert used == {key.split(".")[1] for key in words("en").texts if key.startswith("note.")}
