"""The newest executions of each account: both sides of every trade.

Bound: KEPT_PER_ACCOUNT of an account and KEPT_IN_ALL together (projections/rings.py, 100 MB); older rows give way, the record keeps them.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.events import TRADE_EXECUTED
from projections.columns import Columns, Ints
from projections.layouts import EXECUTION, execution_key, keys
from projections.rings import Rings
from projections.view import Rows


class Executions:
    """Fold of executions (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, rings: Rings | None = None) -> None:
        self._time_ns = 0
        self._rings = rings or Rings()

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        at = block.at(TRADE_EXECUTED)
        _, maker_order, maker, price, lots, taker_fee, maker_fee = (block.of(TRADE_EXECUTED, word) for word in range(7))
        accounts = _both(block.account(at), maker)
        kept = self._rings.add(accounts)
        trade, is_maker = kept.entries // 2, kept.entries % 2
        orders, fees = _both(block.incoming(at), maker_order), _both(taker_fee, maker_fee)
        times_ns = block.times_ns(self._time_ns)[block.command[at[trade]]]
        self._time_ns = block.time_ns
        instruments, sides = block.instruments(TRADE_EXECUTED)[trade], block.sides(TRADE_EXECUTED)[trade] ^ is_maker
        asked = [block.number(at[trade]), times_ns, orders[kept.entries], instruments, sides]
        rows = EXECUTION.pack_each([*asked, is_maker, price[trade], lots[trade], fees[kept.entries]])
        gone = {execution_key(*place): b"" for place in kept.gone}
        return gone | dict(zip(keys("execution", accounts[kept.entries], kept.places), rows, strict=True))

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._time_ns, self._rings.state()))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, rings = msgspec.msgpack.decode(state, type=tuple[int, bytes])
        self._rings.restore(rings)


def _both(taker: Ints, maker: Ints) -> Ints:
    """Of each trade the taker's and then the maker's."""
    both: Ints = np.column_stack([taker, maker]).ravel()
    return both
