"""Which orders stand behind the visible levels of one side of a LOBSTER book, so that our book can be kept equal to it.

A file of five levels says nothing of what happens below the fifth: a level that comes into sight may hold orders that we never saw and lack
some that we know. So whenever a level in sight differs from what we hold it is *mended*: missing shares come as a *seed*, an order of our
own making; surplus shares are taken off. Messages about orders that we never saw take from the seeds of their level. A level that goes out
of sight keeps its orders until it comes back, or until its price is in sight again and nothing stands there.
"""

from __future__ import annotations

from typing import Final

from adapters.lobster import Levels
from adapters.venue import maker
from commands.messages import CancelOrder, Command, NewOrder, ReduceOrder, Side

FIRST_SEED: Final = 2**62  # client order ids: buy seeds are even, sell seeds odd


class Window:
    """One side of the book as our book will have it once the commands that the methods return are executed, in that order."""

    def __init__(self, instrument: int, side: Side) -> None:
        self._instrument, self._side = instrument, side
        self._outward = 1 if side == "sell" else -1  # price x this grows with the distance from the best
        self._orders: dict[int, dict[int, int]] = {}  # price -> client order id -> lots, first in the queue first
        self._lots: dict[int, int] = {}  # price -> lots
        self._worst: int | None = None  # worst price x outward in sight
        self._next_seed = FIRST_SEED + (side == "sell")

    def best(self) -> int | None:
        """Best price; None: no orders."""
        return min(self._lots, key=lambda price: price * self._outward, default=None)

    def add(self, time_ns: int, order: int, price: int, lots: int) -> Command:
        """A new order at the end of its queue."""
        level = self._orders.setdefault(price, {})
        level[order] = level.get(order, 0) + lots
        self._lots[price] = self._lots.get(price, 0) + lots
        return NewOrder(
            received_ns=time_ns,
            account=maker(self._instrument),
            instrument=self._instrument,
            side=self._side,
            client_order_id=order,
            price_ticks=price,
            quantity_lots=lots,
        )

    def take(self, time_ns: int, order: int, price: int, lots: int, *, whole: bool = False) -> list[Command]:
        """Take *lots* off a level: off *order*, then off seeds, then off the newest; *whole*: at least all of *order*."""
        level = self._orders.get(price, {})
        if whole:
            lots = max(lots, level.get(order, 0))
        commands: list[Command] = []
        victims = [order] * (order in level) + [seed for seed in level if seed >= FIRST_SEED] + list(reversed(level))
        for victim in victims:
            taken = min(lots, level.get(victim, 0))
            if taken:
                lots -= taken
                commands.append(self._off(time_ns, victim, price, taken))
        return commands

    def _off(self, time_ns: int, order: int, price: int, lots: int) -> Command:
        account = maker(self._instrument)
        if self._less(order, price, lots):
            return ReduceOrder(received_ns=time_ns, account=account, client_order_id=order, quantity_lots=lots)
        return CancelOrder(received_ns=time_ns, account=account, client_order_id=order)

    def _less(self, order: int, price: int, lots: int) -> int:
        """Take *lots* off an order; what is left of it."""
        level = self._orders[price]
        level[order] -= lots
        self._lots[price] -= lots
        left = level[order]
        if not left:
            del level[order]
        if not level:
            del self._orders[price], self._lots[price]
        return left

    def fill(self, price: int, lots: int) -> None:
        """An incoming order takes up to *lots* from the head of a level; it is sent by the caller."""
        while lots and price in self._orders:
            head, held = next(iter(self._orders[price].items()))
            self._less(head, price, min(held, lots))
            lots -= min(held, lots)

    def mend_level(self, time_ns: int, price: int, lots: int) -> list[Command]:
        """Make a level hold *lots*."""
        missing = lots - self._lots.get(price, 0)
        if missing > 0:
            self._next_seed += 2
            return [self.add(time_ns, self._next_seed, price, missing)]
        return self.take(time_ns, 0, price, -missing) if missing else []

    def mend(self, time_ns: int, levels: Levels, *, full: bool) -> list[Command]:
        """Make the window hold what is in sight; not *full*: nothing is out of sight."""
        commands: list[Command] = []
        for price, lots in levels.items():
            if self._lots.get(price) != lots:
                commands += self.mend_level(time_ns, price, lots)
        worst = next(reversed(levels)) * self._outward if full else None
        if worst is None or self._worst is None or worst > self._worst:
            in_sight = [price for price in self._lots if worst is None or price * self._outward < worst]
            for price in in_sight:
                if price not in levels:
                    commands += self.mend_level(time_ns, price, 0)
        self._worst = worst
        return commands
