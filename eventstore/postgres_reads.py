"""What is asked of a record in PostgreSQL, over a connection that somebody else has: its primary and every standby answer the same way.

The server's errors come out as psycopg raises them; `postgres_server.errors` gives them our names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from psycopg.types.numeric import Int4, Int8

from eventstore.blocks import Block, Head, after, genesis, verify
from eventstore.ports import Damaged
from eventstore.postgres_server import Connection

PAGE_BLOCKS: Final = 256
PAGE_BYTES: Final = 4 * 2**20

_COLUMNS: Final = "part, seq, epoch, first_event, event_count, command_count, time_ns, schema_version, inputs, prev_hash, hash, payload"
_BLOCK: Final = f"SELECT {_COLUMNS} FROM outcry.blocks WHERE part = %b AND seq = %b"  # noqa: S608 - our own constant
# Whole blocks until PAGE_BYTES are full: the size of a payload is known without reading it.
_PAGE: Final = f"""SELECT {_COLUMNS} FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY seq) - octet_length(payload) AS bytes_before
    FROM outcry.blocks WHERE part = %b AND seq > %b AND seq <= %b
) AS next WHERE bytes_before < {PAGE_BYTES} ORDER BY seq"""  # noqa: S608 - as above
# One statement, so that head and last block are of one moment.
_HEAD: Final = """SELECT head.epoch, head.seq, head.hash, head.next_event, head.time_ns,
    last.epoch, last.seq, last.hash, last.first_event + last.event_count, last.time_ns
FROM (VALUES (%b)) AS asked (part) LEFT JOIN outcry.head USING (part)
LEFT JOIN LATERAL (SELECT * FROM outcry.blocks WHERE blocks.part = asked.part ORDER BY seq DESC LIMIT 1) AS last ON true"""
_PARTITIONS: Final = """SELECT part FROM outcry.head UNION
SELECT substring(inhrelid::regclass::text FROM '_([0-9]+)$')::integer FROM pg_inherits WHERE inhparent = 'outcry.blocks'::regclass"""


def head(db: Connection, partition: int) -> Head:
    """The head row, which must agree with the last block. Raises Damaged."""
    row = db.execute(_HEAD, (Int4(partition),), binary=True).fetchone()
    assert row, "one row, whatever is there"
    has_head, has_block = row[0] is not None, row[5] is not None
    told = Head(partition, *row[:5]) if has_head else genesis(partition)
    end = Head(partition, *row[5:]) if has_block else genesis(partition)
    if has_block and not has_head:
        raise Damaged(partition, end.seq, f"the head is lost; the last block is {end.seq}")
    if (end.seq, end.hash, end.next_event, end.time_ns) != (told.seq, told.hash, told.next_event, told.time_ns) or end.epoch > told.epoch:
        raise Damaged(partition, max(end.seq, told.seq), f"the head ({_facts(told)}) does not fit the last block there is ({_facts(end)})")
    return told


def block(db: Connection, partition: int, seq: int) -> Block | None:
    """Block *seq*, or None."""
    row = db.execute(_BLOCK, (Int4(partition), Int8(seq)), binary=True).fetchone()
    return None if row is None else Block(*row)


def place(db: Connection, partition: int, seq: int) -> Head:
    """Where the chain stood after block *seq*. Raises Damaged when that block is not there."""
    found = block(db, partition, seq) if seq else None
    if seq and found is None:
        raise Damaged(partition, seq, "missing")
    return after(found) if found else genesis(partition)


def page(db: Connection, previous: Head, through_seq: int) -> list[Block]:
    """The next blocks behind *previous* up to *through_seq*: PAGE_BYTES and one block, PAGE_BLOCKS at most. Not verified."""
    last = min(through_seq, previous.seq + PAGE_BLOCKS)
    rows = db.execute(_PAGE, (Int4(previous.partition), Int8(previous.seq), Int8(last)), binary=True).fetchall()
    return [Block(*row) for row in rows]


def verified(blocks: Sequence[Block], previous: Head) -> Iterator[Block]:
    """*blocks*, of which the first follows *previous* and each the one before. Raises Damaged where that is not so, and for none."""
    if not blocks:
        raise Damaged(previous.partition, previous.seq + 1, "missing")
    for found in blocks:
        if found.seq != previous.seq + 1:
            raise Damaged(previous.partition, previous.seq + 1, "missing")
        verify(found, previous)
        previous = after(found)
        yield found


def partitions(db: Connection) -> list[int]:
    """Partitions ever claimed, ascending; also those whose head is lost."""
    return sorted(row[0] for row in db.execute(_PARTITIONS))


def _facts(told: Head) -> str:
    return f"block {told.seq}, epoch {told.epoch}, next event {told.next_event}, time {told.time_ns}, hash {told.hash.hex()[:16]}"
