"""Where two sequences of commands and events part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from domain.events import EVENT_WORDS
from domain.verbs import COMMAND_WORDS
from replay.rows import Ints, Row, command_row, event_row, outcomes


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row that differs.

    kind     "command" or "event"
    seq      block of the first record (of two) in which it stands
    event    index in the partition of the event; of a command: of its outcome
    command  the command that caused the event, as in the first record
    one      the row in the first record, or as recorded; None: there it has none
    other    the row in the second record, or as executed again
    fields   what differs, when both rows are of one name
    """

    kind: str
    seq: int
    event: int
    command: Row | None
    one: Row | None
    other: Row | None
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """Some commands, int64[k, 16], and all their events, int64[n, 8], of one of the two."""

    commands: Ints
    events: Ints

    @classmethod
    def of(cls, commands: bytes, events: bytes) -> Side:
        """From rows."""
        return cls(np.frombuffer(commands, "<i8").reshape(-1, COMMAND_WORDS), np.frombuffer(events, "<i8").reshape(-1, EVENT_WORDS))


def first_difference(seq: int, first_event: int, one: Side, other: Side) -> Difference | None:
    """None when both are the same. A command that differs comes before the events that follow from it."""
    longer = max(one.events, other.events, key=len)
    command, event = _first(one.commands, other.commands), _first(one.events, other.events)
    begins = outcomes(one.events)
    caused_by = None if event is None else int(np.searchsorted(outcomes(longer), event, side="right")) - 1
    if command is not None and (caused_by is None or command <= caused_by):
        at = int(begins[command]) if command < len(begins) else len(one.events)
        asked, other_asked = (command_row(side.commands[command]) if command < len(side.commands) else None for side in (one, other))
        return Difference("command", seq, first_event + at, None, asked, other_asked, _fields(asked, other_asked))
    if event is None or caused_by is None:
        return None
    row, other_row = (event_row(side.events[event]) if event < len(side.events) else None for side in (one, other))
    return Difference("event", seq, first_event + event, command_row(one.commands[caused_by]), row, other_row, _fields(row, other_row))


def _first(one: Ints, other: Ints) -> int | None:
    """First row in which the two differ, or which only one of them has."""
    both = min(len(one), len(other))
    differs = np.flatnonzero((one[:both] != other[:both]).any(axis=1))
    if len(differs):
        return int(differs[0])
    return None if len(one) == len(other) else both


def _fields(one: Row | None, other: Row | None) -> tuple[str, ...]:
    if one is None or other is None or one.name != other.name:
        return ()
    return tuple(name for name, value in one.fields.items() if other.fields.get(name) != value)
