"""One block as numpy columns, decoded word by word for all the folds that read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Final, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from domain.columns import PARTITION_SHIFT
from domain.events import COMMAND_REFUSED, FIRST_CONSEQUENCE, INSTRUMENT_LISTED
from domain.fields import RowType
from domain.rules import MALFORMED_FIELD
from domain.verbs import ACCOUNT, COMMAND_WORDS, RECEIVED_NS
from eventstore.blocks import Block
from eventstore.codec import Rows
from eventstore.lazy import Opened, Whole

Ints: TypeAlias = NDArray[np.int64]
Made = TypeVar("Made")
_INSTRUMENTS: Final = 2**20 - 1


class Columns:
    """The rows of one block, by word: no more is decoded than a fold asks for, nor twice. Asking raises Damaged, NewerSchema.

    first_seq, seq  the block; of a run (projections/runs.py) the first and the last
    at_hand         its rows, when they are in memory; else they are decoded

    What it gives is shared by all who ask: not to be changed.
    """

    def __init__(self, block: Block, rows: Rows | None = None) -> None:
        self._block, self.at_hand = block, rows
        self.inputs = block.inputs
        self._begin(block.partition, (block.seq, block.seq), (block.first_event, block.event_count), block.time_ns)

    def _begin(self, partition: int, seqs: tuple[int, int], events: tuple[int, int], time_ns: int) -> None:
        self.partition, (self.first_seq, self.seq), self.time_ns = partition, seqs, time_ns
        self.first_event, self.event_count = events
        self._words: dict[int, Ints] = {}
        self._asked: dict[int, Ints] = {}
        self._of: dict[tuple[int, int], Ints] = {}
        self._made: dict[Callable[[Columns], object], object] = {}

    @property
    def blocks(self) -> Sequence[Columns]:
        """Itself; of a run (projections/runs.py) its blocks."""
        return [self]

    @property
    def source(self) -> Block:
        """The block itself."""
        return self._block

    @cached_property
    def _opened(self) -> Opened:
        return self._block.opened() if self.at_hand is None else Whole(self.at_hand)

    @cached_property
    def _rows(self) -> Rows:
        return self._block.arrays() if self.at_hand is None else self.at_hand

    def _reading(self) -> AbstractContextManager[None]:
        return self._block.reading() if self.at_hand is None else nullcontext()

    @property
    def ends(self) -> Ints:
        """After how many of the events each block ends: one, unless it is a run (projections/runs.py)."""
        return np.array([self.event_count])

    def pieces(self, at: Ints) -> list[tuple[int, int]]:
        """From where to where in *at*, events, ascending, those of each block stand that has any."""
        bounds = np.searchsorted(at, self.ends).tolist()
        return [(begin, end) for begin, end in zip([0, *bounds], bounds, strict=False) if begin < end]

    def open(self) -> None:
        """Decompress now: whoever reads ahead does so before a fold asks."""
        self._opened  # noqa: B018 - cached

    def once(self, make: Callable[[Columns], Made]) -> Made:
        """What *make*, a function, makes of this block: made once for all folds that ask."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast("Made", self._made[make])

    @property
    def commands(self) -> Ints:
        """int64[k, 16], domain/verbs.py: all of it decoded, so for those who need whole rows."""
        return self._rows.commands

    @property
    def events(self) -> Ints:
        """int64[n, 8], domain/events.py: all of it decoded, so for those who need whole rows."""
        return self._rows.events

    def at(self, kind: int) -> Ints:
        """Which events are of *kind*, ascending."""
        return self._opened.rows(kind)

    def of(self, kind: int, word: int) -> Ints:
        """A word of every event of *kind*."""
        if (kind, word) not in self._of:
            with self._reading():
                self._of[kind, word] = self._opened.event(kind, word)
        return self._of[kind, word]

    def word(self, word: int) -> Ints:
        """A word of every event."""
        if word not in self._words and self.at_hand is not None:
            self._words[word] = np.ascontiguousarray(self.at_hand.events[:, word])
        elif word not in self._words:
            self._words[word] = made = np.empty(self._opened.events, np.int64)
            for kind in np.flatnonzero(np.bincount(self._opened.kinds)).tolist():
                made[self.at(kind)] = self.of(kind, word)
        return self._words[word]

    def asked(self, word: int) -> Ints:
        """A word of every command."""
        if word not in self._asked:
            with self._reading():
                self._asked[word] = self._opened.command(word)
        return self._asked[word]

    def asked_for(self, row_type: RowType, name: str) -> Ints:
        """A named field of every command, as if all were of *row_type*."""
        at = next(field for field in row_type.fields if field.name == name)
        words = self.asked(at.word)
        return words if at.bits == 64 else words >> at.shift & 2**at.bits - 1

    @cached_property
    def kind(self) -> Ints:
        """Of each event: its code."""
        return self._opened.kinds.astype(np.int64)

    @cached_property
    def side(self) -> Ints:
        """Of each event: 0 buy, 1 sell."""
        return self.word(0) >> 8 & 1

    @cached_property
    def reason(self) -> Ints:
        """Of each event: why an order was removed."""
        return self.word(0) >> 16 & 255

    @cached_property
    def instrument(self) -> Ints:
        """Of each event: number of the instrument, 0 when it has none."""
        return self.word(0) >> 32 & _INSTRUMENTS

    def sides(self, kind: int) -> Ints:
        """Of the events of *kind*: 0 buy, 1 sell."""
        return self.of(kind, 0) >> 8 & 1

    def instruments(self, kind: int) -> Ints:
        """Of the events of *kind*: number of the instrument."""
        return self.of(kind, 0) >> 32 & _INSTRUMENTS

    @property
    def outcomes(self) -> Ints:
        """Of each command: where its first event, the outcome, stands."""
        return self._opened.outcomes

    @property
    def command(self) -> Ints:
        """Of each event: which command of the block caused it."""
        return self._opened.cause

    @cached_property
    def listed(self) -> Ints:
        """The ListInstrument commands that were obeyed, int64[m, 16]."""
        listed = self.command[self.at(INSTRUMENT_LISTED)]
        if not len(listed):
            return np.zeros((0, COMMAND_WORDS), np.int64)
        return np.column_stack([self.asked(word)[listed] for word in range(COMMAND_WORDS)])

    @cached_property
    def _outcome_orders(self) -> Ints:
        """Of each command: word 1 of its outcome."""
        made = np.empty(len(self.outcomes), np.int64)
        for kind in np.flatnonzero(np.bincount(self._opened.kinds)[:FIRST_CONSEQUENCE]).tolist():
            made[self.command[self.at(kind)]] = self.of(kind, 1)
        return made

    def account(self, at: Ints) -> Ints:
        """Of the events *at*: whose command caused them, so the taker's for a trade."""
        accounts: Ints = self.asked(ACCOUNT)[self.command[at]]
        return accounts

    def incoming(self, at: Ints) -> Ints:
        """Of the events *at*: number of the order that their command entered or replaced (else word 1 of its outcome)."""
        orders: Ints = self._outcome_orders[self.command[at]]
        return orders

    def number(self, at: Ints) -> Ints:
        """Of the events *at*: their number, unique for ever."""
        numbers: Ints = self.partition * 2**PARTITION_SHIFT + self.first_event + at
        return numbers

    def times_ns(self, before_ns: int) -> Ints:
        """Of each command: its time, rising from *before_ns*, the time of the block before. A malformed one does not move time."""
        received = np.maximum(self.asked(RECEIVED_NS), before_ns)
        malformed = self.at(COMMAND_REFUSED)[self.of(COMMAND_REFUSED, 1) == MALFORMED_FIELD]
        received[self.command[malformed]] = before_ns
        times: Ints = np.maximum.accumulate(received)
        return times


def kinds(*codes: int) -> NDArray[np.bool_]:
    """A table that says of every kind of event whether it is one of *codes*."""
    table = np.zeros(256, np.bool_)
    table[list(codes)] = True
    return table


def starts(*keys: Ints) -> Ints:
    """Where each run of equal *keys* begins (columns of one length)."""
    if not len(keys[0]):
        return np.empty(0, np.int64)
    differs = np.zeros(len(keys[0]), np.bool_)
    differs[0] = True
    for key in keys:
        differs[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(differs)


def stable_order(keys: Ints) -> Ints:
    """Where the *keys*, from 0, stand when they ascend, equal ones as they came: a tenth of the time of numpy's stable sort."""
    bits = len(keys).bit_length()
    if int(keys.max(initial=0)) >> 63 - bits:
        return np.argsort(keys, kind="stable")
    order: Ints = np.sort(keys << bits | np.arange(len(keys))) & 2**bits - 1
    return order


def summed(keys: Ints, changes: Ints) -> tuple[Ints, Ints]:
    """The distinct *keys*, ascending, and for each the sum of its *changes* (one row per key, of any width)."""
    if not len(keys):
        return keys, changes
    order = np.argsort(keys)
    ranked = keys[order]
    first = starts(ranked)
    return ranked[first], np.add.reduceat(changes[order], first)


def field(rows: Ints, row_type: RowType, name: str) -> Ints:
    """One named field of *rows*, all of *row_type*. KeyError when it has none of that name."""
    at = {field.name: field for field in row_type.fields}[name]
    return rows[:, at.word] if at.bits == 64 else (rows[:, at.word] >> at.shift) & (2**at.bits - 1)


def grown(values: Ints, last: int) -> Ints:
    """*values* (along its last axis) with a place for *last*, zeros where it is new; a quarter more than needed."""
    size = values.shape[-1]
    if last < size:
        return values
    larger = np.zeros((*values.shape[:-1], max(1_024, last + 1 + last // 4)), np.int64)
    larger[..., :size] = values
    return larger
