"""Who waits, compiled: first come, first served with the preempted in front, or a heap by priority."""

from __future__ import annotations

from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import QUEUE_HEAD, QUEUE_TAIL, ROOT, STACK, WAITING


@compiled
def _goes_before(q, a, b):
    if q.priority[a] != q.priority[b]:
        return q.priority[a] < q.priority[b]
    if q.arrival_ps[a] != q.arrival_ps[b]:
        return q.arrival_ps[a] < q.arrival_ps[b]
    return a < b


@compiled
def _melt(q, a, b):
    """One pairing heap of two."""
    if a == -1:
        return b
    if b == -1:
        return a
    if _goes_before(q, b, a):
        a, b = b, a
    q.sibling[b] = q.child[a]
    q.child[a] = b
    return a


@compiled
def add(q, x, k, r, i):
    x.now[r, WAITING] += 1
    if k.by_priority:
        q.child[i] = -1
        q.sibling[i] = -1
        x.now[r, ROOT] = _melt(q, x.now[r, ROOT], i)
        return
    q.next_waiting[i] = -1
    if x.now[r, QUEUE_TAIL] == -1:
        x.now[r, QUEUE_HEAD] = i
    else:
        q.next_waiting[x.now[r, QUEUE_TAIL]] = i
    x.now[r, QUEUE_TAIL] = i


@compiled
def put_back(q, x, k, r, i):
    """A preempted request: in front of all, or where its priority puts it."""
    if k.by_priority:
        add(q, x, k, r, i)
    else:
        x.stack[r, x.now[r, STACK]] = i
        x.now[r, STACK] += 1
        x.now[r, WAITING] += 1


@compiled
def first(x, k, r):
    if k.by_priority:
        return x.now[r, ROOT]
    if x.now[r, STACK] > 0:
        return x.stack[r, x.now[r, STACK] - 1]
    return x.now[r, QUEUE_HEAD]


@compiled
def pop(q, x, k, r):
    x.now[r, WAITING] -= 1
    if k.by_priority:
        i = x.now[r, ROOT]
        pairs, one = -1, q.child[i]
        while one != -1:
            other = q.sibling[one]
            rest = q.sibling[other] if other != -1 else -1
            q.sibling[one] = -1
            if other != -1:
                q.sibling[other] = -1
            pair = _melt(q, one, other)
            q.sibling[pair] = pairs
            pairs, one = pair, rest
        root = -1
        while pairs != -1:
            rest = q.sibling[pairs]
            q.sibling[pairs] = -1
            root = _melt(q, root, pairs)
            pairs = rest
        x.now[r, ROOT] = root
        return i
    if x.now[r, STACK] > 0:
        x.now[r, STACK] -= 1
        return x.stack[r, x.now[r, STACK]]
    i = x.now[r, QUEUE_HEAD]
    x.now[r, QUEUE_HEAD] = q.next_waiting[i]
    if x.now[r, QUEUE_HEAD] == -1:
        x.now[r, QUEUE_TAIL] = -1
    return i
