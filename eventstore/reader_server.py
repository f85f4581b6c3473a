"""One server that answers questions about the record, and a pool of connections to it on which nothing is waited for without end."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from eventstore.migrate import check_version
from eventstore.ports import NewerSchema, StoreFailed
from eventstore.postgres_server import DEFAULTS, Connection, errors, one_line, parsed, shown

MAX_IDLE_S: Final = 60.0
LOOK_S: Final = 0.05
OURS: Final = {"application_name": "outcry-reader", "connect_timeout": "2"}
_HOW_FAR: Final = "SELECT pg_is_in_recovery(), head.part, head.seq FROM (VALUES (1)) AS one (row) LEFT JOIN outcry.head ON true"


class ReaderServer:
    """The server at *conninfo*. May be used from many threads, by no more than *connections* of them at once.

    name        where it is, for people: host:port
    is_primary  whether it may take writes; else it must be a standby
    answer_s    how long it may take for a statement, or to let us in
    cluster     id of the market that it must hold; "": whichever
    Raises      StoreFailed when *conninfo* is no connection string. It need not be there yet
    """

    def __init__(self, conninfo: str, connections: int, *, is_primary: bool, answer_s: float, cluster: str) -> None:
        self.name, self.is_primary = place_of(conninfo), is_primary
        self._store, self._answer_s, self._cluster = shown(conninfo), answer_s, cluster
        self._refusals, self._refused = 0, ""
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # whoever uses this server says what is wrong with it
        self._pool: ConnectionPool[Any] = ConnectionPool(
            make_conninfo("", **(DEFAULTS | OURS | parsed(conninfo))),
            connection_class=self._connection_class(),
            kwargs={"autocommit": True},
            min_size=0,
            max_size=connections,
            max_idle=MAX_IDLE_S,
            reconnect_timeout=answer_s,
            num_workers=1,
            name=self.name,
            open=True,
        )

    @contextmanager
    def connection(self) -> Iterator[tuple[Connection, Mapping[int, int]]]:
        """A connection, and what the server has: partition -> its last block there. That only grows, for as long as the connection lasts.

        Raises StoreFailed when the server does not do what is asked of it, here or in the body; then the connection is given up.
        """
        db = self._connected()
        try:
            with errors(self._store):
                yield db, self._how_far(db)
        except StoreFailed:
            db.close()  # what was asked may be under way there, still
            raise
        finally:
            self._pool.putconn(db)

    def close(self) -> None:
        """Close the connections; one that is in use, when it is given back."""
        self._pool.close(timeout=0)

    def _connected(self) -> Connection:
        refusals, end_s = self._refusals, time.monotonic() + self._answer_s
        while True:
            try:
                connected: Connection = self._pool.getconn(LOOK_S)
            except PoolTimeout:
                if self._refusals > refusals:
                    raise StoreFailed(self._store, self._refused) from None
                if time.monotonic() > end_s:
                    raise StoreFailed(self._store, f"it does not let us in within {self._answer_s:g} s") from None
            except PoolClosed as closed:
                raise StoreFailed(self._store, one_line(closed)) from None
            else:
                return connected

    def _how_far(self, db: Connection) -> dict[int, int]:
        rows = db.execute(_HOW_FAR).fetchall()
        if not rows[0][0] and not self.is_primary:
            raise StoreFailed(self._store, "it takes writes: it is no standby, or none any more")
        return {partition: seq for _, partition, seq in rows if partition is not None}

    def _check(self, db: Connection) -> None:
        """That it holds what this release reads, of the right market. Raises StoreFailed, NewerSchema."""
        check_version(db, self._store)
        found = db.execute("SELECT id::text FROM outcry.cluster").fetchone() or ("",)
        if self._cluster not in ("", found[0]):
            raise StoreFailed(self._store, f"it holds cluster {found[0]}; right would be a standby of cluster {self._cluster}")

    def _connection_class(self) -> type[Connection]:
        """Connections that wait for *answer_s* at most, are checked before anybody gets them, and say why one could not be made."""
        server = self

        class Bounded(psycopg.Connection[tuple[Any, ...]]):
            def wait(self, gen: Any, interval: float = LOOK_S, timeout: float | None = None) -> Any:
                return super().wait(gen, interval, server._answer_s if timeout is None else timeout)

            @classmethod
            def connect(cls, *arguments: Any, **options: Any) -> Any:
                try:
                    made = super().connect(*arguments, **options)
                    try:
                        server._check(made)
                    except BaseException:
                        made.close()
                        raise
                except (psycopg.Error, StoreFailed, NewerSchema) as error:
                    server._refused = error.cause if isinstance(error, StoreFailed) else one_line(error)
                    server._refusals += 1
                    raise
                return made

        return Bounded


def place_of(conninfo: str) -> str:
    """Where a server is, for people: host:port, more after commas. Raises StoreFailed when libpq cannot read it."""
    values = parsed(conninfo)
    hosts = str(values.get("host") or values.get("hostaddr") or "localhost").split(",")
    ports = str(values.get("port") or 5432).split(",")
    return ",".join(f"{host}:{port}" for host, port in zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False))
