"""The record in one SQLite file: the embedded profile.

WAL with synchronous=FULL: a block is on the disk when append returns. One writer per partition, proved by the statement that adds a
block, which succeeds only in the epoch and on the seq and hash on which the block was sealed. Triggers see to that, and keep
everyone, us too, from changing or removing a block. Reading takes a connection of its own, so it neither waits for writing nor delays it.

What SQLite cannot tell: a write-ahead log (-wal) that was damaged before it was copied into the file ends there, as after a power
cut. The record is then whole but shorter, and only who saw more of it (a view, a snapshot, a client) can say so: reading from
beyond the end is Damaged. So a copy of a record in use is the file and its log together.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Final

from eventstore.blocks import Block, Head, after, digest, genesis, verify
from eventstore.ports import Damaged, Fenced, NewerSchema, OutcomeUnknown, StoreFailed
from eventstore.sqlite_schema import CHECKPOINT_PAGES, NOT_THE_HEAD, PAGE_BYTES, SCHEMA, SCHEMA_VERSION, create, row_id

_CLAIM: Final = "INSERT INTO head VALUES (?, 1, 0, ?, 0, 0) ON CONFLICT (part) DO UPDATE SET epoch = epoch + 1"
_ADD: Final = (
    "INSERT INTO blocks (id, epoch, first_event, event_count, command_count, time_ns, schema_version, inputs, prev_hash, hash, payload)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_BLOCK: Final = (
    "SELECT id >> 40, id & 0xffffffffff, epoch, first_event, event_count, command_count, time_ns, schema_version,"
    " inputs, prev_hash, hash, payload FROM blocks WHERE id = ?"
)
_BLOCK_TYPES: Final = (int,) * 8 + (bytes,) * 4
_HEAD: Final = "SELECT part, epoch, seq, hash, next_event, time_ns FROM head WHERE part = ?"
_HEAD_TYPES: Final = (int, int, int, bytes, int, int)
_WORLD: Final = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
}


class SqliteLog:
    """BlockLog in the SQLite file *path*, which is created when it is not there. May be used from many threads.

    read_only   nothing is created or written; the file must be there
    patience_s  how long to wait for another process's commit before StoreFailed
    Raises      NewerSchema, Damaged, StoreFailed
    """

    durability = "sqlite synchronous FULL"

    def __init__(self, path: Path | str, *, read_only: bool = False, patience_s: float = 5.0) -> None:
        self._path = Path(path)
        self._patience_s = patience_s
        self._read_only = read_only
        self._lock = threading.Lock()
        with self._errors():
            if not read_only and not self._path.exists():
                create(self._path)
            self._check_whole()
            self._db = self._connect("ro" if read_only else "rw")
            try:
                self._check_schema()
            except BaseException:
                self._db.close()
                raise

    def claim(self, partition: int) -> Head:
        """See BlockLog."""
        with self._lock, self._errors(partition):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                _head(self._db, partition)
                self._db.execute(_CLAIM, (partition, genesis(partition).hash))
                claimed = _head(self._db, partition)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
        return claimed

    def head(self, partition: int) -> Head:
        """See BlockLog."""
        with self._errors(partition), closing(self._connect("ro")) as db:
            db.execute("BEGIN")
            return _head(db, partition)

    def append(self, block: Block) -> None:
        """See BlockLog. One statement, so one commit: the trigger that compares and moves the head is part of it."""
        assert block.hash == digest(block), "a block is sealed before it is appended"
        with self._lock, self._errors(block.partition, block.seq):
            try:
                self._db.execute(_ADD, (row_id(block.partition, block.seq), *astuple(block)[2:]))
            except sqlite3.IntegrityError as error:
                if str(error) != NOT_THE_HEAD:
                    raise
                self._own_earlier_attempt(block)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_IOERR:  # the commit may have reached the disk before the failure
                    raise OutcomeUnknown(block.partition, block.seq, f"{self._path}: {error.sqlite_errorname}, {error}") from error
                raise

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """See BlockLog. One statement per block: a slow reader holds no transaction open."""
        with self._errors(partition), closing(self._connect("ro")) as db:
            db.execute("BEGIN")
            end = _head(db, partition).seq
            db.execute("COMMIT")
            if after_seq > end:
                raise Damaged(partition, after_seq, f"missing; the record ends with block {end}")
            previous = after(_present(db, partition, after_seq)) if after_seq else genesis(partition)
            while previous.seq < end:
                with self._errors(partition, previous.seq + 1):
                    block = _present(db, partition, previous.seq + 1)
                verify(block, previous)
                previous = after(block)
                yield block

    def partitions(self) -> list[int]:
        """See BlockLog. A partition whose head is lost is named too, so that reading it says so."""
        with self._errors(), closing(self._connect("ro")) as db:
            found = {int(part) for (part,) in db.execute("SELECT part FROM head")}
            part = -1
            while row := db.execute("SELECT id >> 40 FROM blocks WHERE id >= ? ORDER BY id LIMIT 1", (row_id(part + 1, 0),)).fetchone():
                part = row[0]
                found.add(part)
            return sorted(found)

    def close(self) -> None:
        """See BlockLog."""
        with self._lock:
            self._db.close()

    def _connect(self, mode: str) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode={mode}"
        if self._read_only and not self._is_ahead() and not os.access(self._path.parent, os.W_OK):
            uri += "&immutable=1"  # a copy on a medium that cannot be written, where SQLite cannot make its shared memory
        db = sqlite3.connect(uri, uri=True, timeout=self._patience_s, isolation_level=None, check_same_thread=False)
        db.text_factory = bytes  # damaged bytes need not be UTF-8
        db.execute("PRAGMA synchronous = FULL")
        db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        return db

    def _is_ahead(self) -> bool:
        """Whether the write-ahead log may hold more than the file: somebody has it open, or was killed."""
        log = self._path.with_name(f"{self._path.name}-wal")
        return log.exists() and log.stat().st_size > 0

    def _check_whole(self) -> None:
        """SQLite takes a last page that is cut short for one that ends in zeros."""
        if self._path.exists() and not self._is_ahead() and self._path.stat().st_size % PAGE_BYTES:
            raise Damaged(None, None, f"{self._path} ends inside a page: it was truncated, or is no record")

    def _check_schema(self) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise NewerSchema(str(self._path), version, SCHEMA_VERSION)
        found = {row[0] for row in self._db.execute("SELECT sql FROM sqlite_schema")}
        if version != SCHEMA_VERSION or found != {statement.encode() for statement in SCHEMA}:
            raise Damaged(None, None, f"{self._path} does not have the tables and triggers of a record")

    def _own_earlier_attempt(self, block: Block) -> None:
        """*block* does not follow the head. That is well when it is in the record already; else raise Fenced."""
        if _block(self._db, block.partition, block.seq) != block:
            head = self.head(block.partition)
            raise Fenced(block.partition, block.seq, block.epoch, head.seq, head.epoch)

    @contextmanager
    def _errors(self, partition: int | None = None, seq: int | None = None) -> Iterator[None]:
        """SQLite's errors by our names: the world's failure, or damage."""
        try:
            yield
        except OSError as error:
            raise StoreFailed(str(self._path), str(error)) from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None:  # raised by the module, not by SQLite: a mistake of ours
                raise
            cause = f"{error.sqlite_errorname}, {error}"
            if code & 0xFF in _WORLD:
                raise StoreFailed(str(self._path), cause) from error
            raise Damaged(partition, seq, f"{self._path}: {cause}") from error
        except UnicodeDecodeError as error:  # SQLite quotes damaged bytes in its message
            raise Damaged(partition, seq, f"{self._path}: {error.object!r}") from error


def _block(db: sqlite3.Connection, partition: int, seq: int) -> Block | None:
    row = db.execute(_BLOCK, (row_id(partition, seq),)).fetchone()
    if row is not None and tuple(map(type, row)) != _BLOCK_TYPES:
        raise Damaged(partition, seq, "a column has another type than was stored")
    return None if row is None else Block(*row)


def _present(db: sqlite3.Connection, partition: int, seq: int) -> Block:
    block = _block(db, partition, seq)
    if block is None:
        raise Damaged(partition, seq, "missing")
    return block


def _head(db: sqlite3.Connection, partition: int) -> Head:
    """The head row, which must agree with the last block. Inside a transaction, so that both are of one moment."""
    row = db.execute(_HEAD, (partition,)).fetchone()
    last = db.execute(
        "SELECT max(id) FROM blocks WHERE id BETWEEN ? AND ?", (row_id(partition, 0), row_id(partition + 1, 0) - 1)
    ).fetchone()[0]
    last_seq = 0 if last is None else last - row_id(partition, 0)
    if row is None and last_seq == 0:
        return genesis(partition)
    if row is None or tuple(map(type, row)) != _HEAD_TYPES:
        raise Damaged(partition, last_seq, f"the head is lost or altered; the last block is {last_seq}")
    head = Head(*row)
    end = after(_present(db, partition, last_seq)) if last_seq else genesis(partition)
    if (end.seq, end.hash, end.next_event, end.time_ns) != (head.seq, head.hash, head.next_event, head.time_ns) or end.epoch > head.epoch:
        raise Damaged(partition, max(last_seq, head.seq), f"the head ({_facts(head)}) does not fit the last block there is ({_facts(end)})")
    return head


def _facts(head: Head) -> str:
    return f"block {head.seq}, epoch {head.epoch}, next event {head.next_event}, time {head.time_ns}, hash {head.hash.hex()[:16]}"
