"""Each block exactly once, in order, out of records of which some were sent twice.

The owner of a partition sends its blocks in order, each once. When the partition changes hands, the next owner sends what the topic does
not have yet, while records of the one before may still be under way: those are then there twice, and in between. Both had them from the
record, so they are the same bytes; a block of the same number with another hash is a fork, and somebody's record is wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from eventstore.blocks import Block, genesis
from eventstore.errors import Damaged

REMEMBERED: Final = 4_096  # hashes, to tell a repetition from a fork; what is repeated from further back is dropped unseen


class Once:
    """Takes the blocks of *partition* as they stand in the topic, and tells which are the next."""

    def __init__(self, partition: int, after_seq: int = 0) -> None:
        self._partition = partition
        self._hashes: OrderedDict[int, bytes] = OrderedDict()
        self.seq = after_seq
        self.repeated = 0
        if after_seq == 0:
            self._hashes[0] = genesis(partition).hash

    def is_next(self, block: Block) -> bool:
        """Whether *block* is the one after the last; it then is the last. False: it was here before.

        Raises Damaged when it is another block than the one of its number, does not follow its predecessor, or one is missing before it.
        """
        known = self._hashes.get(block.seq, block.hash)
        if known != block.hash:
            raise Damaged(self._partition, block.seq, f"there are two of them: {known.hex()} and {block.hash.hex()}")
        if block.seq > self.seq + 1:
            raise Damaged(self._partition, self.seq + 1, f"missing; the next block in the topic is {block.seq}")
        before = self._hashes.get(block.seq - 1, block.prev_hash)
        if before != block.prev_hash:
            raise Damaged(self._partition, block.seq, f"names {block.prev_hash.hex()} as the block before, which is {before.hex()}")
        self._hashes[block.seq] = block.hash
        if len(self._hashes) > REMEMBERED:
            self._hashes.popitem(last=False)
        if block.seq <= self.seq:
            self.repeated += 1
            return False
        self.seq = block.seq
        return True
