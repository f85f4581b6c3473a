"""One block as numpy columns, decoded once for all the folds that read it."""

from __future__ import annotations

from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from domain.columns import PARTITION_SHIFT
from domain.events import COMMAND_REFUSED, FIRST_CONSEQUENCE, INSTRUMENT_LISTED
from domain.fields import RowType
from domain.rules import MALFORMED_FIELD
from domain.verbs import ACCOUNT, RECEIVED_NS
from eventstore.blocks import Block
from eventstore.codec import Rows

Ints: TypeAlias = NDArray[np.int64]


class Columns:
    """The rows of one block. Decoding happens when a fold first looks (raises Damaged, NewerSchema), and never for a block nobody needs."""

    def __init__(self, block: Block) -> None:
        self.partition, self.seq, self.first_event, self.time_ns = block.partition, block.seq, block.first_event, block.time_ns
        self._block = block

    @cached_property
    def _rows(self) -> Rows:
        return self._block.arrays()

    @property
    def commands(self) -> Ints:
        """int64[k, 16], domain/verbs.py"""
        return self._rows.commands

    @property
    def events(self) -> Ints:
        """int64[n, 8], domain/events.py"""
        return self._rows.events

    @cached_property
    def kind(self) -> Ints:
        """Of each event: its code."""
        return self.events[:, 0] & 255

    @cached_property
    def side(self) -> Ints:
        """Of each event: 0 buy, 1 sell."""
        return (self.events[:, 0] >> 8) & 1

    @cached_property
    def reason(self) -> Ints:
        """Of each event: why an order was removed."""
        return (self.events[:, 0] >> 16) & 255

    @cached_property
    def instrument(self) -> Ints:
        """Of each event: number of the instrument, 0 when it has none."""
        return (self.events[:, 0] >> 32) & 0xFFFFF

    @cached_property
    def outcomes(self) -> Ints:
        """Of each command: where its first event, the outcome, stands."""
        return np.flatnonzero(self.kind < FIRST_CONSEQUENCE)

    @cached_property
    def command(self) -> Ints:
        """Of each event: which command of the block caused it."""
        return np.cumsum(self.kind < FIRST_CONSEQUENCE, dtype=np.int64) - 1

    @cached_property
    def listed(self) -> Ints:
        """The ListInstrument commands that were obeyed, int64[m, 16]."""
        listed: Ints = self.commands[self.kind[self.outcomes] == INSTRUMENT_LISTED]
        return listed

    def account(self, at: Ints) -> Ints:
        """Of the events *at*: whose command caused them, so the taker's for a trade."""
        accounts: Ints = self.commands[self.command[at], ACCOUNT]
        return accounts

    def incoming(self, at: Ints) -> Ints:
        """Of the events *at*: number of the order that their command entered or replaced (else word 1 of its outcome)."""
        orders: Ints = self.events[self.outcomes[self.command[at]], 1]
        return orders

    def number(self, at: Ints) -> Ints:
        """Of the events *at*: their number, unique for ever."""
        numbers: Ints = self.partition * 2**PARTITION_SHIFT + self.first_event + at
        return numbers

    def times_ns(self, before_ns: int) -> Ints:
        """Of each command: its time, rising from *before_ns*, the time of the block before. A malformed one does not move time."""
        refusal = self.events[self.outcomes]
        malformed = (self.kind[self.outcomes] == COMMAND_REFUSED) & (refusal[:, 1] == MALFORMED_FIELD)
        received = np.where(malformed, before_ns, self.commands[:, RECEIVED_NS])
        times: Ints = np.maximum.accumulate(np.maximum(received, before_ns))
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
