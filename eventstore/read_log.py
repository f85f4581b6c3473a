"""The record, read from whichever server of a ReadPool has it: all that a BlockLog and a SnapshotStore answer, and nothing they change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeVar

from eventstore import postgres_reads as reads
from eventstore.blocks import Block, Head, after
from eventstore.ports import Damaged, Snapshot, StoreFailed
from eventstore.postgres_server import Connection
from eventstore.postgres_snapshots import latest
from eventstore.read_pool import NAME, ReadPool

_READS_ONLY: Final = "they only answer questions; right would be the record itself, by the setting postgres"

T = TypeVar("T")


class ReadLog:
    """BlockLog over *pool* for one reader: it has *at_least* the blocks named there, and never goes back behind what it showed.

    A reading goes on at another server when one fails, and holds no connection while its blocks are looked at. The chain is verified across
    servers: one that holds another history is Damaged. Closing it leaves the pool open.
    """

    durability = "read only"

    def __init__(self, pool: ReadPool, at_least: Mapping[int, int] | None = None) -> None:
        self.pool, self._seen = pool, dict(at_least or {})

    def need(self, partition: int, seq: int) -> None:
        """From now on it has block *seq*, too."""
        self._seen[partition] = max(seq, self._seen.get(partition, 0))

    def claim(self, partition: int) -> Head:  # noqa: ARG002 - as the port has it
        """Raises StoreFailed: this is no place to write."""
        raise StoreFailed(NAME, _READS_ONLY)

    def append(self, block: Block) -> None:  # noqa: ARG002 - as the port has it
        """Raises StoreFailed: this is no place to write."""
        raise StoreFailed(NAME, _READS_ONLY)

    def head(self, partition: int) -> Head:
        """See BlockLog: the head at a server that has what this reader has seen. Raises TooFarBehind, NoReader, too."""
        found = self._ask(partition, lambda db: reads.head(db, partition))
        self.need(partition, found.seq)
        return found

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """See BlockLog. A page and one block in memory. Raises TooFarBehind, NoReader, too."""
        end = self.head(partition).seq
        if after_seq > end:
            raise Damaged(partition, after_seq, f"missing; the record ends with block {end}")
        previous = self._ask(partition, lambda db: reads.place(db, partition, after_seq))
        while previous.seq < end:
            page = self._page(previous, end)
            yield from reads.verified(page, previous)
            previous = after(page[-1])

    def partitions(self) -> list[int]:
        """See BlockLog. Raises TooFarBehind, NoReader, too."""
        return self.pool.ask(dict(self._seen), reads.partitions)

    def close(self) -> None:
        """Nothing: the pool may have other readers."""

    def _page(self, previous: Head, end: int) -> list[Block]:
        return self._ask(previous.partition, lambda db: reads.page(db, previous, end))

    def _ask(self, partition: int, work: Callable[[Connection], T]) -> T:
        return self.pool.ask({partition: self._seen.get(partition, 0)}, work)


class ReadSnapshots:
    """SnapshotStore over *pool*: the snapshots that whichever server is asked has. An older one costs time, never truth."""

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool

    def save(self, snapshot: Snapshot) -> None:  # noqa: ARG002 - as the port has it
        """Raises StoreFailed: this is no place to write."""
        raise StoreFailed(NAME, _READS_ONLY)

    def latest(self, partition: int, at_most_seq: int | None = None) -> Snapshot | None:
        """See SnapshotStore. Raises NoReader, too."""
        return self._pool.ask({}, lambda db: latest(db, partition, at_most_seq, NAME))

    def prune(self, partition: int, keep: int) -> None:  # noqa: ARG002 - as the port has it
        """Raises StoreFailed: this is no place to write."""
        raise StoreFailed(NAME, _READS_ONLY)
