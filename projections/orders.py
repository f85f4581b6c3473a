"""The orders of each account: those that are open, and the newest of those that ended.

Bound: that of projections/lives.py, and a row for each live order; of ended ones KEPT_PER_ACCOUNT rows of an account and
KEPT_IN_ALL together (projections/rings.py, 100 MB); older rows give way, the record keeps them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from projections.columns import Columns, Ints, stable_order
from projections.layouts import ORDER, ended_key, keys
from projections.lives import AT, Lives
from projections.rings import Rings
from projections.view import Rows


class Orders:
    """Fold of orders (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, rings: Rings | None = None) -> None:
        self._lives = Lives()
        self._rings = rings or Rings()

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        life = self._lives.take(block)
        rows = self._ended(life.orders[:, life.ended], life.last[life.ended])
        gone = life.orders[:, life.ended & life.was_live]
        rows |= dict.fromkeys(keys("order", gone[AT["account"]], gone[AT["order"]]), b"")
        return rows | _rows(life.orders[:, ~life.ended])

    def _ended(self, orders: Ints, last: Ints) -> Rows:
        """Rows of what ended, in the order in which it did; of two that one event ended, the lower number first."""
        orders = orders[:, stable_order(last)]
        kept = self._rings.add(orders[AT["account"]])
        orders = orders[:, kept.entries]
        rows = {ended_key(*place): b"" for place in kept.gone}
        return rows | dict(zip(keys("ended", orders[AT["account"]], kept.places), ORDER.pack_each(orders), strict=True))

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._rings.state(), self._lives.state()))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        rings, lives = msgspec.msgpack.decode(state, type=tuple[bytes, bytes])
        self._rings.restore(rings)
        self._lives.restore(lives)


def _rows(orders: Ints) -> Rows:
    return dict(zip(keys("order", orders[AT["account"]], orders[AT["order"]]), ORDER.pack_each(orders), strict=True))
