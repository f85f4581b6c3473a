"""Where a restart begins: the newest snapshot that is of this record, then the blocks after it; the record alone is always enough."""

from __future__ import annotations

import pytest

from commands.recovery import rebuild
from commands.writer import Writer
from domain import verbs as v
from domain.partition import Partition
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.ports import Damaged, Snapshot, SnapshotStore, StoreFailed
from tests import market
from tests.commands.held import HeldLog

PARTITION = 2
SETUP = (
    market.list_instrument(1)
    + market.set_state(v.OPEN)
    + market.open_account(1)
    + market.deposit(1, 1, 10**9)
    + market.deposit(1, 2, 10**9)
)
ORDERS = market.buy(1, 1, 100) + market.sell(1, 1, 101)


class ReadCounting(MemoryLog):
    """Remembers from where it was read."""

    def __init__(self) -> None:
        super().__init__()
        self.read_after: list[int] = []

    def read(self, partition: int, after_seq: int = 0):  # type: ignore[no-untyped-def]  # noqa: ANN201
        self.read_after.append(after_seq)
        return super().read(partition, after_seq)


def write(log: MemoryLog, snapshots: SnapshotStore, batches: int, *, every: int = 10**9) -> bytes:
    """Write *batches* blocks of four events each; the state hash at the end."""
    with Writer(log, snapshots, PARTITION, clock=lambda: 5, snapshot_every_events=every) as writer:
        if log.head(PARTITION).seq == 0:
            writer.submit(SETUP).result(20)
        for _ in range(batches):
            writer.submit(ORDERS).result(20)
    return writer.partition.state_hash()


def reopened(log: MemoryLog, snapshots: SnapshotStore) -> bytes:
    with Writer(log, snapshots, PARTITION) as writer:
        return writer.partition.state_hash()


def test_the_record_alone_is_enough() -> None:
    log = MemoryLog()
    assert reopened(log, MemorySnapshots()) == Partition(PARTITION).state_hash()
    assert write(log, MemorySnapshots(), 3) == reopened(log, MemorySnapshots())


def test_a_snapshot_is_kept_on_closing_and_a_restart_begins_there() -> None:
    log, snapshots = ReadCounting(), MemorySnapshots()
    before = write(log, snapshots, 3)
    kept = snapshots.latest(PARTITION)
    assert kept
    assert (kept.seq, kept.block_hash) == (4, log.head(PARTITION).hash)
    log.read_after.clear()
    assert reopened(log, snapshots) == before
    assert min(log.read_after) == 3, "the last block is read for its input positions, none before it"


def test_closing_without_a_new_event_keeps_no_new_snapshot() -> None:
    log, snapshots = MemoryLog(), MemorySnapshots()
    write(log, snapshots, 1)
    kept = snapshots.latest(PARTITION)
    reopened(log, snapshots)
    assert snapshots.latest(PARTITION) is kept


def test_a_snapshot_is_taken_every_so_many_events_of_a_committed_position() -> None:
    """5, 9, 13, 17, 21, 25, 29 events after each block: snapshots of blocks 2, 4 and 6, of 7 on closing; the two newest are kept."""
    log, snapshots = MemoryLog(), MemorySnapshots()
    with Writer(log, snapshots, PARTITION, clock=lambda: 5, snapshot_every_events=8) as writer:
        for rows in (SETUP, *[ORDERS] * 6):
            writer.submit(rows).result(20)
            writer._keeper.wait()
    blocks = list(log.read(PARTITION))
    for expected in (7, 6):
        kept = snapshots.latest(PARTITION, expected)
        assert kept
        assert (kept.seq, kept.block_hash) == (expected, blocks[expected - 1].hash)
        assert Partition.restore(kept.state).events == blocks[expected - 1].first_event + blocks[expected - 1].event_count
    assert snapshots.latest(PARTITION, 5) is None


def test_the_state_after_a_block_that_could_not_be_committed_is_no_snapshot() -> None:
    """It was taken before the commit, and never was."""
    log, snapshots = HeldLog(), MemorySnapshots()
    writer = Writer(log, snapshots, PARTITION, snapshot_every_events=1)
    writer.submit(SETUP).result(20)
    writer._keeper.wait()
    log.fails = StoreFailed("the store", "no space left")
    writer.submit(ORDERS)
    with pytest.raises(StoreFailed):
        writer.close()
    kept = snapshots.latest(PARTITION)
    assert kept is not None
    assert kept.seq == 1


def test_a_restart_goes_on_from_a_snapshot_in_the_middle() -> None:
    log, snapshots = ReadCounting(), MemorySnapshots()
    write(log, snapshots, 2)
    after = write(log, MemorySnapshots(), 3)
    log.read_after.clear()
    assert reopened(log, snapshots) == after
    assert min(log.read_after) == 3


@pytest.mark.parametrize("state", [b"", b"rubbish", bytes(1000)])
def test_a_damaged_snapshot_is_passed_over_with_a_warning(state: bytes, caplog: pytest.LogCaptureFixture) -> None:
    log, snapshots = ReadCounting(), MemorySnapshots()
    write(log, snapshots, 2)
    after = write(log, MemorySnapshots(), 1)
    snapshots.save(Snapshot(PARTITION, 4, log.head(PARTITION).hash, state))
    log.read_after.clear()
    assert reopened(log, snapshots) == after
    assert "partition 2: the snapshot of block 4 is passed over: " in caplog.text
    assert 3 in log.read_after, "the one before it is used"


def test_a_snapshot_of_another_record_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    other, log, snapshots = MemoryLog(), MemoryLog(), MemorySnapshots()
    write(other, snapshots, 1)
    with Writer(log, MemorySnapshots(), PARTITION, clock=lambda: 6) as writer:
        writer.submit(SETUP).result(20)
        writer.submit(ORDERS + ORDERS).result(20)
    assert reopened(log, snapshots) == writer.partition.state_hash()
    assert "the snapshot of block 2 is of another record and passed over" in caplog.text


def test_a_snapshot_that_names_the_wrong_block_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """The state of block 2 under the hash of block 3: applied blocks would count their events wrong."""
    log, snapshots = MemoryLog(), MemorySnapshots()
    write(log, snapshots, 1)
    after = write(log, MemorySnapshots(), 1)
    early = snapshots.latest(PARTITION)
    assert early
    snapshots.save(Snapshot(PARTITION, 3, log.head(PARTITION).hash, early.state))
    assert reopened(log, snapshots) == after
    assert "the snapshot of block 3 is of another record" in caplog.text


def test_a_snapshot_of_a_block_that_the_record_does_not_have_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """A record that was cut, or replaced by an older copy, opens as it is; whoever opens it is told that it once was longer."""
    log, snapshots = ReadCounting(), MemorySnapshots()
    write(log, snapshots, 1)
    early = write(log, snapshots, 1)
    write(log, snapshots, 2)
    del log._chains[PARTITION][3:]
    log.read_after.clear()
    assert reopened(log, snapshots) == early
    assert "partition 2: the record ends with block 3, but there is a snapshot of block 5: the record was cut or replaced" in caplog.text
    assert min(log.read_after) == 2, "the snapshot of block 3 is used; 2 is for the positions of sources"


@pytest.mark.parametrize("from_snapshot", [True, False])
def test_a_rebuild_ends_at_the_head_it_was_told_though_the_record_goes_on(from_snapshot: bool) -> None:
    """Whoever follows a record that somebody else writes reads its head first and its blocks later."""
    log, snapshots = MemoryLog(), MemorySnapshots()
    then = write(log, snapshots, 1)
    head = log.head(PARTITION)
    write(log, MemorySnapshots(), 2)
    partition, _ = rebuild(log, snapshots if from_snapshot else MemorySnapshots(), head)
    assert partition.state_hash() == then


def test_a_rebuild_tells_how_far_it_is() -> None:
    """Blocks done of those after the snapshot."""
    log, snapshots = MemoryLog(), MemorySnapshots()
    write(log, snapshots, 1)
    write(log, MemorySnapshots(), 3)
    told: list[tuple[int, int]] = []
    rebuild(log, snapshots, log.head(PARTITION), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_failing_to_keep_a_snapshot_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    class NoRoom(MemorySnapshots):
        def save(self, snapshot: Snapshot) -> None:
            raise StoreFailed("the folder", "no space left")

    log = MemoryLog()
    assert write(log, NoRoom(), 2, every=1) == reopened(log, MemorySnapshots())
    assert "partition 2: no snapshot of block 3: the folder: no space left" in caplog.text


def test_a_damaged_record_stops_the_start() -> None:
    log = MemoryLog()
    write(log, MemorySnapshots(), 2)
    del log._chains[PARTITION][1]
    with pytest.raises(Damaged, match="partition 2, block 2"):
        Writer(log, MemorySnapshots(), PARTITION)
