"""Prefill and decode engines on one clock, compiled.

Idea: what happens next is the earliest of an arrival, a passage between the pools, the end of what a prefill or a
decode engine has under way, and a look at the state; at one moment in this order. A prompt that is read is handed over
(`handing_ps`) to the door of a decode engine. There it is let in as handover.py says, its cache moves over one of its
prefill engine's links, first come first served, and it joins those who run.
"""

from __future__ import annotations

from infrascale.serving.simulation import drive, fast, handover
from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import CLOCK, DONE, END, JUMP, MOVES, NEVER, RUNNING, WAITING


@compiled
def _wake(x, r, at_ps):
    now = x.now[r]
    if now[END] == NEVER:
        now[JUMP] = -1
        now[END] = max(at_ps, now[CLOCK])


@compiled
def _go_on(q, x, k, t, r):
    """Choose the next step, or sleep until something comes. 1: cache blocks must be followed one by one."""
    now = x.now[r]
    now[MOVES] = 0
    nobody = now[RUNNING] == 0
    found = 0
    if now[RUNNING] + now[WAITING] + (k.fetches and handover.is_there(x, r)) > 0:
        found = fast.begin(q, x, k, t, r)
        nobody = nobody and now[RUNNING] == 0
    if nobody:
        now[END], now[JUMP] = NEVER, 0
    return found


@compiled
def _moved_ps(p, d, links, moving_ps, i, at_ps):
    """When the cache of request i has moved, but for what is there: over the link of its engine that is free first."""
    own = links[p[i].replica]
    link = 0
    for one in range(1, own.shape[0]):
        if own[one] < own[link]:
            link = one
    share = (p[i].isl - d[i].hit_tokens) / p[i].isl
    own[link] = max(at_ps, own[link]) + int(moving_ps[i] * share)
    return own[link]


@compiled
def drive_pools(
    p, d, x, y, kx, ky, t, order, route, handing_ps, moving_ps, links, tick_ps, prompts, answers, heap_ps, heap_i,
    passage_ps, passage_i, blocks, watch,
):  # fmt: skip
    """Everything until the last answer: `p` at the prefill engines `x`, `d` the same requests at the decode engines
    `y`. `links`: when each of an engine's is free. `prompts`, `answers`: the state of both at `tick_ps`. `passage_i`:
    twice the request, and one if its cache has moved. 0; −1: cache blocks must be followed one by one."""
    coming, waiting_heap, passing, turn, handed, tick = 0, 0, 0, 0, 0, 0
    while True:
        arrival = p[order[coming]].arrival_ps if coming < order.shape[0] else NEVER
        someone = min(arrival, heap_ps[0] if waiting_heap > 0 else NEVER)
        passage = passage_ps[0] if passing > 0 else NEVER
        rx, ry = drive.earliest(x), drive.earliest(y)
        now_ps = min(min(someone, passage), min(x.now[rx, END], y.now[ry, END]))
        if now_ps == NEVER or watch[1] != 0:
            for left in range(tick, tick_ps.shape[0]):
                drive.look(p, x, kx, t, tick_ps[left], prompts, left, blocks)
                drive.look(d, y, ky, t, tick_ps[left], answers, left, blocks)
            return 0
        if tick < tick_ps.shape[0] and tick_ps[tick] < now_ps:
            drive.look(p, x, kx, t, tick_ps[tick], prompts, tick, blocks)
            drive.look(d, y, ky, t, tick_ps[tick], answers, tick, blocks)
            tick += 1
        elif someone == now_ps:
            if arrival == someone:
                i = order[coming]
                coming += 1
            else:
                i = heap_i[0]
                waiting_heap = drive.pop(heap_ps, heap_i, waiting_heap)
            drive.arrive(p, x, kx, t, route(p, x, i, turn), i, someone)
            turn += 1
            watch[0] = turn
        elif passage == now_ps:
            i, has_moved = passage_i[0] // 2, passage_i[0] % 2
            passing = drive.pop(passage_ps, passage_i, passing)
            if has_moved:
                handover.release(p, x, p[i].replica, i, passage)
                if x.now[p[i].replica, WAITING] > 0:
                    _wake(x, p[i].replica, passage)
                fast.interrupt(y, ky, t, d[i].replica, passage, True)
                handover.join(d, y, d[i].replica, i, passage)
                _wake(y, d[i].replica, passage)
            else:
                d[i].arrival_ps = passage
                drive.arrive(d, y, ky, t, route(d, y, i, handed), i, passage)
                handed += 1
        elif x.now[rx, END] == now_ps:
            fast.complete(p, x, kx, t, rx)
            for place in range(x.now[rx, DONE]):
                i = x.slots[rx, place].done
                passing = drive.push(passage_ps, passage_i, passing, now_ps + handing_ps, 2 * i)
            if min(someone, passage_ps[0] if passing > 0 else NEVER) <= now_ps:
                x.now[rx, JUMP] = -1  # whoever comes at this very moment is seen
            elif _go_on(p, x, kx, t, rx) == 1:
                return -1
        else:
            fast.complete(d, y, ky, t, ry)
            for place in range(y.now[ry, DONE]):
                i = y.slots[ry, place].done
                j = p[i].follows
                if j != -1:
                    p[j].arrival_ps = now_ps + p[i].think_ps
                    waiting_heap = drive.push(heap_ps, heap_i, waiting_heap, p[j].arrival_ps, j)
            if min(min(arrival, heap_ps[0] if waiting_heap > 0 else NEVER), passage) <= now_ps:
                y.now[ry, JUMP] = -1
            elif _go_on(d, y, ky, t, ry) == 1:
                return -1
            for place in range(y.now[ry, MOVES]):
                i = y.slots[ry, y.slots[ry, place].moves].request
                at_ps = _moved_ps(p, d, links, moving_ps, i, now_ps)
                passing = drive.push(passage_ps, passage_i, passing, at_ps, 2 * i + 1)
            y.now[ry, MOVES] = 0
