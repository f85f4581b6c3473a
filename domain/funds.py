"""Wallets, holds, fees and settlement: where every minor unit of an account is, and how a fill moves it.

Fees round here and nowhere else: per order, up, once (docs/rules.md section 5). PAID_AHEAD keeps what rounding has taken so
far beyond the exact sum, in millionths of a minor unit, always below one minor unit.
"""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    AVAILABLE,
    BASE_UNITS,
    BOOK_SIDE,
    BUDGET_FLAG,
    FEE_UNIT,
    FEE_WALLET,
    HELD,
    HELD_RATE,
    LOTS,
    MAKER_RATE,
    ORDER_TERMS,
    PAID_AHEAD,
    PAYING_WALLET,
    PRICE,
    QUOTE_UNITS,
    RECEIVING_WALLET,
    RESERVED,
    TAKER_RATE,
)
from domain.state import State
from domain.wallets import instrument_of, move


def fee_bound(cost: i64, rate: i64, paid_ahead: i64) -> i64:
    """Most the fees on *cost* can still take, minor units: rounded up, less what was paid ahead."""
    return rounded_up(cost * rate - paid_ahead)


def rounded_up(exact: i64) -> i64:
    """Millionths of a minor unit as whole minor units, rounded up; nothing when there is nothing to pay."""
    if exact <= 0:
        return 0
    return (exact + FEE_UNIT - 1) // FEE_UNIT


def buy_hold(instruments: vec[i64], instrument: i64, price_ticks: i64, lots: i64, paid_ahead: i64) -> i64:
    """Worst case of a buy, quote minor units: its limit price and the rate for which buys hold funds."""
    cost = price_ticks * lots * instruments[instrument + QUOTE_UNITS]
    rate = instruments[instrument + HELD_RATE]
    if rate == 0:
        return cost
    return cost + fee_bound(cost, rate, paid_ahead)


def hold_now(orders: vec[i64], instruments: vec[i64], order: i64) -> i64:
    """What an order must hold for the lots it has left (a budget order: not asked here)."""
    book_side = orders[order + BOOK_SIDE]
    instrument = instrument_of(book_side)
    lots = orders[order + LOTS]
    if book_side & 1:
        return lots * instruments[instrument + BASE_UNITS]
    if lots == 0:
        return 0
    return buy_hold(instruments, instrument, orders[order + PRICE], lots, orders[order + PAID_AHEAD])


def hold(orders: vec[i64], wallets: vec[i64], order: i64, amount: i64) -> None:
    """Move *amount* from available to held, for this order."""
    row = orders[order + PAYING_WALLET]
    move(wallets, row + AVAILABLE, row + RESERVED, amount)
    orders[order + HELD] += amount


def release(orders: vec[i64], wallets: vec[i64], order: i64, amount: i64) -> None:
    """Move *amount* from what this order holds back to available."""
    row = orders[order + PAYING_WALLET]
    left = orders[order + HELD] - amount
    assert left >= 0, "an order gives back only what it holds"
    orders[order + HELD] = left
    move(wallets, row + RESERVED, row + AVAILABLE, amount)


def release_excess(s: State, order: i64) -> i64:
    """Give back what an order holds beyond its need now; returns it, minor units. A living budget order keeps its budget."""
    orders = s.orders
    if orders[order + ORDER_TERMS] & BUDGET_FLAG and orders[order + LOTS] > 0:
        return 0
    excess = orders[order + HELD] - hold_now(orders, s.instruments, order)
    release(orders, s.wallets, order, excess)
    return excess


def release_all(s: State, orders: vec[i64], order: i64) -> i64:
    """Give back everything an order holds; returns it, minor units."""
    amount = orders[order + HELD]
    release(orders, s.wallets, order, amount)
    return amount


def charge(orders: vec[i64], order: i64, value: i64, rate: i64) -> i64:
    """The order's fee for a fill of *value*: its exact fees so far, rounded up, less what it has paid. Updates what it paid ahead."""
    if rate == 0:
        return 0
    exact = value * rate - orders[order + PAID_AHEAD]
    fee = rounded_up(exact)
    ahead = fee * FEE_UNIT - exact
    assert 0 <= ahead < FEE_UNIT, "rounding takes less than one minor unit from an order"
    orders[order + PAID_AHEAD] = ahead
    return fee


def settle(s: State, orders: vec[i64], taker: i64, maker: i64, price_ticks: i64, lots: i64) -> tuple[i64, i64, i64]:
    """Move one fill's stock against its cash, and the fees to the venue: all of it, or stop. The lots are off both orders already.

    Returns (taker's fee, maker's fee, what left the buyer's hold), quote minor units.
    Raises  AssertionError on a broken invariant: the writer stops the partition.
    Rule    docs/rules.md section 5: delivery versus payment, at the maker's price.
    """
    instruments = s.instruments
    wallets = s.wallets
    taker_sells = orders[taker + BOOK_SIDE] & 1
    instrument = instrument_of(orders[taker + BOOK_SIDE])
    value = price_ticks * lots * instruments[instrument + QUOTE_UNITS]
    stock = lots * instruments[instrument + BASE_UNITS]
    taker_fee = charge(orders, taker, value, instruments[instrument + TAKER_RATE])
    maker_fee = charge(orders, maker, value, instruments[instrument + MAKER_RATE])
    buyer, seller, buyer_fee, seller_fee = taker, maker, taker_fee, maker_fee
    if taker_sells:
        buyer, seller, buyer_fee, seller_fee = maker, taker, maker_fee, taker_fee
    assert seller_fee <= value, "a fee is paid out of what is sold"
    cash = orders[buyer + PAYING_WALLET]
    shelf = orders[seller + PAYING_WALLET]
    released = leave_hold(orders, instruments, buyer, value + buyer_fee)
    move(wallets, cash + RESERVED, cash + AVAILABLE, released - value - buyer_fee)
    move(wallets, cash + RESERVED, orders[seller + RECEIVING_WALLET] + AVAILABLE, value - seller_fee)
    if taker_fee + maker_fee > 0:
        move(wallets, cash + RESERVED, instruments[instrument + FEE_WALLET] + AVAILABLE, taker_fee + maker_fee)
    undelivered = orders[seller + HELD] - stock
    assert undelivered >= 0, "a trade delivers only what its order holds"
    orders[seller + HELD] = undelivered
    move(wallets, shelf + RESERVED, orders[buyer + RECEIVING_WALLET] + AVAILABLE, stock)
    return taker_fee, maker_fee, released


def leave_hold(orders: vec[i64], instruments: vec[i64], buyer: i64, spent: i64) -> i64:
    """Take out of a buyer's hold what it needs no more; of a living budget order what it *spent*. Returns it, minor units."""
    if orders[buyer + ORDER_TERMS] & BUDGET_FLAG and orders[buyer + LOTS] > 0:
        needed = orders[buyer + HELD] - spent
    else:
        needed = hold_now(orders, instruments, buyer)
    released = orders[buyer + HELD] - needed
    assert released >= spent and needed >= 0, "a trade spends only what its order holds"
    orders[buyer + HELD] = needed
    return released


def affordable_lots(s: State, order: i64, price_ticks: i64) -> i64:
    """Lots that what a budget order still holds can pay at a price, its taker fee included."""
    instrument = instrument_of(s.orders[order + BOOK_SIDE])
    rate = s.instruments[instrument + TAKER_RATE]
    lot_cost = price_ticks * s.instruments[instrument + QUOTE_UNITS]
    return (s.orders[order + HELD] * FEE_UNIT + s.orders[order + PAID_AHEAD]) // (lot_cost * (FEE_UNIT + rate))
