"""Section 6 of docs/rules.md: an account, or a group of them, does not trade with itself unless it wants to."""

from __future__ import annotations

import pytest

from domain import rules
from domain.events import REMOVED_BUDGET, REMOVED_SELF_TRADE
from domain.verbs import (
    BUY,
    FOK,
    IOC,
    MARKET,
    SELL,
    STP_ALLOW,
    STP_CANCEL_BOTH,
    STP_CANCEL_NEWEST,
    STP_CANCEL_OLDEST,
    STP_DECREMENT,
)
from tests.market import Event, Market, accepted, buy, change_account, prevented, refused, removed, rested, sell, traded


def own_then_other(market: Market) -> None:
    """Account 1's sell of 3 at 100 (order 1), behind it account 3's sell of 3 at 100 (order 2)."""
    market.given(sell(1, lots=3, price=100), sell(3, lots=3, price=100))


def first_fill() -> Event:
    return traded(BUY, maker=1, maker_account=1, price=100, lots=3, buyer_released=300)


def test_allow_lets_them_trade(market: Market) -> None:
    """The default: prevention is a wish, told with the order."""
    own_then_other(market)
    assert market.when(buy(1, lots=3, price=100, stp=STP_ALLOW)) == [accepted(3, BUY, 100, 3, held=300), first_fill()]


def test_cancel_newest_removes_the_rest_of_the_incoming_order(market: Market) -> None:
    """What it got before stays its own."""
    market.given(sell(3, lots=1, price=99))
    market.given(sell(1, lots=3, price=100), sell(3, lots=3, price=100))
    assert market.when(buy(1, lots=5, price=100, stp=STP_CANCEL_NEWEST)) == [
        accepted(4, BUY, 100, 5, held=500),
        traded(BUY, maker=1, maker_account=3, price=99, lots=1, buyer_released=100),
        removed(REMOVED_SELF_TRADE, 4, 1, BUY, 100, 4, released=400),
    ]
    assert market.when(buy(2, lots=3, price=100))[1].maker_order == 2  # the resting one is still there


def test_cancel_oldest_removes_the_resting_order_and_goes_on(market: Market) -> None:
    own_then_other(market)
    assert market.when(buy(1, lots=5, price=100, stp=STP_CANCEL_OLDEST)) == [
        accepted(3, BUY, 100, 5, held=500),
        removed(REMOVED_SELF_TRADE, 1, 1, SELL, 100, 3, released=3),
        traded(BUY, maker=2, maker_account=3, price=100, lots=3, buyer_released=300),
        rested(3, 1, BUY, 100, 2),
    ]


def test_cancel_both_removes_the_resting_order_then_the_incoming(market: Market) -> None:
    own_then_other(market)
    assert market.when(buy(1, lots=5, price=100, stp=STP_CANCEL_BOTH)) == [
        accepted(3, BUY, 100, 5, held=500),
        removed(REMOVED_SELF_TRADE, 1, 1, SELL, 100, 3, released=3),
        removed(REMOVED_SELF_TRADE, 3, 1, BUY, 100, 5, released=500),
    ]


def test_decrement_takes_the_smaller_quantity_off_both_and_goes_on(market: Market) -> None:
    """The resting order without rest is gone; the incoming one goes on with what it has left."""
    own_then_other(market)
    assert market.when(buy(1, lots=5, price=100, stp=STP_DECREMENT)) == [
        accepted(3, BUY, 100, 5, held=500),
        prevented(BUY, maker=1, maker_account=1, price=100, lots=3, taker_released=300, maker_released=3),
        traded(BUY, maker=2, maker_account=3, price=100, lots=2, buyer_released=200),
    ]


def test_decrement_leaves_the_rest_of_a_larger_resting_order_where_it_is(market: Market) -> None:
    """It keeps its place in the queue; the incoming order without rest is gone."""
    own_then_other(market)
    assert market.when(buy(1, lots=2, price=103, stp=STP_DECREMENT)) == [
        accepted(3, BUY, 103, 2, held=206),
        prevented(BUY, maker=1, maker_account=1, price=100, lots=2, taker_released=206, maker_released=2),
    ]
    assert market.when(buy(2, lots=2, price=100))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=100, lots=1, buyer_released=100),
        traded(BUY, maker=2, maker_account=3, price=100, lots=1, buyer_released=100),
    ]


def test_decrement_works_for_a_selling_order_too(market: Market) -> None:
    market.given(buy(1, lots=3, price=100))
    assert market.when(sell(1, lots=5, price=99, stp=STP_DECREMENT)) == [
        accepted(2, SELL, 99, 5, held=5),
        prevented(SELL, maker=1, maker_account=1, price=100, lots=3, taker_released=3, maker_released=300),
        rested(2, 1, SELL, 99, 2),
    ]


def test_the_incoming_orders_mode_decides(market: Market) -> None:
    """The mode of a resting order says nothing until it is replaced."""
    market.given(sell(1, lots=3, price=100, stp=STP_CANCEL_BOTH))
    assert market.when(buy(1, lots=3, price=100, stp=STP_ALLOW))[1:] == [first_fill()]


def test_own_orders_that_it_does_not_meet_are_left_alone(market: Market) -> None:
    """Prevention begins when the own order is next."""
    market.given(sell(3, lots=3, price=99), sell(1, lots=3, price=100))
    assert market.when(buy(1, lots=3, price=100, stp=STP_CANCEL_BOTH))[1:] == [
        traded(BUY, maker=1, maker_account=3, price=99, lots=3, buyer_released=300),
    ]


# --- groups -----------------------------------------------------------------------------------------------------------


def test_accounts_of_one_group_are_self(market: Market) -> None:
    market.given(change_account(1, group=5), change_account(2, group=5), sell(1, lots=3, price=100))
    assert market.when(buy(2, lots=3, price=100, stp=STP_CANCEL_NEWEST))[1:] == [
        removed(REMOVED_SELF_TRADE, 2, 2, BUY, 100, 3, released=300),
    ]


@pytest.mark.parametrize(("maker_group", "taker_group"), [(0, 0), (5, 6), (5, 0), (0, 5)])
def test_accounts_of_different_groups_or_of_none_are_not(market: Market, maker_group: int, taker_group: int) -> None:
    """Group 0 is no group."""
    market.given(change_account(1, group=maker_group), change_account(2, group=taker_group), sell(1, lots=3, price=100))
    assert market.when(buy(2, lots=3, price=100, stp=STP_CANCEL_NEWEST))[1:] == [first_fill()]


def test_a_group_counts_from_the_moment_it_is_set(market: Market) -> None:
    """It is read when orders meet, so it holds for orders that rest already."""
    market.given(sell(1, lots=3, price=100), change_account(1, group=5), change_account(2, group=5))
    assert market.when(buy(2, lots=3, price=100, stp=STP_CANCEL_NEWEST))[1].name == "OrderRemoved"


# --- fill or kill ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stp", "fillable"),
    [(STP_ALLOW, 8), (STP_CANCEL_NEWEST, 2), (STP_CANCEL_BOTH, 2), (STP_CANCEL_OLDEST, 5), (STP_DECREMENT, 5)],
)
def test_what_fok_counts_as_fillable_depends_on_its_mode(market: Market, stp: int, fillable: int) -> None:
    """Others 2, own 3, others 3, asked for 9: allow counts all, newest and both end at the own order, oldest skips it,
    decrement skips it too but loses its lots (2 + 3 of others; the own 3 used up 3 of the 9).
    """
    market.given(sell(3, lots=2, price=99), sell(1, lots=3, price=100), sell(3, lots=3, price=100))
    assert market.when(buy(1, lots=9, price=100, time_in_force=FOK, stp=stp)) == [refused(rules.FOK_UNFILLABLE, fillable, 9)]


def test_fok_with_decrement_fails_on_any_own_order_before_it_is_complete(market: Market) -> None:
    """The lots that its own order uses up can never be filled."""
    market.given(sell(1, lots=1, price=99), sell(3, lots=9, price=100))
    assert market.when(buy(1, lots=5, price=100, time_in_force=FOK, stp=STP_DECREMENT)) == [refused(rules.FOK_UNFILLABLE, 4, 5)]


@pytest.mark.parametrize("stp", [STP_CANCEL_NEWEST, STP_CANCEL_BOTH, STP_DECREMENT])
def test_fok_complete_before_its_own_order_is_filled(market: Market, stp: int) -> None:
    market.given(sell(3, lots=5, price=99), sell(1, lots=1, price=100))
    assert market.when(buy(1, lots=5, price=100, time_in_force=FOK, stp=stp))[1:] == [
        traded(BUY, maker=1, maker_account=3, price=99, lots=5, buyer_released=500),
    ]


def test_fok_with_cancel_oldest_removes_its_own_orders_on_the_way(market: Market) -> None:
    own_then_other(market)
    assert market.when(buy(1, lots=3, price=100, time_in_force=FOK, stp=STP_CANCEL_OLDEST))[1:] == [
        removed(REMOVED_SELF_TRADE, 1, 1, SELL, 100, 3, released=3),
        traded(BUY, maker=2, maker_account=3, price=100, lots=3, buyer_released=300),
    ]


# --- budget -------------------------------------------------------------------------------------------------------------------


def market_buy(lots: int, budget: int, stp: int) -> bytes:
    return buy(1, lots, 0, order_type=MARKET, time_in_force=IOC, budget=budget, stp=stp)


def test_decrement_releases_nothing_of_a_budget_while_it_lives(market: Market) -> None:
    """Its hold is money to spend, not lots; what is left of it goes back at the end."""
    own_then_other(market)
    assert market.when(market_buy(lots=5, budget=150, stp=STP_DECREMENT)) == [
        accepted(3, BUY, 1_000_000, 5, held=150),
        prevented(BUY, maker=1, maker_account=1, price=100, lots=3, taker_released=0, maker_released=3),
        traded(BUY, maker=2, maker_account=3, price=100, lots=1, buyer_released=100),
        removed(REMOVED_BUDGET, 3, 1, BUY, 1_000_000, 1, released=50),
    ]


def test_decrement_releases_the_whole_budget_of_an_order_that_it_ends(market: Market) -> None:
    own_then_other(market)
    assert market.when(market_buy(lots=3, budget=150, stp=STP_DECREMENT))[1:] == [
        prevented(BUY, maker=1, maker_account=1, price=100, lots=3, taker_released=150, maker_released=3),
    ]


def test_an_order_that_cannot_pay_meets_nobody(market: Market) -> None:
    """The budget is looked at before prevention: its own resting order is left alone."""
    own_then_other(market)
    assert market.when(market_buy(lots=3, budget=99, stp=STP_CANCEL_OLDEST))[1:] == [
        removed(REMOVED_BUDGET, 3, 1, BUY, 1_000_000, 3, released=99),
    ]
