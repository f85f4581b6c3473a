"""A block in the making: what was executed since the last one was handed to the store."""

from __future__ import annotations

import struct
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from commands.image import Image
from commands.ports import Clock, Committed, RowBytes
from domain.columns import MAX_BATCH_COMMANDS, MAX_TIME_NS
from domain.verbs import COMMAND_WORDS, RECEIVED_NS, TICK_CLOCK
from eventstore.blocks import Content

_ROW: Final = struct.Struct(f"<{COMMAND_WORDS}q")
_RECEIVED_AT: Final = 8 * RECEIVED_NS


class Answer(NamedTuple):
    """What a sender gets once the block is committed."""

    future: Future[Committed]
    first_event: int
    events: bytes


@dataclass(slots=True)
class Draft:
    """Commands, their events, and who waits for them; open since opened_s (monotonic)."""

    commands: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    size: int = 0
    opened_s: float = 0.0

    def has_room(self, size: int) -> bool:
        """Whether *size* more commands fit into the block."""
        return self.size + size <= MAX_BATCH_COMMANDS

    def add(self, commands: bytes, size: int, events: bytes) -> None:
        """Add commands with the events that they caused; the block is open from the first of them."""
        if self.size == 0:
            self.opened_s = time.monotonic()
        self.commands.append(commands)
        self.events.append(events)
        self.size += size


class Decided(NamedTuple):
    """What the next block says, also as rows, the event after it, who waits for it, and the state after it when a snapshot is due."""

    content: Content
    rows: RowBytes
    next_event: int
    answers: list[Answer]
    image: Image | None


def fail(answers: list[Answer], error: BaseException) -> None:
    """Tell every sender who was not answered that its batch will not be on record."""
    for answer in answers:
        if not answer.future.done():
            answer.future.set_exception(error)


def tick(time_ns: int) -> bytes:
    """The row of a TickClock received at *time_ns*."""
    return _ROW.pack(TICK_CLOCK, time_ns, *[0] * (COMMAND_WORDS - 2))


def stamped(rows: bytes, clock: Clock) -> bytes:
    """*rows*, those with received_ns 0 received now: one reading of the clock, a batch is received at one moment."""
    received = np.frombuffer(rows, "<i8")[RECEIVED_NS::COMMAND_WORDS]
    if received.all():
        return rows
    words = np.frombuffer(rows, "<i8").reshape(-1, COMMAND_WORDS).copy()
    words[words[:, RECEIVED_NS] == 0, RECEIVED_NS] = clock()
    return words.tobytes()


def received_ns(rows: bytes) -> int:
    """When the first row says it was received; 0 when it says nothing that moves time."""
    said = int.from_bytes(rows[_RECEIVED_AT : _RECEIVED_AT + 8], "little", signed=True)
    return said if 0 < said <= MAX_TIME_NS else 0
