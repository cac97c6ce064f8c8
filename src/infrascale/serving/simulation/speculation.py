"""Speculative decoding by acceptance rate: a step that checks k guesses yields 1 to k + 1 tokens of each sequence.

In: requests, drafts and their acceptance, Settings, a StepTimer.    Out: the same question with a longer token.
Idea: count text in units of E, the mean tokens a step yields. Then every sequence gains one unit a step, as the engine
without guesses does, and the closed forms hold: prompts are 1/E as long, the cache has 1/E as many blocks, a step of n
units reads and writes n·E tokens. How many steps an answer takes is drawn for each request, so its spread is real; only
how evenly its tokens come within is averaged.
A checked step multiplies n·(k + 1) tokens through the weights and reads each cache once; guessing adds its share.
Source: Leviathan et al., ICML 2023, eq. 1: E = (1 − α^(k+1)) / (1 − α).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

from infrascale.deployment import StepTimer
from infrascale.serving.simulation.fleet import Requests
from infrascale.serving.simulation.request import Settings
from infrascale.work import Batch


class Guesses(Protocol):
    @property
    def draft_tokens(self) -> int: ...
    @property
    def acceptance_fraction(self) -> float: ...
    @property
    def draft_fraction(self) -> float: ...
    @property
    def tokens_per_step(self) -> float: ...


def answer_steps(osl_tokens: np.ndarray, guesses: Guesses, rng: np.random.Generator) -> np.ndarray:
    """Steps that each answer takes: the prompt's own yields one token, the others 1 + as many guesses as held."""
    left = osl_tokens.astype(np.int64) - 1
    steps = np.ones(len(osl_tokens), dtype=np.int64)
    active = np.flatnonzero(left > 0)
    chances = guesses.acceptance_fraction ** np.arange(1, guesses.draft_tokens + 1)
    while active.size:
        # a geometric count cut at k: accepted ≥ j with chance α^j
        accepted = (rng.random(active.size)[:, None] < chances).sum(axis=1)
        left[active] -= 1 + accepted
        steps[active] += 1
        active = active[left[active] > 0]
    return steps


def in_steps(
    requests: Requests, steps: np.ndarray, settings: Settings, timer: StepTimer, guesses: Guesses
) -> tuple[Requests, Settings, StepTimer]:
    """The question in units of E tokens."""
    unit, checked = guesses.tokens_per_step, guesses.draft_tokens + 1

    def units(tokens: np.ndarray) -> np.ndarray:
        return np.maximum(1, np.rint(tokens / unit)).astype(np.int64) if tokens.shape[0] else tokens

    def step_s(batch: Batch) -> float:
        whole = replace(
            batch,
            prefill_tokens=batch.prefill_tokens * unit,
            prefill_past_tokens=batch.prefill_past_tokens * unit,
            decode_seqs=batch.decode_seqs * checked,
            context_tokens=batch.context_tokens * unit,
        )
        return timer(whole) * (1 + (guesses.draft_fraction if batch.decode_seqs else 0.0))

    asked = replace(
        requests,
        isl_tokens=units(requests.isl_tokens),
        osl_tokens=steps,
        prefix_tokens=units(requests.prefix_tokens) * (requests.prefix_tokens > 0),
    )
    budget = int(settings.max_num_batched_tokens / unit)
    longest = int((asked.isl_tokens + asked.osl_tokens).max())
    smaller = replace(
        settings,
        kv_blocks=max(int(settings.kv_blocks / unit), -(-longest // settings.block_size) + 2),
        max_num_batched_tokens=max(settings.max_num_seqs, budget),
    )
    return asked, smaller, step_s
