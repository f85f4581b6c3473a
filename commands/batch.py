"""The binary form in which doors hand over many commands at once: docs/protocol.md says every byte of it."""

from __future__ import annotations

import struct
import zlib
from typing import Final, NamedTuple

import numpy as np

from commands import wellformed
from commands.messages import Unreadable
from commands.wellformed import Malformed
from domain.columns import MAX_BATCH_COMMANDS
from domain.verbs import COMMAND_BYTES, COMMAND_WORDS

MAGIC: Final = b"OUTC"
VERSION: Final = 1
SKIP_MALFORMED: Final = 1
HEADER: Final = struct.Struct("<4sHHII")  # magic, version, flags, rows, CRC-32 of the bytes before it and of the rows
_CHECKSUM_AT: Final = 12
_NAMED_IN_ERROR: Final = 10


class BadBatch(ValueError):
    """These bytes are no batch, or one with malformed rows: nothing of it was processed. error: which of verbs.UNREADABLE."""

    def __init__(self, error: Unreadable, says: str, malformed: tuple[Malformed, ...] = ()) -> None:
        super().__init__(says)
        self.error, self.malformed = error, malformed


class Batch(NamedTuple):
    """rows: the command rows to process, k*128 bytes; skipped: the malformed ones that were left out, as was asked for."""

    rows: bytes
    skipped: tuple[Malformed, ...]


def encode(rows: bytes, *, skip_malformed: bool = False) -> bytes:
    """The batch that carries *rows* (k*128 bytes, 1 <= k <= 16,384)."""
    count = len(rows) // COMMAND_BYTES
    assert len(rows) == count * COMMAND_BYTES, "whole rows"
    assert 1 <= count <= MAX_BATCH_COMMANDS, "a batch carries 1 to 16,384 rows"
    start = HEADER.pack(MAGIC, VERSION, SKIP_MALFORMED if skip_malformed else 0, count, 0)[:_CHECKSUM_AT]
    return start + zlib.crc32(rows, zlib.crc32(start)).to_bytes(4, "little") + rows


def decode(batch: bytes) -> Batch:
    """The rows of *batch*. Raises BadBatch on whatever encode would not make, and on malformed rows unless it asks to skip them."""
    flags, rows = _opened(batch)
    malformed = tuple(wellformed.check(rows))
    if not malformed:
        return Batch(rows, ())
    if not flags & SKIP_MALFORMED:
        raise BadBatch("malformed_rows", _list(malformed), malformed)
    kept = np.delete(np.frombuffer(rows, "<i8").reshape(-1, COMMAND_WORDS), [each.row for each in malformed], axis=0)
    return Batch(kept.tobytes(), malformed)


def _opened(batch: bytes) -> tuple[int, bytes]:
    """Flags and rows, once the header is right. Raises BadBatch."""
    if len(batch) < HEADER.size:
        raise BadBatch("length", f"a batch begins with {HEADER.size} bytes of header; here are {len(batch)}")
    magic, version, flags, count, checksum = HEADER.unpack_from(batch)
    if magic != MAGIC:
        raise BadBatch("magic", f"bytes 0-3 are {magic!r}; a batch begins with {MAGIC!r}")
    if version != VERSION:
        raise BadBatch("version", f"version is {version}; this release reads version {VERSION}")
    if flags & ~SKIP_MALFORMED:
        raise BadBatch("flags", f"flags are {flags:#06x}; only bit 0, skip malformed rows, has a meaning")
    if not 1 <= count <= MAX_BATCH_COMMANDS:
        raise BadBatch("row_count", f"row count is {count}; a batch carries 1 to {MAX_BATCH_COMMANDS} rows")
    if len(batch) != HEADER.size + count * COMMAND_BYTES:
        raise BadBatch("length", f"{count} rows make {HEADER.size + count * COMMAND_BYTES} bytes with the header; here are {len(batch)}")
    rows = batch[HEADER.size :]
    found = zlib.crc32(rows, zlib.crc32(batch[:_CHECKSUM_AT]))
    if found != checksum:
        raise BadBatch("checksum", f"checksum is {checksum:#010x}, the bytes give {found:#010x}; changed on the way: send them again")
    return flags, rows


def _list(malformed: tuple[Malformed, ...]) -> str:
    named = "; ".join(str(each) for each in malformed[:_NAMED_IN_ERROR])
    more = f"; and {len(malformed) - _NAMED_IN_ERROR} more" if len(malformed) > _NAMED_IN_ERROR else ""
    return f"{len(malformed)} malformed rows, nothing was processed: {named}{more}"
