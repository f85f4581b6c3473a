"""What SQL sees of a block: four tables, of which a block gives the columns that are asked for.

events        one row per event with its command's fields: those of eventstore/arrow.py, and `time` and `day`
trades        one row per TradeExecuted
orders        one row per order and event in its life; a trade is one of both its orders
book_changes  one row per change of what rests in the book: summed by instrument, side and price it is the book
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import events as e
from domain.columns import PARTITION_SHIFT
from domain.verbs import ACCOUNT
from eventstore import arrow
from eventstore.blocks import Block
from eventstore.columns import Words
from eventstore.lazy import Opened
from eventstore.shelf import DAY_NS

Index = NDArray[np.intp]

TIME: Final = pa.field("time", pa.timestamp("ns"), nullable=False)
DAY: Final = pa.field("day", pa.date32(), nullable=False)
_SIDE: Final = pa.dictionary(pa.int8(), pa.string())
_KIND: Final = arrow.SCHEMA.field("kind").type
_PLACE: Final = (
    pa.field("partition", pa.int32(), nullable=False),
    pa.field("seq", pa.int64(), nullable=False),
    pa.field("event_index", pa.int64(), nullable=False),
    pa.field("time_ns", pa.int64(), nullable=False),
    TIME,
    DAY,
)
_SIDES: Final = pa.array(["buy", "sell"])
_MEETINGS: Final = (e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED)
_OF_ONE_ORDER: Final = (e.ORDER_ACCEPTED, e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REPLACED, e.ORDER_RESTED, e.ORDER_REMOVED)
_TAKE: Final = (e.TRADE_EXECUTED, e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REMOVED, e.SELF_TRADE_PREVENTED)
_REPLACED: Final = (e.ORDER_REPLACED,)
_CHANGING: Final = (*_TAKE, e.ORDER_RESTED, e.ORDER_REPLACED)


class Table(Protocol):
    """A table as a scan reads it.

    schema  all its columns
    kinds   kinds of event of which it has rows
    orders  columns that are numbers of orders which eventstore/ranges.py knows of a block
    """

    @property
    def schema(self) -> pa.Schema:
        """See above."""

    @property
    def kinds(self) -> frozenset[int]:
        """See above."""

    @property
    def orders(self) -> tuple[str, ...]:
        """See above."""

    def batch(self, block: Block, time_before_ns: int, names: Sequence[str]) -> pa.RecordBatch:
        """Its rows of *block*, of the columns *names*. Raises Damaged, NewerSchema."""


class Events:
    """See above."""

    schema = pa.schema([*arrow.SCHEMA, TIME, DAY])
    kinds = frozenset(kind.code for kind in e.EVENTS)
    orders = ("order", "maker_order", "taker_order")

    def batch(self, block: Block, time_before_ns: int, names: Sequence[str]) -> pa.RecordBatch:
        """See Table."""
        plain = [name for name in names if name not in (TIME.name, DAY.name)]
        if len(plain) < len(names) and "time_ns" not in plain:
            plain.append("time_ns")
        made = arrow.to_arrow(block, time_before_ns, plain)
        times = made.column("time_ns").to_numpy() if "time_ns" in plain else np.zeros(0, np.int64)
        arrays = [_of_time(times, name) if name in (TIME.name, DAY.name) else made.column(name) for name in names]
        return pa.record_batch(arrays, schema=pa.schema([self.schema.field(name) for name in names]))


class _Chosen:
    """Some rows of a block: *at* says of each which event it is of, ascending."""

    def __init__(self, block: Block, opened: Opened, time_before_ns: int, at: Index) -> None:
        self.block, self.opened, self.at, self._time_before_ns = block, opened, at, time_before_ns

    def place(self, name: str) -> pa.Array:
        """A column of _PLACE."""
        match name:
            case "partition":
                return pa.array(np.full(len(self.at), self.block.partition, np.int32))
            case "seq":
                return pa.array(np.full(len(self.at), self.block.seq))
            case "event_index":
                return pa.array(self.block.first_event + self.at)
        times = arrow.times(self.opened, self._time_before_ns)[self.cause]
        return pa.array(times) if name == "time_ns" else _of_time(times, name)

    @property
    def cause(self) -> Index:
        """The command that caused each."""
        return self.opened.cause[self.at]

    @property
    def kinds(self) -> Words:
        """The kind of each."""
        return self.opened.kinds[self.at].astype(np.int64)

    def word(self, word: int, kinds: Sequence[int]) -> Words:
        """A word of each, all of *kinds*."""
        whole = np.zeros(self.opened.events, np.int64)
        for kind in kinds:
            rows = self.opened.rows(kind)
            if len(rows):
                whole[rows] = self.opened.event(kind, word)
        return whole[self.at]

    def takers(self) -> Words:
        """The order of the outcome before."""
        outcomes = np.zeros(self.opened.commands, np.int64)
        for kind in (e.ORDER_ACCEPTED, e.ORDER_REPLACED):
            outcomes[self.opened.cause[self.opened.rows(kind)]] = self.opened.event(kind, 1)
        return outcomes[self.cause]

    def accounts(self) -> Words:
        """Whose the command was."""
        return self.opened.command(ACCOUNT)[self.cause]


class _Rows:
    """A table made of chosen rows: one function per column that is not a matter of place."""

    schema: pa.Schema
    columns: ClassVar[dict[str, Callable[[Any], pa.Array | Words]]]

    def batch(self, block: Block, time_before_ns: int, names: Sequence[str]) -> pa.RecordBatch:
        """See Table."""
        with block.reading():
            rows = self.chosen(block, block.opened(), time_before_ns)
            arrays = [self._array(rows, name) for name in names]
        return pa.record_batch(arrays, schema=pa.schema([self.schema.field(name) for name in names]))

    def chosen(self, block: Block, opened: Opened, time_before_ns: int) -> _Chosen:
        """Which rows."""
        raise NotImplementedError

    def _array(self, rows: _Chosen, name: str) -> pa.Array:
        if name not in self.columns:
            return rows.place(name)
        made = self.columns[name](rows)
        return made if isinstance(made, pa.Array) else pa.array(made, self.schema.field(name).type)


class Trades(_Rows):
    """See above. The side is the taker's."""

    schema = pa.schema(
        [
            *_PLACE,
            pa.field("trade", pa.int64(), nullable=False),
            pa.field("instrument", pa.int32(), nullable=False),
            pa.field("side", _SIDE, nullable=False),
            *(
                pa.field(name, pa.int64(), nullable=False)
                for name in (
                    "price_ticks",
                    "quantity_lots",
                    "taker_order",
                    "taker_account",
                    "maker_order",
                    "maker_account",
                    "taker_fee",
                    "maker_fee",
                )
            ),
        ]
    )
    kinds = frozenset((e.TRADE_EXECUTED,))
    orders = ("taker_order", "maker_order")
    columns: ClassVar = {
        "trade": lambda rows: rows.block.partition * 2**PARTITION_SHIFT + rows.block.first_event + rows.at,
        "instrument": lambda rows: _instrument(_trade(rows, 0)),
        "side": lambda rows: _side(_trade(rows, 0)),
        "price_ticks": lambda rows: _trade(rows, 3),
        "quantity_lots": lambda rows: _trade(rows, 4),
        "taker_order": _Chosen.takers,
        "taker_account": _Chosen.accounts,
        "maker_order": lambda rows: _trade(rows, 1),
        "maker_account": lambda rows: _trade(rows, 2),
        "taker_fee": lambda rows: _trade(rows, 5),
        "maker_fee": lambda rows: _trade(rows, 6),
    }

    def chosen(self, block: Block, opened: Opened, time_before_ns: int) -> _Chosen:
        """Every trade."""
        return _Chosen(block, opened, time_before_ns, opened.rows(e.TRADE_EXECUTED))


class _Lives(_Chosen):
    """Rows by order: where two orders met there are two, the taker's and then the maker's."""

    def __init__(self, block: Block, opened: Opened, time_before_ns: int) -> None:
        at = np.flatnonzero(np.isin(opened.kinds, _OF_ONE_ORDER + _MEETINGS))
        met = np.isin(opened.kinds[at], _MEETINGS)
        twice = 1 + met
        super().__init__(block, opened, time_before_ns, np.repeat(at, twice))
        ends = np.cumsum(twice)
        self.met = np.repeat(met, twice)
        self.maker = np.zeros(len(self.at), np.bool_)
        self.maker[ends[met] - 1] = True

    @property
    def taker(self) -> NDArray[np.bool_]:
        """Rows of those that came and met another."""
        taker: NDArray[np.bool_] = self.met & ~self.maker
        return taker

    def owners(self) -> Words:
        """Whose each order is: of a taker, an accepted and a replaced one whose the command was; else as the event says."""
        named = self.word(2, (e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_RESTED, e.ORDER_REMOVED, *_MEETINGS))
        entered = np.isin(self.kinds, (e.ORDER_ACCEPTED, e.ORDER_REPLACED))
        return np.where(self.taker | entered, self.accounts(), named)


class Orders(_Rows):
    """See above. `quantity_lots` is what the event says: accepted, traded, taken off, gone; of a replace the open quantity that it gave."""

    schema = pa.schema(
        [
            *_PLACE,
            pa.field("order", pa.int64(), nullable=False),
            pa.field("kind", _KIND, nullable=False),
            pa.field("role", pa.dictionary(pa.int8(), pa.string())),
            pa.field("other_order", pa.int64()),
            pa.field("instrument", pa.int32(), nullable=False),
            pa.field("account", pa.int64(), nullable=False),
            pa.field("side", _SIDE, nullable=False),
            pa.field("price_ticks", pa.int64(), nullable=False),
            pa.field("quantity_lots", pa.int64(), nullable=False),
        ]
    )
    kinds = frozenset(_OF_ONE_ORDER + _MEETINGS)
    orders = ("order", "other_order")
    columns: ClassVar = {
        "order": lambda rows: np.where(rows.taker, rows.takers(), rows.word(1, _OF_ONE_ORDER + _MEETINGS)),
        "kind": lambda rows: arrow.names_of(rows.kinds, e.EVENTS),
        "role": lambda rows: pa.DictionaryArray.from_arrays(
            pa.array(rows.maker.astype(np.int8), mask=~rows.met), pa.array(["taker", "maker"])
        ),
        "other_order": lambda rows: pa.array(np.where(rows.maker, rows.takers(), rows.word(1, _MEETINGS)), pa.int64(), mask=~rows.met),
        "instrument": lambda rows: _instrument(rows.word(0, _OF_ONE_ORDER + _MEETINGS)),
        "account": _Lives.owners,
        "side": lambda rows: _side(rows.word(0, _OF_ONE_ORDER + _MEETINGS), rows.maker),
        "price_ticks": lambda rows: rows.word(3, _OF_ONE_ORDER + _MEETINGS),
        "quantity_lots": lambda rows: rows.word(4, _OF_ONE_ORDER + _MEETINGS),
    }

    def chosen(self, block: Block, opened: Opened, time_before_ns: int) -> _Chosen:
        """Every event of an order, once for each order."""
        return _Lives(block, opened, time_before_ns)


class BookChanges(_Rows):
    """See above. A replace that loses priority takes the order away, and the OrderRested that may follow brings it again."""

    schema = pa.schema(
        [
            *_PLACE,
            pa.field("instrument", pa.int32(), nullable=False),
            pa.field("side", _SIDE, nullable=False),
            pa.field("price_ticks", pa.int64(), nullable=False),
            pa.field("change_lots", pa.int64(), nullable=False),
            pa.field("order", pa.int64(), nullable=False),
            pa.field("kind", _KIND, nullable=False),
        ]
    )
    kinds = frozenset((*_TAKE, e.ORDER_RESTED, e.ORDER_REPLACED))
    orders = ("order",)
    columns: ClassVar = {
        "instrument": lambda rows: _instrument(rows.word(0, _CHANGING)),
        "side": lambda rows: _side(rows.word(0, _CHANGING), np.isin(rows.kinds, _MEETINGS)),
        "price_ticks": lambda rows: np.where(rows.kinds == e.ORDER_REPLACED, rows.word(2, _REPLACED), rows.word(3, _CHANGING)),
        "change_lots": lambda rows: _change_lots(rows.kinds, rows.word(4, _CHANGING), rows.word(0, _REPLACED), rows.word(6, _REPLACED)),
        "order": lambda rows: rows.word(1, _CHANGING),
        "kind": lambda rows: arrow.names_of(rows.kinds, e.EVENTS),
    }

    def chosen(self, block: Block, opened: Opened, time_before_ns: int) -> _Chosen:
        """Every event that changes the book."""
        changing = np.isin(opened.kinds, _CHANGING)
        removed = opened.rows(e.ORDER_REMOVED)
        if len(removed):  # an incoming order that is removed never rested
            rows = _Chosen(block, opened, time_before_ns, removed)
            changing[removed[rows.takers() == opened.event(e.ORDER_REMOVED, 1)]] = False
        return _Chosen(block, opened, time_before_ns, np.flatnonzero(changing))


TABLES: Final[dict[str, Table]] = {"events": Events(), "trades": Trades(), "orders": Orders(), "book_changes": BookChanges()}


def _trade(rows: _Chosen, word: int) -> Words:
    return rows.opened.event(e.TRADE_EXECUTED, word)


def _change_lots(kinds: Words, lots: Words, flags: Words, previous_lots: Words) -> Words:
    """Lots that came to rest, less those that left. *flags*, *previous_lots*: of replaced orders, which may have kept their priority."""
    replaced = (flags >> 9 & 1) * lots - previous_lots
    return np.where(kinds == e.ORDER_REPLACED, replaced, np.where(kinds == e.ORDER_RESTED, lots, -lots))


def _instrument(word_0: Words) -> NDArray[np.int32]:
    return ((word_0 >> 32) & 0xFFFFF).astype(np.int32)


def _side(word_0: Words, other: NDArray[np.bool_] | None = None) -> pa.Array:
    """buy or sell; of *other* rows the side opposite."""
    side = (word_0 >> 8 & 1) ^ (0 if other is None else other)
    return pa.DictionaryArray.from_arrays(pa.array(side.astype(np.int8)), _SIDES)


def _of_time(times_ns: Words, name: str) -> pa.Array:
    if name == TIME.name:
        return pa.array(times_ns).cast(TIME.type)
    return pa.array((times_ns // DAY_NS).astype(np.int32)).cast(DAY.type)
