"""A new order: every check in the order of docs/rules.md section 4, then it is accepted and matched."""

from __future__ import annotations

from mypy_extensions import i64

from domain.checks import (
    are_lots_allowed,
    has_level_room,
    has_order_room,
    is_ahead,
    is_client_id_free,
    is_funded,
    is_in_band,
    is_notional_allowed,
    is_ordinary,
    is_value_allowed,
    market_makes_sense,
    must_not_take,
    resting_price,
    terms_make_sense,
)
from domain.columns import AVAILABLE, BAND_HIGH, BASE_UNITS, BUDGET_FLAG, DAY_END, DAY_NS, INSTRUMENT_WIDTH, NUMBER
from domain.events import ORDER_ACCEPTED
from domain.funds import buy_hold
from domain.matching import cannot_rest, fillable_lots, match, stp_mode, time_in_force
from domain.orders import enter
from domain.refusal import refuse
from domain.rules import FOK_UNFILLABLE
from domain.standing import has_wallets, is_known, is_listed, may_trade, takes_kind, takes_orders
from domain.state import State, emit, event_head
from domain.verbs import ACCOUNT, AMOUNT, CLIENT_ORDER_ID, DAY, EXPIRES_NS, FOK, INSTRUMENT, PRICE_TICKS, QUANTITY_LOTS, TERMS
from domain.wallets import find_pair


def new_order(s: State) -> None:
    """Refuse the order, or accept, match and rest it."""
    rows = s.rows
    row = s.row
    account = rows[row + ACCOUNT]
    number = rows[row + INSTRUMENT]
    terms = rows[row + TERMS]
    price_ticks = rows[row + PRICE_TICKS]
    lots = rows[row + QUANTITY_LOTS]
    budget = rows[row + AMOUNT]
    client_id = rows[row + CLIENT_ORDER_ID]
    if is_ordinary(s, account, number, terms, price_ticks, lots, budget):
        if not is_client_id_free(s, account, client_id):
            return
    else:
        if not passes_every_check(s):
            return
        if price_ticks == 0:
            price_ticks = s.instruments[number * INSTRUMENT_WIDTH + BAND_HIGH]
    book_side = number * 2 + (terms & 1)
    if not cannot_rest(terms):
        price_ticks = price_at_rest(s, account, book_side, price_ticks, lots, (terms >> 5) & 3)
        if price_ticks == 0:
            return
    accept(s, account, book_side, price_ticks, lots, terms, client_id, budget, rows[row + EXPIRES_NS])


def passes_every_check(s: State) -> bool:
    """Sections 4.1 to 4.5, one check after the other; the first that fails refuses."""
    rows = s.rows
    row = s.row
    number = rows[row + INSTRUMENT]
    account = rows[row + ACCOUNT]
    terms = rows[row + TERMS]
    budget = rows[row + AMOUNT]
    price_ticks = rows[row + PRICE_TICKS]
    lots = rows[row + QUANTITY_LOTS]
    if not is_listed(s, number) or not is_known(s, account) or not may_trade(s, account):
        return False
    instrument = number * INSTRUMENT_WIDTH
    if not may_enter(s, instrument):
        return False
    if budget != 0 and price_ticks == 0:
        price_ticks = s.instruments[instrument + BAND_HIGH]
    if not is_in_band(s, instrument, price_ticks) or not are_lots_allowed(s, account, instrument, lots):
        return False
    if budget != 0:
        if not is_notional_allowed(s, account, instrument, budget):
            return False
    elif not is_value_allowed(s, account, instrument, price_ticks, lots):
        return False
    return has_order_room(s, account) and (cannot_rest(terms) or has_level_room(s, number * 2 + (terms & 1), price_ticks))


def may_enter(s: State, instrument: i64) -> bool:
    """Sections 4.1 to 4.3: what does not depend on price and quantity."""
    rows = s.rows
    row = s.row
    account = rows[row + ACCOUNT]
    terms = rows[row + TERMS]
    budget = rows[row + AMOUNT]
    tif = time_in_force(terms)
    is_sell = terms & 1 != 0
    is_market = terms & 2 != 0
    return (
        has_wallets(s, account, instrument)
        and takes_orders(s, instrument)
        and takes_kind(s, instrument, is_market, tif)
        and is_client_id_free(s, account, rows[row + CLIENT_ORDER_ID])
        and (not is_market or market_makes_sense(s, is_sell, tif, rows[row + PRICE_TICKS], budget))
        and terms_make_sense(s, is_market, is_sell, tif, (terms >> 5) & 3, budget)
        and is_ahead(s, tif, rows[row + EXPIRES_NS], s.time_ns)
    )


def price_at_rest(s: State, account: i64, book_side: i64, price_ticks: i64, lots: i64, post_only: i64) -> i64:
    """The price of an order that can rest: slid when it must not take and asked for it. 0 after a refusal."""
    instrument = (book_side >> 1) * INSTRUMENT_WIDTH
    if not must_not_take(s, instrument, post_only):
        return price_ticks
    slid = resting_price(s, book_side, instrument, price_ticks, post_only)
    if slid == 0 or slid == price_ticks:
        return slid
    if not is_value_allowed(s, account, instrument, slid, lots) or not has_level_room(s, book_side, slid):
        return 0
    return slid


def accept(
    s: State, account: i64, book_side: i64, price_ticks: i64, lots: i64, terms: i64, client_id: i64, budget: i64, expires_ns: i64
) -> None:
    """Sections 4.7 to 4.9: hold the worst case, ask whether a FOK can be filled, accept, match."""
    instrument = (book_side >> 1) * INSTRUMENT_WIDTH
    instruments = s.instruments
    wallets = s.wallets
    quote, base = find_pair(s, wallets, instruments, account, instrument)
    if book_side & 1:
        needed = lots * instruments[instrument + BASE_UNITS]
        usable = wallets[base + AVAILABLE]
    else:
        needed = budget if budget != 0 else buy_hold(instruments, instrument, price_ticks, lots, 0)
        usable = wallets[quote + AVAILABLE]
    if not is_funded(s, usable, needed):
        return
    if time_in_force(terms) == FOK:
        fillable = fillable_lots(s, account, book_side, price_ticks, lots, stp_mode(terms))
        if fillable < lots:
            refuse(s, FOK_UNFILLABLE, fillable, lots)
            return
    if time_in_force(terms) == DAY:
        expires_ns = day_end_after(s.time_ns, instruments[instrument + DAY_END])
    order = enter(s, account, book_side, price_ticks, lots, kept_terms(terms, budget), client_id, needed, expires_ns, quote, base)
    orders = s.orders
    emit(s, event_head(ORDER_ACCEPTED, book_side), orders[order + NUMBER], needed, price_ticks, lots, expires_ns, 0, 0)
    match(s, orders, order)


def kept_terms(terms: i64, budget: i64) -> i64:
    """The terms an order keeps: those of its command, and whether it has a budget."""
    return terms | BUDGET_FLAG if budget != 0 else terms


def day_end_after(time_ns: i64, day_end_ns: i64) -> i64:
    """The first day end later than *time_ns*, nanosecond of UTC."""
    midnight = time_ns - time_ns % DAY_NS
    return midnight + day_end_ns if midnight + day_end_ns > time_ns else midnight + DAY_NS + day_end_ns
