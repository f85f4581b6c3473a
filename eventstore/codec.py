"""The payload of a block: command rows and event rows as columns.

Rows are grouped by verb or kind; in a group every word of the row is one column. A column is what remains after subtracting
what a reader already knows (a word of the causing command, of its outcome, or the value before) and then the smallest remainder:
a column that says nothing new costs no byte. The remainders are stored byte plane by byte plane, only as many bytes as the
largest needs, and zstd packs the whole.

The bytes, little-endian, inside one zstd frame that states its size:
    u32 format, u32 commands k, u32 events n
    u8[k] group of each command: the low byte of word 0, at most 63; u8[n] the same of each event
    per group of commands, rising, 16 column heads; per group of events 8: u8 reference, u8 rising, u8 width, i64 base, i64 first
    per column `width` planes of one byte per row of the group: the lowest bytes of all rows, then the next, ...
    value = remainder + base, added to the value before when rising (the first value is `first`), then plus what is referred to:
    0 nothing, 1-15 that word of the command (in a command: of itself, an earlier word), in an event also
    16 (word 5 << 32) + ((word 6 & 1) << 8) of the command, in a consequence (group from 32) also 17-23 word 1-7 of the outcome
All arithmetic is modulo 2^64, so every row of any content comes back as it was. The event of a group below 32 is an outcome; the
k-th outcome and what follows it up to the next are caused by the k-th command.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from domain.events import EVENT_BY_CODE, EVENT_BYTES, EVENT_WORDS, FIRST_CONSEQUENCE, ORDER_ACCEPTED
from domain.verbs import (
    ACCOUNT,
    CLIENT_ORDER_ID,
    COMMAND_BYTES,
    COMMAND_WORDS,
    EXPIRES_NS,
    INSTRUMENT,
    PRICE_TICKS,
    QUANTITY_LOTS,
    RECEIVED_NS,
    SEQUENCE,
    TERMS,
)
from eventstore.columns import HEAD_BYTES, BadPayload, ColumnWriter, Heads, Words, require, values

__all__ = ["MAX_COMMANDS", "MAX_EVENTS", "BadPayload", "Rows", "counts", "decode", "encode", "lay_out", "pack", "unpack"]

Bytes = NDArray[np.uint8]
Index = NDArray[np.intp]

FORMAT: Final = 1
MAX_COMMANDS: Final = 16_384
# One command may meet every resting order (2^21), each order leaves the book once, and each command adds a handful of its own.
MAX_EVENTS: Final = 2**22
GROUPS: Final = 64
MAX_BODY_BYTES: Final = (
    MAX_COMMANDS * (COMMAND_BYTES + 1) + MAX_EVENTS * (EVENT_BYTES + 1) + GROUPS * (COMMAND_WORDS + EVENT_WORDS) * HEAD_BYTES + 12
)

COUNTS: Final = struct.Struct("<III")
_LEVEL: Final = 1  # level 3 saves 7 % and takes twice the time

_NOTHING: Final = 0
_OUTLINE: Final = COMMAND_WORDS  # what the command says of an event's word 0: instrument and side
_OUTCOME: Final = COMMAND_WORDS  # + word
_REFERENCES: Final = _OUTCOME + EVENT_WORDS

# What encode subtracts. Decoding finds it in the column heads, so these choices may change without a new format.
_COMMAND_RISING: Final = (RECEIVED_NS, SEQUENCE)
_COMMAND_REFERENCE: Final = {CLIENT_ORDER_ID: SEQUENCE}
_EVENT_RISING: Final = (ORDER_ACCEPTED, 1)
_SAME_IN_COMMAND: Final = {
    "account": ACCOUNT,
    "price_ticks": PRICE_TICKS,
    "quantity_lots": QUANTITY_LOTS,
    "expires_ns": EXPIRES_NS,
    "order": _OUTCOME + 1,
}


def _references(kind: int) -> tuple[int, ...]:
    """For each word of an event: where the command or its outcome has a field of the same name."""
    references = [_OUTLINE] + [_NOTHING] * (EVENT_WORDS - 1)
    for field in EVENT_BY_CODE[kind].fields if kind in EVENT_BY_CODE else ():
        if field.word and not (kind < FIRST_CONSEQUENCE and field.name == "order"):
            references[field.word] = _SAME_IN_COMMAND.get(field.name, _NOTHING)
    return tuple(references)


_EVENT_REFERENCE: Final = tuple(_references(kind) for kind in range(GROUPS))


class Rows(NamedTuple):
    """commands int64[k, 16], events int64[n, 8]; the k-th outcome among the events belongs to the k-th command."""

    commands: Words
    events: Words


def as_rows(commands: bytes, events: bytes) -> Rows:
    """Rows of the current schema version, of their bytes."""
    return Rows(np.frombuffer(commands, "<i8").reshape(-1, COMMAND_WORDS), np.frombuffer(events, "<i8").reshape(-1, EVENT_WORDS))


def encode(commands: bytes, events: bytes) -> bytes:
    """Payload of a block from its command rows (at most MAX_COMMANDS) and event rows (at most MAX_EVENTS, one outcome per command)."""
    return pack(lay_out(commands, events))


def pack(body: bytes) -> bytes:
    """The payload of a body that lay_out made. The interpreter lock is free meanwhile."""
    return zstandard.ZstdCompressor(_LEVEL).compress(body)


def lay_out(commands: bytes, events: bytes) -> bytes:
    """The columns of these rows, side by side: what a payload holds before it is packed."""
    assert len(commands) % COMMAND_BYTES == 0, "whole command rows"
    assert len(events) % EVENT_BYTES == 0, "whole event rows"
    k, n = len(commands) // COMMAND_BYTES, len(events) // EVENT_BYTES
    assert k <= MAX_COMMANDS, "a block holds at most MAX_COMMANDS commands"
    assert n <= MAX_EVENTS, "a block holds at most MAX_EVENTS events"
    asked = np.ascontiguousarray(np.frombuffer(commands, "<i8").reshape(k, COMMAND_WORDS).T)
    happened = np.ascontiguousarray(np.frombuffer(events, "<i8").reshape(n, EVENT_WORDS).T)
    verbs, kinds = _groups(asked[0]), _groups(happened[0])
    causes = _Causes(asked, happened, kinds)
    assert not causes.wrong(), causes.wrong()
    columns = ColumnWriter()
    for _, rows in _each(verbs):
        for word in range(COMMAND_WORDS):
            column, reference = asked[word][rows], _COMMAND_REFERENCE.get(word, _NOTHING)
            if reference:
                column = column - asked[reference][rows]
            columns.add(column, reference, word in _COMMAND_RISING)
    for kind, rows in _each(kinds):
        cause = causes.index[rows]
        for word, reference in enumerate(_EVENT_REFERENCE[kind]):
            column = happened[word][rows]
            if reference:
                column = column - causes.words(reference, cause)
            columns.add(column, reference, (kind, word) == _EVENT_RISING)
    return b"".join((COUNTS.pack(FORMAT, k, n), verbs.tobytes(), kinds.tobytes(), *columns.parts()))


def decode(payload: bytes) -> Rows:
    """The rows that were encoded. Takes at most 3 x MAX_BODY_BYTES of memory (0.8 GB for the largest block), whatever the payload says.

    Raises BadPayload when encode did not make it.
    """
    body = unpack(payload)
    k, n = counts(body)
    verbs, kinds = np.frombuffer(body, np.uint8, k, COUNTS.size), np.frombuffer(body, np.uint8, n, COUNTS.size + k)
    require(max(verbs.max(initial=0), kinds.max(initial=0)) < GROUPS, f"a group is not below {GROUPS}")
    commands, events = np.zeros((k, COMMAND_WORDS), "<i8"), np.zeros((n, EVENT_WORDS), "<i8")
    asked, happened = commands.T, events.T
    causes = _Causes(asked, happened, kinds)
    require(not causes.wrong(), causes.wrong())
    verb_rows, kind_rows = list(_each(verbs)), list(_each(kinds))
    sizes = [asked[0][rows].size for _, rows in verb_rows for _ in range(COMMAND_WORDS)]
    sizes += [causes.index[rows].size for _, rows in kind_rows for _ in range(EVENT_WORDS)]
    columns = iter(Heads(body, COUNTS.size + k + n, sizes))
    for _, rows in verb_rows:
        for word in range(COMMAND_WORDS):
            head = next(columns)
            reference, column = head.reference, values(body, head)
            require(reference < max(word, 1), f"word {word} of a command refers to word {reference}, which is not before it")
            if reference:
                column = column + asked[reference][rows]
            asked[word][rows] = column
    for kind, rows in kind_rows:
        cause = causes.index[rows]
        for word in range(EVENT_WORDS):
            head = next(columns)
            reference, column = head.reference, values(body, head)
            require(reference < (_OUTLINE + 1 if kind < FIRST_CONSEQUENCE else _REFERENCES), f"kind {kind} refers to word {reference}")
            if reference:
                column = column + causes.words(reference, cause)
            happened[word][rows] = column
    return Rows(commands, events)


class _Causes:
    """Which command caused each event, and what that command and its outcome say."""

    def __init__(self, asked: Words, happened: Words, kinds: Bytes) -> None:
        self._asked, self._happened = asked, happened
        outcome = kinds < FIRST_CONSEQUENCE
        self._begins_well = kinds.size == 0 or bool(outcome[0])
        self._outcomes = np.flatnonzero(outcome)
        self.index = np.cumsum(outcome) - 1

    def wrong(self) -> str:
        """Why these events cannot be those of these commands; empty when they can."""
        if self._outcomes.size != self._asked.shape[1]:
            return f"{self._outcomes.size} outcomes for {self._asked.shape[1]} commands"
        return "" if self._begins_well else "the first event is not the outcome of a command"

    def words(self, reference: int, cause: Index) -> Words:
        """The word *reference* that the commands numbered *cause*, or their outcomes, have."""
        words: Words
        if reference < _OUTLINE:
            words = self._asked[reference][cause]
        elif reference == _OUTLINE:
            words = (self._asked[INSTRUMENT][cause] << 32) + ((self._asked[TERMS][cause] & 1) << 8)
        else:
            words = self._happened[reference - _OUTCOME][self._outcomes[cause]]
        return words


def _groups(word_0: Words) -> Bytes:
    groups: Bytes = np.minimum(word_0 & 0xFF, GROUPS - 1).astype(np.uint8)
    return groups


def _each(groups: Bytes) -> Iterator[tuple[int, Index | slice]]:
    """Every group there is, rising, with the numbers of its rows."""
    for group in np.flatnonzero(np.bincount(groups)).tolist():
        rows = np.flatnonzero(groups == group)
        yield group, slice(None) if rows.size == groups.size else rows


def unpack(payload: bytes) -> bytes:
    """Undo zstd; the size is checked before memory is taken. Raises BadPayload."""
    try:
        size = zstandard.frame_content_size(payload)
        require(COUNTS.size <= size <= MAX_BODY_BYTES, f"its frame states a size of {size} bytes")
        return zstandard.ZstdDecompressor().decompress(payload, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise BadPayload(f"zstd: {error}") from None


def counts(body: bytes) -> tuple[int, int]:
    """How many commands and events an unpacked payload says it has. Raises BadPayload."""
    version, commands, events = COUNTS.unpack_from(body)
    require(version == FORMAT, f"its format is {version}, not {FORMAT}")
    require(commands <= MAX_COMMANDS, f"{commands} commands, more than {MAX_COMMANDS}")
    require(events <= MAX_EVENTS, f"{events} events, more than {MAX_EVENTS}")
    require(len(body) >= COUNTS.size + commands + events, "it ends inside the groups")
    return commands, events
