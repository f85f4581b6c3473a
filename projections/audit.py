"""The audit index: what a compliance officer searches for, as documents (projections/documents.py).

document   one for
order      the life of an order, as of the last block that touched it
change     an order and a block, after the one that accepted it, that replaced or reduced it or kept it from trading with itself
trade      each trade
refusal    each command that was refused
funds      each deposit and withdrawal
session    each change of an instrument's state
operator   each act upon instruments, accounts and many orders at once; each record of an input that nobody could read
That an order came to rest or was cancelled is in its life; repeated commands and clock ticks are in the record only.

A row is a document as two lines of a bulk request, under the key PLACE/ID. PLACE is the day on which it began, 2026.11.30; ID is
PARTITION-SEQ-EVENT of its first event: one that comes again takes its own place. Its version is the event that it is as of, counted from
1, by which an index refuses an older one. An instrument's units are such a row, too, whose place is INSTRUMENTS.

Bound: projections/lives.py, and 16 bytes for each of its slots.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import repeat
from typing import Any, Final

import msgspec
import numpy as np

from domain import events as e
from domain import verbs as v
from domain.columns import DAY_NS
from domain.fields import RowType
from domain.rules import RULES
from projections import documents as d
from projections.columns import Columns, Ints, field, grown, kinds
from projections.lives import AT, Life, Lives
from projections.view import Rows

INSTRUMENTS: Final = "instruments"
_CHANGED: Final = kinds(e.ORDER_REPLACED, e.ORDER_REDUCED, e.SELF_TRADE_PREVENTED)
_FUNDS: Final = kinds(e.FUNDS_DEPOSITED, e.FUNDS_WITHDRAWN)
_ACTS: Final = kinds(
    e.INSTRUMENT_LISTED, e.FEE_RATES_SET, e.ACCOUNT_OPENED, e.ACCOUNT_CHANGED, e.ORDERS_MASS_CANCELLED, e.RECORD_UNREADABLE
)
_NAMES: Final = [e.EVENT_BY_CODE[code].name if code in e.EVENT_BY_CODE else "" for code in range(256)]
_ASKED: Final = ("symbol", "instrument", "side", "client_order_id", "order", "price_ticks", "quantity_lots", "asset", "amount")
_WORDS: Final = {"symbol": "", "side": ""}
_LISTED: Final = d.Instrument.__struct_fields__[1:]
_ROW: Final = b'{"index":{"_id":"%d-%d-%d","version":%d,"version_type":"external"}}\n%b\n'
_UNITS: Final = b'{"index":{"_id":"instrument-%d","version":1,"version_type":"external"}}\n%b\n'
_EPOCH: Final = date(1970, 1, 1)
_encode: Final = msgspec.json.Encoder().encode


class Audit:
    """Fold of documents (see Fold)."""

    version: Final = 1

    def __init__(self) -> None:
        self._lives = Lives()
        self._began = np.zeros((2, 0), np.int64)  # by slot, block and event that accepted its order; zeros when it is free
        self.instruments: dict[int, d.Instrument] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        life = self._lives.take(block)
        rows = {
            f"{INSTRUMENTS}/{each.partition}-{each.instrument}": _UNITS % (each.instrument, _encode(each)) for each in self._list(block)
        }
        began = self._begin(life, block)
        made = _Block(block, life, {number: each.symbol for number, each in self.instruments.items()})
        for documents, times_ns, versions in made.documents(began):
            rows |= _rows(documents, times_ns.tolist(), versions.tolist())
        return rows

    def skip(self, block: Columns) -> None:
        """Take the next block in, for whoever does not want what it says."""
        self._list(block)
        self._begin(self._lives.take(block), block)

    def state(self) -> bytes:
        """See Fold."""
        slots = np.flatnonzero(self._began[0])
        began = np.vstack([slots, self._began[:, slots]]).astype("<i8").tobytes()
        return msgspec.msgpack.encode((self._lives.state(), began, list(self.instruments.values())))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        lives, began, instruments = msgspec.msgpack.decode(state, type=tuple[bytes, bytes, list[d.Instrument]])
        self._lives.restore(lives)
        slots, *places = np.frombuffer(began, "<i8").astype(np.int64).reshape(3, -1)
        self._began = grown(np.zeros((2, 0), np.int64), int(slots.max(initial=0)))
        self._began[:, slots] = places
        self.instruments = {each.instrument: each for each in instruments}

    def _list(self, block: Columns) -> list[d.Instrument]:
        """What *block* lists."""
        kind = v.VERB_BY_CODE[v.LIST_INSTRUMENT]
        found = []
        for values in zip(*(field(block.listed, kind, name).tolist() for name in _LISTED), strict=True):
            facts: dict[str, Any] = dict(zip(_LISTED, values, strict=True))
            found.append(d.Instrument(**facts | {"partition": block.partition, "symbol": text_of(facts["symbol"])}))
        self.instruments |= {each.instrument: each for each in found}
        return found

    def _begin(self, life: Life, block: Columns) -> Ints:
        """Of each order that *block* touches: block and event that accepted it."""
        self._began = grown(self._began, int(life.slots.max(initial=0)))
        began = self._began[:, life.slots]
        order, at = life.of(e.ORDER_ACCEPTED)
        began[0, order], began[1, order] = block.seq, block.first_event + at
        self._began[:, life.slots[life.ended & life.was_live]] = 0
        self._began[:, life.slots[~life.ended]] = began[:, ~life.ended]
        return began


def text_of(packed: int) -> str:
    """The characters of a packed symbol."""
    return packed.to_bytes(8, "little", signed=True).rstrip(b"\0").decode("ascii", "replace")


def lines_of(row: bytes) -> tuple[bytes, bytes]:
    """What is to be done with a document, and the document."""
    action, document, _ = row.split(b"\n")
    return action, document


def _rows(documents: Iterable[d.Document], times_ns: Iterable[int], versions: Iterable[int]) -> Rows:
    """Documents as rows. times_ns: when each began."""
    rows, days = {}, dict[int, str]()
    for document, time_ns, version in zip(documents, times_ns, versions, strict=True):
        number = time_ns // DAY_NS
        day = days.get(number) or days.setdefault(number, day_of(number))
        place = document.partition, document.seq, document.event
        rows["%s/%d-%d-%d" % (day, *place)] = _ROW % (*place, version, _encode(document))  # noqa: UP031 - both as fast as they can be
    return rows


def day_of(number: int) -> str:
    """The name of the day *number* since 1970."""
    return f"{_EPOCH + timedelta(days=number):%Y.%m.%d}"


class _Block:
    """What one block has to say.

    life     the orders that it touches
    symbols  by instrument
    """

    def __init__(self, block: Columns, life: Life, symbols: dict[int, str]) -> None:
        self._block, self._life, self._symbols = block, life, symbols

    def documents(self, began: Ints) -> Iterator[tuple[list[Any], Ints, Ints]]:
        """Documents of one kind, when each began, and its version. began: of each order, block and event that accepted it."""
        yield self._lives(began)
        yield self._changes()
        for mask, make in (
            (kinds(e.TRADE_EXECUTED), self._trades),
            (_FUNDS, self._funds),
            (kinds(e.INSTRUMENT_STATE_CHANGED), self._sessions),
            (_ACTS, self._acts),
        ):
            at = np.flatnonzero(mask[self._block.kind])
            if len(at):
                yield make(at), self._times_ns(at), self._block.first_event + at + 1
        refused = np.flatnonzero(self._block.kind == e.COMMAND_REFUSED)
        for verb in np.unique(self._block.commands[self._block.command[refused], v.VERB] & 255).tolist():
            at = refused[(self._block.commands[self._block.command[refused], v.VERB] & 255) == verb]
            yield self._refusals(at, v.VERB_BY_CODE.get(verb)), self._times_ns(at), self._block.first_event + at + 1

    def _times_ns(self, at: Ints) -> Ints:
        times_ns: Ints = self._life.times_ns[self._block.command[at]]
        return times_ns

    def _where(self, at: Ints) -> tuple[Iterable[int], Iterable[int], list[int], list[int]]:
        """The first fields of documents that tell of the events *at*."""
        return repeat(self._block.partition), repeat(self._block.seq), (self._block.first_event + at).tolist(), self._times_ns(at).tolist()

    def _symbol(self, instruments: Ints) -> list[str]:
        return [self._symbols.get(number, "") for number in instruments.tolist()]

    def _side(self, sides: Ints) -> list[str]:
        return [v.SIDES[side] for side in sides.tolist()]

    def _lives(self, began: Ints) -> tuple[list[Any], Ints, Ints]:
        orders, last = self._life.orders, self._block.first_event + self._life.last
        fields = {name: orders[AT[name]].tolist() for name in AT}
        columns = (
            repeat(self._block.partition),
            *began.tolist(),
            *(fields[name] for name in ("accepted_ns", "account", "order", "instrument")),
            self._symbol(orders[AT["instrument"]]),
            self._side(orders[AT["side"]]),
            [v.ORDER_TYPES[each] for each in fields["order_type"]],
            [v.TIMES_IN_FORCE[each] for each in fields["time_in_force"]],
            *(fields[name] for name in ("client_order_id", "price_ticks", "quantity_lots", "open_lots", "filled_lots", "value", "fees")),
            fields["changed_ns"],
            repeat(self._block.seq),
            last.tolist(),
            [_NAMES[each] for each in fields["ended_by"]],
            [e.REMOVAL_REASONS[each] for each in fields["reason"]],
        )
        return list(map(d.Order, *columns)), orders[AT["accepted_ns"]], last + 1

    def _changes(self) -> tuple[list[Any], Ints, Ints]:
        """One for each order that was live before; its place is the first event that changed it."""
        order, at = self._life.touched(_CHANGED)
        kept = self._life.was_live[order]
        by_order = np.lexsort((at[kept], order[kept]))
        order, at = order[kept][by_order], at[kept][by_order]
        numbers, first = np.unique(order, return_index=True)
        what = [[_NAMES[kind] for kind in each.tolist()] for each in np.split(self._block.kind[at], first[1:])] if len(first) else []
        orders = self._life.orders[:, numbers]
        columns = (
            *self._where(at[first]),
            *(orders[AT[name]].tolist() for name in ("account", "order", "instrument")),
            self._symbol(orders[AT["instrument"]]),
            self._side(orders[AT["side"]]),
            what,
            *(orders[AT[name]].tolist() for name in ("client_order_id", "price_ticks", "quantity_lots", "open_lots")),
        )
        return list(map(d.Change, *columns)), self._times_ns(at[first]), self._block.first_event + at[first] + 1

    def _trades(self, at: Ints) -> list[Any]:
        block, rows = self._block, self._block.events[at]
        columns = (
            *self._where(at),
            zip(block.account(at).tolist(), rows[:, 2].tolist(), strict=True),
            zip(block.incoming(at).tolist(), rows[:, 1].tolist(), strict=True),
            block.instrument[at].tolist(),
            self._symbol(block.instrument[at]),
            self._side(block.side[at]),
            rows[:, 3].tolist(),
            rows[:, 4].tolist(),
            zip(rows[:, 5].tolist(), rows[:, 6].tolist(), strict=True),
        )
        return list(map(d.Trade, *columns))

    def _refusals(self, at: Ints, verb: RowType | None) -> list[Any]:
        commands, rows = self._block.commands[self._block.command[at]], self._block.events[at]
        asked: dict[str, list[Any]] = {}
        for each in verb.fields if verb else ():
            if each.name in _ASKED:
                asked[each.name] = field(commands, verb, each.name).tolist() if verb else []
        if "side" in asked:
            asked["side"] = [v.SIDES[side] for side in asked["side"]]
        asked["symbol"] = [self._symbols.get(number, "") for number in asked.get("instrument", [0] * len(at))]
        columns = (
            *self._where(at),
            commands[:, v.ACCOUNT].tolist(),
            repeat(verb.name if verb else "UnknownVerb"),
            [RULES[code - 1].name for code in rows[:, 1].tolist()],
            rows[:, 2].tolist(),
            rows[:, 3].tolist(),
            commands[:, v.SESSION].tolist(),
            commands[:, v.SEQUENCE].tolist(),
            *(asked.get(name) or repeat(_WORDS.get(name, 0)) for name in _ASKED),
        )
        return list(map(d.Refusal, *columns))

    def _funds(self, at: Ints) -> list[Any]:
        commands, kind = self._block.commands[self._block.command[at]], self._block.kind[at]
        amount = commands[:, v.AMOUNT]
        columns = (
            *self._where(at),
            commands[:, v.ACCOUNT].tolist(),
            [_NAMES[each] for each in kind.tolist()],
            commands[:, v.INSTRUMENT].tolist(),  # where these verbs have the asset
            np.where(kind == e.FUNDS_WITHDRAWN, -amount, amount).tolist(),
            self._block.events[at, 1].tolist(),
        )
        return list(map(d.Funds, *columns))

    def _sessions(self, at: Ints) -> list[Any]:
        instrument, rows = self._block.instrument[at], self._block.events[at]
        columns = (
            *self._where(at),
            self._block.account(at).tolist(),
            instrument.tolist(),
            self._symbol(instrument),
            repeat(_NAMES[e.INSTRUMENT_STATE_CHANGED]),
            [f"from {v.INSTRUMENT_STATES[old]} to {v.INSTRUMENT_STATES[new]}" for old, new in rows[:, 1:3].tolist()],
        )
        return list(map(d.Session, *columns))

    def _acts(self, at: Ints) -> list[Any]:
        commands, events = self._block.commands[self._block.command[at]].tolist(), self._block.events[at].tolist()
        asked = [_fields(v.VERB_BY_CODE[command[v.VERB] & 255], command) for command in commands]
        told = [_fields(e.EVENT_BY_CODE[event[0] & 255], event) for event in events]
        instruments = [int(fields.get("instrument", 0)) for fields in asked]
        columns = (
            *self._where(at),
            [command[v.ACCOUNT] for command in commands],
            [_NAMES[event[0] & 255] for event in events],
            [" ".join(f"{name} {value}" for name, value in (one | other).items()) for one, other in zip(asked, told, strict=True)],
            instruments,
            [self._symbols.get(number, "") for number in instruments],
        )
        return list(map(d.Act, *columns))


def _fields(kind: RowType, words: list[int]) -> dict[str, int | str]:
    """The fields of a command or event that are not 0, without those that every command has."""
    found: dict[str, int | str] = {}
    for each in kind.fields:
        value = words[each.word] if each.bits == 64 else (words[each.word] >> each.shift) & (2**each.bits - 1)
        if value and each not in v.COMMON:
            found[each.name] = text_of(value) if each.name in v.TEXTS else value
    return found
