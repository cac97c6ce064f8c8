"""Between pools, compiled: a prompt's blocks stay with its prefill engine until its cache has moved to a decode engine.

Idea (vLLM's pulling KV connector, vllm/v1/core/sched/scheduler.py 0.33): a request at a decode engine's door stands in
the one queue. Whoever is first gets blocks for its whole prompt (`fetch`) when a place among the running is free and
they fit; then its cache moves, while the next may follow. It has come when that ends (`join`), and runs before all who
still wait, for it holds blocks. Only then are the prefill engine's blocks free (`release`): a full decode engine holds
its prefill engines up. scheduler.py says the same step by step.
"""

from __future__ import annotations

from infrascale.serving.simulation import pool, queues, running
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import FREE, MOVES, MOVING, READY_HEAD, READY_TAIL, SEEN


@compiled
def _line_up(x, r, slot, at_ps):
    """In the order of time: linked as those are who end together, for neither kind decodes."""
    now = x.now[r]
    x.slots[r, slot].ready_ps = at_ps
    x.slots[r, slot].same_finish = -1
    if now[READY_HEAD] == -1:
        now[READY_HEAD] = slot
    else:
        x.slots[r, now[READY_TAIL]].same_finish = slot
    now[READY_TAIL] = slot


@compiled
def release(q, x, r, i, at_ps):
    """The cache of request i has moved away from its prefill engine."""
    _line_up(x, r, q[i].child, at_ps)


@compiled
def take_back(q, x, k, r):
    """Blocks of caches that have moved away, as far as that is seen."""
    now = x.now[r]
    while is_seen(x, r):
        slot = now[READY_HEAD]
        now[READY_HEAD] = x.slots[r, slot].same_finish
        x.slots[r, slot].lent = 0
        if x.slots[r, slot].leaving == 0:  # else it is freed as those are who lend nothing
            running.give_back(x, k, r, slot, q[x.slots[r, slot].request].isl)
            running.free_slot(x, r, slot)


@compiled
def hits_of(q, x, k, r, i, tokens):
    """Blocks of its text that are here, and how many of them nobody uses: those cost free ones."""
    hits, idle = 0, 0
    if k.by_block and k.caching:
        while hits < (tokens - 1) // k.block_size:
            block = pool.find(x, r, pool.key_of(q, i, hits))
            if block == -1:
                break
            idle += x.pool[r, block].users == 0
            hits += 1
    return hits, idle


@compiled
def share(q, x, r, slot, hits):
    i = x.slots[r, slot].request
    for place in range(hits):
        block = pool.find(x, r, pool.key_of(q, i, place))
        pool.share(x, r, block)
        x.blocks[r, slot, place] = block
    x.slots[r, slot].held = x.slots[r, slot].published = hits


@compiled
def fetch(q, x, k, r, i):
    """Blocks for a prompt whose cache is elsewhere, and a slot that keeps them. False: they do not fit yet."""
    now, tokens = x.now[r], q[i].isl
    hits, idle = hits_of(q, x, k, r, i, tokens)
    if running.blocks(tokens, k.block_size) - hits + idle > now[FREE]:
        return False
    queues.pop(q, x, k, r)
    slot = running.take_slot(x, r, i)
    if k.by_block:
        share(q, x, r, slot, hits)
        pool.hold(q, x, k, r, slot, tokens, 0)  # found by others once they are filled
    else:
        now[FREE] -= running.blocks(tokens, k.block_size)
    q[i].child, q[i].hit_tokens = slot, hits * k.block_size
    x.slots[r, now[MOVES]].moves = slot
    now[MOVES] += 1
    now[MOVING] += 1
    return True


@compiled
def join(q, x, r, i, at_ps):
    """The cache of request i has come to its decode engine."""
    _line_up(x, r, q[i].child, at_ps)


@compiled
def is_seen(x, r):
    """Whether one whose cache has come is known to who chooses the next step."""
    head = x.now[r, READY_HEAD]
    return head != -1 and x.slots[r, head].ready_ps <= x.now[r, SEEN]


@compiled
def next_ready(x, r):
    now = x.now[r]
    slot = now[READY_HEAD]
    now[READY_HEAD] = x.slots[r, slot].same_finish
    now[MOVING] -= 1
    return slot


@compiled
def is_there(x, r):
    return x.now[r, READY_HEAD] != -1
