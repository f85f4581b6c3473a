"""The orders in the book, by the slot that stands in their number: what quotes, depth and the book stand on.

Bound: 24 bytes per slot in use, of which a partition has at most 2^21 (50 MB).
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import numpy as np

from domain import events as e
from domain.columns import SLOT_MASK
from domain.verbs import BUY
from projections.columns import Columns, Ints, grown

RANK_BITS: Final = 31
_RANK_MASK: Final = 2**RANK_BITS - 1

_LESS: Final = (e.ORDER_CANCELLED, e.ORDER_REDUCED, e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED)  # lots of the order that they name


class Touched(NamedTuple):
    """What a block did to the slots it touched, each once: level and open lots before (0: none in the book) and after.

    A *level key* is (instrument x 2 + side) << 31 | rank, where the best price of a side has the lowest rank: ascending keys are
    the books one after the other, each side best price first.
    """

    slots: Ints
    keys_before: Ints
    lots_before: Ints
    keys: Ints
    lots: Ints


class Resting:
    """Level and open lots of the order that rests in each slot."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.int64)
        self._lots = np.zeros(0, np.int64)
        self._mark = np.zeros(0, np.int64)

    def advance(self, block: Columns) -> Touched:
        """Take *block* in."""
        slots, changes = block.once(_changes)
        if len(slots):
            self._keys, self._lots, self._mark = (grown(each, int(slots.max())) for each in (self._keys, self._lots, self._mark))
        entries = np.arange(len(slots))
        self._mark[slots] = entries  # of the entries of one slot the last stays
        once = slots[self._mark[slots] == entries]
        keys_before, lots_before = self._keys[once], self._lots[once]
        rested = level_keys(block.instruments(e.ORDER_RESTED), block.sides(e.ORDER_RESTED), block.of(e.ORDER_RESTED, 3))
        self._keys[block.of(e.ORDER_RESTED, 1) & SLOT_MASK] = rested
        np.add.at(self._lots, slots, changes)
        lots = self._lots[once]
        assert (lots >= 0).all(), "no order has less than nothing open"
        return Touched(once, keys_before, lots_before, self._keys[once], lots)

    def state(self) -> bytes:
        """Slot, level key and open lots of every order."""
        slots = np.flatnonzero(self._lots)
        return msgspec.msgpack.encode([each.astype("<i8").tobytes() for each in (slots, self._keys[slots], self._lots[slots])])

    def restore(self, state: bytes) -> tuple[Ints, Ints, Ints]:
        """Become what state() said; slots, level keys and open lots."""
        slots, keys, lots = (np.frombuffer(each, "<i8").astype(np.int64) for each in msgspec.msgpack.decode(state, type=list[bytes]))
        self._keys, self._lots, self._mark = (grown(np.zeros(0, np.int64), int(slots.max(initial=0))) for _ in range(3))
        self._keys[slots], self._lots[slots] = keys, lots
        return slots, keys, lots


def level_keys(instrument: Ints, side: Ints, price_ticks: Ints) -> Ints:
    """Where orders rest."""
    return (instrument * 2 + side) << RANK_BITS | np.where(side == BUY, _RANK_MASK - price_ticks, price_ticks)


def prices(keys: Ints) -> Ints:
    """Of level keys, in ticks."""
    rank = keys & _RANK_MASK
    return np.where(keys >> RANK_BITS & 1 == BUY, _RANK_MASK - rank, rank)


def price_of(key: int) -> int:
    """Of one level key, in ticks."""
    rank = key & _RANK_MASK
    return _RANK_MASK - rank if key >> RANK_BITS & 1 == BUY else rank


def _changes(block: Columns) -> tuple[Ints, Ints]:
    """Slots, with repetitions, and the change of the lots that rest in them."""
    numbers, changes = [block.of(e.ORDER_RESTED, 1)], [block.of(e.ORDER_RESTED, 4)]
    for kind in _LESS:
        numbers.append(block.of(kind, 1))
        changes.append(-block.of(kind, 4))
    removed = block.at(e.ORDER_REMOVED)
    if len(removed):
        rested = block.incoming(removed) != block.of(e.ORDER_REMOVED, 1)  # an incoming order never rested
        numbers.append(block.of(e.ORDER_REMOVED, 1)[rested])
        changes.append(-block.of(e.ORDER_REMOVED, 4)[rested])
    if len(block.at(e.ORDER_REPLACED)):
        numbers.append(block.of(e.ORDER_REPLACED, 1))  # with its priority kept it has its new lots at once, else an OrderRested may follow
        kept = block.of(e.ORDER_REPLACED, 0) >> 9 & 1
        changes.append(kept * block.of(e.ORDER_REPLACED, 4) - block.of(e.ORDER_REPLACED, 6))
    return np.concatenate(numbers) & SLOT_MASK, np.concatenate(changes)
