"""Prefill and decode pools, simulated: queues in series, the analytic answers, what is refused."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import exp

import pytest
from test_queueing import crommelin

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

from infrascale import api  # noqa: E402
from infrascale.deployment import cache_bytes_per_request  # noqa: E402
from infrascale.errors import ScenarioError  # noqa: E402
from infrascale.hardware import BETWEEN_SERVERS  # noqa: E402
from infrascale.serving import Performance, Pool, Waves, disaggregated, limits_of, steps_until_seen  # noqa: E402
from infrascale.serving.simulation.fleet import Fleet, Requests  # noqa: E402
from infrascale.serving.simulation.pools import simulate_pools  # noqa: E402
from infrascale.serving.simulation.request import PS_PER_S, Settings  # noqa: E402
from infrascale.serving.simulation.steptable import tabulate  # noqa: E402
from infrascale.simulating.circumstances import Autoscaler, Circumstances, Death, Late, Speculation  # noqa: E402
from infrascale.simulating.run import Subject, simulate  # noqa: E402
from infrascale.simulating.verify import verify  # noqa: E402
from infrascale.work import Batch  # noqa: E402
from infrascale.workload.pattern import Pattern  # noqa: E402

APART = ["--model", "llama-3.1-8b", "--gpu", "h100-sxm", "--isl", "2000", "--osl", "200", "--prefill-replicas", "1"]


def pools(engine: str, request_per_s: float, gpus: int = 1) -> Subject:
    found = api.plan(
        model="llama-3.1-8b", gpu=["h100-sxm"], engine=engine, request_per_s=request_per_s, isl=2000, osl=200,
        isl_cv=0.0, osl_cv=0.0, gpus_per_replica=[gpus],
    )  # fmt: skip
    told = Circumstances(replicas=1, prefill_replicas=1, seconds=2000 / request_per_s)
    return api.subject(found, told)


def pool_of(subject: Subject) -> Pool:
    limits = limits_of(subject.candidate.deployment, subject.scenario.workload)
    return Pool(timer=subject.timer, limits=limits, engines=1.0)


def by_law(subject: Subject, in_flight: float) -> Performance:
    deployment, load, pool = subject.candidate.deployment, subject.scenario.workload, pool_of(subject)
    moving_s = cache_bytes_per_request(deployment, load.isl_tokens) / BETWEEN_SERVERS.bytes_per_s
    return disaggregated(pool, pool, load, subject.timer.host, in_flight, moving_s, Waves(count=1e9))


@pytest.mark.slow  # compiles for twenty seconds
@pytest.mark.parametrize("gpus", (1, 4))
@pytest.mark.parametrize("engine", ("vllm", "trtllm"))
def test_both_engines_agree_on_pools_where_nobody_waits(engine, gpus):
    """The law counts half a decode step under way; who comes to idle engines finds none. What is left, below 1 %: the
    answer's first step computes the prompt's last token outside a CUDA graph, step times come from a table, and one
    request in fifty meets another."""
    subject = pools(engine, 0.02, gpus)
    felt, law, host = simulate(subject).outcome.performance, by_law(subject, 1.0), subject.timer.host
    assert felt.ttft_s.mean_s == pytest.approx(law.ttft_s.mean_s - 0.5 * law.tpot_s.mean_s, rel=0.01)
    assert felt.tpot_s.mean_s == pytest.approx(law.tpot_s.mean_s, rel=0.01)
    assert min(host.handover_s, host.request_s) > 0.04 * law.ttft_s.mean_s  # either would show if it were left out


@pytest.mark.slow
@pytest.mark.parametrize("engine", ("vllm", "trtllm"))
def test_both_engines_agree_on_pools_with_some_in_flight(engine):
    """Seven or eight answer at a time: prompts wait for others, by M/D/1, answers for the step that asynchronous
    scheduling has already chosen, and caches for both before they may come. All are outside the law and added here;
    TTFT is then within 2 %. TPOT within 4 %: steps that let somebody in are outside CUDA graphs, and the law takes the
    mean number in flight."""
    subject, rate = pools(engine, 4.0), 4.0
    felt = simulate(subject).outcome.performance
    law, prompt_s = by_law(subject, rate * felt.e2e_s.mean_s), pool_of(subject).prompt_s(subject.scenario.workload)
    queue_s = rate * prompt_s / (1 - rate * prompt_s) / 2 * prompt_s
    chosen_s = (0.5 + 2 * steps_until_seen(subject.candidate.deployment)) * law.tpot_s.mean_s
    assert felt.ttft_s.mean_s == pytest.approx(law.ttft_s.mean_s + queue_s + chosen_s, rel=0.02)
    assert felt.tpot_s.mean_s == pytest.approx(law.tpot_s.mean_s, rel=0.04)


def by_tokens(batch: Batch) -> float:
    """A prompt token takes 25 µs at one engine, an answer's token a millisecond at the other."""
    return 2.5e-5 * batch.prefill_tokens + 1e-3 * batch.decode_seqs


def in_series(isl, osl, arrival_s, blocks, moving_s=0.0, links=1, seqs=1):
    """Two engines that do nothing else: what each request's first and last token took [s], in the order they came."""
    count, longest = len(arrival_s), int((isl + osl).max())
    settings = Settings(
        kv_blocks=blocks, max_num_seqs=seqs, max_num_batched_tokens=int(isl.max()) + seqs, prefix_caching=False
    )
    table = tabulate(
        by_tokens, max_num_seqs=seqs, max_num_batched_tokens=int(isl.max()) + seqs, context_tokens=longest,
        cached_tokens=blocks * 16,
    )  # fmt: skip
    asked = Requests(arrival_s=arrival_s, isl_tokens=isl, osl_tokens=osl)
    return simulate_pools(asked, table, settings, Fleet(), Fleet(), np.full(count, moving_s), 0.0, links=links)


@pytest.mark.slow
@pytest.mark.parametrize("load", (0.4, 0.7))
def test_two_queues_in_series_are_as_if_the_first_were_not_there(load):
    """Burke: what leaves M/M/1 is Poisson, so the time through both is 2 / (μ − λ)."""
    rng, count = np.random.default_rng(1), 60_000
    isl = np.ceil(rng.exponential(4000, count)).astype(np.int64)  # 0.1 s
    osl = np.ceil(rng.exponential(100, count)).astype(np.int64)
    arrival_s = np.cumsum(rng.exponential(0.1 / load, count))
    found = in_series(isl, osl, arrival_s, 1 << 22)
    through_s = (found.last_ps - found.arrival_ps).mean() / PS_PER_S
    assert through_s == pytest.approx(2 * 0.1 / (1 - load), rel=0.05)


@pytest.mark.slow
@pytest.mark.parametrize(("blocks", "room"), ((4200, 1), (1 << 20, 1000)))
def test_a_full_decode_engine_holds_its_prefill_engine_up(blocks, room):
    """The cache holds one prompt of two. Reading (1 s) and answering (exponential, 1 s) then begin together, and end
    with the longer: one request every E[max(1, S)] = 1 + 1/e seconds. With room between, one every second."""
    rng, count = np.random.default_rng(2), 4000
    isl, osl = np.full(count, 40_000), np.minimum(25_000, np.ceil(rng.exponential(1000, count)).astype(np.int64))
    found = in_series(isl, osl, np.arange(count) * 0.2, blocks)
    every_s = found.last_ps.max() / PS_PER_S / count
    assert every_s == pytest.approx(1 + exp(-1) if room == 1 else 1.0, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("links", (1, 3))
def test_caches_wait_for_a_link_of_their_engine(links):
    """One link at load ρ under Poisson arrivals keeps caches waiting as M/D/1, ρ / (1 − ρ) / 2; three as M/D/3."""
    rng, count = np.random.default_rng(3), 40_000
    ones = np.ones(count, np.int64)
    arrival_s = np.cumsum(rng.exponential(1 / (0.7 * links), count))
    found = in_series(ones, ones, arrival_s, 1 << 20, moving_s=1.0, links=links, seqs=64)
    waited_s = (found.first_ps - found.arrival_ps).mean() / PS_PER_S - 1 - 2 * 2.5e-5
    expected = 0.7 / 0.3 / 2 if links == 1 else crommelin(3, 2.1)
    assert waited_s == pytest.approx(expected, rel=0.06)


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "cv", "pools_"), ((4.0, 0.0, (1, 1)), (16.0, 0.0, (1, 1)), (40.0, 0.5, (4, 2))))
def test_the_queue_of_pools_is_the_simulated_one(rate, cv, pools_):
    """Means and p95 within 6 %, up to two thirds of what both pools sustain."""
    found = api.plan(
        model="llama-3.1-8b", gpu=["h100-sxm"], request_per_s=rate, isl=2000, osl=200, isl_cv=cv, osl_cv=cv,
        gpus_per_replica=[1],
    )  # fmt: skip
    told = Circumstances(replicas=pools_[1], prefill_replicas=pools_[0], seconds=600)
    result = simulate(api.subject(found, told))
    felt, law = result.outcome.performance, result.analytic
    for key in ("ttft_s", "tpot_s", "e2e_s"):
        seen, said = getattr(felt, key), getattr(law, key)
        assert said.mean_s == pytest.approx(seen.mean_s, rel=0.06), key
        assert said.quantiles_s[0.95] == pytest.approx(seen.quantiles_s[0.95], rel=0.06), key
    assert result.most_request_per_s > rate


@pytest.mark.slow
def test_pools_serve_users_who_wait_for_their_answers():
    """A closed loop has never more inside than clients, and all of them where nobody thinks."""
    found = api.plan(model="llama-3.1-8b", gpu=["h100-sxm"], request_per_s=4.0, isl=2000, osl=200, isl_cv=0.5)
    told = Circumstances(replicas=1, prefill_replicas=1, seconds=300, pattern=Pattern(clients=20))
    result = simulate(api.subject(found, told))
    felt = result.outcome.performance
    assert felt.request_per_s * felt.e2e_s.mean_s == pytest.approx(20, rel=0.02)


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"deaths": (Death(at_s=5.0),)}, "deaths"),
        ({"late": Late(replicas=1, until_s=9.0)}, "late replicas"),
        ({"autoscaler": Autoscaler(least=1, target_requests=8.0)}, "autoscaler"),
        ({"speculation": Speculation(draft_tokens=3, acceptance_fraction=0.7)}, "speculation"),
    ],
)
def test_what_pools_do_not_simulate_is_refused_whoever_asks(what, why):
    Circumstances(**what)
    with pytest.raises(ScenarioError, match=f"prefill_replicas and .*{why}") as caught:
        Circumstances(prefill_replicas=1, **what)
    assert caught.value.why and why in caught.value.fix
    with pytest.raises(ScenarioError):
        replace(Circumstances(**what), prefill_replicas=2)


@pytest.mark.parametrize("fixed", ({"replicas": 2}, {"prefill_replicas": 1}))
def test_a_fixed_number_is_not_verified(fixed):
    subject = pools("vllm", 1.0)
    found = api.plan(model="llama-3.1-8b", gpu=["h100-sxm"], request_per_s=1.0)
    with pytest.raises(ScenarioError, match="what is verified") as caught:
        verify(found, subject.efficiency, Circumstances(**fixed))
    assert caught.value.why and caught.value.fix


@pytest.mark.slow  # four command lines
@pytest.mark.parametrize(
    "words",
    (
        ["--dies", "5"], ["--late", "1:9"], ["--autoscale", "1:8:60"], ["--speculative", "3:0.7"],
    ),
)  # fmt: skip
def test_the_command_line_refuses_it_with_a_mend(tmp_path, words):
    load = ["--request-per-s", "2"]
    command = [sys.executable, "-c", "from infrascale.cli import main; main()", "simulate", *APART, *load, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and not done.stdout, done.stderr
    assert "why:" in done.stderr and "fix:" in done.stderr and "Traceback" not in done.stderr
