"""What becomes of orders, block by block: those that are live, by slot, and all that one block touches.

Bound: 136 bytes per slot of a live order (290 MB for 2^21).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain import events as e
from domain import verbs as v
from domain.columns import SLOT_MASK
from projections.columns import Columns, Ints, grown, kinds
from projections.facts import Facts
from projections.layouts import Order

AT: Final = {name: place for place, name in enumerate(Order._fields)}
_NAMED: Final = kinds(e.ORDER_ACCEPTED, e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REPLACED, e.ORDER_REMOVED)
_MET: Final = kinds(e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED)
_SET_ANEW: Final = kinds(e.ORDER_ACCEPTED, e.ORDER_REPLACED)
_NEW: Final = v.VERB_BY_CODE[v.NEW_ORDER]


class Lives:
    """The live orders of a partition."""

    def __init__(self) -> None:
        self._time_ns = 0
        self._facts = Facts()
        self._live = np.zeros((len(AT), 0), np.int64)  # by slot, the fields of its order; zeros when it is free

    def take(self, block: Columns) -> Life:
        """The orders that *block* touches, as they are after it."""
        self._facts.learn(block)
        life = Life(block, self._live, block.times_ns(self._time_ns))
        self._live = grown(self._live, int(life.slots.max(initial=0)))
        life.accept()
        life.replace()
        life.shrink(self._facts)
        life.end()
        self._time_ns = block.time_ns
        self._live[:, life.slots[life.ended & life.was_live]] = 0
        self._live[:, life.slots[~life.ended]] = life.orders[:, ~life.ended]
        return life

    def state(self) -> bytes:
        """All it knows, for restore()."""
        live = self._live[:, self._live[AT["order"]] > 0]
        return msgspec.msgpack.encode((self._time_ns, self._facts.state(), live.astype("<i8").tobytes()))

    def restore(self, state: bytes) -> None:
        """Become what state() said."""
        self._time_ns, facts, live = msgspec.msgpack.decode(state, type=tuple[int, bytes, bytes])
        self._facts.restore(facts)
        orders = np.frombuffer(live, "<i8").astype(np.int64).reshape(len(AT), -1)
        slots = orders[AT["order"]] & SLOT_MASK
        self._live = grown(np.zeros((len(AT), 0), np.int64), int(slots.max(initial=0)))
        self._live[:, slots] = orders


class Life:
    """The orders that a block touches, and what becomes of them.

    orders    their fields, a row for each field (AT says which), a column for each order; ascending numbers
    was_live  which of them were there before
    ended     which of them have nothing open any more
    last      event of the block that touched each last
    times_ns  of each command of the block
    """

    def __init__(self, block: Columns, live: Ints, times_ns: Ints) -> None:
        self._block, self.times_ns = block, times_ns
        named, met = np.flatnonzero(_NAMED[block.kind]), np.flatnonzero(_MET[block.kind])
        self._at = np.concatenate([named, met, met])
        touched = np.concatenate([block.word(1)[named], block.word(1)[met], block.incoming(met)])
        numbers, self._order = np.unique(touched, return_inverse=True)
        self._incoming = np.repeat([False, True], [len(named) + len(met), len(met)])
        self.slots = numbers & SLOT_MASK
        self.orders = np.zeros((len(AT), len(numbers)), np.int64)
        known = np.flatnonzero(self.slots < live.shape[1])
        known = known[live[AT["order"], self.slots[known]] == numbers[known]]
        self.orders[:, known] = live[:, self.slots[known]]
        self.was_live = np.zeros(len(numbers), np.bool_)
        self.was_live[known] = True
        self.orders[AT["order"]] = numbers
        self.ended = np.zeros(len(numbers), np.bool_)
        self.last = np.zeros(len(numbers), np.int64)
        np.maximum.at(self.last, self._order, self._at)

    def accept(self) -> None:
        """What their owners asked for."""
        order, at = self.of(e.ORDER_ACCEPTED)
        command = self._block.command[at]
        self._set("account", order, self._block.asked(v.ACCOUNT)[command])
        self._set("instrument", order, self._block.instrument[at])
        for name in ("side", "order_type", "time_in_force", "client_order_id"):
            self._set(name, order, self._block.asked_for(_NEW, name)[command])
        self._set("price_ticks", order, self._block.of(e.ORDER_ACCEPTED, 3))
        self._set("accepted_ns", order, self.times_ns[command])
        for name in ("quantity_lots", "open_lots"):
            self._add(name, order, self._block.of(e.ORDER_ACCEPTED, 4))

    def replace(self) -> None:
        """What their owners changed."""
        order, at = self.of(e.ORDER_REPLACED)
        price, lots, lots_before = (self._block.of(e.ORDER_REPLACED, word) for word in (3, 4, 6))
        client_order_id = self._block.asked(v.NEW_CLIENT_ORDER_ID)[self._block.command[at]]
        named = client_order_id > 0
        self._set("client_order_id", order[named], client_order_id[named])
        self._set("price_ticks", order, price)
        for name in ("quantity_lots", "open_lots"):
            self._add(name, order, lots - lots_before)

    def shrink(self, facts: Facts) -> None:
        """What was filled, and what was taken off."""
        kind, lots = self._block.kind[self._at], self._block.word(4)[self._at]
        less = ~_SET_ANEW[kind]
        self._add("open_lots", self._order[less], -lots[less])
        reduced = kind == e.ORDER_REDUCED
        self._add("quantity_lots", self._order[reduced], -lots[reduced])
        filled = np.flatnonzero(kind == e.TRADE_EXECUTED)
        order, at, lots = self._order[filled], self._at[filled], lots[filled]
        self._add("filled_lots", order, lots)
        self._add("value", order, self._block.word(3)[at] * lots * facts.quote_units[self._block.instrument[at]])
        self._add("fees", order, np.where(self._incoming[filled], self._block.word(5)[at], self._block.word(6)[at]))

    def end(self) -> None:
        """Times of them all, and why those ended that have nothing open."""
        self.orders[AT["changed_ns"]] = self.times_ns[self._block.command[self.last]]
        self.ended, kind = self.orders[AT["open_lots"]] == 0, self._block.kind[self.last]
        self.orders[AT["ended_by"]] = np.where(self.ended, kind, 0)
        self.orders[AT["reason"]] = np.where(self.ended & (kind == e.ORDER_REMOVED), self._block.reason[self.last], 0)

    def of(self, kind: int) -> tuple[Ints, Ints]:
        """Orders that events of *kind* name, in the order of the events, and the events."""
        return self.touched(kinds(kind))

    def touched(self, wanted: NDArray[np.bool_]) -> tuple[Ints, Ints]:
        """Orders that events of the *wanted* kinds (see kinds()) name, and the events; of two orders that meet, first all makers."""
        which = np.flatnonzero(wanted[self._block.kind[self._at]])
        return self._order[which], self._at[which]

    def _set(self, name: str, order: Ints, values: Ints) -> None:
        self.orders[AT[name], order] = values

    def _add(self, name: str, order: Ints, values: Ints) -> None:
        np.add.at(self.orders[AT[name]], order, values)
