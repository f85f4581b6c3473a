"""Section 8 of docs/rules.md: the clock tick, which alone makes orders expire."""

from __future__ import annotations

from domain.events import REMOVED_EXPIRED
from domain.verbs import BUY, DAY, GTD, HALTED, SELL
from tests.market import BASE, QUOTE, Market, buy, cancel, deposit, list_instrument, open_account, removed, sell, set_state, tick, ticked

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS


def test_an_order_expires_at_its_nanosecond(market: Market) -> None:
    """Not one earlier."""
    market.given(buy(1, 5, 100, time_in_force=GTD, expires_ns=50))
    assert market.when(tick(49)) == [ticked(0)]
    assert market.when(tick(50)) == [ticked(1), removed(REMOVED_EXPIRED, 1, 1, BUY, 100, 5, released=500)]
    assert market.when(tick(51)) == [ticked(0)]


def test_between_ticks_a_due_order_still_trades(market: Market) -> None:
    """The rule is the tick, so that time alone changes nothing."""
    market.given(buy(1, 5, 100, time_in_force=GTD, expires_ns=50))
    assert market.when(sell(2, 2, 100, received_ns=60))[1].name == "TradeExecuted"
    assert market.when(tick(60)) == [ticked(1), removed(REMOVED_EXPIRED, 1, 1, BUY, 100, 3, released=300)]


def test_the_earliest_expiry_goes_first_among_equals_the_first_accepted(market: Market) -> None:
    for expires_ns in (70, 50, 70, 60, 50):
        market.given(sell(1, 1, 100, time_in_force=GTD, expires_ns=expires_ns))
    assert [happened.order for happened in market.when(tick(100))[1:]] == [2, 5, 4, 1, 3]


def test_what_is_not_due_stays(market: Market) -> None:
    market.given(sell(1, 1, 100, time_in_force=GTD, expires_ns=70), sell(1, 1, 100), sell(1, 1, 100, time_in_force=GTD, expires_ns=71))
    assert market.when(tick(70)) == [ticked(1), removed(REMOVED_EXPIRED, 1, 1, SELL, 100, 1, released=1)]


def test_day_orders_expire_at_the_day_end_of_their_instrument(empty: Market) -> None:
    """Each market has its own evening."""
    empty.given(list_instrument(1, day_end_ns=17 * HOUR_NS), list_instrument(2, "LATE", day_end_ns=22 * HOUR_NS))
    empty.given(set_state(2, 1), set_state(2, 2), open_account(1), deposit(1, QUOTE, 1_000))
    empty.given(buy(1, 1, 100, instrument=2, time_in_force=DAY), buy(1, 1, 100, time_in_force=DAY))
    assert empty.when(tick(17 * HOUR_NS)) == [ticked(1), removed(REMOVED_EXPIRED, 2, 1, BUY, 100, 1, released=100)]
    assert empty.when(tick(22 * HOUR_NS))[1].order == 1


def test_orders_expire_whatever_the_state(market: Market) -> None:
    market.given(buy(1, 5, 100, time_in_force=GTD, expires_ns=50), set_state(HALTED, 1))
    assert market.when(tick(50))[0] == ticked(1)


def test_a_cancelled_order_does_not_expire(market: Market) -> None:
    market.given(buy(1, 5, 100, time_in_force=GTD, expires_ns=50))
    market.given(cancel(1, order=market.number(1)))
    assert market.when(tick(50)) == [ticked(0)]


def test_a_tick_removes_at_most_4096_and_says_that_others_are_due(engine: Market) -> None:
    """Bounded work; the rest on the next."""
    engine.given(list_instrument(1), set_state(2, 1), open_account(1), deposit(1, BASE, 10_000))
    engine.venue.execute(sell(1, 1, 100, time_in_force=GTD, expires_ns=50) * 5_000)
    events = engine.when(tick(50))
    assert events[0] == ticked(4_096, more=1)
    assert len(events) == 1 + 4_096
    assert engine.when(tick(50))[0] == ticked(904)
    assert engine.available(1, BASE) == 10_000
