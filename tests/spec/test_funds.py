"""Sections 3, 4.7 and 5 of docs/rules.md: what orders hold, and that money and stock are conserved."""

from __future__ import annotations

import pytest

from domain import events as e
from domain import rules
from domain.verbs import ACCOUNT_RESTRICTED, BUY, IOC, MARKET, SELL
from tests.market import (
    BASE,
    QUOTE,
    Market,
    accepted,
    buy,
    cancel,
    cancelled,
    change_account,
    deposit,
    event,
    list_instrument,
    open_account,
    refused,
    sell,
    set_state,
    withdraw,
)

MAX_SUPPLY = 2**60


def test_a_deposit_is_available(empty: Market) -> None:
    """No wallet is needed before."""
    empty.given(open_account(1))
    assert empty.when(deposit(1, 9, 70)) == [event(e.FUNDS_DEPOSITED, available=70)]
    assert empty.when(deposit(1, 9, 5)) == [event(e.FUNDS_DEPOSITED, available=75)]


def test_a_withdrawal_takes_from_available(market: Market) -> None:
    assert market.when(withdraw(1, QUOTE, 999_999)) == [event(e.FUNDS_WITHDRAWN, available=1)]
    assert market.when(withdraw(1, QUOTE, 2)) == [refused(rules.INSUFFICIENT_FUNDS, 1, 2)]
    assert market.when(withdraw(1, QUOTE, 1)) == [event(e.FUNDS_WITHDRAWN, available=0)]


def test_what_an_order_holds_cannot_be_withdrawn(market: Market) -> None:
    market.given(buy(1, lots=10, price=100))
    assert market.when(withdraw(1, QUOTE, 999_001)) == [refused(rules.INSUFFICIENT_FUNDS, 999_000, 999_001)]


def test_an_asset_never_held_has_nothing_to_withdraw(market: Market) -> None:
    assert market.when(withdraw(1, 77, 1)) == [refused(rules.INSUFFICIENT_FUNDS, 0, 1)]


def test_deposits_and_withdrawals_work_for_a_restricted_account(market: Market) -> None:
    """It may leave, and pay what it owes; it may not trade."""
    market.given(change_account(1, ACCOUNT_RESTRICTED), deposit(1, QUOTE, 1), withdraw(1, QUOTE, 2))


def test_the_supply_of_an_asset_is_bounded(empty: Market) -> None:
    """So that no sum of balances can leave 64 bits; withdrawals make room again."""
    empty.given(open_account(1), open_account(2), deposit(1, 9, MAX_SUPPLY - 1))
    assert empty.when(deposit(2, 9, 2)) == [refused(rules.SUPPLY_BOUND, MAX_SUPPLY, MAX_SUPPLY + 1)]
    empty.given(deposit(2, 9, 1), deposit(2, 8, MAX_SUPPLY))
    assert empty.when(deposit(1, 9, 2**62 - 1)) == [refused(rules.SUPPLY_BOUND, MAX_SUPPLY, MAX_SUPPLY + 2**62 - 1)]
    empty.given(withdraw(1, 9, 5), deposit(2, 9, 5))


@pytest.mark.parametrize("asset", [1, 65_535])
def test_assets_are_numbered_to_65535(empty: Market, asset: int) -> None:
    empty.given(open_account(1), deposit(1, asset, 1))


@pytest.mark.parametrize("command", [deposit(7, QUOTE, 1), withdraw(7, QUOTE, 1)], ids=["deposit", "withdraw"])
def test_funds_belong_to_an_account(market: Market, command: bytes) -> None:
    assert market.when(command) == [refused(rules.UNKNOWN_ACCOUNT, 3, 7)]


def test_a_buy_holds_its_cost_and_the_greater_fee_rounded_up(empty: Market) -> None:
    """10 x 3 x 7 = 210, and ceil(210 x 0.000777) = 1."""
    empty.given(list_instrument(1, maker_rate=777, taker_rate=333, quote_units=7, base_units=5), set_state(2, 1))
    empty.given(open_account(1), deposit(1, QUOTE, 211), deposit(1, BASE, 14))
    assert empty.when(buy(1, lots=3, price=10))[0] == accepted(1, BUY, 10, 3, held=211)
    assert empty.available(1, QUOTE) == 0


def test_a_sell_holds_its_lots_in_base_units(empty: Market) -> None:
    """3 lots of 5 units; its fee comes out of what it gets."""
    empty.given(list_instrument(1, maker_rate=777, taker_rate=333, quote_units=7, base_units=5), set_state(2, 1))
    empty.given(open_account(1), deposit(1, BASE, 14))
    assert empty.when(sell(1, lots=3, price=10)) == [refused(rules.INSUFFICIENT_FUNDS, 14, 15)]
    empty.given(deposit(1, BASE, 1))
    assert empty.when(sell(1, lots=3, price=10))[0] == accepted(1, SELL, 10, 3, held=15)
    assert empty.available(1, BASE) == 0


def test_an_order_that_costs_more_than_is_available_is_refused(market: Market) -> None:
    """One minor unit decides; nothing changes."""
    assert market.when(buy(1, lots=10_000, price=101)) == [refused(rules.INSUFFICIENT_FUNDS, 1_000_000, 1_010_000)]
    assert market.when(buy(1, lots=10_000, price=100))[0].name == "OrderAccepted"
    assert market.when(buy(1, lots=1, price=1)) == [refused(rules.INSUFFICIENT_FUNDS, 0, 1)]


def test_a_budget_must_be_available(market: Market) -> None:
    order = buy(1, lots=1, price=0, order_type=MARKET, time_in_force=IOC, budget=1_000_001)
    assert market.when(order) == [refused(rules.INSUFFICIENT_FUNDS, 1_000_000, 1_000_001)]


def test_what_is_received_can_be_spent_at_once(market: Market) -> None:
    """The fill is complete inside the command: nothing waits for settlement."""
    market.given(open_account(4), deposit(4, QUOTE, 500), sell(1, lots=5, price=100), buy(4, lots=5, price=100))
    assert market.when(sell(4, lots=5, price=200))[0].name == "OrderAccepted"


def test_a_cancel_releases_everything_held(market: Market) -> None:
    market.given(buy(1, lots=10, price=100))
    assert market.when(cancel(1, order=market.number(1))) == [cancelled(1, 1, BUY, 100, 10, released=1_000)]
    assert market.available(1, QUOTE) == 1_000_000


def test_price_improvement_goes_back_at_once(market: Market) -> None:
    """Held 1,100 for ten lots; four at 100 spend 400 and release 440."""
    market.given(sell(1, lots=4, price=100))
    trade = market.when(buy(2, lots=10, price=110))[1]
    assert trade.buyer_released == 440
    assert market.available(2, QUOTE) == 1_000_000 - 400 - 660


def test_accounts_do_not_share_funds(market: Market) -> None:
    market.given(open_account(4, group=1), change_account(1, group=1))
    assert market.when(buy(4, lots=1, price=1)) == [refused(rules.INSUFFICIENT_FUNDS, 0, 1)]
