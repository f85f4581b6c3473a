"""Section 4 of docs/rules.md, steps 2, 3, 8 and 9: how long an order lives, and market orders."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from domain import rules
from domain.events import REMOVED_BUDGET, REMOVED_IOC
from domain.verbs import BUY, DAY, FOK, GTC, GTD, HALTED, IOC, MARKET, OPEN, POST_ONLY_REFUSE, POST_ONLY_SLIDE, SELL
from tests.market import (
    QUOTE,
    Market,
    accepted,
    buy,
    deposit,
    list_instrument,
    open_account,
    refused,
    removed,
    rested,
    sell,
    set_state,
    tick,
    ticked,
    traded,
)

DAY_NS = 86_400 * 10**9


def test_the_remainder_of_an_ioc_is_removed(market: Market) -> None:
    """Immediate or cancel: it takes what is there and never rests."""
    market.given(sell(1, lots=2, price=100))
    assert market.when(buy(2, lots=5, price=101, time_in_force=IOC)) == [
        accepted(2, BUY, 101, 5, held=505),
        traded(BUY, maker=1, maker_account=1, price=100, lots=2, buyer_released=202),
        removed(REMOVED_IOC, 2, 2, BUY, 101, 3, released=303),
    ]


def test_an_ioc_that_meets_nobody_is_accepted_and_removed(market: Market) -> None:
    """Finding nothing is no mistake of the client: it is an outcome, not a refusal."""
    assert market.when(sell(2, lots=5, price=101, time_in_force=IOC)) == [
        accepted(1, SELL, 101, 5, held=5),
        removed(REMOVED_IOC, 1, 2, SELL, 101, 5, released=5),
    ]


def test_a_filled_ioc_leaves_no_remainder(market: Market) -> None:
    market.given(sell(1, lots=5, price=100))
    assert market.when(buy(2, lots=5, price=100, time_in_force=IOC)) == [
        accepted(2, BUY, 100, 5, held=500),
        traded(BUY, maker=1, maker_account=1, price=100, lots=5, buyer_released=500),
    ]


def test_fok_is_filled_whole(market: Market) -> None:
    """Over several makers and prices, within its limit."""
    market.given(sell(1, lots=2, price=100), sell(3, lots=3, price=101))
    assert market.when(buy(2, lots=5, price=101, time_in_force=FOK)) == [
        accepted(3, BUY, 101, 5, held=505),
        traded(BUY, maker=1, maker_account=1, price=100, lots=2, buyer_released=202),
        traded(BUY, maker=2, maker_account=3, price=101, lots=3, buyer_released=303),
    ]


def test_fok_that_cannot_be_filled_whole_is_refused(market: Market) -> None:
    """Fill or kill: all or nothing; the event says how much there was. What is beyond its limit does not count."""
    market.given(sell(1, lots=2, price=100), sell(3, lots=3, price=102))
    assert market.when(buy(2, lots=5, price=101, time_in_force=FOK)) == [refused(rules.FOK_UNFILLABLE, 2, 5)]
    assert market.when(buy(2, lots=2, price=101, time_in_force=FOK))[0].name == "OrderAccepted"


def test_funds_are_looked_at_before_fok(market: Market) -> None:
    """The order of the rules: insufficient_funds stands before fok_unfillable."""
    assert market.when(buy(2, lots=1_000_000, price=2, time_in_force=FOK)) == [refused(rules.INSUFFICIENT_FUNDS, 1_000_000, 2_000_000)]


def test_a_market_order_trades_at_any_price_up_to_its_protection(market: Market) -> None:
    """The protection price is its limit; what it cannot fill within it is the remainder of an IOC."""
    market.given(sell(1, lots=1, price=100), sell(1, lots=1, price=110), sell(1, lots=1, price=120))
    assert market.when(buy(2, lots=5, price=110, order_type=MARKET, time_in_force=IOC)) == [
        accepted(4, BUY, 110, 5, held=550),
        traded(BUY, maker=1, maker_account=1, price=100, lots=1, buyer_released=110),
        traded(BUY, maker=2, maker_account=1, price=110, lots=1, buyer_released=110),
        removed(REMOVED_IOC, 4, 2, BUY, 110, 3, released=330),
    ]


def test_a_market_order_may_be_fok(market: Market) -> None:
    market.given(buy(1, lots=3, price=100))
    assert market.when(sell(2, lots=4, price=90, order_type=MARKET, time_in_force=FOK)) == [refused(rules.FOK_UNFILLABLE, 3, 4)]
    assert market.when(sell(2, lots=3, price=90, order_type=MARKET, time_in_force=FOK)) == [
        accepted(2, SELL, 90, 3, held=3),
        traded(SELL, maker=1, maker_account=1, price=100, lots=3, buyer_released=300),
    ]


@pytest.mark.parametrize("order", [buy, sell])
def test_a_market_order_needs_a_bound(market: Market, order: Callable[..., bytes]) -> None:
    """Nobody gives a blank cheque: a protection price, or for a buy a budget. Price 0 is no mistake of form."""
    assert market.when(order(1, 5, 0, order_type=MARKET, time_in_force=IOC)) == [refused(rules.MARKET_WITHOUT_BOUND, 0, 0)]


def test_a_budget_is_no_bound_for_a_market_sell(market: Market) -> None:
    """A seller spends stock, not money."""
    order = sell(1, lots=5, price=0, order_type=MARKET, time_in_force=IOC, budget=100)
    assert market.when(order) == [refused(rules.MARKET_WITHOUT_BOUND, 0, 0)]


@pytest.mark.parametrize("time_in_force", [GTC, DAY])
def test_a_market_order_must_not_rest(market: Market, time_in_force: int) -> None:
    order = buy(1, lots=5, price=100, order_type=MARKET, time_in_force=time_in_force)
    assert market.when(order) == [refused(rules.MARKET_MUST_NOT_REST, IOC, time_in_force)]


def test_a_market_order_must_not_be_gtd(market: Market) -> None:
    order = buy(1, lots=5, price=100, order_type=MARKET, time_in_force=GTD, expires_ns=10)
    assert market.when(order) == [refused(rules.MARKET_MUST_NOT_REST, IOC, GTD)]


@pytest.mark.parametrize(
    "order",
    [
        buy(1, lots=5, price=100, budget=70),
        buy(1, lots=5, price=100, budget=70, time_in_force=IOC),
        buy(1, lots=5, price=100, budget=70, time_in_force=FOK, order_type=MARKET),
        sell(1, lots=5, price=100, budget=70, time_in_force=IOC, order_type=MARKET),
    ],
    ids=["limit", "limit IOC", "market FOK", "market sell"],
)
def test_only_a_market_buy_that_is_ioc_has_a_budget(market: Market, order: bytes) -> None:
    assert market.when(order) == [refused(rules.BUDGET_NOT_ALLOWED, 0, 70)]


@pytest.mark.parametrize("post_only", [POST_ONLY_REFUSE, POST_ONLY_SLIDE])
@pytest.mark.parametrize("time_in_force", [IOC, FOK])
def test_post_only_needs_an_order_that_can_rest(market: Market, post_only: int, time_in_force: int) -> None:
    order = buy(1, lots=5, price=100, time_in_force=time_in_force, post_only=post_only)
    assert market.when(order) == [refused(rules.POST_ONLY_MUST_REST, 0, post_only)]


def test_the_four_rules_of_kind_are_asked_in_the_order_of_the_table(market: Market) -> None:
    """One order that breaks them all names the first; mended one by one, it names the next."""
    all_wrong = {"order_type": MARKET, "time_in_force": DAY, "budget": 9, "post_only": POST_ONLY_REFUSE}
    assert market.when(sell(1, 5, 0, **all_wrong)) == [refused(rules.MARKET_WITHOUT_BOUND, 0, 0)]
    assert market.when(sell(1, 5, 100, **all_wrong)) == [refused(rules.MARKET_MUST_NOT_REST, IOC, DAY)]
    assert market.when(sell(1, 5, 100, **all_wrong | {"time_in_force": IOC})) == [refused(rules.BUDGET_NOT_ALLOWED, 0, 9)]
    all_wrong |= {"time_in_force": IOC, "budget": 0}
    assert market.when(sell(1, 5, 100, **all_wrong)) == [refused(rules.POST_ONLY_MUST_REST, 0, POST_ONLY_REFUSE)]


# --- budget -----------------------------------------------------------------------------------------------------------


def with_budget(account: int, lots: int, budget: int, price: int = 0, **fields: int) -> bytes:
    return buy(account, lots, price, order_type=MARKET, time_in_force=IOC, budget=budget, **fields)


def test_a_budget_holds_itself_and_its_limit_is_the_upper_edge_of_the_band(market: Market) -> None:
    """Without price, everything inside the band may be bought."""
    assert market.when(with_budget(1, lots=9, budget=250)) == [
        accepted(1, BUY, 1_000_000, 9, held=250),
        removed(REMOVED_IOC, 1, 1, BUY, 1_000_000, 9, released=250),
    ]


def test_a_budget_buys_the_lots_it_can_pay_for(market: Market) -> None:
    """The fill is cut short at what is left of it; then it is spent, and the change goes back."""
    market.given(sell(1, lots=1, price=100), sell(1, lots=5, price=60))
    assert market.when(with_budget(2, lots=9, budget=170)) == [
        accepted(3, BUY, 1_000_000, 9, held=170),
        traded(BUY, maker=2, maker_account=1, price=60, lots=2, buyer_released=120),
        removed(REMOVED_BUDGET, 3, 2, BUY, 1_000_000, 7, released=50),
    ]


def test_a_budget_that_cannot_pay_one_lot_is_spent(market: Market) -> None:
    market.given(sell(1, lots=5, price=60))
    assert market.when(with_budget(2, lots=9, budget=59)) == [
        accepted(2, BUY, 1_000_000, 9, held=59),
        removed(REMOVED_BUDGET, 2, 2, BUY, 1_000_000, 9, released=59),
    ]


def test_a_budget_order_that_gets_all_its_lots_gives_the_rest_back_with_the_last_fill(market: Market) -> None:
    """It holds budget minus spent until it is done; done, it holds nothing."""
    market.given(sell(1, lots=1, price=60), sell(1, lots=1, price=61))
    assert market.when(with_budget(2, lots=2, budget=500)) == [
        accepted(3, BUY, 1_000_000, 2, held=500),
        traded(BUY, maker=1, maker_account=1, price=60, lots=1, buyer_released=60),
        traded(BUY, maker=2, maker_account=1, price=61, lots=1, buyer_released=440),
    ]
    assert market.available(2, 2) == 1_000_000 - 121


def test_price_and_budget_bind_both(market: Market) -> None:
    """Whichever ends first: here the price, then the budget."""
    market.given(sell(1, lots=1, price=60), sell(1, lots=1, price=70))
    assert market.when(with_budget(2, lots=9, budget=500, price=65)) == [
        accepted(3, BUY, 65, 9, held=500),
        traded(BUY, maker=1, maker_account=1, price=60, lots=1, buyer_released=60),
        removed(REMOVED_IOC, 3, 2, BUY, 65, 8, released=440),
    ]
    assert market.when(with_budget(2, lots=9, budget=69, price=75))[1:] == [
        removed(REMOVED_BUDGET, 4, 2, BUY, 75, 9, released=69),
    ]


def test_a_budget_pays_the_fee_too(with_fees: Market) -> None:
    """One lot at 1,000 costs 1,003 with a fee of 2.5, rounded up."""
    with_fees.given(sell(1, lots=5, price=1_000))
    assert with_fees.when(with_budget(2, lots=5, budget=1_002))[1:] == [
        removed(REMOVED_BUDGET, 2, 2, BUY, 1_000_000, 5, released=1_002),
    ]
    assert with_fees.when(with_budget(2, lots=5, budget=2_006))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=1_000, lots=2, buyer_released=2_005, taker_fee=5, maker_fee=2),
        removed(REMOVED_BUDGET, 3, 2, BUY, 1_000_000, 3, released=1),
    ]


# --- expiry -----------------------------------------------------------------------------------------------------------


def test_gtd_must_expire_in_the_future(market: Market) -> None:
    """`expires_ns` is the nanosecond from which the order is dead, so the present is too late."""
    market.given(tick(100))
    order = buy(1, 5, 100, time_in_force=GTD, expires_ns=100)
    assert market.when(order) == [refused(rules.EXPIRY_PASSED, 100, 100)]
    assert market.when(buy(1, 5, 100, time_in_force=GTD, expires_ns=101)) == [
        accepted(1, BUY, 100, 5, held=500, expires_ns=101),
        rested(1, 1, BUY, 100, 5),
    ]


@pytest.mark.parametrize(
    ("day_end_ns", "now", "expires_ns"),
    [
        (0, 5, DAY_NS),
        (0, 0, DAY_NS),
        (3_600, 5, 3_600),
        (3_600, 3_600, 3_600 + DAY_NS),
        (3_600, 10 * DAY_NS + 3_599, 10 * DAY_NS + 3_600),
        (DAY_NS - 1, 10 * DAY_NS, 11 * DAY_NS - 1),
    ],
)
def test_day_expires_at_the_first_day_end_after_now(empty: Market, day_end_ns: int, now: int, expires_ns: int) -> None:
    """After, not at: an order entered at the very end lives through the next day."""
    empty.given(list_instrument(1, day_end_ns=day_end_ns), set_state(OPEN, 1), open_account(1), deposit(1, QUOTE, 500), tick(now))
    assert empty.when(buy(1, 5, 100, time_in_force=DAY)) == [
        accepted(1, BUY, 100, 5, held=500, expires_ns=expires_ns),
        rested(1, 1, BUY, 100, 5),
    ]


def test_gtc_never_expires(market: Market) -> None:
    market.given(buy(1, 5, 100))
    assert market.when(tick(2**62 - 1)) == [ticked(0)]
    assert market.when(sell(2, 5, 100))[1].name == "TradeExecuted"


def test_a_halted_instrument_refuses_before_the_kind_is_looked_at(market: Market) -> None:
    """instrument_state stands before market_without_bound."""
    market.given(set_state(HALTED, 1))
    order = buy(1, lots=5, price=0, order_type=MARKET, time_in_force=IOC)
    assert market.when(order) == [refused(rules.INSTRUMENT_STATE, OPEN, HALTED)]
