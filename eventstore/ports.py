"""What the core asks of a store. Their definition is tests/contracts/: every implementation runs the same suites."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from eventstore.blocks import Block, Head
from eventstore.errors import Damaged, Fenced, NewerSchema, NoReader, OutcomeUnknown, StoreFailed, TooFarBehind

CONSUMER_PARTITION: Final = 0  # of a consumer's own file, and of the registry in a market's record; it holds no market

__all__ = [
    "CONSUMER_PARTITION",
    "BlockLog",
    "Damaged",
    "Fenced",
    "NewerSchema",
    "NoReader",
    "OutcomeUnknown",
    "Snapshot",
    "SnapshotStore",
    "StoreFailed",
    "TooFarBehind",
    "markets",
]


class BlockLog(Protocol):
    """The record: for each partition one chain of blocks, to which its one writer appends and which nothing else changes.

    durability  what an append that returned has survived, for people: "SQLite, synchronous FULL"
    """

    @property
    def durability(self) -> str:
        """See above."""

    def claim(self, partition: int) -> Head:
        """Raise the epoch by one and return the head: whoever holds an older epoch is fenced from now on. Raises StoreFailed."""

    def head(self, partition: int) -> Head:
        """Where the chain ends now; the genesis head when nothing was written. Raises Damaged, StoreFailed."""

    def append(self, block: Block) -> None:
        """Make *block* the partition's last. It is durable when this returns; appending the same block again is harmless.

        Raises  Fenced          the head is not the one the block was sealed on: another writer owns the partition
                OutcomeUnknown  the store failed while committing
                StoreFailed     not written, nothing changed
        """

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """The blocks after *after_seq* that are committed when reading begins: ascending, no gap, chain verified, one in memory at a time.

        Raises Damaged at the first block that is missing or altered, and when the record ends before *after_seq*; StoreFailed.
        """

    def partitions(self) -> list[int]:
        """Partitions ever claimed, ascending. Raises StoreFailed."""

    def close(self) -> None:
        """Give the store back. Reading and appending are over."""


class Snapshot(NamedTuple):
    """The state of a partition as of a block: where a restart begins. Never needed, the record alone is enough."""

    partition: int
    seq: int
    block_hash: bytes
    state: bytes


class SnapshotStore(Protocol):
    """Snapshots of partitions. Whoever uses one compares block_hash with the record: it may be of a record that was replaced."""

    def save(self, snapshot: Snapshot) -> None:
        """Keep *snapshot*; it is durable when this returns. Saving the same partition and seq again replaces it. Raises StoreFailed."""

    def latest(self, partition: int, at_most_seq: int | None = None) -> Snapshot | None:
        """The newest intact snapshot (up to *at_most_seq*). One that is damaged is passed over with a warning. Raises StoreFailed."""

    def prune(self, partition: int, keep: int) -> None:
        """Forget all but the *keep* newest. Raises StoreFailed."""


def markets(log: BlockLog) -> list[int]:
    """The partitions of *log* that hold a market. Raises as its partitions()."""
    return [partition for partition in log.partitions() if partition != CONSUMER_PARTITION]
