"""The compiled mode is the plain mode to the last picosecond, on random traffic, whatever is tight."""

from __future__ import annotations

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

from infrascale.serving.simulation.fleet import Requests, requests_in_plain, simulate_fleet  # noqa: E402
from infrascale.serving.simulation.replica import simulate  # noqa: E402
from infrascale.serving.simulation.request import Settings  # noqa: E402
from infrascale.serving.simulation.steptable import graph_sizes, tabulate  # noqa: E402
from infrascale.work import Batch  # noqa: E402


def timer(batch: Batch) -> float:
    """Weights, arithmetic, attention over the past, cache read: the shape of a real step, in round numbers."""
    pairs = 0.0
    if batch.prefill_seqs:
        pairs = batch.prefill_tokens * (batch.prefill_past_tokens + batch.prefill_tokens / (2 * batch.prefill_seqs))
    return (
        4e-3 + 2.3e-5 * batch.prefill_tokens + 1e-9 * pairs + 3e-5 * batch.decode_seqs + 4.1e-8 * batch.context_tokens
    )


def question(rng, ahead: bool) -> tuple[Requests, Settings]:
    """Anything: bursts, shared heads, conversations that overlap, priorities, caches that hold two requests."""
    count, seqs = int(rng.choice([30, 80, 200])), int(rng.choice([2, 8, 32]))
    by_priority, shared = bool(rng.random() < 0.4), rng.random() < 0.6
    settings = Settings(
        kv_blocks=int(rng.choice([60, 90, 200, 1000])),
        max_num_seqs=seqs,
        max_num_batched_tokens=int(rng.choice([max(16, seqs), 128, 512])),
        prefix_caching=bool(rng.random() < 0.6),
        by_priority=by_priority,
        async_scheduling=ahead,
    )
    osl = rng.choice([1, 2, 5, 60, 200], count)
    isl = np.minimum(rng.integers(1, 400, count), (settings.kv_blocks - 1) * 16 - osl)
    gaps = rng.exponential(rng.choice([0.001, 0.02, 0.2]), count) * (rng.random(count) < 0.7)
    none = np.empty(0, dtype=np.int64)
    requests = Requests(
        arrival_s=np.round(np.cumsum(gaps), 6),
        isl_tokens=isl,
        osl_tokens=osl,
        stream=rng.integers(0, count // 3, count) if shared and rng.random() < 0.5 else np.arange(count),
        prefix=rng.integers(0, 4, count) if shared else none,
        prefix_tokens=rng.integers(0, isl + 1) if shared else none,
        priority=rng.integers(0, 3, count) if by_priority else none,
        loaded_tokens=rng.integers(0, isl + 1) if rng.random() < 0.3 else none,
    )
    return requests, settings


@pytest.mark.slow
@pytest.mark.parametrize("ahead", (False, True))
def test_plain_and_compiled_are_one(ahead):
    preemptions = hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        requests, settings = question(rng, ahead)
        table = tabulate(
            timer,
            max_num_seqs=settings.max_num_seqs,
            max_num_batched_tokens=settings.max_num_batched_tokens,
            context_tokens=700,
            cached_tokens=settings.kv_blocks * 16,
            graphs=graph_sizes(settings.max_num_seqs) if seed % 2 else (),
        )
        plain = simulate(requests_in_plain(requests, settings), table, settings)
        plain.sort(key=lambda request: request.index)
        fast = simulate_fleet(requests, table, settings)
        assert fast.first_ps.tolist() == [request.first_ps for request in plain], seed
        assert fast.last_ps.tolist() == [request.last_ps for request in plain], seed
        assert fast.preemptions.tolist() == [request.preemptions for request in plain], seed
        assert fast.hit_tokens.tolist() == [request.hit_tokens for request in plain], seed
        preemptions += int(fast.preemptions.sum())
        hits += int((fast.hit_tokens > 0).sum())
    assert preemptions > 100 and hits > 1000


@pytest.mark.slow
@pytest.mark.parametrize("seqs", (16, 256))
def test_scheduling_ahead_costs_an_arrival_a_step_in_both_modes(seqs):
    """Where places are free and where they are not, to the last picosecond."""
    rng = np.random.default_rng(5)
    count = 4000
    requests = Requests(
        arrival_s=np.cumsum(rng.exponential(1 / 16, count)),
        isl_tokens=rng.integers(100, 300, count),
        osl_tokens=rng.integers(50, 150, count),
    )
    found = {}
    for ahead in (False, True):
        settings = Settings(kv_blocks=20_000, max_num_seqs=seqs, max_num_batched_tokens=2048, async_scheduling=ahead)
        table = tabulate(
            timer, max_num_seqs=seqs, max_num_batched_tokens=2048, context_tokens=500, cached_tokens=320_000
        )
        plain = sorted(simulate(requests_in_plain(requests, settings), table, settings), key=lambda r: r.index)
        fast = simulate_fleet(requests, table, settings)
        first = np.array([r.first_ps - r.arrival_ps for r in plain])
        found[ahead] = (first.mean(), (fast.first_ps - fast.arrival_ps).mean())
        assert found[ahead][1] == found[ahead][0]
    assert found[True][1] > found[False][1] + 3e9  # at least most of a step, 4 ms
