"""Who runs in a compiled replica: slots in order of admission, those that decode by the step that ends their answer.

Idea: all who decode gain a token whenever the step counter rises by one, so a slot keeps when its answer ends, on a
ring of steps, and nobody is touched in between.
"""

from __future__ import annotations

from infrascale.serving.simulation import pool
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import (
    CONTEXT,
    DECODING,
    FREE,
    HEAD,
    LATE,
    NEVER,
    NEXT_FINISH,
    PARTIAL,
    RUNNING,
    SPARE,
    STEP,
    TAIL,
    YIELDS,
)


@compiled
def blocks(tokens, size):
    return (tokens + size - 1) // size


@compiled
def take_slot(x, r, i):
    """One that is not in use, for request i."""
    now = x.now[r]
    now[SPARE] -= 1
    slot = x.slots[r, now[SPARE]].spare
    x.slots[r, slot].request = i
    return slot


@compiled
def free_slot(x, r, slot):
    x.slots[r, x.now[r, SPARE]].spare = slot
    x.now[r, SPARE] += 1


@compiled
def enter(x, r, slot):
    """At the end of the running."""
    now = x.now[r]
    x.slots[r, slot].before = now[TAIL]
    x.slots[r, slot].after = -1
    if now[TAIL] == -1:
        now[HEAD] = slot
    else:
        x.slots[r, now[TAIL]].after = slot
    now[TAIL] = slot
    now[RUNNING] += 1
    x.slots[r, slot].late_ps = -1


@compiled
def step_out(x, r, slot):
    """Out of the running, its slot and blocks kept."""
    now = x.now[r]
    before, after = x.slots[r, slot].before, x.slots[r, slot].after
    if before == -1:
        now[HEAD] = after
    else:
        x.slots[r, before].after = after
    if after == -1:
        now[TAIL] = before
    else:
        x.slots[r, after].before = before
    now[RUNNING] -= 1
    if x.slots[r, slot].late_ps >= 0:
        now[LATE] -= 1


@compiled
def leave(x, r, slot):
    step_out(x, r, slot)
    free_slot(x, r, slot)


@compiled
def ring_put(x, r, slot, finish):
    at = finish & (x.ring.shape[1] - 1)
    x.slots[r, slot].finish = finish
    x.slots[r, slot].same_finish = x.ring[r, at]
    x.ring[r, at] = slot
    x.now[r, NEXT_FINISH] = min(x.now[r, NEXT_FINISH], finish)


@compiled
def ring_drop(x, r, slot):
    at = x.slots[r, slot].finish & (x.ring.shape[1] - 1)
    one = x.ring[r, at]
    if one == slot:
        x.ring[r, at] = x.slots[r, slot].same_finish
        return
    while x.slots[r, one].same_finish != slot:
        one = x.slots[r, one].same_finish
    x.slots[r, one].same_finish = x.slots[r, slot].same_finish


@compiled
def seek_finish(x, r):
    """The next step that ends an answer, from here on."""
    now = x.now[r]
    if now[DECODING] == 0:
        now[NEXT_FINISH] = NEVER
        return
    step, mask = now[STEP] + 1, x.ring.shape[1] - 1
    while x.ring[r, step & mask] == -1:
        step += 1
    now[NEXT_FINISH] = step


@compiled
def start_decoding(q, x, k, r, slot):
    """Its latest token came with the step that has just ended."""
    now = x.now[r]
    i = x.slots[r, slot].request
    computed = q[i].isl + q[i].generated - 1
    origin = computed - now[STEP]
    x.slots[r, slot].origin = origin
    x.phase[r, origin % k.block_size] += 1
    now[DECODING] += 1
    now[CONTEXT] += computed + 1
    ring_put(x, r, slot, now[STEP] + q[i].osl - q[i].generated)


@compiled
def stop_decoding(x, k, r, slot):
    now = x.now[r]
    origin = x.slots[r, slot].origin
    x.phase[r, origin % k.block_size] -= 1
    now[DECODING] -= 1
    now[CONTEXT] -= origin + now[STEP] + 1
    ring_drop(x, r, slot)


@compiled
def give_back(x, k, r, slot, tokens):
    """The blocks of the slot's first `tokens`."""
    if k.by_block:
        pool.release(x, r, slot)
    else:
        x.now[r, FREE] += blocks(tokens, k.block_size)


@compiled
def decodes(x, r, slot):
    return slot != x.now[r, PARTIAL] and x.slots[r, slot].leaving == 0


@compiled
def known(x, k, r, slot, computed):
    """Tokens that are known when a decoding step is chosen. Who chooses ahead has not seen the one it is to compute,
    unless the request was left out of the step under way."""
    return computed + 1 - (k.ahead and x.slots[r, slot].late_ps < 0)


@compiled
def is_yielding(x, r, slot):
    for place in range(x.now[r, YIELDS]):  # noqa: SIM110 (no generators in the kernel)
        if x.slots[r, place].yields == slot:
            return True
    return False
