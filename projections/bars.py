"""Bars of 1 s, 1 min, 5 min, 1 h and 1 day, per instrument. An interval without a trade has none.

Bound: the bar in progress of each interval and instrument (about 400 bytes each, 130 MB for 65,535 instruments); BARS_KEPT rows of each.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.events import TRADE_EXECUTED
from domain.verbs import INSTRUMENT, LIST_INSTRUMENT, VERB_BY_CODE
from projections.columns import Columns, Ints, field, starts
from projections.packed import BAR_SECONDS, Bar, bar_key
from projections.view import Rows

# Columns of bars on their way through numpy. Turnover is summed in two halves, since a sum of 60-bit values does not fit one word.
_INSTRUMENT, _TIME_NS, _OPEN, _HIGH, _LOW, _CLOSE, _TRADES, _VOLUME, _TURNOVER_HIGH, _TURNOVER_LOW = range(10)
_SUMS: Final = slice(_TRADES, _TURNOVER_LOW + 1)
_HALF: Final = 32


class Bars:
    """Fold of bars (see Fold)."""

    def __init__(self) -> None:
        self._time_ns = 0
        self._quote_units = np.zeros(2**16, np.int64)  # by instrument
        self._open: dict[tuple[int, int], Bar] = {}  # the bar in progress, by seconds and instrument

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._quote_units[block.listed[:, INSTRUMENT]] = field(block.listed, VERB_BY_CODE[LIST_INSTRUMENT], "quote_units")
        bars = self._trades(block)
        self._time_ns = block.time_ns
        rows = {}
        for seconds in BAR_SECONDS:  # each a multiple of the one before, so made of its bars
            bars = _merged(bars, seconds * 10**9)
            for instrument, *values, high, low in bars.tolist():
                fresh = Bar._make([*values, high * 2**_HALF + low])
                bar = self._open[seconds, instrument] = _continued(self._open.get((seconds, instrument)), fresh)
                rows[bar_key(seconds, instrument, bar.start_ns)] = bar.pack()
        return rows

    def _trades(self, block: Columns) -> Ints:
        """Each trade as a bar of its own; by instrument, then in order."""
        at = np.flatnonzero(block.kind == TRADE_EXECUTED)
        at = at[np.argsort(block.instrument[at], kind="stable")]
        instrument, price, lots = block.instrument[at], block.events[at, 3], block.events[at, 4]
        time_ns = block.times_ns(self._time_ns)[block.command[at]]
        value = price * lots * self._quote_units[instrument]
        count = np.ones(len(at), np.int64)
        return np.column_stack([instrument, time_ns, price, price, price, price, count, lots, value >> _HALF, value & (2**_HALF - 1)])

    def state(self) -> bytes:
        """See Fold."""
        bars = [(*key, bar.pack()) for key, bar in self._open.items()]
        return msgspec.msgpack.encode((self._time_ns, self._quote_units.astype("<i8").tobytes(), bars))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, units, bars = msgspec.msgpack.decode(state, type=tuple[int, bytes, list[tuple[int, int, bytes]]])
        self._quote_units = np.frombuffer(units, "<i8").astype(np.int64)
        self._open = {(seconds, instrument): Bar.unpack(row) for seconds, instrument, row in bars}


def _merged(bars: Ints, interval_ns: int) -> Ints:
    """*bars* (by instrument, then time) put together into those of a longer interval; their times become its start."""
    start_ns = bars[:, _TIME_NS] // interval_ns * interval_ns
    first = starts(bars[:, _INSTRUMENT], start_ns)
    merged = bars[first]
    if len(first):
        merged[:, _TIME_NS] = start_ns[first]
        merged[:, _HIGH] = np.maximum.reduceat(bars[:, _HIGH], first)
        merged[:, _LOW] = np.minimum.reduceat(bars[:, _LOW], first)
        merged[:, _CLOSE] = bars[np.append(first[1:], len(bars)) - 1, _CLOSE]
        merged[:, _SUMS] = np.add.reduceat(bars[:, _SUMS], first)
    return merged


def _continued(bar: Bar | None, fresh: Bar) -> Bar:
    """The bar in progress with what the block adds; *fresh* itself when it begins a new interval."""
    if bar is None or bar.start_ns != fresh.start_ns:
        return fresh
    return Bar(
        bar.start_ns,
        bar.open_ticks,
        max(bar.high_ticks, fresh.high_ticks),
        min(bar.low_ticks, fresh.low_ticks),
        fresh.close_ticks,
        bar.trades + fresh.trades,
        bar.volume_lots + fresh.volume_lots,
        bar.turnover + fresh.turnover,
    )
