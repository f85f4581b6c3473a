"""What the audit index must hold, written down by hand from the events: how many documents of each kind, and the life of every order."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from adapters.drill.record import Found
from domain import events as e
from domain import verbs as v

KINDS: Final = {
    e.COMMAND_REFUSED: "refusal",
    e.INSTRUMENT_LISTED: "operator",
    e.INSTRUMENT_STATE_CHANGED: "session",
    e.ACCOUNT_OPENED: "operator",
    e.FEE_RATES_SET: "operator",
    e.FUNDS_DEPOSITED: "funds",
    e.ORDER_ACCEPTED: "order",
    e.RECORD_UNREADABLE: "operator",
    e.TRADE_EXECUTED: "trade",
}
SIDES: Final = ("buy", "sell")
Life = dict[str, Any]


class Filed:
    """Documents as of block *seq*; those whose first event is below *events*. Tell it the blocks in order."""

    def __init__(self) -> None:
        self.seq = self.events = 0
        self.documents: Counter[str] = Counter()
        self.orders: dict[int, Life] = {}

    def take(self, block: Found) -> None:
        """The next block. Raises codec.BadPayload."""
        commands, events, causes = (column.tolist() for column in block.rows())
        entered, command = 0, -1
        for event, cause in zip(events, causes, strict=True):
            if cause != command:
                entered, command = event[1], cause
            kind = event[0] & 255
            if kind in KINDS:
                self.documents[KINDS[kind]] += 1
            if kind == e.ORDER_ACCEPTED:
                life: Life = {"account": commands[cause][v.ACCOUNT], "side": SIDES[event[0] >> 8 & 1], "price_ticks": event[3]}
                self.orders[event[1]] = life | {"event": self.events, "seq": block.seq, "quantity_lots": event[4], "open_lots": event[4]}
            elif kind == e.ORDER_CANCELLED:
                self._lose(event[1], event[4], "OrderCancelled")
            elif kind == e.TRADE_EXECUTED:
                for order in (event[1], entered):
                    self._lose(order, event[4], "TradeExecuted")
                    self.orders[order]["filled_lots"] = self.orders[order].get("filled_lots", 0) + event[4]
            self.events += 1
        self.seq = block.seq

    def _lose(self, order: int, lots: int, how: str) -> None:
        life = self.orders[order]
        life["open_lots"] -= lots
        if not life["open_lots"]:
            life["ended_by"] = how
