"""The newest entries of each account, in places that are used again: what executions, statements and ended orders are kept in."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from projections.columns import Ints, grown, stable_order, starts
from projections.layouts import KEPT_IN_ALL, KEPT_PER_ACCOUNT


class Kept(NamedTuple):
    """entries: which of those that were added are kept, and their places; gone: accounts and places
    of what was given up. Rows are taken away first and then added: a place may be among both.
    """

    entries: Ints
    places: Ints
    gone: list[tuple[int, int]]


class Rings:
    """Place of the n-th entry of an account: n % per_account.

    Bound: per_account entries of each account, in_all together; beyond, the oldest are given up. 16 bytes each, 8 per account (84 MB).
    """

    def __init__(self, per_account: int = KEPT_PER_ACCOUNT, in_all: int = KEPT_IN_ALL) -> None:
        self._per_account, self._in_all = per_account, in_all
        self._counts = np.zeros(0, np.int64)  # entries ever, by account
        self._total = 0  # entries ever
        self._newest = np.zeros((2, 0), np.int64)  # account and its n; of the m-th entry ever in place m % in_all

    def add(self, accounts: Ints) -> Kept:
        """Add an entry for each of *accounts*, in order."""
        if not len(accounts):
            return Kept(accounts, accounts, [])
        self._counts = grown(self._counts, int(accounts.max()))
        order = stable_order(accounts)
        first = starts(accounts[order])
        lengths = np.diff(np.append(first, len(accounts)))
        numbers = np.empty(len(accounts), np.int64)
        numbers[order] = np.arange(len(accounts)) - np.repeat(first, lengths)
        numbers += self._counts[accounts]
        entries = np.arange(max(0, len(accounts) - self._in_all), len(accounts))
        gone = self._remember(np.vstack([accounts[entries], numbers[entries]]), len(accounts))
        self._counts[accounts[order][first]] += lengths
        entries = entries[self._is_kept(accounts[entries], numbers[entries])]
        return Kept(entries, numbers[entries] % self._per_account, gone)

    def _remember(self, newest: Ints, added: int) -> list[tuple[int, int]]:
        """The *newest* of those *added* take the places of the oldest; what was kept there."""
        self._total += added
        places = np.arange(self._total - newest.shape[1], self._total) % self._in_all
        taken = places[places < min(self._total - added, self._in_all)]
        self._newest = grown(self._newest, int(places.max()))
        accounts, numbers = self._newest[:, taken]
        kept = self._is_kept(accounts, numbers)
        self._newest[:, places] = newest
        return list(zip(accounts[kept].tolist(), (numbers[kept] % self._per_account).tolist(), strict=True))

    def _is_kept(self, accounts: Ints, numbers: Ints) -> NDArray[np.bool_]:
        """No later entry of the account has taken the place."""
        kept: NDArray[np.bool_] = self._counts[accounts] - numbers <= self._per_account
        return kept

    def state(self) -> bytes:
        """All it knows."""
        accounts = np.flatnonzero(self._counts)
        arrays = (accounts, self._counts[accounts], self._newest[:, : min(self._total, self._in_all)])
        return msgspec.msgpack.encode((self._total, [each.astype("<i8").tobytes() for each in arrays]))

    def restore(self, state: bytes) -> None:
        """Become what state() said."""
        self._total, arrays = msgspec.msgpack.decode(state, type=tuple[int, list[bytes]])
        accounts, counts, newest = (np.frombuffer(each, "<i8").astype(np.int64) for each in arrays)
        self._counts = grown(np.zeros(0, np.int64), int(accounts.max(initial=0)))
        self._counts[accounts] = counts
        self._newest = newest.reshape(2, -1)
