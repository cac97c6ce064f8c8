"""Which replica a request goes to: one plain function per policy.

A policy sees the requests `q`, the replicas `x`, the request's index and how many came before it, and answers with a
replica that is alive. A new policy is one function here and its name in POLICIES. Compiled, so arrays and numbers only.
"""

from __future__ import annotations

import numpy as np

from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import ALIVE, MOVING, RUNNING, WAITING


@compiled
def nth_alive(x, n):
    """The n-th replica of those alive, counted around; -1: nobody is."""
    alive = 0
    for r in range(x.now.shape[0]):
        alive += x.now[r, ALIVE] == 1
    if alive == x.now.shape[0]:
        return n % alive
    left = n % alive if alive else 0
    for r in range(x.now.shape[0]):
        if x.now[r, ALIVE] == 1:
            if left == 0:
                return r
            left -= 1
    return -1


@compiled
def round_robin(q, x, i, turn):
    """Each that is alive in turn."""
    return nth_alive(x, turn)


@compiled
def mixed(n):
    """A number as good as random from a count, within 63 bits throughout (T. Mueller's 32-bit hash)."""
    z = n & 0xFFFFFFFF
    z = ((z ^ (z >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    z = ((z ^ (z >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return z ^ (z >> 16)


def each_mixed(count: int) -> np.ndarray:
    """The same of 0, 1, … count − 1."""
    return mixed.py_func(np.arange(count))


@compiled
def at_random(q, x, i, turn):
    """Any that is alive, as a Kubernetes Service chooses."""
    return nth_alive(x, mixed(turn))


@compiled
def _inside(x, r):
    return x.now[r, RUNNING] + x.now[r, WAITING] + x.now[r, MOVING]


@compiled
def least_loaded(q, x, i, turn):
    """The fewest requests running and waiting; ties go around."""
    replicas = x.now.shape[0]
    best, fewest = -1, -1
    for step in range(replicas):
        r = (turn + step) % replicas
        load = _inside(x, r)
        if x.now[r, ALIVE] == 1 and (best == -1 or load < fewest):
            best, fewest = r, load
    return best


@compiled
def by_session(q, x, i, turn):
    """Always the same replica for a conversation, so that its cache is there: a hash of its stream."""
    hashed = (q[i].stream * 0x9E3779B97F4A7C1) & 0x7FFFFFFFFFFFFFFF
    home = (hashed >> 24) % x.now.shape[0]
    return home if x.now[home, ALIVE] == 1 else nth_alive(x, hashed >> 8)


@compiled
def by_prefix(q, x, i, turn):
    """Always the same replica for a shared prefix, unless it carries a quarter more than the mean: then the least
    loaded (consistent hashing with bounded loads)."""
    replicas = x.now.shape[0]
    hashed = ((q[i].prefix + 1) * 0x9E3779B97F4A7C1) & 0x7FFFFFFFFFFFFFFF
    home = (hashed >> 24) % replicas
    if x.now[home, ALIVE] != 1:
        home = nth_alive(x, hashed >> 8)
    if home == -1 or q[i].prefix_blocks == 0:
        return least_loaded(q, x, i, turn)
    total = 0
    for r in range(replicas):
        total += _inside(x, r)
    if 4 * replicas * _inside(x, home) <= 5 * (total + 1):
        return home
    return least_loaded(q, x, i, turn)


POLICIES = {
    "round-robin": round_robin,
    "random": at_random,
    "least-loaded": least_loaded,
    "session": by_session,
    "prefix": by_prefix,
}
