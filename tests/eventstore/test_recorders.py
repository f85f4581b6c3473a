"""The blocks of a partition through the `eventsourcing` library: what our rules do instead of what its own cases begin with.

Those cases run in test_library_cases.py; how a user of the library follows us is in test_following.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from uuid import UUID

import pytest
from eventsourcing.persistence import DataError, IntegrityError, NotSupportedError, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder
from hypothesis import given
from hypothesis import strategies as st

from eventstore.blocks import Block, after, genesis
from eventstore.memory import MemoryLog
from eventstore.notifications import PULL_NOTIFICATIONS
from eventstore.ports import BlockLog
from eventstore.postgres import PostgresLog
from eventstore.recorders import BLOCK_TOPIC, BlockMapper, PartitionRecorder, opened, partition_id, stored
from eventstore.sqlite import SqliteLog
from tests.eventstore.rows import fill, trade_block

BLOCKS = 7


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BlockLog]:
    """An empty record in each store."""
    made: BlockLog
    match request.param:
        case "memory":
            made = MemoryLog()
        case "sqlite":
            made = SqliteLog(tmp_path / "record.sqlite")
        case "postgres":
            made = PostgresLog(request.getfixturevalue("database").dsn())
    yield made
    made.close()


def test_a_block_is_a_stored_event(log: BlockLog) -> None:
    """Stream id = partition, version = notification id = block number, state = the block with all its fields."""
    written = fill(log, 3, partition=5)
    recorder = PartitionRecorder(log, 5)
    assert recorder.select_events(partition_id(5)) == [stored(block) for block in written]
    assert list(map(opened, recorder.select_events(partition_id(5)))) == written
    last = recorder.select_notifications(3, 10)[0]
    assert (last.id, last.originator_version, last.originator_id, last.topic) == (3, 3, UUID(int=5), BLOCK_TOPIC)
    assert recorder.max_notification_id() == 3


some = st.none() | st.integers(0, BLOCKS + 2)


@given(gt=some, lte=some, desc=st.booleans(), limit=st.none() | st.integers(1, BLOCKS + 1))
def test_it_selects_events_like_the_library(gt: int | None, lte: int | None, desc: bool, limit: int | None) -> None:
    """The reference is the library's own recorder in memory, given the same stored events."""
    ours, reference = _both()
    stream = partition_id(1)
    assert ours.select_events(stream, gt=gt, lte=lte, desc=desc, limit=limit) == reference.select_events(
        stream, gt=gt, lte=lte, desc=desc, limit=limit
    )


@given(
    start=some,
    limit=st.integers(1, BLOCKS + 1),
    stop=some,
    topics=st.sampled_from([(), (BLOCK_TOPIC,), ("other",)]),
    inclusive=st.booleans(),
)
def test_it_selects_notifications_like_the_library(
    start: int | None, limit: int, stop: int | None, topics: tuple[str, ...], inclusive: bool
) -> None:
    """As above."""
    ours, reference = _both()
    assert ours.select_notifications(start, limit, stop, topics, inclusive_of_start=inclusive) == reference.select_notifications(
        start, limit, stop, topics, inclusive_of_start=inclusive
    )
    assert ours.max_notification_id() == reference.max_notification_id()


def _both() -> tuple[PartitionRecorder, POPOApplicationRecorder]:
    log = MemoryLog()
    reference = POPOApplicationRecorder()
    reference.insert_events([stored(block) for block in fill(log, BLOCKS)])
    return PartitionRecorder(log, 1), reference


def test_partitions_have_no_common_log(log: BlockLog) -> None:
    """They have no order between them, and no writer waits for another: a follower of two keeps two positions."""
    fill(log, 2, partition=1)
    fill(log, 3, partition=2)
    assert PartitionRecorder(log, 1).max_notification_id() == 2
    assert PartitionRecorder(log, 2).max_notification_id() == 3
    assert PartitionRecorder(log, 1).select_events(partition_id(2)) == []


def test_the_owner_may_append_through_the_library(log: BlockLog) -> None:
    """A block sealed on the claimed head is inserted; its number is its notification id."""
    recorder = PartitionRecorder(log, 1)
    block = trade_block(log.claim(1), instrument=1, lots=1)
    assert recorder.insert_events([stored(block)]) == [1]
    assert recorder.insert_events([stored(trade_block(after(block), instrument=1, lots=1))]) == [2]
    assert [found.seq for found in log.read(1)] == [1, 2]


def test_a_block_that_is_not_the_next_of_the_owner_is_a_conflict(log: BlockLog) -> None:
    """Recorded already, one left out, of another partition, of an owner who lost the partition: nothing changes."""
    recorder = PartitionRecorder(log, 1)
    (first,) = fill(log, 1)
    second = trade_block(after(first), instrument=1, lots=1)
    third = trade_block(after(second), instrument=1, lots=1)
    elsewhere = trade_block(genesis(2), instrument=1, lots=1)
    for conflicting in (first, third, elsewhere):
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored(conflicting)])
    log.claim(1)
    with pytest.raises(IntegrityError, match="another writer owns the partition"):
        recorder.insert_events([stored(second)])
    assert list(log.read(1)) == [first]


def test_two_blocks_are_not_one_insert(log: BlockLog) -> None:
    """The library's inserts are all or nothing, a block is a commit; half an insert would be a lie."""
    block = trade_block(log.claim(1), instrument=1, lots=1)
    with pytest.raises(NotSupportedError, match="one by one"):
        PartitionRecorder(log, 1).insert_events([stored(block), stored(trade_block(after(block), instrument=1, lots=1))])
    assert list(log.read(1)) == []


def _altered(block: Block) -> list[StoredEvent]:
    event = stored(block)
    return [
        replace(event, state=b"state1"),
        replace(event, state=event.state[:-1] + bytes([event.state[-1] ^ 1])),
        replace(event, originator_version=2),
        replace(event, originator_id=partition_id(2)),
    ]


def test_a_state_that_is_not_the_block_is_refused(log: BlockLog) -> None:
    """A state is a block's bytes under the block's own name, or it is not recorded and not believed."""
    block = trade_block(log.claim(1), instrument=1, lots=1)
    for altered in _altered(block):
        with pytest.raises(DataError, match=f"version {altered.originator_version}: its state is"):
            PartitionRecorder(log, 1).insert_events([altered])
        with pytest.raises(DataError):
            BlockMapper(transcoder=None).to_domain_event(altered)  # type: ignore[arg-type]  # a block needs none
    assert list(log.read(1)) == []


def test_a_damaged_record_stops_whoever_follows() -> None:
    """A gap is not skipped: the follower gets an error of the library's kind, not fewer blocks."""
    log = MemoryLog()
    fill(log, 3)
    del log._chains[1][1]
    recorder = PartitionRecorder(log, 1)
    with pytest.raises(DataError, match="block 2"):
        recorder.select_events(partition_id(1))
    with recorder.subscribe() as subscription, pytest.raises(DataError, match="block 2"):
        list(subscription)


def test_a_position_beyond_the_record_is_an_error(log: BlockLog) -> None:
    """A record that is shorter than what was followed is another record: waiting for it to grow would skip blocks in silence."""
    fill(log, 3)
    with (
        PartitionRecorder(log, 1).subscribe(gt=4) as subscription,
        pytest.raises(DataError, match="position 4 is beyond the end of the record"),
    ):
        next(subscription)


def test_a_waiting_follower_can_be_stopped(log: BlockLog) -> None:
    """A subscription that waits for the next block ends when another thread stops it."""
    fill(log, 1)
    subscription = PartitionRecorder(log, 1).subscribe()
    arrived, ended = Event(), Event()

    def follow() -> None:
        for _ in subscription:
            arrived.set()
        ended.set()

    thread = Thread(target=follow)
    thread.start()
    assert arrived.wait(10), "the block that is there arrives"
    subscription.stop()
    thread.join(10)
    assert ended.is_set(), "the iteration ends, and without an error"


def test_a_follower_that_is_far_behind_misses_nothing(log: BlockLog) -> None:
    """More blocks than are pulled at once, and some that are written while it follows: all of them, once, in order."""
    written = fill(log, PULL_NOTIFICATIONS + 3)
    with PartitionRecorder(log, 1).subscribe(gt=1) as subscription:
        seen = [next(subscription).id for _ in written[1:]]
        log.append(trade_block(after(written[-1]), instrument=1, lots=1))
        seen.append(next(subscription).id)
    assert seen == list(range(2, len(written) + 2))
