"""A partition kept in memory as the record has it: what a writer begins with, and what a warm standby is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import msgspec

from commands.recovery import Progress, apply_block, positions, rebuild
from domain.partition import Partition
from eventstore.blocks import Head, after
from eventstore.ports import BlockLog, SnapshotStore


@dataclass(slots=True)
class Follower:
    """The state of a partition that somebody else writes, advanced block by block.

    head            the last block that the state has
    positions       how far each source was consumed by then
    snapshot_event  how many of its events the newest snapshot has that it knows of
    """

    log: BlockLog
    head: Head
    state: Partition
    positions: dict[str, int]
    snapshot_event: int

    @classmethod
    def open(cls, log: BlockLog, snapshots: SnapshotStore, partition: int, progress: Progress | None = None) -> Self:
        """The partition as the record has it now, from the newest snapshot that fits. Raises Damaged, NewerSchema, StoreFailed."""
        head = log.head(partition)
        state, snapshot_event = rebuild(log, snapshots, head, progress)
        return cls(log, head, state, positions(log, head), snapshot_event)

    def advance(self) -> Head:
        """Apply the blocks that were committed since; returns the head of the record, of which the state is now.

        Raises  Damaged, NewerSchema, StoreFailed; AssertionError when the record is not the one that was followed so far
        """
        return self.advance_to(self.log.head(self.head.partition))

    def advance_to(self, head: Head) -> Head:
        """Apply the blocks up to *head*, which the record has. Raises as advance does."""
        inputs = b""
        for block in self.log.read(head.partition, self.head.seq) if head.seq > self.head.seq else ():
            assert block.prev_hash == self.head.hash, "a follower follows one chain"
            apply_block(self.state, block, *block.views())
            self.head, inputs = after(block), block.inputs
            if block.seq == head.seq:
                break
        if inputs:
            self.positions = msgspec.json.decode(inputs, type=dict[str, int])
        assert (self.head.seq, self.head.hash) == (head.seq, head.hash), "a follower follows one chain"
        return head
