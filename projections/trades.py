"""The last trades of each instrument, newest first.

Bound: LAST_TRADES x 40 bytes per instrument (84 MB for 65,535 of them).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.events import TRADE_EXECUTED
from projections.columns import Columns, starts
from projections.packed import LAST_TRADES, trades_key
from projections.view import Rows

_TRADE_BYTES: Final = 40


class Trades:
    """Fold of last trades (see Fold)."""

    def __init__(self) -> None:
        self._time_ns = 0
        self._last: dict[int, bytes] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        at = np.flatnonzero(block.kind == TRADE_EXECUTED)
        time_ns = block.times_ns(self._time_ns)[block.command[at]]
        self._time_ns = block.time_ns
        number = block.partition * 2**53 + block.first_event + at
        trades = np.column_stack([number, time_ns, block.events[at, 3], block.events[at, 4], block.side[at]])

        newest_first = np.argsort(block.instrument[at], kind="stable")[::-1]
        trades, instruments = trades[newest_first].astype("<i8"), block.instrument[at][newest_first]
        first = starts(instruments)
        rows = {}
        for instrument, begin, end in zip(instruments[first].tolist(), first.tolist(), [*first[1:].tolist(), len(at)], strict=False):
            fresh = trades[begin : min(end, begin + LAST_TRADES)].tobytes()
            self._last[instrument] = (fresh + self._last.get(instrument, b""))[: LAST_TRADES * _TRADE_BYTES]
            rows[trades_key(instrument)] = self._last[instrument]
        return rows

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._time_ns, self._last))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, self._last = msgspec.msgpack.decode(state, type=tuple[int, dict[int, bytes]])
