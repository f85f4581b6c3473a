"""What a query reads: the archive, and behind its end what the record has beyond it, both as of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from adapters.query.scan import Later, Piece, pieces_of, pieces_of_tail
from eventstore.blocks import Head
from eventstore.cold import ArchiveLog
from eventstore.errors import Damaged
from eventstore.ports import BlockLog, markets
from eventstore.ranges import RangeFile
from eventstore.shelf import Shelf

MAX_TAIL_BYTES: Final = 64 * 2**20  # of payloads, as they are stored; about ten million events


@dataclass(frozen=True, slots=True)
class AsOf:
    """Up to where the answer goes in a partition.

    seq, time_ns      last block that was read, and its time
    archived, record  last block of the archive, of the record
    cut               the record has more than a query reads beyond the archive: archive it first
    """

    partition: int
    seq: int
    time_ns: int
    archived: int
    record: int
    cut: bool


@dataclass(frozen=True, slots=True)
class Reading:
    """Pieces of all partitions, each in order, and up to where they go."""

    pieces: list[Piece]
    as_of: list[AsOf]


def open_archive(url: str) -> BlockLog:
    """The archive as a record that can be read. Raises BadArchive."""
    return ArchiveLog(url)


@contextmanager
def reading(shelf: Shelf, log: BlockLog | None, max_tail_bytes: int = MAX_TAIL_BYTES) -> Iterator[Reading]:
    """The archive, then what *log* has beyond it (None: nothing), of every partition of either.

    Raises Damaged, NewerSchema, StoreFailed.
    """
    files: list[RangeFile] = []
    pieces, as_of = list[Piece](), list[AsOf]()
    budget = max_tail_bytes
    try:
        for partition in sorted({*shelf.partitions(), *(markets(log) if log else ())}):
            head = shelf.head(partition)
            for entry in shelf.line(partition):
                files.append(shelf.open(entry))
                pieces += pieces_of(files[-1])
            recorded = log.head(partition) if log else head
            tail = _tail(log, head, budget) if log else []
            budget -= sum(len(later.block.payload) for later in tail)
            pieces += pieces_of_tail(tail)
            last = tail[-1].block if tail else head
            as_of.append(AsOf(partition, last.seq, last.time_ns, head.seq, recorded.seq, last.seq < recorded.seq))
        yield Reading(pieces, as_of)
    finally:
        for file in files:
            file.close()


def _tail(log: BlockLog, archived: Head, max_bytes: int) -> list[Later]:
    """The blocks after the archive, as long as they fit."""
    tail: list[Later] = []
    head, size_bytes = archived, 0
    for block in log.read(archived.partition, archived.seq):
        if not tail and block.prev_hash != archived.hash and archived.seq:
            raise Damaged(
                archived.partition, archived.seq, f"its hash in the archive is {archived.hash.hex()}, in the record {block.prev_hash.hex()}"
            )
        size_bytes += len(block.payload)
        if size_bytes > max_bytes:
            break
        tail.append(Later(block, tail[-1].block.time_ns if tail else head.time_ns))
    return tail
