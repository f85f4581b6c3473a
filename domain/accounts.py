"""Accounts and what they bring in and take out: the rules that admit a change, and the mutators that make it (docs/rules.md 3)."""

from __future__ import annotations

from mypy_extensions import i64

from domain import rules
from domain.columns import (
    ACCOUNT_WIDTH,
    ASSET,
    AVAILABLE,
    FIRST_WALLET,
    GROUP,
    LOTS_LIMIT,
    MAX_ACCOUNT,
    MAX_BALANCE,
    NOTIONAL_LIMIT,
    OPEN_LIMIT,
    OPEN_ORDERS,
    RESERVED,
    STATUS,
    WALLET_OWNER,
    WALLET_WIDTH,
)
from domain.events import ACCOUNT_CHANGED, ACCOUNT_OPENED, FUNDS_DEPOSITED, FUNDS_WITHDRAWN
from domain.refusal import refuse
from domain.room import reserve_account, reserve_asset
from domain.standing import is_known, is_not_closed, wallet_fits
from domain.state import State, asked, emit
from domain.verbs import ACCOUNT, ACCOUNT_CLOSED, ACCOUNT_OPEN, AMOUNT, CLIENT_ORDER_ID, INSTRUMENT, QUANTITY_LOTS, TERMS
from domain.wallets import find_wallet, wallet


def open_account(s: State) -> None:
    """Admit a new account."""
    account = asked(s, ACCOUNT)
    if account <= s.account_top and s.accounts[account * ACCOUNT_WIDTH + STATUS] != 0:
        refuse(s, rules.ACCOUNT_EXISTS, s.accounts[account * ACCOUNT_WIDTH + STATUS], account)
        return
    if account > MAX_ACCOUNT:
        refuse(s, rules.TOO_MANY_ACCOUNTS, MAX_ACCOUNT, account)
        return
    set_account(s, ACCOUNT_OPEN)
    emit(s, ACCOUNT_OPENED, 0, 0, 0, 0, 0, 0, 0)


def change_account(s: State) -> None:
    """Set an account's status, group and limits; a closed account stays closed, and only an empty one closes."""
    account = asked(s, ACCOUNT)
    if not is_known(s, account) or not is_not_closed(s, account):
        return
    status = asked(s, TERMS)
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
    end = s.wallet_top * WALLET_WIDTH
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
    account = asked(s, ACCOUNT)
    reserve_account(s, account)
    if account > s.account_top:
        s.account_top = account
    place = account * ACCOUNT_WIDTH
    s.accounts[place + STATUS] = status
    s.accounts[place + GROUP] = asked(s, INSTRUMENT)
    s.accounts[place + OPEN_LIMIT] = asked(s, CLIENT_ORDER_ID)
    s.accounts[place + LOTS_LIMIT] = asked(s, QUANTITY_LOTS)
    s.accounts[place + NOTIONAL_LIMIT] = asked(s, AMOUNT)


def deposit(s: State) -> None:
    """Bring an amount in, while the asset's total stays within its bound."""
    account = asked(s, ACCOUNT)
    asset = asked(s, INSTRUMENT)
    amount = asked(s, AMOUNT)
    if not is_known(s, account) or not is_not_closed(s, account) or not wallet_fits(s, account, asset):
        return
    total = supply_of(s, asset) + amount
    if total > MAX_BALANCE:
        refuse(s, rules.SUPPLY_BOUND, MAX_BALANCE, total)
        return
    emit(s, FUNDS_DEPOSITED, move_funds(s, account, asset, amount), 0, 0, 0, 0, 0, 0)


def withdraw(s: State) -> None:
    """Take an available amount out."""
    account = asked(s, ACCOUNT)
    asset = asked(s, INSTRUMENT)
    amount = asked(s, AMOUNT)
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
    available = s.wallets[row + AVAILABLE] + amount
    supply = s.supplies[asset] + amount
    assert available >= 0 and supply >= 0, "nothing goes out that is not there"
    s.wallets[row + AVAILABLE] = available
    s.supplies[asset] = supply
    return available
