"""Price-time priority: the incoming order meets the best resting order, again and again, at the resting price (docs/rules.md 5, 6)."""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    BEST_LEVEL,
    BEST_RANK,
    BOOK_SIDE,
    BUDGET_FLAG,
    GROUP,
    HEAD,
    LATER,
    LOTS,
    NO_RANK,
    NUMBER,
    ORDER_TERMS,
    OWNER,
    PRICE,
    SIDE_WIDTH,
)
from domain.events import (
    ORDER_REMOVED,
    ORDER_RESTED,
    REMOVED_BUDGET,
    REMOVED_IOC,
    REMOVED_PRICE_LEVELS,
    REMOVED_SELF_TRADE,
    SELF_TRADE_PREVENTED,
    TRADE_EXECUTED,
)
from domain.funds import affordable_lots
from domain.ladder import best_rank, next_level
from domain.orders import decrement, fill, leave, rest
from domain.pages import can_open_level, level_at, rank_of
from domain.state import State, emit, event_head
from domain.verbs import FOK, IOC, STP_ALLOW, STP_CANCEL_BOTH, STP_CANCEL_NEWEST, STP_CANCEL_OLDEST, STP_DECREMENT


def stp_mode(terms: i64) -> i64:
    """Self-trade prevention mode in an order's terms."""
    return (terms >> 7) & 7


def time_in_force(terms: i64) -> i64:
    """Time in force in an order's terms."""
    return (terms >> 2) & 7


def cannot_rest(terms: i64) -> bool:
    """IOC and FOK orders (market orders are one of them) never enter the book."""
    return time_in_force(terms) == IOC or time_in_force(terms) == FOK


def is_self(s: State, one: i64, other: i64) -> bool:
    """Do two accounts count as the same trader?"""
    if one == other:
        return True
    group = s.accounts[one * ACCOUNT_WIDTH + GROUP]
    return group != 0 and group == s.accounts[other * ACCOUNT_WIDTH + GROUP]


def smaller(one: i64, other: i64) -> i64:
    """The smaller of two quantities."""
    if one < other:
        return one
    return other


def remove(s: State, order: i64, reason: i64) -> None:
    """An order goes without its owner asking for exactly that; say why."""
    take_away(s, order, ORDER_REMOVED | (reason << 16))


def take_away(s: State, order: i64, kind: i64) -> None:
    """The order leaves, and its event (ORDER_CANCELLED, or ORDER_REMOVED with a reason) says what it was and what was released."""
    orders = s.orders
    head = event_head(kind, orders[order + BOOK_SIDE])
    number = orders[order + NUMBER]
    owner = orders[order + OWNER]
    price_ticks = orders[order + PRICE]
    lots = orders[order + LOTS]
    released = leave(s, order)
    emit(s, head, number, owner, price_ticks, lots, released, 0, 0)


def match(s: State, orders: vec[i64], taker: i64) -> None:
    """Match the incoming order as far as its limit, its budget and self-trade prevention let it; then it rests or its remainder dies."""
    terms = orders[taker + ORDER_TERMS]
    other = orders[taker + BOOK_SIDE] ^ 1
    reach = rank_of(other, orders[taker + PRICE])
    best = other * SIDE_WIDTH
    sides = s.sides
    pages = s.pages
    while s.incoming == taker and sides[best + BEST_RANK] <= reach:
        maker = pages[sides[best + BEST_LEVEL] + HEAD]
        lots = smaller(orders[maker + LOTS], orders[taker + LOTS])
        if terms & BUDGET_FLAG:
            affordable = affordable_lots(s, taker, orders[maker + PRICE])
            if affordable == 0:
                remove(s, taker, REMOVED_BUDGET)
                return
            if stp_mode(terms) == STP_ALLOW or not is_self(s, orders[taker + OWNER], orders[maker + OWNER]):
                lots = smaller(lots, affordable)
        if stp_mode(terms) != STP_ALLOW and is_self(s, orders[taker + OWNER], orders[maker + OWNER]):
            prevent(s, taker, maker, lots, stp_mode(terms))
        else:
            trade(s, orders, taker, maker, lots)
    if s.incoming == taker:
        finish(s, orders, taker)


def finish(s: State, orders: vec[i64], taker: i64) -> None:
    """What an order is that has met everything it could: the remainder of an IOC dies here, others join the queue of their price."""
    if cannot_rest(orders[taker + ORDER_TERMS]):
        remove(s, taker, REMOVED_IOC)
        return
    book_side = orders[taker + BOOK_SIDE]
    price_ticks = orders[taker + PRICE]
    if not can_open_level(s, book_side, price_ticks):
        remove(s, taker, REMOVED_PRICE_LEVELS)
        return
    rest(s, orders, taker)
    emit(s, event_head(ORDER_RESTED, book_side), orders[taker + NUMBER], orders[taker + OWNER], price_ticks, orders[taker + LOTS], 0, 0, 0)


def trade(s: State, orders: vec[i64], taker: i64, maker: i64, lots: i64) -> None:
    """One fill and its event."""
    head = event_head(TRADE_EXECUTED, orders[taker + BOOK_SIDE])
    number = orders[maker + NUMBER]
    owner = orders[maker + OWNER]
    price_ticks = orders[maker + PRICE]
    taker_fee, maker_fee, released = fill(s, orders, taker, maker, lots)
    emit(s, head, number, owner, price_ticks, lots, taker_fee, maker_fee, released)


def prevent(s: State, taker: i64, maker: i64, lots: i64, mode: i64) -> None:
    """The incoming order would meet its own: do what its mode says instead of trading."""
    if mode == STP_CANCEL_NEWEST:
        remove(s, taker, REMOVED_SELF_TRADE)
    elif mode == STP_CANCEL_OLDEST:
        remove(s, maker, REMOVED_SELF_TRADE)
    elif mode == STP_CANCEL_BOTH:
        remove(s, maker, REMOVED_SELF_TRADE)
        remove(s, taker, REMOVED_SELF_TRADE)
    else:
        assert mode == STP_DECREMENT, "terms are checked before they get here"
        orders = s.orders
        head = event_head(SELF_TRADE_PREVENTED, orders[taker + BOOK_SIDE])
        number = orders[maker + NUMBER]
        owner = orders[maker + OWNER]
        price_ticks = orders[maker + PRICE]
        maker_released = decrement(s, maker, lots)
        taker_released = decrement(s, taker, lots)
        emit(s, head, number, owner, price_ticks, lots, taker_released, maker_released, 0)


def fillable_lots(s: State, account: i64, book_side: i64, price_ticks: i64, lots: i64, mode: i64) -> i64:
    """Lots of *lots* that an order could fill now at its limit; own orders count as their STP mode says. Changes nothing."""
    other = book_side ^ 1
    reach = rank_of(other, price_ticks)
    rank = best_rank(s, other)
    left = lots
    filled: i64 = 0
    while rank <= reach and rank != NO_RANK:
        maker = s.pages[level_at(s, other, rank) + HEAD]
        while maker != 0 and left > 0:
            met = s.orders[maker + LOTS] if s.orders[maker + LOTS] < left else left
            if mode == STP_ALLOW or not is_self(s, account, s.orders[maker + OWNER]):
                filled += met
                left -= met
            elif mode == STP_DECREMENT:
                left -= met
            elif mode != STP_CANCEL_OLDEST:
                return filled
            maker = s.orders[maker + LATER]
        if left == 0:
            return filled
        rank = next_level(s, other, rank)
    return filled
