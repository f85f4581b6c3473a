"""The rows of the views: keys, and values as packed little-endian words. Writer and reader of a view share this page.

view      key                                    value
quotes    quote:INSTRUMENT                       4 x i64   Quote
depth     depth:INSTRUMENT:SIDE                  n x 2 i64 Level, best first, n <= DEPTH_LEVELS; SIDE is buy or sell
trades    trades:INSTRUMENT                      n x 5 i64 Trade, newest first, n <= LAST_TRADES
bars      bar:SECONDS:INSTRUMENT:PLACE           6 x i64, 2 x u128 Bar; PLACE = start // interval % BARS_KEPT: a later bar takes the place
balances  balance:ACCOUNT:ASSET                  2 x i64   Balance

Prices are ticks, quantities lots, money minor units, times nanoseconds of UTC. An empty value means that the row is gone.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from domain.verbs import SIDES

DEPTH_LEVELS: Final = 32
LAST_TRADES: Final = 32
BARS_KEPT: Final = 1_440
BAR_SECONDS: Final = (1, 60, 300, 3_600, 86_400)

_TWO: Final = struct.Struct("<2q")
_QUOTE: Final = struct.Struct("<4q")
_TRADE: Final = struct.Struct("<5q")
_BAR: Final = struct.Struct("<6q16s16s")


class Quote(NamedTuple):
    """Best prices and the lots open there; 0, 0 for a side that is empty."""

    bid_ticks: int
    bid_lots: int
    ask_ticks: int
    ask_lots: int

    def pack(self) -> bytes:
        """The row."""
        return _QUOTE.pack(*self)

    @classmethod
    def unpack(cls, row: bytes) -> Quote:
        """From a row of quotes."""
        return cls(*_QUOTE.unpack(row))


class Level(NamedTuple):
    """One price of one side and the lots open there."""

    price_ticks: int
    quantity_lots: int

    @classmethod
    def unpack(cls, row: bytes) -> list[Level]:
        """From a row of depth, best first."""
        return [cls(*words) for words in _TWO.iter_unpack(row)]


class Trade(NamedTuple):
    """One trade. number is unique for ever; side is the taker's, 0 buy, 1 sell."""

    number: int
    time_ns: int
    price_ticks: int
    quantity_lots: int
    side: int

    @classmethod
    def unpack(cls, row: bytes) -> list[Trade]:
        """From a row of trades, newest first."""
        return [cls(*words) for words in _TRADE.iter_unpack(row)]


class Bar(NamedTuple):
    """Trading of one instrument in one interval, from start_ns (a multiple of the interval) on. turnover: quote minor units."""

    start_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    trades: int
    volume_lots: int
    turnover: int

    def pack(self) -> bytes:
        """The row. Volume and turnover are 128 bits wide: a day's sum of 60-bit amounts does not fit 64."""
        return _BAR.pack(*self[:6], self.volume_lots.to_bytes(16, "little"), self.turnover.to_bytes(16, "little"))

    @classmethod
    def unpack(cls, row: bytes) -> Bar:
        """From a row of bars."""
        *words, volume, turnover = _BAR.unpack(row)
        return cls._make([*words, int.from_bytes(volume, "little"), int.from_bytes(turnover, "little")])


class Balance(NamedTuple):
    """What an account has of an asset, minor units."""

    available: int
    held: int

    def pack(self) -> bytes:
        """The row."""
        return _TWO.pack(*self)

    @classmethod
    def unpack(cls, row: bytes) -> Balance:
        """From a row of balances."""
        return cls(*_TWO.unpack(row))


def quote_key(instrument: int) -> str:
    """Key of an instrument's Quote."""
    return f"quote:{instrument}"


def depth_key(instrument: int, side: int) -> str:
    """Key of one side's best levels."""
    return f"depth:{instrument}:{SIDES[side]}"


def trades_key(instrument: int) -> str:
    """Key of an instrument's last trades."""
    return f"trades:{instrument}"


def bar_key(seconds: int, instrument: int, start_ns: int) -> str:
    """Key of the bar that begins at *start_ns*; the value says whether the bar there is that one or one BARS_KEPT intervals older."""
    return f"bar:{seconds}:{instrument}:{start_ns // (seconds * 10**9) % BARS_KEPT}"


def balance_key(account: int, asset: int) -> str:
    """Key of an account's Balance of an asset; account 0 is the venue."""
    return f"balance:{account}:{asset}"
