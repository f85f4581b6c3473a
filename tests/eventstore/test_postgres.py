"""What is particular to the record in PostgreSQL: who may do what there, how it is read, and damage."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg
import pytest

from eventstore.blocks import Block, after, seal
from eventstore.ports import Damaged, StoreFailed
from eventstore.postgres import PostgresLog
from eventstore.postgres_reads import PAGE_BLOCKS, PAGE_BYTES
from tests.contracts.record import block_after
from tests.eventstore.flow import busy_rows
from tests.eventstore.superuser import damage
from tests.servers.fixtures import Database
from tests.waiting import eventually

PRIVILEGE = psycopg.errors.InsufficientPrivilege
KEPT = psycopg.errors.IntegrityConstraintViolation


@pytest.fixture
def log(database: Database) -> Iterator[PostgresLog]:
    with closing(PostgresLog(database.dsn())) as log:
        yield log


def appended(log: PostgresLog, blocks: int, partition: int = 1) -> list[Block]:
    head, chain = log.claim(partition), []
    for _ in range(blocks):
        chain.append(block_after(head))
        log.append(chain[-1])
        head = after(chain[-1])
    return chain


CHANGES = {
    "a block never changes": ("UPDATE outcry.blocks SET payload = ''", "UPDATE outcry.blocks_1 SET epoch = epoch WHERE seq = 1"),
    "a block is never removed": (
        "DELETE FROM outcry.blocks WHERE seq = 3",
        "DELETE FROM outcry.blocks_1",
        "TRUNCATE outcry.blocks",
        "TRUNCATE outcry.blocks_1",
    ),
    "a head only advances": ("UPDATE outcry.head SET seq = 2", "UPDATE outcry.head SET seq = 5", "UPDATE outcry.head SET epoch = 0"),
    "a head is never removed": ("DELETE FROM outcry.head", "TRUNCATE outcry.head"),
}
ALTERATIONS = (
    "ALTER TABLE outcry.blocks DISABLE TRIGGER ALL",
    "DROP TRIGGER a_block_never_changes ON outcry.blocks",
    "DROP TABLE outcry.blocks_1",
    "ALTER TABLE outcry.blocks DETACH PARTITION outcry.blocks_1",
    "CREATE OR REPLACE FUNCTION outcry.claim(partition integer, genesis bytea) RETURNS void LANGUAGE sql AS ''",
    "CREATE TABLE outcry.more (more integer)",
    "INSERT INTO outcry.blocks SELECT part, 4, epoch, 3, 1, 1, 3, 1, inputs, hash, hash, payload FROM outcry.blocks WHERE seq = 3",
    "INSERT INTO outcry.head SELECT 2, epoch, seq, hash, next_event, time_ns FROM outcry.head",
    "UPDATE outcry.cluster SET id = gen_random_uuid()",
    "INSERT INTO outcry.migration VALUES (99, 'mine')",
    "SET session_replication_role = replica",
)
WRITES = (
    "SELECT outcry.append(1, 4, 1, 3, 1, 1, 4, 1, '', '', '', '')",
    "SELECT outcry.claim(1, '')",
    "INSERT INTO outcry.snapshots VALUES (1, 1, '', 0, '')",
)


@pytest.mark.parametrize("statement", [statement for statements in CHANGES.values() for statement in statements] + list(ALTERATIONS))
@pytest.mark.parametrize("role", ["outcry_writer", "outcry_reader"])
def test_nobody_may_change_what_was_committed(log: PostgresLog, database: Database, role: str, statement: str) -> None:
    """By right: the writer adds blocks through two functions, and has no way around them."""
    chain = appended(log, 3)
    with psycopg.connect(database.dsn(role)) as db, pytest.raises(PRIVILEGE):
        db.execute(statement.encode())
    assert list(log.read(1)) == chain


@pytest.mark.parametrize(("says", "statement"), [(says, statement) for says, statements in CHANGES.items() for statement in statements])
def test_not_even_the_owner_changes_what_was_committed(log: PostgresLog, database: Database, says: str, statement: str) -> None:
    """By trigger: a slip of a migration or of a person with its password is stopped. Who means it must take the trigger away first."""
    chain = appended(log, 3)
    with psycopg.connect(database.dsn("outcry_migrator")) as db, pytest.raises(KEPT, match=says):
        db.execute(statement.encode())
    assert list(log.read(1)) == chain


@pytest.mark.parametrize("statement", WRITES)
def test_a_reader_reads(log: PostgresLog, database: Database, statement: str) -> None:
    """All of the record, and nothing of it is his to write, nor of the snapshots."""
    chain = appended(log, 3)
    with closing(PostgresLog(database.dsn("outcry_reader"))) as reader:
        assert list(reader.read(1)) == chain
        assert reader.head(1) == log.head(1)
        assert reader.partitions() == [1]
        with pytest.raises(StoreFailed, match="permission denied for function claim; nothing was changed"):
            reader.claim(1)
        with pytest.raises(StoreFailed, match="permission denied for function append; nothing was changed"):
            reader.append(block_after(after(chain[2])))
    with psycopg.connect(database.dsn("outcry_reader")) as db, pytest.raises(PRIVILEGE):
        db.execute(statement.encode())
    with psycopg.connect(database.dsn("outcry_reader")) as db, pytest.raises(PRIVILEGE):
        db.execute("DELETE FROM outcry.snapshots")


def test_strangers_see_nothing(log: PostgresLog, database: Database) -> None:
    with database.stack.postgres.superuser(database.name) as superuser:
        granted = superuser.execute("SELECT has_schema_privilege('pg_monitor', 'outcry', 'USAGE')").fetchone()
    assert granted == (False,)


def test_each_partition_has_a_table_of_its_own(log: PostgresLog, database: Database) -> None:
    """Its payloads are stored as they are: they are compressed already."""
    for partition in (1, 7):
        appended(log, 1, partition)
    with psycopg.connect(database.dsn("outcry_reader")) as db:
        found = db.execute(
            "SELECT relname, attstorage FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
            " WHERE relnamespace = 'outcry'::regnamespace AND relkind = 'r' AND attname = 'payload' ORDER BY relname"
        ).fetchall()
    assert found == [("blocks_1", "e"), ("blocks_7", "e")]


def test_closing_leaves_no_connection_behind(database: Database) -> None:
    """Not even that of a reading that somebody left in the middle, once he drops it."""
    log = PostgresLog(database.dsn())
    chain = appended(log, 2)
    reading = log.read(1)
    assert next(reading) == chain[0]
    log.close()
    reading.close()  # type: ignore[attr-defined]  # it is a generator
    with database.stack.postgres.superuser() as superuser:
        connections = "SELECT FROM pg_stat_activity WHERE datname = %s"
        eventually(lambda: superuser.execute(connections, (database.name,)).fetchone() is None)


def test_of_first_claims_at_once_one_makes_the_table(log: PostgresLog) -> None:
    """The others find it; each raises the epoch."""
    for partition in range(1, 6):
        with ThreadPoolExecutor(8) as eight:
            claimed = list(eight.map(log.claim, [partition] * 8))
        assert sorted(head.epoch for head in claimed) == list(range(1, 9))


def test_two_writers_of_one_log_do_not_wait_for_each_other(log: PostgresLog, database: Database) -> None:
    """Whatever holds up a commit of one partition."""
    held, free = block_after(log.claim(1)), block_after(log.claim(2))
    with database.stack.postgres.superuser(database.name) as superuser, ThreadPoolExecutor(1) as one:
        superuser.execute("BEGIN; SELECT FROM outcry.head WHERE part = 1 FOR UPDATE")
        waiting = one.submit(log.append, held)
        log.append(free)
        assert log.head(2) == after(free)
        assert not waiting.done()
        superuser.execute("ROLLBACK")
        waiting.result(30)
    assert list(log.read(1)) == [held]


@pytest.mark.parametrize(
    ("statement", "seq", "what"),
    [
        ("UPDATE outcry.blocks SET payload = overlay(payload PLACING 'x' FROM 9) WHERE seq = 2", 2, "its content hashes to"),
        ("UPDATE outcry.blocks SET time_ns = 9 WHERE seq = 3", 3, "the head .* does not fit the last block there is"),
        ("DELETE FROM outcry.blocks WHERE seq = 2", 2, "missing"),
        ("DELETE FROM outcry.blocks WHERE seq = 3", 3, "the head .* does not fit the last block there is"),
        ("DELETE FROM outcry.head", 3, "the head is lost; the last block is 3"),
        ("UPDATE outcry.head SET seq = 2", 3, "the head .* does not fit the last block there is"),
        ("DROP TABLE outcry.blocks_1", 3, "the head .* does not fit the last block there is"),
    ],
)
def test_damage_is_named_by_partition_and_block(log: PostgresLog, database: Database, statement: str, seq: int, what: str) -> None:
    appended(log, 3)
    damage(database, statement)
    assert log.partitions() == [1]
    with pytest.raises(Damaged, match=rf"partition 1, block {seq}: .*{what}"):
        list(log.read(1))


def test_reading_keeps_a_page_in_memory(log: PostgresLog) -> None:
    """However many blocks there are, and whether they are large or small."""
    head = log.claim(1)
    rows = busy_rows(10_000)
    total = 0
    for _ in range(80):
        block = seal(head, *rows, head.time_ns + 1)
        log.append(block)
        head, total = after(block), total + len(block.payload)
    assert total > 2 * PAGE_BYTES
    tracemalloc.start()
    assert sum(1 for _ in log.read(1)) == 80
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * PAGE_BYTES


def test_reading_goes_over_many_pages(log: PostgresLog) -> None:
    chain = appended(log, 2 * PAGE_BLOCKS + 3)
    assert list(log.read(1)) == chain
    assert list(log.read(1, PAGE_BLOCKS - 1)) == chain[PAGE_BLOCKS - 1 :]


def test_a_slow_reader_holds_nothing_open(log: PostgresLog, database: Database) -> None:
    """Neither a transaction, which would keep the server from tidying up behind the writer, nor a lock."""
    chain = appended(log, 2)
    reading = log.read(1)
    assert next(reading) == chain[0]
    with database.stack.postgres.superuser(database.name) as superuser:
        states = superuser.execute(
            "SELECT DISTINCT state FROM pg_stat_activity WHERE datname = %s AND usename = 'outcry_writer'", (database.name,)
        )
        assert states.fetchall() == [("idle",)]
    assert next(reading) == chain[1]


def test_a_block_is_stored_field_by_field(log: PostgresLog, database: Database) -> None:
    """Whoever asks with SQL finds the names of eventstore.blocks.Block."""
    names = [field.name for field in dataclasses.fields(Block)]
    with psycopg.connect(database.dsn("outcry_reader")) as db:
        found = db.execute("SELECT * FROM outcry.blocks LIMIT 0").description
    assert found
    assert [column.name for column in found] == ["part", *names[1:]]
