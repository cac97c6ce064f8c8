"""A replica in the compiled mode: the plain mode's decisions, many steps at a time.

Idea: between arrivals, finishes and prompts nothing changes but the context lengths. So a run of steps that only decode
is one jump: its length is bounded by the next finish and by the free blocks, its time is a sum of straight lines
(steptable.py), and an arrival in its middle cuts it after the step under way. What a step with prompts or preemptions
carries is decided when it begins (`begin`) and takes effect when it ends (`complete`), as in replica.py.
All times are whole picoseconds, so the results are those of the plain mode to the last bit.
"""

from __future__ import annotations

from infrascale.serving.simulation import handover, pool, queues, running, shortage
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.jumps import count_gaps, count_jump_gaps, jump_ps, steps_until, stretch
from infrascale.serving.simulation.state import (
    ASIDE,
    CLOCK,
    CONTEXT,
    DECODING,
    DONE,
    END,
    FREE,
    HEAD,
    HELD_BACK,
    JUMP,
    LATE,
    LEAVING,
    MOVES,
    NEXT_FINISH,
    PARTIAL,
    READY_HEAD,
    RISE,
    RUNNING,
    SEEN,
    STEP,
    WAITING,
    YIELDS,
)
from infrascale.serving.simulation.steptable import step_ps


@compiled
def _finish(q, x, k, r, slot):
    """The whole answer is there."""
    now = x.now[r]
    i = x.slots[r, slot].request
    q[i].generated = q[i].osl
    q[i].last_ps = now[CLOCK]
    x.slots[r, now[DONE]].done = i
    now[DONE] += 1
    x.slots[r, slot].lent = k.keeps
    if k.ahead:
        x.slots[r, slot].leaving = 1
        x.slots[r, now[LEAVING]].leaves = slot
        now[LEAVING] += 1
    else:
        _free(q, x, k, r, slot)
    if k.keeps:
        q[i].child = slot


@compiled
def _free(q, x, k, r, slot):
    """Its place; and its blocks, unless its cache is still to move."""
    i = x.slots[r, slot].request
    if x.slots[r, slot].lent == 1:
        running.step_out(x, r, slot)
    else:
        running.give_back(x, k, r, slot, q[i].isl + q[i].osl - 1)
        running.leave(x, r, slot)


@compiled
def _leave(q, x, k, r):
    """Free what was held by those whose last token came before the step that has just ended: it was chosen without
    knowing that they were done."""
    now = x.now[r]
    for place in range(now[LEAVING]):
        slot = x.slots[r, place].leaves
        if x.slots[r, slot].leaving == 0:
            continue  # preempted in the meantime
        i = x.slots[r, slot].request
        tokens = q[i].isl + q[i].osl - 1
        if k.by_block:
            pool.hold(q, x, k, r, slot, tokens, tokens)
        _free(q, x, k, r, slot)
        x.slots[r, slot].leaving = 0
    now[LEAVING] = 0


@compiled
def begin(q, x, k, t, r):
    """Choose what runs from CLOCK on, and until when. Needs someone running or waiting. 1: the cache blocks matter.

    They do when one is preempted: what it finds again of its own depends on which blocks were taken since.
    """
    found = _begin(q, x, k, t, r)
    queues.step_back(q, x, k, r)
    return found


@compiled
def _begin(q, x, k, t, r):
    now = x.now[r]
    now[YIELDS] = now[HELD_BACK] = now[MOVES] = 0
    if not k.ahead or now[RUNNING] == 0:
        now[SEEN] = now[CLOCK]
    if k.keeps:
        handover.take_back(q, x, k, r)
    decoding = now[DECODING]
    need = x.phase[r, (-now[STEP]) % k.block_size]
    if decoding > 0 and now[PARTIAL] == -1 and now[LATE] == 0 and need <= now[FREE]:
        room = now[RUNNING] < k.max_num_seqs and decoding < k.budget
        comes = room and k.fetches and now[READY_HEAD] != -1
        door_open = room and now[WAITING] > 0
        unseen = door_open and not queues.someone_is_seen(q, x, k, r)
        if door_open and not unseen and not k.by_block:
            i = queues.first(x, k, r)
            door_open = running.blocks(q[i].isl + q[i].generated, k.block_size) <= now[FREE] - need
        if (not door_open or unseen) and not (comes and handover.is_seen(x, r)):
            steps = 1  # whoever is not seen yet, or still holds a place, matters to the next
            if not unseen and not comes and now[LEAVING] == 0 and now[ASIDE] == -1:
                steps = min(now[NEXT_FINISH] - now[STEP], _steps_that_fit(x, k, r))
            now[JUMP] = steps
            now[END] = now[CLOCK] + jump_ps(t, decoding, now[CONTEXT], steps)
            return 0
    return _begin_mixed(q, x, k, t, r, need)


@compiled
def _steps_that_fit(x, k, r):
    """Steps of decoding alone that the free blocks allow."""
    now = x.now[r]
    cycles = now[FREE] // now[DECODING]
    steps = cycles * k.block_size
    left = now[FREE] - cycles * now[DECODING]
    while True:
        left -= x.phase[r, (-now[STEP] - steps) % k.block_size]
        if left < 0:
            return steps
        steps += 1


@compiled
def _begin_mixed(q, x, k, t, r, need):
    now = x.now[r]
    budget = k.budget
    partial, chunk, more = now[PARTIAL], 0, 0
    if partial != -1:
        i = x.slots[r, partial].request
        computed = x.slots[r, partial].origin
        chunk = min(q[i].isl + q[i].generated - computed, budget - now[DECODING])
        more = running.blocks(computed + chunk, k.block_size) - running.blocks(computed, k.block_size)
    left_out_context = 0
    load = (0, 0, 0, 0, 0)  # prompt tokens, prompts, doubled query-key pairs, late decodes, their context
    if need + more > now[FREE]:
        if k.caching and not k.by_block:
            return 1
        chunk, left_out_context = shortage.squeeze(q, x, k, r)
        partial = now[PARTIAL]
        budget = 0
    else:
        if k.by_block:
            _hold_decoding(q, x, k, r)
        else:
            now[FREE] -= need
        budget -= now[DECODING] + chunk
    now[RISE] = now[DECODING] - now[HELD_BACK]
    context = now[CONTEXT] - left_out_context
    if partial != -1 and chunk > 0:
        load = _carry(q, x, k, r, partial, chunk, load)
    while budget > 0 and now[RUNNING] < k.max_num_seqs:
        if k.fetches and handover.is_seen(x, r):
            slot, chunk = _let_in(q, x, r), 1
        elif queues.someone_is_seen(q, x, k, r):
            i = queues.first(x, k, r)
            if k.fetches and q[i].preemptions == 0:
                if not handover.fetch(q, x, k, r, i):
                    break
                continue
            slot, chunk = _admit(q, x, k, r, budget)
        else:
            break
        if slot == -1:
            break
        load = _carry(q, x, k, r, slot, chunk, load)
        budget -= chunk
    tokens, prompts, doubled, late, late_context = load
    past = 0.0
    if tokens:
        past = max(0.0, doubled / (2 * tokens) - tokens / (2 * prompts))
    now[JUMP] = 0
    seqs = now[RISE] + late
    if tokens + seqs > 0:
        now[END] = now[CLOCK] + step_ps(t, tokens, prompts, past, seqs, context + late_context)
    else:
        now[END] = now[CLOCK]
    return 0


@compiled
def _hold_decoding(q, x, k, r):
    """This step's block for every decoding sequence, in order; blocks that this step fills become findable."""
    now = x.now[r]
    step, size = now[STEP], k.block_size
    if x.phase[r, (-step) % size] == 0 and x.phase[r, (-step - 1) % size] == 0:
        return
    slot = now[HEAD]
    while slot != -1:
        if running.decodes(x, r, slot):
            computed = x.slots[r, slot].origin + step
            if computed % size == 0 or (computed + 1) % size == 0:
                pool.hold(q, x, k, r, slot, computed + 1, running.known(x, k, r, slot, computed))
        slot = x.slots[r, slot].after


@compiled
def _admit(q, x, k, r, budget):
    """Let in the first who waits if all its known tokens fit: its slot and first chunk, or −1."""
    now = x.now[r]
    i = queues.first(x, k, r)
    tokens = q[i].isl + q[i].generated
    hits, idle = handover.hits_of(q, x, k, r, i, tokens)
    if running.blocks(tokens, k.block_size) - hits + idle > now[FREE]:
        return -1, 0
    queues.pop(q, x, k, r)
    slot = running.take_slot(x, r, i)
    running.enter(x, r, slot)
    past = hits * k.block_size
    if q[i].preemptions == 0:
        q[i].hit_tokens = past
        past = max(past, min(q[i].loaded, tokens - 1))
    chunk = min(tokens - past, budget)
    if k.by_block:
        handover.share(q, x, r, slot, hits)
    x.slots[r, slot].origin = past
    if not k.by_block:
        now[FREE] -= running.blocks(past + chunk, k.block_size)
    return slot, chunk


@compiled
def _let_in(q, x, r):
    """One whose cache has come: all but its prompt's last token is there."""
    slot = handover.next_ready(x, r)
    running.enter(x, r, slot)
    x.slots[r, slot].origin = q[x.slots[r, slot].request].isl - 1
    return slot


@compiled
def _carry(q, x, k, r, slot, chunk, load):
    """Put a prompt's chunk into the step."""
    now = x.now[r]
    tokens, prompts, doubled, late, late_context = load
    i = x.slots[r, slot].request
    known = q[i].isl + q[i].generated
    past = x.slots[r, slot].origin
    if k.by_block:
        pool.hold(q, x, k, r, slot, past + chunk, known)
    elif slot == now[PARTIAL] and x.slots[r, slot].turn != now[STEP]:
        now[FREE] -= running.blocks(past + chunk, k.block_size) - running.blocks(past, k.block_size)
    x.slots[r, slot].origin = past + chunk
    if past + chunk < known:
        now[PARTIAL] = slot
    else:
        if slot == now[PARTIAL]:
            now[PARTIAL] = -1
        x.slots[r, now[YIELDS]].yields = slot
        now[YIELDS] += 1
        if chunk == 1 and q[i].generated > 0:
            return tokens, prompts, doubled, late + 1, late_context + past + 1
    return tokens + chunk, prompts + 1, doubled + chunk * (2 * past + chunk), late, late_context


@compiled
def interrupt(x, k, t, r, at_ps, joins):
    """Someone arrives, or `joins` with a cache: a jump ends with the step under way, if that can be of use to who
    comes."""
    now = x.now[r]
    behind = now[WAITING] > 0 and not k.by_priority and not k.by_block and not joins
    useless = now[RUNNING] >= k.max_num_seqs or behind
    if now[JUMP] > 0 and now[END] > at_ps and not useless:
        steps, span = steps_until(t, now[DECODING], now[CONTEXT], at_ps - now[CLOCK])
        now[JUMP] = steps
        now[END] = now[CLOCK] + span


@compiled
def complete(q, x, k, t, r):
    """What was under way has ended: tokens are there, the finished leave."""
    now = x.now[r]
    now[DONE] = 0
    jump, span = now[JUMP], now[END] - now[CLOCK]
    if jump == -1:
        now[CLOCK] = now[END]
        return
    x.busy[r, 0] += now[RUNNING] * (span * 1e-12)
    x.busy[r, 1] += span * 1e-12
    now[SEEN] = now[CLOCK]
    if jump > 0:
        _, last, _ = stretch(t, now[DECODING], now[CONTEXT] + now[DECODING] * (jump - 1), 1)
        now[SEEN] = now[END] - last
        _end_jump(q, x, k, t, r, jump)
    else:
        _end_mixed(x, k, r, span)
    now[CLOCK] = now[END]
    _leave(q, x, k, r)
    if now[NEXT_FINISH] == now[STEP]:
        _finish_answers(q, x, k, r)
    for place in range(now[YIELDS]):
        _yield_token(q, x, k, r, x.slots[r, place].yields)
    now[YIELDS] = 0


@compiled
def _end_jump(q, x, k, t, r, steps):
    now = x.now[r]
    decoding = now[DECODING]
    count_jump_gaps(x, r, t, decoding, now[CONTEXT], steps)
    if k.by_block:
        for _ in range(steps):
            _hold_decoding(q, x, k, r)
            now[STEP] += 1
    else:
        now[FREE] -= blocks_needed(x, k, r, steps)
        now[STEP] += steps
    now[CONTEXT] += decoding * steps


@compiled
def blocks_needed(x, k, r, steps):
    """Blocks that these many steps of decoding alone take."""
    now = x.now[r]
    needed = steps // k.block_size * now[DECODING]
    for j in range(steps % k.block_size):
        needed += x.phase[r, (-now[STEP] - j) % k.block_size]
    return needed


@compiled
def _end_mixed(x, k, r, span):
    now = x.now[r]
    gaps = now[RISE]
    if now[LATE] > now[HELD_BACK] or now[HELD_BACK] > 0:
        gaps -= shortage.settle_late(x, k, r)
    if now[HELD_BACK] > 0:
        running.seek_finish(x, r)
    now[STEP] += 1
    now[CONTEXT] += now[RISE]
    if gaps > 0:
        count_gaps(x, r, span, gaps)


@compiled
def _finish_answers(q, x, k, r):
    """Everyone whose last token came with this step, in order of admission."""
    now = x.now[r]
    at = now[STEP] & (x.ring.shape[1] - 1)
    if k.by_block:
        slot = now[HEAD]
        while slot != -1 and x.ring[r, at] != -1:
            following = x.slots[r, slot].after
            ends = x.slots[r, slot].finish == now[STEP] and running.decodes(x, r, slot)
            if ends and not running.is_yielding(x, r, slot):
                running.stop_decoding(x, k, r, slot)
                _finish(q, x, k, r, slot)
            slot = following
    else:
        while x.ring[r, at] != -1:
            slot = x.ring[r, at]
            running.stop_decoding(x, k, r, slot)
            _finish(q, x, k, r, slot)
    running.seek_finish(x, r)


@compiled
def _yield_token(q, x, k, r, slot):
    """The step that ended computed the last of this request's known tokens: one more is there."""
    now = x.now[r]
    i = x.slots[r, slot].request
    q[i].generated += 1
    if q[i].first_ps < 0:
        q[i].first_ps = now[CLOCK]
    else:
        count_gaps(x, r, now[CLOCK] - q[i].last_ps, 1)
    q[i].last_ps = now[CLOCK]
    if q[i].generated >= q[i].osl:
        _finish(q, x, k, r, slot)
    else:
        running.start_decoding(q, x, k, r, slot)
