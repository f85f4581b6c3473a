"""What the venue pushes: each message says its channel, and the block that it is as of. docs/websocket.md says when which comes."""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal, TypeAlias

import msgspec

from outcry.client.shapes import Alert, Balance, Bar, Execution, Order, Trade

Channel: TypeAlias = Literal["level1", "level2", "level3", "trades", "bars", "ticker", "status"]


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """What all have. type: snapshot, all there is; update, what happened in block *seq*, or since the message before."""

    type: Literal["snapshot", "update"]
    symbol: str = ""
    partition: int
    seq: int
    previous: int
    event: str = ""


class LevelChange(msgspec.Struct, frozen=True, array_like=True):
    """A price level; quantity 0: it is gone, or there is none."""

    price: Decimal
    quantity: Decimal
    orders: int


class OrderChange(msgspec.Struct, frozen=True, array_like=True):
    """What happened to an order of a book: rested, filled, reduced, replaced, removed, cancelled. open_quantity 0: it is gone."""

    order: str
    side: str
    price: Decimal
    open_quantity: Decimal
    why: str


class Level1(Push, frozen=True, kw_only=True):
    """Best prices."""

    bid: LevelChange
    ask: LevelChange


class Level2(Push, frozen=True, kw_only=True):
    """Price levels, best first: all of a snapshot, those that changed of an update."""

    bids: list[LevelChange]
    asks: list[LevelChange]


class Level3(Push, frozen=True, kw_only=True):
    """Orders of the book."""

    orders: list[OrderChange]


class Trades(Push, frozen=True, kw_only=True):
    """Trades, rising. Each comes once: a snapshot after a gap has only those that did not come before."""

    trades: list[Trade]


class Bars(Push, frozen=True, kw_only=True):
    """Bars that are new or changed; of a snapshot the last."""

    interval: str
    bars: list[Bar]


class Ticker(Push, frozen=True, kw_only=True):
    """The last 24 hours; None: no trade."""

    day: Bar | None


class Status(Push, frozen=True, kw_only=True):
    """The state of an instrument."""

    state: str


class Own(Push, frozen=True, kw_only=True):
    """What block *seq* of a partition did for an account of yours: orders as they are after it, its executions, balances that changed.

    A snapshot comes where the venue no longer had what happened in between: orders that are open now and those that ended last, executions
    since (each once), balances as they are.

    more  more orders ended in this block than are told of; executions are all told of
    """

    account: int
    orders: list[Order]
    executions: list[Execution]
    balances: list[Balance]
    more: bool = False


class Fired(Push, frozen=True, kw_only=True):
    """What the alert rules of an account told in block *seq*."""

    account: int
    alerts: list[Alert]


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """What happened after block *after* up to block *seq* of a partition cannot be told any more, not even by asking."""

    channel: str
    symbol: str = ""
    account: int = 0
    partition: int
    after: int
    seq: int


Market: TypeAlias = Level1 | Level2 | Level3 | Trades | Bars | Ticker | Status
BY_CHANNEL: Final[dict[str, type[Push]]] = {
    "level1": Level1,
    "level2": Level2,
    "level3": Level3,
    "trades": Trades,
    "bars": Bars,
    "ticker": Ticker,
    "status": Status,
    "user": Own,
}
