"""Section 7 of docs/rules.md: finding an order, cancelling it, taking lots off it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain import rules
from domain.verbs import ACCOUNT_CLOSED, ACCOUNT_OPEN, ACCOUNT_RESTRICTED, BUY, CLOSED, HALTED, SELL
from tests.market import (
    Market,
    buy,
    cancel,
    cancelled,
    change_account,
    open_account,
    reduce,
    reduced,
    refused,
    replace,
    sell,
    set_state,
    traded,
)

Asks = Callable[..., bytes]


def reduce_one(account: int, **target: int) -> bytes:
    return reduce(account, 1, **target)


def replace_price(account: int, **target: int) -> bytes:
    return replace(account, price=90, **target)


EVERY_VERB = pytest.mark.parametrize("ask", [cancel, reduce_one, replace_price])


def test_an_order_is_found_by_the_engines_number(market: Market) -> None:
    market.given(buy(1, lots=5, price=100))
    assert market.when(cancel(1, order=market.number(1))) == [cancelled(1, 1, BUY, 100, 5, released=500)]


def test_an_order_is_found_by_its_clients_own_id(market: Market) -> None:
    """Clients never need to wait for our number."""
    market.given(sell(1, lots=5, price=100, client_order_id=77), sell(2, lots=5, price=100, client_order_id=77))
    assert market.when(cancel(2, client_order_id=77)) == [cancelled(2, 2, SELL, 100, 5, released=5)]


@EVERY_VERB
def test_another_accounts_order_is_unknown(market: Market, ask: Asks) -> None:
    """Neither by number nor by id does it show that it exists. The rule names who asked and for what."""
    market.given(buy(1, lots=5, price=100, client_order_id=77))
    assert market.when(ask(2, order=market.number(1))) == [refused(rules.UNKNOWN_ORDER, 2, 1)]
    assert market.when(ask(2, client_order_id=77)) == [refused(rules.UNKNOWN_ORDER, 2, 77)]


@EVERY_VERB
def test_an_order_that_is_not_live_is_unknown(market: Market, ask: Asks) -> None:
    """Cancelled, filled or never there: to the book it is the same."""
    market.given(buy(1, lots=5, price=100, client_order_id=77), cancel(1, client_order_id=77))
    assert market.when(ask(1, order=market.number(1))) == [refused(rules.UNKNOWN_ORDER, 1, 1)]
    assert market.when(ask(1, client_order_id=77)) == [refused(rules.UNKNOWN_ORDER, 1, 77)]
    assert market.when(ask(1, order=2**62)) == [refused(rules.UNKNOWN_ORDER, 1, 2**62)]


@EVERY_VERB
def test_a_slot_used_again_does_not_answer_to_its_old_number(market: Market, ask: Asks) -> None:
    """The number carries a generation: the second order cannot be taken for the first."""
    market.given(buy(1, lots=5, price=100))
    market.given(cancel(1, order=market.number(1)), buy(1, lots=5, price=100))
    assert market.when(ask(1, order=market.number(1))) == [refused(rules.UNKNOWN_ORDER, 1, 1)]


@EVERY_VERB
def test_the_account_is_looked_at_before_the_order(market: Market, ask: Asks) -> None:
    """It must be opened and not closed."""
    market.given(open_account(4), change_account(4, ACCOUNT_CLOSED))
    assert market.when(ask(9, client_order_id=77)) == [refused(rules.UNKNOWN_ACCOUNT, 4, 9)]
    assert market.when(ask(4, client_order_id=77)) == [refused(rules.ACCOUNT_STATUS, ACCOUNT_OPEN, ACCOUNT_CLOSED)]


@pytest.mark.parametrize("state", [HALTED, CLOSED])
def test_cancels_and_reductions_are_always_allowed(market: Market, state: int) -> None:
    """A halt stops trading; it takes nobody's way out."""
    market.given(buy(1, lots=5, price=100), set_state(state, 1), change_account(1, ACCOUNT_RESTRICTED))
    assert market.when(reduce(1, 2, order=market.number(1))) == [reduced(1, 1, BUY, 100, 2, released=200, remaining=3)]
    assert market.when(cancel(1, order=market.number(1))) == [cancelled(1, 1, BUY, 100, 3, released=300)]


def test_a_reduction_keeps_priority(market: Market) -> None:
    """Wanting less takes nothing from those behind."""
    market.given(sell(1, lots=5, price=100), sell(3, lots=5, price=100))
    assert market.when(reduce(1, 4, order=market.number(1))) == [reduced(1, 1, SELL, 100, 4, released=4, remaining=1)]
    assert market.when(buy(2, lots=2, price=100))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=100, lots=1, buyer_released=100),
        traded(BUY, maker=2, maker_account=3, price=100, lots=1, buyer_released=100),
    ]


def test_reduced_by_all_its_lots_an_order_is_gone(market: Market) -> None:
    market.given(buy(1, lots=5, price=100))
    assert market.when(reduce(1, 5, order=market.number(1))) == [reduced(1, 1, BUY, 100, 5, released=500, remaining=0)]
    assert market.when(cancel(1, order=market.number(1))) == [refused(rules.UNKNOWN_ORDER, 1, 1)]


def test_a_reduction_is_of_at_least_one_lot(market: Market) -> None:
    market.given(buy(1, lots=5, price=100))
    assert market.when(reduce(1, 0, order=market.number(1))) == [refused(rules.MIN_QUANTITY, 1, 0)]


def test_a_reduction_is_of_at_most_the_open_lots(market: Market) -> None:
    """Of those, not of the quantity it was entered with."""
    market.given(buy(1, lots=5, price=100), sell(2, lots=2, price=100))
    assert market.when(reduce(1, 4, order=market.number(1))) == [refused(rules.MAX_QUANTITY, 3, 4)]
    assert market.when(reduce(1, 3, order=market.number(1)))[0].remaining_lots == 0


def test_a_reduced_buy_holds_as_after_a_fill(with_fees: Market) -> None:
    """Cost of the open lots and the fee bound of them: 400 and 1, of 502 before."""
    with_fees.given(buy(1, lots=5, price=100))
    assert with_fees.when(reduce(1, 1, order=with_fees.number(1))) == [reduced(1, 1, BUY, 100, 1, released=101, remaining=4)]


def test_a_cancelled_orders_client_id_is_free_again(market: Market) -> None:
    """It is unique among live orders only."""
    market.given(buy(1, lots=5, price=100, client_order_id=77))
    assert market.when(buy(1, lots=5, price=100, client_order_id=77)) == [refused(rules.CLIENT_ORDER_ID_IN_USE, 1, 77)]
    market.given(cancel(1, client_order_id=77), buy(1, lots=5, price=100, client_order_id=77))


def test_a_filled_orders_client_id_is_free_again(market: Market) -> None:
    market.given(buy(1, lots=5, price=100, client_order_id=77), sell(2, lots=5, price=100))
    market.given(buy(1, lots=5, price=100, client_order_id=77))


def test_orders_without_client_id_are_many(market: Market) -> None:
    """0 is none, and none is never in use."""
    market.given(buy(1, lots=5, price=100), buy(1, lots=5, price=100))
