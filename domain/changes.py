"""Cancel, reduce, replace: what happens to a live order when its owner asks (docs/rules.md section 7)."""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from domain import rules
from domain.checks import are_lots_allowed, has_level_room, is_client_id_free, is_funded, is_in_band, is_value_allowed
from domain.columns import (
    AVAILABLE,
    BASE_UNITS,
    BOOK_SIDE,
    CLIENT_ID,
    HELD,
    LOTS,
    NUMBER,
    ORDER_TERMS,
    OWNER,
    PAID_AHEAD,
    PAYING_WALLET,
    PRICE,
)
from domain.entry import price_at_rest
from domain.events import ORDER_CANCELLED, ORDER_REDUCED, ORDER_REPLACED
from domain.funds import buy_hold
from domain.matching import match, take_away
from domain.orders import decrement, reenter, rename
from domain.refusal import refuse
from domain.slots import find_client_id, find_number
from domain.standing import is_known, is_not_closed, may_trade, takes_orders
from domain.state import State, asked, emit, event_head
from domain.verbs import ACCOUNT, CLIENT_ORDER_ID, NEW_CLIENT_ORDER_ID, ORDER, PRICE_TICKS, QUANTITY_LOTS
from domain.wallets import instrument_of

KEPT_PRIORITY: Final = 512  # bit 9 of word 0


def target(s: State) -> i64:
    """Row of the live order that the command names and its account owns; 0 after a refusal."""
    account = asked(s, ACCOUNT)
    if not is_known(s, account) or not is_not_closed(s, account):
        return 0
    number = asked(s, ORDER)
    client_id = asked(s, CLIENT_ORDER_ID)
    order = find_number(s, number) if number != 0 else find_client_id(s, account, client_id)
    if order <= 0 or s.orders[order + OWNER] != account:
        refuse(s, rules.UNKNOWN_ORDER, account, number if number != 0 else client_id)
        return 0
    return order


def cancel_order(s: State) -> None:
    """Take a live order away."""
    order = target(s)
    if order != 0:
        take_away(s, order, ORDER_CANCELLED)


def reduce_order(s: State) -> None:
    """Take lots off a live order; it keeps its priority."""
    order = target(s)
    if order == 0:
        return
    orders = s.orders
    lots = asked(s, QUANTITY_LOTS)
    if lots < 1:
        refuse(s, rules.MIN_QUANTITY, 1, lots)
        return
    if lots > orders[order + LOTS]:
        refuse(s, rules.MAX_QUANTITY, orders[order + LOTS], lots)
        return
    head = event_head(ORDER_REDUCED, orders[order + BOOK_SIDE])
    number = orders[order + NUMBER]
    owner = orders[order + OWNER]
    price_ticks = orders[order + PRICE]
    remaining = orders[order + LOTS] - lots
    released = decrement(s, order, lots)
    emit(s, head, number, owner, price_ticks, lots, released, remaining, 0)


def replace_order(s: State) -> None:
    """Change price, open quantity or client order id of a live order, all or nothing."""
    order = target(s)
    if order == 0:
        return
    orders = s.orders
    client_id = asked(s, NEW_CLIENT_ORDER_ID)
    if client_id == orders[order + CLIENT_ID]:
        client_id = 0
    if not is_client_id_free(s, orders[order + OWNER], client_id):
        return
    asked_price = asked(s, PRICE_TICKS)
    asked_lots = asked(s, QUANTITY_LOTS)
    price_ticks = asked_price if asked_price != 0 else orders[order + PRICE]
    lots = asked_lots if asked_lots != 0 else orders[order + LOTS]
    if price_ticks == orders[order + PRICE] and lots <= orders[order + LOTS]:
        keep_priority(s, order, lots, client_id)
    else:
        lose_priority(s, order, price_ticks, lots, client_id)


def keep_priority(s: State, order: i64, lots: i64, client_id: i64) -> None:
    """A replace that asks for nothing that others would envy: fewer lots at most."""
    orders = s.orders
    head = event_head(ORDER_REPLACED, orders[order + BOOK_SIDE]) | KEPT_PRIORITY
    price_ticks = orders[order + PRICE]
    previous_lots = orders[order + LOTS]
    released: i64 = 0
    if client_id != 0:
        rename(s, order, client_id)
    if lots < previous_lots:
        released = decrement(s, order, previous_lots - lots)
    emit(s, head, orders[order + NUMBER], price_ticks, price_ticks, lots, -released, previous_lots, 0)


def lose_priority(s: State, order: i64, price_ticks: i64, lots: i64, client_id: i64) -> None:
    """A replace by price or greater quantity: every check of a new order, then the order leaves the book and enters anew."""
    orders = s.orders
    account = orders[order + OWNER]
    book_side = orders[order + BOOK_SIDE]
    instrument = instrument_of(book_side)
    if not may_trade(s, account) or not takes_orders(s, instrument) or not is_in_band(s, instrument, price_ticks):
        return
    if not are_lots_allowed(s, account, instrument, lots):
        return
    if not is_value_allowed(s, account, instrument, price_ticks, lots):
        return
    if not has_level_room(s, book_side, price_ticks):
        return
    price_ticks = price_at_rest(s, account, book_side, price_ticks, lots, (orders[order + ORDER_TERMS] >> 5) & 3)
    if price_ticks == 0:
        return
    if book_side & 1:
        needed = lots * s.instruments[instrument + BASE_UNITS]
    else:
        needed = buy_hold(s.instruments, instrument, price_ticks, lots, orders[order + PAID_AHEAD])
    if not is_funded(s, s.wallets[orders[order + PAYING_WALLET] + AVAILABLE] + orders[order + HELD], needed):
        return
    head = event_head(ORDER_REPLACED, book_side)
    previous_price = orders[order + PRICE]
    previous_lots = orders[order + LOTS]
    if client_id != 0:
        rename(s, order, client_id)
    change = reenter(s, order, price_ticks, lots)
    emit(s, head, orders[order + NUMBER], previous_price, price_ticks, lots, change, previous_lots, 0)
    match(s, orders, order)
