"""TradingView's UDF, under /udf: what a chart library asks of a data feed. Public, and from any site."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.params import FromQuery, QueryParameter

from adapters.doors import shapes
from adapters.doors.coinbase.market_data import bars
from adapters.doors.house import House, Listed
from adapters.doors.rest.asking import admit
from adapters.doors.rest.problems import problem_of
from domain.verbs import INSTRUMENT_STATES
from projections.layouts import BARS_KEPT, Bar

EXCHANGE: Final = "Outcry"
KIND: Final = "stock"
SECONDS: Final = {"1S": 1, "1": 60, "5": 300, "15": 900, "60": 3_600, "360": 21_600, "1D": 86_400, "D": 86_400}
RESOLUTIONS: Final = [name for name in SECONDS if name != "D"]
S: Final = 10**9
E9: Final = 10**9
MAX_FOUND: Final = 100
Symbol = Annotated[str, QueryParameter(max_length=32)]
Seconds = Annotated[int, QueryParameter(ge=-(2**33), le=2**33)]
_STATE_COLOURS: Final = {"open": "green", "halted": "red", "closed": "red", "pre_open": "yellow"}


class Exchange(msgspec.Struct):
    """A choice in the search dialogue of the library; value empty: all."""

    value: str
    name: str
    desc: str


class SymbolType(msgspec.Struct):
    """As Exchange."""

    name: str
    value: str


class Config(msgspec.Struct):
    """What this feed can do."""

    exchanges: list[Exchange]
    symbols_types: list[SymbolType]
    supported_resolutions: list[str]
    supports_search: bool = True
    supports_group_request: bool = False
    supports_marks: bool = True
    supports_timescale_marks: bool = False
    supports_time: bool = True


class SymbolInfo(msgspec.Struct):
    """An instrument. Prices are multiples of minmov / pricescale."""

    name: str
    ticker: str
    description: str
    exchange: str
    listed_exchange: str
    minmov: int
    pricescale: int
    volume_precision: int
    currency_code: str
    supported_resolutions: list[str]
    seconds_multipliers: list[str]
    intraday_multipliers: list[str]
    type: str = KIND
    session: str = "24x7"
    timezone: str = "Etc/UTC"
    format: str = "price"
    has_intraday: bool = True
    has_seconds: bool = True
    has_daily: bool = True
    has_weekly_and_monthly: bool = False
    data_status: str = "streaming"


class Found(msgspec.Struct):
    """What a search found."""

    symbol: str
    full_name: str
    description: str
    exchange: str
    ticker: str
    type: str


class History(msgspec.Struct, omit_defaults=True):
    """Bars, as columns: start in seconds, close, open, high, low, volume. nextTime: when the last one before what was asked for is."""

    s: Literal["ok", "no_data"]
    t: list[int] = []
    c: list[msgspec.Raw] = []
    o: list[msgspec.Raw] = []
    h: list[msgspec.Raw] = []
    l: list[msgspec.Raw] = []  # noqa: E741 # UDF's word
    v: list[msgspec.Raw] = []
    nextTime: int | None = None  # noqa: N815 # UDF's word


class Marks(msgspec.Struct):
    """Notes on bars, as columns."""

    id: list[int]
    time: list[int]
    color: list[str]
    text: list[str]
    label: list[str]
    labelFontColor: list[str]  # noqa: N815 # UDF's word
    minSize: list[int]  # noqa: N815 # UDF's word


class Failed(msgspec.Struct):
    """Why there is no answer."""

    s: Literal["error"]
    errmsg: str


@get("/config")
async def config() -> Config:
    """What this feed can do."""
    exchanges = [Exchange("", "All exchanges", ""), Exchange(EXCHANGE, EXCHANGE, EXCHANGE)]
    return Config(exchanges, [SymbolType("All types", ""), SymbolType("Stock", KIND)], RESOLUTIONS)


@get("/time", media_type=MediaType.TEXT)
async def time(house: NamedDependency[House]) -> str:
    """Seconds of our clock."""
    return str(house.clock() // S)


@get("/symbols")
async def symbols(house: NamedDependency[House], symbol: Symbol) -> SymbolInfo:
    """One instrument, as ACME or Outcry:ACME."""
    listed = await _listed(house, symbol)
    terms = listed.terms
    places = next(digits for digits in range(10) if terms.tick_size_e9 * 10**digits % E9 == 0)
    names = {number: asset.name for number, asset in house.assets().items()}
    return SymbolInfo(
        name=listed.symbol,
        ticker=listed.symbol,
        description=_description(listed, names),
        exchange=EXCHANGE,
        listed_exchange=EXCHANGE,
        minmov=terms.tick_size_e9 * 10**places // E9,
        pricescale=10**places,
        volume_precision=next(digits for digits in range(10) if terms.lot_size_e9 * 10**digits % E9 == 0),
        currency_code=names.get(terms.quote_asset, ""),
        supported_resolutions=RESOLUTIONS,
        seconds_multipliers=["1"],
        intraday_multipliers=[name for name in RESOLUTIONS if name.isdecimal()],
    )


@get("/search")
async def search(
    house: NamedDependency[House],
    text: Annotated[str, QueryParameter(name="query", max_length=32)] = "",
    kind: Annotated[str, QueryParameter(name="type", max_length=32)] = "",
    exchange: Symbol = "",
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_FOUND)] = 30,
) -> list[Found]:
    """Instruments that begin with *text*, then those that have it somewhere."""
    if kind not in {"", KIND} or exchange not in {"", EXCHANGE}:
        return []
    names = {number: asset.name for number, asset in house.assets().items()}
    wanted = text.upper()
    hits = [each for symbol, each in (await house.listed()).items() if wanted in symbol.upper()]
    hits.sort(key=lambda each: (not each.symbol.upper().startswith(wanted), each.symbol))
    return [
        Found(each.symbol, f"{EXCHANGE}:{each.symbol}", _description(each, names), EXCHANGE, each.symbol, KIND) for each in hits[:limit]
    ]


@get("/history")
async def history(
    house: NamedDependency[House],
    symbol: Symbol,
    resolution: FromQuery[str],
    to: Seconds,
    start: Annotated[int, QueryParameter(name="from", ge=-(2**33), le=2**33)] = 0,
    countback: Annotated[int, QueryParameter(ge=0, le=BARS_KEPT)] = 0,
) -> History:
    """Bars that begin from *from* to before *to*; with *countback* that many before *to*, however old. None where nothing was traded."""
    listed = await _listed(house, symbol)
    if resolution not in SECONDS:
        raise msgspec.ValidationError(f"resolution {resolution!r} is not kept; right would be one of {', '.join(SECONDS)}")
    before = await bars(house, listed, SECONDS[resolution], 0, to * S - 1)
    found = before[-countback:] if countback else [each for each in before if each.start_ns >= start * S]
    if not found:
        return History("no_data", nextTime=before[-1].start_ns // S if before else None)
    return _columns(listed, found)


@get("/marks")
async def marks(
    house: NamedDependency[House],
    symbol: Symbol,
    to: Seconds,
    resolution: FromQuery[str] = "1D",
    start: Annotated[int, QueryParameter(name="from", ge=-(2**33), le=2**33)] = 0,
) -> Marks:
    """When an instrument was listed, and since when it is in the state in which it is; at the beginning of their bars."""
    listed = await _listed(house, symbol)
    state, width = INSTRUMENT_STATES[listed.terms.state], SECONDS.get(resolution, 1)
    notes = [(listed.terms.listed_ns, "blue", "listed"), (listed.terms.since_ns, _STATE_COLOURS.get(state, "blue"), f"{state} since then")]
    shown = [(at_ns // S // width * width, colour, text) for at_ns, colour, text in notes if start <= at_ns // S // width * width <= to]
    return Marks(
        id=list(range(1, len(shown) + 1)),
        time=[at for at, _, _ in shown],
        color=[colour for _, colour, _ in shown],
        text=[text for _, _, text in shown],
        label=[text[0].upper() for _, _, text in shown],
        labelFontColor=["white"] * len(shown),
        minSize=[14] * len(shown),
    )


def handle(_request: Request[Any, Any, Any], error: Exception) -> Response[Failed]:
    """What goes wrong, as UDF says it."""
    problem, head = problem_of(error)
    return Response(
        Failed("error", problem.detail or problem.title), status_code=problem.status, headers=head, media_type="application/json"
    )


def routes() -> Router:
    """Everything under /udf. Described by TradingView's documentation, not by our OpenAPI document."""
    return Router(
        "/udf",
        route_handlers=[config, time, symbols, search, history, marks],
        exception_handlers={HTTPException: handle, Exception: handle},
        before_request=admit,
        response_headers={"Access-Control-Allow-Origin": "*"},
        include_in_schema=False,
    )


async def _listed(house: House, symbol: str) -> Listed:
    """Raises NotListed."""
    return await house.instrument(symbol.removeprefix(f"{EXCHANGE}:"))


def _description(listed: Listed, names: dict[int, str]) -> str:
    return f"{listed.symbol} in {names.get(listed.terms.quote_asset, str(listed.terms.quote_asset))}"


def _columns(listed: Listed, found: list[Bar]) -> History:
    answer = History("ok", t=[each.start_ns // S for each in found])
    columns = (answer.o, answer.h, answer.l, answer.c, answer.v)
    for bar in (shapes.bar(listed, each) for each in found):
        for column, text in zip(columns, (bar.open, bar.high, bar.low, bar.close, bar.volume), strict=True):
            column.append(msgspec.Raw(text.encode()))
    return answer
