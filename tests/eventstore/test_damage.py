"""Real files, really damaged: whoever verifies is told where, and never by an exception of SQLite."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from eventstore.blocks import Block, after, digest
from eventstore.ports import Damaged, NewerSchema
from eventstore.sqlite import SqliteLog
from tests.contracts.record import block_after

Chains = dict[int, list[Block]]


def everything(path: Path, *, read_only: bool = True) -> Chains:
    """What `outcry verify` does: every partition the file names, from its genesis to its head."""
    with closing(SqliteLog(path, read_only=read_only)) as log:
        return {partition: list(log.read(partition)) for partition in log.partitions()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A record of two partitions, with blocks of one row and blocks that spread over pages."""
    path = tmp_path / "record.sqlite3"
    with closing(SqliteLog(path)) as log:
        for partition in (1, 2):
            head = log.claim(partition)
            for seq in range(1, 9):
                block = block_after(head, inputs=b"{%s}" % (b'"%d":1,' % seq * (3_000 if seq == 5 else 1))[:-1])
                log.append(block)
                head = after(block)
    return path


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """The file without its triggers, which are back afterwards: someone who knows what he does."""
    with closing(sqlite3.connect(path)) as db:
        triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        yield db
        for _, sql in triggers:
            db.execute(sql)
        db.commit()


def row(partition: int, seq: int) -> int:
    return (partition << 40) + seq


@pytest.mark.parametrize("read_only", [False, True])
def test_one_flipped_bit_anywhere_is_named_or_has_no_meaning(path: Path, read_only: bool) -> None:
    """Pages have bytes that mean nothing; a flip there leaves every block as it was. Any other is found."""
    before, whole = everything(path), path.read_bytes()
    chance = random.Random(4)
    found = 0
    for _ in range(400):
        at, bit = chance.randrange(len(whole)), chance.randrange(8)
        damaged = bytearray(whole)
        damaged[at] ^= 1 << bit
        path.write_bytes(damaged)
        try:
            assert everything(path, read_only=read_only) == before, f"bit {bit} of byte {at}"
        except (Damaged, NewerSchema):
            found += 1
        path.with_name("record.sqlite3-wal").unlink(missing_ok=True)
    assert found > 40


def test_every_bit_before_the_hashes_of_a_row_is_named_or_has_no_meaning(path: Path) -> None:
    """The numbers of a block, and what SQLite keeps of their lengths and types: a number may become a text, or nothing."""
    before, whole = everything(path), path.read_bytes()
    block = before[2][3]
    end = whole.index(block.inputs + block.prev_hash)
    meaningless = 0
    for at in range(end - 25, end):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                assert everything(path) == before
                meaningless += 1
            except Damaged:
                pass
    assert meaningless < 10


@pytest.mark.parametrize(("table", "column"), [("blocks", "inputs"), ("blocks", "time_ns"), ("head", "epoch")])
@pytest.mark.parametrize("value", [None, 1.5])
def test_a_value_of_another_type_is_named(path: Path, table: str, column: str, value: float | None) -> None:
    """SQLite looks at types when a value is written, and never again."""
    with tampering(path) as db:
        schema = db.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        db.execute("PRAGMA writable_schema = ON")
        lax = schema.replace(" NOT NULL", "").replace(" STRICT", "")
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (lax, table))
        db.execute("PRAGMA writable_schema = RESET")
        db.execute(f"UPDATE {table} SET {column} = ? WHERE part = 2 AND seq = 8", (value,))
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = ? WHERE name = ?", (schema, table))
        db.execute("PRAGMA writable_schema = RESET")
    with pytest.raises(Damaged, match=r"partition 2, block 8: (a column has another type|the head is lost or altered)"):
        everything(path)


def test_a_schema_that_is_no_text_any_more_is_damage(path: Path) -> None:
    """SQLite quotes it in its message, which then is no text either."""
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"BEFORE UPDATE ON blocks", b"BEFORE UPDATE \xf3N blocks"))
    with pytest.raises(Damaged, match=r"record\.sqlite3"):
        everything(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("epoch", 0), ("epoch", 9), ("first_event", 9), ("event_count", -1), ("event_count", 2), ("command_count", 2**40), ("time_ns", 0),
        ("schema_version", 0), ("schema_version", 9), ("inputs", b"{}"), ("prev_hash", bytes(32)), ("prev_hash", b""), ("hash", bytes(32)),
        ("payload", b""), ("payload", bytes(50)),
    ],
)  # fmt: skip
def test_an_altered_column_is_named_with_its_block(path: Path, column: str, value: int | bytes) -> None:
    with tampering(path) as db:
        db.execute(f"UPDATE blocks SET {column} = ? WHERE id = ?", (value, row(2, 4)))
    with pytest.raises(Damaged, match="partition 2, block 4: ") as found:
        everything(path)
    assert (found.value.partition, found.value.seq) == (2, 4)


def test_a_forged_block_is_found_at_the_block_after_it(path: Path) -> None:
    """Its own hash is right again, but its successor names the one it had."""
    forged = everything(path)[1][3]
    with tampering(path) as db:
        forged = replace(forged, inputs=b'{"forged":1}')
        db.execute("UPDATE blocks SET inputs = ?, hash = ? WHERE id = ?", (forged.inputs, digest(forged), row(1, 4)))
    with pytest.raises(Damaged, match=r"partition 1, block 5: names [0-9a-f]{64} as the block before"):
        everything(path)


@pytest.mark.parametrize("seq", [1, 4, 7])
def test_a_removed_block_is_named(path: Path, seq: int) -> None:
    with tampering(path) as db:
        db.execute("DELETE FROM blocks WHERE id = ?", (row(1, seq),))
    with pytest.raises(Damaged, match=f"partition 1, block {seq}: missing"):
        everything(path)


def test_a_removed_end_is_named_by_the_head(path: Path) -> None:
    with tampering(path) as db:
        db.execute("DELETE FROM blocks WHERE id IN (?, ?)", (row(1, 7), row(1, 8)))
    with pytest.raises(Damaged, match=r"partition 1, block 8: the head \(block 8, .*\) does not fit the last block there is \(block 6, "):
        everything(path)


def test_two_blocks_swapped_are_named(path: Path) -> None:
    with tampering(path) as db:
        for old, new in ((3, 99), (6, 3), (99, 6)):
            db.execute("UPDATE blocks SET id = ? WHERE id = ?", (row(1, new), row(1, old)))
    with pytest.raises(Damaged, match="partition 1, block 3: "):
        everything(path)


def test_a_chain_moved_to_another_partition_is_named(path: Path) -> None:
    with tampering(path) as db:
        db.execute("UPDATE blocks SET id = id + ? WHERE id < ?", (row(2, 0), row(2, 0)))
        db.execute("UPDATE head SET part = 3 WHERE part = 1")
    with pytest.raises(Damaged, match=r"partition 3, block 1: names [0-9a-f]{64} as the block before"):
        everything(path)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM head WHERE part = 2", "partition 2, block 8: the head is lost or altered; the last block is 8"),
        ("UPDATE head SET part = 3 WHERE part = 2", "partition 2, block 8: the head is lost"),
        ("UPDATE head SET seq = 7 WHERE part = 2", "partition 2, block 8: the head .* does not fit"),
        ("UPDATE head SET hash = x'00' WHERE part = 2", "partition 2, block 8: the head .* does not fit"),
        ("UPDATE head SET next_event = 99 WHERE part = 2", "partition 2, block 8: the head .* does not fit"),
        ("UPDATE head SET time_ns = 99 WHERE part = 2", "partition 2, block 8: the head .* does not fit"),
        ("UPDATE head SET epoch = 0 WHERE part = 2", "partition 2, block 8: the head .* does not fit"),
    ],
)
def test_an_altered_or_lost_head_is_named_and_nobody_claims_on_it(path: Path, statement: str, says: str) -> None:
    with tampering(path) as db:
        db.execute(statement)
    with pytest.raises(Damaged, match=says):
        everything(path)
    with closing(SqliteLog(path)) as log, pytest.raises(Damaged, match=says):
        log.claim(2)


@pytest.mark.parametrize(
    "damage", [lambda size: size - 1, lambda size: size // 2, lambda size: 16_384, lambda size: 100, lambda size: 1, lambda size: 0]
)
@pytest.mark.parametrize("read_only", [False, True])
def test_a_truncated_file_is_damage(path: Path, damage: Callable[[int], int], read_only: bool) -> None:
    """To nothing, too."""
    whole = path.read_bytes()
    path.write_bytes(whole[: damage(len(whole))])
    with pytest.raises(Damaged):
        everything(path, read_only=read_only)


def test_the_blocks_before_the_damage_are_still_read(path: Path) -> None:
    chain = everything(path)[2]
    with tampering(path) as db:
        db.execute("UPDATE blocks SET time_ns = 0 WHERE id = ?", (row(2, 6),))
    with closing(SqliteLog(path, read_only=True)) as log:
        reading = log.read(2)
        assert [next(reading) for _ in range(5)] == chain[:5]
        with pytest.raises(Damaged, match="partition 2, block 6"):
            next(reading)
