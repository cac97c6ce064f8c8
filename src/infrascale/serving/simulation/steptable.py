"""Step times, tabulated once per deployment, so that millions of steps cost no physics.

In: a StepTimer and the range that batches can take.    Out: StepTable, itself a StepTimer, and integer picoseconds.
Idea: a step of decoding alone is, for each number of sequences, a chain of straight lines in the context they read; so
the sum over many such steps has a closed form. A step with prompts is that of one prompt from nothing beside as many
decoding sequences, plus what their context adds, plus what the cached past and the number of prompts add:

    mixed(p, s, past, n, ctx) = t(p, 1, 0, n, n)
                                + [t(0, 0, 0, n, ctx) − t(0, 0, 0, n, n)] + [t(p, s, past) − t(p, 1, 0)]

which is exact for a timer that sums operators, but for the straight lines between knots. CUDA graphs: batches are
padded to the next captured size, decoding alone always, with prompts up to the largest.
Source of the sizes: vllm/config/vllm.py and compilation.py of 0.32.0, read 2026-11-24.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from infrascale.deployment import StepTimer
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.request import PS_PER_S
from infrascale.work import Batch

SEGMENTS = 48
PASTS = (64, 256, 1024, 4096, 16384, 65536, 262144)


class StepTable(NamedTuple):
    """Arrays only, as the compiled kernel takes them. `decode_*` by row and segment, `row_of` by decoding sequences."""

    row_of: np.ndarray
    decode_ps: np.ndarray
    decode_slope_ps: np.ndarray
    decode_width: np.ndarray
    padded: np.ndarray  # tokens of a mixed step → what the graphs compute; beyond its end nothing is padded
    prompt_knots: np.ndarray
    beside_knots: np.ndarray
    mixed_ps: np.ndarray
    chunk_knots: np.ndarray
    seqs_knots: np.ndarray
    past_knots: np.ndarray
    past_ps: np.ndarray

    def __call__(self, batch: Batch) -> float:
        """Seconds of one step: a StepTimer."""
        return (
            step_ps(
                self,
                int(batch.prefill_tokens),
                int(batch.prefill_seqs),
                float(batch.prefill_past_tokens),
                int(batch.decode_seqs),
                int(batch.context_tokens),
            )
            / PS_PER_S
        )


def graph_sizes(max_num_seqs: int) -> tuple[int, ...]:
    """Batches that vLLM captures: 1, 2, 4, 8 … 248 by 8, then by 16, up to min(2 · max_num_seqs, 512)."""
    most = min(2 * max_num_seqs, 512)
    return tuple(size for size in (1, 2, 4, *range(8, 256, 8), *range(256, 513, 16)) if size <= most)


def tabulate(
    timer: StepTimer,
    *,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    context_tokens: int,
    cached_tokens: int,
    graphs: Sequence[int] = (),
) -> StepTable:
    """The table of a timer. `context_tokens`: the longest sequence; `cached_tokens`: what the cache holds in all."""
    sizes = _decode_sizes(max_num_seqs, graphs)
    rows = np.arange(max_num_seqs + 1, dtype=np.int64)
    captured = np.array([0, *sorted(size for size in graphs if size <= max_num_seqs)])
    rows[: captured[-1] + 1] = captured[np.searchsorted(captured, rows[: captured[-1] + 1])]
    knots, widths = _decode_knots(timer, sizes, max_num_seqs, context_tokens, cached_tokens)
    slopes = np.rint(np.diff(knots, axis=1) / widths[:, None]).astype(np.int64)
    prompts = _geometric(max_num_batched_tokens, 1.25)
    beside = np.array([0.0, *_geometric(max_num_seqs, 2.0)])
    chunks = _geometric(max_num_batched_tokens, 2**0.5)
    seqs = _geometric(min(max_num_seqs, max_num_batched_tokens), 2.0)
    pasts = np.array([0.0, *(past for past in PASTS if past < context_tokens), context_tokens])
    return StepTable(
        row_of=rows,
        decode_ps=np.rint(knots[:, :-1]).astype(np.int64),
        decode_slope_ps=slopes,
        decode_width=widths,
        padded=_padded(graphs),
        prompt_knots=prompts,
        beside_knots=beside,
        mixed_ps=PS_PER_S * np.array([[_mixed_s(timer, p, n) for n in beside.tolist()] for p in prompts.tolist()]),
        chunk_knots=chunks,
        seqs_knots=seqs,
        past_knots=pasts,
        past_ps=PS_PER_S * np.array(_pasts_s(timer, chunks.tolist(), seqs.tolist(), pasts.tolist())),
    )


def _decode_sizes(most: int, graphs: Sequence[int]) -> list[int]:
    """Decode batches that are asked of the timer: captured ones, and enough others to draw lines between."""
    largest = max((size for size in graphs if size <= most), default=0)
    between = {int(size) for size in _geometric(most, 1.15) if size > largest}
    return sorted({size for size in graphs if size <= most} | between | {1, most})


def _decode_knots(
    timer: StepTimer, sizes: list[int], most: int, context_tokens: int, cached_tokens: int
) -> tuple[np.ndarray, np.ndarray]:
    """Picoseconds by decoding sequences (0 … most) and knot, and how many context tokens lie between knots."""
    counts = np.arange(most + 1)
    reach = np.minimum(np.maximum(counts, 1) * context_tokens, max(cached_tokens, most))
    widths = np.maximum(1, -(-reach // SEGMENTS)).astype(np.int64)
    asked = np.array(
        [
            [timer(Batch(decode_seqs=n, context_tokens=max(n, knot * int(widths[n])))) for knot in range(SEGMENTS + 1)]
            for n in sizes
        ]
    )
    knots = np.array([np.interp(counts, sizes, asked[:, knot]) for knot in range(SEGMENTS + 1)]).T
    return PS_PER_S * knots, widths


def _padded(graphs: Sequence[int]) -> np.ndarray:
    if not graphs:
        return np.zeros(1, dtype=np.int64)
    sizes = np.array(sorted(graphs))
    return sizes[np.searchsorted(sizes, np.arange(sizes[-1] + 1))]


def _geometric(most: int, ratio: float) -> np.ndarray:
    """Whole numbers from 1 to `most`, each about `ratio` times the one before."""
    found = [1]
    while found[-1] < most:
        found.append(min(most, max(found[-1] + 1, round(found[-1] * ratio))))
    return np.array(found, dtype=float)


def _mixed_s(timer: StepTimer, prompt: float, beside: float) -> float:
    return timer(Batch(prefill_tokens=prompt, prefill_seqs=1, decode_seqs=beside, context_tokens=beside))


def _pasts_s(timer: StepTimer, chunks: list[float], seqs: list[float], pasts: list[float]) -> list[list[list[float]]]:
    return [[[_past_s(timer, chunk, some, past) for past in pasts] for some in seqs] for chunk in chunks]


def _past_s(timer: StepTimer, tokens: float, seqs: float, past: float) -> float:
    some = timer(Batch(prefill_tokens=tokens, prefill_seqs=min(seqs, tokens), prefill_past_tokens=past))
    return some - timer(Batch(prefill_tokens=tokens, prefill_seqs=1))


@compiled
def place_of(knots: np.ndarray, value: float) -> int:
    """The segment a value lies in, the outermost ones reaching beyond the ends."""
    low, high = 0, knots.shape[0] - 1
    while high - low > 1:
        middle = (low + high) // 2
        if knots[middle] <= value:
            low = middle
        else:
            high = middle
    return low


@compiled
def between(knots: np.ndarray, low: int, value: float) -> float:
    """How far into its segment, 0 … 1; held at the ends of the table."""
    if knots.shape[0] == 1:
        return 0.0
    return min(1.0, max(0.0, (value - knots[low]) / (knots[low + 1] - knots[low])))


@compiled
def decode_ps(table: StepTable, seqs: int, context_tokens: int) -> int:
    """A step of `seqs` decoding sequences that together read `context_tokens`."""
    row = table.row_of[seqs]
    width = table.decode_width[row]
    segment = min(context_tokens // width, table.decode_ps.shape[1] - 1)
    beyond = context_tokens - segment * width
    return table.decode_ps[row, segment] + table.decode_slope_ps[row, segment] * beyond


@compiled
def step_ps(table: StepTable, prompt_tokens: int, prompts: int, past: float, seqs: int, context_tokens: int) -> int:
    """Any step: `prompts` chunks of `prompt_tokens` in all after `past` each, beside `seqs` decoding sequences."""
    if prompt_tokens == 0:
        return decode_ps(table, seqs, context_tokens)
    total = prompt_tokens + seqs
    computed = table.padded[total] - seqs if total < table.padded.shape[0] else prompt_tokens
    p, n = table.prompt_knots, table.beside_knots
    i, j = place_of(p, computed), place_of(n, seqs)
    u, v = between(p, i, computed), between(n, j, seqs)
    m, i1, j1 = table.mixed_ps, min(i + 1, p.shape[0] - 1), min(j + 1, n.shape[0] - 1)
    found = (1 - u) * ((1 - v) * m[i, j] + v * m[i, j1]) + u * ((1 - v) * m[i1, j] + v * m[i1, j1])
    if prompts > 1 or past > 0:
        found += _more_ps(table, prompt_tokens, prompts, past)
    whole = max(1, int(found + 0.5))
    if seqs > 0:
        whole += decode_ps(table, seqs, context_tokens) - decode_ps(table, seqs, seqs)
    return whole


@compiled
def _more_ps(table: StepTable, prompt_tokens: int, prompts: int, past: float) -> float:
    """What several prompts, and their cached past, add to one prompt from nothing."""
    c, s, q = table.chunk_knots, table.seqs_knots, table.past_knots
    i, j, k = place_of(c, prompt_tokens), place_of(s, prompts), place_of(q, past)
    u, v, w = between(c, i, prompt_tokens), between(s, j, prompts), between(q, k, past)
    found = 0.0
    for a in range(2):
        for b in range(2):
            weight = (u if a else 1 - u) * (v if b else 1 - v)
            low = table.past_ps[min(i + a, c.shape[0] - 1), min(j + b, s.shape[0] - 1), k]
            high = table.past_ps[min(i + a, c.shape[0] - 1), min(j + b, s.shape[0] - 1), min(k + 1, q.shape[0] - 1)]
            found += weight * ((1 - w) * low + w * high)
    return found
