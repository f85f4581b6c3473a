"""Instruments, accounts and their funds: the rules that admit a change, and the mutators that make it (docs/rules.md 2, 3)."""

from __future__ import annotations

from mypy_extensions import i64

from domain import rules
from domain.checks import is_known, is_listed, is_not_closed, wallet_fits
from domain.columns import (
    ACCOUNT_TOP,
    ACCOUNT_WIDTH,
    ASSET,
    AVAILABLE,
    BAND_HIGH,
    BAND_LOW,
    BASE_ASSET,
    BASE_UNITS,
    DAY_END,
    FEE_WALLET,
    FIRST_WALLET,
    GROUP,
    HIGHER_RATE,
    INSTRUMENT_TOP,
    INSTRUMENT_WIDTH,
    LOT_SIZE,
    LOTS_BOUND,
    LOTS_LIMIT,
    MAKER_RATE,
    MAX_ACCOUNT,
    MAX_BALANCE,
    MAX_INSTRUMENT,
    MAX_PRICE_TICKS,
    NOTIONAL_BOUND,
    NOTIONAL_LIMIT,
    OPEN_LIMIT,
    OPEN_ORDERS,
    QUOTE_ASSET,
    QUOTE_UNITS,
    RESERVED,
    SCALES,
    STATE,
    STATUS,
    SYMBOL,
    TAKER_RATE,
    TICK_SIZE,
    VALUE_BOUND,
    WALLET_OWNER,
    WALLET_TOP,
    WALLET_WIDTH,
)
from domain.events import (
    ACCOUNT_CHANGED,
    ACCOUNT_OPENED,
    FUNDS_DEPOSITED,
    FUNDS_WITHDRAWN,
    INSTRUMENT_LISTED,
    INSTRUMENT_STATE_CHANGED,
)
from domain.funds import find_wallet, post, wallet
from domain.refusal import refuse
from domain.state import State, emit, reserve_account, reserve_asset, reserve_instrument
from domain.verbs import (
    ACCOUNT,
    ACCOUNT_CLOSED,
    ACCOUNT_OPEN,
    AMOUNT,
    CLIENT_ORDER_ID,
    CLOSED,
    HALTED,
    INSTRUMENT,
    OPEN,
    PRE_OPEN,
    QUANTITY_LOTS,
    TERMS,
)


def list_instrument(s: State) -> None:
    """Admit a new instrument."""
    number = s.command[INSTRUMENT]
    quote = (s.command[7] >> 16) & 65535
    if number <= s.counters[INSTRUMENT_TOP] and s.instruments[number * INSTRUMENT_WIDTH + STATE] != 0:
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
    number = s.command[INSTRUMENT]
    reserve_instrument(s, number)
    if number > s.counters[INSTRUMENT_TOP]:
        s.counters[INSTRUMENT_TOP] = number
    place = number * INSTRUMENT_WIDTH
    assets = s.command[7]
    band = s.command[10]
    rates = s.command[13]
    units = s.command[14]
    instruments = s.instruments
    instruments[place + STATE] = PRE_OPEN
    instruments[place + BASE_ASSET] = assets & 65535
    instruments[place + QUOTE_ASSET] = (assets >> 16) & 65535
    instruments[place + QUOTE_UNITS] = units & MAX_PRICE_TICKS
    instruments[place + BASE_UNITS] = units >> 31
    instruments[place + BAND_LOW] = band & MAX_PRICE_TICKS
    instruments[place + BAND_HIGH] = band >> 31
    instruments[place + LOTS_BOUND] = s.command[11]
    instruments[place + NOTIONAL_BOUND] = s.command[12]
    instruments[place + VALUE_BOUND] = s.command[12] // (units & MAX_PRICE_TICKS)
    instruments[place + MAKER_RATE] = rates & 1048575
    instruments[place + TAKER_RATE] = rates >> 20
    instruments[place + HIGHER_RATE] = rates & 1048575
    if rates >> 20 > rates & 1048575:
        instruments[place + HIGHER_RATE] = rates >> 20
    instruments[place + DAY_END] = s.command[15]
    instruments[place + SYMBOL] = s.command[6]
    instruments[place + TICK_SIZE] = s.command[8]
    instruments[place + LOT_SIZE] = s.command[9]
    instruments[place + SCALES] = assets >> 32
    instruments[place + FEE_WALLET] = wallet(s, 0, (assets >> 16) & 65535)


def set_instrument_state(s: State) -> None:
    """Move an instrument between trading states."""
    number = s.command[INSTRUMENT]
    if not is_listed(s, number):
        return
    state = s.command[TERMS]
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


def open_account(s: State) -> None:
    """Admit a new account."""
    account = s.command[ACCOUNT]
    if account <= s.counters[ACCOUNT_TOP] and s.accounts[account * ACCOUNT_WIDTH + STATUS] != 0:
        refuse(s, rules.ACCOUNT_EXISTS, s.accounts[account * ACCOUNT_WIDTH + STATUS], account)
        return
    if account > MAX_ACCOUNT:
        refuse(s, rules.TOO_MANY_ACCOUNTS, MAX_ACCOUNT, account)
        return
    set_account(s, ACCOUNT_OPEN)
    emit(s, ACCOUNT_OPENED, 0, 0, 0, 0, 0, 0, 0)


def change_account(s: State) -> None:
    """Set an account's status, group and limits; a closed account stays closed, and only an empty one closes."""
    account = s.command[ACCOUNT]
    if not is_known(s, account) or not is_not_closed(s, account):
        return
    status = s.command[TERMS]
    if status == ACCOUNT_CLOSED:
        observed = s.accounts[account * ACCOUNT_WIDTH + OPEN_ORDERS]
        if observed == 0:
            observed = lowest_balance(s, account)
        if observed != 0:
            refuse(s, rules.ACCOUNT_NOT_EMPTY, 0, observed)
            return
    previous = s.accounts[account * ACCOUNT_WIDTH + STATUS]
    set_account(s, status)
    emit(s, ACCOUNT_CHANGED, previous, 0, 0, 0, 0, 0, 0)


def lowest_balance(s: State, account: i64) -> i64:
    """The account's balance of the lowest asset number of which it has any, 0 when it has nothing. Looks at every wallet: rare."""
    lowest_asset: i64 = 0
    balance: i64 = 0
    row = s.accounts[account * ACCOUNT_WIDTH + FIRST_WALLET]
    end = s.counters[WALLET_TOP] * WALLET_WIDTH
    while row != 0 and row < end:
        if s.wallets[row + WALLET_OWNER] == account and (lowest_asset == 0 or s.wallets[row + ASSET] < lowest_asset):
            total = s.wallets[row + AVAILABLE] + s.wallets[row + RESERVED]
            if total != 0:
                lowest_asset = s.wallets[row + ASSET]
                balance = total
        row += WALLET_WIDTH
    return balance


def set_account(s: State, status: i64) -> None:
    """Mutator: an account's status, group and limits from its command row."""
    account = s.command[ACCOUNT]
    reserve_account(s, account)
    if account > s.counters[ACCOUNT_TOP]:
        s.counters[ACCOUNT_TOP] = account
    place = account * ACCOUNT_WIDTH
    s.accounts[place + STATUS] = status
    s.accounts[place + GROUP] = s.command[INSTRUMENT]
    s.accounts[place + OPEN_LIMIT] = s.command[CLIENT_ORDER_ID]
    s.accounts[place + LOTS_LIMIT] = s.command[QUANTITY_LOTS]
    s.accounts[place + NOTIONAL_LIMIT] = s.command[AMOUNT]


def deposit(s: State) -> None:
    """Bring an amount in, while the asset's total stays within its bound."""
    account = s.command[ACCOUNT]
    asset = s.command[INSTRUMENT]
    amount = s.command[AMOUNT]
    if not is_known(s, account) or not is_not_closed(s, account) or not wallet_fits(s, account, asset):
        return
    total = supply_of(s, asset) + amount
    if total > MAX_BALANCE:
        refuse(s, rules.SUPPLY_BOUND, MAX_BALANCE, total)
        return
    emit(s, FUNDS_DEPOSITED, move_funds(s, account, asset, amount), 0, 0, 0, 0, 0, 0)


def withdraw(s: State) -> None:
    """Take an available amount out."""
    account = s.command[ACCOUNT]
    asset = s.command[INSTRUMENT]
    amount = s.command[AMOUNT]
    if not is_known(s, account) or not is_not_closed(s, account):
        return
    row_of = find_wallet(s, account, asset)
    usable: i64 = 0
    if row_of != 0:
        usable = s.wallets[row_of + AVAILABLE]
    if amount > usable:
        refuse(s, rules.INSUFFICIENT_FUNDS, usable, amount)
        return
    emit(s, FUNDS_WITHDRAWN, move_funds(s, account, asset, -amount), 0, 0, 0, 0, 0, 0)


def supply_of(s: State, asset: i64) -> i64:
    """Deposits minus withdrawals of an asset, minor units."""
    if asset >= i64(len(s.supplies)):
        return 0
    return s.supplies[asset]


def move_funds(s: State, account: i64, asset: i64, amount: i64) -> i64:
    """Mutator: add a signed amount to the available balance and to the asset's supply. Returns the available balance after it."""
    reserve_asset(s, asset)
    row = wallet(s, account, asset)
    post(s, s.wallets, row + AVAILABLE, amount)
    s.posted -= amount
    s.supplies[asset] += amount
    assert s.wallets[row + AVAILABLE] >= 0 and s.supplies[asset] >= 0, "nothing goes out that is not there"
    return s.wallets[row + AVAILABLE]
