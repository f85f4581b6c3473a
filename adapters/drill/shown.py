"""What views must show, written down by hand: one event after the other, an order table, nothing of the product's folds.

Keys, layouts and buckets are those of docs/views.md, written down here a second time on purpose. Of the views these six: they have every
kind of row there is (one, lists by instrument, lists by account, rings), and who keeps them does the same for all.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from adapters.drill.money import Units
from adapters.drill.record import Found
from domain import events as e
from domain import verbs as v

Rows = dict[str, bytes]
VIEWS: Final = ("quotes", "depth", "book", "trades", "executions", "balances")
LAYOUT: Final = 1
LEVELS: Final = 32
ORDERS: Final = 64
TRADES: Final = 32
PLACES: Final = 128  # of an account
BUCKETS: Final = 65_536
SIDES: Final = ("buy", "sell")
NUMBERS: Final = 2**53  # of one partition
VENUE: Final = 0


@dataclass(slots=True)
class Order:
    """A live order."""

    account: int
    instrument: int
    side: int
    price: int
    lots: int


class Shown:
    """What the views of one partition show as of block *seq*. Tell it the blocks in order."""

    def __init__(self, partition: int) -> None:
        self.seq = 0
        self._first_number = partition * NUMBERS
        self._events = self._time_ns = 0
        self._units: dict[int, Units] = {}
        self._orders: dict[int, Order] = {}
        self._resting: defaultdict[tuple[int, int], dict[int, Order]] = defaultdict(dict)  # by instrument and side, the oldest first
        self._queues: dict[tuple[int, int], list[tuple[int, Order]]] = {}
        self._quoted: set[int] = set()
        self._trades: defaultdict[int, deque[bytes]] = defaultdict(lambda: deque(maxlen=TRADES))
        self._executions: defaultdict[int, dict[int, bytes]] = defaultdict(dict)  # by place
        self._executed: Counter[int] = Counter()
        self._balances: defaultdict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0])

    def take(self, block: Found) -> None:
        """The next block. Raises codec.BadPayload."""
        commands, events, causes = (column.tolist() for column in block.rows())
        entered, command = 0, -1
        for event, cause in zip(events, causes, strict=True):
            words = commands[cause]
            if cause != command:
                self._time_ns, entered, command = max(self._time_ns, words[1]), event[1], cause
            self._take_event(event, words, entered)
            self._events += 1
        self._quoted |= {instrument for (instrument, _), orders in self._resting.items() if orders}
        self._queues.clear()
        self.seq = block.seq

    def rows(self, view: str) -> Rows:
        """Every row of *view*."""
        return dict(getattr(self, f"_{view}_rows")())

    def groups(self) -> list[tuple[str, str]]:
        """View and group of every row, as one may ask for them."""
        return sorted({(view, key.rpartition(":")[0]) for view in VIEWS for key in self.rows(view)})

    # -- events -------------------------------------------------------------------------------------------------------

    def _take_event(self, event: list[int], command: list[int], entered: int) -> None:
        kind, side, instrument, account = event[0] & 255, event[0] >> 8 & 1, event[0] >> 32 & 0xFFFFF, command[v.ACCOUNT]
        if kind == e.INSTRUMENT_LISTED:
            low31 = 2**31 - 1
            self._units[instrument] = Units(command[7] & 0xFFFF, command[7] >> 16 & 0xFFFF, command[14] >> 31 & low31, command[14] & low31)
        elif kind == e.FUNDS_DEPOSITED:
            self._move(account, command[5], command[v.AMOUNT])
        elif kind == e.ORDER_ACCEPTED:
            self._orders[event[1]] = Order(account, instrument, side, event[3], event[4])
            self._hold(self._orders[event[1]], event[2])
        elif kind == e.ORDER_RESTED:
            self._resting[instrument, side][event[1]] = self._orders[event[1]]
        elif kind == e.ORDER_CANCELLED:
            self._hold(self._orders[event[1]], -event[5])
            self._lose(event[1], event[4])
        elif kind == e.TRADE_EXECUTED:
            self._trade(event, instrument, side, entered)

    def _trade(self, event: list[int], instrument: int, side: int, taker_order: int) -> None:
        maker_order, _, price, lots, taker_fee, maker_fee, released = event[1:]
        maker, taker, units = self._orders[maker_order], self._orders[taker_order], self._units[instrument]
        number, value, stock = self._first_number + self._events, price * lots * units.quote_units, lots * units.base_units
        (buyer, buyer_fee), (seller, seller_fee) = ((taker, taker_fee), (maker, maker_fee))[:: -1 if side else 1]
        self._move(buyer.account, units.quote, released - value - buyer_fee, -released)
        self._move(buyer.account, units.base, stock)
        self._move(seller.account, units.base, 0, -stock)
        self._move(seller.account, units.quote, value - seller_fee)
        self._move(VENUE, units.quote, taker_fee + maker_fee)
        self._trades[instrument].appendleft(struct.pack("<5q", number, self._time_ns, price, lots, side))
        for order, mine, fee, is_maker in ((taker_order, taker, taker_fee, 0), (maker_order, maker, maker_fee, 1)):
            words = number, self._time_ns, order, instrument, mine.side, is_maker, price, lots, fee
            self._executions[mine.account][self._executed[mine.account] % PLACES] = _row(struct.pack("<9q", *words))
            self._executed[mine.account] += 1
        self._lose(maker_order, lots)
        self._lose(taker_order, lots)

    def _move(self, account: int, asset: int, available: int, held: int = 0) -> None:
        balance = self._balances[account, asset]
        balance[0] += available
        balance[1] += held

    def _hold(self, order: Order, amount: int) -> None:
        units = self._units[order.instrument]
        self._move(order.account, units.base if order.side else units.quote, -amount, amount)

    def _lose(self, number: int, lots: int) -> None:
        order = self._orders[number]
        order.lots -= lots
        if not order.lots:
            del self._orders[number]
            self._resting[order.instrument, order.side].pop(number, None)

    # -- rows ---------------------------------------------------------------------------------------------------------

    def _queue(self, instrument: int, side: int) -> list[tuple[int, Order]]:
        """Number and order, in the order in which they would trade."""
        if (instrument, side) not in self._queues:
            resting = self._resting[instrument, side].items()
            self._queues[instrument, side] = sorted(resting, key=lambda each: each[1].price if side else -each[1].price)
        return self._queues[instrument, side]

    def _levels(self, instrument: int, side: int) -> list[tuple[int, int, int]]:
        """Price, lots, orders; best first."""
        levels: dict[int, list[int]] = {}
        for _, order in self._queue(instrument, side):
            level = levels.setdefault(order.price, [0, 0])
            level[0] += order.lots
            level[1] += 1
        return [(price, lots, orders) for price, (lots, orders) in levels.items()]

    def _quotes_rows(self) -> Rows:
        best = {number: [(self._levels(number, side) or [(0, 0, 0)])[0] for side in (0, 1)] for number in self._quoted}
        return {f"quote:{number}": _row(struct.pack("<6q", *buy, *sell)) for number, (buy, sell) in best.items()}

    def _depth_rows(self) -> Rows:
        sides = {f"depth:{number}:{name}": self._levels(number, side) for number in self._quoted for side, name in enumerate(SIDES)}
        return {key: _row(*(struct.pack("<3q", *level) for level in levels[:LEVELS])) for key, levels in sides.items() if levels}

    def _book_rows(self) -> Rows:
        sides = {f"book:{number}:{name}": self._queue(number, side) for number in self._quoted for side, name in enumerate(SIDES)}
        packed = {
            key: [struct.pack("<3q", number, order.price, order.lots) for number, order in queue[:ORDERS]] for key, queue in sides.items()
        }
        return {key: _row(*orders) for key, orders in packed.items() if orders}

    def _trades_rows(self) -> Rows:
        return {f"trades:{number}": _row(*trades) for number, trades in self._trades.items()}

    def _executions_rows(self) -> Rows:
        return {f"execution:{account}:{place}": row for account, rows in self._executions.items() for place, row in rows.items()}

    def _balances_rows(self) -> Rows:
        return {f"balance:{account}:{asset}": _row(struct.pack("<2q", *both)) for (account, asset), both in self._balances.items()}


def bucket_of(group: str) -> int:
    """The bucket in which all rows of *group* lie."""
    return crc32(group.encode()) % BUCKETS


def _row(*records: bytes) -> bytes:
    return struct.pack("<q", LAYOUT) + b"".join(records)
