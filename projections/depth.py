"""Price levels of both sides, per instrument: the row has the best of them, as many as were asked for; the fold in process has them all.

Bound: price levels (projections/levels.py); two rows per instrument, each of at most `levels` x 24 bytes (100 MB for 65,535 of 32 levels).
"""

from __future__ import annotations

from typing import Final

from domain.verbs import SIDES
from projections.columns import Columns
from projections.layouts import DEPTH_LEVELS, LEVEL, Level, depth_key
from projections.levels import Levels
from projections.view import Rows


class Depth:
    """Fold of price levels (see Fold). levels: how many of the best a row has; None: all."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, levels: int | None = DEPTH_LEVELS) -> None:
        self._count = levels
        self._levels = Levels()
        self._shown: dict[int, bytes] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        rows = {}
        for book_side in self._levels.advance(block).tolist():
            row = self._row(book_side)
            if row != self._shown.get(book_side, b""):
                self._shown[book_side] = row
                rows[depth_key(*divmod(book_side, len(SIDES)))] = row
        return rows

    def levels(self, instrument: int, side: int) -> list[Level]:
        """Every level of a side, best first."""
        return [Level(*level) for level in self._levels.top(instrument * len(SIDES) + side).tolist()]

    def _row(self, book_side: int) -> bytes:
        levels = self._levels.top(book_side, self._count)
        return LEVEL.pack_words(levels) if len(levels) else b""

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return {depth_key(*divmod(book_side, len(SIDES))): row for book_side, row in self._shown.items() if row}

    def state(self) -> bytes:
        """See Fold."""
        return self._levels.state()

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._levels.restore(state)
        self._shown = {book_side: self._row(book_side) for book_side in self._levels.book_sides().tolist()}
