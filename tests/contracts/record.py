"""The words of these suites: a few rows, blocks made of them, and every implementation of a port."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain.events import CLOCK_TICKED
from domain.verbs import TICK_CLOCK
from eventstore.blocks import Block, Head, seal
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.ports import BlockLog, SnapshotStore
from eventstore.postgres import PostgresLog
from eventstore.postgres_snapshots import PostgresSnapshots
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog
from tests.servers.fixtures import Database

Open = Callable[[], BlockLog]  # one more handle on the same record, as another process would have


def ticks(count: int, time_ns: int) -> tuple[bytes, bytes]:
    """*count* clock ticks that expire nothing, and their events."""
    commands = b"".join(struct.pack("<16q", TICK_CLOCK, time_ns, *[0] * 14) for _ in range(count))
    return commands, struct.pack("<8q", CLOCK_TICKED, *[0] * 7) * count


def block_after(head: Head, *, commands: int = 1, time_ns: int | None = None, inputs: bytes = b"{}") -> Block:
    """A block of *commands* clock ticks that follows *head*; blocks of another time differ."""
    time_ns = head.time_ns + 1 if time_ns is None else time_ns
    return seal(head, *ticks(commands, time_ns), time_ns, inputs)


@dataclass(frozen=True)
class Place:
    """Where an implementation may keep its things: in a folder, or in an empty record in PostgreSQL, there once it is asked for."""

    folder: Path
    database: Callable[[], Database]


@contextmanager
def memory_log(place: Place) -> Iterator[Open]:
    """All handles are the one object."""
    log = MemoryLog()
    yield lambda: log


@contextmanager
def sqlite_log(place: Place) -> Iterator[Open]:
    """Every handle is a connection of its own to one file."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(SqliteLog(place.folder / "record.sqlite3")))


@contextmanager
def postgres_log(place: Place) -> Iterator[Open]:
    """Every handle is a connection of its own to one database."""
    database = place.database()
    with ExitStack() as opened:
        yield lambda: opened.enter_context(closing(PostgresLog(database.dsn())))


def memory_snapshots(place: Place) -> SnapshotStore:
    """Snapshots in memory."""
    return MemorySnapshots()


def file_snapshots(place: Place) -> SnapshotStore:
    """Snapshots as files."""
    return FileSnapshots(place.folder / "snapshots")


def postgres_snapshots(place: Place) -> SnapshotStore:
    """Snapshots in a database."""
    return PostgresSnapshots(place.database().dsn())


EMBEDDED = (memory_log, sqlite_log)
LOGS = (*EMBEDDED, postgres_log)
SNAPSHOTS = (memory_snapshots, file_snapshots, postgres_snapshots)
