"""Bars of 1 s, 1 min, 5 min, 1 h and 1 day, per instrument. An interval without a trade has none.

Bound: the bar in progress of each interval and instrument (about 400 bytes each, 130 MB for 65,535 instruments); BARS_KEPT rows of each:
a later bar takes the place of the one that many intervals before.
"""

from __future__ import annotations

from typing import Final

import msgspec

from projections import trading
from projections.columns import Columns
from projections.facts import Facts
from projections.layouts import BAR, BAR_SECONDS, bar_key
from projections.trading import Traded
from projections.view import Rows


class Bars:
    """Fold of bars (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self) -> None:
        self._time_ns = 0
        self._facts = Facts()
        self._open: dict[tuple[int, int], Traded] = {}  # the bar in progress, by seconds and instrument

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
        bars = trading.each_trade(block, self._time_ns, self._facts)
        self._time_ns = block.time_ns
        rows = {}
        for seconds in BAR_SECONDS:  # each a multiple of the one before, so made of its bars
            bars = trading.merged(bars, seconds * 10**9)
            for instrument, traded in trading.each(bars):
                begun = self._open.get((seconds, instrument))
                bar = traded if begun is None or begun.start_ns != traded.start_ns else begun.then(traded)
                self._open[seconds, instrument] = bar
                rows[bar_key(seconds, instrument, bar.start_ns)] = BAR.pack(bar.bar(int(self._facts.quote_units[instrument])))
        return rows

    def state(self) -> bytes:
        """See Fold. Amounts as text, for they may be wider than a word."""
        bars = [(*key, *map(str, bar)) for key, bar in sorted(self._open.items())]
        return msgspec.msgpack.encode((self._time_ns, self._facts.state(), bars))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, facts, bars = msgspec.msgpack.decode(state, type=tuple[int, bytes, list[tuple[int | str, ...]]])
        self._facts.restore(facts)
        self._open = {(int(seconds), int(instrument)): Traded(*map(int, bar)) for seconds, instrument, *bar in bars}
