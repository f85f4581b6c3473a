"""Price levels of all books of a partition, from events: what quotes and depth stand on.

Bound: one entry (about 250 bytes) per price in use; a partition has at most 2^18 pages of 32 prices.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from domain.events import (
    ORDER_CANCELLED,
    ORDER_REDUCED,
    ORDER_REMOVED,
    ORDER_REPLACED,
    ORDER_RESTED,
    REMOVED_BUDGET,
    REMOVED_IOC,
    REMOVED_SELF_TRADE,
    SELF_TRADE_PREVENTED,
    TRADE_EXECUTED,
)
from domain.verbs import BUY
from projections.columns import Columns, Ints, summed
from projections.packed import Level

_PRICE_BITS: Final = 31
_PRICE_MASK: Final = 2**_PRICE_BITS - 1

# What an event does to the lots at its price: of each kind the sign, and 1 where the level is on the other side than the event's.
_SIGN: Final = np.zeros(256, np.int64)
_SIGN[ORDER_RESTED] = 1
_SIGN[[ORDER_CANCELLED, ORDER_REDUCED, ORDER_REMOVED, TRADE_EXECUTED, SELF_TRADE_PREVENTED]] = -1
_OTHER_SIDE: Final = np.zeros(256, np.int64)
_OTHER_SIDE[[TRADE_EXECUTED, SELF_TRADE_PREVENTED]] = 1


class Levels:
    """Lots open at each price. A *book side* is instrument x 2 + side."""

    def __init__(self) -> None:
        self._sides: dict[int, SortedDict[int, int]] = {}  # book side -> rank of the price (best is lowest) -> lots

    def advance(self, block: Columns) -> set[int]:
        """Take the block in; the book sides that it touched."""
        touched = set()
        keys, changes = level_changes(block)
        for key, change in zip(keys.tolist(), changes.tolist(), strict=True):
            if not change:
                continue
            book_side = key >> _PRICE_BITS
            touched.add(book_side)
            levels = self._sides.get(book_side)
            if levels is None:
                levels = self._sides[book_side] = SortedDict()
            rank = _rank(book_side, key & _PRICE_MASK)
            lots = levels.get(rank, 0) + change
            assert lots >= 0, f"book side {book_side}, price {key & _PRICE_MASK}: {lots} lots open"
            if lots:
                levels[rank] = lots
            else:
                del levels[rank]
        return touched

    def best(self, book_side: int) -> Level:
        """Best price and the lots there; zeros when the side is empty."""
        levels = self._sides.get(book_side)
        if not levels:
            return Level(0, 0)
        rank, lots = levels.peekitem(0)
        return Level(abs(rank), lots)

    def top(self, book_side: int, count: int | None = None) -> list[int]:
        """The *count* best levels (None: all of them), best first: price, lots, price, lots …"""
        levels = self._sides.get(book_side)
        return [word for rank in levels.islice(stop=count) for word in (abs(rank), levels[rank])] if levels else []

    def book_sides(self) -> list[int]:
        """Those that ever had an order."""
        return list(self._sides)

    def state(self) -> bytes:
        """(book side, price, lots) of every level, int64."""
        rows = [(side, abs(rank), lots) for side, levels in sorted(self._sides.items()) for rank, lots in levels.items()]
        return np.array(rows, "<i8").tobytes()

    def restore(self, state: bytes) -> None:
        """Become what state() said."""
        self._sides = {}
        for book_side, price, lots in np.frombuffer(state, "<i8").reshape(-1, 3).tolist():
            self._sides.setdefault(book_side, SortedDict())[_rank(book_side, price)] = lots


def level_changes(block: Columns) -> tuple[Ints, Ints]:
    """Of each price the block touched: key (book side << 31 | price in ticks), ascending, and the change of its lots (may be 0)."""
    sign = _SIGN[block.kind]
    sign[_never_rested(block)] = 0
    at = np.flatnonzero(sign)
    kind = block.kind[at]
    book_side = block.instrument[at] * 2 + (block.side[at] ^ _OTHER_SIDE[kind])
    keys, changes = [book_side << _PRICE_BITS | block.events[at, 3]], [sign[at] * block.events[at, 4]]

    replaced = np.flatnonzero(block.kind == ORDER_REPLACED)
    if len(replaced):  # it leaves its old place; with its priority kept it is back at once, else an OrderRested may follow
        book_side = block.instrument[replaced] * 2 + block.side[replaced]
        rows = block.events[replaced]
        kept = (rows[:, 0] >> 9) & 1
        keys += [book_side << _PRICE_BITS | rows[:, 2], book_side << _PRICE_BITS | rows[:, 3]]
        changes += [-rows[:, 6], kept * rows[:, 4]]
    return summed(np.concatenate(keys), np.concatenate(changes))


def _never_rested(block: Columns) -> Ints:
    """Where an incoming order was removed: what was left of it never was in the book. Self-trade prevention removes either side."""
    removed = np.flatnonzero(block.kind == ORDER_REMOVED)
    reason = block.reason[removed]
    incoming = block.events[block.outcomes[block.command[removed]], 1] == block.events[removed, 1]
    never_rested: Ints = removed[(reason == REMOVED_IOC) | (reason == REMOVED_BUDGET) | ((reason == REMOVED_SELF_TRADE) & incoming)]
    return never_rested


def _rank(book_side: int, price: int) -> int:
    """Orders the prices of a side, the best lowest: the dearest buy, the cheapest sell."""
    return -price if book_side & 1 == BUY else price
