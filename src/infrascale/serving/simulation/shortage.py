"""When cache blocks run out in a compiled replica: who is preempted, who is left out of a step, who makes up."""

from __future__ import annotations

from infrascale.serving.simulation import pool, queues, running
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.jumps import count_gaps
from infrascale.serving.simulation.state import (
    CLOCK,
    DECODING,
    END,
    FREE,
    HEAD,
    HELD_BACK,
    LATE,
    PARTIAL,
    STEP,
    TAIL,
)


@compiled
def preempt(q, x, k, r, slot):
    now = x.now[r]
    i = x.slots[r, slot].request
    if x.slots[r, slot].leaving == 1:  # it is answered all the same
        running.give_back(x, k, r, slot, q[i].isl + q[i].osl - 1)
        running.leave(x, r, slot)
        x.slots[r, slot].leaving = 0
        q[i].preemptions += 1
        return
    if slot == now[PARTIAL]:
        running.give_back(x, k, r, slot, x.slots[r, slot].origin)
        now[PARTIAL] = -1
    else:
        computed = x.slots[r, slot].origin + now[STEP]
        q[i].generated = computed + 1 - q[i].isl
        q[i].last_ps = x.slots[r, slot].late_ps if x.slots[r, slot].late_ps >= 0 else now[CLOCK]
        dealt_with = x.slots[r, slot].turn == now[STEP]
        running.give_back(x, k, r, slot, computed + dealt_with)
        running.stop_decoding(x, k, r, slot)
    running.leave(x, r, slot)
    q[i].preemptions += 1
    queues.put_back(q, x, k, r, i)


@compiled
def _victim(q, x, k, r):
    """The last admitted; by priority the least urgent, the latest of those, the first admitted of those."""
    now = x.now[r]
    if not k.by_priority:
        return now[TAIL]
    worst, slot = now[HEAD], x.slots[r, now[HEAD]].after
    while slot != -1:
        a, b = x.slots[r, slot].request, x.slots[r, worst].request
        if q[a].priority > q[b].priority or (q[a].priority == q[b].priority and q[a].arrival_ps > q[b].arrival_ps):
            worst = slot
        slot = x.slots[r, slot].after
    return worst


@compiled
def squeeze(q, x, k, r):
    """Blocks for those who run while they are short: one by one, preempting. The chunk of the partial prompt, and the
    context of those who were left out because the step ended at a request that preempted itself."""
    now = x.now[r]
    budget, chunk = k.budget, 0
    slot = now[HEAD]
    while slot != -1 and budget > 0:
        if x.slots[r, slot].leaving == 1:
            slot = x.slots[r, slot].after
            continue
        i = x.slots[r, slot].request
        is_partial = slot == now[PARTIAL]
        computed = x.slots[r, slot].origin + (0 if is_partial else now[STEP])
        tokens = min(q[i].isl + q[i].generated - computed, budget) if is_partial else 1
        more = running.blocks(computed + tokens, k.block_size) - running.blocks(computed, k.block_size)
        itself = False
        while more > now[FREE] and not itself:
            victim = _victim(q, x, k, r)
            itself = victim == slot
            budget += x.slots[r, victim].turn == now[STEP]
            following = x.slots[r, slot].after
            preempt(q, x, k, r, victim)
        if itself:
            slot = following
            break
        if k.by_block:
            known = q[i].isl + q[i].generated if is_partial else running.known(x, k, r, slot, computed)
            pool.hold(q, x, k, r, slot, computed + tokens, known)
        else:
            now[FREE] -= more
        x.slots[r, slot].turn = now[STEP]
        chunk = tokens if is_partial else chunk
        budget -= tokens
        slot = x.slots[r, slot].after
    return chunk, _hold_back(q, x, k, r, slot)


@compiled
def _hold_back(q, x, k, r, slot):
    """Leave out of this step whoever runs from `slot` on. The context they would have read."""
    now = x.now[r]
    context = 0
    while slot != -1:
        if running.decodes(x, r, slot):
            computed = x.slots[r, slot].origin + now[STEP]
            context += computed + 1
            if k.by_block:
                pool.hold(q, x, k, r, slot, computed, computed)
            now[HELD_BACK] += 1
            if x.slots[r, slot].late_ps < 0:
                x.slots[r, slot].late_ps = now[CLOCK]
                now[LATE] += 1
        slot = x.slots[r, slot].after
    return context


@compiled
def settle_late(x, k, r):
    """Those left out of this step move one step on; those left out before and not now close a longer gap."""
    now = x.now[r]
    size = k.block_size
    closed = 0
    slot, left_out = now[HEAD], 0
    # the left out are the last of those who decode
    behind = now[DECODING] - now[HELD_BACK]
    while slot != -1:
        following = x.slots[r, slot].after
        if running.decodes(x, r, slot) and not running.is_yielding(x, r, slot):
            if left_out >= behind:
                origin = x.slots[r, slot].origin
                x.phase[r, origin % size] -= 1
                x.phase[r, (origin - 1) % size] += 1
                x.slots[r, slot].origin = origin - 1
                running.ring_drop(x, r, slot)
                running.ring_put(x, r, slot, x.slots[r, slot].finish + 1)
            elif x.slots[r, slot].late_ps >= 0:
                count_gaps(x, r, now[END] - x.slots[r, slot].late_ps, 1)
                x.slots[r, slot].late_ps = -1
                now[LATE] -= 1
                closed += 1
            left_out += 1
        slot = following
    return closed
