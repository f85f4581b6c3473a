"""Decimals at the door: exact both ways, refused off the grid."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.decimals import BadDecimal, from_lots, from_minor, from_rate, from_ticks, to_lots, to_minor, to_rate, to_ticks
from domain.columns import MAX_FEE_RATE

CENT = 10_000_000  # in 10^-9


def test_a_price_is_a_whole_number_of_ticks() -> None:
    assert to_ticks("12.50", CENT) == 1250
    assert to_ticks("1.25e1", CENT) == 1250
    assert str(from_ticks(1250, CENT)) == "12.50"


@pytest.mark.parametrize("price", ["12.505", "0.001", "12.500000001"])
def test_a_price_off_the_tick_is_refused_and_never_rounded(price: str) -> None:
    with pytest.raises(BadDecimal, match=r"not a multiple of the tick 0\.01; the nearest are \d+\.\d\d and \d+\.\d\d"):
        to_ticks(price, CENT)


def test_the_refusal_names_the_nearest_prices_that_would_be_right() -> None:
    with pytest.raises(BadDecimal, match=r"12\.505.*12\.50 and 12\.51"):
        to_ticks("12.505", CENT)


@pytest.mark.parametrize("nonsense", ["", "abc", "12,50", "NaN", "Infinity", "-1", "0", "1e400", "1e-400", "9" * 40])
def test_what_is_no_positive_number_is_refused(nonsense: str) -> None:
    with pytest.raises(BadDecimal):
        to_ticks(nonsense, CENT)
    with pytest.raises(BadDecimal):
        to_lots(nonsense, 10**9)
    with pytest.raises(BadDecimal):
        to_minor(nonsense, 2)


@pytest.mark.parametrize("nonsense", ["", "abc", "NaN", "sNaN", "Infinity", "-0.0001", "0.1000005", "0.0000001", "0.100001", "100"])
def test_what_is_no_rate_of_a_fee_is_refused(nonsense: str) -> None:
    with pytest.raises(BadDecimal, match="fee rate"):
        to_rate(nonsense)


@given(st.integers(0, MAX_FEE_RATE))
def test_rates_survive_the_way_out_and_in_and_are_never_shown_as_a_power(rate: int) -> None:
    shown = str(from_rate(rate))
    assert to_rate(shown) == rate
    assert "E" not in shown


def test_a_number_beyond_every_bound_is_still_exact() -> None:
    """Bounds are the market's to refuse, as an event; the door only translates."""
    assert to_minor("9" * 29 + ".5", 1) == int("9" * 29 + "5")
    with pytest.raises(BadDecimal, match="not a multiple"):
        to_minor("9" * 28 + ".55", 1)


@given(st.integers(1, 2**31 - 1), st.integers(1, 10**12))
def test_ticks_and_lots_survive_the_way_out_and_in(units: int, size_e9: int) -> None:
    assert to_ticks(str(from_ticks(units, size_e9)), size_e9) == units
    assert to_lots(str(from_lots(units, size_e9)), size_e9) == units


@given(st.integers(1, 2**62), st.integers(0, 18))
def test_amounts_survive_the_way_out_and_in(amount: int, scale: int) -> None:
    assert to_minor(str(from_minor(amount, scale)), scale) == amount
    assert from_minor(amount, scale) * 10**scale == Decimal(amount)
