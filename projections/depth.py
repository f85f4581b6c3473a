"""Price levels of both sides, per instrument: the row has the best DEPTH_LEVELS, the fold in process has them all.

Bound: price levels (projections/levels.py), and one row per book side.
"""

from __future__ import annotations

from struct import pack

from domain.verbs import SIDES
from projections.columns import Columns
from projections.levels import Levels
from projections.packed import DEPTH_LEVELS, Level, depth_key
from projections.view import Rows


class Depth:
    """Fold of price levels (see Fold)."""

    def __init__(self) -> None:
        self._levels = Levels()
        self._shown: dict[int, bytes] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        rows = {}
        for book_side in sorted(self._levels.advance(block)):
            row = self._row(book_side)
            if row != self._shown.get(book_side, b""):
                self._shown[book_side] = row
                rows[depth_key(*divmod(book_side, len(SIDES)))] = row
        return rows

    def levels(self, instrument: int, side: int) -> list[Level]:
        """Every level of a side, best first."""
        words = iter(self._levels.top(instrument * len(SIDES) + side))
        return [Level(*level) for level in zip(words, words, strict=True)]

    def _row(self, book_side: int) -> bytes:
        words = self._levels.top(book_side, DEPTH_LEVELS)
        return pack(f"<{len(words)}q", *words)

    def state(self) -> bytes:
        """See Fold."""
        return self._levels.state()

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._levels.restore(state)
        self._shown = {book_side: self._row(book_side) for book_side in self._levels.book_sides()}
