"""What one replica sees of the arrivals behind a router: plain functions of (arrivals of all, replicas).

In: Arrivals of the whole service.    Out: Arrivals of one replica.
Idea: a router changes three things: the rate, how regular the gaps are, and whether the replicas act as one queue.

    round robin    every N-th arrival: the gaps are sums of N, so scv / N
    at random      a coin each: what is irregular thins out, 1 + (scv − 1) / N
    by prefix      where the prompt's head is cached: a hash of the prompt, so at random (and more cache hits)
    least loaded   the replicas stay level, so that together they act as one queue with N times the room

Sources: QNA, Whitt, Bell System Technical Journal 62 (1983), eqs. 34-36, for the first two. Least loaded: join the
shortest queue reaches the pooled queue in heavy traffic (Eschenfeldt & Gamarnik, Math. of OR 43, 2018).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """`scv`: squared coefficient of variation of the gaps: 0 evenly spaced, 1 Poisson, above: bursty.

    `pooled`: replicas that act as one queue; the rate is one replica's own.
    """

    request_per_s: float
    scv: float = 1.0
    pooled: float = 1.0


def round_robin(all_of: Arrivals, replicas: float) -> Arrivals:
    return Arrivals(request_per_s=all_of.request_per_s / replicas, scv=all_of.scv / replicas)


def at_random(all_of: Arrivals, replicas: float) -> Arrivals:
    return Arrivals(request_per_s=all_of.request_per_s / replicas, scv=1 + (all_of.scv - 1) / replicas)


def least_loaded(all_of: Arrivals, replicas: float) -> Arrivals:
    return Arrivals(request_per_s=all_of.request_per_s / replicas, scv=all_of.scv, pooled=replicas)


Router = Callable[[Arrivals, float], Arrivals]

ROUTERS: dict[str, Router] = {
    "round-robin": round_robin,
    "random": at_random,
    "prefix": at_random,
    "least-loaded": least_loaded,
}
