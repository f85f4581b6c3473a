"""What clients see: decimals and 64-bit numbers as text, times in ISO 8601, and with all of it the block that it is as of."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

from adapters.decimals import E6, E9, from_lots, from_minor, from_rate, from_ticks
from adapters.doors.house import Listed, Outcome
from adapters.reads.answer import Answer
from adapters.times import from_ns
from commands.messages import Event
from domain.columns import PARTITION_SHIFT
from domain.events import EVENT_BY_CODE, REMOVAL_REASONS, TRADE_EXECUTED
from domain.verbs import INSTRUMENT_STATES, ORDER_TYPES, SIDES, TIMES_IN_FORCE
from projections import layouts

ENDED = {0: "open", TRADE_EXECUTED: "filled"}
ENDED |= {code: row.name.removeprefix("Order").lower() for code, row in EVENT_BY_CODE.items() if row.name.startswith("Order")}


class AsOf(msgspec.Struct):
    """The block that an answer is as of: its partition and number; the time of the last command in it; where the answer comes from."""

    partition: int
    seq: int
    time: str
    level: str
    behind: int


class InstrumentShape(msgspec.Struct):
    """A listed instrument."""

    symbol: str
    state: str
    partition: int
    instrument: int
    base_asset: str
    quote_asset: str
    tick_size: str
    lot_size: str
    low_price: str
    high_price: str
    max_quantity: str
    maker_rate: str
    taker_rate: str


class LevelShape(msgspec.Struct):
    """A price level."""

    price: str
    quantity: str
    orders: int


class BookShape(msgspec.Struct):
    """Price levels, best first."""

    symbol: str
    bids: list[LevelShape]
    asks: list[LevelShape]
    as_of: AsOf


class TradeShape(msgspec.Struct):
    """A trade; side is the taker's."""

    number: str
    time: str
    price: str
    quantity: str
    side: str


class BarShape(msgspec.Struct):
    """Trading in an interval from *start* on."""

    start: str
    open: str
    high: str
    low: str
    close: str
    vwap: str
    volume: str
    turnover: str
    trades: int


class OrderShape(msgspec.Struct):
    """An order, open or ended."""

    order: str
    account: int
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    client_order_id: str
    price: str
    quantity: str
    open_quantity: str
    filled_quantity: str
    average_price: str
    fees: str
    accepted: str
    changed: str
    status: str
    reason: str


class ExecutionShape(msgspec.Struct):
    """One side of a trade."""

    number: str
    time: str
    order: str
    symbol: str
    side: str
    liquidity: Literal["maker", "taker"]
    price: str
    quantity: str
    fee: str


class BalanceShape(msgspec.Struct):
    """What an account has of an asset."""

    asset: str
    available: str
    held: str


class LineShape(msgspec.Struct):
    """A line of a statement; total is what is there after it."""

    number: str
    time: str
    kind: str
    asset: str
    amount: str
    fee: str
    total: str


class FillShape(msgspec.Struct):
    """A trade of the command that was just decided."""

    number: str
    price: str
    quantity: str
    fee: str
    maker_order: str


class Done(msgspec.Struct):
    """A command on record.

    status   accepted, or repeated: it was on record already, and nothing changed
    order    the order it entered or changed, none: empty
    resting  whether (the rest of) it is in the book now
    """

    command_id: str
    verb: str
    status: Literal["accepted", "repeated"]
    order: str
    resting: bool
    fills: list[FillShape]
    removed: str
    partition: int
    seq: int
    event: str
    durability: str


def as_of(answer: Answer) -> AsOf:
    """Of what was read."""
    return AsOf(answer.partition, answer.seq, from_ns(answer.time_ns), answer.level, answer.behind)


def instrument(listed: Listed, asset_name: dict[int, str]) -> InstrumentShape:
    """Of a listed instrument; assets are called by name, those without one by number."""
    terms = listed.terms
    return InstrumentShape(
        symbol=listed.symbol,
        state=INSTRUMENT_STATES[terms.state],
        partition=listed.partition,
        instrument=listed.instrument,
        base_asset=asset_name.get(terms.base_asset, str(terms.base_asset)),
        quote_asset=asset_name.get(terms.quote_asset, str(terms.quote_asset)),
        tick_size=str(from_ticks(1, terms.tick_size_e9)),
        lot_size=str(from_lots(1, terms.lot_size_e9)),
        low_price=price(listed, terms.band_low_ticks),
        high_price=price(listed, terms.band_high_ticks),
        max_quantity=quantity(listed, terms.max_quantity_lots),
        maker_rate=str(from_rate(terms.maker_rate)),
        taker_rate=str(from_rate(terms.taker_rate)),
    )


def price(listed: Listed, ticks: int) -> str:
    """Ticks as a price."""
    return str(from_ticks(ticks, listed.terms.tick_size_e9))


def quantity(listed: Listed, lots: int) -> str:
    """Lots as a quantity."""
    return str(from_lots(lots, listed.terms.lot_size_e9))


def money(listed: Listed, amount: int) -> str:
    """Minor units of the quote asset as an amount."""
    return f"{from_minor(amount, listed.terms.quote_scale):f}"


def levels(listed: Listed, row: bytes, most: int) -> list[LevelShape]:
    """Of one side's row of `depth`."""
    found = layouts.LEVEL.unpack(row)[:most]
    return [LevelShape(price(listed, each.price_ticks), quantity(listed, each.quantity_lots), each.orders) for each in found]


def trade(listed: Listed, each: layouts.Trade) -> TradeShape:
    """Of a trade."""
    return TradeShape(
        str(each.number), from_ns(each.time_ns), price(listed, each.price_ticks), quantity(listed, each.quantity_lots), SIDES[each.side]
    )


def bar(listed: Listed, each: layouts.Bar) -> BarShape:
    """Of a bar."""
    return BarShape(
        start=from_ns(each.start_ns),
        open=price(listed, each.open_ticks),
        high=price(listed, each.high_ticks),
        low=price(listed, each.low_ticks),
        close=price(listed, each.close_ticks),
        vwap=f"{(Decimal(each.vwap_ticks_e6) * listed.terms.tick_size_e9 / E9 / E6).normalize():f}",
        volume=quantity(listed, each.volume_lots),
        turnover=money(listed, each.turnover),
        trades=each.trades,
    )


def order(listed: Listed, each: layouts.Order) -> OrderShape:
    """Of an order."""
    average = (
        Decimal(each.value) / Decimal(each.filled_lots * listed.terms.quote_units) * listed.terms.tick_size_e9 / E9
        if each.filled_lots
        else Decimal(0)
    )
    return OrderShape(
        order=str(each.order),
        account=each.account,
        symbol=listed.symbol,
        side=SIDES[each.side],
        order_type=ORDER_TYPES[each.order_type],
        time_in_force=TIMES_IN_FORCE[each.time_in_force],
        client_order_id=str(each.client_order_id or ""),
        price=price(listed, each.price_ticks),
        quantity=quantity(listed, each.quantity_lots),
        open_quantity=quantity(listed, each.open_lots),
        filled_quantity=quantity(listed, each.filled_lots),
        average_price=f"{average.normalize():f}" if each.filled_lots else "",
        fees=money(listed, each.fees),
        accepted=from_ns(each.accepted_ns),
        changed=from_ns(each.changed_ns),
        status=ENDED.get(each.ended_by, EVENT_BY_CODE[each.ended_by].name if each.ended_by else "open"),
        reason=REMOVAL_REASONS[each.reason],
    )


def execution(listed: Listed, each: layouts.Execution) -> ExecutionShape:
    """Of one side of a trade."""
    return ExecutionShape(
        number=str(each.number),
        time=from_ns(each.time_ns),
        order=str(each.order),
        symbol=listed.symbol,
        side=SIDES[each.side],
        liquidity="maker" if each.is_maker else "taker",
        price=price(listed, each.price_ticks),
        quantity=quantity(listed, each.quantity_lots),
        fee=money(listed, each.fee),
    )


def balance(name: str, scale: int, each: layouts.Balance) -> BalanceShape:
    """Of a balance of the asset called *name*."""
    return BalanceShape(name, f"{from_minor(each.available, scale):f}", f"{from_minor(each.held, scale):f}")


def line(name: str, scale: int, each: layouts.Line) -> LineShape:
    """Of a line of a statement in the asset called *name*."""
    amount, fee, total = (f"{from_minor(value, scale):f}" for value in (each.amount, each.fee, each.total))
    return LineShape(str(each.number), from_ns(each.time_ns), EVENT_BY_CODE[each.kind].name, name, amount, fee, total)


def done(outcome: Outcome, command_id: int, verb: str, listed: Listed | None, durability: str) -> Done:
    """Of a command that was not refused."""
    first, *rest = outcome.events
    repeated = first.kind == "CommandRepeated"
    entered = first.fields["first_detail"] if repeated else first.fields.get("order", 0)
    removed = [event for event in rest if event.kind == "OrderRemoved" and event.fields["order"] == entered]
    return Done(
        command_id=str(command_id),
        verb=verb,
        status="repeated" if repeated else "accepted",
        order=str(entered or ""),
        resting=any(event.kind == "OrderRested" for event in rest),
        fills=[fill(listed, event, outcome.partition) for event in rest if event.kind == "TradeExecuted" and listed],
        removed=str(removed[0].fields["reason"]) if removed else "",
        partition=outcome.partition,
        seq=outcome.block_seq,
        event=str(number(outcome.partition, first.index)),
        durability=durability,
    )


def number(partition: int, index: int) -> int:
    """Number of event *index* of a partition, unique for ever; a trade's number is that of its event."""
    return (partition << PARTITION_SHIFT) + index


def fill(listed: Listed, event: Event, partition: int) -> FillShape:
    """Of a TradeExecuted, for the taker."""
    field = event.fields
    return FillShape(
        number=str(number(partition, event.index)),
        price=price(listed, int(field["price_ticks"])),
        quantity=quantity(listed, int(field["quantity_lots"])),
        fee=money(listed, int(field["taker_fee"])),
        maker_order=str(field["maker_order"]),
    )
