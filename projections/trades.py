"""The last trades of each instrument, newest first.

Bound: LAST_TRADES x 40 bytes per instrument (84 MB for 65,535 of them).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.events import TRADE_EXECUTED
from projections.columns import Columns, Ints, stable_order, starts
from projections.layouts import LAST_TRADES, TRADE, trades_key
from projections.view import Rows


class Trades:
    """Fold of last trades (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self) -> None:
        self._time_ns = 0
        self._last: dict[int, Ints] = {}  # int64[n, 5] by instrument, newest first

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        at = block.at(TRADE_EXECUTED)
        time_ns = block.times_ns(self._time_ns)[block.command[at]]
        self._time_ns = block.time_ns
        trades = np.column_stack(
            [block.number(at), time_ns, *(block.of(TRADE_EXECUTED, word) for word in (3, 4)), block.sides(TRADE_EXECUTED)]
        )

        instruments = block.instruments(TRADE_EXECUTED)
        newest_first = stable_order(instruments)[::-1]
        trades, instruments = trades[newest_first], instruments[newest_first]
        first = starts(instruments)
        rows = {}
        for instrument, begin, end in zip(instruments[first].tolist(), first.tolist(), [*first[1:].tolist(), len(at)], strict=False):
            fresh = trades[begin : min(end, begin + LAST_TRADES)]
            older = self._last.get(instrument, trades[:0])[: LAST_TRADES - len(fresh)]
            self._last[instrument] = np.vstack([fresh, older])
            rows[trades_key(instrument)] = TRADE.pack_words(self._last[instrument])
        return rows

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return {trades_key(instrument): TRADE.pack_words(trades) for instrument, trades in self._last.items()}

    def state(self) -> bytes:
        """See Fold."""
        last = {instrument: TRADE.pack_words(self._last[instrument]) for instrument in sorted(self._last)}
        return msgspec.msgpack.encode((self._time_ns, last))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, last = msgspec.msgpack.decode(state, type=tuple[int, dict[int, bytes]])
        self._last = {instrument: np.array(TRADE.unpack(row), np.int64) for instrument, row in last.items()}
