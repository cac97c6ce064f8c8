"""Many replicas on one clock, compiled: arrivals in order of time, each to the replica that the router names.

Idea: the next thing that happens is the earliest of an arrival, the end of what a replica has under way, a replica's
death or birth, the autoscaler's turn, and a look at the state for a plot. Those who ask again after an answer (turns of
a conversation, users in a closed loop) stand in a heap until their time. A dead replica loses what it had: those
requests arrive again.
"""

from __future__ import annotations

from infrascale.serving.simulation import fast, jumps, queues
from infrascale.serving.simulation.autoscaling import scale
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import (
    ALIVE,
    ASIDE,
    CLOCK,
    CONTEXT,
    DECODING,
    DONE,
    END,
    FREE,
    HEAD,
    JUMP,
    MOVING,
    NEVER,
    NEXT_FINISH,
    PARTIAL,
    QUEUE_HEAD,
    QUEUE_TAIL,
    ROOT,
    RUNNING,
    SPARE,
    TAIL,
    WAITING,
)


@compiled
def push(times, who, size, at_ps, i):
    place = size
    while place > 0:
        parent = (place - 1) // 2
        if times[parent] < at_ps or (times[parent] == at_ps and who[parent] < i):
            break
        times[place], who[place] = times[parent], who[parent]
        place = parent
    times[place], who[place] = at_ps, i
    return size + 1


@compiled
def pop(times, who, size):
    size -= 1
    at_ps, i = times[size], who[size]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        right = child + 1
        if right < size and (times[right] < times[child] or (times[right] == times[child] and who[right] < who[child])):
            child = right
        if at_ps < times[child] or (at_ps == times[child] and i < who[child]):
            break
        times[place], who[place] = times[child], who[child]
        place = child
    times[place], who[place] = at_ps, i
    return size


@compiled
def earliest(x):
    best = 0
    for r in range(1, x.now.shape[0]):
        if x.now[r, END] < x.now[best, END]:
            best = r
    return best


@compiled
def arrive(q, x, k, t, r, i, at_ps):
    q[i].replica = r
    now = x.now[r]
    fast.interrupt(x, k, t, r, at_ps, False)
    queues.add(q, x, k, r, i)
    if now[END] == NEVER:
        now[JUMP] = -1
        now[END] = max(at_ps, now[CLOCK])


@compiled
def look(q, x, k, t, at_ps, series, tick, blocks):
    """Running, waiting, used cache blocks, and who is alive, of every replica at this moment."""
    for r in range(x.now.shape[0]):
        now = x.now[r]
        used = blocks - now[FREE]
        if now[JUMP] > 0 and now[END] != NEVER and at_ps > now[CLOCK]:
            steps = now[JUMP]
            if at_ps < now[END]:
                steps, _ = jumps.steps_until(t, now[DECODING], now[CONTEXT], at_ps - now[CLOCK])
            used += fast.blocks_needed(x, k, r, steps)
        series[tick, r, 0] = now[RUNNING]
        series[tick, r, 1] = now[WAITING] + now[MOVING]
        series[tick, r, 2] = used
        series[tick, r, 3] = now[ALIVE]


@compiled
def _lose(q, x, k, r, blocks, lost):
    """A replica dies: its memory is empty. Who ran or waited there, in `lost`."""
    now = x.now[r]
    count = 0
    slot = now[HEAD]
    while slot != -1:
        lost[count] = x.slots[r, slot].request
        count += x.slots[r, slot].leaving == 0
        slot = x.slots[r, slot].after
    while now[WAITING] > 0:
        lost[count] = queues.pop(q, x, k, r)
        count += 1
    _wipe(x, r, blocks)
    for j in range(count):
        i = lost[j]
        q[i].generated = 0
        q[i].first_ps = -1
        q[i].last_ps = -1
        q[i].hit_tokens = 0
    return count


@compiled
def _wipe(x, r, blocks):
    """As on its first day, but for its clock, and dead."""
    now = x.now[r]
    clock, slots, last = now[CLOCK], x.slots.shape[1], x.pool.shape[1] - 1
    now[:] = 0
    now[CLOCK], now[FREE], now[SPARE] = clock, blocks, slots
    now[END] = now[NEXT_FINISH] = NEVER
    now[HEAD] = now[TAIL] = now[PARTIAL] = now[QUEUE_HEAD] = now[QUEUE_TAIL] = now[ROOT] = now[ASIDE] = -1
    for slot in range(slots):
        x.slots[r, slot].spare = slots - 1 - slot
        x.slots[r, slot].held = x.slots[r, slot].published = 0
        x.slots[r, slot].turn = -1
        x.slots[r, slot].leaving = 0
    x.ring[r, :] = -1
    x.phase[r, :] = 0
    for seat in range(x.seats.shape[1]):
        x.seats[r, seat].key = -1
    for block in range(last + 1):
        x.pool[r, block].users = 0
        x.pool[r, block].key = -1
        x.pool[r, block].newer = block + 1 if block < last else 0
        x.pool[r, block].older = block - 1 if block > 0 else last


@compiled
def drive(
    q, x, k, t, order, route, event_ps, event_replica, event_alive, scaler, birth_ps, tick_ps, series, heap_ps, heap_i,
    lost, blocks, watch,
):  # fmt: skip
    """Everything until the last answer. `order`: requests that come of themselves, by time of arrival. `route`: one of
    routing.py's functions, which this one's cache on disk holds: who changes that file touches this one too. The number
    of requests that arrived again because their replica died; −1: cache blocks must be followed one by one.
    `watch`: arrivals so far, for who looks on from another thread; and not 0 once that one wants it to end."""
    coming, waiting_heap, turn, event, tick, again = 0, 0, 0, 0, 0, 0
    scale_ps = 0 if scaler.shape[0] else NEVER
    while True:
        arrival = q[order[coming]].arrival_ps if coming < order.shape[0] else NEVER
        asks_again = heap_ps[0] if waiting_heap > 0 else NEVER
        r = earliest(x)
        end = x.now[r, END]
        change = event_ps[event] if event < event_ps.shape[0] else NEVER
        someone = min(arrival, asks_again)
        if (someone == NEVER and end == NEVER) or watch[1] != 0:
            for left in range(tick, tick_ps.shape[0]):
                look(q, x, k, t, tick_ps[left], series, left, blocks)
            break
        now_ps = min(min(someone, end), change)
        if scale_ps <= now_ps:
            scale(x, scaler, birth_ps, scale_ps)
            scale_ps += scaler[0]
        elif tick < tick_ps.shape[0] and tick_ps[tick] < now_ps:
            look(q, x, k, t, tick_ps[tick], series, tick, blocks)
            tick += 1
        elif change <= min(someone, end):
            one = event_replica[event]
            if event_alive[event] == 1:
                x.now[one, ALIVE] = 1
                x.now[one, CLOCK] = max(x.now[one, CLOCK], change)
            elif x.now[one, ALIVE] == 1:
                count = _lose(q, x, k, one, blocks, lost)
                again += count
                for j in range(count):
                    waiting_heap = push(heap_ps, heap_i, waiting_heap, change, lost[j])
            event += 1
        elif someone <= end:
            if arrival <= asks_again:
                i = order[coming]
                coming += 1
            else:
                i = heap_i[0]
                waiting_heap = pop(heap_ps, heap_i, waiting_heap)
            chosen = route(q, x, i, turn)
            turn += 1
            watch[0] = turn
            if chosen == -1:  # nobody is alive: at the gate until something changes
                waiting_heap = push(heap_ps, heap_i, waiting_heap, change, i)
            else:
                arrive(q, x, k, t, chosen, i, someone)
        else:
            fast.complete(q, x, k, t, r)
            now = x.now[r]
            for place in range(now[DONE]):
                j = q[x.slots[r, place].done].follows
                if j != -1:
                    at_ps = end + q[x.slots[r, place].done].think_ps
                    q[j].arrival_ps = at_ps
                    waiting_heap = push(heap_ps, heap_i, waiting_heap, at_ps, j)
            if now[RUNNING] + now[WAITING] == 0:
                now[END], now[JUMP] = NEVER, 0
            elif min(arrival, heap_ps[0] if waiting_heap > 0 else NEVER) <= end:
                now[JUMP] = -1  # whoever arrives at this very moment is seen
            elif fast.begin(q, x, k, t, r) == 1:
                return -1
    return again
