"""Traffic: what is drawn has the moments that were asked for, and what is read is what the file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pytest import approx

from infrascale.errors import InfraScaleError
from infrascale.parsing.traces import read_trace
from infrascale.workload import Population
from infrascale.workload.arrivals import arrival_times
from infrascale.workload.lengths import Lengths, as_seen
from infrascale.workload.profile import Flash, office_hours, profile_of, rounded_day, steady
from infrascale.workload.traffic import Conversations, conversations, single_turns

SAMPLES = Path(__file__).parent / "samples/traces"
WEEK = 7 * 86400.0


def drawn(**knobs):
    return arrival_times(rng=np.random.default_rng(1), **{"request_per_s": 2.0, "seconds": 50_000.0, **knobs})


@pytest.mark.parametrize("cv", [0.5, 1.0, 2.0])
def test_gaps_have_the_mean_and_irregularity_asked_for(cv):
    gaps = np.diff(drawn(cv=cv))
    assert gaps.mean() == approx(0.5, rel=0.03)
    assert gaps.std() / gaps.mean() == approx(cv, rel=0.03)


def test_counts_of_poisson_arrivals_vary_as_poisson_counts_do():
    counts = np.histogram(drawn(), bins=5000)[0]
    assert counts.var() / counts.mean() == approx(1.0, abs=0.06)


def test_without_irregularity_arrivals_are_evenly_spaced():
    assert np.diff(drawn(cv=0.0)) == approx(0.5)


def test_a_week_of_office_hours_is_empty_outside_and_exact_in_total():
    week = arrival_times(0.5, WEEK, np.random.default_rng(2), cv=0.0, profile=office_hours(9, 17))
    hours = (week % 86400) // 3600
    assert len(week) == approx(0.5 * WEEK, abs=1)
    assert hours.min() == 9 and hours.max() == 16
    assert (week // 86400).max() == 4  # Friday
    assert np.all(np.diff(week) > 0)


@pytest.mark.parametrize("share", [1 / 24, 0.1, 0.15, 0.5])
def test_a_rounded_day_has_the_share_asked_in_its_peak_hour_and_falls_on_both_sides(share):
    day = rounded_day(share)
    assert day.peak_hour_fraction == approx(share, rel=1e-6)
    hours = day.weights[:24]
    assert hours.index(max(hours)) == 14 or share == 1 / 24
    assert list(hours[2:15]) == sorted(hours[2:15]) and hours[15] == approx(hours[13])
    with pytest.raises(InfraScaleError, match="peak hour"):
        rounded_day(0.95)


def test_a_profile_seen_is_the_profile_drawn():
    profile = office_hours(8, 18, outside_fraction=0.1)
    seen = profile_of(arrival_times(3.0, WEEK, np.random.default_rng(3), profile=profile))
    assert seen.peak_factor == approx(profile.peak_factor, rel=0.1)
    assert office_hours(9, 17).peak_hour_fraction == approx(1 / 8)
    assert office_hours(9, 17).peak_factor == approx(168 / 40)
    assert steady().peak_factor == approx(1)


def test_a_flash_crowd_multiplies_its_own_minutes_only():
    found = drawn(seconds=3000.0, cv=0.0, flashes=(Flash(at_s=1000, seconds=100, times=5),))
    inside = ((found >= 1000) & (found < 1100)).sum()
    assert inside == approx(2 * 100 * 5, abs=1)
    assert len(found) == approx(2 * 2900 + 1000, abs=1)


@settings(deadline=None, max_examples=40)
@example(rate=1.0, seconds=1.0, cv=2.2e-311, start=0.0)
@given(rate=st.floats(0, 20), seconds=st.floats(0, 500), cv=st.floats(0, 4), start=st.floats(0, 1e6))
def test_arrivals_are_in_order_inside_their_time_and_the_same_for_a_seed(rate, seconds, cv, start):
    profile = office_hours(9, 17, outside_fraction=0.2)
    first, again = (
        arrival_times(rate, seconds, np.random.default_rng(5), cv=cv, profile=profile, from_s=start) for _ in "ab"
    )
    assert np.array_equal(first, again)
    assert np.all(np.diff(first) >= 0) and np.all((first >= 0) & (first <= seconds))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.0])
def test_absurd_rates_are_refused(bad):
    with pytest.raises(InfraScaleError, match="cannot be"):
        drawn(request_per_s=bad)


@pytest.mark.parametrize("cv", [0.0, 0.4, 1.5])
def test_lengths_have_the_moments_asked_for(cv):
    tokens = Lengths(mean_tokens=300.4, cv=cv).draw(200_000, np.random.default_rng(4))
    assert tokens.mean() == approx(300.4, rel=0.02)
    assert tokens.std() / tokens.mean() == approx(cv, rel=0.05, abs=0.005)
    assert tokens.min() >= 1


def test_seen_lengths_are_drawn_as_often_as_they_were_seen():
    tokens = as_seen([10, 10, 40]).draw(30_000, np.random.default_rng(4))
    assert (tokens == 10).mean() == approx(2 / 3, abs=0.01)
    assert as_seen([10, 10, 40]).mean_tokens == approx(20)


def test_turns_of_a_conversation_grow_by_what_was_said():
    habits = Conversations(
        turns=4, question=Lengths(mean_tokens=50, cv=1), answer=Lengths(mean_tokens=200, cv=1), think_s=30,
        system_tokens=100,
    )  # fmt: skip
    found = conversations(np.arange(2000.0) * 5, habits, np.random.default_rng(6))
    assert len(found) / 2000 == approx(4, rel=0.1)
    assert np.all(np.diff(found.arrival_s) >= 0)
    assert found.think_s[found.follows >= 0].mean() == approx(30, rel=0.1)
    later = found.follows[found.follows >= 0]
    earlier = np.flatnonzero(found.follows >= 0)
    assert np.array_equal(found.stream[later], found.stream[earlier])
    question = found.isl_tokens[later] - found.isl_tokens[earlier] - found.osl_tokens[earlier]
    assert question.min() >= 1 and question.mean() == approx(50, rel=0.1)
    firsts = np.setdiff1d(np.arange(len(found)), later)
    assert len(firsts) == 2000  # each conversation starts once
    assert found.isl_tokens[firsts].mean() == approx(150, rel=0.1)


def test_moments_of_traffic_feed_the_analytic_queue():
    rng = np.random.default_rng(7)
    found = single_turns(drawn(), Lengths(mean_tokens=400, cv=0.5), Lengths(mean_tokens=100), rng)
    assert found.workload.isl_cv == approx(0.5, rel=0.03)
    assert found.workload.osl_cv == 0
    assert found.gap_scv == approx(1, rel=0.05)


def test_population_grows_year_by_year_and_never_beyond_all():
    """2.5 million · 20 % · 10 a day · 15 % in the peak hour: 208 requests/s; in two years of 22 % half as many more."""
    now = Population(agents=2.5e6, adoption_fraction=0.2, requests_per_user_day=10, peak_hour_fraction=0.15)
    assert now.request_per_s == approx(208.3, rel=1e-3)
    assert now.in_year(2, 0.2247).request_per_s == approx(1.5 * now.request_per_s, rel=1e-3)
    assert now.in_year(10, 0.0, adoption_growth_fraction=0.5).adoption_fraction == 1.0


def test_azure_rows_are_read_as_written():
    found = read_trace(str(SAMPLES / "azure_2023_conv.csv"))
    assert len(found) == 24
    assert (found.isl_tokens[0], found.osl_tokens[0]) == (374, 44)
    assert found.arrival_s[1] == approx(50.9951690 - 46.6805900, abs=1e-5)


def test_mooncake_milliseconds_become_seconds():
    found = read_trace(str(SAMPLES / "mooncake_conversation.jsonl"))
    assert (len(found), found.isl_tokens[0], found.osl_tokens[0]) == (12, 6758, 500)


FILES = {
    "azure 2024": ("TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,2162,5\n"
                   "2024-05-10 00:00:01.017335+00:00,2399,6\n"),
    "burstgpt": ("Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                 "5,a,1.2,ChatGPT,2162,5,490,Conversation log\n6,a,2.5,GPT-4,2399,6,1317,API log\n"),
    "burstgpt without sessions": ("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                                  "5,ChatGPT,2162,5,490,Conversation log\n6,GPT-4,2399,6,1317,API log\n"),
    "plain, out of order": "timestamp,input_tokens,output_tokens\n11,2399,6\n10,2162,5\n",
    "failures": "timestamp,input_tokens,output_tokens\n9.5,100,0\n10,2162,5\n11,2399,6\n",
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_form_of_trace_gives_the_same_requests(name, tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(FILES[name])
    found = read_trace(str(path))
    assert found.isl_tokens.tolist() == [2162, 2399] and found.osl_tokens.tolist() == [5, 6]
    assert found.arrival_s == approx([0.0, 1.0], abs=0.02)
    assert found.stream.tolist() == ([0, 0] if name == "burstgpt" else [0, 1])


BROKEN = {
    "line 3": "timestamp,input_tokens,output_tokens\n1,2,3\n2,x,3\n",
    "line 2": '{"timestamp": 0, "input_length": 1, "output_length": 2}\n{"timestamp": 0, "input_length": 1}\n',
    "line 4": "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00,1,1\n2024-05-10 00:00:01,1,1\nsoon,1,1\n",
    "no trace": "a,b\n1,2\n",
    "no requests": "timestamp,input_tokens,output_tokens\n",
    "negative": "timestamp,input_tokens,output_tokens\n1,-2,3\n",
    "fields": "timestamp,input_tokens,output_tokens\n1,2\n",
    "no number": "timestamp,input_tokens,output_tokens\n1,nan,3\n",
}


@pytest.mark.parametrize("says", BROKEN)
def test_a_broken_trace_is_refused_with_its_line(says, tmp_path):
    path = tmp_path / "trace.txt"
    path.write_text(BROKEN[says])
    with pytest.raises(InfraScaleError) as error:
        read_trace(str(path))
    assert says in str(error.value)
