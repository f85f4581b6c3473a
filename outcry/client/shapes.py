"""What is sent and what comes back. Prices, quantities and amounts are Decimal; ids are text, as the venue gives them; times are ISO 8601
in UTC with nanoseconds, so that they sort as text. Fields that this release does not know are passed over.
"""

from __future__ import annotations

import secrets
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeAlias, TypedDict

import msgspec

from outcry.client.errors import Problem, Refused

Side: TypeAlias = Literal["buy", "sell"]
Interval: TypeAlias = Literal["1s", "1m", "5m", "1h", "1d"]
Number: TypeAlias = Decimal | str | int
"""A price, quantity or amount to send. Never a float: it is not what it looks like."""
Id: TypeAlias = str | int
"""An id of yours to send: a whole number above 0, below 2^63."""


class Terms(TypedDict, total=False):
    """What an order may say beside symbol, side, quantity and price.

    order_type       limit with a price, else market
    time_in_force    GTC; IOC of a market order; GTD with *expires*
    post_only        what becomes of it when it would take: off (it takes), refuse, slide
    self_trade       what happens when it meets an order of its own account
    budget           of a market buy: the most it may spend, fees included
    expires          ISO 8601
    client_order_id  your number for the order, unique among your live ones
    """

    order_type: Literal["limit", "market"]
    time_in_force: Literal["GTC", "IOC", "FOK", "DAY", "GTD"]
    post_only: Literal["off", "refuse", "slide"]
    self_trade: Literal["allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement"]
    budget: Number
    expires: str
    client_order_id: Id


class Target(TypedDict, total=False):
    """What any command may say.

    account      whose it is; needed by who has several
    deadline_ms  not executed later than so many milliseconds after the venue has it; 0: whenever
    command_id   your number for the command; the client makes one when it is not given
    """

    account: int
    deadline_ms: int
    command_id: Id


class OrderTerms(Terms, Target, total=False):
    """What an order and its command may say."""


class AsOf(msgspec.Struct, frozen=True):
    """The block that an answer is as of: number seq of a partition; behind: blocks that the venue knew to come."""

    partition: int
    seq: int
    time: str = ""
    level: str = ""
    behind: int = 0


class Instrument(msgspec.Struct, frozen=True):
    """What is traded. Rates of fees are parts of the turnover."""

    symbol: str
    state: str
    partition: int
    instrument: int
    base_asset: str
    quote_asset: str
    tick_size: Decimal
    lot_size: Decimal
    low_price: Decimal
    high_price: Decimal
    max_quantity: Decimal
    maker_rate: Decimal
    taker_rate: Decimal


class Level(msgspec.Struct, frozen=True):
    """A price level: what is open there, in how many orders."""

    price: Decimal
    quantity: Decimal
    orders: int


class Book(msgspec.Struct, frozen=True):
    """Price levels, best first."""

    symbol: str
    bids: list[Level]
    asks: list[Level]
    as_of: AsOf


class Trade(msgspec.Struct, frozen=True):
    """A trade; side is the taker's. Numbers rise in a partition."""

    number: str
    time: str
    price: Decimal
    quantity: Decimal
    side: Side


class Bar(msgspec.Struct, frozen=True):
    """Trading in an interval from *start* on."""

    start: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    vwap: Decimal
    volume: Decimal
    turnover: Decimal
    trades: int


class Order(msgspec.Struct, frozen=True):
    """An order. status: open, filled, or how it ended (cancelled, removed …); reason: why it was removed."""

    order: str
    account: int
    symbol: str
    side: Side
    order_type: str
    time_in_force: str
    client_order_id: str
    price: Decimal
    quantity: Decimal
    open_quantity: Decimal
    filled_quantity: Decimal
    fees: Decimal
    accepted: str
    changed: str
    status: str
    reason: str
    average: str = msgspec.field(name="average_price")

    @property
    def average_price(self) -> Decimal | None:
        """None: it has not traded."""
        return Decimal(self.average) if self.average else None


class Execution(msgspec.Struct, frozen=True):
    """One side of a trade: yours. number: that of the trade."""

    number: str
    time: str
    order: str
    symbol: str
    side: Side
    liquidity: Literal["maker", "taker"]
    price: Decimal
    quantity: Decimal
    fee: Decimal


class Balance(msgspec.Struct, frozen=True):
    """What an account has of an asset; held: the worst case of its live orders, fees included."""

    asset: str
    available: Decimal
    held: Decimal


class PartitionBalances(msgspec.Struct, frozen=True):
    """What lies in one partition."""

    balances: list[Balance]
    as_of: AsOf


class Balances(msgspec.Struct, frozen=True):
    """Funds lie in partitions, and pay for orders there."""

    account: int
    partitions: list[PartitionBalances]

    def of(self, asset: str) -> Balance:
        """Of *asset*, in all partitions together."""
        found = [each for partition in self.partitions for each in partition.balances if each.asset == asset]
        return Balance(asset, sum((each.available for each in found), Decimal(0)), sum((each.held for each in found), Decimal(0)))


class Line(msgspec.Struct, frozen=True):
    """A line of a statement; total is what is there after it."""

    number: str
    time: str
    kind: str
    asset: str
    amount: Decimal
    fee: Decimal
    total: Decimal


class Fill(msgspec.Struct, frozen=True):
    """A trade of the command that was just decided."""

    number: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    maker_order: str


class Done(msgspec.Struct, frozen=True):
    """A command on record, in block *seq* of a partition.

    status   accepted; repeated: it was on record already, because the client had to send it again. Then what it did is not told once more
             (resting False, fills and removed empty): ask order(), or look at user().
    order    that it entered or changed
    resting  whether (the rest of) it was in the book then
    removed  why what was left of it was taken away at once; empty: it was not
    """

    command_id: str
    verb: str
    status: Literal["accepted", "repeated"]
    order: str
    resting: bool
    fills: list[Fill]
    removed: str
    partition: int
    seq: int
    event: str
    durability: str = ""


class Command(msgspec.Struct, frozen=True):
    """What became of a command. status unknown: the venue does not have it, as of the blocks that it says."""

    command_id: str
    account: int
    status: Literal["accepted", "refused", "open", "unknown"]
    detail: str
    as_of: list[AsOf]
    verb: str = ""
    order: str = ""
    rule: str = ""
    limit: int | None = None
    observed: int | None = None
    time: str = ""
    partition: int | None = None
    seq: int | None = None
    event: str = ""


class Account(msgspec.Struct, frozen=True):
    """An account of yours."""

    account: int
    name: str
    status: str


class Me(msgspec.Struct, frozen=True):
    """Who you are to the venue."""

    user: str
    key: str
    scopes: list[str]
    accounts: list[Account]


class AlertRule(msgspec.Struct, frozen=True):
    """A rule in force: docs/alerts.md. rule: its number in its partition; tells: when, in words; from_block: from which on it holds."""

    partition: int
    rule: int
    account: int
    kind: str
    tells: str
    from_block: int
    webhook: str
    email: str
    text: str


class Alert(msgspec.Struct, frozen=True):
    """A rule told. name: for ever the same, unique at the venue; level, value: what it waits for, and what was seen, as text."""

    name: str
    number: str
    time: str
    rule: int
    kind: str
    tells: str
    level: str
    value: str
    text: str
    fills: int
    lots: int


class AlertTerms(TypedDict, total=False):
    """What a rule may say; docs/alerts.md says which does for which kind.

    symbol, asset  what it is of
    above          whether *level* is reached from below (that is so when it is not given), else from above
    hysteresis     so far the value must go back before the rule may tell again
    within_s       of what is measured over a time
    webhook, email  where to tell it, too
    """

    symbol: str
    asset: str
    above: bool
    level: Number
    hysteresis: Number
    within_s: int
    webhook: str
    email: str
    text: str
    partition: int
    account: int


class _Bare(msgspec.Struct, omit_defaults=True):
    symbol: str
    side: Side
    quantity: Number
    price: Number = ""


class NewOrder(_Bare, kw_only=True, omit_defaults=True):
    """An order to send; its fields: OrderTerms. Without a price it is a market order. Raises TypeError for a float, ValueError for what
    is no number.
    """

    order_type: str = ""
    time_in_force: str = ""
    post_only: str = "off"
    self_trade: str = "cancel_newest"
    budget: Number = ""
    expires: str = ""
    client_order_id: Id = ""
    account: int | None = None
    deadline_ms: int = 0
    command_id: Id = ""

    def __post_init__(self) -> None:
        self.quantity, self.price, self.budget = text(self.quantity), text(self.price), text(self.budget)
        self.client_order_id, self.command_id = str(self.client_order_id), str(self.command_id or new_id())


def new_id() -> str:
    """An id for a command that nobody used before."""
    return str(secrets.randbelow(2**63 - 1) + 1)


def text(number: Number) -> str:
    """*number* as it is sent; an empty one stays so. Raises TypeError for a float, ValueError for what is no number."""
    if number == "":
        return ""
    if isinstance(number, float):
        raise TypeError(
            f"{number!r} is a float, which is not what it looks like; right would be Decimal({str(number)!r}) or {str(number)!r}"
        )
    try:
        return f"{Decimal(number):f}"
    except InvalidOperation:
        raise ValueError(f"{number!r} is no number; right would be for example 12.50") from None


def done_of(command: Command) -> Done:
    """What *command*, which is on record, would have answered when it was sent again. Raises Refused."""
    if command.status == "refused":
        raise Refused(
            Problem(
                title=f"refused by {command.rule}",
                status=422,
                detail=command.detail,
                rule=command.rule,
                limit=command.limit,
                observed=command.observed,
                command_id=command.command_id,
            )
        )
    return Done(
        command_id=command.command_id,
        verb=command.verb,
        status="repeated",
        order=command.order,
        resting=False,
        fills=[],
        removed="",
        partition=command.partition or 0,
        seq=command.seq or 0,
        event=command.event,
    )
