"""The words of these suites: a few rows, blocks made of them, and every implementation of a port."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.events import CLOCK_TICKED
from domain.verbs import TICK_CLOCK
from eventstore.blocks import Block, Head, seal
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.ports import BlockLog, SnapshotStore
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog

Open = Callable[[], BlockLog]  # one more handle on the same record, as another process would have


def ticks(count: int, time_ns: int) -> tuple[bytes, bytes]:
    """*count* clock ticks that expire nothing, and their events."""
    commands = b"".join(struct.pack("<16q", TICK_CLOCK, time_ns, *[0] * 14) for _ in range(count))
    return commands, struct.pack("<8q", CLOCK_TICKED, *[0] * 7) * count


def block_after(head: Head, *, commands: int = 1, time_ns: int | None = None, inputs: bytes = b"{}") -> Block:
    """A block of *commands* clock ticks that follows *head*; blocks of another time differ."""
    time_ns = head.time_ns + 1 if time_ns is None else time_ns
    return seal(head, *ticks(commands, time_ns), time_ns, inputs)


@contextmanager
def memory_log(folder: Path) -> Iterator[Open]:
    """All handles are the one object."""
    log = MemoryLog()
    yield lambda: log


@contextmanager
def sqlite_log(folder: Path) -> Iterator[Open]:
    """Every handle is a connection of its own to one file."""
    opened: list[SqliteLog] = []

    def another() -> SqliteLog:
        opened.append(SqliteLog(folder / "record.sqlite3"))
        return opened[-1]

    yield another
    for log in opened:
        log.close()


def memory_snapshots(folder: Path) -> SnapshotStore:
    """Snapshots in memory."""
    return MemorySnapshots()


def file_snapshots(folder: Path) -> SnapshotStore:
    """Snapshots as files."""
    return FileSnapshots(folder / "snapshots")


LOGS = (memory_log, sqlite_log)
SNAPSHOTS = (memory_snapshots, file_snapshots)
