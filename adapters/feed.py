"""A feed: a source of commands that is a file or a seed and not a client, and the judge of what became of them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from commands.codec import to_row
from commands.messages import Command
from domain.columns import MAX_BATCH_COMMANDS
from domain.verbs import COMMAND_BYTES, SEQUENCE, SESSION


class BadFeed(ValueError):
    """The source is not what it should be: where, what is wrong, what would be right. Rows made before that place are good."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a venue's own executions in our record.

    venue_executions  executions of displayed orders that the source reports
    same_price        of these: every lot traded here at the venue's price
    same_maker        of these: every lot traded here with the order that the venue names
    other_trades      trades here that the venue does not have
    """

    venue_executions: int
    same_price: int
    same_maker: int
    other_trades: int


class Judge(Protocol):
    """Compares the record with what the venue did. It is shown every block of the record, from the first, while the feed runs or later."""

    def see(self, commands: bytes, events: bytes) -> None:
        """Take in one block's rows, as stored: k x 128 and n x 64 bytes."""

    def verdict(self) -> Verdict:
        """The result; final when the feed has run to its end and every block was seen."""


class Feed(Protocol):
    """A source that gives the same rows each time it is read.

    Rows carry `session` and a sequence that rises by one from 1: to feed a partition twice changes nothing, and a restart leaves out as
    many rows as are on record. A feed lists its instruments and opens and funds its accounts itself, so it wants a partition of its own.
    """

    session: int

    @property
    def judge(self) -> Judge | None:
        """None: there is no venue to compare with."""

    def batches(self) -> Iterator[bytes]:
        """All rows, 1 to 16,384 a batch. Once per object. Raises BadFeed, OSError."""

    def progress(self) -> float:
        """Share of the source that was read so far, 0 to 1."""


READ_BYTES: Final = 2**20
DIGEST_DIGITS: Final = 16


def file_source(kind: str, path: Path, show: Callable[[float], None]) -> str:
    """What a file is called in the record: the same again, and no other file so, not even one of its name. Reads all of it. Raises OSError.

    Its name counts, for it says of which day it is.
    """
    digest, size, done = hashlib.sha256(), path.stat().st_size, 0
    with path.open("rb") as file:
        while part := file.read(READ_BYTES):
            digest.update(part)
            done += len(part)
            show(min(1.0, done / max(1, size)))
    return f"{kind} {path.name}, {done} bytes, SHA-256 {digest.hexdigest()[:DIGEST_DIGITS]}"


_SESSION_SEQUENCE = struct.Struct("<2q")
assert SEQUENCE == SESSION + 1, "both words are written at once"


def rows(commands: Iterable[Command], session: int) -> Iterator[bytes]:
    """*commands* as rows of *session*, numbered from 1."""
    start = SESSION * 8
    for sequence, command in enumerate(commands, 1):
        row = to_row(command)
        yield row[:start] + _SESSION_SEQUENCE.pack(session, sequence) + row[start + _SESSION_SEQUENCE.size :]


def batched(numbered: Iterable[bytes]) -> Iterator[bytes]:
    """Rows in batches."""
    rest = iter(numbered)
    while batch := b"".join(islice(rest, MAX_BATCH_COMMANDS)):
        assert len(batch) % COMMAND_BYTES == 0, "a row has 128 bytes"
        yield batch
