"""Section 4 step 6 of docs/rules.md: orders that must not take, and the pre-open book that must not cross."""

from __future__ import annotations

import pytest

from domain import rules
from domain.verbs import BUY, DAY, GTD, OPEN, POST_ONLY_REFUSE, POST_ONLY_SLIDE, PRE_OPEN, SELL
from tests.market import (
    BASE,
    QUOTE,
    Market,
    accepted,
    buy,
    deposit,
    list_instrument,
    open_account,
    refused,
    rested,
    sell,
    set_state,
    traded,
)


@pytest.mark.parametrize("price", [100, 101])
def test_a_post_only_buy_at_or_above_the_best_sell_is_refused(market: Market, price: int) -> None:
    """It asked never to pay the taker's fee."""
    market.given(sell(1, lots=5, price=100))
    assert market.when(buy(2, lots=5, price=price, post_only=POST_ONLY_REFUSE)) == [refused(rules.WOULD_TAKE, 100, price)]


@pytest.mark.parametrize("price", [100, 99])
def test_a_post_only_sell_at_or_below_the_best_buy_is_refused(market: Market, price: int) -> None:
    market.given(buy(1, lots=5, price=100))
    assert market.when(sell(2, lots=5, price=price, post_only=POST_ONLY_REFUSE)) == [refused(rules.WOULD_TAKE, 100, price)]


@pytest.mark.parametrize("more", [{}, {"time_in_force": DAY}, {"time_in_force": GTD, "expires_ns": 10**18}], ids=["GTC", "DAY", "GTD"])
@pytest.mark.parametrize("post_only", [POST_ONLY_REFUSE, POST_ONLY_SLIDE])
def test_a_post_only_order_that_takes_nothing_rests(market: Market, post_only: int, more: dict[str, int]) -> None:
    market.given(sell(1, lots=5, price=100))
    events = market.when(buy(2, lots=5, price=99, post_only=post_only, **more))
    assert events[0].price_ticks == 99
    assert events[1:] == [rested(2, 2, BUY, 99, 5)]


def test_slide_goes_one_tick_away_from_the_opposite_best(market: Market) -> None:
    """It holds what it needs at the price it got."""
    market.given(sell(1, lots=5, price=100), buy(1, lots=5, price=90))
    assert market.when(buy(2, lots=5, price=105, post_only=POST_ONLY_SLIDE)) == [
        accepted(3, BUY, 99, 5, held=495),
        rested(3, 2, BUY, 99, 5),
    ]
    assert market.when(sell(3, lots=5, price=95, post_only=POST_ONLY_SLIDE)) == [
        accepted(4, SELL, 100, 5, held=5),
        rested(4, 3, SELL, 100, 5),
    ]


def narrow(empty: Market) -> Market:
    """A band of 95 to 106, at most 1,000 of notional."""
    empty.given(list_instrument(1, band_low_ticks=95, band_high_ticks=106, max_notional=1_000), set_state(OPEN, 1))
    for account in (1, 2):
        empty.given(open_account(account), deposit(account, BASE, 1_000), deposit(account, QUOTE, 10_000))
    return empty


def test_a_slide_out_of_the_band_is_refused(empty: Market) -> None:
    """There is no price left at which it could rest."""
    market = narrow(empty)
    market.given(sell(1, lots=1, price=95))
    assert market.when(buy(2, lots=1, price=100, post_only=POST_ONLY_SLIDE)) == [refused(rules.WOULD_TAKE, 95, 100)]


def test_a_sell_slides_to_the_upper_edge_and_not_beyond(empty: Market) -> None:
    market = narrow(empty)
    market.given(buy(1, lots=1, price=105))
    assert market.when(sell(2, lots=1, price=95, post_only=POST_ONLY_SLIDE))[0] == accepted(2, SELL, 106, 1, held=1)
    market.given(buy(1, lots=1, price=106))  # takes the sell at 106
    market.given(buy(1, lots=1, price=106))
    assert market.when(sell(2, lots=1, price=95, post_only=POST_ONLY_SLIDE)) == [refused(rules.WOULD_TAKE, 106, 95)]


def test_the_notional_is_asked_again_after_a_slide(empty: Market) -> None:
    """A sell slides up: 10 lots at 95 were within 1,000, at 106 they are not."""
    market = narrow(empty)
    market.given(buy(1, lots=1, price=105))
    assert market.when(sell(2, lots=10, price=95, post_only=POST_ONLY_SLIDE)) == [refused(rules.MAX_NOTIONAL, 1_000, 1_060)]


def test_the_accounts_notional_too_is_asked_again_after_a_slide(empty: Market) -> None:
    market = narrow(empty)
    market.given(open_account(3, max_notional=950), deposit(3, BASE, 10), buy(1, lots=1, price=105))
    assert market.when(sell(3, lots=9, price=95, post_only=POST_ONLY_SLIDE)) == [refused(rules.ACCOUNT_MAX_NOTIONAL, 950, 954)]


def test_would_take_is_looked_at_whoever_the_opposite_order_belongs_to(market: Market) -> None:
    """Self-trade prevention is for orders that meet; a post-only order meets nobody."""
    market.given(sell(1, lots=5, price=100))
    assert market.when(buy(1, lots=5, price=100, post_only=POST_ONLY_REFUSE, stp=2)) == [refused(rules.WOULD_TAKE, 100, 100)]


# --- pre-open ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def pre_open(market: Market) -> Market:
    """Halted for a moment, so back in pre-open, with a sell at 100 of account 1."""
    market.given(set_state(3, 1), set_state(PRE_OPEN, 1), sell(1, lots=5, price=100))
    return market


def test_in_pre_open_orders_rest(pre_open: Market) -> None:
    assert pre_open.when(buy(2, lots=5, price=99)) == [accepted(2, BUY, 99, 5, held=495), rested(2, 2, BUY, 99, 5)]


@pytest.mark.parametrize("post_only", [0, POST_ONLY_REFUSE])
def test_in_pre_open_an_order_that_would_take_is_refused(pre_open: Market, post_only: int) -> None:
    """The book never crosses, so opening it trades nothing by itself."""
    assert pre_open.when(buy(2, lots=5, price=100, post_only=post_only)) == [refused(rules.WOULD_TAKE, 100, 100)]


def test_in_pre_open_an_order_slides_if_it_asks_for_it(pre_open: Market) -> None:
    assert pre_open.when(buy(2, lots=5, price=103, post_only=POST_ONLY_SLIDE))[0] == accepted(2, BUY, 99, 5, held=495)


def test_opened_again_the_book_trades(pre_open: Market) -> None:
    pre_open.given(set_state(OPEN, 1))
    assert pre_open.when(buy(2, lots=5, price=100))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=100, lots=5, buyer_released=500),
    ]
