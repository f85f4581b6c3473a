"""Order slots: take, free, find; the account's list of its live orders; the queue of a price.

A vector beside the state is one of its vectors, which the caller has at hand: not to count another reference to it is worth it.
"""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    BOOK_SIDE,
    CLIENT_ID,
    EARLIER,
    GENERATION_MASK,
    GENERATION_STEP,
    HEAD,
    HELD,
    LATER,
    LEVEL,
    LEVEL_LOTS,
    LEVEL_ORDERS,
    LISTED_FLAG,
    LOTS,
    NEWER,
    NEWEST,
    NUMBER,
    OLDER,
    OPEN_ORDERS,
    ORDER_TERMS,
    ORDER_WIDTH,
    OWNER,
    PARTITION_SHIFT,
    PRICE,
    SLOT_MASK,
    TAIL,
)
from domain.index import insert, remove_entry, row_at, seek, steps_to
from domain.ladder import close_level, open_level
from domain.state import State
from domain.table import mix


def take_slot(s: State, orders: vec[i64]) -> i64:
    """Row of a slot that nobody has, under a number that never was."""
    order = s.order_free
    if order != 0:
        s.order_free = orders[order + LATER]
        orders[order + LATER] = 0
        orders[order + NUMBER] = GENERATION_STEP - orders[order + NUMBER]
    else:
        slot = s.order_top
        order = slot * ORDER_WIDTH
        orders[order + NUMBER] = (s.partition << PARTITION_SHIFT) + GENERATION_STEP + slot
        s.order_top = slot + 1
    s.live_orders += 1
    return order


def free_slot(s: State, orders: vec[i64], order: i64) -> None:
    """Give a slot back; one whose generations are used up is never used again."""
    number = orders[order + NUMBER]
    assert orders[order + LEVEL] == 0 and orders[order + HELD] == 0, "an order that is gone is in no queue and holds nothing"
    orders[order + NUMBER] = -number
    s.live_orders -= 1
    if number & GENERATION_MASK != GENERATION_MASK:
        orders[order + LATER] = s.order_free
        s.order_free = order


def find_number(s: State, number: i64) -> i64:
    """Row of the live order with this number, 0 when there is none."""
    slot = number & SLOT_MASK
    if number <= 0 or slot == 0 or slot >= s.order_top:
        return 0
    order = slot * ORDER_WIDTH
    if s.orders[order + NUMBER] != number:
        return 0
    return order


def find_client_id(s: State, account: i64, client_id: i64) -> i64:
    """Row of the account's live order with this client order id; 0 when there is none; -1 when there is none and no place for one."""
    index = s.client_ids
    orders = s.orders
    hashed = mix(account, client_id)
    place = seek(index, hashed, 0)
    while place >= 0 and index[place] != 0:
        order = row_at(index, place)
        if orders[order + CLIENT_ID] == client_id and orders[order + OWNER] == account:
            return order
        place = seek(index, hashed, steps_to(index, hashed, place) + 1)
    if place < 0:
        return -1
    return 0


def enlist(s: State, orders: vec[i64], order: i64) -> None:
    """Put an order that comes to rest at the front of its account's list, and under its client order id."""
    orders[order + ORDER_TERMS] |= LISTED_FLAG
    accounts = s.accounts
    account = orders[order + OWNER]
    row = account * ACCOUNT_WIDTH
    newest = accounts[row + NEWEST]
    orders[order + NEWER] = 0
    orders[order + OLDER] = newest
    if newest != 0:
        orders[newest + NEWER] = order
    accounts[row + NEWEST] = order
    accounts[row + OPEN_ORDERS] += 1
    client_id = orders[order + CLIENT_ID]
    if client_id != 0:
        insert(s.client_ids, mix(account, client_id), order)


def delist(s: State, orders: vec[i64], order: i64) -> None:
    """Take an order out of its account's list and from under its client order id."""
    accounts = s.accounts
    account = orders[order + OWNER]
    row = account * ACCOUNT_WIDTH
    newer = orders[order + NEWER]
    older = orders[order + OLDER]
    if newer != 0:
        orders[newer + OLDER] = older
    else:
        accounts[row + NEWEST] = older
    if older != 0:
        orders[older + NEWER] = newer
    accounts[row + OPEN_ORDERS] -= 1
    client_id = orders[order + CLIENT_ID]
    if client_id != 0:
        remove_entry(s.client_ids, mix(account, client_id), order)


def enqueue(s: State, orders: vec[i64], order: i64) -> None:
    """Put an order at the end of the queue of its price."""
    lots = orders[order + LOTS]
    assert orders[order + LEVEL] == 0 and lots > 0, "an order that rests has lots and is in no queue yet"
    pages = s.pages
    level = open_level(s, pages, orders[order + BOOK_SIDE], orders[order + PRICE])
    tail = pages[level + TAIL]
    orders[order + LEVEL] = level
    orders[order + EARLIER] = tail
    if tail != 0:
        orders[tail + LATER] = order
    else:
        pages[level + HEAD] = order
    pages[level + TAIL] = order
    pages[level + LEVEL_LOTS] += lots
    pages[level + LEVEL_ORDERS] += 1


def dequeue(s: State, orders: vec[i64], order: i64) -> None:
    """Take an order out of its queue, with the lots it still has."""
    pages = s.pages
    level = orders[order + LEVEL]
    earlier = orders[order + EARLIER]
    later = orders[order + LATER]
    if earlier != 0:
        orders[earlier + LATER] = later
    else:
        pages[level + HEAD] = later
    if later != 0:
        orders[later + EARLIER] = earlier
    else:
        pages[level + TAIL] = earlier
    orders[order + EARLIER] = 0
    orders[order + LATER] = 0
    orders[order + LEVEL] = 0
    pages[level + LEVEL_LOTS] -= orders[order + LOTS]
    pages[level + LEVEL_ORDERS] -= 1
    if earlier == 0 and later == 0:
        assert pages[level + LEVEL_LOTS] == 0 and pages[level + LEVEL_ORDERS] == 0, "an empty level has no lots"
        close_level(s, pages, orders[order + BOOK_SIDE], orders[order + PRICE], level)


def take_lots(s: State, orders: vec[i64], order: i64, lots: i64) -> None:
    """Take open lots off an order, resting or incoming."""
    open_lots = orders[order + LOTS]
    assert 0 < lots <= open_lots, "an order loses only lots that it has"
    orders[order + LOTS] = open_lots - lots
    level = orders[order + LEVEL]
    if level != 0:
        s.pages[level + LEVEL_LOTS] -= lots
