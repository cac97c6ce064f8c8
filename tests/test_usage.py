"""Demand learnt from logs: a known truth is found again, every format is read, what is broken is refused with its line,
and nobody's name leaves the process."""

from __future__ import annotations

import csv
import gzip
import json
import math
import random
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest import approx

from infrascale.errors import FileError, InfraScaleError, ScenarioError
from infrascale.locales import speak
from infrascale.usage import Reading, demand, learn, workload_toml
from infrascale.usage.distributions import distribution
from infrascale.usage.screen import usage_lines

SAMPLES = Path(__file__).parent / "samples" / "usage"
MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
HEADER = ("id", "created", "user_id", "user_email", "latency", "ttft", "status", "prompt_tokens", "completion_tokens")


def sample(name: str, **reading):
    return learn([str(SAMPLES / name)], Reading(**reading))


def written(folder: Path, text: str | bytes, name: str = "log.csv") -> str:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def plain(folder: Path, seconds: list[float], *, more: str = "") -> str:
    """A plain log with arrivals at these seconds after Monday midnight."""
    rows = [f"{(MONDAY + timedelta(seconds=s)).isoformat()},100,50{more}" for s in seconds]
    return written(
        folder, "timestamp,input_tokens,output_tokens" + (",duration_s" if more else "") + "\n" + "\n".join(rows)
    )


@pytest.fixture(scope="module")
def truth(tmp_path_factory):
    """(path, truth): 200 users, five days, sessions apart by hours, think times exponential of 90 s; rows shuffled."""
    rng, rows, thinks, sessions, busy_s = random.Random(7), [], [], 0, 0.0
    for user in range(200):
        for day in range(5):
            for hour in (8, 13, 19):
                if rng.random() < 0.4:
                    continue
                sessions += 1
                at = day * 86400 + hour * 3600 + rng.uniform(0, 7200)
                requests = 1 + int(rng.expovariate(1 / 6))
                for k in range(requests):
                    duration = rng.lognormvariate(2, 0.5)
                    rows.append((at, user, duration))
                    busy_s += duration
                    at += duration
                    if k < requests - 1:
                        thinks.append(rng.expovariate(1 / 90))
                        at += thinks[-1]
    rng.shuffle(rows)
    path = tmp_path_factory.mktemp("truth") / "usage.csv"
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for number, (at, user, duration) in enumerate(rows):
            moment = (MONDAY + timedelta(seconds=at)).isoformat()
            tokens = round(rng.lognormvariate(6, 1)) + 1, round(rng.lognormvariate(5.5, 0.6)) + 1
            out.writerow(
                [number, moment, user, f"agent{user}@secret.example", round(duration * 1000), 150, 200, *tokens]
            )
    connected_s = busy_s + sum(thinks)
    return str(path), {
        "rows": rows,
        "requests": len(rows),
        "users": len({user for _, user, _ in rows}),
        "sessions": sessions,
        "think_s": sum(thinks) / len(thinks),
        "share_in_flight": busy_s / connected_s,
        "requests_per_user_hour": len(rows) / connected_s * 3600,
    }


@pytest.fixture(scope="module")
def learnt(truth):
    return learn([truth[0]], Reading())


def test_a_known_truth_is_found_again(truth, learnt):
    true, users = truth[1], learnt.users
    assert (learnt.source.requests, users.users, users.at.sessions) == (
        true["requests"],
        true["users"],
        true["sessions"],
    )
    for key in ("think_s", "share_in_flight", "requests_per_user_hour"):
        assert getattr(users.at, key) == approx(true[key], rel=0.05), key
    assert users.gap_found and users.stand_in is None


def test_levels_are_those_of_a_sweep_over_every_event(truth, learnt):
    rows = truth[1]["rows"]
    first, last = min(at for at, _, _ in rows), max(at for at, _, _ in rows)
    seconds = [0.0] * (math.floor(last) - math.floor(first) + 1)
    for at, _, duration in rows:
        end = at + round(duration, 3)
        for second in range(math.floor(at), math.floor(end) + 1):
            inside = min(end, second + 1) - max(at, second)
            if second - math.floor(first) < len(seconds):
                seconds[second - math.floor(first)] += inside
    seconds.sort()
    flying = learnt.in_flight
    assert flying.mean == approx(sum(seconds) / len(seconds), rel=0.01)
    assert flying.p95 == approx(seconds[math.ceil(0.95 * len(seconds)) - 1], abs=0.02)
    assert flying.largest == approx(seconds[-1], abs=0.02)


def test_little_closes_on_the_busiest_hour(learnt):
    """What plan is given, users and think time, returns the measured rate and number in flight."""
    keys, peak = demand(learnt, "users"), learnt.peak
    assert keys["users"] / (peak.residence_s + keys["think_s"]) == approx(peak.request_per_s, rel=1e-6)
    assert peak.request_per_s * peak.residence_s == approx(peak.in_flight, rel=1e-6)
    assert peak.in_flight < peak.users < learnt.users.users


def test_the_busiest_hour_is_the_one_with_most_arrivals(truth, learnt):
    arrivals = sorted(at for at, _, _ in truth[1]["rows"])
    most = max(sum(quarter * 900 <= at < quarter * 900 + 3600 for at in arrivals) for quarter in range(0, 5 * 96 - 3))
    assert learnt.peak.request_per_s * 3600 == approx(most)


def test_lengths_are_the_lognormals_that_were_drawn(learnt):
    assert learnt.input_tokens.log_mean == approx(6, abs=0.05) and learnt.input_tokens.log_sd == approx(1, rel=0.05)
    assert learnt.output_tokens.log_mean == approx(5.5, abs=0.05)
    assert learnt.input_tokens.log_ks < 0.02
    assert learnt.ttft_s.mean == approx(0.15)


def test_a_longer_silence_never_makes_more_sessions(learnt):
    rows = sorted((*learnt.users.sensitivity, learnt.users.at), key=lambda at: at.gap_s)
    assert [at.sessions for at in rows] == sorted((at.sessions for at in rows), reverse=True)
    assert [at.gap_s for at in rows] == approx([rows[1].gap_s / 2, rows[1].gap_s, rows[1].gap_s * 2])


def test_without_a_valley_half_an_hour_ends_a_session(tmp_path):
    """Silences of one kind only, spread over three decades: nothing to find."""
    rng, rows, at = random.Random(1), [], 0.0
    for _ in range(3000):
        at += math.exp(rng.uniform(math.log(10), math.log(40_000)))
        rows.append(f"{1_780_000_000 + at:.3f},1,100,50,1.5")
    found = learn(
        [written(tmp_path, "timestamp,user,input_tokens,output_tokens,duration_s\n" + "\n".join(rows))], Reading()
    )
    assert found.users.at.gap_s == 1800 and not found.users.gap_found


def test_parallel_requests_are_no_think_time(tmp_path):
    rows = [f"{1_780_000_000 + 1000 * k + j},7,100,50,60" for k in range(50) for j in range(4)]
    found = learn(
        [written(tmp_path, "timestamp,user,input_tokens,output_tokens,duration_s\n" + "\n".join(rows))],
        Reading(gap_s=300),
    )
    assert found.users.parallel_fraction == approx(0.75)
    assert found.users.at.think_s is None and found.users.at.share_in_flight == approx(1)
    assert found.users.in_flight_per_user == approx(240 / 63)
    assert "request_per_s" in demand(found, "auto")


def poisson(rate, seconds: int, rng: random.Random) -> list[float]:
    """Arrivals of a Poisson process of rate(t) at most 2, by thinning."""
    found, at = [], 0.0
    while (at := at + rng.expovariate(2)) < seconds:
        if rng.random() < rate(at) / 2:
            found.append(at)
    return found


def test_a_day_that_rises_and_falls_is_no_burst(tmp_path):
    arrivals = poisson(lambda t: 1 - math.cos(2 * math.pi * t / 43200), 43200, random.Random(3))
    found = learn([plain(tmp_path, arrivals)], Reading()).burstiness
    for one in (found.cv, found.dispersion_1s, found.dispersion_10s, found.dispersion_60s):
        assert one == approx(1, abs=0.12)


def test_requests_in_fives_are_bursts(tmp_path):
    arrivals = poisson(lambda t: 0.5, 20_000, random.Random(4))
    found = learn([plain(tmp_path, [at + k / 100 for at in arrivals for k in range(5)])], Reading()).burstiness
    assert found.dispersion_10s == approx(5, rel=0.15) and found.cv > 1.5


def test_a_metronome_is_smoother_than_poisson(tmp_path):
    found = learn([plain(tmp_path, [0.5001 * k for k in range(20_000)])], Reading()).burstiness
    assert found.cv < 0.05 and found.dispersion_10s < 0.1


def test_a_clock_of_whole_seconds_has_no_gaps_to_speak_of(tmp_path):
    found = learn([plain(tmp_path, [float(k // 3) for k in range(20_000)])], Reading()).burstiness
    assert found.cv is None and found.resolution_s == 1


KINDS = {
    "opengatellm_2026.csv": ("OpenGateLLM", 4),
    "opengatellm_2025.csv": ("OpenGateLLM", 2),
    "azure_2023_conv.csv": ("Azure", 400),
    "burstgpt.csv": ("BurstGPT", 3),
    "burstgpt_sessions.csv": ("BurstGPT", 3),
    "mooncake_conversation.jsonl": ("Mooncake", 300),
    "plain_french.csv": ("plain", 3),
    "vllm_scrape.txt": ("vLLM metrics", 100),
    "opengatellm_scrape.txt": ("OpenGateLLM metrics", 100),
}


def test_every_sample_is_listed():
    assert {path.name for path in SAMPLES.iterdir()} - {"README.md"} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_every_format_is_known_by_its_content(name, tmp_path):
    kind, requests = KINDS[name]
    renamed = tmp_path / "some.log"
    renamed.write_bytes((SAMPLES / name).read_bytes())
    found = learn([str(renamed)], Reading())
    assert found.source.kinds == (kind,) and found.source.requests == requests
    for language in ("en", "fr", None):
        speak(language)
        assert all(len(line) <= 80 for line in usage_lines(found))
    tomllib.loads(workload_toml(found))


def test_opengatellm_counts_failures_embeddings_and_repeats_apart():
    found = sample("opengatellm_2026.csv")
    assert found.source.left_out == {"failed": 1, "unanswered": 1, "repeated": 1}
    assert found.users.users == 2 and found.duration_s.mean == approx((8 + 12 + 10 + 4) / 4)
    assert found.ttft_s.count == 3 and found.users.at.sessions == 3
    assert found.users.at.think_s == approx(60)  # 09:00:08 to 09:01:08
    assert sample("opengatellm_2025.csv").users.at.think_s == approx(60)


def test_a_french_spreadsheet_reads_as_meant():
    found = sample("plain_french.csv", naive_timezone="Europe/Paris", timezone="Europe/Paris")
    assert found.duration_s.mean == approx(8) and found.ttft_s.mean == approx(0.25)
    assert found.source.first == "2026-11-24 08:00+01:00" and found.users.users == 2


def test_burstgpt_sessions_stand_for_users():
    found = sample("burstgpt_sessions.csv")
    assert found.users.stand_in == "Session ID" and found.duration_s.largest == 12
    assert sample("burstgpt.csv").users is None


def test_published_means_of_mooncake_blocks():
    """Two prompts share their first two blocks of 512: 1,024 of 3,000 tokens could be found."""
    text = "".join(
        json.dumps({"timestamp": t, "input_length": 1500, "output_length": 9, "hash_ids": ids}) + "\n"
        for t, ids in ((0, [1, 2, 3]), (5000, [1, 2, 4]))
    )
    path = Path(SAMPLES).parent / "never"
    assert not path.exists()
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = learn([written(Path(folder), text, "trace.jsonl")], Reading())
    assert found.prefix.hit_fraction == approx(1024 / 3000) and not found.prefix.measured
    assert "prefix_hit" not in demand(found, "auto")  # an upper bound must not make a plan smaller


def test_parquet_says_the_same_as_csv(truth, learnt, tmp_path):
    import duckdb

    path = str(tmp_path / "usage.parquet")
    duckdb.connect().execute(f"COPY (SELECT * FROM read_csv('{truth[0]}')) TO '{path}' (FORMAT parquet)")
    found = learn([path], Reading())
    assert found.users.at.sessions == learnt.users.at.sessions
    assert found.users.at.think_s == approx(learnt.users.at.think_s)
    assert found.in_flight == learnt.in_flight and found.input_tokens == learnt.input_tokens


def test_a_gzipped_log_is_the_same_log(truth, learnt, tmp_path):
    packed = tmp_path / "log.csv.gz"
    packed.write_bytes(gzip.compress(Path(truth[0]).read_bytes()))
    found = learn([str(packed)], Reading())
    assert found.request_per_s == learnt.request_per_s and found.users == learnt.users
    for name in ("vllm_scrape.txt", "mooncake_conversation.jsonl"):
        other = tmp_path / f"{name}.gz"
        other.write_bytes(gzip.compress((SAMPLES / name).read_bytes()))
        assert learn([str(other)], Reading()).input_tokens == learn([str(SAMPLES / name)], Reading()).input_tokens


@pytest.mark.parametrize("first", [b"PK\x03\x04abc", b"\x28\xb5\x2f\xfdabc", b"BZh91AY", b"\x1f\x8b\x08broken"])
def test_what_is_packed_otherwise_or_torn_is_told_how_to_unpack(first, tmp_path):
    (tmp_path / "log").write_bytes(first)
    with pytest.raises(InfraScaleError) as caught:
        learn([str(tmp_path / "log")], Reading())
    assert "packed" in str(caught.value)


def test_cached_tokens_become_prefix_hits(tmp_path):
    rows = "\n".join(f"{1_780_000_000 + k},1000,50,250" for k in range(10))
    found = learn([written(tmp_path, "timestamp,input_tokens,output_tokens,cached_tokens\n" + rows)], Reading())
    assert demand(found, "auto")["prefix_hit"] == approx(0.25)


@pytest.mark.parametrize("scale", [1, 1000, 1_000_000, 1_000_000_000])
def test_epochs_are_told_by_their_size(scale, tmp_path):
    rows = "\n".join(f"{(1_780_000_000 + 60 * k) * scale},1000,50" for k in range(10))
    found = learn([written(tmp_path, "timestamp,input_tokens,output_tokens\n" + rows)], Reading())
    assert found.source.span_s == approx(540) and found.source.first.startswith("2026-05-28")


def test_offsets_win_over_the_assumed_zone(tmp_path):
    rows = "2026-07-01T12:00:00+02:00,9,9\n2026-07-01T10:30:00Z,9,9\n2026-07-01 13:00:00,9,9\n"
    found = learn(
        [written(tmp_path, "timestamp,input_tokens,output_tokens\n" + rows)],
        Reading(naive_timezone="Europe/Paris", timezone="Europe/Paris"),
    )
    assert found.source.span_s == 3600 and found.source.first == "2026-07-01 12:00+02:00"


def test_summer_time_moves_the_clock_and_not_the_rate(tmp_path):
    """One request a minute in UTC across the night in which Paris changes over: the same rate in every hour seen."""
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)
    rows = "\n".join(f"{(start + timedelta(minutes=k)).isoformat()},9,9" for k in range(25 * 60 + 1))
    found = learn(
        [written(tmp_path, "timestamp,input_tokens,output_tokens\n" + rows)], Reading(timezone="Europe/Paris")
    )
    assert found.profile.by_hour == approx([60] * 24, rel=0.02)


def test_a_log_out_of_order_is_the_same_log(tmp_path):
    lines = (SAMPLES / "azure_2023_conv.csv").read_text().splitlines()
    turned = learn([written(tmp_path, "\n".join([lines[0], *reversed(lines[1:])]))], Reading())
    straight = sample("azure_2023_conv.csv")
    assert turned.input_tokens == straight.input_tokens and turned.burstiness == straight.burstiness


def test_two_halves_are_the_whole(truth, learnt, tmp_path):
    lines = Path(truth[0]).read_text().splitlines()
    halves = [
        written(tmp_path, "\n".join([lines[0], *part]), f"{k}.csv")
        for k, part in enumerate((lines[1:4000], lines[4000:]))
    ]
    found = learn(halves, Reading())
    assert found.users.at == learnt.users.at and found.in_flight == learnt.in_flight


PLAIN = "timestamp,input_tokens,output_tokens\n"
GOOD = "2026-07-01 12:00:00,10,10\n"
REFUSED = {
    "empty": (b"", "empty"),
    "only a header": (PLAIN, "no rows"),
    "no column for time": ("when,input_tokens,output_tokens\n1,2,3\n", "no column for time"),
    "no column for output": ("timestamp,input_tokens\n1,2\n", "no column for output"),
    "prose": ("This is a letter.\n", "names no columns"),
    "binary": (b"\x00\x01\x02" * 99, "binary"),
    "utf-16": ("timestamp".encode("utf-16"), "UTF-16"),
    "torn row": (PLAIN + GOOD * 5 + "2026-07-01 12:00:00,10\n", "line 7"),
    "negative tokens": (PLAIN + GOOD * 5 + "2026-07-01 12:00:00,-5,10\n" * 3, "row 6"),
    "absurd tokens": (PLAIN + GOOD + "2026-07-01 12:00:00,1e12,10\n" * 3, "row 2"),
    "words for numbers": (PLAIN + GOOD + "2026-07-01 12:00:00,many,few\n" * 3, "row 2"),
    "times of no kind": (PLAIN + "yesterday,10,10\n" * 3, "time unreadable"),
    "year 3000": (PLAIN + "3000-01-01 00:00:00,10,10\n" * 3, "time unreadable"),
    "dates both ways": (PLAIN + "01/02/2026 12:00:00,10,10\n", "read both ways"),
    "twice the same name": ("timestamp,input_tokens,output_tokens,input_tokens\n1,2,3,4\n", "comes twice"),
    "milliseconds as seconds": (
        "timestamp,input,output,duration\n" + "2026-07-01 12:00:00,10,10,8000\n" * 9,
        "milliseconds",
    ),
    "nothing but failures": (PLAIN.strip() + ",status\n" + "2026-07-01 12:00:00,10,10,500\n" * 3, "no request is left"),
    "truncated parquet": (b"PAR1" + b"x" * 99, "broken Parquet"),
    "torn json lines": (
        '{"timestamp": 1, "input_length": 2, "output_length": 3}\n{"timestamp": 1, "inp',
        "cannot be read",
    ),
    "torn scrape": ("# HELP vllm:a b\nvllm:num_requests_running{engine=\n", "line 2"),
    "no lengths in a scrape": ("# HELP vllm:a b\nvllm:num_requests_running 3\n", "no lengths"),
    "json of something else": ('{"status": "error"}', "no answer of Prometheus"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_broken_is_refused_with_its_place(case, tmp_path):
    content, expected = REFUSED[case]
    with pytest.raises(FileError) as caught:
        learn([written(tmp_path, content)], Reading())
    assert expected in str(caught.value)


def test_a_few_broken_rows_are_left_out_and_told(tmp_path):
    text = PLAIN + GOOD * 500 + "2026-07-01 12:00:00,-5,10\n"
    found = learn([written(tmp_path, text)], Reading())
    assert found.source.requests == 500 and any("row 501" in str(one.values) for one in found.source.warnings)


def test_kinds_do_not_mix_and_files_come_once(tmp_path):
    with pytest.raises(FileError, match="do not add up"):
        learn([str(SAMPLES / "burstgpt.csv"), str(SAMPLES / "azure_2023_conv.csv")], Reading())
    with pytest.raises(FileError, match="do not add up"):
        learn([str(SAMPLES / "vllm_scrape.txt"), str(SAMPLES / "azure_2023_conv.csv")], Reading())
    with pytest.raises(FileError, match="twice"):
        learn([str(SAMPLES / "burstgpt.csv")] * 2, Reading())
    with pytest.raises(ScenarioError, match="time zone"):
        sample("burstgpt.csv", timezone="Mars/Olympus")
    with pytest.raises(FileError, match=r"models in it: GPT-4|models in it: ChatGPT"):
        sample("burstgpt.csv", model="absent")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=300), cut=st.integers(0, 900), name=st.sampled_from(sorted(KINDS)))
def test_noise_is_refused_or_read_but_never_a_traceback(noise, cut, name, tmp_path):
    content = (SAMPLES / name).read_bytes()[:cut] + noise
    try:
        learn([written(tmp_path, content)], Reading())
    except InfraScaleError as error:
        assert str(error)


ODD = st.sampled_from(["+Inf", "-Inf", "NaN", "1e308", "-5", "0", "9" * 30, "abc", ""])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 200), ODD, st.booleans()), min_size=1, max_size=6))
def test_a_scrape_with_odd_values_or_edges_is_refused_or_read(changes, tmp_path):
    lines = (SAMPLES / "vllm_scrape.txt").read_text().splitlines()
    for place, odd, edge in changes:
        line = lines[place % len(lines)]
        changed = re.sub(r'le="[^"]*"', f'le="{odd}"', line) if edge else f"{line.rpartition(' ')[0]} {odd}"
        lines[place % len(lines)] = changed
    try:
        found = learn([written(tmp_path, "\n".join(lines).encode())], Reading())
        assert math.isfinite(found.input_tokens.mean) and math.isfinite(found.output_tokens.mean)
    except InfraScaleError as error:
        assert error.why and error.fix


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, 2), sample=st.integers(0, 4), part=st.sampled_from(["value", "time", "pair", "le", "name"]),
    odd=st.one_of(ODD, st.none(), st.just([]), st.just({}), st.floats(), st.integers(-(10**400), 10**400)),
)  # fmt: skip
def test_a_range_query_with_odd_parts_is_refused_or_read(place, sample, part, odd, tmp_path):
    names = ("vllm:request_success_total", "vllm:request_prompt_tokens_sum", "vllm:request_prompt_tokens_bucket")
    result = [ranged(name, [10.0 * k for k in range(5)], le="100") for name in names]
    for name in ("prompt_tokens_count", "generation_tokens_count", "generation_tokens_sum"):
        result.append(ranged(f"vllm:request_{name}", [10.0 * k for k in range(5)]))
    if part in ("le", "name"):
        result[place]["metric"]["le" if part == "le" else "__name__"] = odd
    elif part == "pair":
        result[place]["values"][sample] = odd
    else:
        result[place]["values"][sample][part == "value"] = odd
    content = json.dumps({"status": "success", "data": {"result": result}}).encode()
    try:
        assert math.isfinite(learn([written(tmp_path, content)], Reading()).input_tokens.mean)
    except InfraScaleError as error:
        assert error.why and error.fix


@given(st.lists(st.integers(1, 50), min_size=1, max_size=200))
def test_quantiles_of_a_histogram_are_those_of_its_values(values):
    rows = sorted((value, values.count(value)) for value in set(values))
    found, ordered = distribution(rows), sorted(values)
    assert found.mean == approx(sum(values) / len(values))
    for share, got in ((0.1, found.p10), (0.5, found.p50), (0.9, found.p90), (0.99, found.p99)):
        assert got == ordered[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


def test_a_scrape_tells_lengths_and_hits_but_no_rate():
    found = sample("vllm_scrape.txt")
    assert found.input_tokens.mean == 1000 and found.output_tokens.mean == 250 and found.ttft_s.mean == approx(0.18)
    assert found.input_tokens.p50 == approx(875, rel=0.05)  # 30 of the 40 between 500 and 1000
    assert found.prefix.hit_fraction == 0.25 and found.request_per_s is None
    assert demand(found, "auto") == {"isl": 1000, "osl": 250, "prefix_hit": 0.25}


def test_a_gateways_counters_tell_mean_lengths_of_text_that_was_answered(tmp_path):
    found = sample("opengatellm_scrape.txt")
    assert found.input_tokens.mean == 1200 and found.output_tokens.mean == 300  # no embeddings, no failures
    assert found.ttft_s.mean == approx(0.22) and 0.1 < found.ttft_s.p50 < 0.5  # milliseconds in the file
    assert found.duration_s.mean == approx(6) and set(found.models) == {"albert-large"}
    assert "means" in {one.code for one in found.source.warnings}
    assert demand(found, "auto") == {"isl": 1200, "osl": 300}
    bare = (SAMPLES / "opengatellm_scrape.txt").read_text().replace("ogl_", "")  # as the metrics were first named
    assert learn([written(tmp_path, bare, "bare.txt")], Reading()) == found


def ranged(name: str, values: list[float], **labels: str) -> dict:
    return {
        "metric": {"__name__": name, **labels},
        "values": [[1_780_000_000 + 60 * k, str(v)] for k, v in enumerate(values)],
    }


def test_a_range_query_tells_rates_through_a_restart(tmp_path):
    """Two requests a second for an hour; the server restarts once and counts from zero."""
    counted = [1000.0 + 120 * k for k in range(31)] + [120.0 * k for k in range(1, 31)]
    result = [
        ranged("vllm:request_success_total", counted, finished_reason="stop"),
        ranged("vllm:num_requests_running", [20.0] * 61),
        ranged("vllm:num_requests_waiting", [4.0] * 61),
    ]
    for name, mean in (("vllm:request_prompt_tokens", 900), ("vllm:request_generation_tokens", 300)):
        result += [ranged(f"{name}_count", counted), ranged(f"{name}_sum", [mean * n for n in counted])]
    path = written(
        tmp_path, json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}), "r.json"
    )
    found = learn([path], Reading())
    assert found.peak.request_per_s == approx(2) and found.request_per_s == approx(2)
    assert found.in_flight.mean == 24 and found.peak.residence_s == approx(12)
    assert demand(found, "auto") == approx({"request_per_s": 2, "isl": 900, "osl": 300})


def test_two_scrapes_a_minute_apart_tell_a_rate(tmp_path):
    first = (SAMPLES / "vllm_scrape.txt").read_text()
    later = first.replace("} 90.0", "} 210.0").replace(",model_name", ",model_name")
    paths = [
        written(tmp_path, first, "1.txt"),
        written(
            tmp_path,
            later.replace(
                '_count{engine="0",model_name="demo-model"} 100.0', '_count{engine="0",model_name="demo-model"} 220.0'
            )
            .replace("100000.0", "250000.0")
            .replace("25000.0", "61000.0"),
            "2.txt",
        ),
    ]
    found = learn(paths, Reading(every_s=60))
    assert found.request_per_s == approx(2)


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_nobodys_name_is_written_anywhere(tmp_path):
    """Users, mails, keys and request ids of the sample are in no output, not even where a row is torn."""
    log = (SAMPLES / "opengatellm_2026.csv").read_text()
    written(tmp_path, log)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = run("usage", "log.csv", "-o", "workload.toml", "--plots", "pictures", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    spoken = [done, run("usage", "log.csv", "--json", folder=tmp_path)]
    written(tmp_path, log + "7,2026-03-02,jeanne.secret@agent.gouv.fr\n", "torn.csv")
    written(
        tmp_path,
        log.replace(",1200,", ",jeanne.secret,").replace(",900,", ",-900,").replace(",500,100", ",x,100"),
        "bad.csv",
    )
    spoken += [run("usage", name, folder=tmp_path) for name in ("torn.csv", "bad.csv")]
    assert [one.returncode for one in spoken] == [0, 0, 2, 2]
    outputs = [one.stdout.encode() + one.stderr.encode() for one in spoken]
    outputs += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv"]
    assert len(outputs) >= 7
    for secret in (b"jeanne", b"paul", b"secret", b"cle-", b"gouv", b"req-", b"albert-large"):
        assert not any(secret in output for output in outputs), secret


def test_no_name_reaches_the_disk_while_it_works(truth, monkeypatch):
    """Everything DuckDB keeps in its folder is searched before it is deleted."""
    from infrascale.usage import table

    seen: list[bytes] = []
    close = table.Table.close

    def searched(self):
        if hasattr(self, "_connection"):
            self.run("", "CHECKPOINT")
            seen.extend(path.read_bytes() for path in Path(self._folder).rglob("*") if path.is_file())
        close(self)
        assert not Path(self._folder).exists()

    monkeypatch.setattr(table.Table, "close", searched)
    learn([truth[0]], Reading())
    assert seen and max(map(len, seen)) > 100_000
    assert not any(b"secret.example" in one or b"agent1" in one for one in seen)


def test_plan_takes_the_workload(truth, tmp_path):
    done = run("usage", truth[0], "-o", "workload.toml", folder=tmp_path)
    assert done.returncode == 0 and max(map(len, done.stdout.splitlines())) <= 80
    given_ = tomllib.loads((tmp_path / "workload.toml").read_text())
    assert {"users", "think_s", "isl", "osl", "usage"} == set(given_)
    plan = ["--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--json"]
    planned = json.loads(run("plan", "workload.toml", *plan, folder=tmp_path).stdout)
    flags = ["--users", str(given_["users"]), "--think-s", str(given_["think_s"]), "--isl", str(given_["isl"])]
    by_hand = json.loads(run("plan", *flags, "--osl", str(given_["osl"]), *plan, folder=tmp_path).stdout)
    assert planned["best"] == by_hand["best"] and planned["best"]["gpus"] >= 1


def test_pictures_are_drawn(truth, tmp_path):
    done = run("usage", truth[0], "--plots", "pictures", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    made = {path.name: path.read_bytes() for path in (tmp_path / "pictures").iterdir()}
    assert set(made) == {"lengths.png", "levels.png", "profile.png"}
    assert all(picture.startswith(b"\x89PNG") for picture in made.values())


@pytest.mark.slow
def test_two_million_rows_within_five_percent_and_bounded_memory():
    """The benchmark on 2 million rows exits with 1 beyond 5 %."""
    script = Path(__file__).parents[1] / "benchmarks" / "usage.py"
    done = subprocess.run([sys.executable, str(script), "--rows", "2000000"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    peaks = [
        float(line.split("peak ")[1].split(" ")[0].replace(",", ""))
        for line in done.stdout.splitlines()
        if ", peak " in line
    ]
    assert len(peaks) == 2 and max(peaks) < 1500


def test_a_log_learnt_and_simulated_has_its_hours_and_weekdays_again(tmp_path):
    """A week that is busy on Tuesdays and in the afternoon, through `usage`, as [traffic] of a simulation's traffic."""
    import numpy as np

    from infrascale.parsing.traffic import asked_of, circumstances, demanding
    from infrascale.workload.arrivals import arrival_times

    seconds = []
    for day in range(28):
        for hour in range(24):
            count = (4 if day % 7 == 1 else 1) * (12 if 13 <= hour < 17 else 2)
            seconds += [day * 86400 + hour * 3600 + (i + 0.5) * 3600 / count for i in range(count)]
    path = written(tmp_path, workload_toml(learn([plain(tmp_path, seconds)], Reading())), "workload.toml")
    asked = asked_of({"usage": path})
    profile = circumstances(asked).pattern.profile
    again = arrival_times(0.5, 7 * 86400, np.random.default_rng(1), cv=0.0, profile=profile)
    hours = np.bincount((again % 86400 // 3600).astype(int), minlength=24)
    days = np.bincount((again // 86400).astype(int), minlength=7)
    assert days[1] / days[0] == approx(4, rel=0.02) and days[6] / days[0] == approx(1, rel=0.02)
    assert hours[14] / hours[3] == approx(6, rel=0.03)
    assert demanding({"agents": 100.0}, asked, None)["peak_hour"] == approx(12 / (4 * 12 + 20 * 2), rel=0.02)


@pytest.mark.parametrize("text", ["users = 5", "[usage.profile]\nby_hour = [1]\nby_weekday = [1]", "usage = 3"])
def test_a_file_that_tells_no_week_is_refused(tmp_path, text):
    from infrascale.parsing.traffic import asked_of, circumstances

    with pytest.raises(InfraScaleError, match=r"no week|no table"):
        circumstances(asked_of({"usage": written(tmp_path, text, "workload.toml")}))
