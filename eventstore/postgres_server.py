"""A PostgreSQL server as the record needs it: how it is reached, what is said when it cannot be, and how durable a commit is there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from eventstore.ports import Damaged, StoreFailed

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

KEY: Final = "postgres"  # of the settings
EXAMPLE: Final = "host=127.0.0.1 port=5432 dbname=outcry user=outcry_writer passfile=FILE"
SECRETS: Final = ("password", "sslpassword", "oauth_client_secret")
# A peer that is gone without a word is found out within 11 s. Whoever names other values in the connection string gets those.
DEFAULTS: Final = {
    "application_name": "outcry",
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
# What the server says of a connection it refuses, in English; in other languages its own words must do.
RIGHT: Final = (
    ("password authentication failed", "the password of that role, in the file that passfile names"),
    ("no password supplied", "the password of that role, in the file that passfile names"),
    ("pg_hba.conf", "a line of the server's pg_hba.conf that lets this role in from here"),
    ("database", "a database that is there and prepared by `outcry migrate`"),
    ("role", "a role of that server: outcry_writer"),
    ("SSL", "an sslmode that the server can do"),
)
_CORRUPT: Final = (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted, psycopg.errors.InternalError_, psycopg.IntegrityError)


def shown(conninfo: str) -> str:
    """*conninfo* for people: without its secrets, as `postgres = '...'`. Raises StoreFailed when libpq cannot read it."""
    return f"{KEY} = '{make_conninfo('', **{key: value for key, value in parsed(conninfo).items() if key not in SECRETS})}'"


def parsed(conninfo: str) -> dict[str, Any]:
    """Its parameters. Raises StoreFailed."""
    try:
        return dict(conninfo_to_dict(conninfo))
    except psycopg.ProgrammingError:  # quotes what it stumbled over, which may be the password
        raise StoreFailed(KEY, f"it is no connection string of libpq; right would be one like '{EXAMPLE}'") from None


def as_role(conninfo: str, role: str) -> str:
    """The same server and database for another role, whose password stands in the same passfile. Raises StoreFailed."""
    return make_conninfo("", **{key: value for key, value in parsed(conninfo).items() if key != "password"} | {"user": role})


def connect(conninfo: str) -> Connection:
    """A new connection, every statement its own commit. Raises StoreFailed, saying what was tried and what would be right."""
    store = shown(conninfo)
    try:
        return psycopg.connect(make_conninfo("", **(DEFAULTS | parsed(conninfo))), autocommit=True)
    except psycopg.OperationalError as error:
        said = one_line(error)
        right = next((right for word, right in RIGHT if word in said), "a server that runs and is reached there")
        raise StoreFailed(store, f"{said}; right would be {right}") from error


def one_line(error: BaseException) -> str:
    """What went wrong, without line breaks."""
    return " ".join(str(error).split())


@contextmanager
def errors(store: str, partition: int | None = None, seq: int | None = None) -> Iterator[None]:
    """The server's errors by our names: the world's failure, or damage."""
    try:
        yield
    except _CORRUPT as error:
        raise Damaged(partition, seq, f"{store}: {one_line(error)}") from error
    except psycopg.DataError:  # a value of ours that does not fit its column
        raise
    except psycopg.Error as error:
        raise StoreFailed(store, one_line(error)) from error


SETTINGS: Final = ("fsync", "full_page_writes", "synchronous_commit", "synchronous_standby_names")


def durability(db: Connection, store: str, *, i_know_this_loses_data: bool) -> str:
    """What has happened when the server says that a block is committed: `postgres fsync`, `postgres fsync + standby remote_apply`, ...

    Raises StoreFailed for settings that let the server say so too early, unless *i_know_this_loses_data*.
    """
    found = {name: db.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in SETTINGS}
    setting = {name: str(row[0]) for name, row in found.items() if row}
    off = [name for name in SETTINGS if setting[name] == "off"]
    if off and not i_know_this_loses_data:
        raise StoreFailed(
            store,
            f"{' and '.join(f'{name} = off' for name in off)}: a crash of the server would lose blocks that were acknowledged; "
            f"right would be {' and '.join(f'{name} = on' for name in off)}, or --i-know-this-loses-data",
        )
    if off:
        return f"postgres, {' and '.join(f'{name} off' for name in off)}: a crash loses data"
    waits = setting["synchronous_standby_names"] and setting["synchronous_commit"] != "local"
    return f"postgres fsync + standby {setting['synchronous_commit']}" if waits else "postgres fsync"
