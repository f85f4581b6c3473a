"""The record in PostgreSQL: what is acknowledged has survived as `durability` says.

A block is one statement and one round trip: the function outcry.append (eventstore/migrations/) moves the head from the block before
to this one and adds the block, or does neither. The writer's role may call it, and may do nothing else to the record.

When the connection breaks while a block is being committed, nobody knows whether it was. So the record is read back: the block is
there, byte for byte (it is durable), or another stands in its place or has moved the head (Fenced), or there is none yet. Only then
the same bytes are sent once more, and it does not matter if the first request is still on its way: of two that arrive, the
comparison takes one.

A synchronous standby is waited for by the commit; a connection that breaks meanwhile leaves a block that is visible and perhaps not on the
standby. Whoever finds his block when he reads back therefore commits a message behind it, and waits for that.
A commit takes as long as the server takes, without an end of ours: one that is gone is noticed (postgres_server.DEFAULTS).

Whoever appends, asks or reads has a session to himself meanwhile: nobody waits for another, and what two partitions commit at the same
time shares one sync of the disk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple
from typing import Final, TypeVar

from psycopg.errors import Diagnostic
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int4, Int8

from eventstore import postgres_reads as reads
from eventstore.blocks import Block, Head, after, digest, genesis
from eventstore.migrate import check_version
from eventstore.ports import Damaged, Fenced, OutcomeUnknown, StoreFailed
from eventstore.postgres_server import Connection, connect, durability, errors, shown

RECONNECT_S: Final = 0.05

_APPEND: Final = f"SELECT outcry.append({', '.join(['%b'] * 12)})"

T = TypeVar("T")


class Session:
    """A connection, and whether the server warned: a commit that stops waiting for its standby succeeds, with a warning."""

    def __init__(self, db: Connection) -> None:
        self.db, self.warned = db, False
        db.add_notice_handler(self._notice)

    def _notice(self, said: Diagnostic) -> None:
        self.warned |= said.severity_nonlocalized == "WARNING"


class PostgresLog:
    """BlockLog in the database of *conninfo*, which `outcry migrate` has prepared. May be used from many threads.

    cluster                 id of the market that must be recorded there; "": whichever it is
    i_know_this_loses_data  open it even when the server is set to forget blocks in a crash
    patience_s              how long to look for a server that was lost before OutcomeUnknown or StoreFailed
    Raises                  StoreFailed: not reached, not prepared, another cluster, settings that lose data; NewerSchema
    """

    cluster: str
    durability: str

    def __init__(self, conninfo: str, *, cluster: str = "", i_know_this_loses_data: bool = False, patience_s: float = 10.0) -> None:
        self._conninfo, self._store = conninfo, shown(conninfo)
        self._wanted_cluster, self._accepts_loss = cluster, i_know_this_loses_data
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._is_closed = False
        with self._session():
            pass  # which says what is wrong, if anything is

    def claim(self, partition: int) -> Head:
        """See BlockLog. When the connection breaks the epoch may be raised twice, which fences nobody else."""

        def claimed(db: Connection) -> Head:
            with db.transaction():
                reads.head(db, partition)
                db.execute("SELECT outcry.claim(%b, %b)", (Int4(partition), genesis(partition).hash))
                return reads.head(db, partition)

        return self._ask(claimed, partition)

    def head(self, partition: int) -> Head:
        """See BlockLog."""
        return self._ask(lambda db: reads.head(db, partition), partition)

    def append(self, block: Block) -> None:
        """See BlockLog. OutcomeUnknown: no server could be asked in time what became of the block."""
        assert block.hash == digest(block), "a block is sealed before it is appended"
        session = None
        try:
            with self._session() as session:
                self._add(session, block)
        except StoreFailed as failed:
            if session is not None and not session.db.closed:
                raise
            self._settle(block, failed.cause)

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """See BlockLog. A page of PAGE_BYTES and one block in memory; between pages the server holds nothing open."""
        end = self.head(partition).seq
        if after_seq > end:
            raise Damaged(partition, after_seq, f"missing; the record ends with block {end}")
        with self._session() as session:
            with errors(self._store, partition, after_seq):
                previous = reads.place(session.db, partition, after_seq)
            while previous.seq < end:
                with errors(self._store, partition, previous.seq + 1):
                    page = reads.page(session.db, previous, end)
                yield from reads.verified(page, previous)
                previous = after(page[-1])

    def partitions(self) -> list[int]:
        """See BlockLog. One whose head is lost is named too, so that reading it says so."""
        return self._ask(reads.partitions)

    def close(self) -> None:
        """See BlockLog. A reading that was left where it is gives its connection back when it is dropped."""
        self._is_closed = True
        self._drop_idle()

    def _open(self) -> Session:
        db = connect(self._conninfo)
        try:
            with errors(self._store):
                check_version(db, self._store)
                self.durability = durability(db, self._store, i_know_this_loses_data=self._accepts_loss)
                row = db.execute("SELECT id FROM outcry.cluster").fetchone()
            self._check_cluster("" if row is None else str(row[0]))
        except BaseException:
            db.close()
            raise
        return Session(db)

    def _check_cluster(self, found: str) -> None:
        self.cluster = found
        if self._wanted_cluster not in ("", found):
            raise StoreFailed(
                self._store,
                f"it holds cluster {found}, the settings say cluster = {self._wanted_cluster!r}; "
                "right would be the database of that cluster, or the cluster of this database",
            )

    @contextmanager
    def _session(self) -> Iterator[Session]:
        """One that is idle, else a new one: as many as are used at the same time. When one is lost the others are no better."""
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or self._open()
        try:
            yield session
        finally:
            if session.db.closed:
                self._drop_idle()
            elif self._is_closed or session.db.info.transaction_status != TransactionStatus.IDLE:  # interrupted
                session.db.close()
            else:
                with self._lock:
                    self._idle.append(session)

    def _drop_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.db.close()

    def _ask(self, work: Callable[[Connection], T], partition: int | None = None) -> T:
        """What *work* finds; it may be done twice, for a session may turn out to be lost."""
        deadline = time.monotonic() + self._patience_s
        while True:
            session = None
            try:
                with self._session() as session, errors(self._store, partition):
                    return work(session.db)
            except StoreFailed:
                if (session is not None and not session.db.closed) or time.monotonic() > deadline:
                    raise
            time.sleep(RECONNECT_S)

    def _add(self, session: Session, block: Block) -> None:
        """Add *block* unless it is there. Raises Fenced; StoreFailed: unknown when the session is lost by it."""
        with errors(self._store, block.partition, block.seq):
            session.warned = False
            part, *numbers = astuple(block)[:8]
            row = session.db.execute(_APPEND, (Int4(part), *map(Int8, numbers), *astuple(block)[8:]), binary=True, prepare=True).fetchone()
            if row != (True,) and not self._is_recorded(session, block):
                head = reads.head(session.db, block.partition)
                raise Fenced(block.partition, block.seq, block.epoch, head.seq, head.epoch)
            if row != (True,) or session.warned:
                self._wait_for_standby(session, block)

    def _is_recorded(self, session: Session, block: Block) -> bool:
        return reads.block(session.db, block.partition, block.seq) == block

    def _wait_for_standby(self, session: Session, block: Block) -> None:
        """*block* is visible: wait until it is as durable as anything committed now."""
        session.warned = False
        session.db.execute("SELECT pg_logical_emit_message(true, 'outcry', '')")
        if session.warned:
            raise OutcomeUnknown(block.partition, block.seq, f"{self._store}: the server stopped waiting for its standby")

    def _settle(self, block: Block, cause: str) -> None:
        """A session was lost and *block* with it, or not: find out, and add it when it is not there."""
        deadline = time.monotonic() + self._patience_s
        while time.monotonic() < deadline:
            try:
                with self._session() as session:
                    with errors(self._store, block.partition, block.seq):
                        recorded = self._is_recorded(session, block)
                        if recorded:
                            self._wait_for_standby(session, block)
                    if not recorded:
                        self._add(session, block)
            except StoreFailed as failed:
                cause = failed.cause
                time.sleep(RECONNECT_S)
            else:
                return
        raise OutcomeUnknown(block.partition, block.seq, f"{self._store}: {cause}")
