"""A flat hash table from many keys at once to rows of numbers; keys are never taken out."""

from __future__ import annotations

from typing import Final

import numpy as np

from projections.columns import Ints

_FREE: Final = -1
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: spreads neighbours


class Table:
    """Keys are int64 from 0. Bound: 8 x (1 + width) bytes per place, two to four places per key."""

    def __init__(self, width: int) -> None:
        self.keys = np.full(16, _FREE, np.int64)
        self.values = np.zeros((16, width), np.int64)
        self.used = 0

    def places(self, keys: Ints) -> Ints:
        """Of each of the distinct *keys*: its row of values, new and zero when it was not there."""
        self._make_room(len(keys))
        mask, shift = len(self.keys) - 1, np.uint64(65 - len(self.keys).bit_length())
        places = ((keys.astype(np.uint64) * _ODD) >> shift).astype(np.int64)
        seeking = np.arange(len(keys))
        while len(seeking):
            place, key = places[seeking], keys[seeking]
            free = self.keys[place] == _FREE
            self.keys[place[free]] = key[free]  # of several that want one free place the last gets it
            home = self.keys[place] == key
            self.used += int(np.count_nonzero(free & home))
            seeking = seeking[~home]
            places[seeking] = (places[seeking] + 1) & mask
        return places

    def put(self, keys: Ints, values: Ints) -> None:
        """Set the rows of the distinct *keys*."""
        places = self.places(keys)  # may move the values: not to be looked at before
        self.values[places] = values

    def find(self, keys: Ints) -> Ints:
        """Of each of the *keys*: its row of values' place, -1 when it is not there."""
        mask, shift = len(self.keys) - 1, np.uint64(65 - len(self.keys).bit_length())
        places = ((keys.astype(np.uint64) * _ODD) >> shift).astype(np.int64)
        seeking = np.arange(len(keys))
        while len(seeking):
            there = self.keys[places[seeking]]
            places[seeking[there == _FREE]] = _FREE
            seeking = seeking[(there != _FREE) & (there != keys[seeking])]
            places[seeking] = (places[seeking] + 1) & mask
        return places

    def items(self) -> tuple[Ints, Ints]:
        """All keys, ascending, and their rows."""
        taken = np.flatnonzero(self.keys != _FREE)
        taken = taken[np.argsort(self.keys[taken])]
        return self.keys[taken], self.values[taken]

    def _make_room(self, more: int) -> None:
        if (self.used + more) * 2 <= len(self.keys):
            return
        keys, values = self.items()
        size = 2 ** ((self.used + more) * 2).bit_length()
        self.keys, self.values, self.used = np.full(size, _FREE, np.int64), np.zeros((size, self.values.shape[1]), np.int64), 0
        self.put(keys, values)
