"""Where ports meet their implementations. Profile embedded: one process, one trading partition, one folder: SQLite file, snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adapters.decimals import BadDecimal
from adapters.feed import BadFeed
from adapters.names import BadName
from adapters.times import BadTime
from commands.codec import BadRow
from commands.writer import Stopped, Writer
from domain.partition import Partition
from eventstore.memory import MemorySnapshots
from eventstore.ports import BlockLog, Damaged, Fenced, NewerSchema, OutcomeUnknown, SnapshotStore, StoreFailed
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog
from replay import travel
from replay.travel import NotInRecord

PARTITION: Final = 1
RECORD: Final = "record.sqlite"
SNAPSHOTS: Final = "snapshots"


class NoStore(ValueError):
    """Nothing was recorded there: which folder, and how to begin one."""


BAD_INPUT: Final = (BadDecimal, BadName, BadRow, BadTime, NoStore, NotInRecord)
WORLD_FAILED: Final = (BadFeed, Damaged, Fenced, NewerSchema, OutcomeUnknown, Stopped, StoreFailed, OSError)


@dataclass(frozen=True, slots=True)
class Store:
    """One folder: the record, and snapshots of what it leads to."""

    folder: Path
    log: BlockLog
    snapshots: SnapshotStore

    def partition(self) -> Partition:
        """The trading partition as the record has it now. Raises Damaged, StoreFailed."""
        return travel.at(self.log, self.snapshots, PARTITION).partition

    def writer(self) -> Writer:
        """The partition's one writer: whoever had it before is fenced. Close it, or use it in `with`."""
        return Writer(self.log, self.snapshots, PARTITION)


@contextmanager
def reading(folder: Path) -> Iterator[Store]:
    """The store in *folder*, of which nothing will change. Raises NoStore, Damaged, NewerSchema, StoreFailed."""
    if not (folder / RECORD).exists():
        raise NoStore(f"no record in {folder}; name its folder with --store, or begin one with `outcry feed` or `outcry order`")
    snapshots: SnapshotStore = FileSnapshots(folder / SNAPSHOTS) if (folder / SNAPSHOTS).is_dir() else MemorySnapshots()
    with closing(SqliteLog(folder / RECORD, read_only=True)) as log:
        yield Store(folder, log, snapshots)


@contextmanager
def writing(folder: Path) -> Iterator[Store]:
    """The store in *folder*, made when there is none. Raises Damaged, NewerSchema, StoreFailed, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(SqliteLog(folder / RECORD)) as log:
        yield Store(folder, log, FileSnapshots(folder / SNAPSHOTS))
