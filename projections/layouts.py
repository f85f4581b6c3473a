"""The rows of the views and their keys. Writer and reader of a view share this page; docs/views.md shows it word by word.

The last part of a key is the member, what stands before it the group: `balance:7` is all that account 7 has, `depth:1` both sides.
Prices are ticks, quantities lots, money minor units, times nanoseconds of UTC. A number is that of an event, unique for ever.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from domain.columns import ID_WINDOW
from domain.events import FIRST_CONSEQUENCE
from domain.verbs import SIDES
from projections.columns import Ints
from projections.packed import Layout

DEPTH_LEVELS: Final = 32
BOOK_ORDERS: Final = 64
LAST_TRADES: Final = 32
BARS_KEPT: Final = 1_440
BAR_SECONDS: Final = (1, 60, 300, 3_600, 86_400)
KEPT_PER_ACCOUNT: Final = 128
KEPT_IN_ALL: Final = 2**20
COMMANDS_KEPT: Final = ID_WINDOW
EVENT_KINDS: Final = 2 * FIRST_CONSEQUENCE
VWAP_UNIT: Final = 1_000_000


class Quote(NamedTuple):
    """Best prices with the lots and the orders open there; 0, 0, 0 for a side that is empty."""

    bid_ticks: int
    bid_lots: int
    bid_orders: int
    ask_ticks: int
    ask_lots: int
    ask_orders: int


class Level(NamedTuple):
    """One price of one side, the lots open there, and in how many orders."""

    price_ticks: int
    quantity_lots: int
    orders: int


class BookOrder(NamedTuple):
    """One order in the book and its lots that are open; its place in the row is its place in the queue."""

    order: int
    price_ticks: int
    quantity_lots: int


class Trade(NamedTuple):
    """One trade. side is the taker's, 0 buy, 1 sell."""

    number: int
    time_ns: int
    price_ticks: int
    quantity_lots: int
    side: int


class Bar(NamedTuple):
    """Trading of one instrument from start_ns on, for the interval of the key. turnover: quote minor units; VWAP rounded down."""

    start_ns: int
    open_ticks: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    trades: int
    vwap_ticks_e6: int
    volume_lots: int
    turnover: int


class Order(NamedTuple):
    """One order, open or ended.

    quantity_lots  as accepted, changed by its replaces and reductions: what is open, was filled, cancelled, removed or prevented
    value, fees    of its fills, quote minor units
    ended_by       0 while it is open, else the kind of its last event (domain/events.py); reason: why, when that is OrderRemoved
    """

    order: int
    account: int
    instrument: int
    side: int
    order_type: int
    time_in_force: int
    client_order_id: int
    price_ticks: int
    quantity_lots: int
    open_lots: int
    filled_lots: int
    value: int
    fees: int
    accepted_ns: int
    changed_ns: int
    ended_by: int
    reason: int


class Execution(NamedTuple):
    """One side of a trade. side is that of the order; is_maker: 1 when it rested; fee in quote minor units."""

    number: int
    time_ns: int
    order: int
    instrument: int
    side: int
    is_maker: int
    price_ticks: int
    quantity_lots: int
    fee: int


class Balance(NamedTuple):
    """What an account has of an asset, minor units."""

    available: int
    held: int


class Line(NamedTuple):
    """One line of an account's statement: total is what it has of the asset after it, amount - fee more than before.

    kind  FundsDeposited, FundsWithdrawn or TradeExecuted (domain/events.py)
    """

    number: int
    time_ns: int
    kind: int
    asset: int
    amount: int
    fee: int
    total: int


class Instrument(NamedTuple):
    """What was listed (ListInstrument in docs/events.md) and the state it is in since since_ns."""

    state: int
    since_ns: int
    listed_ns: int
    symbol: int
    base_asset: int
    quote_asset: int
    base_scale: int
    quote_scale: int
    tick_size_e9: int
    lot_size_e9: int
    band_low_ticks: int
    band_high_ticks: int
    max_quantity_lots: int
    max_notional: int
    maker_rate: int
    taker_rate: int
    quote_units: int
    base_units: int
    day_end_ns: int


class Command(NamedTuple):
    """What became of a command.

    number  of its outcome, the first of its events; verb: what was asked (domain/verbs.py)
    kind    of the outcome (domain/events.py), CommandRefused among them; detail: its word 1, most often an order, of a refusal the rule
    limit, observed  of a refusal: what the rule allows, and what it saw
    """

    number: int
    block_seq: int
    time_ns: int
    verb: int
    kind: int
    detail: int
    limit: int
    observed: int


class Totals(NamedTuple):
    """What a partition has done since its first block. Events of each kind: EVENTS_BY_KIND."""

    time_ns: int
    blocks: int
    commands: int
    events: int
    trades: int
    volume_lots: int


class Count(NamedTuple):
    """How many events. The place of the record in the row, from 0, is their kind."""

    events: int


class AssetTotals(NamedTuple):
    """What became of an asset, minor units. supply: deposited - withdrawn; traded, fees: where it was the quote asset."""

    supply: int
    deposited: int
    withdrawn: int
    traded: int
    fees: int


QUOTE: Final = Layout(1, Quote)
LEVEL: Final = Layout(1, Level)
BOOK_ORDER: Final = Layout(1, BookOrder)
TRADE: Final = Layout(1, Trade)
BAR: Final = Layout(1, Bar, wide=("volume_lots", "turnover"))
STATISTICS: Final = Layout(1, Bar, wide=("volume_lots", "turnover"))
ORDER: Final = Layout(1, Order)
EXECUTION: Final = Layout(1, Execution)
BALANCE: Final = Layout(1, Balance)
LINE: Final = Layout(1, Line)
INSTRUMENT: Final = Layout(1, Instrument)
COMMAND: Final = Layout(1, Command)
TOTALS: Final = Layout(1, Totals, wide=("volume_lots",))
EVENTS_BY_KIND: Final = Layout(1, Count)
ASSET_TOTALS: Final = Layout(1, AssetTotals, wide=("deposited", "withdrawn", "traded", "fees"))

_BY_KEY: Final[dict[str, Layout[Any]]] = {
    "quote": QUOTE,
    "depth": LEVEL,
    "book": BOOK_ORDER,
    "trades": TRADE,
    "bar": BAR,
    "statistics": STATISTICS,
    "order": ORDER,
    "ended": ORDER,
    "execution": EXECUTION,
    "balance": BALANCE,
    "statement": LINE,
    "instrument": INSTRUMENT,
    "command": COMMAND,
}
_OF_TOTALS: Final[dict[str, Layout[Any]]] = {"all": TOTALS, "kinds": EVENTS_BY_KIND}


def layout_of(key: str) -> Layout[Any]:
    """How the row of *key* is laid out. Raises KeyError: no view has such a key."""
    kind, _, rest = key.partition(":")
    return _OF_TOTALS.get(rest.rpartition(":")[2], ASSET_TOTALS) if kind == "totals" else _BY_KEY[kind]


def keys(name: str, firsts: Ints, seconds: Ints) -> list[str]:
    """Of many rows at once: *name* and two numbers, as the functions below give them one by one."""
    return [f"{name}:{first}:{second}" for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True)]


def quote_key(instrument: int) -> str:
    """Of an instrument's Quote."""
    return f"quote:{instrument}"


def depth_key(instrument: int, side: int) -> str:
    """Of one side's best Levels."""
    return f"depth:{instrument}:{SIDES[side]}"


def book_key(instrument: int, side: int) -> str:
    """Of the BookOrders that would trade first."""
    return f"book:{instrument}:{SIDES[side]}"


def trades_key(instrument: int) -> str:
    """Of an instrument's last Trades."""
    return f"trades:{instrument}"


def bar_key(seconds: int, instrument: int, start_ns: int) -> str:
    """Of the Bar that begins at *start_ns*; the row says whether the bar there is that one or one BARS_KEPT intervals older."""
    return f"bar:{seconds}:{instrument}:{start_ns // (seconds * 10**9) % BARS_KEPT}"


def statistics_key(instrument: int) -> str:
    """Of the Bar of an instrument's last 24 hours."""
    return f"statistics:{instrument}"


def order_key(account: int, order: int) -> str:
    """Of an open Order."""
    return f"order:{account}:{order}"


def ended_key(account: int, place: int) -> str:
    """Of an Order that ended: the n-th of its account has place n % KEPT_PER_ACCOUNT."""
    return f"ended:{account}:{place}"


def execution_key(account: int, place: int) -> str:
    """Of an Execution: the n-th of its account has place n % KEPT_PER_ACCOUNT."""
    return f"execution:{account}:{place}"


def balance_key(account: int, asset: int) -> str:
    """Of an account's Balance of an asset; account 0 is the venue."""
    return f"balance:{account}:{asset}"


def line_key(account: int, place: int) -> str:
    """Of a Line: the n-th of its account has place n % KEPT_PER_ACCOUNT."""
    return f"statement:{account}:{place}"


def instrument_key(instrument: int) -> str:
    """Of an Instrument."""
    return f"instrument:{instrument}"


def command_key(account: int, command_id: int) -> str:
    """Of a Command."""
    return f"command:{account}:{command_id}"


def totals_key(partition: int, what: str) -> str:
    """Of the Totals ("all"), the Counts of each event kind ("kinds") or the AssetTotals (the asset's number) of a partition."""
    return f"totals:{partition}:{what}"
