"""Prefill and decode on pools of their own, simulated: prompts first, then answers with the caches that they left.

In: Requests, one StepTable and Settings for both pools, a Fleet each, seconds from one pool's engine to the other's
queue for each prompt: its cache moves, routers hand it over, the second front end reads it.
Out: Records of the decode pool, with times from the arrival at the first.
Idea: a prefill engine hands over after the prompt's step; the decode engine then has all of the prompt's cache but the
last token, which it computes to answer (vLLM's KV connector). Nothing flows back, so one pool is simulated after the
other. The prompt's blocks are taken as freed when the move begins.
"""

from __future__ import annotations

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
    *,
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
        arrival_s=prompts.last_ps / PS_PER_S + moving_s,
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
