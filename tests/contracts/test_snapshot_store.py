"""What a SnapshotStore is. Every implementation runs this suite."""

from __future__ import annotations

import pytest

from eventstore.ports import Snapshot, SnapshotStore
from tests.contracts.record import SNAPSHOTS, Place


@pytest.fixture(params=SNAPSHOTS, ids=lambda store: store.__name__)
def store(request: pytest.FixtureRequest, place: Place) -> SnapshotStore:
    found: SnapshotStore = request.param(place)
    return found


def snapshot(seq: int, partition: int = 1, state: bytes = b"") -> Snapshot:
    return Snapshot(partition, seq, bytes([seq]) * 32, state or b"state %d" % seq)


def test_there_is_none_before_one_was_saved(store: SnapshotStore) -> None:
    assert store.latest(1) is None


def test_the_latest_is_the_one_of_the_highest_block(store: SnapshotStore) -> None:
    """Also when it was saved first, and when its number has more digits."""
    for seq in (3, 100, 20):
        store.save(snapshot(seq))
    assert store.latest(1) == snapshot(100)


@pytest.mark.parametrize(("at_most", "found"), [(100, 100), (99, 20), (20, 20), (3, 3), (2, None)])
def test_time_travel_asks_for_the_latest_up_to_a_block(store: SnapshotStore, at_most: int, found: int | None) -> None:
    for seq in (3, 20, 100):
        store.save(snapshot(seq))
    assert store.latest(1, at_most) == (found and snapshot(found))


def test_partitions_know_nothing_of_each_other(store: SnapshotStore) -> None:
    """Partition 11 is not partition 1, however names are made of numbers."""
    store.save(snapshot(5, partition=11))
    assert store.latest(1) is None
    assert store.latest(11) == snapshot(5, partition=11)


def test_a_snapshot_of_the_same_block_takes_the_place_of_the_first(store: SnapshotStore) -> None:
    """It was made by another release, or after the first was found to be damaged."""
    store.save(snapshot(5))
    store.save(snapshot(5, state=b"newer"))
    assert store.latest(1) == snapshot(5, state=b"newer")


def test_pruning_keeps_the_newest(store: SnapshotStore) -> None:
    for seq in (1, 2, 3, 10):
        store.save(snapshot(seq))
    store.save(snapshot(1, partition=2))
    store.prune(1, keep=2)
    assert [store.latest(1, seq) for seq in (10, 9, 2)] == [snapshot(10), snapshot(3), None]
    assert store.latest(2) == snapshot(1, partition=2)


def test_a_state_may_be_empty_or_large(store: SnapshotStore) -> None:
    for seq, size in ((1, 0), (2, 5_000_000)):
        saved = Snapshot(1, seq, bytes(32), b"x" * size)
        store.save(saved)
        assert store.latest(1) == saved
