"""Instruments: the rules that admit one and move it between states, and the mutators that do it (docs/rules.md 2)."""

from __future__ import annotations

from mypy_extensions import i64

from domain import rules
from domain.columns import (
    BAND_HIGH,
    BAND_LOW,
    BASE_ASSET,
    BASE_UNITS,
    DAY_END,
    FEE_WALLET,
    HELD_RATE,
    INSTRUMENT_WIDTH,
    LOT_SIZE,
    LOTS_BOUND,
    MAKER_RATE,
    MAX_INSTRUMENT,
    MAX_PRICE_TICKS,
    NO_RANK,
    NOTIONAL_BOUND,
    QUOTE_ASSET,
    QUOTE_UNITS,
    SCALES,
    STATE,
    SYMBOL,
    TAKER_RATE,
    TICK_SIZE,
    VALUE_BOUND,
)
from domain.events import FEE_RATES_SET, INSTRUMENT_LISTED, INSTRUMENT_STATE_CHANGED
from domain.ladder import best_rank
from domain.refusal import refuse
from domain.room import reserve_instrument
from domain.standing import is_listed, wallet_fits
from domain.state import State, asked, emit
from domain.verbs import BUY, CLOSED, HALTED, INSTRUMENT, OPEN, PRE_OPEN, TERMS
from domain.wallets import wallet


def list_instrument(s: State) -> None:
    """Admit a new instrument."""
    number = asked(s, INSTRUMENT)
    quote = (asked(s, 7) >> 16) & 65535
    if number <= s.instrument_top and s.instruments[number * INSTRUMENT_WIDTH + STATE] != 0:
        refuse(s, rules.ALREADY_LISTED, s.instruments[number * INSTRUMENT_WIDTH + STATE], number)
        return
    if number > MAX_INSTRUMENT:
        refuse(s, rules.TOO_MANY_INSTRUMENTS, MAX_INSTRUMENT, number)
        return
    if not wallet_fits(s, 0, quote):
        return
    add_instrument(s)
    emit(s, INSTRUMENT_LISTED | (number << 32), 0, 0, 0, 0, 0, 0, 0)


def add_instrument(s: State) -> None:
    """Mutator: the instrument of a ListInstrument row, in pre-open, and the venue's wallet of its quote asset."""
    number = asked(s, INSTRUMENT)
    reserve_instrument(s, number)
    if number > s.instrument_top:
        s.instrument_top = number
    place = number * INSTRUMENT_WIDTH
    assets = asked(s, 7)
    band = asked(s, 10)
    rates = asked(s, 13)
    units = asked(s, 14)
    instruments = s.instruments
    instruments[place + STATE] = PRE_OPEN
    instruments[place + BASE_ASSET] = assets & 65535
    instruments[place + QUOTE_ASSET] = (assets >> 16) & 65535
    instruments[place + QUOTE_UNITS] = units & MAX_PRICE_TICKS
    instruments[place + BASE_UNITS] = units >> 31
    instruments[place + BAND_LOW] = band & MAX_PRICE_TICKS
    instruments[place + BAND_HIGH] = band >> 31
    instruments[place + LOTS_BOUND] = asked(s, 11)
    instruments[place + NOTIONAL_BOUND] = asked(s, 12)
    instruments[place + VALUE_BOUND] = asked(s, 12) // (units & MAX_PRICE_TICKS)
    instruments[place + DAY_END] = asked(s, 15)
    instruments[place + SYMBOL] = asked(s, 6)
    instruments[place + TICK_SIZE] = asked(s, 8)
    instruments[place + LOT_SIZE] = asked(s, 9)
    instruments[place + SCALES] = assets >> 32
    instruments[place + FEE_WALLET] = wallet(s, 0, (assets >> 16) & 65535)
    set_rates(s, number, rates & 1048575, rates >> 20, higher(rates & 1048575, rates >> 20))


def set_fee_rates(s: State) -> None:
    """Other fee rates from the next fill on: at most the rate for which the live buys hold funds."""
    number = asked(s, INSTRUMENT)
    if not is_listed(s, number):
        return
    maker_rate = asked(s, 13) & 1048575
    taker_rate = asked(s, 13) >> 20
    held_rate = higher(maker_rate, taker_rate)
    if best_rank(s, number * 2 + BUY) != NO_RANK:
        held = s.instruments[number * INSTRUMENT_WIDTH + HELD_RATE]
        if held_rate > held:
            refuse(s, rules.RATE_NOT_HELD, held, held_rate)
            return
        held_rate = held
    set_rates(s, number, maker_rate, taker_rate, held_rate)
    emit(s, FEE_RATES_SET | (number << 32), maker_rate, taker_rate, held_rate, 0, 0, 0, 0)


def higher(maker_rate: i64, taker_rate: i64) -> i64:
    """The higher of two rates."""
    return taker_rate if taker_rate > maker_rate else maker_rate


def set_rates(s: State, number: i64, maker_rate: i64, taker_rate: i64, held_rate: i64) -> None:
    """Mutator: what fills cost, and the rate for which buys hold funds."""
    assert 0 <= maker_rate <= held_rate and 0 <= taker_rate <= held_rate, "a buy holds funds for every fee that it may have to pay"
    place = number * INSTRUMENT_WIDTH
    s.instruments[place + MAKER_RATE] = maker_rate
    s.instruments[place + TAKER_RATE] = taker_rate
    s.instruments[place + HELD_RATE] = held_rate


def set_instrument_state(s: State) -> None:
    """Move an instrument between trading states."""
    number = asked(s, INSTRUMENT)
    if not is_listed(s, number):
        return
    state = asked(s, TERMS)
    previous = s.instruments[number * INSTRUMENT_WIDTH + STATE]
    if not is_transition(previous, state):
        refuse(s, rules.STATE_TRANSITION, previous, state)
        return
    change_state(s, number, state)
    emit(s, INSTRUMENT_STATE_CHANGED | (number << 32), previous, state, 0, 0, 0, 0, 0)


def is_transition(previous: i64, state: i64) -> bool:
    """May an instrument go from one state to another?"""
    if previous == PRE_OPEN:
        return state != PRE_OPEN
    if previous == OPEN:
        return state == HALTED or state == CLOSED
    if previous == HALTED:
        return state != HALTED
    return state == PRE_OPEN


def change_state(s: State, number: i64, state: i64) -> None:
    """Mutator: the instrument's trading state."""
    s.instruments[number * INSTRUMENT_WIDTH + STATE] = state
