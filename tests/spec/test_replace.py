"""Section 7 of docs/rules.md, replace: price, open quantity and client order id, all or nothing."""

from __future__ import annotations

import pytest

from domain import rules
from domain.events import REMOVED_EXPIRED, REMOVED_SELF_TRADE
from domain.verbs import (
    ACCOUNT_OPEN,
    ACCOUNT_RESTRICTED,
    BUY,
    CLOSED,
    GTD,
    HALTED,
    OPEN,
    POST_ONLY_REFUSE,
    POST_ONLY_SLIDE,
    PRE_OPEN,
    SELL,
    STP_CANCEL_NEWEST,
)
from tests.market import (
    BASE,
    QUOTE,
    Market,
    buy,
    cancel,
    change_account,
    deposit,
    list_instrument,
    open_account,
    prevented,
    refused,
    removed,
    replace,
    replaced,
    rested,
    sell,
    set_state,
    tick,
    ticked,
    traded,
    withdraw,
)


def test_a_smaller_quantity_keeps_priority(market: Market) -> None:
    """The same as a reduction: nobody behind loses by it."""
    market.given(sell(1, lots=5, price=100), sell(3, lots=5, price=100))
    assert market.when(replace(1, lots=2, order=market.number(1))) == [
        replaced(1, SELL, was=(100, 5), now=(100, 2), held_change=-3, kept_priority=1),
    ]
    assert market.when(buy(2, lots=3, price=100))[1].maker_order == 1


def test_a_greater_quantity_loses_priority(market: Market) -> None:
    """It enters anew: behind those who wait at its price."""
    market.given(sell(1, lots=5, price=100), sell(3, lots=5, price=100))
    assert market.when(replace(1, lots=6, order=market.number(1))) == [
        replaced(1, SELL, was=(100, 5), now=(100, 6), held_change=1),
        rested(1, 1, SELL, 100, 6),
    ]
    assert market.when(buy(2, lots=3, price=100))[1].maker_order == 2


@pytest.mark.parametrize("price", [99, 101])
def test_another_price_loses_priority(market: Market, price: int) -> None:
    """Better or worse; come back to the old price it is the last there."""
    market.given(sell(1, lots=5, price=100), sell(3, lots=5, price=100))
    assert market.when(replace(1, price=price, order=market.number(1))) == [
        replaced(1, SELL, was=(100, 5), now=(price, 5), held_change=0),
        rested(1, 1, SELL, price, 5),
    ]
    market.given(replace(1, price=100, order=market.number(1)))
    assert market.when(buy(2, lots=3, price=100))[1].maker_order == 2


def test_another_price_with_fewer_lots_loses_priority(market: Market) -> None:
    market.given(buy(1, lots=5, price=100))
    assert market.when(replace(1, lots=2, price=90, order=market.number(1))) == [
        replaced(1, BUY, was=(100, 5), now=(90, 2), held_change=180 - 500),
        rested(1, 1, BUY, 90, 2),
    ]


@pytest.mark.parametrize("fields", [{}, {"lots": 5}, {"price": 100}, {"lots": 5, "price": 100}, {"new_client_order_id": 7}])
def test_nothing_changed_keeps_priority(market: Market, fields: dict[str, int]) -> None:
    """0 is unchanged, and so is the value it has; naming its present client id is no change."""
    market.given(sell(1, lots=5, price=100, client_order_id=7), sell(3, lots=5, price=100))
    assert market.when(replace(1, client_order_id=7, **fields)) == [
        replaced(1, SELL, was=(100, 5), now=(100, 5), held_change=0, kept_priority=1),
    ]
    assert market.when(buy(2, lots=3, price=100))[1].maker_order == 1


def test_a_new_client_order_id_alone_keeps_priority(market: Market) -> None:
    """The old id is free, the new one names the order."""
    market.given(sell(1, lots=5, price=100, client_order_id=7))
    assert market.when(replace(1, client_order_id=7, new_client_order_id=8)) == [
        replaced(1, SELL, was=(100, 5), now=(100, 5), held_change=0, kept_priority=1),
    ]
    assert market.when(cancel(1, client_order_id=7)) == [refused(rules.UNKNOWN_ORDER, 1, 7)]
    market.given(sell(1, lots=5, price=100, client_order_id=7), cancel(1, client_order_id=8))


def test_a_new_client_order_id_must_be_free(market: Market) -> None:
    """Among the account's own live orders; other accounts have their own names."""
    market.given(buy(1, 5, 100, client_order_id=7), buy(1, 5, 100, client_order_id=8), buy(2, 5, 100, client_order_id=9))
    assert market.when(replace(1, client_order_id=7, new_client_order_id=8)) == [refused(rules.CLIENT_ORDER_ID_IN_USE, 2, 8)]
    market.given(replace(1, client_order_id=7, new_client_order_id=9))


def test_the_open_quantity_is_replaced_not_the_one_it_was_entered_with(market: Market) -> None:
    market.given(sell(1, lots=5, price=100), buy(2, lots=2, price=100))
    assert market.when(replace(1, lots=4, order=market.number(1))) == [
        replaced(1, SELL, was=(100, 3), now=(100, 4), held_change=1),
        rested(1, 1, SELL, 100, 4),
    ]


def test_a_replaced_order_takes_what_its_new_price_reaches(market: Market) -> None:
    """It enters as an incoming order of its own side; what is left rests at the end of the queue. It keeps its number."""
    market.given(sell(1, lots=2, price=105), buy(2, lots=5, price=100), buy(3, lots=1, price=105 - 1))
    assert market.when(replace(2, price=106, order=market.number(2))) == [
        replaced(2, BUY, was=(100, 5), now=(106, 5), held_change=30),
        traded(BUY, maker=1, maker_account=1, price=105, lots=2, buyer_released=212),
        rested(2, 2, BUY, 106, 3),
    ]


def test_a_replaced_order_may_be_filled_whole(market: Market) -> None:
    market.given(sell(1, lots=5, price=105), buy(2, lots=5, price=100))
    assert market.when(replace(2, price=105, order=market.number(2)))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=105, lots=5, buyer_released=525),
    ]
    assert market.when(cancel(2, order=market.number(2))) == [refused(rules.UNKNOWN_ORDER, 2, 2)]


def test_it_keeps_its_self_trade_mode(market: Market) -> None:
    """Prevention works for a replaced order as for a new one."""
    market.given(sell(1, lots=5, price=105), buy(1, lots=5, price=100, stp=STP_CANCEL_NEWEST))
    assert market.when(replace(1, price=105, order=market.number(2)))[1:] == [
        removed(REMOVED_SELF_TRADE, 2, 1, BUY, 105, 5, released=525),
    ]


def test_decrement_may_end_a_replaced_order(market: Market) -> None:
    market.given(sell(1, lots=5, price=105), buy(1, lots=5, price=100, stp=4))
    assert market.when(replace(1, price=105, order=market.number(2)))[1:] == [
        prevented(BUY, maker=1, maker_account=1, price=105, lots=5, taker_released=525, maker_released=5),
    ]


def test_it_keeps_its_expiry(market: Market) -> None:
    market.given(buy(1, lots=5, price=100, time_in_force=GTD, expires_ns=50))
    market.given(replace(1, price=90, order=market.number(1)))
    assert market.when(tick(50)) == [ticked(1), removed(REMOVED_EXPIRED, 1, 1, BUY, 90, 5, released=450)]


# --- when it may lose its priority -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [HALTED, CLOSED])
def test_no_replace_that_loses_priority_while_nothing_trades(market: Market, state: int) -> None:
    """A reduction is allowed even then."""
    market.given(buy(1, lots=5, price=100), set_state(state, 1))
    assert market.when(replace(1, price=90, order=market.number(1))) == [refused(rules.INSTRUMENT_STATE, OPEN, state)]
    assert market.when(replace(1, lots=6, order=market.number(1))) == [refused(rules.INSTRUMENT_STATE, OPEN, state)]
    market.given(replace(1, lots=4, order=market.number(1)))


def test_a_restricted_account_may_only_reduce(market: Market) -> None:
    """account_status stands before instrument_state."""
    market.given(buy(1, lots=5, price=100), change_account(1, ACCOUNT_RESTRICTED), set_state(HALTED, 1))
    refusal = [refused(rules.ACCOUNT_STATUS, ACCOUNT_OPEN, ACCOUNT_RESTRICTED)]
    assert market.when(replace(1, price=90, order=market.number(1))) == refusal
    market.given(replace(1, lots=4, order=market.number(1)))


def test_the_client_order_id_is_looked_at_before_the_account_is_restricted(market: Market) -> None:
    market.given(buy(1, 5, 100, client_order_id=7), buy(1, 5, 100, client_order_id=8), change_account(1, ACCOUNT_RESTRICTED))
    order = replace(1, price=90, client_order_id=7, new_client_order_id=8)
    assert market.when(order) == [refused(rules.CLIENT_ORDER_ID_IN_USE, 2, 8)]


def test_in_pre_open_a_replace_must_not_take(market: Market) -> None:
    market.given(sell(1, lots=5, price=105), buy(2, lots=5, price=100), set_state(HALTED, 1), set_state(PRE_OPEN, 1))
    assert market.when(replace(2, price=105, order=market.number(2))) == [refused(rules.WOULD_TAKE, 105, 105)]
    market.given(replace(2, price=104, order=market.number(2)))


def test_a_post_only_order_stays_post_only(market: Market) -> None:
    market.given(sell(1, lots=5, price=105), buy(2, lots=5, price=100, post_only=POST_ONLY_REFUSE))
    assert market.when(replace(2, price=105, order=market.number(2))) == [refused(rules.WOULD_TAKE, 105, 105)]


def test_a_slide_may_move_the_new_price(market: Market) -> None:
    """It holds what the slid price costs; slid back to where it was, it has lost its priority all the same."""
    market.given(sell(1, lots=5, price=105), buy(2, lots=5, price=100, post_only=POST_ONLY_SLIDE))
    assert market.when(replace(2, price=107, order=market.number(2))) == [
        replaced(2, BUY, was=(100, 5), now=(104, 5), held_change=20),
        rested(2, 2, BUY, 104, 5),
    ]
    market.given(buy(3, lots=1, price=104))
    assert market.when(replace(2, price=107, order=market.number(2))) == [
        replaced(2, BUY, was=(104, 5), now=(104, 5), held_change=0),
        rested(2, 2, BUY, 104, 5),
    ]
    assert market.when(sell(1, lots=1, price=104))[1].maker_order == 3


# --- the rules of size and funds ----------------------------------------------------------------------------------------------


@pytest.fixture
def bounded(empty: Market) -> Market:
    """Band 50 to 150, at most 10 lots and 1,200 of notional; account 1 has a buy of 5 at 100 (order 1, client id 7)."""
    empty.given(list_instrument(1, band_low_ticks=50, band_high_ticks=150, max_quantity_lots=10, max_notional=1_200), set_state(OPEN, 1))
    empty.given(open_account(1), deposit(1, QUOTE, 2_000), open_account(2), deposit(2, BASE, 100), buy(1, 5, 100, client_order_id=7))
    return empty


def test_the_new_price_is_inside_the_band(bounded: Market) -> None:
    assert bounded.when(replace(1, price=49, client_order_id=7)) == [refused(rules.PRICE_BAND, 50, 49)]
    assert bounded.when(replace(1, price=151, client_order_id=7)) == [refused(rules.PRICE_BAND, 150, 151)]


def test_the_new_quantity_is_within_the_instruments_maximum(bounded: Market) -> None:
    assert bounded.when(replace(1, lots=11, client_order_id=7)) == [refused(rules.MAX_QUANTITY, 10, 11)]


def test_the_new_notional_is_within_the_instruments_maximum(bounded: Market) -> None:
    assert bounded.when(replace(1, lots=9, price=134, client_order_id=7)) == [refused(rules.MAX_NOTIONAL, 1_200, 1_206)]


def test_the_accounts_limits_hold_for_a_replace(bounded: Market) -> None:
    """As they are now, not as they were when it was entered."""
    bounded.given(change_account(1, max_quantity_lots=4))
    assert bounded.when(replace(1, price=90, client_order_id=7)) == [refused(rules.ACCOUNT_MAX_QUANTITY, 4, 5)]
    bounded.given(change_account(1, max_notional=500))
    assert bounded.when(replace(1, price=101, client_order_id=7)) == [refused(rules.ACCOUNT_MAX_NOTIONAL, 500, 505)]
    bounded.given(replace(1, lots=4, client_order_id=7))


def test_a_replace_needs_no_room_for_another_order(bounded: Market) -> None:
    """It has its place among the open orders."""
    bounded.given(change_account(1, max_open_orders=1), replace(1, price=90, client_order_id=7))


def test_what_it_holds_now_pays_for_what_it_will_hold(bounded: Market) -> None:
    """Available 400 and held 500 pay for 900, not for 909; refused, it stays as it was."""
    bounded.given(withdraw(1, QUOTE, 1_100))
    assert bounded.when(replace(1, lots=9, price=101, client_order_id=7)) == [refused(rules.INSUFFICIENT_FUNDS, 900, 909)]
    assert bounded.when(replace(1, lots=9, client_order_id=7)) == [
        replaced(1, BUY, was=(100, 5), now=(100, 9), held_change=400),
        rested(1, 1, BUY, 100, 9),
    ]
    assert bounded.available(1, QUOTE) == 0


def test_a_replace_that_is_refused_changes_nothing(bounded: Market) -> None:
    """All or nothing: not even the client order id, which alone would have been right."""
    bounded.when(replace(1, price=151, client_order_id=7, new_client_order_id=8))
    assert bounded.when(cancel(1, client_order_id=7))[0].name == "OrderCancelled"


def test_a_sell_needs_stock_for_a_greater_quantity(bounded: Market) -> None:
    bounded.given(withdraw(2, BASE, 93), sell(2, lots=5, price=120))
    assert bounded.when(replace(2, lots=8, order=bounded.number(2))) == [refused(rules.INSUFFICIENT_FUNDS, 7, 8)]
