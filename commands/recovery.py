"""From the record to a partition in memory: the newest snapshot that fits the record, then the blocks after it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final, TypeAlias

import msgspec

from commands.ahead import decoded
from domain.partition import Partition
from domain.snapshot import BadSnapshot
from eventstore.blocks import Block, Head
from eventstore.ports import BlockLog, Snapshot, SnapshotStore

Progress: TypeAlias = Callable[[int, int], None]  # blocks done, blocks in all
_LOG: Final = logging.getLogger(__name__)


def rebuild(log: BlockLog, snapshots: SnapshotStore, head: Head, progress: Progress | None = None) -> tuple[Partition, int]:
    """The state as of *head*, and how many of its events came from a snapshot. A few blocks are in memory at a time.

    A snapshot that does not fit the record, or is of a block that the record does not have, is passed over with a warning.
    Raises Damaged, NewerSchema, StoreFailed.
    """
    partition, seq = _start(log, snapshots, head)
    from_snapshot = partition.events
    with closing(decoded(_up_to(log, head, seq))) as blocks:
        for done, found in enumerate(blocks, 1):
            apply_block(partition, *found)
            if progress:
                progress(done, head.seq - seq)
    assert partition.events == head.next_event, "the state ends where the record ends"
    return partition, from_snapshot


def _up_to(log: BlockLog, head: Head, after_seq: int) -> Iterator[Block]:
    """The blocks after *after_seq*, *head* the last."""
    for block in log.read(head.partition, after_seq) if after_seq < head.seq else ():
        yield block
        if block.seq == head.seq:
            return


def apply_block(partition: Partition, block: Block, commands: bytes | memoryview, events: bytes | memoryview) -> None:
    """Fold the block that follows the state, with these rows, into it. Raises AssertionError when it does not follow."""
    assert partition.events == block.first_event, "a block goes on where the state ends"
    partition.apply(commands, events)
    assert partition.events == block.first_event + block.event_count, "applying a block counts its events"
    assert partition.time_ns == block.time_ns, "applying a block moves time to its last command"


def positions(log: BlockLog, head: Head) -> dict[str, int]:
    """How far each source was consumed: every block says it of all sources so far. Raises Damaged, StoreFailed."""
    if head.seq == 0:
        return {}
    return msgspec.json.decode(next(log.read(head.partition, head.seq - 1)).inputs, type=dict[str, int])


def _start(log: BlockLog, snapshots: SnapshotStore, head: Head) -> tuple[Partition, int]:
    """The newest snapshot that is of this record, restored, and its block; else the empty partition and 0."""
    at_most = None
    while (snapshot := snapshots.latest(head.partition, at_most)) is not None:
        if snapshot.seq > head.seq:
            _tell_of_later(log.head(head.partition), snapshot.seq)
            at_most = head.seq
            continue
        partition = _restored(log, snapshot, head)
        if partition is not None:
            return partition, snapshot.seq
        at_most = snapshot.seq - 1
    return Partition(head.partition), 0


def _tell_of_later(now: Head, seq: int) -> None:
    """A snapshot is of a committed block: when the record ends before it, also *now*, it was cut, or replaced by an older copy."""
    if seq > now.seq:
        _LOG.warning(
            "partition %d: the record ends with block %d, but there is a snapshot of block %d: the record was cut or replaced. It is taken "
            "as it is and the snapshot passed over; unless you meant that, stop here and look for the whole record",
            now.partition,
            now.seq,
            seq,
        )


def _restored(log: BlockLog, snapshot: Snapshot, head: Head) -> Partition | None:
    following = next(log.read(head.partition, snapshot.seq), None)
    there, next_event = (head.hash, head.next_event) if following is None else (following.prev_hash, following.first_event)
    try:
        partition = Partition.restore(snapshot.state)
    except BadSnapshot as bad:
        _LOG.warning("partition %d: the snapshot of block %d is passed over: %s", head.partition, snapshot.seq, bad)
        return None
    if (snapshot.block_hash, partition.number, partition.events) != (there, head.partition, next_event):
        _LOG.warning("partition %d: the snapshot of block %d is of another record and passed over", head.partition, snapshot.seq)
        return None
    return partition
