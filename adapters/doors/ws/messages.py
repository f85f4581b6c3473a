"""What is pushed: each message says its channel, whom it is of, and the block that it is as of."""

from __future__ import annotations

from typing import Literal

import msgspec

from adapters.doors.alerts import AlertShape
from adapters.doors.rest.problems import Problem
from adapters.doors.shapes import BalanceShape, BarShape, Done, ExecutionShape, OrderShape, TradeShape

Kind = Literal["snapshot", "update"]
Channel = Literal["level1", "level2", "level3", "trades", "bars", "ticker", "status", "user", "alerts"]
LevelTuple = tuple[str, str, int]
"""Price, quantity, orders; quantity 0: the level is gone."""
OrderTuple = tuple[str, str, str, str, str]
"""Number, side, price, open quantity (0: it is gone), and why: rested, filled, reduced, replaced, removed or cancelled."""


class Push(msgspec.Struct, kw_only=True):
    """What all have.

    seq       block that it is as of
    previous  `seq` of the message of this channel and symbol before it: whoever has another one has missed something
    event     number of that block's first event; empty: that is too long ago to be known here
    """

    channel: Channel
    type: Kind
    symbol: str = ""
    partition: int
    seq: int
    previous: int
    event: str = ""


class Level1(Push, kw_only=True):
    """Best prices, with what is open there; quantity 0: the side is empty."""

    bid: LevelTuple
    ask: LevelTuple


class Level2(Push, kw_only=True):
    """Price levels among the best 32 of a side, best first: all of a snapshot, those that changed of an update."""

    bids: list[LevelTuple]
    asks: list[LevelTuple]


class Level3(Push, kw_only=True):
    """Orders: of a snapshot those that would trade first, 64 of a side and all that came since; of an update what happened to each."""

    orders: list[OrderTuple]


class Trades(Push, kw_only=True):
    """Every trade, rising; of a snapshot the last."""

    trades: list[TradeShape]


class Bars(Push, kw_only=True):
    """Bars of an interval that are new or changed; of a snapshot the last."""

    interval: str
    bars: list[BarShape]


class Ticker(Push, kw_only=True):
    """The last 24 hours; null: no trade."""

    day: BarShape | None


class Status(Push, kw_only=True):
    """The state of an instrument."""

    state: str


class User(Push, kw_only=True):
    """What the blocks after `previous` up to `seq` did for an account: orders as they are now, executions, balances where they changed.

    more  more orders ended than are kept (128): the others are not here; executions all are
    """

    account: int
    orders: list[OrderShape]
    executions: list[ExecutionShape]
    balances: list[BalanceShape]
    more: bool = False


class Alerts(Push, kw_only=True):
    """What rules of an account told in a block."""

    account: int
    alerts: list[AlertShape]


class Gap(msgspec.Struct, kw_only=True, tag="gap"):
    """What is between two blocks is not here any more: ask REST, then go on with what is pushed."""

    channel: Channel
    symbol: str = ""
    account: int = 0
    partition: int
    after: int
    seq: int


class Welcome(msgspec.Struct, kw_only=True, tag="welcome"):
    """Who the connection belongs to; nobody: log in, or look at what anybody may see.

    session  number for rows of batches whose sequence rises: that of the key; 0: it has none
    """

    user: str
    id: str = ""
    scopes: list[str] = []
    accounts: list[int] = []
    session: str = "0"
    partition: int = 0


class Answer(msgspec.Struct, kw_only=True, tag="done"):
    """What was asked for is done; of orders: what became of it."""

    id: str
    done: Done | None = None


class Refusal(msgspec.Struct, kw_only=True, tag="problem"):
    """What was asked for is not done, and why."""

    id: str
    problem: Problem


class Pong(msgspec.Struct, kw_only=True, tag="pong"):
    """We hear you."""

    id: str
    time_ns: str


class Cut(msgspec.Struct, kw_only=True, tag="cut"):
    """The connection ends, and why."""

    reason: str
