"""Best bid and ask with the lots and orders open there, per instrument. One row per instrument whose best changed in the block.

Bound: price levels (projections/levels.py) and 3 MB; one row per instrument, at most 65,535.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain import events as e
from domain.columns import MAX_INSTRUMENT
from domain.verbs import BUY, SELL
from projections.columns import Columns, Ints
from projections.layouts import QUOTE, quote_key
from projections.levels import Levels
from projections.view import Rows


class Quotes:
    """Fold of quotes (see Fold)."""

    version: Final = 2
    takes_runs: Final = True

    def __init__(self) -> None:
        self._levels = Levels()
        self._shown = np.zeros((MAX_INSTRUMENT + 1, len(QUOTE.fields)), np.int64)
        self._seen = np.zeros(MAX_INSTRUMENT + 1, np.bool_)  # those that have a row, be it of zeros

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        instruments = np.unique(self._levels.advance(block) // 2)
        rested = block.instruments(e.ORDER_RESTED)
        new = rested[~self._seen[rested]]  # it has a row, be the order gone already: wherever blocks end, the rows are the same
        instruments = np.union1d(instruments, new) if len(new) else instruments
        quotes = self._quotes(instruments)
        changed = (quotes != self._shown[instruments]).any(axis=1) | ~self._seen[instruments]
        instruments, quotes = instruments[changed], quotes[changed]
        self._shown[instruments] = quotes
        self._seen[instruments] = True
        return _rows(instruments, quotes)

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        instruments = np.flatnonzero(self._seen)
        return _rows(instruments, self._shown[instruments])

    def _quotes(self, instruments: Ints) -> Ints:
        return np.hstack([self._levels.best(instruments * 2 + BUY), self._levels.best(instruments * 2 + SELL)])

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((np.packbits(self._seen).tobytes(), self._levels.state()))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        seen, levels = msgspec.msgpack.decode(state, type=tuple[bytes, bytes])
        self._seen = np.unpackbits(np.frombuffer(seen, np.uint8)).astype(np.bool_)[: MAX_INSTRUMENT + 1]
        self._levels.restore(levels)
        instruments = np.unique(self._levels.book_sides() // 2)
        self._shown[:] = 0
        self._shown[instruments] = self._quotes(instruments)


def _rows(instruments: Ints, quotes: Ints) -> Rows:
    return dict(zip(map(quote_key, instruments.tolist()), QUOTE.pack_each(quotes.T), strict=True))
