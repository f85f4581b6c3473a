"""Best bid and ask with sizes, per instrument. One row per instrument whose best changed in the block.

Bound: price levels (projections/levels.py), and one row per instrument.
"""

from __future__ import annotations

from typing import Final

from domain.verbs import BUY, SELL
from projections.columns import Columns
from projections.levels import Levels
from projections.packed import Quote, quote_key
from projections.view import Rows

NOTHING: Final = Quote(0, 0, 0, 0)


class Quotes:
    """Fold of quotes (see Fold)."""

    def __init__(self) -> None:
        self._levels = Levels()
        self._shown: dict[int, Quote] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        rows = {}
        for instrument in sorted({book_side >> 1 for book_side in self._levels.advance(block)}):
            quote = self.quote(instrument)
            if quote != self._shown.get(instrument, NOTHING):
                self._shown[instrument] = quote
                rows[quote_key(instrument)] = quote.pack()
        return rows

    def quote(self, instrument: int) -> Quote:
        """Best of both sides now."""
        return Quote(*self._levels.best(instrument * 2 + BUY), *self._levels.best(instrument * 2 + SELL))

    def state(self) -> bytes:
        """See Fold."""
        return self._levels.state()

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._levels.restore(state)
        self._shown = {instrument: self.quote(instrument) for instrument in {side >> 1 for side in self._levels.book_sides()}}
