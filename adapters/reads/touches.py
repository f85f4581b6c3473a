"""Which accounts and instruments the blocks touched last: so rows that were read once are known to be right for longer.

A row of an account's balances that is as of block 90 is as of block 120, too, when no block from 91 to 120 touched that account.

Bound: 8 bytes per account and instrument number, 105 MB for all accounts that there can be; time and last event of BLOCKS_KEPT blocks.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain import events as e
from domain.columns import MAX_ACCOUNT, MAX_INSTRUMENT
from domain.verbs import ACCOUNT
from projections.columns import Columns, Ints, grown, kinds
from projections.view import Rows

BLOCKS_KEPT: Final = 65_536
_NAME_AN_ACCOUNT: Final = kinds(
    e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REMOVED, e.ORDER_RESTED, e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED
)
_BY_ACCOUNT: Final = {"balance": 1, "order": 1}  # first part of a key -> which part is the number
_BY_INSTRUMENT: Final = {"book": 1, "bar": 2}


class Touches:
    """A fold (see Fold) that shows no rows. One thread folds; any may ask, without a lock, about blocks up to the position of its view.

    since  what came up to this block is not known
    """

    version = 2
    takes_runs: Final = True

    def __init__(self) -> None:
        self.since = -1
        self._accounts = np.zeros(1_024, np.int64)
        self._instruments = np.zeros(1_024, np.int64)
        self._blocks = np.zeros((BLOCKS_KEPT, 3), np.int64)  # block, its time, its last event

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        if self.since < 0:
            self.since = block.first_seq - 1
        names = np.flatnonzero(_NAME_AN_ACCOUNT[block.kind])
        accounts = np.concatenate([block.asked(ACCOUNT), block.word(2)[names], [0]])  # the venue earns fees
        self._accounts = _touched(self._accounts, accounts, MAX_ACCOUNT, block.seq)
        self._instruments = _touched(self._instruments, block.instrument, MAX_INSTRUMENT, block.seq)
        for each in block.blocks:
            self._blocks[each.seq % BLOCKS_KEPT] = each.seq, each.time_ns, each.first_event + each.event_count - 1
        return {}

    def time_ns(self, seq: int) -> int:
        """The time of block *seq*; 0: not known."""
        block, time_ns, _ = self._blocks[seq % BLOCKS_KEPT].tolist()
        return time_ns if block == seq else 0

    def last_event(self, seq: int) -> int:
        """The number of the last event of block *seq*; -1: not known."""
        block, _, event = self._blocks[seq % BLOCKS_KEPT].tolist()
        return event if block == seq and seq else -1

    def untouched(self, key: str, seq: int) -> bool:
        """Whether no block after *seq* that was taken in can have changed a row of *key*, which may be that of a group."""
        kind, *parts = key.split(":")
        for table, places in ((self._accounts, _BY_ACCOUNT), (self._instruments, _BY_INSTRUMENT)):
            place = places.get(kind)
            if place is not None and place <= len(parts) and parts[place - 1].isdecimal():
                number = int(parts[place - 1])
                return seq >= self.since and (number >= len(table) or int(table[number]) <= seq)
        return False  # what time or the bound of a whole list may take away as well

    def state(self) -> bytes:
        """See Fold."""
        tables = (self._accounts, self._instruments, self._blocks)
        return msgspec.msgpack.encode((self.since, *(table.astype("<i8").tobytes() for table in tables)))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self.since, *tables = msgspec.msgpack.decode(state, type=tuple[int, bytes, bytes, bytes])
        self._accounts, self._instruments, blocks = (np.frombuffer(table, "<i8").astype(np.int64) for table in tables)
        self._blocks = blocks.reshape(BLOCKS_KEPT, 3)


def _touched(table: Ints, numbers: Ints, highest: int, seq: int) -> Ints:
    """*table* with *seq* at the *numbers* that can be; a refused command may name anything."""
    possible = numbers[(numbers >= 0) & (numbers <= highest)]
    table = grown(table, int(possible.max(initial=0)))
    table[possible] = seq
    return table
