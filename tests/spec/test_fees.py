"""Section 5 of docs/rules.md, fees: exact by order, rounded up once, nothing made and nothing lost."""

from __future__ import annotations

import pytest

from domain.verbs import BUY, IOC, OPEN, SELL
from tests.market import (
    BASE,
    QUOTE,
    Market,
    accepted,
    buy,
    cancel,
    deposit,
    list_instrument,
    open_account,
    replace,
    rested,
    sell,
    set_state,
    traded,
)


def fees(market: Market, command: bytes) -> list[tuple[int, int]]:
    """(taker_fee, maker_fee) of each trade of the command."""
    return [(trade.taker_fee, trade.maker_fee) for trade in market.when(command) if trade.name == "TradeExecuted"]


def test_each_side_pays_by_its_role(with_fees: Market) -> None:
    """0.1 % of 100,000 for the maker, 0.25 % for the taker; a buy holds the greater of both rates beforehand."""
    with_fees.given(sell(1, lots=100, price=1_000))
    assert with_fees.when(buy(2, lots=100, price=1_000)) == [
        accepted(2, BUY, 1_000, 100, held=100_250),
        traded(BUY, maker=1, maker_account=1, price=1_000, lots=100, buyer_released=100_250, taker_fee=250, maker_fee=100),
    ]
    assert with_fees.available(1, QUOTE) == 1_000_000 + 100_000 - 100
    assert with_fees.available(2, QUOTE) == 1_000_000 - 100_000 - 250


def test_a_resting_buy_pays_as_maker_and_gets_back_what_it_held_too_much(with_fees: Market) -> None:
    """It holds the taker's rate until it trades as maker, because nobody knows before."""
    with_fees.given(buy(1, lots=100, price=1_000))
    assert with_fees.when(sell(2, lots=100, price=1_000))[1:] == [
        traded(SELL, maker=1, maker_account=1, price=1_000, lots=100, buyer_released=100_250, taker_fee=250, maker_fee=100),
    ]
    assert with_fees.available(1, QUOTE) == 1_000_000 - 100_000 - 100
    assert with_fees.available(2, QUOTE) == 1_000_000 + 100_000 - 250


def test_a_fee_is_rounded_up(with_fees: Market) -> None:
    """In the venue's favour, by less than one minor unit an order: 0.0025 and 0.001 are 1."""
    with_fees.given(sell(1, lots=1, price=1))
    assert fees(with_fees, buy(2, lots=1, price=1)) == [(1, 1)]


def test_an_order_is_rounded_once_not_once_a_fill(with_fees: Market) -> None:
    """Four fills of 100 cost 0.25 each: the first rounds up to 1, the next three are paid by that."""
    with_fees.given(*[sell(1, lots=1, price=100) for _ in range(5)])
    assert fees(with_fees, buy(2, lots=5, price=100)) == [(1, 1), (0, 1), (0, 1), (0, 1), (1, 1)]


def test_a_resting_order_too_is_rounded_once(with_fees: Market) -> None:
    """Its fills come at different times; ten of 100 at 0.1 % are exactly 1."""
    with_fees.given(sell(1, lots=11, price=100))
    assert [fees(with_fees, buy(2, lots=1, price=100))[0][1] for _ in range(11)] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_buys_hold_counts_what_it_has_paid_ahead(with_fees: Market) -> None:
    """Limit 100, 5 lots: cost 500 and 2 of fee (1.25). After one lot (fee 0.25, paid 1, so 0.75 ahead) it holds 400 and
    ceil(1 - 0.75) = 1: of the 502 released are 101, all spent.
    """
    with_fees.given(sell(1, lots=1, price=100))
    assert with_fees.when(buy(2, lots=5, price=100)) == [
        accepted(2, BUY, 100, 5, held=502),
        traded(BUY, maker=1, maker_account=1, price=100, lots=1, buyer_released=101, taker_fee=1, maker_fee=1),
        rested(2, 2, BUY, 100, 4),
    ]
    assert with_fees.when(cancel(2, order=with_fees.number(2)))[0].released == 401


def test_the_fee_paid_ahead_stays_with_a_replaced_order(with_fees: Market) -> None:
    """After the fill it is 0.75 ahead; moved to 99 the four lots hold 396 and ceil(0.99 - 0.75) = 1."""
    with_fees.given(sell(1, lots=1, price=100), buy(2, lots=5, price=100))
    assert with_fees.when(replace(2, price=99, order=with_fees.number(2)))[0].held_change == (396 + 1) - (400 + 1)


def test_price_improvement_is_on_the_fee_too(with_fees: Market) -> None:
    """The fee is of the price traded, the hold was of the limit."""
    with_fees.given(sell(1, lots=10, price=800))
    assert with_fees.when(buy(2, lots=10, price=1_000))[1:] == [
        traded(BUY, maker=1, maker_account=1, price=800, lots=10, buyer_released=10_025, taker_fee=20, maker_fee=8),
    ]


def test_a_fee_is_of_value_in_minor_units_of_the_quote_asset(empty: Market) -> None:
    """price x lots x quote_units = 10 x 3 x 7 = 210; rates 0.0777 % and 0.0333 %."""
    empty.given(list_instrument(1, maker_rate=333, taker_rate=777, quote_units=7, base_units=2), set_state(OPEN, 1))
    empty.given(open_account(1), open_account(2), deposit(1, BASE, 10), deposit(2, QUOTE, 1_000))
    empty.given(sell(1, lots=3, price=10))
    assert empty.when(buy(2, lots=3, price=10)) == [
        accepted(2, BUY, 10, 3, held=211),
        traded(BUY, maker=1, maker_account=1, price=10, lots=3, buyer_released=211, taker_fee=1, maker_fee=1),
    ]
    assert (empty.available(1, BASE), empty.available(1, QUOTE)) == (4, 209)
    assert (empty.available(2, BASE), empty.available(2, QUOTE)) == (6, 789)


@pytest.mark.parametrize(("maker_rate", "taker_rate"), [(0, 0), (100_000, 0), (0, 100_000), (99_999, 100_000), (1, 3)])
def test_the_hold_always_covers_the_fills(empty: Market, maker_rate: int, taker_rate: int) -> None:
    """A buy of all its money, filled lot by lot as taker and as maker, never comes short by a unit of rounding."""
    empty.given(list_instrument(1, maker_rate=maker_rate, taker_rate=taker_rate), set_state(OPEN, 1))
    empty.given(open_account(1), open_account(2), deposit(1, BASE, 100), deposit(2, QUOTE, 10**6))
    empty.given(sell(1, lots=1, price=6), sell(1, lots=1, price=7))
    held = empty.when(buy(2, lots=9, price=7))[0].held
    for _ in range(7):
        empty.given(sell(1, lots=1, price=7, time_in_force=IOC))
    exact = 62 * taker_rate / 10**6 if maker_rate <= taker_rate else 62 * maker_rate / 10**6
    assert 10**6 - held <= empty.available(2, QUOTE)
    assert 10**6 - empty.available(2, QUOTE) <= 62 + exact + 1


def test_the_venue_gets_both_fees(with_fees: Market) -> None:
    """What buyer and seller lost together is what account 0 has: the sums agree (the model's tests compare account 0 itself)."""
    with_fees.given(sell(1, lots=7, price=333), buy(2, lots=9, price=444), sell(3, lots=2, price=1))
    total = sum(with_fees.available(account, QUOTE) for account in (1, 2, 3))
    assert 3_000_000 - total == 3 + 6 + 1 + 3
