"""What anybody may see: products, books, trades, candles, tickers."""

from __future__ import annotations

from itertools import groupby
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from adapters import times
from adapters.doors import shapes as native
from adapters.doors.coinbase import shapes
from adapters.doors.coinbase.happened import last_sequence
from adapters.doors.coinbase.problems import NotFound
from adapters.doors.coinbase.products import Product, products
from adapters.doors.house import House, Listed
from adapters.reads.answer import Answer
from adapters.registry.aggregates import Asset
from domain.verbs import BUY, SELL
from projections import layouts
from projections.layouts import Bar

MAX_CANDLES: Final = 300
MAX_TICKERS: Final = 500
PAGE: Final = 100
SEQUENCE_S: Final = 0.25  # so long a view may be ahead of what is known of its blocks
MAX_PAGE: Final = 1_000
S: Final = 10**9
SUMMED_FROM: Final = {60: 60, 300: 300, 900: 300, 3_600: 3_600, 21_600: 3_600, 86_400: 86_400}
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE)]
Cursor = Annotated[str, QueryParameter(max_length=40)]
Candle = tuple[int, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw, msgspec.Raw]


class Time(msgspec.Struct):
    """epoch: seconds."""

    iso: str
    epoch: msgspec.Raw


class Currency(msgspec.Struct):
    """An asset."""

    id: str
    name: str
    min_size: str
    max_precision: str
    status: str
    message: str


class Book(msgspec.Struct):
    """Best first: price, size, and how many orders; level 3: which order. sequence: messages of the feed up to it are in there."""

    sequence: int
    bids: list[tuple[str, str, int | str]]
    asks: list[tuple[str, str, int | str]]
    auction_mode: bool
    auction: None
    time: str


class Ticker(msgspec.Struct, omit_defaults=True):
    """Last trade, best prices, volume of the last 24 hours; left out: there was none."""

    trade_id: int = 0
    price: str = ""
    size: str = ""
    time: str = ""
    bid: str = ""
    ask: str = ""
    volume: str = ""


class Stats(msgspec.Struct):
    """The last 24 hours; zeros: no trade."""

    open: str
    high: str
    low: str
    last: str
    volume: str


@get("/time")
async def time(house: NamedDependency[House]) -> Time:
    """Our clock."""
    now_ns = house.clock()
    return Time(shapes.at(now_ns), shapes.number(f"{now_ns // S}.{now_ns % S // 1_000_000:03}"))


@get("/currencies")
async def currencies(house: NamedDependency[House]) -> list[Currency]:
    """All assets."""
    return [_currency(each) for each in house.assets().values()]


@get("/currencies/{id:str}")
async def currency(house: NamedDependency[House], id: FromPath[str]) -> Currency:  # noqa: A002 # the dialect's word
    """One asset."""
    for each in house.assets().values():
        if each.name == id:
            return _currency(each)
    raise NotFound("Currency not found")


@get("/products")
async def all_products(house: NamedDependency[House]) -> list[Product]:
    """What is traded."""
    found = await products(house)
    return [found.shape(each) for each in found.by_id.values()]


@get("/products/{id:str}")
async def product(house: NamedDependency[House], id: FromPath[str]) -> Product:  # noqa: A002 # the dialect's word
    """One product."""
    found = await products(house)
    return found.shape(found.get(id))


@get("/products/{id:str}/book")
async def book(
    house: NamedDependency[House],
    id: FromPath[str],  # noqa: A002 # the dialect's word
    level: Annotated[int, QueryParameter(ge=1, le=3)] = 1,
) -> Book:
    """Level 1: the best of each side; 2: the best 32 prices; 3: the first 64 orders of each side, as they would trade."""
    listed = await _listed(house, id)
    bids: list[tuple[str, str, int | str]]
    asks: list[tuple[str, str, int | str]]
    if level == 3:
        answer = await house.reads.group("book", f"book:{listed.instrument}", listed.partition)
        bids, asks = (_orders(listed, answer.rows.get(layouts.book_key(listed.instrument, side), b"")) for side in (BUY, SELL))
    else:
        answer = await house.reads.group("depth", f"depth:{listed.instrument}", listed.partition)
        most = 1 if level == 1 else layouts.DEPTH_LEVELS
        bids, asks = (_levels(listed, answer.rows.get(layouts.depth_key(listed.instrument, side), b""), most) for side in (BUY, SELL))
    return Book(await _sequence(house, answer), bids, asks, auction_mode=False, auction=None, time=shapes.at(answer.time_ns))


@get("/products/{id:str}/trades")
async def trades(
    house: NamedDependency[House],
    id: FromPath[str],  # noqa: A002 # the dialect's word
    limit: Limit = PAGE,
    before: Cursor = "",
    after: Cursor = "",
) -> Response[Any]:
    """The last 32, newest first."""
    listed = await _listed(house, id)
    answer = await house.reads.row("trades", layouts.trades_key(listed.instrument), listed.partition)
    found = [shapes.trade(listed, each) for each in layouts.TRADE.unpack(answer.row)]
    return shapes.page(found, lambda each: (each.trade_id,), lambda each: each, limit=limit, before=before, after=after)


@get("/products/{id:str}/candles")
async def candles(
    house: NamedDependency[House],
    id: FromPath[str],  # noqa: A002 # the dialect's word
    granularity: FromQuery[int] = 60,
    start: Annotated[str, QueryParameter(max_length=40)] = "",
    end: Annotated[str, QueryParameter(max_length=40)] = "",
) -> list[Candle]:
    """Time, low, high, open, close, volume: newest first, none for an interval without a trade, 300 at most."""
    listed = await _listed(house, id)
    if granularity not in SUMMED_FROM:
        raise msgspec.ValidationError(f"Unsupported granularity {granularity}; right would be one of {', '.join(map(str, SUMMED_FROM))}")
    now_ns = house.clock()
    end_ns = _time(end) if end else now_ns
    start_ns = _time(start) if start else end_ns - MAX_CANDLES * granularity * S
    if start and (end_ns - start_ns) // (granularity * S) > MAX_CANDLES:
        raise msgspec.ValidationError(f"granularity too small for the requested time range: more than {MAX_CANDLES} candles")
    return [candle(listed, each) for each in reversed(await bars(house, listed, granularity, start_ns, end_ns))]


@get("/products/{id:str}/ticker")
async def ticker(house: NamedDependency[House], id: FromPath[str]) -> Ticker:  # noqa: A002 # the dialect's word
    """Last trade and best prices."""
    listed = await _listed(house, id)
    found = Ticker()
    for last in layouts.TRADE.unpack((await _row(house, listed, "trades", layouts.trades_key(listed.instrument))).row)[:1]:
        said = shapes.trade(listed, last)
        found = Ticker(said.trade_id, said.price, said.size, said.time)
    for quote in layouts.QUOTE.unpack((await _row(house, listed, "quotes", layouts.quote_key(listed.instrument))).row):
        found.bid = native.price(listed, quote.bid_ticks) if quote.bid_ticks else ""
        found.ask = native.price(listed, quote.ask_ticks) if quote.ask_ticks else ""
    for day in await _day(house, listed):
        found.volume = native.quantity(listed, day.volume_lots)
    return found


@get("/products/{id:str}/stats")
async def stats(house: NamedDependency[House], id: FromPath[str]) -> Stats:  # noqa: A002 # the dialect's word
    """Of the last 24 hours."""
    listed = await _listed(house, id)
    for day in await _day(house, listed):
        said = native.bar(listed, day)
        return Stats(said.open, said.high, said.low, said.close, said.volume)
    return Stats("0", "0", "0", "0", "0")


@get("/products/spark-lines")
async def spark_lines(house: NamedDependency[House]) -> dict[str, list[list[Any]]]:
    """Last price of the first 500 products that traded, in the form of a candle: time, and four times that price."""
    found: dict[str, list[list[Any]]] = {}
    for id, listed in list((await products(house)).by_id.items())[:MAX_TICKERS]:  # noqa: A001 # the dialect's word
        answer = await _row(house, listed, "trades", layouts.trades_key(listed.instrument))
        for last in layouts.TRADE.unpack(answer.row)[:1]:
            found[id] = [[last.time_ns // S, *[shapes.number(native.price(listed, last.price_ticks))] * 4]]
    return found


async def bars(house: House, listed: Listed, seconds: int, start_ns: int, end_ns: int) -> list[Bar]:
    """Bars of *seconds* (a key of SUMMED_FROM, or an interval of the views) that begin from *start_ns* to *end_ns*, rising."""
    kept, width_ns = SUMMED_FROM.get(seconds, seconds), seconds * S
    answer = await house.reads.group("bars", f"bar:{kept}:{listed.instrument}", listed.partition)
    found = sorted(map(layouts.BAR.one, answer.rows.values()))
    summed = [_sum(list(group), start_ns) for start_ns, group in groupby(found, lambda bar: bar.start_ns // width_ns * width_ns)]
    return [bar for bar in summed if start_ns <= bar.start_ns <= end_ns]


def candle(listed: Listed, bar: Bar) -> Candle:
    """Of a bar."""
    low, high, first, last = (
        shapes.number(native.price(listed, ticks)) for ticks in (bar.low_ticks, bar.high_ticks, bar.open_ticks, bar.close_ticks)
    )
    return bar.start_ns // S, low, high, first, last, shapes.number(native.quantity(listed, bar.volume_lots))


def _sum(parts: list[Bar], start_ns: int) -> Bar:
    """One bar of several that follow each other; its VWAP is that of the first, and not to be used."""
    return parts[0]._replace(
        start_ns=start_ns,
        high_ticks=max(part.high_ticks for part in parts),
        low_ticks=min(part.low_ticks for part in parts),
        close_ticks=parts[-1].close_ticks,
        trades=sum(part.trades for part in parts),
        volume_lots=sum(part.volume_lots for part in parts),
        turnover=sum(part.turnover for part in parts),
    )


async def _listed(house: House, id: str) -> Listed:  # noqa: A002 # the dialect's word
    return (await products(house)).get(id)


async def _row(house: House, listed: Listed, view: str, key: str) -> Answer:
    return await house.reads.row(view, key, listed.partition)


async def _sequence(house: House, answer: Answer) -> int:
    """Of the last message that *answer* has seen; 0: nothing is pushed here that could say."""
    for feed in house.feeds:
        if feed.partition == answer.partition and await feed.reaches(answer.seq, SEQUENCE_S):
            return last_sequence(feed, answer.seq)
    return 0


async def _day(house: House, listed: Listed) -> list[Bar]:
    """The last 24 hours; none without a trade."""
    return layouts.STATISTICS.unpack((await _row(house, listed, "statistics", layouts.statistics_key(listed.instrument))).row)


def _levels(listed: Listed, row: bytes, most: int) -> list[tuple[str, str, int | str]]:
    return [(each.price, each.quantity, each.orders) for each in native.levels(listed, row, most)]


def _orders(listed: Listed, row: bytes) -> list[tuple[str, str, int | str]]:
    return [
        (native.price(listed, each.price_ticks), native.quantity(listed, each.quantity_lots), shapes.order_id(each.order))
        for each in layouts.BOOK_ORDER.unpack(row)
    ]


def _currency(asset: Asset) -> Currency:
    smallest = f"{1 / 10**asset.scale:.{asset.scale}f}"
    return Currency(asset.name, asset.name, smallest, smallest, "online", "")


def _time(text: str) -> int:
    """ISO 8601, or seconds. Raises BadTime."""
    return int(text) * S if text.isascii() and text.isdecimal() and len(text) <= 10 else times.to_ns(text)


HANDLERS = (time, currencies, currency, all_products, product, book, trades, candles, ticker, stats, spark_lines)
