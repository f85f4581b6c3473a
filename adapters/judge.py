"""Compares our trades with a venue's executions: same price, same resting order?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from adapters.feed import Verdict
from adapters.venue import TAKERS
from domain.columns import SLOT_MASK
from domain.events import EVENT_WORDS, FIRST_CONSEQUENCE, ORDER_ACCEPTED, TRADE_EXECUTED
from domain.verbs import ACCOUNT, CLIENT_ORDER_ID, COMMAND_WORDS


class Execution(NamedTuple):
    """Lots of one resting order that were executed; maker is its client order id."""

    maker: int
    price_ticks: int
    quantity_lots: int


class VenueJudge:
    """Holds both sides, by the client order id of the order that took, until both are known; then judges them and forgets them.

    Memory: what only one side knows so far, and one number per slot of a live order.
    """

    def __init__(self) -> None:
        self._expected: dict[int, Sequence[Execution]] = {}
        self._traded: dict[int, list[Execution]] = {}
        self._makers: dict[int, int] = {}  # slot -> client order id: a slot is used again only after its order is gone
        self._executions = self._same_price = self._same_maker = self._other_trades = 0

    def expect(self, taker_id: int, executions: Sequence[Execution]) -> None:
        """The venue executed these, in this order, for what we send with client order id *taker_id*."""
        self._executions += len(executions)
        self._expected[taker_id] = executions
        self._meet(taker_id)

    def miss(self) -> None:
        """The venue executed an order that the source does not show, so nothing can be sent for it."""
        self._executions += 1

    def see(self, commands: bytes, events: bytes) -> None:
        """Take in one block's rows."""
        command = np.frombuffer(commands, "<i8").reshape(-1, COMMAND_WORDS)
        event = np.frombuffer(events, "<i8").reshape(-1, EVENT_WORDS)
        kind = event[:, 0] & 255
        cause = np.cumsum(kind < FIRST_CONSEQUENCE) - 1
        shown = np.flatnonzero((kind == ORDER_ACCEPTED) | (kind == TRADE_EXECUTED))
        columns = (kind[shown], *event[shown][:, (1, 3, 4)].T, *command[cause[shown]][:, (ACCOUNT, CLIENT_ORDER_ID)].T)
        takers: dict[int, None] = {}
        for what, order, price, lots, account, client_order_id in zip(*(column.tolist() for column in columns), strict=True):
            if what == ORDER_ACCEPTED:
                self._makers[order & SLOT_MASK] = client_order_id
            elif account < TAKERS:
                self._other_trades += 1
            else:
                self._traded.setdefault(client_order_id, []).append(Execution(self._makers[order & SLOT_MASK], price, lots))
                takers[client_order_id] = None
        for taker_id in takers:
            self._meet(taker_id)

    def verdict(self) -> Verdict:
        """The result so far; trades for which the venue has none yet count as others."""
        others = self._other_trades + sum(map(len, self._traded.values()))
        return Verdict(self._executions, self._same_price, self._same_maker, others)

    def _meet(self, taker_id: int) -> None:
        """Judge *taker_id* when both sides are known: walk both lists lot by lot."""
        if taker_id not in self._expected or taker_id not in self._traded:
            return
        traded = self._traded.pop(taker_id)[::-1]
        for venue in self._expected.pop(taker_id):
            same_price = same_maker = True
            open_lots = venue.quantity_lots
            while open_lots and traded:
                ours = traded.pop()
                same_price &= ours.price_ticks == venue.price_ticks
                same_maker &= ours.maker == venue.maker
                if ours.quantity_lots > open_lots:
                    traded.append(ours._replace(quantity_lots=ours.quantity_lots - open_lots))
                open_lots -= min(open_lots, ours.quantity_lots)
            self._same_price += same_price and not open_lots
            self._same_maker += same_maker and not open_lots
        self._other_trades += len(traded)
