"""The compiled simulator's memory: requests and replicas as arrays.

A running request has a slot. Sequences that decode are not touched step by step: all of them gain one token whenever
the replica's step counter rises by one, so a slot keeps only `origin` = computed tokens − step counter, a constant.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from infrascale.serving.simulation.request import Settings

NEVER = np.iinfo(np.int64).max

# Columns of Replicas.now: one replica's numbers.
CLOCK = 0  # end of the last step
END = 1  # when what is under way ends; NEVER when the replica has nothing to do
JUMP = 2  # steps of decoding alone that are under way; 0: one step with prompts or preemptions; -1: only waking up
STEP = 3  # steps so far
DECODING = 4  # sequences that decode
CONTEXT = 5  # tokens they will read in the next step
FREE = 6  # free cache blocks
HEAD = 7  # first and last of the running, in order of admission
TAIL = 8
PARTIAL = 9  # the slot whose prompt is not done yet
NEXT_FINISH = 10  # the step that ends the next answer
QUEUE_HEAD = 11  # waiting, first come first served
QUEUE_TAIL = 12
WAITING = 13
STACK = 14  # preempted, in front of the queue
SPARE = 15  # slots not in use
RUNNING = 16
ROOT = 17  # waiting, by priority
YIELDS = 18  # slots that end their prompt in the step under way
DONE = 19  # requests that finished at CLOCK
HELD_BACK = 20  # decoding sequences left out of the step under way
LATE = 21  # sequences that were left out of the step before
RISE = 22  # decoding sequences of the step under way
ALIVE = 23
SEEN = 24  # who arrived later is not known yet to who chooses the next step (async scheduling)
LEAVING = 25  # answered, but held in the step that was chosen before that was seen (async scheduling)
ASIDE = 26  # first of those who wait by priority and are not seen yet, while a step is chosen; -1: none
READY_HEAD = 27  # slots whose cache has come from another pool, and who do not run yet
READY_TAIL = 28
MOVES = 29  # slots whose cache begins to come with the step under way
MOVING = 30  # those whose cache is coming, or has, and who do not run yet
COLUMNS = 31


class Knobs(NamedTuple):
    max_num_seqs: int
    budget: int
    block_size: int
    by_priority: bool
    caching: bool
    by_block: bool  # follow every cache block; else only their number
    ahead: bool  # async scheduling
    keeps: bool  # prefill pool: blocks of the answered stay until their cache has moved
    fetches: bool  # decode pool: caches that come with requests move first


#: A request: what is asked, and from `first_ps` on what becomes of it.
REQUEST = np.dtype(
    [
        ("arrival_ps", np.int64),
        ("stream", np.int64),
        ("prefix", np.int64),
        ("follows", np.int64),  # the request that comes after this one is answered; -1: none
        ("think_ps", np.int64),  # from this answer to the request that follows
        ("isl", np.int32),
        ("osl", np.int32),
        ("prefix_blocks", np.int32),
        ("priority", np.int32),
        ("loaded", np.int32),  # tokens whose cache comes with it
        ("first_ps", np.int64),
        ("last_ps", np.int64),
        ("generated", np.int32),
        ("preemptions", np.int32),
        ("hit_tokens", np.int32),
        ("replica", np.int32),
        ("next_waiting", np.int32),
        ("child", np.int32),  # of the heap of those who wait by priority
        ("sibling", np.int32),
    ]
)

#: A slot of those who run, and, in the same rows, a replica's lists of at most as many entries.
SLOT = np.dtype(
    [
        ("request", np.int64),
        ("origin", np.int64),
        ("finish", np.int64),  # the step that ends the answer
        ("before", np.int64),  # in order of admission
        ("after", np.int64),
        ("same_finish", np.int64),
        ("late_ps", np.int64),  # last token of one that was left out of a step; -1: it was not
        ("turn", np.int64),  # the step it was last dealt with in, while blocks are short
        ("held", np.int64),  # its cache blocks, and those of them that others find
        ("published", np.int64),
        ("spare", np.int64),  # list: slots not in use
        ("stack", np.int64),  # list: preempted requests
        ("yields", np.int64),  # list: slots that end their prompt in the step under way
        ("done", np.int64),  # list: requests that have just finished
        ("leaving", np.int64),  # 1: its whole answer is there, its place and blocks not free yet
        ("leaves", np.int64),  # list: slots that are leaving
        ("lent", np.int64),  # 1: answered, its cache not moved yet to who goes on
        ("ready_ps", np.int64),  # when its cache came from another pool
        ("moves", np.int64),  # list: slots whose cache begins to come
    ]
)

#: A cache block: who uses it, what it holds (-1: nothing findable), its neighbours among the free and among its twins.
BLOCK = np.dtype(
    [
        ("key", np.int64),
        ("users", np.int32),
        ("newer", np.int32),
        ("older", np.int32),
        ("twin_next", np.int32),
        ("twin_before", np.int32),
        ("twin_last", np.int32),
    ]
)

SEAT = np.dtype([("key", np.int64), ("block", np.int32)])


class Replicas(NamedTuple):
    """By replica; then by column, slot, step modulo the ring's length, place in a block, length of gap, or block."""

    now: np.ndarray
    slots: np.ndarray
    ring: np.ndarray
    phase: np.ndarray  # how many of the decoding sequences stand at each place of their last block
    gaps: np.ndarray  # gaps between tokens, counted by length
    gap_edges_ps: np.ndarray
    busy: np.ndarray  # [running · s, busy s]
    pool: np.ndarray
    seats: np.ndarray  # hash table: what text → which block
    blocks: np.ndarray  # of a slot, in the order of its text


def gap_edges_ps() -> np.ndarray:
    """Upper ends of the classes that gaps between tokens are counted in: 1 µs to 10 000 s, each 0.5 % wider."""
    return np.unique(np.rint(np.geomspace(1e6, 1e16, 4620)).astype(np.int64))


def knobs_of(settings: Settings, by_block: bool, *, keeps: bool = False, fetches: bool = False) -> Knobs:
    return Knobs(
        max_num_seqs=settings.max_num_seqs,
        budget=settings.max_num_batched_tokens,
        block_size=settings.block_size,
        by_priority=settings.by_priority,
        caching=settings.prefix_caching,
        by_block=by_block,
        ahead=settings.async_scheduling,
        keeps=keeps,
        fetches=fetches,
    )


def replicas_of(
    count: int, settings: Settings, most_osl: int, most_tokens: int, by_block: bool, moving: int = 0
) -> Replicas:
    """Memory of `count` idle replicas. `most_osl`, `most_tokens`: the longest answer, and request. `moving`: requests
    that may hold blocks beside those who run."""
    seqs, blocks = settings.max_num_seqs + moving, settings.kv_blocks
    ring = 1 << max(4, int(most_osl + 1).bit_length())
    followed = blocks if by_block else 1
    table = 1 << (2 * followed).bit_length()
    each = -(-most_tokens // settings.block_size) if by_block else 1
    now = np.zeros((count, COLUMNS), dtype=np.int64)
    now[:, [HEAD, TAIL, PARTIAL, QUEUE_HEAD, QUEUE_TAIL, ROOT, ASIDE, READY_HEAD]] = -1
    now[:, [END, NEXT_FINISH]] = NEVER
    now[:, FREE], now[:, SPARE], now[:, ALIVE] = blocks - 1, seqs, 1
    slots = np.zeros((count, seqs), dtype=SLOT)
    slots["turn"] = slots["late_ps"] = -1
    slots["spare"] = np.arange(seqs - 1, -1, -1)
    pool = np.zeros((count, followed), dtype=BLOCK)
    pool["key"] = -1
    places = np.arange(followed)
    pool["newer"], pool["older"] = np.roll(places, -1), np.roll(places, 1)  # a ring of all, block 0 its two ends
    seats = np.zeros((count, table), dtype=SEAT)
    seats["key"] = -1
    edges = gap_edges_ps()
    return Replicas(
        now=now,
        slots=slots,
        ring=np.full((count, ring), -1, dtype=np.int64),
        phase=np.zeros((count, settings.block_size), dtype=np.int64),
        gaps=np.zeros((count, edges.shape[0] + 1), dtype=np.int64),
        gap_edges_ps=edges,
        busy=np.zeros((count, 2)),
        pool=pool,
        seats=seats,
        blocks=np.zeros((count, seqs if by_block else 1, each), dtype=np.int32),
    )
