"""The state of a partition as of a block, an event or a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from domain.partition import Partition
from domain.snapshot import BadSnapshot
from eventstore.blocks import Block
from eventstore.ports import BlockLog, Snapshot, SnapshotStore
from replay.rows import Batch
from replay.source import Progress, blocks

_LOG: Final = logging.getLogger(__name__)


class NotInRecord(LookupError):
    """What was asked for is not in the record; the text says what is."""


class Position(NamedTuple):
    """How far a state has come.

    seq       last block of which it has something; 0: genesis
    commands  how many of that block's commands it has
    of        how many the block has: more than commands when the state is of a moment inside the block
    event     index of its last event; -1: none
    time_ns   time of its last command
    """

    seq: int
    commands: int
    of: int
    event: int
    time_ns: int


class Moment(NamedTuple):
    """A state and what it is as of."""

    partition: Partition
    position: Position


@dataclass(frozen=True, slots=True)
class _Target:
    """Where to stop; what is None does not matter."""

    seq: int | None
    event: int | None
    time_ns: int | None

    def before(self, state: Partition) -> bool:
        """Whether a state (of a block not after seq) is not beyond the target."""
        return (self.event is None or state.events <= self.event) and (self.time_ns is None or state.time_ns <= self.time_ns)

    def begins_after(self, block: Block) -> bool:
        """Whether no part of *block* belongs to it, nor of any later one."""
        return self.event is not None and block.first_event > self.event

    def ends_in(self, block: Block) -> bool:
        """Whether perhaps only a part of *block* belongs to it."""
        if self.event is not None:
            return self.event < block.first_event + block.event_count
        return self.time_ns is not None and block.time_ns > self.time_ns

    def commands(self, batch: Batch, first_event: int, before_ns: int) -> int:
        """How many commands of the batch belong to it: the whole command of the event, or all up to the time."""
        if self.event is not None:
            return batch.command_of(self.event - first_event) + 1
        assert self.time_ns is not None, "only an event or a time lies inside a block"
        return int(np.searchsorted(batch.times_ns(before_ns), self.time_ns, side="right"))


def at(
    log: BlockLog,
    snapshots: SnapshotStore | None,
    partition: int,
    *,
    seq: int | None = None,
    event: int | None = None,
    time_ns: int | None = None,
    progress: Progress | None = None,
) -> Moment:
    """The state after block *seq*, after the whole command that caused *event*, or after the last command of a time <= *time_ns*; without
    any of them at the end of the record.

    It begins at the newest snapshot that is not beyond; without *snapshots* at genesis.
    Raises NotInRecord, ValueError when more than one is named, Damaged, StoreFailed.
    """
    named = [value for value in (seq, event, time_ns) if value is not None]
    if len(named) > 1:
        raise ValueError("name one of seq, event and time, or none for the end of the record")
    if named and named[0] < 0:
        raise NotInRecord(f"{named[0]}: blocks, events and times count from 0")
    target, head = _Target(seq, event, time_ns), log.head(partition)
    if (seq or 0) > head.seq or (event or -1) >= head.next_event:
        asked = f"block {seq}" if event is None else f"event {event}"
        raise NotInRecord(f"partition {partition} has no {asked}: its record ends with block {head.seq}, event {head.next_event - 1}")
    state, position = _begin(log, snapshots, partition, target)
    for block in blocks(log, partition, position.seq, seq, progress):
        if target.begins_after(block):
            break
        batch = Batch(block)
        ends = target.ends_in(block)
        count = target.commands(batch, block.first_event, state.time_ns) if ends else len(batch.commands)
        if count:
            state.apply(*batch.part(0, count))
            position = Position(block.seq, count, block.command_count, state.events - 1, state.time_ns)
        if ends:
            break
    return Moment(state, position)


def _begin(log: BlockLog, snapshots: SnapshotStore | None, partition: int, target: _Target) -> Moment:
    """The newest usable snapshot that is not beyond *target*, or genesis."""
    at_most = log.head(partition).seq if target.seq is None else target.seq
    while snapshots is not None:
        snapshot = snapshots.latest(partition, at_most)
        if snapshot is None:
            break
        moment = _restored(log, snapshot)
        if moment and target.before(moment.partition):
            return moment
        at_most = snapshot.seq - 1
    return Moment(Partition(partition), Position(0, 0, 0, -1, 0))


def _restored(log: BlockLog, snapshot: Snapshot) -> Moment | None:
    """What is in *snapshot*; None, with a warning, when it is not one of this record."""
    block = next(iter(log.read(snapshot.partition, snapshot.seq - 1)))
    if block.hash != snapshot.block_hash:
        _LOG.warning("snapshot of partition %d, block %d is of another record and is passed over", snapshot.partition, snapshot.seq)
        return None
    try:
        state = Partition.restore(snapshot.state)
    except BadSnapshot as bad:
        _LOG.warning("snapshot of partition %d, block %d is passed over: %s", snapshot.partition, snapshot.seq, bad)
        return None
    count = block.command_count
    return Moment(state, Position(block.seq, count, count, state.events - 1, state.time_ns))
