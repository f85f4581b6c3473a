"""Ask less bid of each book at the end of each block, from the prices and lots that events say.

Bound: 16 bytes per price level, of which there are at most as many as orders in the book (32 MB). A block in which a level comes or goes
costs a copy of the levels.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain import events as e
from projections.columns import Columns, Ints, starts
from projections.resting import RANK_BITS, level_keys

WIDE: Final = 2**31 - 1  # spread of a book that lacks a side
_RANK_MASK: Final = 2**RANK_BITS - 1
_NO_RANK: Final = 2**RANK_BITS  # behind every price
_LESS: Final = (
    (e.TRADE_EXECUTED, 1),
    (e.ORDER_CANCELLED, 0),
    (e.ORDER_REDUCED, 0),
    (e.SELF_TRADE_PREVENTED, 1),
)  # 1: word 0 has the taker's side


class Spreads:
    """Lots at each price of all books of a partition."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, np.int64)  # level keys (projections/resting.py), ascending
        self._lots = np.zeros(0, np.int64)

    def advance(self, block: Columns) -> tuple[Ints, Ints]:
        """Take *block* in; the instruments whose books it changed, ascending, and int64[n, blocks]: the spread as each block leaves it."""
        keys, changes, at = _changes(block)
        blocks = np.searchsorted(block.ends, at, side="right")
        keys, level = np.unique(keys, return_inverse=True)
        lots = np.zeros((len(keys), len(block.ends)), np.int64)
        np.add.at(lots.ravel(), level * lots.shape[1] + blocks, changes)
        np.cumsum(lots, axis=1, out=lots)
        places = np.searchsorted(self._keys, keys)
        there = np.zeros(len(keys), np.bool_)
        inside = places < len(self._keys)
        there[inside] = self._keys[places[inside]] == keys[inside]
        lots[there] += self._lots[places[there], None]
        instruments = np.unique(keys >> RANK_BITS + 1)
        spreads = self._spreads(instruments, keys, lots, places[there])
        self._keep(keys, lots[:, -1] if len(keys) else keys, places, there)
        return instruments, spreads

    def now(self) -> tuple[Ints, Ints]:
        """Every instrument with an order in its book, and its spread."""
        instruments = np.unique(self._keys >> RANK_BITS + 1)
        nothing = np.zeros(0, np.int64)
        return instruments, self._spreads(instruments, nothing, nothing.reshape(0, 1), nothing)[:, 0]

    def _spreads(self, instruments: Ints, keys: Ints, lots: Ints, touched: Ints) -> Ints:
        """Where the levels *keys* have *lots* after each block, and those that are not at the places *touched* what they had before."""
        sides = (instruments[:, None] * 2 + np.arange(2)).ravel()
        ranks = np.repeat(self._best_but(sides, touched)[:, None], lots.shape[1], axis=1)
        if len(keys):
            first = starts(keys >> RANK_BITS)
            here = np.where(lots > 0, (keys & _RANK_MASK)[:, None], _NO_RANK)
            mine = np.searchsorted(sides, keys[first] >> RANK_BITS)
            ranks[mine] = np.minimum(ranks[mine], np.minimum.reduceat(here, first, axis=0))
        bid, ask = ranks[0::2], ranks[1::2]
        spreads: Ints = np.where((bid < _NO_RANK) & (ask < _NO_RANK), ask - (_RANK_MASK - bid), WIDE)
        return spreads

    def _best_but(self, sides: Ints, touched: Ints) -> Ints:
        """Rank of the best level of each side (ascending) that does not stand at one of the places *touched* (ascending)."""
        best = np.searchsorted(self._keys, sides << RANK_BITS)
        if len(touched):
            owner = np.searchsorted(sides, self._keys[touched] >> RANK_BITS)
            rank_of = np.arange(len(touched)) - np.searchsorted(owner, owner)
            best += np.bincount(
                owner[touched == best[owner] + rank_of], minlength=len(sides)
            )  # those that stand in front, one after the other
        ranks = np.full(len(sides), _NO_RANK, np.int64)
        some = np.flatnonzero(best < len(self._keys))
        some = some[self._keys[best[some]] >> RANK_BITS == sides[some]]
        ranks[some] = self._keys[best[some]] & _RANK_MASK
        return ranks

    def _keep(self, keys: Ints, lots: Ints, places: Ints, there: np.typing.NDArray[np.bool_]) -> None:
        """The levels *keys* have *lots* now; *there*: which stand at *places* already, else it is where they belong."""
        assert (lots >= 0).all(), "no level has less than nothing open"
        self._lots[places[there]] = lots[there]
        new = ~there & (lots > 0)
        if new.any():
            self._keys, self._lots = np.insert(self._keys, places[new], keys[new]), np.insert(self._lots, places[new], lots[new])
        if (lots[there] == 0).any():
            stay = self._lots > 0
            self._keys, self._lots = self._keys[stay], self._lots[stay]

    def state(self) -> bytes:
        """All it knows."""
        return msgspec.msgpack.encode([each.astype("<i8").tobytes() for each in (self._keys, self._lots)])

    def restore(self, state: bytes) -> None:
        """Become what state() said."""
        self._keys, self._lots = (np.frombuffer(each, "<i8").astype(np.int64) for each in msgspec.msgpack.decode(state, type=list[bytes]))


def _changes(block: Columns) -> tuple[Ints, Ints, Ints]:
    """Every change of what rests: its level, by how many lots, and the event that makes it."""
    keys, lots, at = [_keys(block, e.ORDER_RESTED)], [block.of(e.ORDER_RESTED, 4)], [block.at(e.ORDER_RESTED)]
    for kind, other in _LESS:
        if len(block.at(kind)):
            keys.append(_keys(block, kind, other=other))
            lots.append(-block.of(kind, 4))
            at.append(block.at(kind))
    removed = block.at(e.ORDER_REMOVED)
    if len(removed):
        rested = block.incoming(removed) != block.of(e.ORDER_REMOVED, 1)  # an incoming order never rested
        keys.append(_keys(block, e.ORDER_REMOVED)[rested])
        lots.append(-block.of(e.ORDER_REMOVED, 4)[rested])
        at.append(removed[rested])
    if len(block.at(e.ORDER_REPLACED)):
        kept = block.of(e.ORDER_REPLACED, 0) >> 9 & 1  # with its priority it has its new lots at once, else an OrderRested may follow
        keys.append(_keys(block, e.ORDER_REPLACED, price=2))
        lots.append(kept * block.of(e.ORDER_REPLACED, 4) - block.of(e.ORDER_REPLACED, 6))
        at.append(block.at(e.ORDER_REPLACED))
    return np.concatenate(keys), np.concatenate(lots), np.concatenate(at)


def _keys(block: Columns, kind: int, *, price: int = 3, other: int = 0) -> Ints:
    """The level of the order that each event of *kind* names. other: 1 when the side is that of the order it met."""
    return level_keys(block.instruments(kind), block.sides(kind) ^ other, block.of(kind, price))
