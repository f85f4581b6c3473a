"""Section 7 of docs/rules.md, mass cancel: of an account, or of an instrument."""

from __future__ import annotations

import pytest

from domain import rules
from domain.events import REMOVED_MASS_CANCEL
from domain.verbs import ACCOUNT_CLOSED, ACCOUNT_OPEN, ACCOUNT_RESTRICTED, BUY, HALTED, ONLY_BUYS, ONLY_SELLS, OPEN, SELL
from tests.market import (
    QUOTE,
    Event,
    Market,
    buy,
    change_account,
    deposit,
    list_instrument,
    mass_cancel,
    mass_cancelled,
    open_account,
    refused,
    removed,
    replace,
    sell,
    set_state,
)


@pytest.fixture
def quoted(market: Market) -> Market:
    """Account 1: order 1 buy 99, 2 sell 101, 3 buy 98 in instrument 2, 4 buy 98; account 2: 5 buy 99."""
    market.given(list_instrument(2, "OTHER"), set_state(OPEN, 2))
    market.given(buy(1, 5, 99), sell(1, 5, 101), buy(1, 5, 98, instrument=2), buy(1, 5, 98), buy(2, 5, 99))
    return market


def gone(order: int, account: int, side: int, price: int, instrument: int = 1) -> Event:
    released = 5 * price if side == BUY else 5
    return removed(REMOVED_MASS_CANCEL, order, account, side, price, 5, released, instrument)


def test_an_accounts_orders_go_newest_first(quoted: Market) -> None:
    """Everywhere, and nobody else's."""
    assert quoted.when(mass_cancel(1)) == [
        mass_cancelled(4),
        gone(4, 1, BUY, 98),
        gone(3, 1, BUY, 98, instrument=2),
        gone(2, 1, SELL, 101),
        gone(1, 1, BUY, 99),
    ]
    assert quoted.when(mass_cancel(2)) == [mass_cancelled(1), gone(5, 2, BUY, 99)]


def test_a_replace_does_not_make_an_order_newer(quoted: Market) -> None:
    """Even one that lost its priority: newest is by acceptance."""
    quoted.given(replace(1, price=97, order=quoted.number(1)))
    assert [happened.order for happened in quoted.when(mass_cancel(1))[1:]] == [4, 3, 2, 1]


def test_of_an_account_in_one_instrument(quoted: Market) -> None:
    assert quoted.when(mass_cancel(1, instrument=2)) == [mass_cancelled(1), gone(3, 1, BUY, 98, instrument=2)]


@pytest.mark.parametrize(("side_scope", "orders"), [(ONLY_BUYS, [4, 3, 1]), (ONLY_SELLS, [2])])
def test_of_an_account_on_one_side(quoted: Market, side_scope: int, orders: list[int]) -> None:
    events = quoted.when(mass_cancel(1, side_scope=side_scope))
    assert events[0] == mass_cancelled(len(orders))
    assert [happened.order for happened in events[1:]] == orders


def test_of_an_instrument_buys_before_sells_best_first_in_queue_order(quoted: Market) -> None:
    """Account 0: everybody's orders of that book."""
    assert quoted.when(mass_cancel(0, instrument=1)) == [
        mass_cancelled(4),
        gone(1, 1, BUY, 99),
        gone(5, 2, BUY, 99),
        gone(4, 1, BUY, 98),
        gone(2, 1, SELL, 101),
    ]


@pytest.mark.parametrize(("side_scope", "orders"), [(ONLY_BUYS, [1, 5, 4]), (ONLY_SELLS, [2])])
def test_of_an_instrument_on_one_side(quoted: Market, side_scope: int, orders: list[int]) -> None:
    events = quoted.when(mass_cancel(0, instrument=1, side_scope=side_scope))
    assert [happened.order for happened in events[1:]] == orders


def test_of_nothing_is_no_mistake(quoted: Market) -> None:
    """The scope is empty afterwards, as asked."""
    assert quoted.when(mass_cancel(3)) == [mass_cancelled(0)]
    assert quoted.when(mass_cancel(2, instrument=2)) == [mass_cancelled(0)]


def test_it_is_always_allowed(quoted: Market) -> None:
    """In a halt, and for a restricted account."""
    quoted.given(set_state(HALTED, 1), change_account(1, ACCOUNT_RESTRICTED))
    assert quoted.when(mass_cancel(1))[0] == mass_cancelled(4)


def test_an_unknown_scope_is_refused(quoted: Market) -> None:
    """The instrument is looked at first."""
    assert quoted.when(mass_cancel(0, instrument=3)) == [refused(rules.UNKNOWN_INSTRUMENT, 2, 3)]
    assert quoted.when(mass_cancel(9)) == [refused(rules.UNKNOWN_ACCOUNT, 3, 9)]
    assert quoted.when(mass_cancel(9, instrument=3)) == [refused(rules.UNKNOWN_INSTRUMENT, 2, 3)]


def test_a_closed_account_is_refused(quoted: Market) -> None:
    quoted.given(open_account(4), change_account(4, ACCOUNT_CLOSED))
    assert quoted.when(mass_cancel(4)) == [refused(rules.ACCOUNT_STATUS, ACCOUNT_OPEN, ACCOUNT_CLOSED)]


def test_of_an_instrument_it_cancels_at_most_16384_and_says_that_more_are_left(engine: Market) -> None:
    """Bounded work in one command; of an account there is no such bound."""
    engine.given(list_instrument(1), set_state(OPEN, 1), open_account(1), deposit(1, QUOTE, 1_000_000))
    for _ in range(2):
        engine.venue.execute(buy(1, 1, 50) * 9_000)
    events = engine.when(mass_cancel(0, instrument=1))
    assert events[0] == mass_cancelled(16_384, more=1)
    assert len(events) == 1 + 16_384
    assert engine.when(mass_cancel(0, instrument=1))[0] == mass_cancelled(18_000 - 16_384)

    for _ in range(2):
        engine.venue.execute(buy(1, 1, 50) * 9_000)
    assert engine.when(mass_cancel(1))[0] == mass_cancelled(18_000)
    assert engine.available(1, QUOTE) == 1_000_000
