"""What the SQLite file promises beyond the contract: it defends itself, and names the world's failures."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from eventstore.blocks import Block, after, seal
from eventstore.ports import Damaged, NewerSchema, OutcomeUnknown, StoreFailed
from eventstore.sqlite import SqliteLog
from tests.contracts.record import block_after
from tests.eventstore.flow import busy_rows


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "record.sqlite3"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path)
    yield log
    log.close()


def appended(log: SqliteLog, blocks: int, partition: int = 1) -> list[Block]:
    head, chain = log.claim(partition), []
    for _ in range(blocks):
        chain.append(block_after(head))
        log.append(chain[-1])
        head = after(chain[-1])
    return chain


def test_a_commit_waits_for_the_disk(log: SqliteLog) -> None:
    """Write-ahead log, synchronous FULL (2): what append returned from survives a power cut."""
    assert log._db.execute("PRAGMA journal_mode").fetchone() == (b"wal",)
    assert log._db.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE blocks SET payload = x'00' WHERE seq = 1", "a block never changes"),
        ("UPDATE blocks SET epoch = epoch", "a block never changes"),
        ("DELETE FROM blocks WHERE seq = 3", "a block is never removed"),
        ("DELETE FROM head", "a head is never removed"),
        ("UPDATE head SET seq = 2", "a head only advances"),
        ("UPDATE head SET seq = 5", "a head only advances"),
        ("UPDATE head SET epoch = 0", "a head only advances"),
        ("UPDATE head SET part = 2", "a head only advances"),
        (
            "INSERT OR REPLACE INTO blocks SELECT id, epoch, 9, 9, 9, 9, 1, inputs, prev_hash, hash, payload FROM blocks WHERE seq = 3",
            "a block follows the head",
        ),
        (
            "INSERT INTO blocks SELECT id + 1, epoch, 3, 1, 1, 4, 1, inputs, prev_hash, hash, payload FROM blocks WHERE seq = 3",
            "a block follows the head",
        ),
        (
            "INSERT OR IGNORE INTO blocks SELECT id + 1, epoch + 1, 3, 1, 1, 4, 1, inputs, hash, hash, payload FROM blocks WHERE seq = 3",
            "a block follows the head",
        ),
    ],
)
def test_nobody_changes_what_was_committed(log: SqliteLog, path: Path, statement: str, says: str) -> None:
    """Triggers in the file, so that a person with the sqlite3 shell is refused too."""
    chain = appended(log, 3)
    columns = "id, epoch, first_event, event_count, command_count, time_ns, schema_version, inputs, prev_hash, hash, payload"
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.IntegrityError, match=says):
        db.execute(statement.replace("INTO blocks", f"INTO blocks ({columns})"))
    assert list(log.read(1)) == chain


@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_of_a_later_release_is_refused(log: SqliteLog, path: Path, read_only: bool) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(NewerSchema, match=r"record.sqlite3 has schema version 2, this release knows up to 1"):
        SqliteLog(path, read_only=read_only)


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"", b"not a database at all", b"SQLite format 3\0" + bytes(1000)])
def test_a_file_that_is_no_record_is_left_alone(path: Path, content: bytes, read_only: bool) -> None:
    """An empty one too: a record is created whole, so a record that is empty has lost everything and must not begin anew."""
    path.write_bytes(content)
    with pytest.raises(Damaged, match=r"record\.sqlite3"):
        SqliteLog(path, read_only=read_only)
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA page_size = 16384")
        db.execute("CREATE TABLE notes (text)")
    with pytest.raises(Damaged, match="does not have the tables and triggers of a record"):
        SqliteLog(path)


def test_a_record_without_its_triggers_is_refused(log: SqliteLog, path: Path) -> None:
    """Whoever dropped one had something in mind."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TRIGGER a_block_never_changes")
    with pytest.raises(Damaged, match="does not have the tables and triggers of a record"):
        SqliteLog(path)


def test_reading_only_creates_nothing(path: Path) -> None:
    """`outcry verify` on a mistyped folder must not answer that an empty record is fine."""
    with pytest.raises(StoreFailed, match=r"record.sqlite3: SQLITE_CANTOPEN, unable to open database file; nothing was changed"):
        SqliteLog(path, read_only=True)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match=r"nowhere/record.sqlite3"):
        SqliteLog(tmp_path / "nowhere" / "record.sqlite3")


def test_reading_only_reads_beside_a_writer_and_writes_nothing(log: SqliteLog, path: Path) -> None:
    chain = appended(log, 2)
    with closing(SqliteLog(path, read_only=True)) as reader:
        assert list(reader.read(1)) == chain
        with pytest.raises(
            StoreFailed, match=r"record.sqlite3: SQLITE_READONLY, attempt to write a readonly database; nothing was changed"
        ):
            reader.claim(1)
        with pytest.raises(StoreFailed, match="SQLITE_READONLY"):
            reader.append(block_after(after(chain[1])))
        assert list(reader.read(1)) == chain


REPOSITORY = Path(__file__).parents[2]
READ_IT = """
import os, sys
from eventstore.ports import StoreFailed
from eventstore.sqlite import SqliteLog
if os.getuid() == 0:
    os.setuid(65534)  # the superuser may write anywhere
print(len(list(SqliteLog(sys.argv[1], read_only=True).read(1))))
try:
    SqliteLog(sys.argv[1]).claim(1)
except StoreFailed as failed:
    print(failed)
"""


def test_a_copy_that_cannot_be_written_is_read_and_refuses_to_be_written() -> None:
    """An outsider gets the record on a medium of his own; a writer started on it stops with the name of the file."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "record.sqlite3"
        with closing(SqliteLog(path)) as log:
            appended(log, 3)
        path.chmod(0o444)
        path.parent.chmod(0o555)
        found = subprocess.run(
            [sys.executable, "-c", READ_IT, str(path)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        )
        path.parent.chmod(0o755)
    assert found.stdout.splitlines()[0] == "3", found.stderr
    assert "record.sqlite3: SQLITE_" in found.stdout.splitlines()[1]
    assert found.stdout.splitlines()[1].endswith("nothing was changed")


def test_a_file_that_another_process_holds_is_named_after_a_while(log: SqliteLog, path: Path) -> None:
    head = log.claim(1)
    with closing(SqliteLog(path, patience_s=0.05)) as impatient, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreFailed, match=r"record.sqlite3: SQLITE_BUSY, database is locked; nothing was changed"):
            impatient.append(block_after(head))
        other.execute("ROLLBACK")
        impatient.append(block_after(head))
    assert len(list(log.read(1))) == 1


def test_a_full_disk_stops_the_writer_and_loses_nothing(log: SqliteLog, path: Path) -> None:
    """And when there is space again the same block goes in."""
    chain = appended(log, 2)
    block = seal(after(chain[1]), *busy_rows(5_000), 2 * 10**18)
    log._db.execute(f"PRAGMA max_page_count = {log._db.execute('PRAGMA page_count').fetchone()[0] + 1}")
    with pytest.raises(StoreFailed, match=r"record.sqlite3: SQLITE_FULL, database or disk is full; nothing was changed"):
        log.append(block)
    assert list(log.read(1)) == chain
    log._db.execute("PRAGMA max_page_count = 1000000")
    log.append(block)
    assert list(log.read(1)) == [*chain, block]


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The kernel refuses every write beyond *size* bytes of a file, as a failing disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fails_while_committing_leaves_the_outcome_open(log: SqliteLog, path: Path) -> None:
    """The commit may have reached the disk before the failure: the writer must neither acknowledge nor deny it. A retry settles it."""
    chain = appended(log, 2)
    block = seal(after(chain[1]), *busy_rows(5_000), 2 * 10**18)
    with no_file_beyond(100_000), pytest.raises(OutcomeUnknown, match=r"block 3 is durable .*SQLITE_IOERR"):
        log.append(block)
    log.append(block)
    assert list(log.read(1)) == [*chain, block]


def test_a_restart_settles_an_open_outcome_too(log: SqliteLog, path: Path) -> None:
    """What the claim sees is the truth from then on."""
    chain = appended(log, 2)
    with no_file_beyond(100_000), pytest.raises(OutcomeUnknown):
        log.append(seal(after(chain[1]), *busy_rows(5_000), 2 * 10**18))
    log.close()
    with closing(SqliteLog(path)) as successor:
        head = successor.claim(1)
        assert head.seq in {2, 3}
        successor.append(block_after(head))
        assert [block.seq for block in successor.read(1)] == list(range(1, head.seq + 2))


def test_two_that_create_the_file_at_once_get_the_same_record(path: Path) -> None:
    with ThreadPoolExecutor(4) as four:
        logs = list(four.map(lambda _: SqliteLog(path), range(4)))
    epochs = [log.claim(1).epoch for log in logs]
    for log in logs:
        log.close()
    assert epochs == [1, 2, 3, 4]
    assert [file.name for file in path.parent.iterdir()] == ["record.sqlite3"]


def test_what_a_crash_while_creating_left_behind_does_not_matter(path: Path) -> None:
    path.with_name("record.sqlite3.123.456.new").write_bytes(b"half a rec")
    with closing(SqliteLog(path)) as log:
        appended(log, 1)
        assert log.head(1).seq == 1


def test_reading_keeps_one_block_in_memory(log: SqliteLog) -> None:
    head = log.claim(1)
    rows = busy_rows(10_000)
    largest = 0
    for _ in range(20):
        block = seal(head, *rows, head.time_ns + 1)
        log.append(block)
        head, largest = after(block), max(largest, len(block.payload))
    tracemalloc.start()
    assert sum(1 for _ in log.read(1)) == 20
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * largest
