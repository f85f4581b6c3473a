"""The orders of each account: those that are open, and the newest of those that ended.

Bound: 136 bytes per slot of a live order (290 MB for 2^21), a row for each; of ended ones KEPT_PER_ACCOUNT rows of an account and
KEPT_IN_ALL together (projections/rings.py, 100 MB); older rows give way, the record keeps them.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain import events as e
from domain import verbs as v
from domain.columns import SLOT_MASK
from projections.columns import Columns, Ints, field, grown, kinds
from projections.facts import Facts
from projections.layouts import ORDER, Order, ended_key, order_key
from projections.rings import Rings
from projections.view import Rows

_NAMED: Final = kinds(e.ORDER_ACCEPTED, e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REPLACED, e.ORDER_REMOVED)
_MET: Final = kinds(e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED)
_SET_ANEW: Final = kinds(e.ORDER_ACCEPTED, e.ORDER_REPLACED)
_NEW: Final = v.VERB_BY_CODE[v.NEW_ORDER]
_AT: Final = {name: place for place, name in enumerate(Order._fields)}


class Orders:
    """Fold of orders (see Fold)."""

    def __init__(self, rings: Rings | None = None) -> None:
        self._time_ns = 0
        self._facts = Facts()
        self._rings = rings or Rings()
        self._live = np.zeros((len(Order._fields), 0), np.int64)  # by slot, the fields of its order; zeros when it is free

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
        life = _Life(block, self._live)
        self._live = grown(self._live, int(life.slots.max(initial=0)))
        life.accept()
        life.replace()
        life.shrink(self._facts)
        life.end(block.times_ns(self._time_ns))
        self._time_ns = block.time_ns
        orders, ended = life.orders, life.orders[_AT["ended_by"]] > 0
        rows = self._ended(orders[:, ended], life.last[ended])
        gone = orders[:, ended & life.was_live]
        rows |= {order_key(*which): b"" for which in zip(gone[_AT["account"]].tolist(), gone[_AT["order"]].tolist(), strict=True)}
        self._live[:, life.slots[ended & life.was_live]] = 0
        self._live[:, life.slots[~ended]] = orders[:, ~ended]
        return rows | _rows(orders[:, ~ended])

    def _ended(self, orders: Ints, last: Ints) -> Rows:
        """Rows of what ended, in the order in which it did; of two that one event ended, the lower number first."""
        orders = orders[:, np.argsort(last, kind="stable")]
        kept = self._rings.add(orders[_AT["account"]])
        orders = orders[:, kept.entries]
        rows = {ended_key(*place): b"" for place in kept.gone}
        keys = map(ended_key, orders[_AT["account"]].tolist(), kept.places.tolist())
        return rows | dict(zip(keys, ORDER.pack_each(orders), strict=True))

    def state(self) -> bytes:
        """See Fold."""
        live = self._live[:, self._live[_AT["order"]] > 0]
        return msgspec.msgpack.encode((self._time_ns, self._facts.state(), self._rings.state(), live.astype("<i8").tobytes()))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, facts, rings, live = msgspec.msgpack.decode(state, type=tuple[int, bytes, bytes, bytes])
        self._facts.restore(facts)
        self._rings.restore(rings)
        orders = np.frombuffer(live, "<i8").astype(np.int64).reshape(len(Order._fields), -1)
        slots = orders[_AT["order"]] & SLOT_MASK
        self._live = grown(np.zeros((len(Order._fields), 0), np.int64), int(slots.max(initial=0)))
        self._live[:, slots] = orders


def _rows(orders: Ints) -> Rows:
    keys = map(order_key, orders[_AT["account"]].tolist(), orders[_AT["order"]].tolist())
    return dict(zip(keys, ORDER.pack_each(orders), strict=True))


class _Life:
    """The orders that a block touches, and what becomes of them.

    orders    their fields, a row for each field, a column for each order; ascending numbers
    was_live  which of them were there before
    last      event that touched each last
    """

    def __init__(self, block: Columns, live: Ints) -> None:
        self._block = block
        named, met = np.flatnonzero(_NAMED[block.kind]), np.flatnonzero(_MET[block.kind])
        self._at = np.concatenate([named, met, met])
        touched = np.concatenate([block.events[named, 1], block.events[met, 1], block.incoming(met)])
        numbers, self._order = np.unique(touched, return_inverse=True)
        self._incoming = np.repeat([False, True], [len(named) + len(met), len(met)])
        self.slots = numbers & SLOT_MASK
        self.orders = np.zeros((len(Order._fields), len(numbers)), np.int64)
        known = np.flatnonzero(self.slots < live.shape[1])
        known = known[live[_AT["order"], self.slots[known]] == numbers[known]]
        self.orders[:, known] = live[:, self.slots[known]]
        self.was_live = np.zeros(len(numbers), np.bool_)
        self.was_live[known] = True
        self.orders[_AT["order"]] = numbers
        self.last = np.zeros(len(numbers), np.int64)
        np.maximum.at(self.last, self._order, self._at)

    def accept(self) -> None:
        """What their owners asked for."""
        order, at = self._of(e.ORDER_ACCEPTED)
        commands = self._block.commands[self._block.command[at]]
        self._set("account", order, commands[:, v.ACCOUNT])
        self._set("instrument", order, self._block.instrument[at])
        for name in ("side", "order_type", "time_in_force", "client_order_id"):
            self._set(name, order, field(commands, _NEW, name))
        self._set("price_ticks", order, self._block.events[at, 3])
        self._set("accepted_ns", order, self._block.command[at])  # becomes its time in end()
        self._add("quantity_lots", order, self._block.events[at, 4])
        self._add("open_lots", order, self._block.events[at, 4])

    def replace(self) -> None:
        """What their owners changed."""
        order, at = self._of(e.ORDER_REPLACED)
        rows = self._block.events[at]
        client_order_id = self._block.commands[self._block.command[at], v.NEW_CLIENT_ORDER_ID]
        named = client_order_id > 0
        self._set("client_order_id", order[named], client_order_id[named])
        self._set("price_ticks", order, rows[:, 3])
        self._add("quantity_lots", order, rows[:, 4] - rows[:, 6])
        self._add("open_lots", order, rows[:, 4] - rows[:, 6])

    def shrink(self, facts: Facts) -> None:
        """What was filled, and what was taken off."""
        kind, lots = self._block.kind[self._at], self._block.events[self._at, 4]
        less = ~_SET_ANEW[kind]
        self._add("open_lots", self._order[less], -lots[less])
        reduced = kind == e.ORDER_REDUCED
        self._add("quantity_lots", self._order[reduced], -lots[reduced])
        filled = np.flatnonzero(kind == e.TRADE_EXECUTED)
        order, at, lots = self._order[filled], self._at[filled], lots[filled]
        self._add("filled_lots", order, lots)
        self._add("value", order, self._block.events[at, 3] * lots * facts.quote_units[self._block.instrument[at]])
        self._add("fees", order, self._block.events[at, np.where(self._incoming[filled], 5, 6)])

    def end(self, times_ns: Ints) -> None:
        """Times of them all, and why those ended that have nothing open. times_ns: of each command."""
        accepted, _ = self._of(e.ORDER_ACCEPTED)
        self._set("accepted_ns", accepted, times_ns[self.orders[_AT["accepted_ns"], accepted]])
        self.orders[_AT["changed_ns"]] = times_ns[self._block.command[self.last]]
        ended, kind = self.orders[_AT["open_lots"]] == 0, self._block.kind[self.last]
        self.orders[_AT["ended_by"]] = np.where(ended, kind, 0)
        self.orders[_AT["reason"]] = np.where(ended & (kind == e.ORDER_REMOVED), self._block.reason[self.last], 0)

    def _of(self, kind: int) -> tuple[Ints, Ints]:
        """Orders that events of *kind* name, in the order of the events, and the events."""
        which = np.flatnonzero(self._block.kind[self._at] == kind)
        return self._order[which], self._at[which]

    def _set(self, name: str, order: Ints, values: Ints) -> None:
        self.orders[_AT[name], order] = values

    def _add(self, name: str, order: Ints, values: Ints) -> None:
        np.add.at(self.orders[_AT[name]], order, values)
