"""Wallets: what an account has of an asset, and the one way in which a balance changes."""

from __future__ import annotations

from librt.vecs import vec
from mypy_extensions import i64

from domain.columns import (
    ACCOUNT_WIDTH,
    ASSET,
    BASE_ASSET,
    FIRST_WALLET,
    INSTRUMENT_WIDTH,
    QUOTE_ASSET,
    WALLET_OWNER,
    WALLET_WIDTH,
)
from domain.state import State
from domain.table import get, grown, probe, put


def instrument_of(book_side: i64) -> i64:
    """Row of the instrument of a book side."""
    return (book_side >> 1) * INSTRUMENT_WIDTH


def find_wallet(s: State, account: i64, asset: i64) -> i64:
    """Row of the account's wallet of an asset, 0 when it has none. The first two, opened one after the other, need no look-up."""
    wallets = s.wallets
    first = s.accounts[account * ACCOUNT_WIDTH + FIRST_WALLET]
    if first == 0:
        return 0
    if wallets[first + ASSET] == asset:
        return first
    second = first + WALLET_WIDTH
    if wallets[second + ASSET] == asset and wallets[second + WALLET_OWNER] == account:
        return second
    return get(s.wallet_index, account, asset)


def find_pair(s: State, wallets: vec[i64], instruments: vec[i64], account: i64, instrument: i64) -> tuple[i64, i64]:
    """Rows of the account's wallets of an instrument's quote and base asset, 0 for one that it does not have."""
    quote = instruments[instrument + QUOTE_ASSET]
    base = instruments[instrument + BASE_ASSET]
    first = s.accounts[account * ACCOUNT_WIDTH + FIRST_WALLET]
    second = first + WALLET_WIDTH
    if wallets[first + ASSET] == quote and wallets[second + ASSET] == base and wallets[second + WALLET_OWNER] == account:
        return first, second
    return find_wallet(s, account, quote), find_wallet(s, account, base)


def wallet(s: State, account: i64, asset: i64) -> i64:
    """Row of the account's wallet of an asset, opened when it has none yet. The caller has asked for room."""
    row = find_wallet(s, account, asset)
    if row != 0:
        return row
    if probe(s.wallet_index, account, asset) < 0:
        s.wallet_index = grown(s.wallet_index)
    row = s.wallet_top * WALLET_WIDTH
    s.wallet_top += 1
    s.wallets[row + ASSET] = asset
    s.wallets[row + WALLET_OWNER] = account
    first = account * ACCOUNT_WIDTH + FIRST_WALLET
    if s.accounts[first] == 0:
        s.accounts[first] = row
    elif s.accounts[first] + WALLET_WIDTH != row:
        put(s.wallet_index, account, asset, row)
    return row


def move(wallets: vec[i64], source: i64, target: i64, amount: i64) -> None:
    """Move an amount from one balance to another (each a row + column of the wallets).

    Every change of a balance goes through here, but for what comes in and goes out: so none is made, lost or negative.
    """
    left = wallets[source] - amount
    assert amount >= 0 and left >= 0, "a balance gives only what it has"
    wallets[source] = left
    wallets[target] += amount
