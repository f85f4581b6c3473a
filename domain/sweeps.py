"""Commands that take many orders away: mass cancel, and the clock that expires what is due. Both have a bound (docs/rules.md 7, 8)."""

from __future__ import annotations

from mypy_extensions import i64

from domain.columns import ACCOUNT_WIDTH, BOOK_SIDE, EXPIRY_BOUND, HEAD, MASS_CANCEL_BOUND, NEWEST, NO_RANK, OLDER
from domain.events import CLOCK_TICKED, EVENT_WORDS, ORDERS_MASS_CANCELLED, REMOVED_EXPIRED, REMOVED_MASS_CANCEL
from domain.expiries import next_due_ns, next_due_order
from domain.ladder import best_level, best_rank
from domain.matching import remove
from domain.standing import is_known, is_listed, is_not_closed
from domain.state import State, asked, emit
from domain.verbs import ACCOUNT, ANY_SIDE, INSTRUMENT, ONLY_BUYS, ONLY_SELLS, TERMS


def announce(s: State, kind: i64) -> i64:
    """Emit the outcome of a sweep before what it takes away; returns its place, for `sum_up`."""
    emit(s, kind, 0, 0, 0, 0, 0, 0, 0)
    return (s.emitted - 1) * EVENT_WORDS


def sum_up(s: State, outcome: i64, count: i64, more: bool) -> None:
    """Write into the outcome how many orders the sweep took and whether its bound left some."""
    s.events[outcome + 1] = count
    s.events[outcome + 2] = 1 if more else 0


def mass_cancel(s: State) -> None:
    """Cancel an account's live orders, or all of an instrument."""
    account = asked(s, ACCOUNT)
    number = asked(s, INSTRUMENT)
    scope = asked(s, TERMS)
    if number != 0 and not is_listed(s, number):
        return
    if account == 0:
        cancel_book(s, number, scope)
    elif is_known(s, account) and is_not_closed(s, account):
        cancel_account(s, account, number, scope)


def cancel_account(s: State, account: i64, number: i64, scope: i64) -> None:
    """Newest first; an account has at most MAX_ACCOUNT_ORDERS live orders."""
    outcome = announce(s, ORDERS_MASS_CANCELLED)
    count: i64 = 0
    order = s.accounts[account * ACCOUNT_WIDTH + NEWEST]
    while order != 0:
        older = s.orders[order + OLDER]
        book_side = s.orders[order + BOOK_SIDE]
        if (number == 0 or book_side >> 1 == number) and in_scope(scope, book_side):
            remove(s, order, REMOVED_MASS_CANCEL)
            count += 1
        order = older
    sum_up(s, outcome, count, False)


def cancel_book(s: State, number: i64, scope: i64) -> None:
    """Buys before sells, best price first, in queue order."""
    outcome = announce(s, ORDERS_MASS_CANCELLED)
    count: i64 = 0
    more = False
    book_side = number * 2
    while book_side < number * 2 + 2:
        if in_scope(scope, book_side):
            while best_rank(s, book_side) != NO_RANK and count < MASS_CANCEL_BOUND:
                remove(s, s.pages[best_level(s, book_side) + HEAD], REMOVED_MASS_CANCEL)
                count += 1
            more = more or best_rank(s, book_side) != NO_RANK
        book_side += 1
    sum_up(s, outcome, count, more)


def in_scope(scope: i64, book_side: i64) -> bool:
    """Is this side meant?"""
    return scope == ANY_SIDE or (scope == ONLY_BUYS and book_side & 1 == 0) or (scope == ONLY_SELLS and book_side & 1 == 1)


def tick_clock(s: State) -> None:
    """Expire what is due, earliest first, at most EXPIRY_BOUND orders; the rest waits for the next tick."""
    outcome = announce(s, CLOCK_TICKED)
    count: i64 = 0
    while is_due(s) and count < EXPIRY_BOUND:
        remove(s, next_due_order(s), REMOVED_EXPIRED)
        count += 1
    sum_up(s, outcome, count, is_due(s))


def is_due(s: State) -> bool:
    """Is an order dead by the time of the command?"""
    due_ns = next_due_ns(s)
    return due_ns != 0 and due_ns <= s.time_ns
