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
COLUMNS = 24


class Knobs(NamedTuple):
    max_num_seqs: int
    budget: int
    block_size: int
    by_priority: bool
    caching: bool
    by_block: bool  # follow every cache block; else only their number


class Asked(NamedTuple):
    """Requests by index; below the line, what becomes of them."""

    arrival_ps: np.ndarray
    isl: np.ndarray
    osl: np.ndarray
    stream: np.ndarray
    prefix: np.ndarray
    prefix_blocks: np.ndarray
    priority: np.ndarray
    follows: np.ndarray  # the request that comes after this one is answered; -1: none
    think_ps: np.ndarray  # how long after
    # ---
    first_ps: np.ndarray
    last_ps: np.ndarray
    generated: np.ndarray
    preemptions: np.ndarray
    hit_tokens: np.ndarray
    replica: np.ndarray
    next_waiting: np.ndarray
    child: np.ndarray  # of the heap of those who wait by priority
    sibling: np.ndarray


class Replicas(NamedTuple):
    """By replica; then by slot, by step modulo the ring's length, by place in a block, or by block."""

    now: np.ndarray
    request: np.ndarray
    origin: np.ndarray
    finish: np.ndarray
    before: np.ndarray
    after: np.ndarray
    same_finish: np.ndarray
    late_ps: np.ndarray  # last token of one that was left out of a step; -1: none was
    turn: np.ndarray  # the step it was last dealt with in, while blocks are short
    spare: np.ndarray
    stack: np.ndarray
    yields: np.ndarray
    done: np.ndarray
    ring: np.ndarray
    phase: np.ndarray
    gaps: np.ndarray  # inter-token gaps counted by length
    gap_edges_ps: np.ndarray
    busy: np.ndarray  # [running · s, busy s]
    users: np.ndarray
    key: np.ndarray
    newer: np.ndarray
    older: np.ndarray
    twin_next: np.ndarray
    twin_before: np.ndarray
    twin_last: np.ndarray
    table_key: np.ndarray
    table_block: np.ndarray
    blocks: np.ndarray  # of a slot, in the order of its text
    held: np.ndarray
    published: np.ndarray


def gap_edges_ps() -> np.ndarray:
    """Upper ends of the classes that gaps between tokens are counted in: 1 µs to 10 000 s, each 0.5 % wider."""
    return np.unique(np.rint(np.geomspace(1e6, 1e16, 4620)).astype(np.int64))


def knobs_of(settings: Settings, by_block: bool) -> Knobs:
    return Knobs(
        max_num_seqs=settings.max_num_seqs,
        budget=settings.max_num_batched_tokens,
        block_size=settings.block_size,
        by_priority=settings.by_priority,
        caching=settings.prefix_caching,
        by_block=by_block,
    )


def replicas_of(count: int, settings: Settings, most_osl: int, most_tokens: int, by_block: bool) -> Replicas:
    """Memory of `count` idle replicas. `most_osl`, `most_tokens`: the longest answer, and request."""
    seqs, blocks = settings.max_num_seqs, settings.kv_blocks
    ring = 1 << max(4, int(most_osl + 1).bit_length())
    followed = blocks if by_block else 1
    table = 1 << (2 * followed).bit_length()
    each = -(-most_tokens // settings.block_size) if by_block else 1
    now = np.zeros((count, COLUMNS), dtype=np.int64)
    now[:, [HEAD, TAIL, PARTIAL, QUEUE_HEAD, QUEUE_TAIL, ROOT]] = -1
    now[:, [END, NEXT_FINISH]] = NEVER
    now[:, FREE], now[:, SPARE], now[:, ALIVE] = blocks - 1, seqs, 1
    edges = gap_edges_ps()
    places = np.arange(followed, dtype=np.int32)

    def slots(kind: type = np.int32, fill: int = 0) -> np.ndarray:
        return np.full((count, seqs), fill, dtype=kind)

    def each_block(fill: int, kind: type = np.int32) -> np.ndarray:
        return np.full((count, followed), fill, dtype=kind)

    return Replicas(
        now=now,
        request=slots(),
        origin=slots(np.int64),
        finish=slots(np.int64),
        before=slots(fill=-1),
        after=slots(fill=-1),
        same_finish=slots(fill=-1),
        late_ps=slots(np.int64, -1),
        turn=slots(np.int64, -1),
        spare=np.tile(np.arange(seqs - 1, -1, -1, dtype=np.int32), (count, 1)),
        stack=slots(),
        yields=slots(),
        done=slots(),
        ring=np.full((count, ring), -1, dtype=np.int32),
        phase=np.zeros((count, settings.block_size), dtype=np.int64),
        gaps=np.zeros((count, edges.shape[0] + 1), dtype=np.int64),
        gap_edges_ps=edges,
        busy=np.zeros((count, 2)),
        users=each_block(0),
        key=each_block(-1, np.int64),
        newer=np.tile(np.roll(places, -1), (count, 1)),  # a ring of all blocks, block 0 its two ends
        older=np.tile(np.roll(places, 1), (count, 1)),
        twin_next=each_block(-1),
        twin_before=each_block(-1),
        twin_last=each_block(-1),
        table_key=np.full((count, table), -1, dtype=np.int64),
        table_block=np.zeros((count, table), dtype=np.int32),
        blocks=np.zeros((count, seqs if by_block else 1, each), dtype=np.int32),
        held=slots(),
        published=slots(),
    )
