"""Rows of a block as something that can be cut between commands, timed, and read by people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain.events import COMMAND_REFUSED, EVENT_BY_CODE, FIRST_CONSEQUENCE
from domain.fields import Field, RowType
from domain.rules import MALFORMED_FIELD
from domain.verbs import RECEIVED_NS, VERB_BY_CODE
from eventstore.blocks import Block

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """A command or event to look at: its name, and its fields by name as the tables of the domain have them."""

    name: str
    fields: dict[str, int]


class Batch:
    """The commands of a block and what each caused.

    commands  int64[k, 16]
    events    int64[n, 8]
    first     int64[k + 1]: of each command where its events begin, and n
    """

    def __init__(self, block: Block) -> None:
        self.commands, self.events = block.arrays()
        self.kind: Ints = self.events[:, 0] & 255
        self.first: Ints = np.append(outcomes(self.events), len(self.events))
        assert len(self.first) == len(self.commands) + 1, "one outcome per command"

    def part(self, begin: int, end: int) -> tuple[bytes, bytes]:
        """Command rows from *begin* to before *end*, and their event rows."""
        return self.commands[begin:end].tobytes(), self.events[self.first[begin] : self.first[end]].tobytes()

    def command_of(self, event: int) -> int:
        """Which command caused the event at this place of the block."""
        return int(np.searchsorted(self.first, event, side="right")) - 1

    def times_ns(self, before_ns: int) -> Ints:
        """Of each command its time, rising from *before_ns*, the time of the block before; a malformed one does not move time."""
        malformed = (self.kind[self.first[:-1]] == COMMAND_REFUSED) & (self.events[self.first[:-1], 1] == MALFORMED_FIELD)
        received = np.where(malformed, before_ns, self.commands[:, RECEIVED_NS])
        times: Ints = np.maximum.accumulate(np.maximum(received, before_ns))
        return times


def outcomes(events: Ints) -> Ints:
    """Where the outcomes stand, one for each command."""
    return np.flatnonzero((events[:, 0] & 255) < FIRST_CONSEQUENCE)


def command_row(words: Ints) -> Row:
    """A command to look at; of an unknown verb the words that are not zero, by number."""
    return _row(words, VERB_BY_CODE, "UnknownVerb")


def event_row(words: Ints) -> Row:
    """An event to look at; of an unknown kind the words that are not zero, by number."""
    return _row(words, EVENT_BY_CODE, "UnknownEvent")


def _row(words: Ints, table: Mapping[int, RowType], unknown: str) -> Row:
    values = words.tolist()
    kind = table.get(values[0] & 255)
    if kind is None:
        return Row(unknown, {f"word_{at}": value for at, value in enumerate(values) if value})
    return Row(kind.name, {field.name: _value(values, field) for field in kind.fields})


def _value(words: list[int], field: Field) -> int:
    return words[field.word] if field.bits == 64 else (words[field.word] >> field.shift) & (2**field.bits - 1)
