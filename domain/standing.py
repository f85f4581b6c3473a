"""May this account do this with this instrument at all? Every check returns True, or emits one refusal and returns False."""

from __future__ import annotations

from mypy_extensions import i64

from domain import rules
from domain.columns import (
    ACCOUNT_WIDTH,
    BASE_ASSET,
    INSTRUMENT_WIDTH,
    MAX_WALLETS,
    QUOTE_ASSET,
    STATE,
    STATUS,
)
from domain.refusal import refuse
from domain.state import State
from domain.verbs import ACCOUNT_CLOSED, ACCOUNT_OPEN, FOK, HALTED, IOC, OPEN
from domain.wallets import find_wallet


def is_listed(s: State, number: i64) -> bool:
    """The instrument exists."""
    if 0 < number <= s.instrument_top and s.instruments[number * INSTRUMENT_WIDTH + STATE] != 0:
        return True
    return refuse(s, rules.UNKNOWN_INSTRUMENT, s.instrument_top, number)


def is_known(s: State, account: i64) -> bool:
    """The account was opened."""
    if 0 < account <= s.account_top and s.accounts[account * ACCOUNT_WIDTH + STATUS] != 0:
        return True
    return refuse(s, rules.UNKNOWN_ACCOUNT, s.account_top, account)


def is_not_closed(s: State, account: i64) -> bool:
    """The account may still cancel and move funds."""
    status = s.accounts[account * ACCOUNT_WIDTH + STATUS]
    return status != ACCOUNT_CLOSED or refuse(s, rules.ACCOUNT_STATUS, ACCOUNT_OPEN, status)


def may_trade(s: State, account: i64) -> bool:
    """The account is open, not restricted or closed."""
    status = s.accounts[account * ACCOUNT_WIDTH + STATUS]
    return status == ACCOUNT_OPEN or refuse(s, rules.ACCOUNT_STATUS, ACCOUNT_OPEN, status)


def has_wallets(s: State, account: i64, instrument: i64) -> bool:
    """There is room to open wallets of both assets, or the account has them."""
    return wallet_fits(s, account, s.instruments[instrument + BASE_ASSET]) and wallet_fits(
        s, account, s.instruments[instrument + QUOTE_ASSET]
    )


def wallet_fits(s: State, account: i64, asset: i64) -> bool:
    """There is room for two more wallets, or the account has one of this asset."""
    if s.wallet_top + 2 <= MAX_WALLETS or find_wallet(s, account, asset) != 0:
        return True
    return refuse(s, rules.TOO_MANY_WALLETS, MAX_WALLETS, s.wallet_top - 1)


def takes_orders(s: State, instrument: i64) -> bool:
    """The instrument is open or in pre-open."""
    state = s.instruments[instrument + STATE]
    return state < HALTED or refuse(s, rules.INSTRUMENT_STATE, OPEN, state)


def takes_kind(s: State, instrument: i64, is_market: bool, tif: i64) -> bool:
    """Pre-open takes only orders that can rest."""
    state = s.instruments[instrument + STATE]
    return state == OPEN or (not is_market and tif != IOC and tif != FOK) or refuse(s, rules.INSTRUMENT_STATE, OPEN, state)
