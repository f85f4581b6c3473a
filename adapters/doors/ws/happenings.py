"""Topics of which nothing may be left out: trades, orders in the book, and what happens to an account."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
import numpy as np

from adapters.doors import shapes
from adapters.doors.house import Listed
from adapters.doors.shapes import ExecutionShape, TradeShape, number
from adapters.doors.ws import messages
from adapters.doors.ws.messages import OrderTuple
from adapters.doors.ws.packed import Packed
from adapters.doors.ws.topics import Happening, OfInstrument
from adapters.reads.feed import Change, Feed
from adapters.registry.aggregates import Asset
from domain import events as e
from domain.verbs import BUY, SELL, SIDES
from projections import layouts
from projections.columns import Columns, Ints

_OF_THE_BOOK: Final = (
    e.ORDER_RESTED,
    e.TRADE_EXECUTED,
    e.ORDER_REMOVED,
    e.ORDER_CANCELLED,
    e.ORDER_REDUCED,
    e.ORDER_REPLACED,
    e.SELF_TRADE_PREVENTED,
)
_WHY: Final = dict(zip(_OF_THE_BOOK, ("rested", "filled", "removed", "cancelled", "reduced", "replaced", "prevented"), strict=True))


class Trades(Happening, OfInstrument):
    """Every trade of an instrument."""

    channel, view = "trades", "trades"

    def begin(self) -> None:
        """See Topic."""
        row, seq = self._feed.read(self.view, layouts.trades_key(self.listed.instrument))
        last = [shapes.trade(self.listed, each) for each in reversed(layouts.TRADE.unpack(row))]
        self._last: deque[TradeShape] = deque(last, layouts.LAST_TRADES)
        self._begin_at(seq)

    def take(self, change: Change, before_ns: int) -> None:
        """See Happening."""
        if not self._goes_on(change):
            return
        block = change.block
        mine = block.instruments(e.TRADE_EXECUTED) == self.listed.instrument
        at = block.at(e.TRADE_EXECUTED)[mine]
        times = block.times_ns(before_ns)[block.command[at]]
        columns = (
            block.number(at),
            times,
            *(block.of(e.TRADE_EXECUTED, word)[mine] for word in (3, 4)),
            block.sides(e.TRADE_EXECUTED)[mine],
        )
        trades = [shapes.trade(self.listed, layouts.Trade(*each)) for each in zip(*(column.tolist() for column in columns), strict=True)]
        self._last.extend(trades)
        self._publish(Packed(messages.Trades(**self._head("update"), trades=trades)))  # type: ignore[arg-type]

    def _whole(self) -> Packed:
        return Packed(messages.Trades(**self._head("snapshot"), trades=list(self._last)))  # type: ignore[arg-type]


class Level3(Happening, OfInstrument):
    """Orders of an instrument: those that the view of the book had when the topic began, and all that came since."""

    channel, view = "level3", "book"

    def begin(self) -> None:
        """See Topic."""
        rows, seq = self._feed.group(self.view, f"book:{self.listed.instrument}")
        self._open: dict[int, tuple[int, int, int]] = {}  # order -> side, price, lots that are open
        for side in (BUY, SELL):
            for each in layouts.BOOK_ORDER.unpack(rows.get(layouts.book_key(self.listed.instrument, side), b"")):
                self._open[each.order] = side, each.price_ticks, each.quantity_lots
        self._begin_at(seq)

    def take(self, change: Change, before_ns: int) -> None:  # noqa: ARG002 # see Happening
        """See Happening."""
        if not self._goes_on(change):
            return
        orders = [made for event in _book_events(change.block, self.listed.instrument) if (made := self._taken(*event)) is not None]
        if orders:
            self._publish(Packed(messages.Level3(**self._head("update"), orders=orders)))  # type: ignore[arg-type]

    def _taken(self, kind: int, order: int, side: int, price_ticks: int, lots: int, kept: int) -> OrderTuple | None:
        """An event of the book; None: of an order that is not known here, or that never rested."""
        was = self._open.get(order)
        if kind == e.ORDER_RESTED:
            now = side, price_ticks, lots
        elif was is None:
            return None
        elif kind == e.ORDER_REPLACED:
            now = (was[0], price_ticks, lots) if kept else (was[0], was[1], 0)
        elif kind in {e.ORDER_REMOVED, e.ORDER_CANCELLED}:
            now = was[0], was[1], 0
        else:
            now = was[0], was[1], was[2] - lots
        if now[2]:
            self._open[order] = now
        else:
            del self._open[order]
        return self._shown(order, now, _WHY[kind])

    def _shown(self, order: int, is_now: tuple[int, int, int], why: str) -> OrderTuple:
        side, price_ticks, lots = is_now
        return str(order), SIDES[side], shapes.price(self.listed, price_ticks), shapes.quantity(self.listed, lots), why

    def _whole(self) -> Packed:
        orders = [self._shown(order, is_now, "rested") for order, is_now in self._open.items()]
        return Packed(messages.Level3(**self._head("snapshot"), orders=orders))  # type: ignore[arg-type]


class User(Happening):
    """What happens to an account in a partition. It has no snapshot: REST tells what there is, this what changes."""

    channel, view, is_chained = "user", "orders", True

    def __init__(self, feed: Feed, account: int, listed: Callable[[int], Listed | None], assets: Callable[[], Mapping[int, Asset]]) -> None:
        super().__init__(feed)
        self.account, self._listed, self._assets = account, listed, assets
        self.begin()

    def begin(self) -> None:
        """See Topic."""
        self._begin_at(self._feed.views[self.view].position(self.partition))

    def take(self, change: Change, before_ns: int) -> None:
        """See Happening."""
        if not self._goes_on(change):
            return
        orders, more = self._orders(change)
        executions, balances = self._executions(change.block, before_ns), self._balances(change)
        if not (orders or executions or balances):
            return
        message = messages.User(
            channel="user",
            type="update",
            account=self.account,
            partition=self.partition,
            seq=self.seq,
            previous=self.previous,
            event=self.event,
            orders=orders,
            executions=executions,
            balances=balances,
            more=more,
        )
        self._publish(Packed(message))

    def since(self, after: int) -> list[Packed] | None:
        """See Topic. Of a message that *after* stands in the middle of, the executions after it; orders and balances as they are."""
        found = super().since(after)
        message = found[0].message if found else None
        if found and isinstance(message, messages.User) and message.previous < after:
            event = self._feed.last_event(after)
            if event < 0:
                return None
            known = number(self.partition, event)
            executions = [each for each in message.executions if int(each.number) > known]
            rest = Packed(msgspec.structs.replace(message, previous=after, executions=executions))
            rest.seq = found[0].seq
            found[0] = rest
        return found

    def _whole(self) -> None:
        return None

    def _orders(self, change: Change) -> tuple[list[shapes.OrderShape], bool]:
        rows, ended = change.rows.get("orders", {}), f"ended:{self.account}:"
        mine = (f"order:{self.account}:", ended)
        keys = [key for key, row in rows.items() if row and key.startswith(mine)]
        found = [layouts.ORDER.one(rows[key]) for key in keys]
        shown = [shapes.order(listed, each) for each in found if (listed := self._listed(each.instrument))]
        return shown, sum(key.startswith(ended) for key in keys) >= layouts.KEPT_PER_ACCOUNT

    def _executions(self, block: Columns, before_ns: int) -> list[ExecutionShape]:
        at = block.at(e.TRADE_EXECUTED)
        if not len(at):
            return []
        takes, makes = block.account(at) == self.account, block.of(e.TRADE_EXECUTED, 2) == self.account
        times, side = block.times_ns(before_ns)[block.command[at]], block.sides(e.TRADE_EXECUTED)
        numbers, orders = block.number(at), (block.incoming(at), block.of(e.TRADE_EXECUTED, 1))
        price, lots, *fees = (block.of(e.TRADE_EXECUTED, word) for word in (3, 4, 5, 6))
        found = []
        for is_maker, mine in enumerate((takes, makes)):
            columns = numbers, times, orders[is_maker], block.instruments(e.TRADE_EXECUTED), side ^ is_maker
            rest = np.full(len(at), is_maker), price, lots, fees[is_maker]
            found += [layouts.Execution(*each) for each in zip(*(column[mine].tolist() for column in (*columns, *rest)), strict=True)]
        found.sort()
        return [shapes.execution(listed, each) for each in found if (listed := self._listed(each.instrument))]

    def _balances(self, change: Change) -> list[shapes.BalanceShape]:
        mine = f"balance:{self.account}:"
        rows = {int(key[len(mine) :]): row for key, row in change.rows.get("balances", {}).items() if key.startswith(mine)}
        assets = self._assets() if rows else {}
        named = {number: (asset.name, asset.scale) for number in rows if (asset := assets.get(number))}
        return [
            shapes.balance(*named.get(number, (str(number), 0)), layouts.BALANCE.one(row)) for number, row in sorted(rows.items()) if row
        ]


def accounts_of(block: Columns) -> Ints:
    """All accounts that a block touches, with repetitions."""
    named = [block.of(kind, 2) for kind in (e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED, e.ORDER_REMOVED)]
    return np.concatenate([block.asked(4), *named])


def _book_events(block: Columns, instrument: int) -> list[tuple[int, int, int, int, int, int]]:
    """What happened to orders of *instrument*, in order: kind, order, side, price, lots, whether a replaced one kept its place."""
    parts = []
    for kind in _OF_THE_BOOK:
        mine = block.instruments(kind) == instrument
        if mine.any():
            words = [block.of(kind, word)[mine] for word in (0, 1, 3, 4)]
            at = block.at(kind)[mine]
            parts.append(np.column_stack([at, np.full(len(at), kind), words[1], words[0] >> 8 & 1, words[2], words[3], words[0] >> 9 & 1]))
    if not parts:
        return []
    rows = np.vstack(parts)
    return [tuple(row[1:]) for row in rows[np.argsort(rows[:, 0])].tolist()]
