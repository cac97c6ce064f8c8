"""Engines that read every prompt before any answer goes on: what a benchmark's waves look like there."""

from __future__ import annotations

import numpy as np
import pytest

from infrascale.hardware import Host
from infrascale.model.blocks.moe import ROUTING_GROWTH, experts_hit, experts_hit_on_fullest
from infrascale.serving import Limits, Waves, closed_loop
from infrascale.serving import Regime as Load
from infrascale.serving.steady_state import admission, prompts_ahead
from infrascale.work import Batch
from infrascale.workload import Workload

CLIENTS, OSL, PROMPT_S, DECODE_S = 64, 100, 0.05, 0.01
LAWS = {"burst_residual_step": 1.0, "burst_resync": 1.0, "burst_front": 0.0, "residual_step": 0.5}


def seconds(batch: Batch) -> float:
    return PROMPT_S * batch.prefill_tokens / 1000 + (DECODE_S if batch.decode_seqs else 0.0)


def looped(waves: Waves, first: bool = True):
    limits = Limits(max_num_seqs=1e4, cached_seqs=1e4, step_tokens=8000, prompts_first=first)
    load, host = Workload(isl_tokens=1000, osl_tokens=OSL), Host(step_s=0, seq_s=0, request_s=0, prompt_token_s=0)
    return closed_loop(seconds, load, limits, host, LAWS, CLIENTS, Load.BURST, waves)


def test_in_lockstep_a_cycle_is_all_prompts_and_then_all_answers():
    """64 prompts of 50 ms and 99 steps of 10 ms: 3.2 + 1 s. Half of the prompts come before one's own."""
    found = looped(Waves(count=5))
    assert found.e2e_s.mean_s == pytest.approx(CLIENTS * PROMPT_S + (OSL - 1) * DECODE_S, rel=0.02)
    assert found.ttft_s.mean_s == pytest.approx((CLIENTS + 1) / 2 * PROMPT_S)
    assert found.tpot_s.mean_s == pytest.approx(DECODE_S + (CLIENTS - 1) / 2 * PROMPT_S / OSL)


def test_lengths_that_differ_pull_the_waves_apart_and_what_ttft_wins_tpot_loses():
    together, apart = looped(Waves(count=5)), looped(Waves(count=5, length_spread=5.0))
    assert apart.ttft_s.mean_s < 0.5 * together.ttft_s.mean_s
    assert apart.tpot_s.mean_s > 1.2 * together.tpot_s.mean_s
    assert apart.e2e_s.mean_s == pytest.approx(together.e2e_s.mean_s, rel=0.1)


def test_prompts_beside_answers_hold_up_the_first_token_less():
    assert looped(Waves(count=5), first=False).ttft_s.mean_s < looped(Waves(count=5)).ttft_s.mean_s


@pytest.mark.parametrize(("experts", "each"), [(128, 8), (256, 8), (32, 4), (8, 2)])
def test_distinct_experts_start_at_one_tokens_own_and_never_pass_even_routing(experts, each):
    assert experts_hit(0, experts, each) == 0
    assert experts_hit(1, experts, each) == pytest.approx(each)
    even = [experts * (1 - (1 - each / experts) ** tokens) for tokens in range(1, 600)]
    skewed = [experts_hit(tokens, experts, each) for tokens in range(1, 600)]
    assert all(s <= e * (1 + 1e-12) for s, e in zip(skewed, even, strict=True))
    assert skewed == sorted(skewed) and skewed[-1] > 0.98 * min(experts, even[-1])


def waited(steps: float, first: bool, spread: float = 5.0) -> float:
    limits = Limits(
        max_num_seqs=1e4, cached_seqs=1e4, step_tokens=8000, prompts_first=first, admission_wait_steps=steps
    )
    load, host = Workload(isl_tokens=1000, osl_tokens=10_000), Host(step_s=0, seq_s=0, request_s=0, prompt_token_s=0)
    found = closed_loop(seconds, load, limits, host, LAWS, 2, Load.BURST, Waves(count=1e6, length_spread=spread))
    return found.ttft_s.mean_s


def test_an_engine_that_looks_for_prompts_every_k_steps_makes_them_wait_half_of_them_and_a_timer_all():
    assert waited(30, True) - waited(0, True) == pytest.approx(15 * DECODE_S, rel=0.02)
    assert waited(30, False) - waited(0, False) == pytest.approx(30 * DECODE_S, rel=0.02)


def test_prompts_that_fill_a_step_end_the_wait_for_more():
    load, limits = Workload(isl_tokens=1000, osl_tokens=100), Limits(
        max_num_seqs=1e4, cached_seqs=1e4, step_tokens=8000, admission_wait_steps=40
    )  # fmt: skip
    few, many = admission(limits, load, 2), admission(limits, load, 1001)
    assert few[0] == pytest.approx(40, rel=0.2) and few[1] == pytest.approx(0.4)
    assert many == pytest.approx((0.7 * 4.5 / 8, 7.0), rel=0.01)  # ten come a step: full after 0.7 steps


def test_prompts_pile_up_only_where_they_come_faster_than_they_are_read():
    assert prompts_ahead(64, 0) == 63 / 2
    assert prompts_ahead(64, 32) == 16
    assert prompts_ahead(64, 128) < prompts_ahead(64, 65) < 16
    assert prompts_ahead(1, 0) == 0


@pytest.mark.parametrize(("experts", "each", "ep"), [(256, 8, 8), (128, 8, 64), (160, 8, 4), (8, 2, 2)])
def test_the_fullest_rank_reads_more_than_the_mean_and_never_more_than_it_holds(experts, each, ep):
    assert experts_hit_on_fullest(0, experts, each, ep) == 0
    fullest = [experts_hit_on_fullest(tokens, experts, each, ep) for tokens in range(1, 4000)]
    mean = [experts_hit(tokens, experts, each) / ep for tokens in range(1, 4000)]
    assert all(m <= f <= experts / ep for m, f in zip(mean, fullest, strict=True))
    assert fullest == sorted(fullest) and fullest[-1] == pytest.approx(experts / ep, rel=0.01)
    assert experts_hit_on_fullest(64, experts, each, 1) == experts_hit(64, experts, each)


def test_the_fullest_rank_is_what_routing_at_random_gives():
    rng = np.random.default_rng(7)
    for even in (4, 16, 64):  # tokens that meet no skew
        picks = rng.random((400, even, 256)).argsort(2)[:, :, :8].reshape(400, -1)
        hit = np.zeros((400, 256), bool)
        hit[np.arange(400)[:, None], picks] = True
        drawn = hit.reshape(400, 8, 32).sum(2).max(1).mean()
        assert experts_hit_on_fullest(even ** (1 / ROUTING_GROWTH), 256, 8, 8) == pytest.approx(drawn, rel=0.05)


@pytest.mark.parametrize("first", [True, False])
def test_tokens_sent_ten_together_show_the_first_text_ten_steps_later_and_end_the_answer_as_soon(first):
    load, host = Workload(isl_tokens=1000, osl_tokens=OSL), Host(step_s=0, seq_s=0, request_s=0, prompt_token_s=0)
    limits = [
        Limits(max_num_seqs=1e4, cached_seqs=1e4, step_tokens=8000, prompts_first=first, first_text_steps=k)
        for k in (0, 10)
    ]
    one, ten = (closed_loop(seconds, load, each, host, LAWS, CLIENTS, Load.BURST, Waves(count=5)) for each in limits)
    assert ten.ttft_s.mean_s == pytest.approx(one.ttft_s.mean_s + 10 * one.tpot_s.mean_s)
    assert ten.e2e_s.mean_s == pytest.approx(one.e2e_s.mean_s)
    assert ten.output_token_per_s == pytest.approx(one.output_token_per_s)
