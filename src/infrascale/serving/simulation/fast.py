"""A replica in the compiled mode: the plain mode's decisions, many steps at a time.

Idea: between arrivals, finishes and prompts nothing changes but the context lengths. So a run of steps that only decode
is one jump: its length is bounded by the next finish and by the free blocks, its time is a sum of straight lines
(steptable.py), and an arrival in its middle cuts it after the step under way. What a step with prompts or preemptions
carries is decided when it begins (`begin`) and takes effect when it ends (`complete`), as in replica.py.
All times are whole picoseconds, so the results are those of the plain mode to the last bit.
"""

from __future__ import annotations

from infrascale.serving.simulation import pool, queues
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
    NEVER,
    NEXT_FINISH,
    PARTIAL,
    RISE,
    RUNNING,
    SEEN,
    SPARE,
    STEP,
    TAIL,
    WAITING,
    YIELDS,
)
from infrascale.serving.simulation.steptable import step_ps


@compiled
def _blocks(tokens, size):
    return (tokens + size - 1) // size


# --- who runs -------------------------------------------------------------------------------------------------------


@compiled
def _enter(x, r, i):
    """A slot at the end of the running."""
    now = x.now[r]
    now[SPARE] -= 1
    slot = x.slots[r, now[SPARE]].spare
    x.slots[r, slot].request = i
    x.slots[r, slot].before = now[TAIL]
    x.slots[r, slot].after = -1
    if now[TAIL] == -1:
        now[HEAD] = slot
    else:
        x.slots[r, now[TAIL]].after = slot
    now[TAIL] = slot
    now[RUNNING] += 1
    x.slots[r, slot].late_ps = -1
    return slot


@compiled
def _exit(x, r, slot):
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
    x.slots[r, now[SPARE]].spare = slot
    now[SPARE] += 1
    now[RUNNING] -= 1
    if x.slots[r, slot].late_ps >= 0:
        now[LATE] -= 1


@compiled
def _ring_put(x, r, slot, finish):
    at = finish & (x.ring.shape[1] - 1)
    x.slots[r, slot].finish = finish
    x.slots[r, slot].same_finish = x.ring[r, at]
    x.ring[r, at] = slot
    x.now[r, NEXT_FINISH] = min(x.now[r, NEXT_FINISH], finish)


@compiled
def _ring_drop(x, r, slot):
    at = x.slots[r, slot].finish & (x.ring.shape[1] - 1)
    one = x.ring[r, at]
    if one == slot:
        x.ring[r, at] = x.slots[r, slot].same_finish
        return
    while x.slots[r, one].same_finish != slot:
        one = x.slots[r, one].same_finish
    x.slots[r, one].same_finish = x.slots[r, slot].same_finish


@compiled
def _seek_finish(x, r):
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
def _start_decoding(q, x, k, r, slot):
    """Its latest token came with the step that has just ended."""
    now = x.now[r]
    i = x.slots[r, slot].request
    computed = q[i].isl + q[i].generated - 1
    origin = computed - now[STEP]
    x.slots[r, slot].origin = origin
    x.phase[r, origin % k.block_size] += 1
    now[DECODING] += 1
    now[CONTEXT] += computed + 1
    _ring_put(x, r, slot, now[STEP] + q[i].osl - q[i].generated)


@compiled
def _stop_decoding(x, k, r, slot):
    now = x.now[r]
    origin = x.slots[r, slot].origin
    x.phase[r, origin % k.block_size] -= 1
    now[DECODING] -= 1
    now[CONTEXT] -= origin + now[STEP] + 1
    _ring_drop(x, r, slot)


@compiled
def _give_back(x, k, r, slot, tokens):
    """The blocks of the slot's first `tokens`."""
    if k.by_block:
        pool.release(x, r, slot)
    else:
        x.now[r, FREE] += _blocks(tokens, k.block_size)


@compiled
def _finish(q, x, k, r, slot):
    """The whole answer is there."""
    now = x.now[r]
    i = x.slots[r, slot].request
    q[i].generated = q[i].osl
    q[i].last_ps = now[CLOCK]
    x.slots[r, now[DONE]].done = i
    now[DONE] += 1
    if k.ahead:
        x.slots[r, slot].leaving = 1
        x.slots[r, now[LEAVING]].leaves = slot
        now[LEAVING] += 1
    else:
        _give_back(x, k, r, slot, q[i].isl + q[i].osl - 1)
        _exit(x, r, slot)


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
        _give_back(x, k, r, slot, tokens)
        _exit(x, r, slot)
        x.slots[r, slot].leaving = 0
    now[LEAVING] = 0


@compiled
def _preempt(q, x, k, r, slot):
    now = x.now[r]
    i = x.slots[r, slot].request
    if x.slots[r, slot].leaving == 1:  # it is answered all the same
        _give_back(x, k, r, slot, q[i].isl + q[i].osl - 1)
        _exit(x, r, slot)
        x.slots[r, slot].leaving = 0
        q[i].preemptions += 1
        return
    if slot == now[PARTIAL]:
        _give_back(x, k, r, slot, x.slots[r, slot].origin)
        now[PARTIAL] = -1
    else:
        computed = x.slots[r, slot].origin + now[STEP]
        q[i].generated = computed + 1 - q[i].isl
        q[i].last_ps = x.slots[r, slot].late_ps if x.slots[r, slot].late_ps >= 0 else now[CLOCK]
        dealt_with = x.slots[r, slot].turn == now[STEP]
        _give_back(x, k, r, slot, computed + dealt_with)
        _stop_decoding(x, k, r, slot)
    _exit(x, r, slot)
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


# --- one step -------------------------------------------------------------------------------------------------------


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
    now[YIELDS] = now[HELD_BACK] = 0
    if not k.ahead or now[RUNNING] == 0:
        now[SEEN] = now[CLOCK]
    decoding = now[DECODING]
    need = x.phase[r, (-now[STEP]) % k.block_size]
    if decoding > 0 and now[PARTIAL] == -1 and now[LATE] == 0 and need <= now[FREE]:
        door_open = now[WAITING] > 0 and now[RUNNING] < k.max_num_seqs and decoding < k.budget
        unseen = door_open and not queues.someone_is_seen(q, x, k, r)
        if door_open and not unseen and not k.by_block:
            i = queues.first(x, k, r)
            door_open = _blocks(q[i].isl + q[i].generated, k.block_size) <= now[FREE] - need
        if not door_open or unseen:
            steps = 1  # whoever is not seen yet, or still holds a place, matters to the next
            if not unseen and now[LEAVING] == 0 and now[ASIDE] == -1:
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
        more = _blocks(computed + chunk, k.block_size) - _blocks(computed, k.block_size)
    left_out_context = 0
    load = (0, 0, 0, 0, 0)  # prompt tokens, prompts, doubled query-key pairs, late decodes, their context
    if need + more > now[FREE]:
        if k.caching and not k.by_block:
            return 1
        chunk, left_out_context = _squeeze(q, x, k, r)
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
    while budget > 0 and now[RUNNING] < k.max_num_seqs and queues.someone_is_seen(q, x, k, r):
        slot, chunk = _admit(q, x, k, r, budget)
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
def _decodes(x, r, slot):
    return slot != x.now[r, PARTIAL] and x.slots[r, slot].leaving == 0


@compiled
def _known(x, k, r, slot, computed):
    """Tokens that are known when a decoding step is chosen. Who chooses ahead has not seen the one it is to compute,
    unless the request was left out of the step under way."""
    return computed + 1 - (k.ahead and x.slots[r, slot].late_ps < 0)


@compiled
def _hold_decoding(q, x, k, r):
    """This step's block for every decoding sequence, in order; blocks that this step fills become findable."""
    now = x.now[r]
    step, size = now[STEP], k.block_size
    if x.phase[r, (-step) % size] == 0 and x.phase[r, (-step - 1) % size] == 0:
        return
    slot = now[HEAD]
    while slot != -1:
        if _decodes(x, r, slot):
            computed = x.slots[r, slot].origin + step
            if computed % size == 0 or (computed + 1) % size == 0:
                pool.hold(q, x, k, r, slot, computed + 1, _known(x, k, r, slot, computed))
        slot = x.slots[r, slot].after


@compiled
def _squeeze(q, x, k, r):
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
        more = _blocks(computed + tokens, k.block_size) - _blocks(computed, k.block_size)
        itself = False
        while more > now[FREE] and not itself:
            victim = _victim(q, x, k, r)
            itself = victim == slot
            budget += x.slots[r, victim].turn == now[STEP]
            following = x.slots[r, slot].after
            _preempt(q, x, k, r, victim)
        if itself:
            slot = following
            break
        if k.by_block:
            known = q[i].isl + q[i].generated if is_partial else _known(x, k, r, slot, computed)
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
        if _decodes(x, r, slot):
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
def _admit(q, x, k, r, budget):
    """Let in the first who waits if all its known tokens fit: its slot and first chunk, or −1."""
    now = x.now[r]
    i = queues.first(x, k, r)
    tokens = q[i].isl + q[i].generated
    hits, idle = 0, 0
    if k.by_block and k.caching:
        while hits < (tokens - 1) // k.block_size:
            block = pool.find(x, r, pool.key_of(q, i, hits))
            if block == -1:
                break
            idle += x.pool[r, block].users == 0
            hits += 1
    if _blocks(tokens, k.block_size) - hits + idle > now[FREE]:
        return -1, 0
    queues.pop(q, x, k, r)
    slot = _enter(x, r, i)
    past = hits * k.block_size
    if q[i].preemptions == 0:
        q[i].hit_tokens = past
        past = max(past, min(q[i].loaded, tokens - 1))
    chunk = min(tokens - past, budget)
    if k.by_block:
        for place in range(hits):
            block = pool.find(x, r, pool.key_of(q, i, place))
            pool.share(x, r, block)
            x.blocks[r, slot, place] = block
        x.slots[r, slot].held = x.slots[r, slot].published = hits
    x.slots[r, slot].origin = past
    if not k.by_block:
        now[FREE] -= _blocks(past + chunk, k.block_size)
    return slot, chunk


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
        now[FREE] -= _blocks(past + chunk, k.block_size) - _blocks(past, k.block_size)
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


# --- its end --------------------------------------------------------------------------------------------------------


@compiled
def interrupt(x, k, t, r, at_ps):
    """Someone arrives: a jump under way ends with the step under way, if it can be of use to who arrives."""
    now = x.now[r]
    useless = now[RUNNING] >= k.max_num_seqs or (now[WAITING] > 0 and not k.by_priority and not k.by_block)
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
        gaps -= _settle_late(x, k, r)
    if now[HELD_BACK] > 0:
        _seek_finish(x, r)
    now[STEP] += 1
    now[CONTEXT] += now[RISE]
    if gaps > 0:
        count_gaps(x, r, span, gaps)


@compiled
def _settle_late(x, k, r):
    """Those left out of this step move one step on; those left out before and not now close a longer gap."""
    now = x.now[r]
    size = k.block_size
    closed = 0
    slot, left_out = now[HEAD], 0
    # the left out are the last of those who decode
    behind = now[DECODING] - now[HELD_BACK]
    while slot != -1:
        following = x.slots[r, slot].after
        if _decodes(x, r, slot) and not _is_yielding(x, r, slot):
            if left_out >= behind:
                origin = x.slots[r, slot].origin
                x.phase[r, origin % size] -= 1
                x.phase[r, (origin - 1) % size] += 1
                x.slots[r, slot].origin = origin - 1
                _ring_drop(x, r, slot)
                _ring_put(x, r, slot, x.slots[r, slot].finish + 1)
            elif x.slots[r, slot].late_ps >= 0:
                count_gaps(x, r, now[END] - x.slots[r, slot].late_ps, 1)
                x.slots[r, slot].late_ps = -1
                now[LATE] -= 1
                closed += 1
            left_out += 1
        slot = following
    return closed


@compiled
def _is_yielding(x, r, slot):
    for place in range(x.now[r, YIELDS]):  # noqa: SIM110 (no generators in the kernel)
        if x.slots[r, place].yields == slot:
            return True
    return False


@compiled
def _finish_answers(q, x, k, r):
    """Everyone whose last token came with this step, in order of admission."""
    now = x.now[r]
    at = now[STEP] & (x.ring.shape[1] - 1)
    if k.by_block:
        slot = now[HEAD]
        while slot != -1 and x.ring[r, at] != -1:
            following = x.slots[r, slot].after
            ends = x.slots[r, slot].finish == now[STEP] and _decodes(x, r, slot)
            if ends and not _is_yielding(x, r, slot):
                _stop_decoding(x, k, r, slot)
                _finish(q, x, k, r, slot)
            slot = following
    else:
        while x.ring[r, at] != -1:
            slot = x.ring[r, at]
            _stop_decoding(x, k, r, slot)
            _finish(q, x, k, r, slot)
    _seek_finish(x, r)


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
        _start_decoding(q, x, k, r, slot)
