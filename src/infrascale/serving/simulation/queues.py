"""Who waits, compiled: first come, first served with the preempted in front, or a heap by priority."""

from __future__ import annotations

from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import ASIDE, QUEUE_HEAD, QUEUE_TAIL, ROOT, SEEN, STACK, WAITING


@compiled
def _goes_before(q, a, b):
    if q[a].priority != q[b].priority:
        return q[a].priority < q[b].priority
    if q[a].arrival_ps != q[b].arrival_ps:
        return q[a].arrival_ps < q[b].arrival_ps
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
    q[b].sibling = q[a].child
    q[a].child = b
    return a


@compiled
def add(q, x, k, r, i):
    x.now[r, WAITING] += 1
    if k.by_priority:
        q[i].child = -1
        q[i].sibling = -1
        x.now[r, ROOT] = _melt(q, x.now[r, ROOT], i)
        return
    q[i].next_waiting = -1
    if x.now[r, QUEUE_TAIL] == -1:
        x.now[r, QUEUE_HEAD] = i
    else:
        q[x.now[r, QUEUE_TAIL]].next_waiting = i
    x.now[r, QUEUE_TAIL] = i


@compiled
def put_back(q, x, k, r, i):
    """A preempted request: in front of all, or where its priority puts it."""
    if k.by_priority:
        add(q, x, k, r, i)
    else:
        x.slots[r, x.now[r, STACK]].stack = i
        x.now[r, STACK] += 1
        x.now[r, WAITING] += 1


@compiled
def first(x, k, r):
    if k.by_priority:
        return x.now[r, ROOT]
    if x.now[r, STACK] > 0:
        return x.slots[r, x.now[r, STACK] - 1].stack
    return x.now[r, QUEUE_HEAD]


@compiled
def pop(q, x, k, r):
    x.now[r, WAITING] -= 1
    if k.by_priority:
        i = x.now[r, ROOT]
        pairs, one = -1, q[i].child
        while one != -1:
            other = q[one].sibling
            rest = q[other].sibling if other != -1 else -1
            q[one].sibling = -1
            if other != -1:
                q[other].sibling = -1
            pair = _melt(q, one, other)
            q[pair].sibling = pairs
            pairs, one = pair, rest
        root = -1
        while pairs != -1:
            rest = q[pairs].sibling
            q[pairs].sibling = -1
            root = _melt(q, root, pairs)
            pairs = rest
        x.now[r, ROOT] = root
        return i
    if x.now[r, STACK] > 0:
        x.now[r, STACK] -= 1
        return x.slots[r, x.now[r, STACK]].stack
    i = x.now[r, QUEUE_HEAD]
    x.now[r, QUEUE_HEAD] = q[i].next_waiting
    if x.now[r, QUEUE_HEAD] == -1:
        x.now[r, QUEUE_TAIL] = -1
    return i


@compiled
def someone_is_seen(q, x, k, r):
    """Whether one who waits has been seen. By priority, the unseen that would go first stand aside for that."""
    now = x.now[r]
    while now[WAITING] > 0:
        i = first(x, k, r)
        if q[i].arrival_ps <= now[SEEN]:
            return True
        if not k.by_priority:
            return False
        pop(q, x, k, r)
        q[i].next_waiting = now[ASIDE]
        now[ASIDE] = i
    return False


@compiled
def step_back(q, x, k, r):
    """Those who stood aside wait again."""
    now = x.now[r]
    while now[ASIDE] != -1:
        i = now[ASIDE]
        now[ASIDE] = q[i].next_waiting
        add(q, x, k, r, i)
