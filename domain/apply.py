"""One event row: the same mutators that execute used, and nothing decided again."""

from __future__ import annotations

from mypy_extensions import i64

from domain import rules
from domain.accounts import move_funds, set_account
from domain.changes import KEPT_PRIORITY
from domain.columns import INSTRUMENT_WIDTH, LOTS, NUMBER, ORDER_WIDTH, PRICE, SLOT_MASK
from domain.dedupe import crowded, remember
from domain.entry import kept_terms
from domain.events import (
    ACCOUNT_CHANGED,
    ACCOUNT_OPENED,
    COMMAND_REFUSED,
    COMMAND_REPEATED,
    FEE_RATES_SET,
    FIRST_CONSEQUENCE,
    FUNDS_DEPOSITED,
    FUNDS_WITHDRAWN,
    INSTRUMENT_LISTED,
    INSTRUMENT_STATE_CHANGED,
    ORDER_ACCEPTED,
    ORDER_CANCELLED,
    ORDER_REDUCED,
    ORDER_REMOVED,
    ORDER_REPLACED,
    ORDER_RESTED,
    SELF_TRADE_PREVENTED,
    TRADE_EXECUTED,
)
from domain.execute import move_time
from domain.instruments import add_instrument, change_state, set_rates
from domain.orders import decrement, enter, fill, leave, reenter, rename, rest
from domain.room import count_command
from domain.state import State, asked, told
from domain.verbs import (
    ACCOUNT,
    ACCOUNT_OPEN,
    AMOUNT,
    CLIENT_ORDER_ID,
    INSTRUMENT,
    NEW_CLIENT_ORDER_ID,
    RECEIVED_NS,
    SEQUENCE,
    SESSION,
    TERMS,
)
from domain.wallets import find_pair


def live(s: State, number: i64) -> i64:
    """Row of an order that the events say is live."""
    order = (number & SLOT_MASK) * ORDER_WIDTH
    assert number > 0 and order + NUMBER < i64(len(s.orders)) and s.orders[order + NUMBER] == number, "an event names a live order"
    return order


def apply_event(s: State) -> None:
    """Fold the event at work (`told`); the command at work (`asked`) caused it.

    Raises AssertionError when the event does not follow from the state: the record or the state is not what it claims to be.
    """
    kind = told(s, 0) & 255
    if kind < FIRST_CONSEQUENCE:
        open_command(s, kind, told(s, 1))
        apply_outcome(s, kind)
    else:
        apply_consequence(s, kind)


def open_command(s: State, kind: i64, detail: i64) -> None:
    """What every outcome changes: the count of commands, the time, the memory of what was seen."""
    count_command(s)
    if kind == COMMAND_REFUSED and detail == rules.MALFORMED_FIELD:
        return
    move_time(s, asked(s, RECEIVED_NS))
    account = asked(s, ACCOUNT)
    session = asked(s, SESSION)
    sequence = asked(s, SEQUENCE)
    if kind == COMMAND_REPEATED or (kind == COMMAND_REFUSED and detail == rules.TOO_MANY_SESSIONS):
        return
    if not crowded(s, account, session, sequence):
        remember(s, account, session, sequence, kind, detail)


def apply_outcome(s: State, kind: i64) -> None:
    """Fold the outcome of a command."""
    if kind == ORDER_ACCEPTED:
        accept(s)
    elif kind == ORDER_CANCELLED:
        released = leave(s, live(s, told(s, 1)))
        assert released == told(s, 5), "a cancel releases what its event says"
    elif kind == ORDER_REDUCED:
        released = decrement(s, live(s, told(s, 1)), told(s, 4))
        assert released == told(s, 5), "a reduction releases what its event says"
    elif kind == ORDER_REPLACED:
        replace(s)
    elif kind == FUNDS_DEPOSITED:
        move_funds(s, asked(s, ACCOUNT), asked(s, INSTRUMENT), asked(s, AMOUNT))
    elif kind == FUNDS_WITHDRAWN:
        move_funds(s, asked(s, ACCOUNT), asked(s, INSTRUMENT), -asked(s, AMOUNT))
    elif kind == ACCOUNT_OPENED:
        set_account(s, ACCOUNT_OPEN)
    elif kind == ACCOUNT_CHANGED:
        set_account(s, asked(s, TERMS))
    elif kind == INSTRUMENT_LISTED:
        add_instrument(s)
    elif kind == INSTRUMENT_STATE_CHANGED:
        change_state(s, asked(s, INSTRUMENT), told(s, 2))
    elif kind == FEE_RATES_SET:
        set_rates(s, asked(s, INSTRUMENT), told(s, 1), told(s, 2), told(s, 3))


def apply_consequence(s: State, kind: i64) -> None:
    """Fold what followed from a command."""
    if kind == TRADE_EXECUTED:
        maker = live(s, told(s, 1))
        taker_fee, maker_fee, released = fill(s, s.orders, s.incoming, maker, told(s, 4))
        assert taker_fee == told(s, 5) and maker_fee == told(s, 6), "a fill costs what its event says"
        assert released == told(s, 7), "a fill releases what its event says"
    elif kind == ORDER_RESTED:
        rest(s, s.orders, live(s, told(s, 1)))
    elif kind == ORDER_REMOVED:
        released = leave(s, live(s, told(s, 1)))
        assert released == told(s, 5), "a removal releases what its event says"
    else:
        assert kind == SELF_TRADE_PREVENTED, "an event has a kind that this version knows"
        taker = s.incoming
        decrement(s, live(s, told(s, 1)), told(s, 4))
        decrement(s, taker, told(s, 4))


def accept(s: State) -> None:
    """Fold OrderAccepted: price, hold and expiry are the event's, the rest the command's."""
    terms = asked(s, TERMS)
    quote, base = find_pair(s, s.wallets, s.instruments, asked(s, ACCOUNT), asked(s, INSTRUMENT) * INSTRUMENT_WIDTH)
    order = enter(
        s,
        asked(s, ACCOUNT),
        asked(s, INSTRUMENT) * 2 + (terms & 1),
        told(s, 3),
        told(s, 4),
        kept_terms(terms, asked(s, AMOUNT)),
        asked(s, CLIENT_ORDER_ID),
        told(s, 2),
        told(s, 5),
        quote,
        base,
    )
    assert s.orders[order + NUMBER] == told(s, 1), "an order gets the number that its event says"


def replace(s: State) -> None:
    """Fold OrderReplaced."""
    order = live(s, told(s, 1))
    client_id = asked(s, NEW_CLIENT_ORDER_ID)
    if client_id != 0:
        rename(s, order, client_id)
    price_ticks = told(s, 3)
    lots = told(s, 4)
    if told(s, 0) & KEPT_PRIORITY == 0:
        change = reenter(s, order, price_ticks, lots)
        assert change == told(s, 5), "a replace holds what its event says"
    elif lots < s.orders[order + LOTS]:
        assert price_ticks == s.orders[order + PRICE], "a kept place is at the same price"
        decrement(s, order, s.orders[order + LOTS] - lots)
