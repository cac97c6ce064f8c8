"""Prefill and decode on pools of their own, simulated: prompts are read by one, answered by the other.

In: Requests, one StepTable and Settings for both pools, a Fleet each, seconds that each prompt's cache occupies one of
its engine's links, and seconds before: routers hand the request over, the second front end reads it.
Out: Records with times from the arrival at the first; their state is of the decode engines, then of the prefill ones.
Idea: a prefill engine hands over after the prompt's step and keeps its blocks until the cache has moved, which begins
when a decode engine has a place and blocks for it (handover.py). The decode engine then has all of the prompt's cache
but the last token, which it computes to answer (vLLM's KV connector).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from infrascale.serving.simulation.drive_pools import drive_pools
from infrascale.serving.simulation.fleet import (
    Fleet,
    Records,
    Requests,
    as_kernel,
    check,
    delay_of,
    followed,
    must_follow_blocks,
)
from infrascale.serving.simulation.request import PS_PER_S, Settings
from infrascale.serving.simulation.routing import POLICIES
from infrascale.serving.simulation.state import NEVER, Replicas, knobs_of, replicas_of
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
    """Serve all requests: the fleets say how many engines, and how requests are routed to both."""
    check(requests, settings, decode)
    moments_s = np.empty(0) if moments_s is None else moments_s
    watch = np.zeros((1, 2), dtype=np.int64)

    def served() -> Records:
        for by_block in (must_follow_blocks(as_kernel(requests, settings), settings), True):
            found = _served(
                requests, table, settings, prefill, decode, moving_s, handing_s, links, moments_s, by_block, watch[0]
            )
            if found is not None:
                return found
        raise AssertionError("blocks followed one by one say all")

    return served() if progress is None else followed(served, watch, len(requests), progress)


def both(requests: Requests) -> tuple[Requests, Requests]:
    """What the prefill and the decode engines are asked."""
    count = len(requests)
    prompts = replace(requests, osl_tokens=np.ones(count, dtype=np.int64))
    none = np.empty(0, np.int64)
    answers = replace(
        requests, loaded_tokens=requests.isl_tokens, follows=none, think_s=np.empty(0), delay_s=np.empty(0)
    )
    return prompts, answers


def _served(
    requests: Requests,
    table: StepTable,
    settings: Settings,
    prefill: Fleet,
    decode: Fleet,
    moving_s: np.ndarray,
    handing_s: float,
    links: int,
    moments_s: np.ndarray,
    by_block: bool,
    watch: np.ndarray,
) -> Records | None:
    count, most = len(requests), int((requests.isl_tokens + requests.osl_tokens).max())
    moving = min(count, settings.kv_blocks)
    prompts, answers = (as_kernel(one, settings) for one in both(requests))
    x = replicas_of(prefill.replicas, settings, 1, most, by_block, moving)
    y = replicas_of(decode.replicas, settings, int(requests.osl_tokens.max()), most, by_block, moving)
    own = np.flatnonzero(prompts["arrival_ps"] != NEVER)
    states = [np.zeros((moments_s.shape[0], one.replicas, 4), dtype=np.int64) for one in (prefill, decode)]
    asking_again = count + 1 - own.shape[0]
    again = drive_pools(
        prompts,
        answers,
        x,
        y,
        knobs_of(settings, by_block, keeps=True),
        knobs_of(settings, by_block, fetches=True),
        table,
        own[np.argsort(prompts["arrival_ps"][own], kind="stable")],
        POLICIES[decode.policy],
        round(handing_s * PS_PER_S),
        np.rint(moving_s * PS_PER_S).astype(np.int64),
        np.zeros((prefill.replicas, links), dtype=np.int64),
        np.rint(moments_s * PS_PER_S).astype(np.int64),
        *states,
        np.empty(asking_again, dtype=np.int64),
        np.empty(asking_again, dtype=np.int64),
        np.empty(count + 1, dtype=np.int64),
        np.empty(count + 1, dtype=np.int64),
        settings.kv_blocks - 1,
        watch,
    )
    series = np.concatenate(states[::-1], axis=1)
    return None if again else _records(requests, prompts, answers, y, moments_s, series, settings)


def _records(
    requests: Requests,
    prompts: np.ndarray,
    answers: np.ndarray,
    y: Replicas,
    moments_s: np.ndarray,
    series: np.ndarray,
    settings: Settings,
) -> Records:
    return Records(
        arrival_ps=prompts["arrival_ps"] - delay_of(requests),
        first_ps=answers["first_ps"],
        last_ps=answers["last_ps"],
        isl_tokens=answers["isl"],
        osl_tokens=answers["osl"],
        preemptions=prompts["preemptions"] + answers["preemptions"],
        hit_tokens=prompts["hit_tokens"],
        replica=answers["replica"],
        gaps=y.gaps.sum(axis=0),
        gap_edges_ps=y.gap_edges_ps,
        moments_s=moments_s,
        series=series,
        running_s=y.busy[:, 0].copy(),
        sent_again=0,
        blocks=settings.kv_blocks - 1,
    )
