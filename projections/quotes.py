"""Best bid and ask with the lots and orders open there, per instrument. One row per instrument whose best changed in the block.

Bound: price levels (projections/levels.py) and 3 MB; one row per instrument, at most 65,535.
"""

from __future__ import annotations

import numpy as np

from domain.columns import MAX_INSTRUMENT
from domain.verbs import BUY, SELL
from projections.columns import Columns, Ints
from projections.layouts import QUOTE, quote_key
from projections.levels import Levels
from projections.view import Rows


class Quotes:
    """Fold of quotes (see Fold)."""

    def __init__(self) -> None:
        self._levels = Levels()
        self._shown = np.zeros((MAX_INSTRUMENT + 1, len(QUOTE.fields)), np.int64)

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        instruments = np.unique(self._levels.advance(block) // 2)
        quotes = self._quotes(instruments)
        changed = (quotes != self._shown[instruments]).any(axis=1)
        instruments, quotes = instruments[changed], quotes[changed]
        self._shown[instruments] = quotes
        return dict(zip(map(quote_key, instruments.tolist()), QUOTE.pack_each(quotes.T), strict=True))

    def _quotes(self, instruments: Ints) -> Ints:
        return np.hstack([self._levels.best(instruments * 2 + BUY), self._levels.best(instruments * 2 + SELL)])

    def state(self) -> bytes:
        """See Fold."""
        return self._levels.state()

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._levels.restore(state)
        instruments = np.unique(self._levels.book_sides() // 2)
        self._shown[:] = 0
        self._shown[instruments] = self._quotes(instruments)
