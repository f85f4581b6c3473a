"""What a consumer records for himself: events and position in one block, once each, by one process."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from eventsourcing.persistence import DataError, IntegrityError, OperationalError, StoredEvent, Tracking

from eventstore.blocks import Block
from eventstore.consumers import ConsumerRecorder
from eventstore.memory import MemoryLog
from eventstore.ports import BlockLog, OutcomeUnknown, StoreFailed
from eventstore.sqlite import SqliteLog
from tests.eventstore.rows import fill


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlockLog]:
    """An empty record in each store."""
    made: BlockLog = MemoryLog() if request.param == "memory" else SqliteLog(tmp_path / "record.sqlite")
    yield made
    made.close()


def an_event(version: int, state: bytes = b"state") -> StoredEvent:
    return StoredEvent(UUID(int=99), version, "topic", state)


def test_events_and_position_are_one_block(log: BlockLog) -> None:
    """Both durable or neither, proved by the chain: the position is the block's input, in the same hash."""
    ConsumerRecorder(log).insert_events([an_event(1), an_event(2)], tracking=Tracking("market", 7))
    (block,) = log.read(0)
    assert (block.event_count, block.inputs) == (2, b'{"market":7}')
    assert ConsumerRecorder(log).max_tracking_id("market") == 7


def test_another_process_reads_what_was_recorded(log: BlockLog) -> None:
    """A recorder indexes what it has not seen, at its birth and later, whoever recorded it."""
    first, second = ConsumerRecorder(log), ConsumerRecorder(log)
    first.insert_events([an_event(1, b"one")], tracking=Tracking("market", 1))
    assert [found.state for found in second.select_events(UUID(int=99))] == [b"one"]
    first.insert_events([an_event(2, b"two")], tracking=Tracking("market", 2))
    assert [found.state for found in second.select_events(UUID(int=99), gt=1)] == [b"two"]
    assert (second.max_notification_id(), second.max_tracking_id("market")) == (2, 2)


def test_text_and_uuid_streams_are_told_apart(log: BlockLog) -> None:
    """The library allows both as stream ids; one that reads like the other is another stream."""
    recorder = ConsumerRecorder(log)
    recorder.insert_events([an_event(1, b"uuid")])
    recorder.insert_events([replace(an_event(1, b"text"), originator_id=str(UUID(int=99)))])
    assert [found.state for found in recorder.select_events(UUID(int=99))] == [b"uuid"]
    assert [found.state for found in recorder.select_events(str(UUID(int=99)))] == [b"text"]


def test_whoever_inserts_first_is_fenced_by_whoever_inserts_next(log: BlockLog) -> None:
    """Two processes of one consumer would record everything twice: the older one's inserts fail from then on."""
    old, new = ConsumerRecorder(log), ConsumerRecorder(log)
    old.insert_events([an_event(1)])
    new.insert_events([an_event(2)])
    for version in (3, 4):
        with pytest.raises(IntegrityError, match="another writer owns the partition"):
            old.insert_events([an_event(version)])
    new.insert_events([an_event(3)])
    assert new.max_notification_id() == 3


def test_processes_that_share_a_partition_insert_in_turn(log: BlockLog) -> None:
    """Nobody is fenced for good, every version is recorded once, whoever inserts it first has it."""
    first, second = (ConsumerRecorder(log, shared=True) for _ in range(2))
    for version in range(1, 7):
        (first, second)[version % 2].insert_events([an_event(version)])
    with pytest.raises(IntegrityError, match="version 6 of"):
        second.insert_events([an_event(6)])
    assert [found.originator_version for found in first.select_events(UUID(int=99))] == [1, 2, 3, 4, 5, 6]


def test_processes_that_share_a_partition_lose_nothing_when_all_insert_at_once(tmp_path: Path) -> None:
    """Each has a connection of its own, as a process would: a fenced insert is made again, and none is made twice."""
    logs = [SqliteLog(tmp_path / "record.sqlite") for _ in range(4)]

    def insert(number: int) -> None:
        recorder = ConsumerRecorder(logs[number], shared=True)
        for version in range(1, 11):
            recorder.insert_events([StoredEvent(UUID(int=number), version, "topic", b"")])

    with ThreadPoolExecutor() as pool:
        list(pool.map(insert, range(4)))
    recorder = ConsumerRecorder(logs[0])
    assert [[each.originator_version for each in recorder.select_events(UUID(int=number))] for number in range(4)] == [[*range(1, 11)]] * 4
    assert recorder.max_notification_id() == 40
    for each in logs:
        each.close()


class Unsure(MemoryLog):
    """A store that fails while committing, after or before the block was durable."""

    failing: Exception | None = None
    durable = False

    def append(self, block: Block) -> None:
        if self.failing and not self.durable:
            raise self.failing
        super().append(block)
        if self.failing:
            raise self.failing


@pytest.mark.parametrize("durable", [True, False])
def test_an_insert_whose_outcome_is_unknown_may_be_repeated(durable: bool) -> None:
    """The repeat either records it, or says with a conflict that it was recorded: never twice, never lost."""
    log = Unsure()
    recorder = ConsumerRecorder(log)
    recorder.insert_events([an_event(1)])
    log.failing, log.durable = OutcomeUnknown(0, 2, "connection lost"), durable
    with pytest.raises(OperationalError):
        recorder.insert_events([an_event(2)], tracking=Tracking("market", 1))
    log.failing = None
    if durable:
        with pytest.raises(IntegrityError):
            recorder.insert_events([an_event(2)], tracking=Tracking("market", 1))
    else:
        recorder.insert_events([an_event(2)], tracking=Tracking("market", 1))
    recorder.insert_events([an_event(3)])
    assert [found.originator_version for found in recorder.select_events(UUID(int=99))] == [1, 2, 3]
    assert recorder.max_tracking_id("market") == 1


def test_an_insert_that_failed_changed_nothing() -> None:
    """A full disk: nothing is recorded, in memory neither; once there is room the same insert works."""
    log = Unsure()
    recorder = ConsumerRecorder(log)
    log.failing = StoreFailed("consumer.sqlite", "disk is full")
    with pytest.raises(OperationalError, match="disk is full"):
        recorder.insert_events([an_event(1)], tracking=Tracking("market", 1))
    assert (recorder.select_events(UUID(int=99)), recorder.max_tracking_id("market")) == ([], None)
    log.failing = None
    assert recorder.insert_events([an_event(1)], tracking=Tracking("market", 1)) == [1]


def test_a_market_is_not_a_consumers_chain(log: BlockLog) -> None:
    """Pointed at a market's partition it says so, and does not record among its blocks."""
    fill(log, 1, partition=1)
    with pytest.raises(DataError, match="was not written by a consumer"):
        ConsumerRecorder(log, 1).insert_events([an_event(1)])
    assert log.head(1).seq == 1
