"""Section 2 of docs/rules.md: listing an instrument, and its states."""

from __future__ import annotations

import pytest

from domain import events as e
from domain import rules
from domain.verbs import BUY, CLOSED, FOK, HALTED, IOC, MARKET, OPEN, PRE_OPEN, SELL
from tests.market import (
    BASE,
    QUOTE,
    Event,
    Market,
    accepted,
    buy,
    cancel,
    deposit,
    event,
    list_instrument,
    mass_cancel,
    open_account,
    refused,
    sell,
    set_fees,
    set_state,
    symbol,
    traded,
    with_word,
)

ALLOWED = {PRE_OPEN: (OPEN, HALTED, CLOSED), OPEN: (HALTED, CLOSED), HALTED: (PRE_OPEN, OPEN, CLOSED), CLOSED: (PRE_OPEN,)}
WAY_TO = {PRE_OPEN: (), OPEN: (OPEN,), HALTED: (HALTED,), CLOSED: (CLOSED,)}


def test_an_instrument_is_listed_in_pre_open(empty: Market) -> None:
    assert empty.when(list_instrument(7)) == [event(e.INSTRUMENT_LISTED, instrument=7)]
    assert empty.when(set_state(OPEN, 7)) == [event(e.INSTRUMENT_STATE_CHANGED, instrument=7, previous_state=PRE_OPEN, state=OPEN)]


def test_a_number_is_listed_once(empty: Market) -> None:
    """The refusal says in which state it is; other facts do not matter."""
    empty.given(list_instrument(7), set_state(HALTED, 7))
    assert empty.when(list_instrument(7, "OTHER")) == [refused(rules.ALREADY_LISTED, HALTED, 7)]


def test_numbers_go_to_65535_in_any_order(empty: Market) -> None:
    empty.given(list_instrument(65_535), list_instrument(3))
    assert empty.when(list_instrument(65_536)) == [refused(rules.TOO_MANY_INSTRUMENTS, 65_535, 65_536)]


@pytest.mark.parametrize("text", ["A", "12345678", "~", "!", "a.b-c"])
def test_a_symbol_is_one_to_eight_printable_characters(empty: Market, text: str) -> None:
    empty.given(list_instrument(1, text))


MALFORMED = {
    "no symbol": (6, {"symbol": 0}),
    "symbol with a space": (6, {"symbol": symbol("A B")}),
    "symbol with DEL": (6, {"symbol": symbol("A\x7f")}),
    "symbol after its padding": (6, {"symbol": symbol("A\0B")}),
    "symbol that begins with padding": (6, {"symbol": symbol("\0B")}),
    "no base asset": (7, {"base_asset": 0}),
    "no quote asset": (7, {"quote_asset": 0}),
    "base is quote": (7, {"base_asset": QUOTE}),
    "base scale": (7, {"base_scale": 19}),
    "quote scale": (7, {"quote_scale": 19}),
    "tick size": (8, {"tick_size_e9": 0}),
    "lot size": (9, {"lot_size_e9": 0}),
    "band from 0": (10, {"band_low_ticks": 0}),
    "band upside down": (10, {"band_low_ticks": 9, "band_high_ticks": 8}),
    "no quantity": (11, {"max_quantity_lots": 0}),
    "too great a quantity": (11, {"max_quantity_lots": 2**31}),
    "quantity x base_units": (11, {"max_quantity_lots": 2**30 + 1, "base_units": 2**30}),
    "no notional": (12, {"max_notional": 0}),
    "too great a notional": (12, {"max_notional": 2**42 + 1}),
    "maker rate": (13, {"maker_rate": 100_001}),
    "taker rate": (13, {"taker_rate": 100_001}),
    "quote units": (14, {"quote_units": 0}),
    "base units": (14, {"base_units": 0}),
    "day end": (15, {"day_end_ns": 86_400 * 10**9}),
}


@pytest.mark.parametrize(("word", "facts"), MALFORMED.values(), ids=MALFORMED)
def test_facts_that_make_no_market_are_malformed(empty: Market, word: int, facts: dict[str, int]) -> None:
    """The refusal names the word and shows it."""
    command = list_instrument(1, "ACME", **facts)
    observed = int.from_bytes(command[8 * word : 8 * word + 8], "little", signed=True)
    assert empty.when(command) == [refused(rules.MALFORMED_FIELD, word, observed)]
    empty.given(list_instrument(1))


EDGES = {
    "scales": {"base_scale": 18, "quote_scale": 18},
    "assets": {"base_asset": 65_535, "quote_asset": 65_534},
    "one price": {"band_low_ticks": 5, "band_high_ticks": 5},
    "all prices": {"band_low_ticks": 1, "band_high_ticks": 2**31 - 1},
    "quantity": {"max_quantity_lots": 2**31 - 1},
    "quantity x base_units": {"max_quantity_lots": 2**30, "base_units": 2**30},
    "base units": {"max_quantity_lots": 1, "base_units": 2**31 - 1},
    "quote units": {"quote_units": 2**31 - 1},
    "notional": {"max_notional": 2**42},
    "smallest": {"max_notional": 1, "max_quantity_lots": 1, "tick_size_e9": 1, "lot_size_e9": 1},
    "rates": {"maker_rate": 100_000, "taker_rate": 100_000},
    "day end": {"day_end_ns": 86_400 * 10**9 - 1},
}


@pytest.mark.parametrize("facts", EDGES.values(), ids=EDGES)
def test_facts_at_the_edge_are_listed(empty: Market, facts: dict[str, int]) -> None:
    empty.given(list_instrument(1, "ACME", **facts))


def test_a_bit_that_the_listing_does_not_name_is_malformed(empty: Market) -> None:
    """Words 7, 10, 13 and 14 have bits to spare: a later version will give them a meaning."""
    for word, bit in ((7, 48), (10, 62), (13, 40), (14, 62)):
        command = list_instrument(1)
        value = int.from_bytes(command[8 * word : 8 * word + 8], "little") | 1 << bit
        assert empty.when(with_word(command, word, value)) == [refused(rules.MALFORMED_FIELD, word, value)]


@pytest.mark.parametrize("units", [-1, 2**63 - 1])
def test_a_product_with_a_number_that_is_none_is_not_blamed(empty: Market, units: int) -> None:
    """Word 14 is wrong in itself, so word 11, checked before it, is not held against it."""
    command = with_word(list_instrument(1, max_quantity_lots=2**31 - 1), 14, units)
    assert empty.when(command) == [refused(rules.MALFORMED_FIELD, 14, units)]


# --- states -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [PRE_OPEN, OPEN, HALTED, CLOSED])
@pytest.mark.parametrize("after", [PRE_OPEN, OPEN, HALTED, CLOSED])
def test_states_follow_each_other_as_the_table_says(empty: Market, before: int, after: int) -> None:
    """From closed there is only pre-open, from open no way back to it but through a halt; nothing follows itself."""
    empty.given(list_instrument(1), *(set_state(state, 1) for state in WAY_TO[before]))
    if after in ALLOWED[before]:
        assert empty.when(set_state(after, 1)) == [event(e.INSTRUMENT_STATE_CHANGED, instrument=1, previous_state=before, state=after)]
    else:
        assert empty.when(set_state(after, 1)) == [refused(rules.STATE_TRANSITION, before, after)]


def test_an_instrument_that_is_not_listed_has_no_state(empty: Market) -> None:
    assert empty.when(set_state(OPEN, 5)) == [refused(rules.UNKNOWN_INSTRUMENT, 0, 5)]
    empty.given(list_instrument(3))
    assert empty.when(set_state(OPEN, 5)) == [refused(rules.UNKNOWN_INSTRUMENT, 3, 5)]
    assert empty.when(set_state(OPEN, 2)) == [refused(rules.UNKNOWN_INSTRUMENT, 3, 2)]
    assert empty.when(set_state(OPEN, 2**40)) == [refused(rules.UNKNOWN_INSTRUMENT, 3, 2**40)]


@pytest.mark.parametrize("state", [HALTED, CLOSED])
@pytest.mark.parametrize("time_in_force", [0, IOC, FOK])
def test_halted_or_closed_takes_no_new_order(market: Market, state: int, time_in_force: int) -> None:
    market.given(set_state(state, 1))
    assert market.when(buy(1, 5, 100, time_in_force=time_in_force)) == [refused(rules.INSTRUMENT_STATE, OPEN, state)]


@pytest.mark.parametrize(
    "fields",
    [
        {"time_in_force": IOC},
        {"time_in_force": FOK},
        {"time_in_force": IOC, "order_type": MARKET},
        {"order_type": MARKET},
    ],
    ids=["IOC", "FOK", "market IOC", "market GTC"],
)
def test_pre_open_takes_only_orders_that_rest(empty: Market, fields: dict[str, int]) -> None:
    """Nothing trades, so what lives only to trade is refused."""
    empty.given(list_instrument(1), open_account(1), deposit(1, QUOTE, 1_000))
    assert empty.when(buy(1, 5, 100, **fields)) == [refused(rules.INSTRUMENT_STATE, OPEN, PRE_OPEN)]
    empty.given(buy(1, 5, 100))


def test_resting_orders_outlive_a_halt_with_their_priority(market: Market) -> None:
    market.given(sell(1, 5, 100), sell(3, 5, 100), set_state(HALTED, 1), set_state(OPEN, 1))
    assert market.when(buy(2, 6, 100))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=100, lots=5, buyer_released=500),
        traded(BUY, maker=2, maker_account=3, price=100, lots=1, buyer_released=100),
    ]


def test_units_make_the_money_of_a_lot(empty: Market) -> None:
    """A lot is base_units of stock, and costs price x quote_units."""
    empty.given(list_instrument(1, quote_units=25, base_units=4), set_state(OPEN, 1), open_account(1), open_account(2))
    empty.given(deposit(1, BASE, 40), deposit(2, QUOTE, 25_000))
    assert empty.when(sell(1, 10, 100))[0] == accepted(1, SELL, 100, 10, held=40)
    assert empty.when(buy(2, 10, 100))[0] == accepted(2, BUY, 100, 10, held=25_000)
    assert (empty.available(1, QUOTE), empty.available(2, BASE)) == (25_000, 40)


def test_what_is_quoted_in_one_instrument_may_be_traded_in_another(empty: Market) -> None:
    """Assets are the partition's, not the instrument's."""
    empty.given(list_instrument(1), list_instrument(2, "CROSS", base_asset=QUOTE, quote_asset=3), set_state(OPEN, 1), set_state(OPEN, 2))
    empty.given(open_account(1), deposit(1, QUOTE, 100))
    assert empty.when(sell(1, 100, 5, instrument=2))[0].held == 100
    assert empty.when(buy(1, 1, 1)) == [refused(rules.INSUFFICIENT_FUNDS, 0, 1)]
    empty.given(cancel(1, order=empty.number(1)), buy(1, 1, 1))


# --- fee rates --------------------------------------------------------------------------------------------------------


def rates(maker: int, taker: int, held: int) -> Event:
    return event(e.FEE_RATES_SET, instrument=1, maker_rate=maker, taker_rate=taker, held_rate=held)


def fees(happened: list[Event]) -> list[tuple[int, int]]:
    """(taker's, maker's) of every trade."""
    return [(each.taker_fee, each.maker_fee) for each in happened if each.name == "TradeExecuted"]


def test_rates_that_are_set_are_what_fills_cost_from_then_on(market: Market) -> None:
    """Also those of orders that rested before."""
    market.given(sell(2, 10, 100))
    assert fees(market.when(buy(1, 5, 100))) == [(0, 0)]
    assert market.when(set_fees(maker_rate=10_000, taker_rate=20_000)) == [rates(10_000, 20_000, held=20_000)]
    assert fees(market.when(buy(1, 5, 100))) == [(10, 5)]
    market.when(set_fees(0, 0))
    market.given(sell(2, 5, 100))
    assert fees(market.when(buy(1, 5, 100))) == [(0, 0)]


def test_a_rate_for_which_a_buy_in_the_book_holds_no_funds_is_refused(market: Market) -> None:
    market.given(set_fees(10_000, 5_000), buy(1, 5, 100))
    assert market.when(set_fees(10_000, 10_001)) == [refused(rules.RATE_NOT_HELD, 10_000, 10_001)]
    assert market.when(set_fees(10_001, 0)) == [refused(rules.RATE_NOT_HELD, 10_000, 10_001)]
    assert fees(market.when(sell(2, 5, 100))) == [(3, 5)]


def test_while_a_buy_is_in_the_book_lower_rates_hold_at_once_and_buys_hold_as_before(market: Market) -> None:
    market.given(set_fees(10_000, 20_000), buy(1, 5, 100))
    assert market.when(set_fees(0, 1_000)) == [rates(0, 1_000, held=20_000)]
    assert market.available(1, QUOTE) == 1_000_000 - 510
    market.given(buy(1, 5, 100))
    assert market.available(1, QUOTE) == 1_000_000 - 2 * 510
    assert fees(market.when(sell(2, 10, 100))) == [(1, 0), (0, 0)]  # half a unit each, rounded up once
    assert market.available(1, QUOTE) == 1_000_000 - 1_000


def test_without_a_buy_in_the_book_rates_rise_whatever_is_offered(market: Market) -> None:
    market.given(buy(1, 5, 100), sell(2, 5, 110), mass_cancel(1))
    assert market.when(set_fees(100_000, 100_000)) == [rates(100_000, 100_000, held=100_000)]
    assert fees(market.when(buy(1, 5, 110))) == [(55, 55)]


def test_the_rates_of_one_instrument_are_its_own(market: Market) -> None:
    market.given(list_instrument(2, "OTHER"), set_state(OPEN, 2), buy(1, 5, 100), set_fees(100_000, 100_000, instrument=2))
    assert fees(market.when(sell(2, 5, 100))) == [(0, 0)]


def test_a_rate_is_at_most_a_tenth(market: Market) -> None:
    market.given(set_fees(100_000, 100_000))
    for command in (set_fees(100_001, 0), set_fees(0, 100_001)):
        assert market.when(command) == [refused(rules.MALFORMED_FIELD, 13, int.from_bytes(command[104:112], "little"))]


def test_only_a_listed_instrument_has_rates(market: Market) -> None:
    assert market.when(set_fees(0, 0, instrument=9)) == [refused(rules.UNKNOWN_INSTRUMENT, 1, 9)]
