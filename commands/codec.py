"""Typed commands <-> rows of 128 bytes, and rows of 64 bytes -> readable events; read off the tables of domain/.

For the edges, where an object per command is wanted. The hot path never comes here: it passes rows on as bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, cast

import msgspec

from commands import messages
from commands.messages import Command, Event
from domain import events as kinds
from domain import verbs
from domain.fields import Field, RowType
from domain.rules import RULES

_COMMAND: Final = struct.Struct(f"<{verbs.COMMAND_WORDS}q")
_EVENT: Final = struct.Struct(f"<{kinds.EVENT_WORDS}q")
_VERB_BY_NAME: Final = {row.name: row for row in verbs.VERBS}
_WORD: Final = 2**64

SPELLINGS: Final = {
    "side": verbs.SIDES,
    "order_type": verbs.ORDER_TYPES,
    "time_in_force": verbs.TIMES_IN_FORCE,
    "post_only": verbs.POST_ONLY_MODES,
    "stp": verbs.STP_MODES,
    "side_scope": verbs.SIDE_SCOPES,
    "state": verbs.INSTRUMENT_STATES,
    "previous_state": verbs.INSTRUMENT_STATES,
    "status": verbs.ACCOUNT_STATUSES,
    "previous_status": verbs.ACCOUNT_STATUSES,
    "reason": kinds.REMOVAL_REASONS,
    "error": verbs.UNREADABLE,
    "rule": ("", *(rule.name for rule in RULES)),
}
"""Field name -> its values spelled out; the position is the number in the row."""


class BadRow(ValueError):
    """A command that fits no row, or a row that is no command or event: which field, what it holds, what would be right."""


def to_row(command: Command) -> bytes:
    """The 128 bytes of *command*. Raises BadRow when a value does not fit its field."""
    row_type = _VERB_BY_NAME[type(command).__name__]
    return _COMMAND.pack(*_words(row_type, msgspec.structs.asdict(command)))


def from_row(row: bytes) -> Command:
    """The command that 128 bytes are. Raises BadRow when they are none; whether its values make sense is for the domain to say."""
    if len(row) != verbs.COMMAND_BYTES:
        raise BadRow(f"a command row has {verbs.COMMAND_BYTES} bytes, not {len(row)}")
    words = _COMMAND.unpack(row)
    row_type = verbs.VERB_BY_CODE.get(words[verbs.VERB])
    if row_type is None:
        raise BadRow(f"word 0: {words[verbs.VERB]} is no verb; verbs are {min(verbs.VERB_BY_CODE)} to {max(verbs.VERB_BY_CODE)}")
    values = {field.name: _meaning(row_type, field, words) for field in row_type.fields}
    if _words(row_type, values) != words:
        raise BadRow(f"{row_type.name}: a word or bit that it does not name is not zero")
    try:
        return cast(Command, msgspec.convert(values, getattr(messages, row_type.name)))
    except msgspec.ValidationError as wrong:
        raise BadRow(f"{row_type.name}: {wrong}") from None


def events(rows: bytes, first_event: int = 0) -> list[Event]:
    """The events that n*64 bytes are, numbered from *first_event*. Raises BadRow on a part of a row or an unknown kind."""
    if len(rows) % kinds.EVENT_BYTES:
        raise BadRow(f"{len(rows)} bytes are no whole number of event rows of {kinds.EVENT_BYTES}")
    return [_event(index, words) for index, words in enumerate(_EVENT.iter_unpack(rows), first_event)]


def _event(index: int, words: tuple[int, ...]) -> Event:
    row_type = kinds.EVENT_BY_CODE.get(words[0] & 255)
    if row_type is None:
        raise BadRow(f"event {index}: {words[0] & 255} is no kind of event")
    return Event(index, row_type.name, {field.name: _meaning(row_type, field, words) for field in row_type.fields})


def _words(row_type: RowType, values: Mapping[str, Any]) -> tuple[int, ...]:
    """The words of a command of *row_type* that holds *values*."""
    words = [0] * verbs.COMMAND_WORDS
    words[verbs.VERB] = row_type.code
    for field in row_type.fields:
        words[field.word] |= _number(row_type, field, values[field.name]) << field.shift
    return tuple(words)


def _number(row_type: RowType, field: Field, value: int | str) -> int:
    """What *value* is in the row; BadRow when it cannot be."""
    if isinstance(value, str):
        return _packed(row_type, field, value) if field.name in verbs.TEXTS else _spelled(row_type, field, value)
    low, high = (-_WORD // 2, _WORD // 2 - 1) if field.bits == 64 else (0, 2**field.bits - 1)
    if not low <= value <= high:
        raise BadRow(f"{row_type.name}.{field.name}: {value} does not fit; {low} to {high} do")
    return value


def _spelled(row_type: RowType, field: Field, text: str) -> int:
    spellings = SPELLINGS[field.name]
    if text not in spellings:
        raise BadRow(f"{row_type.name}.{field.name}: {text!r} is none of {', '.join(spellings)}")
    return spellings.index(text)


def _meaning(row_type: RowType, field: Field, words: tuple[int, ...]) -> int | str:
    """The value of *field* for a reader: a number, a spelling or a text; BadRow when it is none."""
    value = words[field.word] if field.bits == 64 else words[field.word] >> field.shift & (2**field.bits - 1)
    if field.name in verbs.TEXTS:
        return _unpacked(row_type, field, value)
    spellings = SPELLINGS.get(field.name)
    if spellings is None:
        return value
    if not 0 <= value < len(spellings):
        raise BadRow(f"{row_type.name}.{field.name}: {value} is none of 0 to {len(spellings) - 1}")
    return spellings[value]


def _packed(row_type: RowType, field: Field, text: str) -> int:
    if not (1 <= len(text) <= 8 and all(33 <= ord(character) <= 126 for character in text)):
        raise BadRow(f"{row_type.name}.{field.name}: {text!r} is not 1 to 8 printable ASCII characters without a space")
    return int.from_bytes(text.encode("ascii"), "little")


def _unpacked(row_type: RowType, field: Field, word: int) -> str:
    text = (word % _WORD).to_bytes(8, "little").rstrip(b"\0").decode("latin-1")
    if _packed(row_type, field, text) != word:
        raise BadRow(f"{row_type.name}.{field.name}: {text!r} has a zero inside")
    return text
