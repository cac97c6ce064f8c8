"""Pools, compiled, against the same pools step by step: to the last picosecond, whatever is tight."""

from __future__ import annotations

from dataclasses import replace

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("numba")

from pools_plain import simulate_pools_plainly  # noqa: E402
from test_simulation_fast import question, timer  # noqa: E402

from infrascale.serving.simulation.fleet import Fleet  # noqa: E402
from infrascale.serving.simulation.pools import simulate_pools  # noqa: E402
from infrascale.serving.simulation.steptable import graph_sizes, tabulate  # noqa: E402


def asked_again(rng, requests):
    """Some requests follow the answer of an earlier one."""
    count = len(requests)
    follows = np.full(count, -1)
    for i in range(0, count - 1, 3):
        follows[i] = i + 1
    return replace(requests, follows=follows, think_s=rng.exponential(0.3, count))


@pytest.mark.slow
@pytest.mark.parametrize("ahead", (False, True))
def test_pools_are_their_schedulers_step_by_step(ahead):
    preemptions = hits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        requests, settings = question(rng, ahead)
        requests = replace(requests, loaded_tokens=np.empty(0, dtype=np.int64))
        if seed % 3 == 0:
            requests = asked_again(rng, requests)
        prefill, decode, links = (int(rng.integers(1, 4)) for _ in range(3))
        moving_s = rng.exponential(rng.choice([0.001, 0.05, 0.5]), len(requests))
        handing_s = float(rng.choice([0.00037, 0.0191, 0.3]))
        table = tabulate(
            timer,
            max_num_seqs=settings.max_num_seqs,
            max_num_batched_tokens=settings.max_num_batched_tokens,
            context_tokens=700,
            cached_tokens=settings.kv_blocks * 16,
            graphs=graph_sizes(settings.max_num_seqs) if seed % 2 else (),
        )
        fleets = Fleet(replicas=prefill), Fleet(replicas=decode)
        fast = simulate_pools(requests, table, settings, *fleets, moving_s, handing_s, links=links)
        prompts, answers = simulate_pools_plainly(
            requests, table, settings, prefill, decode, moving_s, handing_s, links
        )
        assert (fast.last_ps > 0).all(), seed
        assert fast.first_ps.tolist() == [one.first_ps for one in answers], seed
        assert fast.last_ps.tolist() == [one.last_ps for one in answers], seed
        both = zip(prompts, answers, strict=True)
        assert fast.preemptions.tolist() == [one.preemptions + other.preemptions for one, other in both], seed
        assert fast.hit_tokens.tolist() == [one.hit_tokens for one in prompts], seed
        preemptions += int(fast.preemptions.sum())
        hits += int((fast.hit_tokens > 0).sum())
    assert preemptions > 100 and hits > 500
