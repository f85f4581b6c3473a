"""Golden blocks: one per verb and kind and schema version, written once by the release that introduced it, and never again.

A version's folder holds what it added, as one chain of blocks, one file each, and that chain once more as a record of SQLite.
`python -m tests.golden.files` writes those of the current version, and none that is there.
"""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from domain.events import FIRST_CONSEQUENCE
from eventstore.blocks import Block, after, genesis, seal
from eventstore.sqlite import SqliteLog
from tests.golden import rows_v1, rows_v2, rows_v3

ROWS: Final = {1: rows_v1, 2: rows_v2, 3: rows_v3}
RECORD: Final = "record.sqlite3"
PARTITION: Final = 5


def folder(version: int) -> Path:
    """Where the blocks of a version lie."""
    return Path(__file__).parent / f"v{version}"


def golden_rows(version: int) -> dict[str, tuple[bytes, bytes]]:
    """Name of a block -> its rows: each verb refused; each outcome of a tick; each consequence of an accepted order."""
    first, added = rows_v1, ROWS[version]
    tick, order = _command(first.COMMANDS["TickClock"]), _command(first.COMMANDS["NewOrder"])
    refused, accepted = _event(first.EVENTS["CommandRefused"]), _event(first.EVENTS["OrderAccepted"])
    rows = {name: (_command(words), refused) for name, words in added.COMMANDS.items()}
    for name, words in added.EVENTS.items():
        outcome = words[0] & 0xFF < FIRST_CONSEQUENCE
        rows[name] = (tick, _event(words)) if outcome else (order, accepted + _event(words))
    return rows


def golden_blocks(version: int) -> dict[str, Block]:
    """Name -> block, as the files of that version have them, in the order of their chain."""
    return {path.stem.partition("-")[2]: from_file(path.read_bytes()) for path in sorted(folder(version).glob("*.block"))}


def _command(words: tuple[int, ...]) -> bytes:
    return struct.pack("<16q", *words)


def _event(words: tuple[int, ...]) -> bytes:
    return struct.pack("<8q", *words)


def to_file(block: Block) -> bytes:
    """What is hashed, as documented in eventstore/blocks.py, then the hash."""
    header = struct.pack(
        "<IIQQQIIqII",
        block.schema_version,
        block.partition,
        block.seq,
        block.epoch,
        block.first_event,
        block.event_count,
        block.command_count,
        block.time_ns,
        len(block.inputs),
        len(block.payload),
    )
    return header + block.prev_hash + block.inputs + block.payload + block.hash


def from_file(content: bytes) -> Block:
    """The block of a golden file."""
    schema_version, partition, seq, epoch, first_event, event_count, command_count, time_ns, inputs, payload = struct.unpack_from(
        "<IIQQQIIqII", content
    )
    at = struct.calcsize("<IIQQQIIqII")
    parts = []
    for size in (32, inputs, payload, 32):
        parts.append(content[at : at + size])
        at += size
    assert at == len(content), "a golden file ends with the hash"
    return Block(
        partition, seq, epoch, first_event, event_count, command_count, time_ns, schema_version, parts[1], parts[0], parts[3], parts[2]
    )


def write(version: int) -> None:
    """Write the files of *version*, which must be the current one: only its own release writes a version."""
    head = replace(genesis(PARTITION), epoch=1)
    folder(version).mkdir(exist_ok=True)
    blocks = []
    for name, (commands, events) in golden_rows(version).items():
        blocks.append(seal(head, commands, events, head.time_ns + 1_000_000_007, b'{"orders":%d}' % head.seq))
        path = folder(version) / f"{blocks[-1].seq:02}-{name}.block"
        if not path.exists():
            path.write_bytes(to_file(blocks[-1]))
        head = after(blocks[-1])
    if not (folder(version) / RECORD).exists():
        with closing(SqliteLog(folder(version) / RECORD)) as log:
            log.claim(PARTITION)
            for block in blocks:
                log.append(block)


if __name__ == "__main__":
    write(max(ROWS))
