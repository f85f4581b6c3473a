"""One command row: decide, change the state through the mutators, emit the events."""

from __future__ import annotations

from mypy_extensions import i64

from domain import rules
from domain.accounts import change_account, deposit, open_account, withdraw
from domain.changes import cancel_order, reduce_order, replace_order
from domain.columns import MAX_PROBE, MAX_SESSION
from domain.dedupe import crowded, first_outcome, remember, seen
from domain.entry import new_order
from domain.events import COMMAND_REPEATED, EVENT_WORDS
from domain.instruments import list_instrument, set_fee_rates, set_instrument_state
from domain.notes import note_unreadable
from domain.refusal import refuse
from domain.room import count_command
from domain.state import State, asked, emit
from domain.sweeps import mass_cancel, tick_clock
from domain.verbs import (
    ACCOUNT,
    CANCEL_ORDER,
    CHANGE_ACCOUNT,
    DEPOSIT,
    LIST_INSTRUMENT,
    MASS_CANCEL,
    NEW_ORDER,
    OPEN_ACCOUNT,
    RECEIVED_NS,
    REDUCE_ORDER,
    REPLACE_ORDER,
    SEQUENCE,
    SESSION,
    SET_FEE_RATES,
    SET_INSTRUMENT_STATE,
    TICK_CLOCK,
    VERB,
    WITHDRAW,
)
from domain.wellformed import WELL_FORMED, malformed_word


def execute_command(s: State) -> None:
    """The command at work gives at least one event; the first is its outcome (docs/rules.md section 1)."""
    count_command(s)
    rows = s.rows
    row = s.row
    wrong = malformed_word(s.word_bounds, rows, row)
    if wrong != WELL_FORMED:
        refuse(s, rules.MALFORMED_FIELD, wrong, rows[row + wrong])
        return
    move_time(s, rows[row + RECEIVED_NS])
    account = rows[row + ACCOUNT]
    session = rows[row + SESSION]
    sequence = rows[row + SEQUENCE]
    if session > MAX_SESSION:
        refuse(s, rules.TOO_MANY_SESSIONS, MAX_SESSION, session)
        return
    if crowded(s, account, session, sequence):
        refuse(s, rules.CROWDED_ID, MAX_PROBE, sequence)
        return
    if seen(s, account, session, sequence):
        kind, detail = first_outcome(s, account, session, sequence)
        emit(s, COMMAND_REPEATED, kind, detail, 0, 0, 0, 0, 0)
        return
    outcome = s.emitted
    dispatch(s)
    assert s.emitted > outcome and s.incoming == 0, "a command has an outcome, and leaves no order between taker and book"
    remember_outcome(s, account, session, sequence, outcome)


def move_time(s: State, received_ns: i64) -> None:
    """Time rises: the later of the last command's time and this one's receipt."""
    if received_ns > s.time_ns:
        s.time_ns = received_ns


def remember_outcome(s: State, account: i64, session: i64, sequence: i64, outcome: i64) -> None:
    """Keep the kind and first column of the event at *outcome* for a repeat of this command."""
    kind = outcome * EVENT_WORDS
    detail = kind + 1
    remember(s, account, session, sequence, s.events[kind] & 255, s.events[detail])


def dispatch(s: State) -> None:
    """Give a well-formed command that was not seen before to its verb."""
    verb = asked(s, VERB)
    if verb == NEW_ORDER:
        new_order(s)
    elif verb == CANCEL_ORDER:
        cancel_order(s)
    elif verb == REPLACE_ORDER:
        replace_order(s)
    elif verb == REDUCE_ORDER:
        reduce_order(s)
    elif verb == MASS_CANCEL:
        mass_cancel(s)
    elif verb == DEPOSIT:
        deposit(s)
    elif verb == WITHDRAW:
        withdraw(s)
    elif verb == OPEN_ACCOUNT:
        open_account(s)
    elif verb == CHANGE_ACCOUNT:
        change_account(s)
    elif verb == LIST_INSTRUMENT:
        list_instrument(s)
    elif verb == SET_INSTRUMENT_STATE:
        set_instrument_state(s)
    elif verb == SET_FEE_RATES:
        set_fee_rates(s)
    elif verb == TICK_CLOCK:
        tick_clock(s)
    else:
        note_unreadable(s)
