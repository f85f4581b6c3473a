"""History is read from standbys where the settings name some: as far as the record is, from whichever of them is that far.

A command reads it as of its beginning (`opened`), a process that stays as it grows (`following`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from textwrap import shorten
from typing import Final

from adapters.settings import Settings
from eventstore.blocks import Block, Head
from eventstore.ports import BlockLog, SnapshotStore, StoreFailed
from eventstore.postgres import PostgresLog
from eventstore.read_log import ReadLog, ReadSnapshots
from eventstore.read_pool import ReadPool, Source

CAUSE_CHARACTERS: Final = 200
_LOG: Final = logging.getLogger(__name__)


def pool(settings: Settings) -> ReadPool:
    """The readers of *settings*, and their primary in the last resort; close it. Raises StoreFailed."""
    return ReadPool(
        [Source(reader.dsn, reader.weight) for reader in settings.readers],
        settings.postgres,
        connections=settings.reader_connections,
        primary_share=settings.primary_share,
        cluster=settings.cluster,
    )


@contextmanager
def opened(settings: Settings) -> Iterator[tuple[BlockLog, SnapshotStore]]:
    """The record from its readers, with every block that was in it when this was asked for. Raises NoReader, StoreFailed.

    The primary is asked for its last blocks' numbers, once. Does it not answer, the record is as of the newest that a reader has, and a
    warning says so.
    """
    with closing(pool(settings)) as readers:
        yield ReadLog(readers, _newest(settings, readers)), ReadSnapshots(readers)


@contextmanager
def following(settings: Settings, record: BlockLog) -> Iterator[BlockLog]:
    """*record*, whose blocks its readers read out, when there are any. Raises StoreFailed."""
    if not settings.readers:
        yield record
        return
    with closing(pool(settings)) as readers:
        yield History(record, ReadLog(readers))


class History:
    """BlockLog whose end *record* tells, at the cost of a row, and whose blocks *readers* read out. Nothing is written through it.

    While *record* does not answer, the end is the one that the readers know, never before what was shown.
    """

    def __init__(self, record: BlockLog, readers: ReadLog) -> None:
        self._record, self.readers = record, readers

    @property
    def durability(self) -> str:
        """That of *record*."""
        return self._record.durability

    def claim(self, partition: int) -> Head:
        """Raises StoreFailed."""
        return self.readers.claim(partition)

    def append(self, block: Block) -> None:
        """Raises StoreFailed."""
        self.readers.append(block)

    def head(self, partition: int) -> Head:
        """See BlockLog."""
        try:
            found = self._record.head(partition)
        except StoreFailed:
            return self.readers.head(partition)
        self.readers.need(partition, found.seq)
        return found

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """See BlockLog: all that is in the record when reading begins. Raises TooFarBehind, NoReader, too."""
        self.head(partition)
        yield from self.readers.read(partition, after_seq)

    def partitions(self) -> list[int]:
        """See BlockLog."""
        return self.readers.partitions()

    def close(self) -> None:
        """Nothing: record and readers are others'."""


def _newest(settings: Settings, readers: ReadPool) -> Mapping[int, int]:
    try:
        with closing(PostgresLog(settings.postgres, cluster=settings.cluster, i_know_this_loses_data=True, patience_s=0)) as record:
            return {partition: record.head(partition).seq for partition in record.partitions()}
    except StoreFailed as failed:
        newest = {partition: readers.newest(partition) for partition in ReadLog(readers).partitions()}
        shown = ", ".join(f"block {seq} of partition {partition}" for partition, seq in newest.items())
        cause = shorten(failed.cause, CAUSE_CHARACTERS)
        _LOG.warning("the primary does not answer (%s); this is as of the newest that a standby has: %s", cause, shown or "nothing")
        return newest
