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
    if place < q.prefix_blocks[i]:
        return ((q.prefix[i] * 2 + 1) << 21) + place
    return ((q.stream[i] * 2) << 21) + place


@compiled
def _seat(x, r, key):
    """Where in the hash table the key is, or would be."""
    mask = x.table_key.shape[1] - 1
    at = (key * 0x9E3779B97F4A7C1 >> 20) & mask
    while x.table_key[r, at] != -1 and x.table_key[r, at] != key:
        at = (at + 1) & mask
    return at


@compiled
def find(x, r, key):
    """The oldest block with this piece of text, or -1."""
    at = _seat(x, r, key)
    return x.table_block[r, at] if x.table_key[r, at] == key else -1


@compiled
def _unseat(x, r, at):
    """Empty a seat; those after it that were pushed on move up."""
    mask = x.table_key.shape[1] - 1
    hole = at
    while True:
        at = (at + 1) & mask
        key = x.table_key[r, at]
        if key == -1:
            break
        home = (key * 0x9E3779B97F4A7C1 >> 20) & mask
        if ((at - home) & mask) >= ((at - hole) & mask):
            x.table_key[r, hole] = key
            x.table_block[r, hole] = x.table_block[r, at]
            hole = at
    x.table_key[r, hole] = -1


@compiled
def publish(x, r, block, key):
    x.key[r, block] = key
    at = _seat(x, r, key)
    x.twin_next[r, block] = -1
    if x.table_key[r, at] == key:
        oldest = x.table_block[r, at]
        last = x.twin_last[r, oldest]
        x.twin_next[r, last] = block
        x.twin_before[r, block] = last
        x.twin_last[r, oldest] = block
    else:
        x.table_key[r, at] = key
        x.table_block[r, at] = block
        x.twin_before[r, block] = -1
        x.twin_last[r, block] = block


@compiled
def _forget(x, r, block):
    key = x.key[r, block]
    if key == -1:
        return
    x.key[r, block] = -1
    before, after = x.twin_before[r, block], x.twin_next[r, block]
    at = _seat(x, r, key)
    if before == -1 and after == -1:
        _unseat(x, r, at)
        return
    if before == -1:
        x.table_block[r, at] = after
        x.twin_before[r, after] = -1
        x.twin_last[r, after] = x.twin_last[r, block]
        return
    x.twin_next[r, before] = after
    if after == -1:
        x.twin_last[r, x.table_block[r, at]] = before
    else:
        x.twin_before[r, after] = before


@compiled
def _unlink(x, r, block):
    newer, older = x.newer[r, block], x.older[r, block]
    x.newer[r, older] = newer
    x.older[r, newer] = older
    x.now[r, FREE] -= 1


@compiled
def _link(x, r, block, older):
    """Into the free list, right after `older`; 0: at its front."""
    newer = x.newer[r, older]
    x.newer[r, older] = block
    x.older[r, block] = older
    x.newer[r, block] = newer
    x.older[r, newer] = block
    x.now[r, FREE] += 1


@compiled
def take(x, r):
    """The next free block, its content forgotten."""
    block = x.newer[r, 0]
    _unlink(x, r, block)
    _forget(x, r, block)
    x.users[r, block] = 1
    return block


@compiled
def share(x, r, block):
    if x.users[r, block] == 0:
        _unlink(x, r, block)
    x.users[r, block] += 1


@compiled
def release(x, r, slot):
    """Give back a slot's blocks: findable ones to the end of the list, last of the text first, others to the front."""
    front = 0
    for place in range(x.held[r, slot] - 1, -1, -1):
        block = x.blocks[r, slot, place]
        x.users[r, block] -= 1
        if x.users[r, block] == 0:
            if x.key[r, block] == -1:
                _link(x, r, block, front)
                front = block
            else:
                _link(x, r, block, x.older[r, 0])
    x.held[r, slot] = 0
    x.published[r, slot] = 0


@compiled
def hold(q, x, k, r, slot, tokens, known_tokens):
    """Blocks for the first `tokens` of the slot's request; full ones of known tokens become findable."""
    size = k.block_size
    i = x.request[r, slot]
    while x.held[r, slot] * size < tokens:
        x.blocks[r, slot, x.held[r, slot]] = take(x, r)
        x.held[r, slot] += 1
    if k.caching:
        full = min(tokens, known_tokens) // size
        while x.published[r, slot] < full:
            place = x.published[r, slot]
            publish(x, r, x.blocks[r, slot, place], key_of(q, i, place))
            x.published[r, slot] = place + 1
