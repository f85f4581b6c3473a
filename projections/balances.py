"""Available and held, of every account and asset; account 0 is the venue. One row per balance that changed in the block.

Bound: 48 to 96 bytes per wallet (projections/table.py), of which a partition has at most 2^25; 2 MB for the instruments.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.columns import MAX_ASSET
from projections.columns import Columns, Ints
from projections.facts import Facts
from projections.layouts import BALANCE, balance_key
from projections.moves import ACCOUNT_BITS, balance_changes
from projections.table import Table
from projections.view import Rows


class Balances:
    """Fold of balances (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self) -> None:
        self._facts = Facts()
        self._wallets = Table(2)  # asset << 24 | account -> available, held
        self._assets = np.zeros(MAX_ASSET + 1, np.bool_)  # those that somebody has or had

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
        wallets, changes = balance_changes(block, self._facts)
        changed = changes.any(axis=1)
        return self._add(wallets[changed], changes[changed])

    def _add(self, wallets: Ints, changes: Ints) -> Rows:
        places = self._wallets.places(wallets)
        balances = self._wallets.values[places] + changes
        assert (balances >= 0).all(), "no balance is negative"
        self._wallets.values[places] = balances
        self._assets[wallets >> ACCOUNT_BITS] = True
        return _rows(wallets, balances)

    def find(self, key: str, *, is_group: bool) -> Rows:
        """The row of `balance:ACCOUNT:ASSET`, or with *is_group* all rows of `balance:ACCOUNT`, so that nobody need keep them beside."""
        kind, *numbers = key.split(":")
        if kind != "balance" or len(numbers) != 2 - is_group or not all(number.isdecimal() and len(number) < 9 for number in numbers):
            return {}
        account = int(numbers[0])
        assets = np.flatnonzero(self._assets) if is_group else np.array([int(numbers[1])], np.int64)
        wallets = assets << ACCOUNT_BITS | account
        if account >> ACCOUNT_BITS:
            return {}
        places = self._wallets.find(wallets)
        return _rows(wallets[places >= 0], self._wallets.values[places[places >= 0]])

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return _rows(*self._wallets.items())

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._facts.state(), *(array.astype("<i8").tobytes() for array in self._wallets.items())))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        facts, wallets, balances = msgspec.msgpack.decode(state, type=tuple[bytes, bytes, bytes])
        self._facts.restore(facts)
        self._wallets = Table(2)
        self._wallets.put(np.frombuffer(wallets, "<i8").astype(np.int64), np.frombuffer(balances, "<i8").reshape(-1, 2))
        self._assets[:] = False
        self._assets[np.frombuffer(wallets, "<i8") >> ACCOUNT_BITS] = True


def _rows(wallets: Ints, balances: Ints) -> Rows:
    return dict(zip(map(_key, wallets.tolist()), BALANCE.pack_each(balances.T), strict=True))


def _key(wallet: int) -> str:
    return balance_key(wallet & (2**ACCOUNT_BITS - 1), wallet >> ACCOUNT_BITS)
