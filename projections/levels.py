"""Price levels of all books of a partition: what quotes and depth stand on.

Bound: the orders in the book (projections/resting.py) and 24 bytes per level, of which there are at most as many as orders (another 50 MB).
A block in which a level comes or goes costs a copy of the levels.
"""

from __future__ import annotations

import numpy as np

from projections.columns import Columns, Ints, summed
from projections.resting import RANK_BITS, Resting, prices


class Levels:
    """Lots and orders open at each price. A *book side* is instrument x 2 + side."""

    def __init__(self) -> None:
        self._resting = Resting()
        self._levels = np.zeros((3, 0), np.int64)  # level key, ascending (projections/resting.py); lots; orders

    def advance(self, block: Columns) -> Ints:
        """Take *block* in; the book sides that it changed, ascending."""
        touched = self._resting.advance(block)
        keys = np.concatenate([touched.keys_before, touched.keys])
        lots = np.concatenate([-touched.lots_before, touched.lots])
        here = lots != 0
        keys, changes = summed(keys[here], np.column_stack([lots[here], np.sign(lots[here])]))
        changed = changes.any(axis=1)
        self._add(keys[changed], changes[changed])
        return np.unique(keys[changed] >> RANK_BITS)

    def _add(self, keys: Ints, changes: Ints) -> None:
        """Change the lots and orders at the distinct, ascending *keys*."""
        places = np.searchsorted(self._levels[0], keys)
        there = np.zeros(len(keys), np.bool_)
        inside = places < self._levels.shape[1]
        there[inside] = self._levels[0, places[inside]] == keys[inside]
        self._levels[1:, places[there]] += changes[there].T
        if there.all() and self._levels[2, places].all():
            return
        new = np.vstack([keys[~there], changes[~there].T])
        self._levels = np.insert(self._levels, places[~there], new, axis=1)
        self._levels = self._levels[:, self._levels[2] > 0]

    def best(self, book_sides: Ints) -> Ints:
        """int64[n, 3]: best price of each and the lots and orders there; zeros where the side is empty."""
        best = np.zeros((len(book_sides), 3), np.int64)
        places = np.searchsorted(self._levels[0], book_sides << RANK_BITS)
        some = np.flatnonzero(places < self._levels.shape[1])
        some = some[self._levels[0, places[some]] >> RANK_BITS == book_sides[some]]
        best[some] = self._rows(self._levels[:, places[some]])
        return best

    def top(self, book_side: int, count: int | None = None) -> Ints:
        """int64[n, 3]: price, lots and orders of the *count* best levels (None: all of them), best first."""
        begin, end = np.searchsorted(self._levels[0], [book_side << RANK_BITS, book_side + 1 << RANK_BITS]).tolist()
        return self._rows(self._levels[:, begin : end if count is None else min(end, begin + count)])

    def book_sides(self) -> Ints:
        """Those that have an order, ascending."""
        return np.unique(self._levels[0] >> RANK_BITS)

    @staticmethod
    def _rows(levels: Ints) -> Ints:
        return np.column_stack([prices(levels[0]), levels[1], levels[2]])

    def state(self) -> bytes:
        """All it knows."""
        return self._resting.state()

    def restore(self, state: bytes) -> None:
        """Become what state() said."""
        _, keys, lots = self._resting.restore(state)
        keys, sums = summed(keys, np.column_stack([lots, np.ones_like(lots)]))
        self._levels = np.vstack([keys, sums.T])
