"""Snapshots beside the record in PostgreSQL: each in compressed chunks, and as a whole one transaction.

A state is mostly small numbers in wide words: of 416 MB a fifth is left, which the way to the server and back is shorter for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Final

import zstandard
from psycopg.types.numeric import Int4, Int8

from eventstore.ports import Snapshot
from eventstore.postgres_server import Connection, connect, errors, shown

_LOG: Final = logging.getLogger(__name__)
LEVEL: Final = 1
CHUNK_BYTES: Final = 4 * 2**20  # in memory twice while it is on its way; a value may have no more than 1 GB
_PLACE: Final = "part = %b AND seq = %b"


class PostgresSnapshots:
    """SnapshotStore in the database of *conninfo*, which `outcry migrate` has prepared. A connection per call: calls are rare and long."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo, self._store = conninfo, shown(conninfo)

    def save(self, snapshot: Snapshot) -> None:
        """See SnapshotStore."""
        place = Int4(snapshot.partition), Int8(snapshot.seq)
        size, sha = Int8(len(snapshot.state)), _digest(snapshot)
        with self._opened() as db, errors(self._store, snapshot.partition), db.transaction():
            db.execute("SELECT pg_advisory_xact_lock(hashtext('outcry.snapshots'), %b)", place[:1])  # an old owner may be saving, too
            db.execute(f"DELETE FROM outcry.snapshots WHERE {_PLACE}", place)  # noqa: S608 - our own constant
            db.execute("INSERT INTO outcry.snapshots VALUES (%b, %b, %b, %b, %b)", (*place, snapshot.block_hash, size, sha))
            with db.cursor().copy("COPY outcry.snapshot_chunks FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "int8", "int4", "bytea"])
                for number, chunk in enumerate(_chunks(snapshot.state)):
                    copy.write_row((snapshot.partition, snapshot.seq, number, chunk))

    def latest(self, partition: int, at_most_seq: int | None = None) -> Snapshot | None:
        """See SnapshotStore."""
        with self._opened() as db, errors(self._store, partition):
            return latest(db, partition, at_most_seq, self._store)

    def prune(self, partition: int, keep: int) -> None:
        """See SnapshotStore."""
        with self._opened() as db, errors(self._store, partition):
            for seq in _kept(db, partition)[keep:]:
                db.execute(f"DELETE FROM outcry.snapshots WHERE {_PLACE}", (Int4(partition), Int8(seq)))  # noqa: S608 - our own constant

    def _opened(self) -> closing[Connection]:
        return closing(connect(self._conninfo))


def latest(db: Connection, partition: int, at_most_seq: int | None, store: str) -> Snapshot | None:
    """See SnapshotStore; over a connection that somebody else has. store: what it is called when one is passed over."""
    for seq in _kept(db, partition):
        if at_most_seq is None or seq <= at_most_seq:
            snapshot = _load(db, partition, seq, store)
            if snapshot is not None:
                return snapshot
    return None


def _load(db: Connection, partition: int, seq: int, store: str) -> Snapshot | None:
    place = Int4(partition), Int8(seq)
    with db.transaction():
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # it may be pruned or replaced while it is read
        row = db.execute(f"SELECT block_hash, size_bytes, sha256 FROM outcry.snapshots WHERE {_PLACE}", place, binary=True).fetchone()  # noqa: S608
        if row is None:
            return None  # pruned meanwhile
        block_hash, size_bytes, sha = row
        chunks = [_chunk(db, partition, seq, number) for number in range(-(-size_bytes // CHUNK_BYTES))]
    snapshot = Snapshot(partition, seq, block_hash, b"".join(chunks))
    if len(snapshot.state) != size_bytes or _digest(snapshot) != sha:
        _LOG.warning("snapshot of block %d of partition %d in %s is damaged and passed over", seq, partition, store)
        return None
    return snapshot


def _kept(db: Connection, partition: int) -> list[int]:
    """Numbers of the blocks of which a snapshot is kept, newest first."""
    return [row[0] for row in db.execute("SELECT seq FROM outcry.snapshots WHERE part = %b ORDER BY seq DESC", (Int4(partition),))]


def _chunk(db: Connection, partition: int, seq: int, number: int) -> bytes:
    """One chunk; b"" when it is missing or damaged, which the size then shows."""
    asked = Int4(partition), Int8(seq), Int4(number)
    row = db.execute(f"SELECT bytes FROM outcry.snapshot_chunks WHERE {_PLACE} AND number = %b", asked, binary=True).fetchone()  # noqa: S608
    try:
        return b"" if row is None else zstandard.decompress(row[0], CHUNK_BYTES)
    except zstandard.ZstdError:
        return b""


def _chunks(state: bytes) -> Iterator[bytes]:
    view, compressor = memoryview(state), zstandard.ZstdCompressor(LEVEL)
    return (compressor.compress(view[start : start + CHUNK_BYTES]) for start in range(0, len(view), CHUNK_BYTES))


def _digest(snapshot: Snapshot) -> bytes:
    sha = hashlib.sha256(b"%d %d %s " % (snapshot.partition, snapshot.seq, snapshot.block_hash.hex().encode()))
    sha.update(snapshot.state)
    return sha.digest()
