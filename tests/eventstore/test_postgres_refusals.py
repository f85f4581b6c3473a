"""What the record in PostgreSQL says on a bad day: one sentence that names key, value and what would be right, and nothing was changed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from eventstore.blocks import Block, after, seal
from eventstore.migrate import migrate, steps
from eventstore.ports import NewerSchema, StoreFailed
from eventstore.postgres import PostgresLog
from tests.eventstore.flow import busy_rows
from tests.eventstore.superuser import damage
from tests.servers.fixtures import Database


@pytest.fixture
def log(database: Database) -> Iterator[PostgresLog]:
    with closing(PostgresLog(database.dsn())) as log:
        yield log


def refused(conninfo: str, **options: str) -> str:
    with pytest.raises(StoreFailed) as failed:
        PostgresLog(conninfo, **options)  # type: ignore[arg-type]  # one of them is a flag
    return str(failed.value)


def test_a_server_that_is_not_there_is_named(database: Database) -> None:
    says = refused(make_conninfo(database.dsn(), port=1, password="hunter2"))
    assert says.startswith("postgres = 'user=outcry_writer passfile=")
    assert "port=1" in says
    assert "right would be a server that runs and is reached there; nothing was changed" in says
    assert "hunter2" not in says


@pytest.mark.parametrize(
    ("changed", "right"),
    [
        ({"password": "hunter2"}, "the password of that role, in the file that passfile names"),
        ({"passfile": "/nowhere"}, "the password of that role, in the file that passfile names"),
        ({"dbname": "nothing"}, "a database that is there and prepared by `outcry migrate`"),
        ({"sslmode": "require"}, "an sslmode that the server can do"),
    ],
)
def test_what_the_server_refuses_is_said_with_what_would_be_right(database: Database, changed: dict[str, str], right: str) -> None:
    says = refused(make_conninfo(database.dsn(), **changed))
    assert f"right would be {right}; nothing was changed" in says
    assert "\n" not in says
    assert "hunter2" not in says


@pytest.mark.parametrize("conninfo", ["hunter2", "host=x pass word=hunter2", "postgresql://a:hunter2@[x", "postgresql://a:%hunter2@x"])
def test_a_connection_string_that_cannot_be_read_is_not_repeated(conninfo: str) -> None:
    """Part of it may be a password."""
    says = refused(conninfo)
    assert says.startswith(
        "postgres: it is no connection string of libpq; right would be one like 'host=127.0.0.1 port=5432 dbname=outcry "
    )
    assert "hunter2" not in says


def test_a_database_without_a_record_is_not_made_one(empty_database: Database) -> None:
    assert "the database holds no record; run `outcry migrate` on it first; nothing was changed" in refused(empty_database.dsn())


def test_another_cluster_is_refused(log: PostgresLog, database: Database) -> None:
    """Two markets' data never mix."""
    with closing(PostgresLog(database.dsn(), cluster=log.cluster)) as same:
        assert same.cluster == log.cluster
    says = refused(database.dsn(), cluster="00000000-0000-0000-0000-000000000000")
    assert f"it holds cluster {log.cluster}, the settings say cluster = '00000000-0000-0000-0000-000000000000'; right would be" in says


def test_every_database_is_a_cluster_of_its_own(empty_database: Database, log: PostgresLog) -> None:
    migrate(empty_database.dsn("outcry_migrator"))
    with closing(PostgresLog(empty_database.dsn())) as other:
        assert other.cluster != log.cluster


def test_a_schema_of_a_later_release_is_refused(database: Database) -> None:
    damage(database, "INSERT INTO outcry.migration VALUES (99, '0099_later')")
    with pytest.raises(NewerSchema, match=f"has schema version 99, this release knows up to {len(steps())}; use the release that wrote it"):
        PostgresLog(database.dsn())


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory, database: Database) -> Iterator[Path]:
    """A file system that has room for an empty database and a few blocks, where the tables of *database* lie."""
    disk = database.stack.folder / f"small-{database.name}"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700,uid=postgres,gid=postgres", "tmpfs", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        disk.rmdir()
        pytest.skip(f"may not mount a small file system: {mounted.stderr.strip()}")
    with database.stack.postgres.superuser() as superuser:
        superuser.execute(f"CREATE TABLESPACE {database.name} LOCATION '{disk}'".encode())
        superuser.execute(f"ALTER DATABASE {database.name} SET TABLESPACE {database.name}".encode())
    yield disk
    with database.stack.postgres.superuser() as superuser:
        superuser.execute(f"DROP DATABASE {database.name} WITH (FORCE)".encode())
        superuser.execute(f"CREATE DATABASE {database.name}".encode())  # which the fixture will drop
        superuser.execute(f"DROP TABLESPACE {database.name}".encode())
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill_up(log: PostgresLog, chain: list[Block]) -> None:
    """Append to *log* until it fails. The last block of *chain* is the one that found no room."""
    head, rows = log.claim(1), busy_rows(10_000)
    while True:
        chain.append(seal(head, *rows, head.time_ns + 1))
        log.append(chain[-1])
        head = after(chain[-1])


def test_a_full_disk_stops_the_writer_and_more_space_lets_it_go_on(database: Database, small_disk: Path) -> None:
    """The block that found no room is not there, the chain is whole, and the same block goes in later."""
    with closing(PostgresLog(database.dsn())) as log:
        chain: list[Block] = []
        with pytest.raises(StoreFailed, match=r"postgres = '.*No space left on device.*; nothing was changed"):
            fill_up(log, chain)
        assert len(chain) > 1
        assert list(log.read(1)) == chain[:-1]
        subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
        log.append(chain[-1])
        assert list(log.read(1)) == chain
