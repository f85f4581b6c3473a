"""The book order by order, per instrument and side, in the order in which they would trade (L3). A row has the first of them; the fold in
process has them all.

Bound: the orders in the book (projections/resting.py) and about 200 bytes more for each (500 MB for 2^21); two rows per instrument, each
of at most `orders` x 24 bytes (200 MB for 65,535 of 64 orders).
"""

from __future__ import annotations

from itertools import chain, islice, repeat
from typing import Final

import msgspec
import numpy as np
from sortedcontainers import SortedDict  # type: ignore[import-untyped]

from domain.columns import SLOT_MASK
from domain.events import ORDER_RESTED
from domain.verbs import SIDES
from projections.columns import Columns, Ints, grown
from projections.layouts import BOOK_ORDER, BOOK_ORDERS, BookOrder, book_key
from projections.resting import RANK_BITS, Resting, Touched, price_of
from projections.view import Rows


class Book:
    """Fold of the book (see Fold). orders: how many of the first a row has; None: all."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, orders: int | None = BOOK_ORDERS) -> None:
        self._count = orders
        self._resting = Resting()
        self._numbers = np.zeros(0, np.int64)  # of the order in each slot
        self._sides: dict[int, SortedDict[int, dict[int, int]]] = {}  # book side -> level key -> the queue: order -> lots
        self._shown: dict[int, bytes] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        touched = self._resting.advance(block)
        entered = block.of(ORDER_RESTED, 1)[::-1]
        slots, newest = np.unique(entered & SLOT_MASK, return_index=True)  # the first of the reversed is the last
        entered = entered[np.sort(newest)[::-1]]  # each slot's last, in the order in which they came to rest
        self._leave(touched, slots)
        self._numbers = grown(self._numbers, int(slots.max(initial=0)))
        self._numbers[entered & SLOT_MASK] = entered
        self._enter(touched, entered.tolist())
        rows = {}
        for book_side in np.unique(np.concatenate([touched.keys_before, touched.keys]) >> RANK_BITS).tolist():
            row = self._row(book_side)
            if row != self._shown.get(book_side, b""):
                self._shown[book_side] = row
                rows[book_key(*divmod(book_side, len(SIDES)))] = row
        return rows

    def _leave(self, touched: Touched, entered_slots: Ints) -> None:
        """Orders that are gone, or will enter anew, leave their queue; others have other lots and keep their place."""
        entered = np.isin(touched.slots, entered_slots)
        was = touched.lots_before > 0
        stays = was & (touched.lots > 0) & ~entered
        for key, slot in zip(touched.keys_before[was & ~stays].tolist(), touched.slots[was & ~stays].tolist(), strict=True):
            side = self._sides[key >> RANK_BITS]
            queue = side[key]
            del queue[int(self._numbers[slot])]
            if not queue:
                del side[key]
        for key, slot, lots in zip(*(each[stays].tolist() for each in (touched.keys, touched.slots, touched.lots)), strict=True):
            self._sides[key >> RANK_BITS][key][int(self._numbers[slot])] = lots

    def _enter(self, touched: Touched, entered: list[int]) -> None:
        """Those of *entered* that still are in the book stand at the end of their queue."""
        at = dict(zip(touched.slots.tolist(), zip(touched.keys.tolist(), touched.lots.tolist(), strict=True), strict=True))
        for number in entered:
            key, lots = at[number & SLOT_MASK]
            if lots:
                self._queue(key)[number] = lots

    def _queue(self, key: int) -> dict[int, int]:
        side = self._sides.get(key >> RANK_BITS)
        if side is None:
            side = self._sides[key >> RANK_BITS] = SortedDict()
        queue: dict[int, int] | None = side.get(key)
        if queue is None:
            queue = side[key] = {}
        return queue

    def orders(self, instrument: int, side: int, count: int | None = None) -> list[BookOrder]:
        """The *count* orders of a side (None: all of them) that would trade first."""
        levels = self._sides.get(instrument * len(SIDES) + side, {})
        queues = (zip(queue.items(), repeat(price_of(key)), strict=False) for key, queue in levels.items())
        return [BookOrder(number, at, lots) for (number, lots), at in islice(chain.from_iterable(queues), count)]

    def _row(self, book_side: int) -> bytes:
        orders = self.orders(*divmod(book_side, len(SIDES)), self._count)
        return BOOK_ORDER.pack(*orders) if orders else b""

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return {book_key(*divmod(book_side, len(SIDES))): row for book_side, row in self._shown.items() if row}

    def state(self) -> bytes:
        """See Fold."""
        queues = [(key, list(queue)) for _, levels in sorted(self._sides.items()) for key, queue in levels.items()]
        return msgspec.msgpack.encode((self._resting.state(), queues))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        resting, queues = msgspec.msgpack.decode(state, type=tuple[bytes, list[tuple[int, list[int]]]])
        slots, _, lots = self._resting.restore(resting)
        lots_of = dict(zip(slots.tolist(), lots.tolist(), strict=True))
        self._numbers = grown(np.zeros(0, np.int64), int(slots.max(initial=0)))
        self._sides = {}
        for key, numbers in queues:
            self._numbers[[number & SLOT_MASK for number in numbers]] = numbers
            self._queue(key).update((number, lots_of[number & SLOT_MASK]) for number in numbers)
        self._shown = {book_side: self._row(book_side) for book_side in self._sides}
