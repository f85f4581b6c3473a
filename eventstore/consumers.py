"""The `eventsourcing` library's process recorder over a chain of blocks: what somebody who follows a market records for himself."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.persistence import IntegrityError, Notification, OperationalError, ProcessRecorder, StoredEvent, Tracking

from domain.verbs import SCHEMA_VERSION
from eventstore.blocks import NO_INPUTS, Block, Head, after, digest
from eventstore.notifications import ChainRecorder, in_the_words_of_the_library
from eventstore.ports import CONSUMER_PARTITION, BlockLog, Damaged

TURNS: Final = 20  # of an insert into a shared partition
PAUSE_S: Final = 0.002


class ConsumerRecorder(ChainRecorder, ProcessRecorder):
    """Anybody's stored events, and positions in what they follow, in the chain of *partition*. May be used from many threads.

    One insert is one block, and the position it brings is the block's input: both are durable together, or neither. The notification id of
    an event is its event index in the partition plus one.
    The first insert claims the partition. A second process that inserts fences this one, whose inserts then fail for good; unless the
    partition is *shared*: then a fenced one claims it anew, sees what was recorded meanwhile and inserts in turn.
    An index of all events is kept in memory (200 bytes an event): this is for what changes rarely, such as aggregates, not for a market.
    """

    def __init__(self, log: BlockLog, partition: int = CONSUMER_PARTITION, *, shared: bool = False) -> None:
        super().__init__(log, partition)
        self._turns = TURNS if shared else 1
        self._claimed: Head | None = None
        self._first_ids: list[int] = []  # notification id of the first event in or after block n, at n - 1
        self._versions: dict[UUID | str, dict[int, int]] = defaultdict(dict)  # stream -> version -> notification id
        self._positions: dict[str, int] = {}
        self._last_id = 0

    def insert_events(self, stored_events: Sequence[StoredEvent], *, tracking: Tracking | None = None, **_: Any) -> Sequence[int] | None:
        """Record events and position as one block. Returns the notification ids, None for none.

        Raises  IntegrityError    a version is recorded already or named twice, the position does not rise, or another process inserts
                OperationalError  the store failed; insert again, an IntegrityError then says that it was recorded after all
                DataError         the chain is damaged
        """
        if not stored_events and tracking is None:
            return None
        with self._lock:
            for turn in range(1, self._turns):
                with suppress(_Overtaken):
                    return self._insert(stored_events, tracking)
                time.sleep(random.uniform(0, turn * PAUSE_S))
            return self._insert(stored_events, tracking)

    def insert_tracking(self, tracking: Tracking) -> None:
        """See TrackingRecorder."""
        self.insert_events([], tracking=tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        """See TrackingRecorder."""
        with self._lock:
            self._catch_up()
            return self._positions.get(application_name)

    @in_the_words_of_the_library()
    def select_events(
        self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None, desc: bool = False, limit: int | None = None
    ) -> Sequence[StoredEvent]:
        """See AggregateRecorder."""
        with self._lock:
            self._catch_up()
            ids = dict(self._versions.get(originator_id, {}))
            wanted = [version for version in sorted(ids, reverse=desc) if (gt is None or version > gt) and (lte is None or version <= lte)]
            return [self._event(ids[version]) for version in wanted[:limit]]

    def max_notification_id(self) -> int | None:
        """See ApplicationRecorder."""
        with self._lock:
            self._catch_up()
            return self._last_id or None

    def notifications(self, from_id: int) -> Iterator[Notification]:
        """See ChainRecorder."""
        with self._lock:
            self._catch_up()
            after_seq = max(bisect_right(self._first_ids, from_id) - 1, 0)
        for block in self._log.read(self._partition, after_seq):
            for notification_id, event in _numbered(block):
                if notification_id >= from_id:
                    yield Notification(**vars(event), id=notification_id)

    def _insert(self, stored_events: Sequence[StoredEvent], tracking: Tracking | None) -> Sequence[int] | None:
        head = self._claim()
        self._catch_up()
        self._refuse_conflicts(stored_events, tracking)
        block = _seal(head, stored_events, tracking)
        try:
            self._append(block)
        except OperationalError:
            self._claimed = None  # perhaps it is durable: claim anew and look
            raise
        except IntegrityError as fenced:
            if self._turns == 1:
                raise
            self._claimed = None
            raise _Overtaken(*fenced.args) from fenced
        self._claimed = after(block)
        self._index(block)
        return [block.first_event + place + 1 for place in range(block.event_count)] or None

    @in_the_words_of_the_library()
    def _claim(self) -> Head:
        if self._claimed is None:
            self._claimed = self._log.claim(self._partition)
        return self._claimed

    @in_the_words_of_the_library()
    def _catch_up(self) -> None:
        """Index what was recorded since, by this process before it ended or by another."""
        for block in self._log.read(self._partition, len(self._first_ids)):
            self._index(block)

    def _index(self, block: Block) -> None:
        for notification_id, event in _numbered(block):
            self._versions[event.originator_id][event.originator_version] = notification_id
        self._first_ids.append(block.first_event + 1)
        self._last_id = block.first_event + block.event_count
        self._positions |= msgspec.json.decode(block.inputs, type=dict[str, int])

    def _event(self, notification_id: int) -> StoredEvent:
        return dict(_numbered(self._block(bisect_right(self._first_ids, notification_id))))[notification_id]

    def _refuse_conflicts(self, stored_events: Sequence[StoredEvent], tracking: Tracking | None) -> None:
        named = {(event.originator_id, event.originator_version) for event in stored_events}
        if len(named) < len(stored_events):
            raise IntegrityError("a version is named twice in one insert")
        for stream, version in named:
            if version in self._versions.get(stream, {}):
                raise IntegrityError(f"version {version} of {stream} is recorded already")
        if tracking is not None:
            last = self._positions.get(tracking.application_name)
            if last is not None and tracking.notification_id <= last:
                raise IntegrityError(f"position {tracking.notification_id} in {tracking.application_name} does not follow {last}")


def check(block: Block) -> None:
    """Raises Damaged for a block that no consumer wrote, or that has not as many events as it says."""
    events = sum(1 for _ in _numbered(block))
    if events != block.event_count:
        raise Damaged(block.partition, block.seq, f"it has {events} events and says {block.event_count}")


class _Overtaken(IntegrityError):
    """Another process inserted first."""


_Packed = tuple[bool, str, int, str, bytes]  # is the stream id a UUID, stream id, version, topic, state


def _seal(head: Head, stored_events: Sequence[StoredEvent], tracking: Tracking | None) -> Block:
    """The block after *head*. Its payload is MessagePack, for the state of these events is not ours to know."""
    packed: list[_Packed] = [
        (isinstance(event.originator_id, UUID), str(event.originator_id), event.originator_version, event.topic, event.state)
        for event in stored_events
    ]
    unsealed = Block(
        partition=head.partition,
        seq=head.seq + 1,
        epoch=head.epoch,
        first_event=head.next_event,
        event_count=len(packed),
        command_count=0,
        time_ns=max(head.time_ns, time.time_ns()),
        schema_version=SCHEMA_VERSION,
        inputs=msgspec.json.encode({tracking.application_name: tracking.notification_id}) if tracking else NO_INPUTS,
        prev_hash=head.hash,
        hash=b"",
        payload=msgspec.msgpack.encode(packed),
    )
    return replace(unsealed, hash=digest(unsealed))


def _numbered(block: Block) -> Iterator[tuple[int, StoredEvent]]:
    """The stored events of a consumer's block by notification id. Raises Damaged for a block that no consumer wrote."""
    try:
        packed = msgspec.msgpack.decode(block.payload, type=list[_Packed])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(block.partition, block.seq, f"was not written by a consumer: {error}") from None
    for notification_id, (is_uuid, stream, version, topic, state) in enumerate(packed, block.first_event + 1):
        yield notification_id, StoredEvent(UUID(stream) if is_uuid else stream, version, topic, state)
