"""Section 4 of docs/rules.md, steps 1 and 4: who may trade what, inside which band, how much."""

from __future__ import annotations

import pytest

from domain import rules
from domain.verbs import HALTED, IOC, MARKET, OPEN
from tests.market import BASE, QUOTE, Market, buy, change_account, deposit, list_instrument, open_account, refused, sell, set_state


@pytest.fixture
def narrow(empty: Market) -> Market:
    """Band 95 to 106, at most 20 lots and 1,900 of notional; account 1 at most 15 lots and 1,500."""
    empty.given(list_instrument(1, band_low_ticks=95, band_high_ticks=106, max_quantity_lots=20, max_notional=1_900), set_state(OPEN, 1))
    empty.given(open_account(1, max_quantity_lots=15, max_notional=1_450), open_account(2))
    for account in (1, 2):
        empty.given(deposit(account, BASE, 1_000), deposit(account, QUOTE, 100_000))
    return empty


@pytest.mark.parametrize(("price", "edge"), [(94, 95), (1, 95), (0, 95), (107, 106), (2**31 - 1, 106)])
def test_a_price_outside_the_band_is_refused(narrow: Market, price: int, edge: int) -> None:
    """The limit is the edge crossed. A limit order without price is below every band."""
    assert narrow.when(buy(2, 1, price)) == [refused(rules.PRICE_BAND, edge, price)]
    assert narrow.when(sell(2, 1, price)) == [refused(rules.PRICE_BAND, edge, price)]


@pytest.mark.parametrize("price", [95, 106])
def test_the_edges_of_the_band_are_inside(narrow: Market, price: int) -> None:
    narrow.given(buy(2, 1, price))


def test_a_protection_price_is_inside_the_band_too(narrow: Market) -> None:
    assert narrow.when(buy(2, 1, 107, order_type=MARKET, time_in_force=IOC)) == [refused(rules.PRICE_BAND, 106, 107)]


def test_a_quantity_is_at_least_one_lot(narrow: Market) -> None:
    assert narrow.when(buy(2, 0, 100)) == [refused(rules.MIN_QUANTITY, 1, 0)]


def test_a_quantity_is_at_most_the_instruments(narrow: Market) -> None:
    """The instrument's limit is named before the account's."""
    assert narrow.when(buy(2, 21, 95)) == [refused(rules.MAX_QUANTITY, 20, 21)]
    assert narrow.when(buy(1, 21, 95)) == [refused(rules.MAX_QUANTITY, 20, 21)]
    narrow.given(buy(2, 20, 95))


def test_a_quantity_is_at_most_the_accounts(narrow: Market) -> None:
    assert narrow.when(buy(1, 16, 95)) == [refused(rules.ACCOUNT_MAX_QUANTITY, 15, 16)]
    narrow.given(buy(1, 15, 95))


def test_a_notional_is_at_most_the_instruments(narrow: Market) -> None:
    assert narrow.when(buy(2, 20, 96)) == [refused(rules.MAX_NOTIONAL, 1_900, 1_920)]
    assert narrow.when(sell(2, 20, 96)) == [refused(rules.MAX_NOTIONAL, 1_900, 1_920)]


def test_a_notional_is_at_most_the_accounts(narrow: Market) -> None:
    assert narrow.when(sell(1, 15, 97)) == [refused(rules.ACCOUNT_MAX_NOTIONAL, 1_450, 1_455)]
    narrow.given(sell(1, 14, 103))


def test_the_notional_of_a_budget_is_the_budget(narrow: Market) -> None:
    """Not its quantity at the edge of the band."""
    as_market = {"order_type": MARKET, "time_in_force": IOC}
    assert narrow.when(buy(2, 20, 0, budget=1_901, **as_market)) == [refused(rules.MAX_NOTIONAL, 1_900, 1_901)]
    assert narrow.when(buy(1, 15, 0, budget=1_451, **as_market)) == [refused(rules.ACCOUNT_MAX_NOTIONAL, 1_450, 1_451)]
    narrow.given(buy(2, 20, 0, budget=1_900, **as_market))


def test_quote_units_count_in_the_notional(empty: Market) -> None:
    empty.given(list_instrument(1, quote_units=7, max_notional=1_000), set_state(OPEN, 1), open_account(1))
    assert empty.when(buy(1, 10, 15)) == [refused(rules.MAX_NOTIONAL, 1_000, 1_050)]


def test_the_greatest_order_of_all_is_refused_and_not_wrapped(empty: Market) -> None:
    """2^31 ticks x 2^31 lots x 2^31 units leave 64 bits: what is observed stops at the greatest number there is."""
    most = 2**31 - 1
    empty.given(list_instrument(1, band_high_ticks=most, max_quantity_lots=most, quote_units=most, max_notional=2**42), set_state(OPEN, 1))
    empty.given(open_account(1))
    assert empty.when(buy(1, most, most)) == [refused(rules.MAX_NOTIONAL, 2**42, 2**63 - 1)]
    assert empty.when(buy(1, 2**21, 2**21)) == [refused(rules.MAX_NOTIONAL, 2**42, 2**63 - 1)]
    assert empty.when(buy(1, 2**16, 2**16)) == [refused(rules.MAX_NOTIONAL, 2**42, 2**32 * most)]


def test_an_account_limit_of_any_size_is_a_limit(market: Market) -> None:
    """Greater than any order, it binds nothing."""
    market.given(change_account(1, max_quantity_lots=2**63 - 1, max_notional=2**63 - 1, max_open_orders=2**63 - 1), buy(1, 10, 100))


def test_rules_are_asked_in_the_order_of_the_table(narrow: Market) -> None:
    """An order that breaks many names the first; mended one by one, it names the next."""
    narrow.given(set_state(HALTED, 1))
    assert narrow.when(buy(9, 0, 0, instrument=9)) == [refused(rules.UNKNOWN_INSTRUMENT, 1, 9)]
    assert narrow.when(buy(9, 0, 0)) == [refused(rules.UNKNOWN_ACCOUNT, 2, 9)]
    narrow.given(change_account(1, status=2, max_quantity_lots=1, max_notional=1))
    assert narrow.when(buy(1, 0, 0)) == [refused(rules.ACCOUNT_STATUS, 1, 2)]
    narrow.given(change_account(1, max_quantity_lots=3, max_notional=1, max_open_orders=1))
    assert narrow.when(buy(1, 0, 0)) == [refused(rules.INSTRUMENT_STATE, OPEN, HALTED)]
    narrow.given(set_state(OPEN, 1))
    assert narrow.when(buy(1, 0, 0)) == [refused(rules.PRICE_BAND, 95, 0)]
    assert narrow.when(buy(1, 0, 100)) == [refused(rules.MIN_QUANTITY, 1, 0)]
    assert narrow.when(buy(1, 21, 100)) == [refused(rules.MAX_QUANTITY, 20, 21)]
    assert narrow.when(buy(1, 20, 100)) == [refused(rules.ACCOUNT_MAX_QUANTITY, 3, 20)]
    assert narrow.when(buy(1, 3, 100)) == [refused(rules.ACCOUNT_MAX_NOTIONAL, 1, 300)]
    narrow.given(change_account(1, max_open_orders=1), buy(1, 1, 95))
    assert narrow.when(buy(1, 20, 95)) == [refused(rules.ACCOUNT_OPEN_ORDERS, 1, 1)]


def test_a_client_order_id_in_use_is_named_before_the_orders_own_faults(narrow: Market) -> None:
    narrow.given(buy(2, 1, 95, client_order_id=7))
    assert narrow.when(buy(2, 0, 0, client_order_id=7)) == [refused(rules.CLIENT_ORDER_ID_IN_USE, 1, 7)]
    assert narrow.when(sell(2, 0, 0, client_order_id=7, order_type=MARKET)) == [refused(rules.CLIENT_ORDER_ID_IN_USE, 1, 7)]
