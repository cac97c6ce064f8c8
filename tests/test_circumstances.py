"""What [traffic] and its flags mean: every shape is the one that was asked for, and contradictions are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pytest import approx

from infrascale.errors import InfraScaleError
from infrascale.parsing.scenarios import read_toml, traffic_table
from infrascale.parsing.traces import read_trace
from infrascale.parsing.traffic import asked_of, circumstances, demanding
from infrascale.simulating.circumstances import Speculation
from infrascale.workload import Workload
from infrascale.workload.pattern import Pattern, draw, replayed
from infrascale.workload.traffic import Traffic


def told(**keys):
    return circumstances(asked_of(keys))


def drawn(pattern: Pattern, seconds: float = 3600.0, rate: float = 2.0, **lengths) -> Traffic:
    load = Workload(**{"isl_tokens": 500.0, "osl_tokens": 100.0} | lengths)
    return draw(
        pattern, request_per_s=rate, seconds=seconds, workload=load, arrival_cv=1.0, answer_s=2.0, most_tokens=8192,
        rng=np.random.default_rng(1),
    )  # fmt: skip


def test_the_busiest_hour_has_the_rate_that_was_planned_for():
    day = drawn(told(hours="9-17", outside=0.25).pattern, seconds=86_400.0)
    by_hour = np.bincount((day.arrival_s // 3600).astype(int), minlength=24) / 3600
    assert by_hour[9:17].mean() == approx(2.0, rel=0.03)
    assert by_hour[:9].mean() == approx(0.5, rel=0.05)


def test_a_week_of_weights_may_be_given_by_the_hour_of_a_day():
    profile = told(weights=[1.0] * 12 + [3.0] * 12, start="tue 12:00").pattern
    assert profile.from_s == (24 + 12) * 3600
    assert drawn(profile).arrival_s.size == approx(2.0 * 3600, rel=0.05)


def test_a_crowd_comes_on_top():
    found = drawn(told(flash=["1000:500:3"]).pattern)
    inside = ((found.arrival_s >= 1000) & (found.arrival_s < 1500)).sum()
    assert inside / 500 == approx(6.0, rel=0.08)


def test_conversations_keep_the_mean_prompt_and_share_their_head():
    found = drawn(told(turns=4, system_tokens=200).pattern, seconds=200_000.0, isl_tokens=2000.0)
    settled = found.only(found.arrival_s > 2000)
    assert settled.isl_tokens.mean() == approx(2000, rel=0.05)
    assert len(settled) / len(np.unique(settled.stream)) == approx(4, rel=0.05)
    assert (found.head_tokens == 200).all()
    with pytest.raises(InfraScaleError, match="too short"):
        drawn(told(turns=20).pattern)


def test_clients_come_again_and_again():
    found = drawn(told(clients=7).pattern, seconds=600.0)
    starts = np.setdiff1d(np.arange(len(found)), found.follows)
    assert len(starts) == 7
    assert len(found) / 7 >= 600 / 2.0  # answers may take no less than 2 s: nobody runs out of requests


def test_a_trace_is_replayed_faster_and_its_lengths_stay_pairs(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("timestamp,input_tokens,output_tokens\n0,10,1\n10,2000,300\n20,9000,900\n")
    seen = read_trace(str(path))
    assert replayed(seen, 10, 1.5).arrival_s.tolist() == [0.0, 1.0]
    pattern = told(lengths_from=str(path)).pattern
    pairs = set(
        zip(*(column.tolist() for column in (drawn(pattern).isl_tokens, drawn(pattern).osl_tokens)), strict=True)
    )
    assert pairs == {(10, 1), (2000, 300)}  # 9,900 tokens do not fit a context of 8,192


def test_a_trace_asks_for_its_own_demand(tmp_path):
    path = tmp_path / "t.csv"
    rows = [f"{i * 2},100,10" for i in range(600)] + [f"{1200 + i / 4},300,30" for i in range(2400)]
    path.write_text("timestamp,input_tokens,output_tokens\n" + "\n".join(rows))
    keys = demanding({"model": "m"}, asked_of({"speedup": 2}), read_trace(str(path)))
    assert keys["request_per_s"] == approx(2 * 4, rel=0.01) and keys["isl"] == approx(260)
    assert demanding({"users": 5, "isl": 1}, asked_of({}), read_trace(str(path))) == {"users": 5, "isl": 1}


def test_turns_of_a_mooncake_trace_continue_each_other(tmp_path):
    path = tmp_path / "m.jsonl"
    ids = ([0, 1, 2], [0, 5, 6], [0, 1, 2, 3], [9])
    rows = ({"timestamp": 1000 * i, "input_length": 1200, "output_length": 5, "hash_ids": n} for i, n in enumerate(ids))
    path.write_text("\n".join(map(json.dumps, rows)))
    found = read_trace(str(path))
    assert found.stream[0] == found.stream[2] and len(set(found.stream.tolist())) == 3
    assert found.head_tokens.tolist() == [512, 512, 512, 0]


def test_leaving_requests_out_keeps_the_others_chains():
    chain = drawn(told(clients=1).pattern, seconds=20.0)
    kept = chain.only(np.arange(len(chain)) != 2)
    assert kept.follows.tolist()[:4] == [1, -1, 3, 4]


def test_a_file_keeps_traffic_in_a_table_of_its_own(tmp_path):
    path = tmp_path / "scenario.toml"
    path.write_text('model = "llama-3.1-8b"\nusers = 10\n[traffic]\nturns = 3\ndies = ["900:300"]\n')
    assert read_toml(str(path)) == {"model": "llama-3.1-8b", "users": 10}
    found = circumstances(asked_of(traffic_table(str(path))))
    assert found.pattern.turns == 3 and found.deaths[0].back_after_s == 300 and not found.is_calm


def test_guesses_yield_what_leviathan_says():
    assert Speculation(draft_tokens=4, acceptance_fraction=0.7).tokens_per_step == approx((1 - 0.7**5) / 0.3)
    assert Speculation(draft_tokens=4, acceptance_fraction=1.0).tokens_per_step == 5


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"hours": "17-9"}, "no office hours"),
        ({"hours": "nine"}, "form"),
        ({"start": "someday"}, "no hour"),
        ({"flash": ["1:2"]}, "form"),
        ({"weights": [1, 2, 3]}, "no profile"),
        ({"weights": [0] * 24}, "no weekly profile"),
        ({"clients": 3, "hours": "9-17"}, "keep one"),
        ({"turns": 3, "clients": 5}, "leave turns out"),
        ({"prefill_replicas": 1, "dies": ["5"]}, "pools"),
        ({"autoscale": "0:5"}, "target"),
        ({"speculative": "3:1.5"}, "accepted"),
        ({"dies": ["-4"]}, "form"),
        ({"urgent": 2}, "less than or equal"),
        ({"nonsense": 1}, "known keys"),
        ({"late": "nan:3"}, "form"),
    ],
)  # fmt: skip
def test_absurd_traffic_is_refused_with_a_mend(keys, why):
    with pytest.raises(InfraScaleError, match=why) as caught:
        told(**keys)
    assert caught.value.fix


def test_a_population_over_the_years_is_planned_year_by_year():
    from infrascale import api
    from infrascale.parsing.scenarios import question
    from infrascale.studies.yearly import yearly

    keys = {"model": "llama-3.1-8b", "gpu": ["h100-sxm"], "agents": 2.5e6, "adoption": 0.2, "requests_per_day": 10}
    found = yearly(question(keys), 3, 0.3, 1.0)
    assert found[0].request_per_s == approx(2.5e6 * 0.2 * 10 * 0.15 / 3600)
    assert [one.adoption_fraction for one in found] == approx([0.2, 0.4, 0.8, 1.0])  # all of them, and no more
    assert found[1].request_per_s / found[0].request_per_s == approx(2.6)
    assert [one.gpus for one in found] == sorted(one.gpus for one in found)
    assert found[2].gpus == api.plan(**keys | {"adoption": 0.8, "requests_per_day": 16.9}).best.gpus
    with pytest.raises(InfraScaleError, match="population"):
        yearly(question({"model": "llama-3.1-8b", "users": 5}), 3, 0, 0)


def test_a_day_of_a_population_is_its_working_day():
    keys = demanding({"agents": 2.5e6}, asked_of({"hours": "8-18"}), None)
    assert keys["peak_hour"] == approx(1 / 10)
    with pytest.raises(InfraScaleError, match="too many"):
        drawn(told(hours="8-18").pattern, seconds=86_400.0, rate=900.0)
    day = drawn(told(hours="8-18").pattern, seconds=86_400.0, rate=69.4)
    assert len(day) == approx(69.4 * 36_000, rel=0.01)


@pytest.mark.parametrize(("drafts", "held"), [(1, 0.6), (3, 0.7), (5, 0.0), (4, 1.0)])
def test_steps_of_an_answer_with_guesses_follow_the_law_of_geometric_acceptance(drafts, held):
    """Leviathan et al. 2023: a step yields 1 + min(G, k) tokens, G geometric. The whole distribution of the steps that
    thirty tokens take, by convolution, beside 40,000 drawn answers."""
    from infrascale.serving.simulation.speculation import answer_steps

    osl, drawn = 30, 40_000
    yields = [held**j * (1 - held) for j in range(drafts)] + [held**drafts]
    left, chances = np.zeros(osl), []
    left[osl - 1] = 1.0  # after the first token, which comes with the prompt
    while left[1:].sum() > 1e-12:
        after = np.zeros(osl)
        for tokens, chance in enumerate(yields, 1):
            for missing in range(1, osl):
                after[max(0, missing - tokens)] += chance * left[missing]
        chances.append(after[0])
        left = np.append(0.0, after[1:])
    told = Speculation(draft_tokens=drafts, acceptance_fraction=held)
    steps = answer_steps(np.full(drawn, osl), told, np.random.default_rng(4)) - 1
    seen = np.bincount(steps, minlength=len(chances) + 1)[1 : len(chances) + 1] / drawn
    assert seen.sum() == approx(1.0)
    assert np.abs(np.cumsum(seen) - np.cumsum(chances)).max() < 1.95 / drawn**0.5  # Kolmogorov at one in a thousand
    assert sum(n * c for n, c in enumerate(yields, 1)) == approx(told.tokens_per_step)
