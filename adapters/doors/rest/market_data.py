"""What anybody may see: instruments, books, trades, bars."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from adapters.doors import shapes
from adapters.doors.house import House
from adapters.doors.rest.asking import AnyRequest, AtLeast, Limit, Symbol
from adapters.doors.rest.tags import UNCHANGED, tagged
from adapters.doors.shapes import AsOf, BarShape, BookShape, InstrumentShape, TradeShape
from adapters.times import from_ns
from domain.verbs import BUY, SELL
from projections import layouts

Interval = Literal["1s", "1m", "5m", "1h", "1d"]
SECONDS: dict[str, int] = dict(zip(("1s", "1m", "5m", "1h", "1d"), layouts.BAR_SECONDS, strict=True))


class Time(msgspec.Struct):
    """The clock of this gateway."""

    time: str
    time_ns: str


class Venue(msgspec.Struct):
    """How the venue is: its partitions as of their last blocks that are known here, and what an answer to an order has survived."""

    partitions: list[AsOf]
    durability: str


class Instruments(msgspec.Struct):
    """All of them."""

    instruments: list[InstrumentShape]


class Trades(msgspec.Struct):
    """The last ones, newest first."""

    symbol: str
    trades: list[TradeShape]
    as_of: AsOf


class Bars(msgspec.Struct):
    """Rising; an interval without a trade has none."""

    symbol: str
    interval: Interval
    bars: list[BarShape]
    as_of: AsOf


class Statistics(msgspec.Struct):
    """The last 24 hours; null: no trade."""

    symbol: str
    day: BarShape | None
    as_of: AsOf


@get("/time", summary="What our clock says")
async def time(house: NamedDependency[House]) -> Time:
    """For who must sign requests with the time."""
    now_ns = house.clock()
    return Time(from_ns(now_ns), str(now_ns))


@get("/venue", summary="How far the venue is")
async def venue(house: NamedDependency[House]) -> Venue:
    """Each partition."""
    answers = [await house.reads.row("totals", layouts.totals_key(partition, "all"), partition) for partition in house.desks]
    return Venue([shapes.as_of(answer) for answer in answers], house.durability)


@get("/instruments", summary="What is listed", responses=UNCHANGED)
async def instruments(request: AnyRequest, house: NamedDependency[House]) -> Response[Instruments]:
    """All instruments, in the order of their symbols. Has an ETag, which is another when one of them changes."""
    names = {number: asset.name for number, asset in house.assets().items()}
    listed = sorted((await house.listed()).items())
    return tagged(request, (listed, names), lambda: Instruments([shapes.instrument(each, names) for _, each in listed]))


@get("/instruments/{symbol:str}", summary="One instrument")
async def instrument(house: NamedDependency[House], symbol: Symbol) -> InstrumentShape:
    """Its terms and state."""
    names = {number: asset.name for number, asset in house.assets().items()}
    await house.instrument(symbol)
    return shapes.instrument((await house.listed())[symbol], names)


@get("/instruments/{symbol:str}/book", summary="Price levels", responses=UNCHANGED)
async def book(
    request: AnyRequest,
    house: NamedDependency[House],
    symbol: Symbol,
    levels: Annotated[int, QueryParameter(ge=1, le=layouts.DEPTH_LEVELS)] = 10,
    at_least: AtLeast = 0,
) -> Response[BookShape]:
    """Both sides, best first. Has an ETag, which is another when one of the levels is: as_of moves on without it."""
    listed = await house.instrument(symbol)
    answer = await house.reads.group("depth", f"depth:{listed.instrument}", listed.partition, at_least=at_least)
    bids, asks = (answer.rows.get(layouts.depth_key(listed.instrument, side), b"") for side in (BUY, SELL))

    def shown() -> BookShape:
        return BookShape(symbol, shapes.levels(listed, bids, levels), shapes.levels(listed, asks, levels), shapes.as_of(answer))

    return tagged(request, (symbol, levels, bids, asks), shown)


@get("/instruments/{symbol:str}/trades", summary="Last trades")
async def trades(house: NamedDependency[House], symbol: Symbol, at_least: AtLeast = 0) -> Trades:
    """The last 32, newest first."""
    listed = await house.instrument(symbol)
    answer = await house.reads.row("trades", layouts.trades_key(listed.instrument), listed.partition, at_least=at_least)
    found = layouts.TRADE.unpack(answer.row)
    return Trades(symbol, [shapes.trade(listed, each) for each in found], shapes.as_of(answer))


@get("/instruments/{symbol:str}/bars", summary="Bars")
async def bars(
    house: NamedDependency[House],
    symbol: Symbol,
    interval: FromQuery[Interval] = "1m",
    limit: Limit = 300,
    at_least: AtLeast = 0,
) -> Bars:
    """The newest *limit* bars of an interval, in rising order."""
    listed = await house.instrument(symbol)
    group = f"bar:{SECONDS[interval]}:{listed.instrument}"
    answer = await house.reads.group("bars", group, listed.partition, at_least=at_least)
    found = sorted(layouts.BAR.one(row) for row in answer.rows.values())[-limit:]
    return Bars(symbol, interval, [shapes.bar(listed, each) for each in found], shapes.as_of(answer))


@get("/instruments/{symbol:str}/statistics", summary="The last 24 hours")
async def statistics(house: NamedDependency[House], symbol: Symbol) -> Statistics:
    """Open, high, low, close, volume, turnover of the last 24 hours."""
    listed = await house.instrument(symbol)
    answer = await house.reads.row("statistics", layouts.statistics_key(listed.instrument), listed.partition)
    day = shapes.bar(listed, layouts.STATISTICS.one(answer.row)) if answer.row else None
    return Statistics(symbol, day, shapes.as_of(answer))


HANDLERS = (time, venue, instruments, instrument, book, trades, bars, statistics)
