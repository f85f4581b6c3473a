"""The record and the snapshots in memory: for tests, benchmarks and throw-away markets."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

from eventstore.blocks import Block, Head, after, digest, genesis, verify
from eventstore.ports import Damaged, Fenced, Snapshot


class MemoryLog:
    """BlockLog without a file: durable as long as the object lives. May be used from many threads."""

    durability = "memory only"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epochs: dict[int, int] = {}
        self._chains: dict[int, list[Block]] = {}

    def claim(self, partition: int) -> Head:
        """See BlockLog."""
        with self._lock:
            self._epochs[partition] = self._epochs.get(partition, 0) + 1
            self._chains.setdefault(partition, [])
            return self._head(partition)

    def head(self, partition: int) -> Head:
        """See BlockLog."""
        with self._lock:
            return self._head(partition)

    def append(self, block: Block) -> None:
        """See BlockLog."""
        assert block.hash == digest(block), "a block is sealed before it is appended"
        with self._lock:
            head, chain = self._head(block.partition), self._chains.get(block.partition, [])
            if (block.epoch, block.seq - 1, block.prev_hash) == (head.epoch, head.seq, head.hash) and head.epoch > 0:
                chain.append(block)
            elif chain[block.seq - 1 : block.seq] != [block]:
                raise Fenced(block.partition, block.seq, block.epoch, head.seq, head.epoch)

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """See BlockLog."""
        chain = self._chains.get(partition, [])
        end = len(chain)
        if after_seq > end:
            raise Damaged(partition, after_seq, f"missing; the record ends with block {end}")
        previous = after(chain[after_seq - 1]) if after_seq else genesis(partition)
        for block in chain[after_seq:end]:
            verify(block, previous)
            previous = after(block)
            yield block

    def partitions(self) -> list[int]:
        """See BlockLog."""
        return sorted(self._chains)

    def close(self) -> None:
        """Nothing to give back; what was written stays."""

    def _head(self, partition: int) -> Head:
        chain = self._chains.get(partition)
        last = after(chain[-1]) if chain else genesis(partition)
        return replace(last, epoch=self._epochs.get(partition, 0))


class MemorySnapshots:
    """SnapshotStore without a file."""

    def __init__(self) -> None:
        self._kept: dict[int, dict[int, Snapshot]] = {}

    def save(self, snapshot: Snapshot) -> None:
        """See SnapshotStore."""
        self._kept.setdefault(snapshot.partition, {})[snapshot.seq] = snapshot

    def latest(self, partition: int, at_most_seq: int | None = None) -> Snapshot | None:
        """See SnapshotStore."""
        kept = self._kept.get(partition, {})
        fitting = [seq for seq in kept if at_most_seq is None or seq <= at_most_seq]
        return kept[max(fitting)] if fitting else None

    def prune(self, partition: int, keep: int) -> None:
        """See SnapshotStore."""
        kept = self._kept.get(partition, {})
        for seq in sorted(kept, reverse=True)[keep:]:
            del kept[seq]
