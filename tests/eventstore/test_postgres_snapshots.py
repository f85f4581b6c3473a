"""What is particular to snapshots in PostgreSQL: chunks, damage, pruning."""

from __future__ import annotations

import psycopg
import pytest

from eventstore.ports import Snapshot
from eventstore.postgres_snapshots import CHUNK_BYTES, PostgresSnapshots
from tests.eventstore.superuser import damage
from tests.servers.fixtures import Database


def test_a_snapshot_is_kept_in_compressed_chunks(database: Database) -> None:
    store = PostgresSnapshots(database.dsn())
    state = bytes(CHUNK_BYTES) + b"x" * CHUNK_BYTES + b"the end"
    store.save(Snapshot(1, 5, bytes(32), state))
    with psycopg.connect(database.dsn("outcry_writer")) as db:
        chunks = db.execute("SELECT number, length(bytes) FROM outcry.snapshot_chunks ORDER BY number").fetchall()
    assert [number for number, _ in chunks] == [0, 1, 2]
    assert all(size < 1_000 for _, size in chunks), "what repeats itself takes no room"
    assert store.latest(1) == Snapshot(1, 5, bytes(32), state)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE outcry.snapshot_chunks SET bytes = 'other' WHERE seq = 9",
        "DELETE FROM outcry.snapshot_chunks WHERE seq = 9",
        "UPDATE outcry.snapshots SET block_hash = 'other' WHERE seq = 9",
        "UPDATE outcry.snapshots SET size_bytes = 3 WHERE seq = 9",
    ],
)
def test_a_damaged_snapshot_is_passed_over(database: Database, statement: str, caplog: pytest.LogCaptureFixture) -> None:
    store = PostgresSnapshots(database.dsn())
    older = Snapshot(1, 5, bytes(32), b"older")
    store.save(older)
    store.save(Snapshot(1, 9, bytes(32), b"newer"))
    damage(database, statement)
    assert store.latest(1) == older
    assert "snapshot of block 9 of partition 1 in postgres = " in caplog.text


def test_pruning_removes_the_chunks_too(database: Database) -> None:
    store = PostgresSnapshots(database.dsn())
    for seq in (1, 2, 3):
        store.save(Snapshot(1, seq, bytes(32), b"state"))
    store.prune(1, keep=1)
    with psycopg.connect(database.dsn("outcry_writer")) as db:
        assert db.execute("SELECT seq FROM outcry.snapshot_chunks").fetchall() == [(3,)]
