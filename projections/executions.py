"""The newest executions of each account: both sides of every trade.

Bound: KEPT_PER_ACCOUNT of an account and KEPT_IN_ALL together (projections/rings.py, 100 MB); older rows give way, the record keeps them.
"""

from __future__ import annotations

import msgspec
import numpy as np

from domain.events import TRADE_EXECUTED
from projections.columns import Columns, Ints
from projections.layouts import EXECUTION, execution_key
from projections.rings import Rings
from projections.view import Rows


class Executions:
    """Fold of executions (see Fold)."""

    def __init__(self, rings: Rings | None = None) -> None:
        self._time_ns = 0
        self._rings = rings or Rings()

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        at = np.flatnonzero(block.kind == TRADE_EXECUTED)
        events = block.events[at]
        kept = self._rings.add(_both(block.account(at), events[:, 2]))
        trade, is_maker = kept.entries // 2, kept.entries % 2
        orders, fees = _both(block.incoming(at), events[:, 1]), _both(events[:, 5], events[:, 6])
        accounts = np.where(is_maker, events[trade, 2], block.account(at[trade]))
        at, events = at[trade], events[trade]
        times_ns = block.times_ns(self._time_ns)[block.command[at]]
        self._time_ns = block.time_ns
        numbers, instruments, sides = block.number(at), block.instrument[at], block.side[at] ^ is_maker
        rows = EXECUTION.pack_each(
            [numbers, times_ns, orders[kept.entries], instruments, sides, is_maker, events[:, 3], events[:, 4], fees[kept.entries]]
        )
        gone = {execution_key(*place): b"" for place in kept.gone}
        return gone | dict(zip(map(execution_key, accounts.tolist(), kept.places.tolist()), rows, strict=True))

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
