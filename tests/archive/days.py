"""Records of some days, and an archive of them, for tests."""

from __future__ import annotations

from collections.abc import Sequence

from eventstore.blocks import after
from eventstore.closing import close_ranges
from eventstore.memory import MemoryLog
from eventstore.ports import BlockLog
from eventstore.shelf import DAY_NS, Entry, Shelf
from tests.contracts.record import block_after

OPENS_NS = 20_000 * DAY_NS


def of_days(days: Sequence[int], partition: int = 1) -> MemoryLog:
    """Of each day as many blocks of one clock tick as *days* says, a minute apart."""
    log = MemoryLog()
    head = log.claim(partition)
    for day, blocks in enumerate(days):
        for minute in range(blocks):
            block = block_after(head, time_ns=OPENS_NS + day * DAY_NS + minute * 60 * 10**9)
            log.append(block)
            head = after(block)
    return log


def archived(log: BlockLog, shelf: Shelf, partition: int = 1, until_ns: int | None = None) -> list[Entry]:
    """What closing ranges closed."""
    return list(close_ranges(log, shelf, partition, until_ns))
