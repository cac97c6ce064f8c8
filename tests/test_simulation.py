"""The laws of docs/invariants.md, by their numbers, and queues whose answer is known."""

from __future__ import annotations

import random
from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infrascale.errors import ScenarioError
from infrascale.serving.simulation.replica import Moment, _Run, simulate
from infrascale.serving.simulation.request import PS_PER_S, Request, Settings
from infrascale.work import Batch


def timer(batch: Batch) -> float:
    return 4e-3 + 2e-5 * batch.prefill_tokens + 3e-5 * batch.decode_seqs + 4e-8 * batch.context_tokens


@st.composite
def questions(draw) -> tuple[list[Request], Settings]:
    rng = random.Random(draw(st.integers(0, 10**6)))
    knobs = Settings(
        kv_blocks=draw(st.sampled_from((40, 80, 400))),
        max_num_seqs=draw(st.sampled_from((1, 4, 16))),
        max_num_batched_tokens=draw(st.sampled_from((16, 64, 512))),
        prefix_caching=draw(st.booleans()),
        by_priority=draw(st.booleans()),
        async_scheduling=draw(st.booleans()),
    )
    return traffic(rng, draw(st.integers(1, 40)), knobs, shared=draw(st.booleans())), knobs


def traffic(rng: random.Random, count: int, knobs: Settings, *, shared: bool) -> list[Request]:
    clock, found = 0, []
    for i in range(count):
        clock += round(rng.choice((0, rng.expovariate(20))) * PS_PER_S)
        osl = rng.choice((1, 2, 20, 100))
        isl = rng.randint(1, (knobs.kv_blocks - 1) * 16 - osl)
        found.append(
            Request(
                index=i,
                arrival_ps=clock,
                isl_tokens=isl,
                osl_tokens=osl,
                stream=rng.randrange(count) if shared else i,
                prefix=0,
                prefix_blocks=rng.randint(0, isl // 16) if shared else 0,
                priority=rng.randint(0, 2) if knobs.by_priority else 0,
            )
        )
    return found


def fresh(requests: list[Request]) -> list[Request]:
    fields = ("index", "arrival_ps", "isl_tokens", "osl_tokens", "stream", "prefix", "prefix_blocks", "priority")
    return [Request(**{name: getattr(request, name) for name in fields}) for request in requests]


@settings(max_examples=60, deadline=None)
@given(questions())
def test_laws_1_to_6_hold_at_every_step(question):
    requests, knobs = question
    moments: list[Moment] = []
    run = _Run(sorted(requests, key=lambda r: (r.arrival_ps, r.index)), timer, knobs, moments.append)
    pool = run.scheduler.pool
    while run.goes_on():
        run.advance()
        held = {block for request in run.scheduler.running for block in request.blocks}
        assert len(held) + pool.free_blocks == knobs.kv_blocks - 1  # 3
        assert not held & set(pool._free)
        for request in run.scheduler.running:
            assert request.computed_tokens <= request.tokens + request.unseen_tokens  # 2
            assert len(request.blocks) * knobs.block_size >= request.computed_tokens
    for request in requests:  # 1
        assert request.generated_tokens == request.osl_tokens
        assert request.arrival_ps < request.first_ps <= request.last_ps  # 4
        assert (request.first_ps == request.last_ps) == (request.osl_tokens == 1)
    assert all(a.start_ps <= b.start_ps for a, b in pairwise(moments))  # 4
    for moment in moments:
        carried = sum(share.tokens for share in moment.step.shares.values())
        assert carried <= knobs.max_num_batched_tokens  # 2
        assert moment.running_seqs <= knobs.max_num_seqs  # 6
        if not knobs.async_scheduling:
            assert carried > 0 or moment.step.preempted  # 5
    assert pool.free_blocks == knobs.kv_blocks - 1


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_law_7_first_come_first_served(seed):
    knobs = Settings(kv_blocks=4000, max_num_seqs=4, max_num_batched_tokens=64)
    requests = traffic(random.Random(seed), 20, Settings(kv_blocks=60), shared=False)
    first_seen: dict[int, int] = {}

    def watch(moment: Moment) -> None:
        for i in moment.step.shares:
            first_seen.setdefault(i, len(first_seen))

    simulate(requests, timer, knobs, watch)
    assert [i for i, _ in sorted(first_seen.items(), key=lambda pair: pair[1])] == list(range(20))


@settings(max_examples=20, deadline=None)
@given(questions())
def test_law_8_the_same_question_has_the_same_answer(question):
    requests, knobs = question
    once, again = simulate(fresh(requests), timer, knobs), simulate(fresh(requests), timer, knobs)
    assert [(r.first_ps, r.last_ps) for r in once] == [(r.first_ps, r.last_ps) for r in again]


@settings(max_examples=20, deadline=None)
@given(questions())
def test_law_12_slower_steps_under_slower_traffic_are_the_same_film(question):
    requests, knobs = question
    slow = fresh(requests)
    for request in slow:
        request.arrival_ps *= 2
    usual = simulate(fresh(requests), lambda batch: round(timer(batch), 9), knobs)
    slowed = simulate(slow, lambda batch: 2 * round(timer(batch), 9), knobs)
    assert [2 * r.last_ps for r in usual] == [r.last_ps for r in slowed]


def test_one_server_with_fixed_service_is_the_m_d_1_queue():
    """One sequence at a time, one token each: Pollaczek–Khinchine says W = s + ρ·s / 2(1 − ρ)."""
    rng, clock, requests = random.Random(7), 0.0, []
    for i in range(40_000):
        clock += rng.expovariate(6.0)
        requests.append(Request(index=i, arrival_ps=round(clock * PS_PER_S), isl_tokens=16, osl_tokens=1, stream=i))
    knobs = Settings(kv_blocks=10, max_num_seqs=1, max_num_batched_tokens=16, prefix_caching=False)
    done = simulate(requests, lambda batch: 0.1, knobs)
    mean_s = sum(r.last_ps - r.arrival_ps for r in done) / len(done) / PS_PER_S
    assert mean_s == pytest.approx(0.1 + 0.6 * 0.1 / (2 * 0.4), rel=0.04)


def test_law_11_what_is_inside_is_what_arrives_times_how_long_it_stays():
    rng, clock, requests = random.Random(3), 0.0, []
    for i in range(3000):
        clock += rng.expovariate(20.0)
        requests.append(Request(index=i, arrival_ps=round(clock * PS_PER_S), isl_tokens=100, osl_tokens=30, stream=i))
    moments: list[Moment] = []
    run = _Run(requests, timer, Settings(kv_blocks=4000, max_num_seqs=64), moments.append)
    inside_ps = 0
    while run.goes_on():
        run.advance()
        inside_ps += (moments[-1].running_seqs + moments[-1].waiting_seqs) * (run.clock_ps - moments[-1].start_ps)
    starts = [moment.start_ps for moment in moments]
    seen_ps = sum(starts[bisect_left(starts, request.arrival_ps)] for request in requests)  # at the next step
    assert inside_ps == sum(request.last_ps for request in requests) - seen_ps


def test_asynchronous_scheduling_shows_arrivals_one_step_later():
    """A request that comes while a long answer is written joins after the step under way and the one chosen with it."""

    def first_s(asynchronous: bool) -> float:
        requests = [
            Request(index=0, arrival_ps=0, isl_tokens=16, osl_tokens=100, stream=0),
            Request(index=1, arrival_ps=round(0.0505 * PS_PER_S), isl_tokens=16, osl_tokens=1, stream=1),
        ]
        knobs = Settings(kv_blocks=100, async_scheduling=asynchronous)
        return simulate(requests, lambda batch: 0.001, knobs)[1].first_ps / PS_PER_S

    assert first_s(False) == pytest.approx(0.052)
    assert first_s(True) == pytest.approx(0.053)


def test_a_request_that_can_never_fit_is_refused():
    with pytest.raises(ScenarioError, match="never fits"):
        simulate(
            [Request(index=0, arrival_ps=0, isl_tokens=200, osl_tokens=1, stream=0)], timer, Settings(kv_blocks=10)
        )
