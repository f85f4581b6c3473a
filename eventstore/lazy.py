"""A payload of which only the words that are asked for are decoded: what scans of many blocks stand on.

The format is that of eventstore/codec.py. Columns stand one behind the other and their heads say how wide they are, so any of them is
found without reading the others; what a column refers to is decoded with it.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final, Protocol

import numpy as np

from domain.events import EVENT_WORDS, FIRST_CONSEQUENCE
from domain.verbs import COMMAND_WORDS, INSTRUMENT, TERMS
from eventstore import codec
from eventstore.codec import Index, Rows
from eventstore.columns import Heads, Words, require, values

_OUTLINE: Final = COMMAND_WORDS
_OUTCOME: Final = COMMAND_WORDS


class Opened(Protocol):
    """The rows of a block by word.

    commands, events  how many
    kinds             u8[n]: kind of each event
    cause             of each event: which command of the block caused it
    outcomes          of each command: which event is its outcome
    """

    @property
    def commands(self) -> int:
        """See above."""

    @property
    def events(self) -> int:
        """See above."""

    @property
    def kinds(self) -> codec.Bytes:
        """See above."""

    @property
    def cause(self) -> Index:
        """See above."""

    @property
    def outcomes(self) -> Index:
        """See above."""

    def command(self, word: int) -> Words:
        """int64[k]: a word of every command. Not to be changed."""

    def event(self, kind: int, word: int) -> Words:
        """A word of every event of *kind*, in their order. Not to be changed."""

    def rows(self, kind: int) -> Index:
        """Which events are of *kind*, ascending."""


class Kinds:
    """What follows from the kinds of the events alone."""

    kinds: codec.Bytes

    @property
    def events(self) -> int:
        """See Opened."""
        return len(self.kinds)

    @cached_property
    def cause(self) -> Index:
        """See Opened."""
        return np.cumsum(self.kinds < FIRST_CONSEQUENCE) - 1

    @cached_property
    def outcomes(self) -> Index:
        """See Opened."""
        return np.flatnonzero(self.kinds < FIRST_CONSEQUENCE)

    @cached_property
    def _found(self) -> dict[int, Index]:
        return {}

    def rows(self, kind: int) -> Index:
        """See Opened."""
        if kind not in self._found:
            self._found[kind] = np.flatnonzero(self.kinds == kind)
        return self._found[kind]


class Whole(Kinds):
    """Rows that are decoded already, as of an older schema version."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.commands = len(rows.commands)
        self.kinds = (rows.events[:, 0] & 255).astype(np.uint8)

    def command(self, word: int) -> Words:
        """See Opened."""
        return self._rows.commands[:, word]

    def event(self, kind: int, word: int) -> Words:
        """See Opened."""
        words: Words = self._rows.events[self.rows(kind), word]
        return words


class Payload(Kinds):
    """A payload, its columns decoded when they are asked for and kept. Raises BadPayload, now or when asked."""

    def __init__(self, payload: bytes) -> None:
        self._body = body = codec.unpack(payload)
        self.commands, events = codec.counts(body)
        at = codec.COUNTS.size
        self._verbs = np.frombuffer(body, np.uint8, self.commands, at)
        self.kinds = np.frombuffer(body, np.uint8, events, at + self.commands)
        of_verbs, of_kinds = np.bincount(self._verbs, minlength=codec.GROUPS), np.bincount(self.kinds, minlength=codec.GROUPS)
        require(max(len(of_verbs), len(of_kinds)) == codec.GROUPS, f"a group is not below {codec.GROUPS}")
        require(int(of_kinds[:FIRST_CONSEQUENCE].sum()) == self.commands, f"{self.commands} commands have not one outcome each")
        require(events == 0 or self.kinds[0] < FIRST_CONSEQUENCE, "the first event is not the outcome of a command")
        self._present, kinds = np.flatnonzero(of_verbs).tolist(), np.flatnonzero(of_kinds).tolist()
        rows = np.concatenate([np.repeat(of_verbs[self._present], COMMAND_WORDS), np.repeat(of_kinds[kinds], EVENT_WORDS)])
        self._heads = Heads(body, at + self.commands + events, rows)
        self._of_verbs = {verb: COMMAND_WORDS * number for number, verb in enumerate(self._present)}  # where the heads of a group begin
        self._of_kinds = {kind: COMMAND_WORDS * len(self._present) + EVENT_WORDS * number for number, kind in enumerate(kinds)}
        self._commands: dict[int, Words] = {}
        self._events: dict[tuple[int, int], Words] = {}
        self._outcome: dict[int, Words] = {}

    def command(self, word: int) -> Words:
        """See Opened."""
        if word not in self._commands:
            self._commands[word] = made = np.zeros(self.commands, np.int64)
            for verb in self._present:
                rows = slice(None) if len(self._present) == 1 else self._verbs == verb
                head = self._heads[self._of_verbs[verb] + word]
                reference, column = head.reference, values(self._body, head)
                require(reference < max(word, 1), f"word {word} of a command refers to word {reference}, which is not before it")
                made[rows] = column + self.command(reference)[rows] if reference else column
        return self._commands[word]

    def event(self, kind: int, word: int) -> Words:
        """See Opened."""
        if kind not in self._of_kinds:
            return np.zeros(0, np.int64)
        if (kind, word) not in self._events:
            head = self._heads[self._of_kinds[kind] + word]
            reference, column = head.reference, values(self._body, head)
            bound = _OUTLINE if kind < FIRST_CONSEQUENCE else _OUTCOME + EVENT_WORDS - 1
            require(reference <= bound, f"kind {kind} refers to word {reference}")
            if reference:
                column = column + self._known(reference, self.cause[self.rows(kind)])
            self._events[kind, word] = column if isinstance(column, np.ndarray) else np.full(head.rows, column, np.int64)
        return self._events[kind, word]

    def _known(self, reference: int, cause: Index) -> Words:
        """What the commands numbered *cause*, or their outcomes, say."""
        words: Words
        if reference < _OUTLINE:
            words = self.command(reference)[cause]
        elif reference == _OUTLINE:
            words = (self.command(INSTRUMENT)[cause] << 32) + ((self.command(TERMS)[cause] & 1) << 8)
        else:
            words = self._of_outcomes(reference - _OUTCOME)[cause]
        return words

    def _of_outcomes(self, word: int) -> Words:
        """int64[k]: a word of the outcome of every command."""
        if word not in self._outcome:
            self._outcome[word] = made = np.zeros(self.commands, np.int64)
            for kind in self._of_kinds:
                if kind < FIRST_CONSEQUENCE:
                    made[self.cause[self.rows(kind)]] = self.event(kind, word)
        return self._outcome[word]
