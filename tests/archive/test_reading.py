"""What an archive has is read as any record is: the reading half of the contract, after each test's record was archived."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from domain.partition import Partition
from eventstore import ranges
from eventstore.blocks import Block, Head, after, genesis
from eventstore.cold import ArchiveLog
from eventstore.memory import MemoryLog
from eventstore.ports import BlockLog, StoreFailed
from eventstore.shelf import Shelf
from projections.columns import Columns
from projections.embedded import Views
from replay import explain, reexecute, source, travel
from tests.archive.days import archived
from tests.contracts.record import block_after
from tests.contracts.test_block_log import (
    test_partitions_know_nothing_of_each_other,
    test_reading_begins_after_the_given_block,
    test_reading_from_beyond_the_end_is_damage,
)
from tests.projections.flow import recorded, trading

__all__ = [
    "test_partitions_know_nothing_of_each_other",
    "test_reading_begins_after_the_given_block",
    "test_reading_from_beyond_the_end_is_damage",
]


class Archiving:
    """A record that is archived before each look at it, and then read from the archive alone."""

    def __init__(self, folder: Path) -> None:
        self._log, self._url = MemoryLog(), str(folder)
        self.durability = "archive"

    def _cold(self) -> ArchiveLog:
        for partition in self._log.partitions():
            archived(self._log, Shelf(self._url), partition, until_ns=2**62)
        return ArchiveLog(self._url)

    def claim(self, partition: int) -> Head:
        return self._log.claim(partition)

    def append(self, block: Block) -> None:
        self._log.append(block)

    def head(self, partition: int) -> Head:
        head = self._cold().head(partition)
        return head if head.seq else self._log.head(partition)  # of a partition without blocks an archive knows nothing

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        return self._cold().read(partition, after_seq)

    def partitions(self) -> list[int]:
        return sorted({*self._cold().partitions(), *self._log.partitions()})

    def close(self) -> None:
        pass


@pytest.fixture
def log(tmp_path: Path) -> BlockLog:
    return Archiving(tmp_path)


def test_an_empty_archive_has_nothing(tmp_path: Path) -> None:
    cold = ArchiveLog(str(tmp_path / "none"))
    assert cold.partitions() == []
    assert cold.head(7) == genesis(7)
    assert list(cold.read(7)) == []


def test_an_archive_cannot_be_written_as_a_record(tmp_path: Path) -> None:
    cold = ArchiveLog(str(tmp_path))
    with pytest.raises(StoreFailed, match="read only"):
        cold.claim(1)
    with pytest.raises(StoreFailed, match="read only"):
        cold.append(block_after(genesis(1)))


def test_replay_views_and_explain_read_the_archive_as_the_record(tmp_path: Path) -> None:
    """Each says the same of both."""
    log = recorded(trading(11, 400), MemoryLog())
    archived(log, Shelf(str(tmp_path)), until_ns=2**62)
    cold = ArchiveLog(str(tmp_path))
    assert source.verify(cold, 1) == source.verify(log, 1)
    assert reexecute.reexecute(cold, 1).ok
    middle = log.head(1).next_event // 2
    assert travel.at(cold, None, 1, event=middle).partition.state_hash() == travel.at(log, None, 1, event=middle).partition.state_hash()
    order = next(number for block in log.read(1) for kind, number in block.arrays().events[:, :2].tolist() if kind & 255 == 9)
    assert explain.life(cold, 1, order) == explain.life(log, 1, order)
    of_cold, of_log = Views(1), Views(1)
    for cold_block, block in zip(cold.read(1), log.read(1), strict=True):
        of_cold.advance(Columns(cold_block))
        of_log.advance(Columns(block))
    assert {name: view.rows for name, view in of_cold.views.items()} == {name: view.rows for name, view in of_log.views.items()}


def test_a_partition_goes_on_from_what_the_archive_has(tmp_path: Path) -> None:
    """The state after the archive and the tail is the state."""
    log = recorded(trading(12, 300), MemoryLog())
    blocks = list(log.read(1))
    archived(log, Shelf(str(tmp_path)), until_ns=blocks[len(blocks) // 2].time_ns)
    cold, state = ArchiveLog(str(tmp_path)), Partition(1)
    for block in [*cold.read(1), *log.read(1, cold.head(1).seq)]:
        state.apply(*block.rows())
    assert after(blocks[-1]) == log.head(1)
    assert state.state_hash() == travel.at(log, None, 1).partition.state_hash()


def test_threads_read_a_range_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a query does: none gets what another asked for."""
    monkeypatch.setattr(ranges, "ROW_GROUP_BLOCKS", 3)
    blocks = list(recorded(trading(5, 250, 30), MemoryLog()).read(1))
    shelf = Shelf(str(tmp_path))
    archived(recorded(blocks, MemoryLog()), shelf, until_ns=2**62)
    with closing(shelf.open(shelf.line(1)[0])) as file, ThreadPoolExecutor(4) as threads:
        groups = 40 * [*file.groups(0)]
        hints, read = threads.map(file.hints, groups), threads.map(file.read_group, groups)
        there = [blocks[at : at + 3] for at in range(0, len(blocks), 3)]
        assert list(hints) == 40 * [[ranges.hints(block.opened()) for block in some] for some in there]
        assert [[block.hash for block in some] for some in read] == 40 * [[block.hash for block in some] for some in there]
