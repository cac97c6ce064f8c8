"""The paged KV cache of one replica: which block holds which piece of text, and which is taken next.

Idea (vLLM's block pool): the list of free blocks is the eviction queue. Freed blocks that others could find go to its
end, latest part of a text first, so that the least recently used go first and texts are forgotten from their tail.
Blocks nobody could find go to its front. A block found again leaves the list from wherever it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

Key = tuple[int, int]


class BlockPool:
    def __init__(self, blocks: int, prefix_caching: bool) -> None:
        self.prefix_caching = prefix_caching
        self._free: OrderedDict[int, None] = OrderedDict.fromkeys(range(1, blocks))
        self._users = [0] * blocks
        self._key: list[Key | None] = [None] * blocks
        self._holders: dict[Key, dict[int, None]] = {}  # copies of one piece, the oldest first

    @property
    def free_blocks(self) -> int:
        return len(self._free)

    def find(self, keys: Iterable[Key]) -> list[int]:
        """Blocks that hold the pieces, up to the first that none holds."""
        found = []
        for key in keys:
            holders = self._holders.get(key)
            if not holders:
                break
            found.append(next(iter(holders)))
        return found

    def idle(self, blocks: Sequence[int]) -> int:
        """How many of these nobody uses now: taking them costs as many free blocks."""
        return sum(self._users[block] == 0 for block in blocks)

    def share(self, blocks: Sequence[int]) -> None:
        for block in blocks:
            if self._users[block] == 0:
                del self._free[block]
            self._users[block] += 1

    def take(self, count: int) -> list[int]:
        """New blocks from the front of the free list; what they held is forgotten."""
        taken = [self._free.popitem(last=False)[0] for _ in range(count)]
        for block in taken:
            self._forget(block)
            self._users[block] = 1
        return taken

    def publish(self, block: int, key: Key) -> None:
        """From now on others find this block under its key."""
        self._key[block] = key
        self._holders.setdefault(key, {})[block] = None

    def release(self, blocks: Sequence[int]) -> None:
        """Give back a request's blocks, in the order of its text."""
        hidden, findable = [], []
        for block in reversed(blocks):
            self._users[block] -= 1
            if self._users[block] == 0:
                (hidden if self._key[block] is None else findable).append(block)
        for block in reversed(hidden):
            self._free[block] = None
            self._free.move_to_end(block, last=False)
        for block in findable:
            self._free[block] = None

    def _forget(self, block: int) -> None:
        key = self._key[block]
        if key is not None:
            holders = self._holders[key]
            del holders[block]
            if not holders:
                del self._holders[key]
            self._key[block] = None
