"""Prefill and decode on pools of their own, simulated: prompts first, then answers with the caches that they left.

In: Requests, one StepTable and Settings for both pools, a Fleet each, seconds that each prompt's cache occupies one of
its engine's links, and seconds that follow: routers hand the request over, the second front end reads it.
Out: Records of the decode pool, with times from the arrival at the first.
Idea: a prefill engine hands over after the prompt's step; the decode engine then has all of the prompt's cache but the
last token, which it computes to answer (vLLM's KV connector). Nothing flows back, so one pool is simulated after the
other. The prompt's blocks are taken as freed when the move begins.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from infrascale.errors import ScenarioError
from infrascale.serving.simulation.fleet import Fleet, Records, Requests, simulate_fleet
from infrascale.serving.simulation.request import PS_PER_S, Settings
from infrascale.serving.simulation.steptable import StepTable


def simulate_pools(
    requests: Requests,
    table: StepTable,
    settings: Settings,
    prefill: Fleet,
    decode: Fleet,
    moving_s: np.ndarray,
    handing_s: float,
    *,
    links: int = 1,
    moments_s: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Records:
    """Serve all requests, none of which may wait for another's answer."""
    if requests.follows.shape[0]:
        raise ScenarioError(
            "pools cannot be simulated with requests that follow answers",
            why="they are simulated one after the other",
            fix="say request_per_s instead of users, and traffic without conversations or clients",
        )
    ones = np.ones(len(requests), dtype=np.int64)
    prompts = simulate_fleet(replace(requests, osl_tokens=ones), table, settings, prefill, progress=progress)
    answers = replace(
        requests,
        arrival_s=moved_s(prompts.last_ps / PS_PER_S, moving_s, prompts.replica, links) + handing_s,
        loaded_tokens=requests.isl_tokens - 1,
        delay_s=np.empty(0),
    )
    found = simulate_fleet(answers, table, settings, decode, moments_s=moments_s, progress=progress)
    return replace(
        found,
        arrival_ps=prompts.arrival_ps,
        hit_tokens=prompts.hit_tokens,
        preemptions=prompts.preemptions + found.preemptions,
    )


def moved_s(ready_s: np.ndarray, moving_s: np.ndarray, engine: np.ndarray, links: int) -> np.ndarray:
    """When each cache has moved: an engine has so many links, each moves one at a time, first come first served."""
    done_s, free_s = np.empty(len(ready_s)), {int(one): [0.0] * links for one in np.unique(engine)}
    for i in np.argsort(ready_s, kind="stable"):
        own = free_s[int(engine[i])]
        done_s[i] = max(float(ready_s[i]), own[0]) + moving_s[i]
        heapq.heapreplace(own, float(done_s[i]))
    return done_s
