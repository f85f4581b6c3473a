"""Trades put together by instrument and interval, for bars and statistics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from domain.events import TRADE_EXECUTED
from projections.columns import Columns, Ints, stable_order, starts
from projections.facts import Facts
from projections.layouts import VWAP_UNIT, Bar

_COLUMNS: Final = range(10)
# Turnover is summed in two halves, since a sum of 60-bit values does not fit one word.
_INSTRUMENT, _TIME_NS, _OPEN, _HIGH, _LOW, _CLOSE, _TRADES, _VOLUME, _TURNOVER_HIGH, _TURNOVER_LOW = _COLUMNS
_SUMS: Final = slice(_TRADES, _TURNOVER_LOW + 1)
_HALF: Final = 32


class Traded(NamedTuple):
    """Trading of one instrument from start_ns on. turnover: quote minor units."""

    start_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    trades: int
    volume_lots: int
    turnover: int

    def then(self, later: Traded) -> Traded:
        """Both, as one."""
        return Traded(
            self.start_ns,
            self.open_ticks,
            max(self.high_ticks, later.high_ticks),
            min(self.low_ticks, later.low_ticks),
            later.close_ticks,
            self.trades + later.trades,
            self.volume_lots + later.volume_lots,
            self.turnover + later.turnover,
        )

    def bar(self, quote_units: int) -> Bar:
        """As a row says it; quote_units: quote minor units that a lot costs at a tick."""
        vwap_ticks_e6 = self.turnover * VWAP_UNIT // (self.volume_lots * quote_units)
        return Bar(*self[:6], vwap_ticks_e6, *self[6:])


def each_trade(block: Columns, before_ns: int, facts: Facts) -> Ints:
    """int64[n, 10]: each trade as if it were a bar; by instrument, then in order. before_ns: time of the block before."""
    by_instrument = stable_order(block.instruments(TRADE_EXECUTED))
    at, instrument = block.at(TRADE_EXECUTED)[by_instrument], block.instruments(TRADE_EXECUTED)[by_instrument]
    price, lots = block.of(TRADE_EXECUTED, 3)[by_instrument], block.of(TRADE_EXECUTED, 4)[by_instrument]
    time_ns = block.times_ns(before_ns)[block.command[at]]
    value = price * lots * facts.quote_units[instrument]
    count = np.ones(len(at), np.int64)
    return np.column_stack([instrument, time_ns, price, price, price, price, count, lots, value >> _HALF, value & (2**_HALF - 1)])


def merged(bars: Ints, interval_ns: int) -> Ints:
    """*bars* (by instrument, then time) put together into those of a longer interval; their times become its start."""
    start_ns = bars[:, _TIME_NS] // interval_ns * interval_ns
    first = starts(bars[:, _INSTRUMENT], start_ns)
    together = bars[first]
    if len(first):
        together[:, _TIME_NS] = start_ns[first]
        together[:, _HIGH] = np.maximum.reduceat(bars[:, _HIGH], first)
        together[:, _LOW] = np.minimum.reduceat(bars[:, _LOW], first)
        together[:, _CLOSE] = bars[np.append(first[1:], len(bars)) - 1, _CLOSE]
        together[:, _SUMS] = np.add.reduceat(bars[:, _SUMS], first)
    return together


def each(bars: Ints) -> Iterator[tuple[int, Traded]]:
    """Instrument and trading of each of *bars*."""
    for instrument, *values, high, low in bars.tolist():
        yield instrument, Traded._make([*values, high * 2**_HALF + low])
