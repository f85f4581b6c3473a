"""Section 3 of docs/rules.md: opening, restricting and closing accounts, and their limits."""

from __future__ import annotations

import pytest

from domain import events as e
from domain import rules
from domain.verbs import ACCOUNT_CLOSED, ACCOUNT_OPEN, ACCOUNT_RESTRICTED, IOC
from tests.market import (
    BASE,
    QUOTE,
    Market,
    buy,
    cancel,
    change_account,
    deposit,
    event,
    list_instrument,
    mass_cancel,
    open_account,
    refused,
    sell,
    set_state,
    withdraw,
)


def test_an_account_is_opened_once(empty: Market) -> None:
    assert empty.when(open_account(5)) == [event(e.ACCOUNT_OPENED)]
    assert empty.when(open_account(5, group=3)) == [refused(rules.ACCOUNT_EXISTS, ACCOUNT_OPEN, 5)]


def test_a_closed_account_is_not_opened_again(empty: Market) -> None:
    """Closed is for ever: its number belongs to its history."""
    empty.given(open_account(5), change_account(5, ACCOUNT_CLOSED))
    assert empty.when(open_account(5)) == [refused(rules.ACCOUNT_EXISTS, ACCOUNT_CLOSED, 5)]


@pytest.mark.parametrize("account", [10_485_761, 2**63 - 1])
def test_account_numbers_have_a_bound(empty: Market, account: int) -> None:
    assert empty.when(open_account(account)) == [refused(rules.TOO_MANY_ACCOUNTS, 10_485_760, account)]


def test_an_account_that_was_not_opened_is_unknown(market: Market) -> None:
    """The refusal names the highest account opened."""
    market.given(open_account(8))
    for command in (buy(5, 1, 1), change_account(5), deposit(5, QUOTE, 1), withdraw(5, QUOTE, 1), mass_cancel(5), cancel(5, order=1)):
        assert market.when(command) == [refused(rules.UNKNOWN_ACCOUNT, 8, 5)]


def test_a_restricted_account_enters_no_order(market: Market) -> None:
    """Its orders stay in the book and may trade; cancels work (test_cancel_and_reduce.py)."""
    market.given(sell(1, 5, 100))
    assert market.when(change_account(1, ACCOUNT_RESTRICTED)) == [event(e.ACCOUNT_CHANGED, previous_status=ACCOUNT_OPEN)]
    assert market.when(sell(1, 5, 100)) == [refused(rules.ACCOUNT_STATUS, ACCOUNT_OPEN, ACCOUNT_RESTRICTED)]
    assert market.when(buy(2, 5, 100))[1].name == "TradeExecuted"
    assert market.when(change_account(1, ACCOUNT_OPEN)) == [event(e.ACCOUNT_CHANGED, previous_status=ACCOUNT_RESTRICTED)]
    market.given(sell(1, 5, 100))


def test_a_closed_account_is_refused_everything(empty: Market) -> None:
    """Change included: it stays closed."""
    empty.given(open_account(5), change_account(5, ACCOUNT_CLOSED))
    refusal = [refused(rules.ACCOUNT_STATUS, ACCOUNT_OPEN, ACCOUNT_CLOSED)]
    for command in (change_account(5), change_account(5, ACCOUNT_CLOSED), deposit(5, QUOTE, 1), withdraw(5, QUOTE, 1), mass_cancel(5)):
        assert empty.when(command) == refusal


def test_an_account_with_live_orders_is_not_closed(market: Market) -> None:
    """Live orders are looked at before balances."""
    market.given(buy(1, 1, 1), buy(1, 1, 1))
    assert market.when(change_account(1, ACCOUNT_CLOSED)) == [refused(rules.ACCOUNT_NOT_EMPTY, 0, 2)]


def test_an_account_with_a_balance_is_not_closed(market: Market) -> None:
    """The refusal shows the first balance that is not zero, by number of asset."""
    market.given(deposit(1, 9, 77), withdraw(1, BASE, 1_000_000))
    assert market.when(change_account(1, ACCOUNT_CLOSED)) == [refused(rules.ACCOUNT_NOT_EMPTY, 0, 1_000_000)]
    market.given(withdraw(1, QUOTE, 1_000_000))
    assert market.when(change_account(1, ACCOUNT_CLOSED)) == [refused(rules.ACCOUNT_NOT_EMPTY, 0, 77)]
    market.given(withdraw(1, 9, 77), change_account(1, ACCOUNT_CLOSED))


def test_the_first_balance_is_by_asset_not_by_age(empty: Market) -> None:
    empty.given(open_account(5), deposit(5, 9, 90), deposit(5, 4, 40))
    assert empty.when(change_account(5, ACCOUNT_CLOSED)) == [refused(rules.ACCOUNT_NOT_EMPTY, 0, 40)]


def test_a_change_that_is_refused_changes_nothing(market: Market) -> None:
    """Neither the limits that came with it."""
    market.given(buy(1, 1, 1))
    market.when(change_account(1, ACCOUNT_CLOSED, max_quantity_lots=1))
    market.given(buy(1, 2, 1))


def test_a_change_sets_everything(market: Market) -> None:
    """What it does not name becomes 0: no limit."""
    market.given(change_account(1, max_quantity_lots=4))
    assert market.when(buy(1, 5, 1)) == [refused(rules.ACCOUNT_MAX_QUANTITY, 4, 5)]
    market.given(change_account(1, max_notional=100), buy(1, 5, 1))


def test_limits_come_with_the_opening_too(market: Market) -> None:
    market.given(open_account(4, max_quantity_lots=4))
    assert market.when(buy(4, 5, 1)) == [refused(rules.ACCOUNT_MAX_QUANTITY, 4, 5)]


def test_open_orders_of_an_account_are_limited(market: Market) -> None:
    """Orders that are gone count no more; those it has may stay when the limit falls."""
    market.given(change_account(1, max_open_orders=2), buy(1, 1, 1), buy(1, 1, 1))
    assert market.when(buy(1, 1, 1)) == [refused(rules.ACCOUNT_OPEN_ORDERS, 2, 2)]
    market.given(cancel(1, order=market.number(1)), buy(1, 1, 1), change_account(1, max_open_orders=1))
    assert market.when(buy(1, 1, 1)) == [refused(rules.ACCOUNT_OPEN_ORDERS, 1, 2)]


def test_an_order_that_never_rests_needs_its_place_too(market: Market) -> None:
    """It is live while it trades."""
    market.given(change_account(1, max_open_orders=1), buy(1, 1, 1))
    assert market.when(buy(1, 1, 1, time_in_force=IOC)) == [refused(rules.ACCOUNT_OPEN_ORDERS, 1, 1)]


def test_a_limit_above_the_partitions_bound_counts_as_that(engine: Market) -> None:
    """65,536 live orders of one account, whatever it was promised."""
    engine.given(list_instrument(1), set_state(2, 1), open_account(1, max_open_orders=100_000), deposit(1, BASE, 10**6))
    for _ in range(4):
        engine.venue.execute(sell(1, 1, 100) * 16_384)
    assert engine.when(sell(1, 1, 100)) == [refused(rules.ACCOUNT_OPEN_ORDERS, 65_536, 65_536)]
    engine.given(change_account(1, max_open_orders=0))
    assert engine.when(sell(1, 1, 100)) == [refused(rules.ACCOUNT_OPEN_ORDERS, 65_536, 65_536)]
