"""A benchmark's clients whose answers have one length, held against vLLM's scheduler simulated step by step."""

from random import Random

import pytest
from pytest import approx

from infrascale.hardware import Host
from infrascale.parsing.efficiencies import efficiency
from infrascale.serving import Limits, Regime, Waves, closed_loop
from infrascale.serving.burst import burst_spread
from infrascale.serving.simulation.replica import _Run
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.work import Batch
from infrascale.workload import Workload

FRONT_S, APART_S, ROUNDS = 6e-3, 1e-3, 6
#: Half a step under way, the queue's law as derived, a front end that keeps nobody.
UNFITTED = {"burst_residual_step": 0.5, "burst_resync": 1.0, "burst_front": 0.0, "residual_step": 0.5}
LOADS = [  # prompt, answer, clients, tokens a step
    (64, 48, 1, 512),
    (64, 48, 4, 512),
    (64, 48, 14, 512),
    (384, 24, 4, 512),
    (128, 32, 6, 512),
    (1000, 200, 32, 8192),
    (2000, 100, 32, 8192),
    (500, 100, 100, 8192),
]


def step_s(batch: Batch) -> float:
    """A host-bound engine: 8 ms a step, a prompt token 0.15 ms, a sequence 0.3 ms."""
    return 8e-3 + 1.5e-4 * batch.prefill_tokens + 3e-4 * batch.decode_seqs


def simulated(
    isl: int, osl: int, clients: int, step_tokens: int, ahead: bool, width: float = 0.0
) -> tuple[float, list[float]]:
    """Mean TPOT, and every TTFT in order, of clients who send again as soon as they are answered.

    `width`: of the answers' lengths over their mean, drawn evenly.
    """
    draw = Random(1)
    lengths = [max(2, round(osl * (1 + width * (draw.random() - 0.5)))) for _ in range(clients * ROUNDS)]
    requests = [
        Request(index=i, arrival_ps=round((FRONT_S + APART_S * i) * PS_PER_S), isl_tokens=isl, osl_tokens=n, stream=i)
        for i, n in enumerate(lengths)
    ]
    settings = Settings(
        kv_blocks=100_000, max_num_batched_tokens=step_tokens, prefix_caching=False, async_scheduling=ahead
    )
    run = _Run(requests[:clients], step_s, settings, None)
    run.coming.sort(key=lambda request: -request.arrival_ps)
    sent, ended, waiting = {i: 0.0 for i in range(clients)}, 0, iter(requests[clients:])
    while run.goes_on():
        run.advance()
        now = sum(request.is_finished for request in requests)
        for place in range(now - ended):
            if (following := next(waiting, None)) is not None:
                sent[following.index] = run.clock_ps / PS_PER_S
                following.arrival_ps = run.clock_ps + round((FRONT_S + APART_S * place) * PS_PER_S)
                run.coming.append(following)
                run.coming.sort(key=lambda request: -request.arrival_ps)
        ended = now
    tpot = [(r.last_ps - r.first_ps) / PS_PER_S / (r.osl_tokens - 1) for r in requests]
    return sum(tpot) / len(tpot), sorted(r.first_ps / PS_PER_S - sent[r.index] for r in requests)


def analytic(isl: int, osl: int, clients: float, step_tokens: int, ahead: bool = True, one_length: bool = True):
    limits = Limits(max_num_seqs=1024, cached_seqs=1e5, step_tokens=step_tokens, unseen_steps=float(ahead))
    host = Host(step_s=8e-3, seq_s=3e-4, request_s=FRONT_S, prompt_token_s=0.0)
    load, waves = Workload(isl_tokens=isl, osl_tokens=osl), Waves(count=ROUNDS, one_length=one_length)
    return closed_loop(step_s, load, limits, host, dict(efficiency().laws), clients, Regime.BURST, waves)


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("load", LOADS, ids=str)
def test_answers_of_one_length_keep_step_as_in_the_scheduler(load, ahead):
    tpot_s, ttft_s = simulated(*load, ahead)
    found = analytic(*load, ahead)
    assert found.tpot_s.mean_s == approx(tpot_s, rel=0.05)
    assert found.ttft_s.mean_s == approx(sum(ttft_s) / len(ttft_s), rel=0.25)


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize("load", [(384, 200, 8, 512), (480, 200, 24, 512), (128, 100, 16, 512), (1000, 200, 32, 8192)])
def test_answers_that_differ_come_back_by_the_clock_of_steps(load, ahead):
    """A prompt makes a step longer, not an answer's number of steps: others meet it as often as steps tell."""
    isl, osl, clients, step_tokens = load
    width = 0.25
    ttft_s = simulated(*load, ahead, width)[1]
    limits = Limits(max_num_seqs=1024, cached_seqs=1e5, step_tokens=step_tokens, unseen_steps=float(ahead))
    host = Host(step_s=8e-3, seq_s=3e-4, request_s=FRONT_S, prompt_token_s=0.0)
    asked = step_s, Workload(isl_tokens=isl, osl_tokens=osl), limits, host
    waves = Waves(count=ROUNDS, length_spread=width)
    found = closed_loop(*asked, UNFITTED, clients, Regime.BURST, waves)
    assert found.ttft_s.mean_s == approx(sum(ttft_s) / len(ttft_s), rel=0.12)


@pytest.mark.parametrize("load", [(128, 32, 6, 512), (256, 64, 10, 512), (1000, 200, 32, 8192), (500, 100, 100, 8192)])
def test_the_tail_of_a_benchmark_is_its_first_wave(load):
    """Nineteen of twenty requests: those who were sent at once wait for all prompts ahead."""
    isl, osl, clients, step_tokens = load
    ttft_s = simulated(*load, True, width=0.5)[1]
    limits = Limits(max_num_seqs=1024, cached_seqs=1e5, step_tokens=step_tokens, unseen_steps=1.0)
    host = Host(step_s=8e-3, seq_s=3e-4, request_s=FRONT_S, prompt_token_s=0.0)
    waves, laws = Waves(count=ROUNDS, length_spread=0.5), dict(efficiency().laws)
    asked = step_s, Workload(isl_tokens=isl, osl_tokens=osl), limits, host, laws, clients
    mean_s = closed_loop(*asked, Regime.BURST, waves).ttft_s.mean_s
    found = burst_spread(*asked, waves, mean_s)
    assert found.mean_s == mean_s
    assert found.quantiles_s[0.95] == approx(ttft_s[int(0.95 * (len(ttft_s) - 1))], rel=0.25)


def test_nobody_disturbs_a_lone_client():
    """It is answered at the pace of decoding alone, and waits for its own prompt alone."""
    found = analytic(256, 64, 1, 512)
    assert found.tpot_s.mean_s == approx(8.3e-3)
    assert found.ttft_s.mean_s == approx(FRONT_S + 8e-3 + 256 * 1.5e-4)


def test_clients_that_fit_one_step_hardly_disturb_each_other():
    """Those who return together are read together: the more so the longer their answers."""
    plain = 8e-3 + 4 * 3e-4
    for osl in (32, 512):
        apart = analytic(100, osl, 4, 512, one_length=False).tpot_s.mean_s - plain
        assert analytic(100, osl, 4, 512).tpot_s.mean_s - plain < 0.3 * apart


def test_quantiles_are_in_order_and_hold_the_mean():
    for load in LOADS:
        ttft = analytic(*load).ttft_s
        seconds = [ttft.quantiles_s[share] for share in (0.05, 0.5, 0.9, 0.95, 0.99)]
        assert seconds == sorted(seconds)
        assert seconds[0] <= ttft.mean_s * (1 + 1e-9) and ttft.mean_s <= seconds[-1] * (1 + 1e-9)
