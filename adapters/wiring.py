"""Where ports meet their implementations. Profile embedded: one process, one trading partition, one folder: SQLite file, snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

from adapters.decimals import BadDecimal
from adapters.feed import BadFeed
from adapters.names import BadName
from adapters.settings import BadSettings, Settings
from adapters.times import BadTime
from commands.codec import BadRow
from commands.writer import Stopped, Writer
from domain.partition import Partition
from eventstore.memory import MemorySnapshots
from eventstore.ports import BlockLog, Damaged, Fenced, NewerSchema, OutcomeUnknown, SnapshotStore, StoreFailed
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog
from replay import travel
from replay.source import Progress
from replay.travel import NotInRecord

RECORD: Final = "record.sqlite"
SNAPSHOTS: Final = "snapshots"


class NoStore(ValueError):
    """Nothing was recorded there, or something else: which folder, and what to do."""


BAD_INPUT: Final = (BadDecimal, BadName, BadRow, BadSettings, BadTime, NoStore, NotInRecord)
WORLD_FAILED: Final = (BadFeed, Damaged, Fenced, NewerSchema, OutcomeUnknown, Stopped, StoreFailed, OSError)


@dataclass(frozen=True, slots=True)
class Store:
    """The record of one trading partition, and snapshots of what it leads to."""

    settings: Settings
    log: BlockLog
    snapshots: SnapshotStore

    @property
    def number(self) -> int:
        """Number of the partition."""
        return self.settings.partition

    def state(self, progress: Progress | None = None) -> Partition:
        """The partition as the record has it now. Raises Damaged, StoreFailed."""
        return travel.at(self.log, self.snapshots, self.number, progress=progress).partition

    def writer(self, progress: Progress | None = None) -> Writer:
        """The partition's one writer: whoever had it before is fenced. Close it, or use it in `with`."""
        return Writer(
            self.log,
            self.snapshots,
            self.number,
            inbox_commands=self.settings.inbox_commands,
            snapshot_every_events=self.settings.snapshot_every_events,
            progress=progress,
        )


@contextmanager
def reading(settings: Settings) -> Iterator[Store]:
    """The store, of which nothing will change. Raises NoStore, Damaged, NewerSchema, StoreFailed."""
    record, kept = settings.store / RECORD, settings.store / SNAPSHOTS
    if not record.exists():
        raise NoStore(f"no record in {settings.store}; name its folder with --store, or begin one with `outcry feed` or `outcry order`")
    snapshots: SnapshotStore = FileSnapshots(kept) if kept.is_dir() else MemorySnapshots()
    with closing(SqliteLog(record, read_only=True)) as log:
        yield Store(settings, log, snapshots)


@contextmanager
def writing(settings: Settings) -> Iterator[Store]:
    """The store, made when there is none. Raises Damaged, NewerSchema, StoreFailed, OSError."""
    settings.store.mkdir(parents=True, exist_ok=True)
    with closing(SqliteLog(settings.store / RECORD)) as log:
        yield Store(settings, log, FileSnapshots(settings.store / SNAPSHOTS))
