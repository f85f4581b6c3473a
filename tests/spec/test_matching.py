"""Section 5 of docs/rules.md: who meets whom, at which price."""

from __future__ import annotations

from domain.verbs import BUY, OPEN, SELL
from tests.market import BASE, QUOTE, Market, accepted, buy, cancel, cancelled, list_instrument, rested, sell, set_state, traded


def test_an_order_that_meets_nobody_rests(market: Market) -> None:
    """Accepted and rested are two events: the first says what it holds, the second what is in the book."""
    assert market.when(buy(1, lots=5, price=100)) == [accepted(1, BUY, 100, 5, held=500), rested(1, 1, BUY, 100, 5)]
    assert market.when(sell(2, lots=5, price=101)) == [accepted(2, SELL, 101, 5, held=5), rested(2, 2, SELL, 101, 5)]


def test_a_taker_trades_at_the_price_of_the_order_it_meets(market: Market) -> None:
    """The maker's price was public first; improving on the taker's limit is the taker's gain."""
    market.given(sell(1, lots=5, price=100))
    assert market.when(buy(2, lots=5, price=103)) == [
        accepted(2, BUY, 103, 5, held=515),
        traded(BUY, maker=1, maker_account=1, price=100, lots=5, buyer_released=515),
    ]


def test_a_selling_taker_too_trades_at_the_resting_price(market: Market) -> None:
    """The rule has no side."""
    market.given(buy(1, lots=5, price=103))
    assert market.when(sell(2, lots=5, price=100)) == [
        accepted(2, SELL, 100, 5, held=5),
        traded(SELL, maker=1, maker_account=1, price=103, lots=5, buyer_released=515),
    ]


def test_best_price_first(market: Market) -> None:
    """A later but better price comes before an earlier one."""
    market.given(sell(1, lots=1, price=102), sell(1, lots=1, price=100), sell(1, lots=1, price=101))
    assert market.when(buy(2, lots=3, price=102)) == [
        accepted(4, BUY, 102, 3, held=306),
        traded(BUY, maker=2, maker_account=1, price=100, lots=1, buyer_released=102),
        traded(BUY, maker=3, maker_account=1, price=101, lots=1, buyer_released=102),
        traded(BUY, maker=1, maker_account=1, price=102, lots=1, buyer_released=102),
    ]


def test_highest_buy_first(market: Market) -> None:
    """For a seller the best price is the highest."""
    market.given(buy(1, lots=1, price=100), buy(1, lots=1, price=102))
    assert market.when(sell(2, lots=2, price=100))[1:] == [
        traded(SELL, maker=2, maker_account=1, price=102, lots=1, buyer_released=102),
        traded(SELL, maker=1, maker_account=1, price=100, lots=1, buyer_released=100),
    ]


def test_at_one_price_first_come_first_served(market: Market) -> None:
    """Time priority, whoever's order it is and however large."""
    market.given(sell(1, lots=2, price=100), sell(3, lots=9, price=100), sell(1, lots=2, price=100))
    assert market.when(buy(2, lots=5, price=100))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=100, lots=2, buyer_released=200),
        traded(BUY, maker=2, maker_account=3, price=100, lots=3, buyer_released=300),
    ]


def test_a_partly_filled_maker_keeps_its_place(market: Market) -> None:
    """Being hit does not cost priority."""
    market.given(sell(1, lots=5, price=100), sell(3, lots=5, price=100), buy(2, lots=2, price=100))
    assert market.when(buy(2, lots=4, price=100))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=100, lots=3, buyer_released=300),
        traded(BUY, maker=2, maker_account=3, price=100, lots=1, buyer_released=100),
    ]


def test_what_is_left_of_a_limit_order_rests_at_the_end_of_its_price(market: Market) -> None:
    """It took what there was; now it waits at its limit behind those who were there before."""
    market.given(buy(3, lots=1, price=100), sell(1, lots=2, price=101))
    assert market.when(buy(2, lots=5, price=101)) == [
        accepted(3, BUY, 101, 5, held=505),
        traded(BUY, maker=2, maker_account=1, price=101, lots=2, buyer_released=202),
        rested(3, 2, BUY, 101, 3),
    ]
    market.given(buy(3, lots=1, price=101))
    assert market.when(sell(1, lots=5, price=100))[1:] == [
        traded(SELL, maker=3, maker_account=2, price=101, lots=3, buyer_released=303),
        traded(SELL, maker=4, maker_account=3, price=101, lots=1, buyer_released=101),
        traded(SELL, maker=1, maker_account=3, price=100, lots=1, buyer_released=100),
    ]


def test_a_limit_is_never_traded_through(market: Market) -> None:
    """One tick short is no trade."""
    market.given(sell(1, lots=5, price=101))
    assert market.when(buy(2, lots=5, price=100)) == [accepted(2, BUY, 100, 5, held=500), rested(2, 2, BUY, 100, 5)]


def test_an_order_that_is_filled_is_done(market: Market) -> None:
    """No event of its own: nothing is left to say. It cannot be cancelled any more."""
    market.given(sell(1, lots=5, price=100, client_order_id=7), buy(2, lots=5, price=100, client_order_id=7))
    assert market.when(cancel(1, client_order_id=7))[0].name == "CommandRefused"
    assert market.when(cancel(2, client_order_id=7))[0].name == "CommandRefused"


def test_a_fill_moves_stock_against_cash(market: Market) -> None:
    """Delivery versus payment: both legs, in the same command."""
    market.given(sell(1, lots=5, price=100), buy(2, lots=5, price=103))
    assert (market.available(1, BASE), market.available(1, QUOTE)) == (999_995, 1_000_500)
    assert (market.available(2, BASE), market.available(2, QUOTE)) == (1_000_005, 999_500)


def test_books_of_two_instruments_do_not_meet(market: Market) -> None:
    """An instrument is its own book."""
    market.given(list_instrument(2, "OTHER"), set_state(OPEN, 2), sell(1, lots=5, price=100, instrument=2))
    assert market.when(buy(2, lots=5, price=100)) == [accepted(2, BUY, 100, 5, held=500), rested(2, 2, BUY, 100, 5)]
    assert market.when(cancel(2, order=market.number(2))) == [cancelled(2, 2, BUY, 100, 5, released=500)]


def test_an_order_number_says_where_it_lives_and_is_never_used_twice(market: Market) -> None:
    """partition x 2^53 + generation x 2^24 + slot; a slot that is free again gets another generation."""
    numbers = set()
    for _ in range(50):
        market.given(buy(1, lots=1, price=100))
        number = market.number(len(market.numbers) - 1)
        market.given(cancel(1, order=number))
        assert number // 2**53 == 3
        numbers.add(number)
    assert len(numbers) == 50
