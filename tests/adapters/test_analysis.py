"""Market analysis: each figure against one written out by hand, and from a record through the archive's tables."""

from __future__ import annotations

import math
import statistics

import pytest

from adapters.analysis import MINUTES, Minute, analysed


def minute(symbol: str, number: int, close: float, *, opened: float | None = None, volume: float = 1.0) -> Minute:
    return symbol, number, close if opened is None else opened, close, close, close, volume, volume * close, 1


def test_who_rose_and_who_fell_by_how_much() -> None:
    found = analysed([minute("UP", 1, 110.0, opened=100.0), minute("DOWN", 1, 100.0), minute("DOWN", 2, 75.0), minute("FLAT", 2, 5.0)])
    assert [(each["symbol"], each["change_percent"]) for each in found["gainers"]] == [("UP", 10.0)]
    assert [(each["symbol"], each["change_percent"]) for each in found["losers"]] == [("DOWN", -25.0)]


def test_the_most_active_has_the_highest_turnover() -> None:
    found = analysed([minute("A", 1, 10.0, volume=5.0), minute("B", 1, 100.0, volume=2.0), minute("A", 2, 10.0, volume=5.0)])
    assert [(each["symbol"], each["turnover"], each["volume"], each["trades"]) for each in found["most_active"]] == [
        ("B", 200.0, 2.0, 1),
        ("A", 100.0, 10.0, 2),
    ]


def test_volatility_is_that_of_the_minutes_for_a_day() -> None:
    """A minute without a trade has changed by nothing."""
    found = analysed([minute("A", 1, 100.0), minute("A", 2, 101.0), minute("A", 4, 99.0), minute("B", 5, 1.0)])
    changes = [math.log(1.01), 0.0, math.log(99 / 101), 0.0]
    expected = 100 * statistics.pstdev(changes) * math.sqrt(MINUTES)
    assert found["volatility"][0]["symbol"] == "A"
    assert found["volatility"][0]["volatility_percent"] == pytest.approx(expected, abs=1e-4)


def test_what_moves_together_is_correlated_and_what_moves_apart_is_not() -> None:
    prices = [100.0, 104.0, 99.0, 103.0, 97.0, 101.0]
    rows = [minute("A", number, price) for number, price in enumerate(prices, 1)]
    rows += [minute("SAME", number, 2 * price) for number, price in enumerate(prices, 1)]
    rows += [minute("OPPOSITE", number, 1e4 / price) for number, price in enumerate(prices, 1)]
    rows += [minute("STILL", number, 7.0) for number in range(1, 7)]
    found = {frozenset((each["symbol"], each["with"])): each["correlation"] for each in analysed(rows)["correlation"]}
    assert found[frozenset(("A", "SAME"))] == pytest.approx(1.0)
    assert found[frozenset(("A", "OPPOSITE"))] == pytest.approx(-1.0)
    assert found[frozenset(("A", "STILL"))] is None


def test_a_market_without_trades_has_nothing_to_say() -> None:
    assert analysed([]) == {"gainers": [], "losers": [], "most_active": [], "volatility": [], "correlation": []}
