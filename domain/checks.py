"""What must be true before an order trades or rests. Every check returns True, or emits one refusal and returns False.

They are asked in the order of domain/rules.py; docs/rules.md sections 4 and 7 say which verb asks which.
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import i64

from domain import rules
from domain.columns import (
    ACCOUNT_WIDTH,
    BAND_HIGH,
    BAND_LOW,
    INSTRUMENT_WIDTH,
    LOTS_BOUND,
    LOTS_LIMIT,
    MAX_ACCOUNT_ORDERS,
    MAX_LIVE_ORDERS,
    MAX_PAGES,
    MAX_PROBE,
    MAX_WALLETS,
    NO_RANK,
    NOTIONAL_BOUND,
    NOTIONAL_LIMIT,
    NUMBER,
    OPEN_LIMIT,
    OPEN_ORDERS,
    QUOTE_UNITS,
    STATE,
    STATUS,
    VALUE_BOUND,
)
from domain.ladder import best_rank
from domain.pages import has_page, price_of, rank_of
from domain.refusal import refuse
from domain.slots import find_client_id
from domain.state import State
from domain.verbs import ACCOUNT_OPEN, DAY, FOK, GTC, GTD, IOC, OPEN, POST_ONLY_SLIDE, PRE_OPEN

LARGEST: Final = 2**63 - 1


def is_ordinary(s: State, account: i64, number: i64, terms: i64, price_ticks: i64, lots: i64, budget: i64) -> bool:
    """Does a GTC, IOC or DAY limit order surely pass every check but that of its client order id? The short way of almost all.

    Says no where it is not sure: near a bound of the partition, for an account with limits of its own, for other terms.
    """
    if number > s.instrument_top or account > s.account_top or s.live_orders >= MAX_LIVE_ORDERS:
        return False
    instruments = s.instruments
    accounts = s.accounts
    instrument = number * INSTRUMENT_WIDTH
    row = account * ACCOUNT_WIDTH
    tif = (terms >> 2) & 7
    return (
        budget == 0
        and terms & 98 == 0  # a limit order, not post-only
        and (tif == GTC or tif == IOC or tif == DAY)
        and instruments[instrument + STATE] == OPEN
        and accounts[row + STATUS] == ACCOUNT_OPEN
        and accounts[row + OPEN_LIMIT] | accounts[row + LOTS_LIMIT] | accounts[row + NOTIONAL_LIMIT] == 0
        and accounts[row + OPEN_ORDERS] < MAX_ACCOUNT_ORDERS
        and instruments[instrument + BAND_LOW] <= price_ticks <= instruments[instrument + BAND_HIGH]
        and 0 < lots <= instruments[instrument + LOTS_BOUND]
        and price_ticks * lots <= instruments[instrument + VALUE_BOUND]
        and s.wallet_top + 2 <= MAX_WALLETS
        and s.page_count < MAX_PAGES
    )


def is_client_id_free(s: State, account: i64, client_id: i64) -> bool:
    """None of the account's live orders has this client order id (0: none asked for)."""
    if client_id == 0:
        return True
    holder = find_client_id(s, account, client_id)
    if holder > 0:
        return refuse(s, rules.CLIENT_ORDER_ID_IN_USE, s.orders[holder + NUMBER], client_id)
    return holder == 0 or refuse(s, rules.CROWDED_ID, MAX_PROBE, client_id)


def market_makes_sense(s: State, is_sell: bool, tif: i64, price_ticks: i64, budget: i64) -> bool:
    """A market order says how far it may go, and does not rest."""
    if price_ticks == 0 and (budget == 0 or is_sell):
        return refuse(s, rules.MARKET_WITHOUT_BOUND, 0, 0)
    return tif == IOC or tif == FOK or refuse(s, rules.MARKET_MUST_NOT_REST, IOC, tif)


def terms_make_sense(s: State, is_market: bool, is_sell: bool, tif: i64, post_only: i64, budget: i64) -> bool:
    """Only a market buy that is IOC has a budget; only a limit order that can rest is post-only."""
    if budget != 0 and (not is_market or is_sell or tif != IOC):
        return refuse(s, rules.BUDGET_NOT_ALLOWED, 0, budget)
    if post_only != 0 and (is_market or tif == IOC or tif == FOK):
        return refuse(s, rules.POST_ONLY_MUST_REST, 0, post_only)
    return True


def is_ahead(s: State, tif: i64, expires_ns: i64, now_ns: i64) -> bool:
    """A GTD order dies later than now."""
    return tif != GTD or expires_ns > now_ns or refuse(s, rules.EXPIRY_PASSED, now_ns, expires_ns)


def is_in_band(s: State, instrument: i64, price_ticks: i64) -> bool:
    """The price is inside the instrument's band."""
    if price_ticks < s.instruments[instrument + BAND_LOW]:
        return refuse(s, rules.PRICE_BAND, s.instruments[instrument + BAND_LOW], price_ticks)
    if price_ticks > s.instruments[instrument + BAND_HIGH]:
        return refuse(s, rules.PRICE_BAND, s.instruments[instrument + BAND_HIGH], price_ticks)
    return True


def are_lots_allowed(s: State, account: i64, instrument: i64, lots: i64) -> bool:
    """The quantity is at least one lot and within the bounds of instrument and account."""
    if lots < 1:
        return refuse(s, rules.MIN_QUANTITY, 1, lots)
    if lots > s.instruments[instrument + LOTS_BOUND]:
        return refuse(s, rules.MAX_QUANTITY, s.instruments[instrument + LOTS_BOUND], lots)
    limit = s.accounts[account * ACCOUNT_WIDTH + LOTS_LIMIT]
    return limit == 0 or lots <= limit or refuse(s, rules.ACCOUNT_MAX_QUANTITY, limit, lots)


def is_value_allowed(s: State, account: i64, instrument: i64, price_ticks: i64, lots: i64) -> bool:
    """price x lots x quote_units is within the bounds of instrument and account."""
    value = price_ticks * lots
    units = s.instruments[instrument + QUOTE_UNITS]
    if value > s.instruments[instrument + VALUE_BOUND]:
        return refuse(s, rules.MAX_NOTIONAL, s.instruments[instrument + NOTIONAL_BOUND], saturated(value, units))
    return is_notional_allowed(s, account, instrument, value * units)


def saturated(value: i64, units: i64) -> i64:
    """value x units, LARGEST where that is more than fits."""
    if value > LARGEST // units:
        return LARGEST
    return value * units


def is_notional_allowed(s: State, account: i64, instrument: i64, notional: i64) -> bool:
    """The notional in minor units is within the bounds of instrument and account."""
    if notional > s.instruments[instrument + NOTIONAL_BOUND]:
        return refuse(s, rules.MAX_NOTIONAL, s.instruments[instrument + NOTIONAL_BOUND], notional)
    limit = s.accounts[account * ACCOUNT_WIDTH + NOTIONAL_LIMIT]
    return limit == 0 or notional <= limit or refuse(s, rules.ACCOUNT_MAX_NOTIONAL, limit, notional)


def has_order_room(s: State, account: i64) -> bool:
    """One more live order is within the bounds of account and partition."""
    row = account * ACCOUNT_WIDTH
    limit = s.accounts[row + OPEN_LIMIT]
    if limit == 0 or limit > MAX_ACCOUNT_ORDERS:
        limit = MAX_ACCOUNT_ORDERS
    if s.accounts[row + OPEN_ORDERS] >= limit:
        return refuse(s, rules.ACCOUNT_OPEN_ORDERS, limit, s.accounts[row + OPEN_ORDERS])
    if s.live_orders >= MAX_LIVE_ORDERS:
        return refuse(s, rules.TOO_MANY_ORDERS, MAX_LIVE_ORDERS, s.live_orders)
    return True


def has_level_room(s: State, book_side: i64, price_ticks: i64) -> bool:
    """There is room for a price page, or the price has one."""
    if s.page_count < MAX_PAGES or has_page(s, book_side, price_ticks):
        return True
    return refuse(s, rules.TOO_MANY_PRICE_LEVELS, MAX_PAGES, s.page_count)


def resting_price(s: State, book_side: i64, instrument: i64, price_ticks: i64, post_only: i64) -> i64:
    """The price at which an order that may not take would rest: its own, or slid; 0 after a refusal."""
    other = book_side ^ 1
    if not would_take(s, book_side, price_ticks):
        return price_ticks
    best = price_of(other, best_rank(s, other))
    slid = best + 1 if book_side & 1 else best - 1
    if post_only == POST_ONLY_SLIDE and s.instruments[instrument + BAND_LOW] <= slid <= s.instruments[instrument + BAND_HIGH]:
        return slid
    refuse(s, rules.WOULD_TAKE, best, price_ticks)
    return 0


def would_take(s: State, book_side: i64, price_ticks: i64) -> bool:
    """Would an order at this price meet the best opposite one?"""
    rank = best_rank(s, book_side ^ 1)
    return rank != NO_RANK and rank <= rank_of(book_side ^ 1, price_ticks)


def must_not_take(s: State, instrument: i64, post_only: i64) -> bool:
    """Post-only orders, and all orders in pre-open."""
    return post_only != 0 or s.instruments[instrument + STATE] == PRE_OPEN


def is_funded(s: State, usable: i64, needed: i64) -> bool:
    """What the order would hold is there."""
    return needed <= usable or refuse(s, rules.INSUFFICIENT_FUNDS, usable, needed)
