"""The record for users of the `eventsourcing` library: recorders over a BlockLog, a mapper, a factory.

`PartitionRecorder`  an ApplicationRecorder: the blocks of one partition. Stream id = partition (`partition_id`), version = notification id
                     = block number, state = the whole block. One partition is one notification log, for partitions have no order
                     between them: whoever follows several keeps a position in each.
`ConsumerRecorder`   (eventstore/consumers.py) a ProcessRecorder, hence a TrackingRecorder: events and positions of whoever follows. Rows
                     and no events, as in a view: take the library's own SQLite or Postgres tracking recorder for that.

An application that follows a market is two lines; `Factory` says what stands in the environment:

    class Market(Application[UUID]):
        env = {"PERSISTENCE_MODULE": "eventstore.recorders", "OUTCRY_RECORD": "record.sqlite", "OUTCRY_PARTITION": "1"}
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    AggregateRecorder,
    DataError,
    InfrastructureFactory,
    IntegrityError,
    Mapper,
    Notification,
    NotSupportedError,
    StoredEvent,
)
from eventsourcing.utils import get_topic

from eventstore.blocks import Block, digest
from eventstore.consumers import ConsumerRecorder
from eventstore.notifications import ChainRecorder, in_the_words_of_the_library
from eventstore.ports import BlockLog
from eventstore.sqlite import SqliteLog


def partition_id(partition: int) -> UUID:
    """Stream id of a partition: the UUID whose integer is its number."""
    return UUID(int=partition)


@dataclass(frozen=True)
class BlockCommitted:
    """A block as the library's domain event. It mutates nothing: what a block means is its reader's to say."""

    originator_id: UUID
    originator_version: int
    block: Block


BLOCK_TOPIC: Final = get_topic(BlockCommitted)


def stored(block: Block) -> StoredEvent:
    """*block* as the library stores it: all its fields as MessagePack."""
    return StoredEvent(partition_id(block.partition), block.seq, BLOCK_TOPIC, msgspec.msgpack.encode(block))


def opened(event: StoredEvent) -> Block:
    """The block in *event*. Raises DataError when there is none, another, or an altered one."""
    try:
        block = msgspec.msgpack.decode(event.state, type=Block)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataError(f"version {event.originator_version}: its state is no block: {error}") from error
    if (event.originator_id, event.originator_version) != (partition_id(block.partition), block.seq) or block.hash != digest(block):
        raise DataError(f"version {event.originator_version}: its state is not the intact block of that number")
    return block


class PartitionRecorder(ChainRecorder):
    """The blocks of *partition* as an ApplicationRecorder."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Append one sealed block. Returns its number.

        Raises  IntegrityError     recorded already, not the next one, or sealed on another head than the one claimed last
                NotSupportedError  more than one: a block is a commit, two are not one
                OperationalError, DataError
        """
        if len(stored_events) > 1:
            raise NotSupportedError(f"{len(stored_events)} blocks at once: a block is a commit, insert them one by one")
        for event in stored_events:
            block = opened(event)
            with self._lock:
                if block.partition != self._partition or block.seq <= (self.max_notification_id() or 0):
                    raise IntegrityError(f"block {block.seq} of partition {block.partition} is recorded already, or of another partition")
                self._append(block)
        return [event.originator_version for event in stored_events] or None

    @in_the_words_of_the_library()
    def select_events(
        self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None, desc: bool = False, limit: int | None = None
    ) -> Sequence[StoredEvent]:
        """See AggregateRecorder; nothing for any other stream than this partition."""
        end = self._log.head(self._partition).seq
        versions = range(max(gt or 0, 0) + 1, (end if lte is None else min(lte, end)) + 1)
        if originator_id != partition_id(self._partition) or not versions:
            return []
        if desc:
            return [stored(self._block(seq)) for seq in versions[::-1][:limit]]
        return [stored(block) for block in islice(self._log.read(self._partition, versions[0] - 1), len(versions[:limit]))]

    @in_the_words_of_the_library()
    def max_notification_id(self) -> int | None:
        """Number of the last block; None before the first."""
        return self._log.head(self._partition).seq or None

    def notifications(self, from_id: int) -> Iterator[Notification]:
        """See ChainRecorder."""
        if from_id <= self._log.head(self._partition).seq:
            for block in self._log.read(self._partition, from_id - 1):
                yield Notification(**vars(stored(block)), id=block.seq)


class BlockMapper(Mapper[UUID]):
    """The library's mapper, which also knows blocks: they are neither transcoded, compressed nor encrypted again."""

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """See Mapper."""
        return stored(domain_event.block) if isinstance(domain_event, BlockCommitted) else super().to_stored_event(domain_event)

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """See Mapper. Raises DataError for an altered block."""
        if stored_event.topic != BLOCK_TOPIC:
            return super().to_domain_event(stored_event)
        block = opened(stored_event)
        return BlockCommitted(partition_id(block.partition), block.seq, block)


class Factory(InfrastructureFactory[ConsumerRecorder]):
    """Makes the recorders of an application from its environment.

    OUTCRY_RECORD     SQLite file of a market's record, which is only read, or connection string of its database: for an Application
    OUTCRY_PARTITION  which partition of it; 1 when not given
    OUTCRY_CONSUMER   file, or database of its own, for an application's own events and positions: for a process application or an
                      event-sourced projection
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._logs: list[BlockLog] = []

    def application_recorder(self) -> PartitionRecorder:
        """Follows the market's record."""
        partition = self.env.get("OUTCRY_PARTITION", "1")
        if not partition.isdecimal():
            raise OSError(f"OUTCRY_PARTITION is {partition!r}; it must be the number of a partition")
        return PartitionRecorder(self._log("OUTCRY_RECORD", read_only=True), int(partition))

    def process_recorder(self) -> ConsumerRecorder:
        """Records the application's own events with their positions."""
        return ConsumerRecorder(self._log("OUTCRY_CONSUMER", read_only=False))

    def tracking_recorder(self, tracking_recorder_class: type[ConsumerRecorder] | None = None) -> ConsumerRecorder:
        """Records positions."""
        return (tracking_recorder_class or ConsumerRecorder)(self._log("OUTCRY_CONSUMER", read_only=False))

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """Raises NotSupportedError: snapshots of aggregates are not a record."""
        raise NotSupportedError(f"no recorder for {purpose}: leave snapshotting off, or override construct_snapshot_store")

    def mapper(self, transcoder: Any = None, mapper_class: Any = None) -> Mapper[Any]:
        """BlockMapper, unless the environment or the application names another."""
        return super().mapper(transcoder, mapper_class or (None if self.env.get(self.MAPPER_TOPIC) else BlockMapper))

    def close(self) -> None:
        """Give the files back."""
        while self._logs:
            self._logs.pop().close()

    def _log(self, key: str, *, read_only: bool) -> BlockLog:
        place = self.env.get(key)
        if not place:
            keys = " or ".join(self.env.create_keys(key))
            raise OSError(f"{keys} is not in the environment; it names a SQLite file, or is a connection string of libpq")
        with in_the_words_of_the_library():
            self._logs.append(_open(place, read_only=read_only))
        return self._logs[-1]


def _open(place: str, *, read_only: bool) -> BlockLog:
    """The record at *place*: a connection string begins with `postgresql://` or has `dbname=` in it, anything else is a file."""
    if not place.startswith(("postgresql://", "postgres://")) and "dbname=" not in place:
        return SqliteLog(place, read_only=read_only)
    from eventstore.postgres import PostgresLog  # whoever reads a file needs no driver

    return PostgresLog(place)
