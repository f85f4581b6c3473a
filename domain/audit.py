"""Every invariant of the whole state, in O(n): after a restore, before a snapshot, in every model test."""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    ASSET,
    AVAILABLE,
    BEST_LEVEL,
    BOOK_SIDE,
    BUDGET_FLAG,
    CLIENT_ID,
    EARLIER,
    EXPIRING,
    EXPIRY_WIDTH,
    HEAD,
    HELD,
    LATER,
    LEVEL,
    LEVEL_LOTS,
    LEVEL_ORDERS,
    LOTS,
    NEWEST,
    NO_RANK,
    NUMBER,
    OLDER,
    OPEN_ORDERS,
    ORDER_TERMS,
    ORDER_WIDTH,
    OWNER,
    PAYING_WALLET,
    PRICE,
    RESERVED,
    SIDE_WIDTH,
    TAIL,
    WALLET_OWNER,
    WALLET_WIDTH,
)
from domain.expiries import before, place_of
from domain.funds import hold_now
from domain.ladder import best_rank, next_level
from domain.pages import level_at, price_of
from domain.partition import Partition
from domain.slots import find_client_id, find_number
from domain.state import State
from domain.wallets import find_wallet


def check(partition: Partition) -> None:
    """Raises AssertionError naming the invariant that does not hold."""
    s = partition.state
    assert s.incoming == 0, "between commands no order is incoming"
    check_money(s)
    live = check_orders(s)
    check_accounts(s)
    check_books(s, live)
    check_expiries(s)


def check_money(s: State) -> None:
    """No balance is negative, and each asset's balances sum to what came in minus what went out."""
    totals: dict[int, int] = {}
    row: i64 = WALLET_WIDTH
    while row < s.wallet_top * WALLET_WIDTH:
        assert s.wallets[row + AVAILABLE] >= 0 and s.wallets[row + RESERVED] >= 0, "no balance is negative"
        asset: int = s.wallets[row + ASSET]
        totals[asset] = totals.get(asset, 0) + s.wallets[row + AVAILABLE] + s.wallets[row + RESERVED]
        assert find_wallet(s, s.wallets[row + WALLET_OWNER], s.wallets[row + ASSET]) == row, "every wallet is found by its owner and asset"
        row += WALLET_WIDTH
    for asset, total in totals.items():
        supplied: int = s.supplies[asset] if asset < len(s.supplies) else 0
        assert total == supplied, f"asset {asset}: balances sum to {total}, supplied were {supplied}"


def check_orders(s: State) -> int:
    """Every live order holds what its open lots need, is found by its number and id; wallets reserve exactly what orders hold."""
    held: dict[int, int] = {}
    live = 0
    order: i64 = ORDER_WIDTH
    while order < s.order_top * ORDER_WIDTH:
        o = s.orders
        if o[order + NUMBER] > 0:
            live += 1
            assert o[order + LOTS] > 0 and o[order + LEVEL] != 0, "a live order has open lots and rests"
            assert o[order + ORDER_TERMS] & BUDGET_FLAG == 0, "a budget order never rests"
            assert o[order + HELD] == hold_now(o, s.instruments, order), "an order holds what its open lots need"
            assert find_number(s, o[order + NUMBER]) == order, "an order is found by its number"
            if o[order + CLIENT_ID] != 0:
                assert find_client_id(s, o[order + OWNER], o[order + CLIENT_ID]) == order, "an order is found by its client order id"
            wallet: int = o[order + PAYING_WALLET]
            held[wallet] = held.get(wallet, 0) + o[order + HELD]
        else:
            assert o[order + HELD] == 0 and o[order + LEVEL] == 0, "a free slot holds nothing"
        order += ORDER_WIDTH
    assert live == s.live_orders, "the live orders are counted"
    row: i64 = WALLET_WIDTH
    while row < s.wallet_top * WALLET_WIDTH:
        assert s.wallets[row + RESERVED] == held.get(row, 0), "a wallet reserves exactly what its orders hold"
        row += WALLET_WIDTH
    return live


def check_accounts(s: State) -> None:
    """Every account's list has its live orders and no others."""
    ids = 0
    listed = 0
    account: i64 = 0
    while account <= s.account_top:
        row = account * ACCOUNT_WIDTH
        count = 0
        order = s.accounts[row + NEWEST]
        while order != 0:
            assert s.orders[order + OWNER] == account, "an account lists its own orders"
            count += 1
            ids += 1 if s.orders[order + CLIENT_ID] != 0 else 0
            order = s.orders[order + OLDER]
        assert count == s.accounts[row + OPEN_ORDERS], "an account counts its live orders"
        listed += count
        account += 1
    assert listed == s.live_orders, "every live order is listed by its account"
    assert ids == s.client_ids[len(s.client_ids) - 1], "the index of client order ids has nothing else"


def check_books(s: State, live: int) -> None:
    """Queues and levels agree with their orders, and no book is crossed."""
    resting = 0
    pages: dict[tuple[int, int], bool] = {}
    number: i64 = 1
    while number <= s.instrument_top:
        buys = check_side(s, number * 2, pages)
        sells = check_side(s, number * 2 + 1, pages)
        resting += buys + sells
        if buys and sells:
            bid = price_of(number * 2, best_rank(s, number * 2))
            ask = price_of(number * 2 + 1, best_rank(s, number * 2 + 1))
            assert bid < ask, f"instrument {number}: the book is crossed at {bid} / {ask}"
        number += 1
    assert resting == live, "every live order rests in a book"
    assert len(pages) == s.page_count, "only pages with orders exist"


def check_side(s: State, book_side: i64, pages: dict[tuple[int, int], bool]) -> int:
    """The orders of one side; notes the pages it uses."""
    count = 0
    rank = best_rank(s, book_side)
    if rank != NO_RANK:
        assert s.sides[book_side * SIDE_WIDTH + BEST_LEVEL] == level_at(s, book_side, rank), "the best level is where it is said to be"
    while rank != NO_RANK:
        pages[(book_side, rank >> 5)] = True
        count += check_level(s, book_side, rank)
        rank = next_level(s, book_side, rank)
    return count


def check_level(s: State, book_side: i64, rank: i64) -> int:
    """One level's queue, forwards and backwards, its lots and its count."""
    level = level_at(s, book_side, rank)
    count = 0
    lots: i64 = 0
    previous: i64 = 0
    order = s.pages[level + HEAD]
    assert order != 0, "a level that is marked has orders"
    while order != 0:
        assert s.orders[order + BOOK_SIDE] == book_side and s.orders[order + LEVEL] == level, "an order is where it says"
        assert s.orders[order + PRICE] == price_of(book_side, rank), "an order rests at its price"
        assert s.orders[order + EARLIER] == previous, "a queue is the same from both ends"
        lots += s.orders[order + LOTS]
        count += 1
        previous = order
        order = s.orders[order + LATER]
    assert s.pages[level + TAIL] == previous, "a queue ends at its tail"
    assert s.pages[level + LEVEL_LOTS] == lots and s.pages[level + LEVEL_ORDERS] == count, "a level sums its orders"
    return count


def check_expiries(s: State) -> None:
    """The heap is one, and its orders know their places."""
    place: i64 = 1
    while place <= s.expiry_count:
        row = (place - 1) * EXPIRY_WIDTH
        assert place_of(s, s.expiries[row + EXPIRING]) == place, "an order knows its place in the heap"
        if place > 1:
            assert before(s, place // 2, s.expiries[row], s.expiries[row + 1]), "nobody is due before the one above it"
        place += 1
