"""The mutators of orders: what execute decides and what apply folds change orders, queues and funds here and nowhere else."""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    BASE_ASSET,
    BOOK_SIDE,
    CLIENT_ID,
    HELD,
    LEVEL,
    LISTED_FLAG,
    LOTS,
    ORDER_TERMS,
    OWNER,
    PAID_AHEAD,
    PAYING_WALLET,
    PLACE_UNIT,
    PRICE,
    QUOTE_ASSET,
    RECEIVING_WALLET,
)
from domain.expiries import schedule, unschedule
from domain.funds import hold, hold_now, release, release_all, release_excess, settle
from domain.index import insert, remove_entry
from domain.slots import delist, dequeue, enlist, enqueue, free_slot, take_lots, take_slot
from domain.state import State
from domain.table import mix
from domain.wallets import instrument_of, wallet


def enter(
    s: State,
    account: i64,
    book_side: i64,
    price_ticks: i64,
    lots: i64,
    terms: i64,
    client_id: i64,
    amount: i64,
    expires_ns: i64,
    quote: i64,
    base: i64,
) -> i64:
    """Make an accepted order: a slot, a number, its hold of *amount* minor units. It is incoming until it rests. Returns its row.

    quote, base  the account's wallets, as find_pair found them
    """
    orders = s.orders
    order = take_slot(s, orders)
    orders[order + OWNER] = account
    orders[order + BOOK_SIDE] = book_side
    orders[order + PRICE] = price_ticks
    orders[order + LOTS] = lots
    orders[order + ORDER_TERMS] = terms
    orders[order + CLIENT_ID] = client_id
    orders[order + PAID_AHEAD] = 0
    set_wallets(s, orders, order, quote, base)
    hold(orders, s.wallets, order, amount)
    s.entries += 1
    if expires_ns != 0:
        schedule(s, order, expires_ns, s.entries)
    s.incoming = order
    return order


def set_wallets(s: State, orders: vec[i64], order: i64, quote: i64, base: i64) -> None:
    """The wallets an order pays from and receives into: quote and base for a buy, base and quote for a sell. Opened when missing (0)."""
    book_side = orders[order + BOOK_SIDE]
    if quote == 0:
        quote = wallet(s, orders[order + OWNER], s.instruments[instrument_of(book_side) + QUOTE_ASSET])
    if base == 0:
        base = wallet(s, orders[order + OWNER], s.instruments[instrument_of(book_side) + BASE_ASSET])
    if book_side & 1:
        orders[order + PAYING_WALLET] = base
        orders[order + RECEIVING_WALLET] = quote
    else:
        orders[order + PAYING_WALLET] = quote
        orders[order + RECEIVING_WALLET] = base


def leave(s: State, order: i64) -> i64:
    """The order is gone: out of its queue, its hold released, its slot free. Returns what was released, minor units."""
    orders = s.orders
    if orders[order + LEVEL] != 0:
        dequeue(s, orders, order)
    released = release_all(s, orders, order)
    forget(s, orders, order)
    return released


def forget(s: State, orders: vec[i64], order: i64) -> None:
    """Free an order that is in no queue and holds nothing."""
    if s.incoming == order:
        s.incoming = 0
    terms = orders[order + ORDER_TERMS]
    if terms >= PLACE_UNIT:
        unschedule(s, order)
    if terms & LISTED_FLAG:
        delist(s, orders, order)
    free_slot(s, orders, order)


def forget_if_empty(s: State, orders: vec[i64], order: i64) -> None:
    """An order without open lots is gone."""
    if orders[order + LOTS] == 0:
        if orders[order + LEVEL] != 0:
            dequeue(s, orders, order)
        forget(s, orders, order)


def rest(s: State, orders: vec[i64], order: i64) -> None:
    """The incoming order joins the end of the queue of its price; the first time its account's list and table of ids too."""
    assert s.incoming == order, "only the incoming order comes to rest"
    enqueue(s, orders, order)
    if orders[order + ORDER_TERMS] & LISTED_FLAG == 0:
        enlist(s, orders, order)
    s.incoming = 0


def fill(s: State, orders: vec[i64], taker: i64, maker: i64, lots: i64) -> tuple[i64, i64, i64]:
    """One fill at the maker's price; an order without open lots is gone.

    Returns (taker's fee, maker's fee, what left the buyer's hold), quote minor units.
    """
    price_ticks = orders[maker + PRICE]
    take_lots(s, orders, taker, lots)
    take_lots(s, orders, maker, lots)
    moved = settle(s, orders, taker, maker, price_ticks, lots)
    forget_if_empty(s, orders, maker)
    forget_if_empty(s, orders, taker)
    return moved


def decrement(s: State, order: i64, lots: i64) -> i64:
    """Take lots off an order without a trade, priority kept; one without lots is gone. Returns what was released, minor units."""
    orders = s.orders
    take_lots(s, orders, order, lots)
    released = release_excess(s, order)
    forget_if_empty(s, orders, order)
    return released


def rename(s: State, order: i64, client_id: i64) -> None:
    """Give an order another client order id; its own again is no change."""
    orders = s.orders
    if orders[order + CLIENT_ID] == client_id:
        return
    if orders[order + CLIENT_ID] != 0:
        remove_entry(s.client_ids, mix(orders[order + OWNER], orders[order + CLIENT_ID]), order)
    orders[order + CLIENT_ID] = client_id
    insert(s.client_ids, mix(orders[order + OWNER], client_id), order)


def reenter(s: State, order: i64, price_ticks: i64, lots: i64) -> i64:
    """A replace that loses priority: off the book, new price and lots, incoming. Returns the change of its hold, minor units, signed."""
    orders = s.orders
    dequeue(s, orders, order)
    orders[order + PRICE] = price_ticks
    orders[order + LOTS] = lots
    change = hold_now(orders, s.instruments, order) - orders[order + HELD]
    if change > 0:
        hold(orders, s.wallets, order, change)
    else:
        release(orders, s.wallets, order, -change)
    s.incoming = order
    return change
