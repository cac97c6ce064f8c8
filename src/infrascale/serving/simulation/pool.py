"""The compiled counterpart of blocks.py: the same free list and the same table of findable blocks, in arrays.

Block 0, which vLLM never hands out, ties the ends of the free list together: `newer` of it is taken next. Blocks that
hold the same piece of text are twins, chained from the oldest; the hash table knows the oldest.
"""

from __future__ import annotations

from infrascale.serving.simulation.compiled import compiled
from infrascale.serving.simulation.state import FREE


@compiled
def key_of(q, i, place):
    """(stream, place) as one number; prefixes and own streams are numbered apart."""
    if place < q[i].prefix_blocks:
        return ((q[i].prefix * 2 + 1) << 21) + place
    return ((q[i].stream * 2) << 21) + place


@compiled
def _seat(x, r, key):
    """Where in the hash table the key is, or would be."""
    mask = x.seats.shape[1] - 1
    at = (key * 0x9E3779B97F4A7C1 >> 20) & mask
    while x.seats[r, at].key != -1 and x.seats[r, at].key != key:
        at = (at + 1) & mask
    return at


@compiled
def find(x, r, key):
    """The oldest block with this piece of text, or -1."""
    at = _seat(x, r, key)
    return x.seats[r, at].block if x.seats[r, at].key == key else -1


@compiled
def _unseat(x, r, at):
    """Empty a seat; those after it that were pushed on move up."""
    mask = x.seats.shape[1] - 1
    hole = at
    while True:
        at = (at + 1) & mask
        key = x.seats[r, at].key
        if key == -1:
            break
        home = (key * 0x9E3779B97F4A7C1 >> 20) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            x.seats[r, hole].key = key
            x.seats[r, hole].block = x.seats[r, at].block
            hole = at
    x.seats[r, hole].key = -1


@compiled
def publish(x, r, block, key):
    x.pool[r, block].key = key
    at = _seat(x, r, key)
    x.pool[r, block].twin_next = -1
    if x.seats[r, at].key == key:
        oldest = x.seats[r, at].block
        last = x.pool[r, oldest].twin_last
        x.pool[r, last].twin_next = block
        x.pool[r, block].twin_before = last
        x.pool[r, oldest].twin_last = block
    else:
        x.seats[r, at].key = key
        x.seats[r, at].block = block
        x.pool[r, block].twin_before = -1
        x.pool[r, block].twin_last = block


@compiled
def _forget(x, r, block):
    key = x.pool[r, block].key
    if key == -1:
        return
    x.pool[r, block].key = -1
    before, after = x.pool[r, block].twin_before, x.pool[r, block].twin_next
    at = _seat(x, r, key)
    if before == -1 and after == -1:
        _unseat(x, r, at)
        return
    if before == -1:
        x.seats[r, at].block = after
        x.pool[r, after].twin_before = -1
        x.pool[r, after].twin_last = x.pool[r, block].twin_last
        return
    x.pool[r, before].twin_next = after
    if after == -1:
        x.pool[r, x.seats[r, at].block].twin_last = before
    else:
        x.pool[r, after].twin_before = before


@compiled
def _unlink(x, r, block):
    newer, older = x.pool[r, block].newer, x.pool[r, block].older
    x.pool[r, older].newer = newer
    x.pool[r, newer].older = older
    x.now[r, FREE] -= 1


@compiled
def _link(x, r, block, older):
    """Into the free list, right after `older`; 0: at its front."""
    newer = x.pool[r, older].newer
    x.pool[r, older].newer = block
    x.pool[r, block].older = older
    x.pool[r, block].newer = newer
    x.pool[r, newer].older = block
    x.now[r, FREE] += 1


@compiled
def take(x, r):
    """The next free block, its content forgotten."""
    block = x.pool[r, 0].newer
    _unlink(x, r, block)
    _forget(x, r, block)
    x.pool[r, block].users = 1
    return block


@compiled
def share(x, r, block):
    if x.pool[r, block].users == 0:
        _unlink(x, r, block)
    x.pool[r, block].users += 1


@compiled
def release(x, r, slot):
    """Give back a slot's blocks: findable ones to the end of the list, last of the text first, others to the front."""
    front = 0
    for place in range(x.slots[r, slot].held - 1, -1, -1):
        block = x.blocks[r, slot, place]
        x.pool[r, block].users -= 1
        if x.pool[r, block].users == 0:
            if x.pool[r, block].key == -1:
                _link(x, r, block, front)
                front = block
            else:
                _link(x, r, block, x.pool[r, 0].older)
    x.slots[r, slot].held = 0
    x.slots[r, slot].published = 0


@compiled
def hold(q, x, k, r, slot, tokens, known_tokens):
    """Blocks for the first `tokens` of the slot's request; full ones of known tokens become findable."""
    size = k.block_size
    i = x.slots[r, slot].request
    while x.slots[r, slot].held * size < tokens:
        x.blocks[r, slot, x.slots[r, slot].held] = take(x, r)
        x.slots[r, slot].held += 1
    if k.caching:
        full = min(tokens, known_tokens) // size
        while x.slots[r, slot].published < full:
            place = x.slots[r, slot].published
            publish(x, r, x.blocks[r, slot, place], key_of(q, i, place))
            x.slots[r, slot].published = place + 1
