"""Market analysis over a day: gainers, losers, most active, volatility, correlation; from the archive and what the record has beyond it.

The day is the 24 hours before the last trade that is on record, by its time. All is made of the minutes in which there was a trade:
a price is the last one of its minute, that of a minute without a trade the one before.

volatility   standard deviation of the logarithmic changes from minute to minute, for a day (x square root of 1,440), in per cent
correlation  of these changes, of the most active instruments
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import msgspec
import numpy as np
import redis
from numpy.typing import NDArray

from projections.view import ViewAway

DAY_NS: Final = 86_400 * 10**9
MINUTE_NS: Final = 60 * 10**9
MINUTES: Final = 1_440
SHOWN: Final = 20
CORRELATED: Final = 10
MEMORY_MIB: Final = 512
SECONDS: Final = 60.0
SQL: Final = f"""
SELECT coalesce(symbol, partition || ':' || instrument) AS symbol, time_ns // {MINUTE_NS} AS minute,
    arg_min(price, trade)::DOUBLE AS open, arg_max(price, trade)::DOUBLE AS close, max(price)::DOUBLE AS high, min(price)::DOUBLE AS low,
    sum(quantity)::DOUBLE AS volume, sum(notional)::DOUBLE AS turnover, count(*) AS trades
FROM trades WHERE time_ns > (SELECT max(time_ns) FROM trades) - {DAY_NS}
GROUP BY ALL ORDER BY symbol, minute
"""  # noqa: S608 - of our own numbers
Minute = tuple[str, int, float, float, float, float, float, float, int]


def analysed(minutes: Sequence[Minute]) -> dict[str, Any]:
    """What *minutes* (rows of SQL) say: lists of objects, the foremost first."""
    by_symbol: dict[str, list[Minute]] = {}
    for minute in minutes:
        by_symbol.setdefault(minute[0], []).append(minute)
    last = max((minute[1] for minute in minutes), default=0)
    closes = {symbol: _closes(rows, last) for symbol, rows in by_symbol.items()}
    found = [_summary(symbol, rows, closes[symbol]) for symbol, rows in by_symbol.items()]
    moved = sorted(found, key=lambda each: (-each["change_percent"], each["symbol"]))
    active = sorted(found, key=lambda each: (-each["turnover"], each["symbol"]))
    foremost = [each["symbol"] for each in active[:CORRELATED]]
    return {
        "gainers": [each for each in moved if each["change_percent"] > 0][:SHOWN],
        "losers": [each for each in reversed(moved) if each["change_percent"] < 0][:SHOWN],
        "most_active": active[:SHOWN],
        "volatility": sorted(found, key=lambda each: (-each["volatility_percent"], each["symbol"]))[:SHOWN],
        "correlation": [
            {"symbol": one, "with": other, "correlation": correlation(closes[one], closes[other])}
            for number, one in enumerate(foremost)
            for other in foremost[number + 1 :]
        ],
    }


def _summary(symbol: str, rows: Sequence[Minute], closes: NDArray[np.float64]) -> dict[str, Any]:
    opened, closed = rows[0][2], rows[-1][3]
    changes = np.diff(np.log(closes[~np.isnan(closes)]))
    return {
        "symbol": symbol,
        "open": opened,
        "high": max(row[4] for row in rows),
        "low": min(row[5] for row in rows),
        "last": closed,
        "change_percent": round(100 * (closed / opened - 1), 4),
        "volume": sum(row[6] for row in rows),
        "turnover": sum(row[7] for row in rows),
        "trades": sum(row[8] for row in rows),
        "volatility_percent": round(100 * float(np.std(changes)) * math.sqrt(MINUTES), 4) if len(changes) > 1 else 0.0,
    }


def _closes(rows: Sequence[Minute], last_minute: int) -> NDArray[np.float64]:
    """The price at the end of each of the day's minutes; no number before the first trade."""
    closes = np.full(MINUTES + 1, np.nan)
    for row in rows:
        closes[row[1] - last_minute - 1] = row[3]
    known = np.maximum.accumulate(np.where(np.isnan(closes), -1, np.arange(len(closes))))
    return np.where(known >= 0, closes[known], np.nan)


def correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """Of the changes in the minutes in which both have a price; None where one of them never changed."""
    both = ~np.isnan(one) & ~np.isnan(other)
    changes, others = np.diff(np.log(one[both])), np.diff(np.log(other[both]))
    if len(changes) < 2 or not changes.std() or not others.std():
        return None
    return round(float(np.corrcoef(changes, others)[0, 1]), 4)


def key(cluster: str) -> str:
    """Where the last analysis of a cluster is, JSON."""
    return f"outcry:{{{cluster}}}:analysis"


def keep(client: redis.Redis, cluster: str, found: dict[str, Any]) -> None:
    """Put *found* where everybody looks. Raises ViewAway."""
    try:
        client.set(key(cluster), msgspec.json.encode(found))
    except redis.RedisError as failed:
        raise ViewAway(f"analysis: Redis: {failed}") from failed


def kept(client: redis.Redis, cluster: str) -> dict[str, Any] | None:
    """The last analysis; None: there is none. Raises ViewAway."""
    try:
        found = cast("bytes | None", client.get(key(cluster)))
    except redis.RedisError as failed:
        raise ViewAway(f"analysis: Redis: {failed}") from failed
    return msgspec.json.decode(found, type=dict[str, Any]) if found else None


class Analyst:
    """Analyses every *every_s* seconds until it is told to stop. analyse: does it once, and keeps it; what it cannot do now it says."""

    def __init__(self, analyse: Callable[[], None], every_s: float) -> None:
        self._analyse, self._every_s = analyse, every_s

    def serve(self, stop: threading.Event) -> None:
        """Until *stop*."""
        while True:
            began_s = time.monotonic()
            self._analyse()
            if stop.wait(max(0.0, began_s + self._every_s - time.monotonic())):
                return
