"""Read ahead what the next commands or events will touch, many at a time, so that waiting for memory overlaps.

A big book does not fit a processor's cache: a command then waits three or four times for main memory, one time after the
other. Here the same places are read for 64 commands at once, and the processor waits for all of them together (measured:
docs/performance.md). Nothing is changed or decided; any row, malformed or not, is safe to look at.
"""

from __future__ import annotations

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    BEST_LEVEL,
    EARLIER,
    FIRST_WALLET,
    HEAD,
    HELD_RATE,
    INSTRUMENT_WIDTH,
    LATER,
    LEVEL_WIDTH,
    LINE,
    MAKER_RATE,
    MAX_PRICE_TICKS,
    NEAR_PAGE,
    NEAR_ROW,
    NEWER,
    NEWEST,
    OLDER,
    ORDER_TERMS,
    ORDER_WIDTH,
    PAGE_LEVELS,
    RECEIVING_WALLET,
    RESERVED,
    SIDE_WIDTH,
    SLOT_MASK,
    STATE,
)
from domain.events import EVENT_BYTES, EVENT_WORDS, ORDER_CANCELLED, TRADE_EXECUTED
from domain.index import ROW_BITS, ROW_MASK, mask_of
from domain.pages import near, node_key, rank_of
from domain.state import State
from domain.table import home, mix
from domain.vectors import words_of
from domain.verbs import ACCOUNT, CLIENT_ORDER_ID, COMMAND_BYTES, COMMAND_WORDS, INSTRUMENT, PRICE_TICKS, TERMS

AHEAD: Final = 64
FEW_BOOKS: Final = 64  # so many stay in the cache by themselves


def read_command(s: State, commands: bytes | memoryview, row: i64) -> None:
    """Go on to the command at byte *row*, the one after the last or the first: AHEAD of them are read at a time."""
    if row % (AHEAD * COMMAND_BYTES) == 0:
        s.rows = words_of(commands, row, row + AHEAD * COMMAND_BYTES)
        s.row = 0
        warm_ids(s, s.rows, s.client_ids)
        warm_accounts(s, s.rows)
        if s.instrument_top > FEW_BOOKS:
            warm_books(s, s.rows)
            warm_makers(s, s.rows, s.pages)
            warm_pages(s, s.rows, s.pages)
    else:
        s.row += COMMAND_WORDS


def read_event(s: State, events: bytes | memoryview, row: i64) -> None:
    """Go on to the event at byte *row*, as read_command does."""
    if row % (AHEAD * EVENT_BYTES) == 0:
        s.event_rows = words_of(events, row, row + AHEAD * EVENT_BYTES)
        s.event_row = 0
        warm_orders(s, s.event_rows)
    else:
        s.event_row += EVENT_WORDS


def warm_ids(s: State, rows: vec[i64], index: vec[i64]) -> None:
    """Look at the index where the commands' client order ids are or will be, and at the orders they name."""
    orders = s.orders
    mask = mask_of(index)
    seen: i64 = 0
    row: i64 = 0
    while row < i64(len(rows)):
        hashed = mix(rows[row + ACCOUNT], rows[row + CLIENT_ORDER_ID])
        entry = index[hashed & mask]
        if entry >> ROW_BITS == hashed:
            seen ^= look_at_order(orders, entry & ROW_MASK)
        row += COMMAND_WORDS
    s.seen ^= seen


def warm_accounts(s: State, rows: vec[i64]) -> None:
    """Look at the commands' accounts, their wallets and lists."""
    accounts = s.accounts
    wallets = s.wallets
    orders = s.orders
    top = (i64(len(accounts)) - LINE) // ACCOUNT_WIDTH
    seen: i64 = 0
    row: i64 = 0
    while row < i64(len(rows)):
        account = rows[row + ACCOUNT]
        if 0 < account < top:
            place = account * ACCOUNT_WIDTH
            seen ^= wallets[accounts[place + FIRST_WALLET] + RESERVED] ^ orders[accounts[place + NEWEST] + NEWER]
        row += COMMAND_WORDS
    s.seen ^= seen


def warm_books(s: State, rows: vec[i64]) -> None:
    """Look at the commands' instruments and at both sides of their books."""
    instruments = s.instruments
    sides = s.sides
    seen: i64 = 0
    row: i64 = 0
    while row < i64(len(rows)):
        number = rows[row + INSTRUMENT]
        if 0 < number <= s.instrument_top:
            place = number * INSTRUMENT_WIDTH
            seen ^= instruments[place + STATE] ^ instruments[place + MAKER_RATE] ^ instruments[place + HELD_RATE]
            place = number * 2 * SIDE_WIDTH
            seen ^= sides[place] ^ sides[place + 8] ^ sides[place + 16] ^ sides[place + 24]
        row += COMMAND_WORDS
    s.seen ^= seen


def warm_makers(s: State, rows: vec[i64], pages: vec[i64]) -> None:
    """Look at the orders that the commands meet first."""
    orders = s.orders
    sides = s.sides
    seen: i64 = 0
    row: i64 = 0
    while row < i64(len(rows)):
        number = rows[row + INSTRUMENT]
        if 0 < number <= s.instrument_top:
            other = number * 2 + 1 - (rows[row + TERMS] & 1)
            seen ^= orders[pages[sides[other * SIDE_WIDTH + BEST_LEVEL] + HEAD] + ORDER_TERMS]
        row += COMMAND_WORDS
    s.seen ^= seen


def warm_pages(s: State, rows: vec[i64], pages: vec[i64]) -> None:
    """Look at where the commands' prices are or will be: a page of the book, or its places in the tables of pages and nodes."""
    index = s.page_index
    nodes = s.nodes
    sides = s.sides
    seen: i64 = 0
    row: i64 = 0
    while row < i64(len(rows)):
        number = rows[row + INSTRUMENT]
        if 0 < number <= s.instrument_top:
            book_side = number * 2 + (rows[row + TERMS] & 1)
            rank = rank_of(book_side, rows[row + PRICE_TICKS]) & MAX_PRICE_TICKS
            page = rank >> 5
            seen ^= nodes[home(nodes, node_key(book_side, 1), page >> 5)]
            place = near(book_side, page)
            if sides[place + NEAR_PAGE] == page + 1:
                level = sides[place + NEAR_ROW] + PAGE_LEVELS + (rank & 31) * LEVEL_WIDTH
                seen ^= pages[level] ^ pages[sides[place + NEAR_ROW]]
            else:
                seen ^= index[home(index, book_side, page)]
        row += COMMAND_WORDS
    s.seen ^= seen


def warm_orders(s: State, rows: vec[i64]) -> None:
    """Look at the orders that the events name."""
    orders = s.orders
    wallets = s.wallets
    seen: i64 = 0
    row: i64 = 0
    while row < i64(len(rows)):
        kind = rows[row] & 255
        order = (rows[row + 1] & SLOT_MASK) * ORDER_WIDTH
        if (kind == TRADE_EXECUTED or kind == ORDER_CANCELLED) and order + OLDER < i64(len(orders)):
            seen ^= look_at_order(orders, order) ^ wallets[orders[order + RECEIVING_WALLET] + RESERVED]
        row += EVENT_WORDS
    s.seen ^= seen


def look_at_order(orders: vec[i64], order: i64) -> i64:
    """Both lines of an order's slot, and its neighbours."""
    queue = orders[orders[order + EARLIER] + LATER] ^ orders[orders[order + LATER] + EARLIER]
    return queue ^ orders[orders[order + OLDER] + NEWER] ^ orders[orders[order + NEWER] + OLDER]
