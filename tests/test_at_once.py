"""Runs whose requests are all sent at once, held against vLLM's scheduler simulated step by step, and to limits."""

from random import Random

import pytest
from pytest import approx

from infrascale.calibration.residuals import impossible
from infrascale.parsing.measurements import asked
from infrascale.predicting import predict
from infrascale.serving import Limits
from infrascale.serving.at_once import CHAT_CV, LONGEST, lengths, run_at_once
from infrascale.serving.simulation.replica import simulate
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.work import Batch
from infrascale.workload import Workload


def step_s(batch: Batch) -> float:
    """8 ms a step, a prompt token 0.05 ms, a sequence 0.1 ms."""
    return 8e-3 + 5e-5 * batch.prefill_tokens + 1e-4 * batch.decode_seqs


def simulated(isl: int, osl: int, sent: int, places: int, step_tokens: int, cv: float) -> tuple[float, float, float]:
    """Mean TTFT, mean TPOT, and the whole run [s]; lengths drawn from those that the law takes."""
    known = lengths(osl, cv, sent)
    drawn = Random(1).choices([n for n, _ in known], [share for _, share in known], k=sent)
    scale = osl * sent / sum(drawn)
    requests = [
        Request(index=i, arrival_ps=0, isl_tokens=isl, osl_tokens=max(2, round(n * scale)), stream=i)
        for i, n in enumerate(drawn)
    ]
    settings = Settings(
        kv_blocks=10**6, max_num_seqs=places, max_num_batched_tokens=step_tokens, prefix_caching=False,
        async_scheduling=False,
    )  # fmt: skip
    served = simulate(requests, step_s, settings)
    tpot = [(r.last_ps - r.first_ps) / PS_PER_S / (r.osl_tokens - 1) for r in served]
    first = [r.first_ps / PS_PER_S for r in served]
    return sum(first) / sent, sum(tpot) / sent, max(r.last_ps for r in served) / PS_PER_S


def law(isl: int, osl: int, sent: int, places: int, step_tokens: int, cv: float):
    limits = Limits(max_num_seqs=places, cached_seqs=1e6, step_tokens=step_tokens)
    return run_at_once(step_s, Workload(isl_tokens=isl, osl_tokens=osl), limits, sent, cv)


@pytest.mark.parametrize("cv", [0.0, CHAT_CV])
@pytest.mark.parametrize(
    "load",
    [  # prompt, answer, sent, places, tokens a step
        (217, 202, 1000, 1024, 8192),
        (217, 202, 1000, 256, 2048),
        (217, 202, 200, 1024, 2048),
        (467, 16, 500, 1024, 8192),
        (64, 400, 300, 64, 2048),
        (3000, 100, 100, 1024, 2048),
    ],
    ids=str,
)
def test_a_run_is_what_the_scheduler_makes_of_it(load, cv):
    ttft_s, tpot_s, whole_s = simulated(*load, cv)
    found = law(*load, cv)
    assert found.ttft_s == approx(ttft_s, rel=0.08)
    assert found.tpot_s == approx(tpot_s, rel=0.08)
    assert found.whole_s == approx(whole_s, rel=0.12)


def test_one_request_is_its_prompt_and_its_steps():
    found = law(1000, 101, 1, 64, 8192, 0.0)
    alone_s = step_s(Batch(prefill_tokens=1000, prefill_seqs=1))
    assert found.ttft_s == approx(alone_s)
    assert found.tpot_s == approx(step_s(Batch(decode_seqs=1)))
    assert found.e2e_s == found.whole_s == approx(alone_s + 100 * found.tpot_s)


def test_the_mean_of_ratios_is_what_the_modules_formula_says():
    """(s − t_dec) · E[min(1, U / osl)] beyond a decoding step, where a sequence costs nothing."""

    def free_step_s(batch: Batch) -> float:
        return 8e-3 + 5e-5 * batch.prefill_tokens

    sent, isl, osl, room = 1000, 100, 400, 2048
    load, limits = (
        Workload(isl_tokens=isl, osl_tokens=osl),
        Limits(max_num_seqs=4096, cached_seqs=1e6, step_tokens=room + sent / 2),
    )
    found = run_at_once(free_step_s, load, limits, sent, CHAT_CV)
    steps = sent * isl / room
    late = [
        (share, sum(min(1.0, steps * (k + 0.5) / 100 / (n - 1)) for k in range(100)) / 100)
        for n, share in lengths(osl, CHAT_CV, sent)
    ]
    assert found.tpot_s == approx(8e-3 + 5e-5 * room * sum(share * part for share, part in late), rel=0.03)
    of_means = 8e-3 + sent * isl / 2 * 5e-5 / osl
    assert found.tpot_s > 1.3 * of_means


def test_many_batches_flow_at_the_rate_of_a_full_one():
    """Beyond the batches that are followed, time and waits grow in proportion."""
    some, more = law(217, 202, 40_000, 256, 8192, CHAT_CV), law(217, 202, 80_000, 256, 8192, CHAT_CV)
    flow_s = 202 * 40_000 / (more.whole_s - some.whole_s)
    assert some.running(40_000) == approx(256, rel=0.05)
    assert more.ttft_s == approx(2 * some.ttft_s, rel=0.02)
    assert more.tpot_s == approx(some.tpot_s, rel=0.02)
    assert flow_s == approx(202 * 80_000 / more.whole_s, rel=0.02)


def test_lengths_keep_their_mean_and_the_longest_is_bounded():
    for sent in (1, 50, 1000, 10**6):
        known = lengths(200, CHAT_CV, sent)
        assert sum(share for _, share in known) == approx(1)
        assert sum(n * share for n, share in known) == approx(200)
        assert max(n for n, _ in known) < 1.1 * LONGEST * 200
    assert lengths(200, 0.0, 1000) == [(200, 1.0)]


@pytest.mark.parametrize("engine", ["vllm", "sglang", "trtllm"])
def test_every_engine_ends_the_run(engine):
    row = {"gpu": "H100-SXM", "tp": "1", "model": "llama-3.1-8b", "isl": "217", "osl": "202", "load_kind": "offline"}
    row |= {"engine": engine, "n_requests": "1000", "notes": "ShareGPT, all at once"}
    chats = predict(asked(row)).measures
    even = predict(asked(row | {"notes": ""})).measures
    assert chats["output_tok_per_s_total"] < even["output_tok_per_s_total"]
    assert chats["e2e_mean_s"] > chats["ttft_mean_s"] > 0


def test_a_run_whose_prompts_beat_the_arithmetic_was_in_the_prefix_cache():
    """200 prompts of 213 tokens for Llama-70B on eight A100: 2.4 s of arithmetic, so 1.2 s on average at least."""
    row = {"gpu": "A100-SXM-40GB", "tp": "8", "model": "llama-3.3-70b", "isl": "213", "osl": "212", "engine": "vllm"}
    row |= {"load_kind": "offline", "n_requests": "200", "notes": "ShareGPT"}
    question = asked(row)
    assert "arithmetic" in impossible(row | {"ttft_mean_s": "0.36"}, question)
    assert not impossible(row | {"ttft_mean_s": "2.0"}, question)
