"""The words in which tests are written: commands (imperative) as rows, events (past tense) as readable values.

    market.given(sell(1, lots=5, price=100))
    assert market.when(buy(2, lots=5, price=103)) == [accepted(2, BUY, 103, 5, held=515), traded(BUY, maker=1, price=100, lots=5, ...)]

Rows are made from, and read by, the tables of domain/verbs.py and domain/events.py and nothing else.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from domain import events as e
from domain import verbs as v
from domain.fields import Field
from domain.rules import RULES

WORD_MASK: Final = 2**64 - 1
BASE: Final = 1  # asset numbers of the instrument that `list_instrument` lists unless told otherwise
QUOTE: Final = 2


@dataclass(frozen=True, slots=True, repr=False)
class Event:
    """One event row, decoded: its name and every field of its kind, in the order of the table."""

    name: str
    fields: tuple[tuple[str, int], ...]

    def __getattr__(self, field: str) -> int:
        """Value of *field*; AttributeError when this kind of event has none of that name."""
        for name, value in self.fields:
            if name == field:
                return value
        raise AttributeError(f"{self.name} has no field {field}")

    def __repr__(self) -> str:
        shown = [f"{name}={RULES[value - 1].name if name == 'rule' else value}" for name, value in self.fields if value]
        return f"{self.name}({', '.join(shown)})"


def event(kind: int, **values: int) -> Event:
    """An event of *kind*; fields not given are 0. KeyError names a field that the kind does not have."""
    row_type = e.EVENT_BY_CODE[kind]
    fields = tuple((field.name, values.pop(field.name, 0)) for field in row_type.fields)
    if values:
        raise KeyError(f"{row_type.name} has no {', '.join(values)}")
    return Event(row_type.name, fields)


def decode(rows: bytes) -> list[Event]:
    """Event rows (n x 64 bytes) as events. AssertionError on an unknown kind, or a bit that the kind does not name and is not zero."""
    assert len(rows) % e.EVENT_BYTES == 0, f"{len(rows)} bytes are no whole number of event rows"
    return [_decode_one(words) for words in struct.iter_unpack("<8q", rows)]


def _decode_one(words: tuple[int, ...]) -> Event:
    kind = words[0] & 255
    assert kind in e.EVENT_BY_CODE, f"unknown kind of event {kind}: {words}"
    row_type = e.EVENT_BY_CODE[kind]
    unnamed = [word & WORD_MASK for word in words]
    unnamed[0] &= ~255
    values = []
    for field in row_type.fields:
        values.append((field.name, _get(words, field)))
        unnamed[field.word] &= ~_mask(field)
    assert not any(unnamed), f"{row_type.name}: bits that it does not name are set: {unnamed}"
    return Event(row_type.name, tuple(values))


def encode(happened: Event) -> bytes:
    """The row of an event: what `decode` reads."""
    row_type = next(kind for kind in e.EVENTS if kind.name == happened.name)
    words = [0] * e.EVENT_WORDS
    words[0] = row_type.code
    for field, (_, value) in zip(row_type.fields, happened.fields, strict=True):
        words[field.word] |= value << field.shift
    return struct.pack("<8q", *words)


def decode_row(row: bytes) -> dict[str, int]:
    """A command row as its verb's name (key "verb": the code) and fields; of an unknown verb the words under their numbers."""
    words = struct.unpack("<16q", row)
    if words[v.VERB] not in v.VERB_BY_CODE:
        return {str(number): word for number, word in enumerate(words)}
    return {"verb": words[v.VERB]} | {field.name: _get(words, field) for field in v.VERB_BY_CODE[words[v.VERB]].fields}


def show(row: bytes) -> str:
    """A command row as text: NewOrder(account=1, ...), zero fields left out."""
    fields = decode_row(row)
    verb = fields.pop("verb", 0)
    name = v.VERB_BY_CODE[verb].name if verb else "UnknownVerb"
    return f"{name}({', '.join(f'{field}={value}' for field, value in fields.items() if value)})"


def per_command(events: Iterable[Event]) -> list[list[Event]]:
    """Cut a batch's events into one list per command: an outcome and the consequences after it."""
    cut: list[list[Event]] = []
    for happened in events:
        if happened.name in OUTCOMES:
            cut.append([])
        assert cut, f"{happened} comes before any outcome"
        cut[-1].append(happened)
    return cut


def _mask(field: Field) -> int:
    return ((1 << field.bits) - 1) << field.shift


def _get(words: tuple[int, ...], field: Field) -> int:
    if field.bits == 64:
        return words[field.word]
    return (words[field.word] >> field.shift) & ((1 << field.bits) - 1)


# --- commands -------------------------------------------------------------------------------------------------------


def row(verb: int, **fields: int) -> bytes:
    """A command row of *verb* from field names; fields not given are 0. KeyError names an unknown field; values must fit their field."""
    words = [0] * v.COMMAND_WORDS
    words[v.VERB] = verb
    for field in v.VERB_BY_CODE[verb].fields:
        value = fields.pop(field.name, 0)
        if field.bits == 64:
            assert words[field.word] == 0
            words[field.word] = value
            continue
        assert 0 <= value < 2**field.bits, f"{field.name}={value} does not fit {field.bits} bits"
        words[field.word] |= value << field.shift
    if fields:
        raise KeyError(f"{v.VERB_BY_CODE[verb].name} has no {', '.join(fields)}")
    return raw(words)


def raw(words: Iterable[int]) -> bytes:
    """A command row of any 16 signed words, well formed or not."""
    return struct.pack("<16q", *words)


def with_word(command: bytes, word: int, value: int) -> bytes:
    """*command* with one word overwritten by *value* (signed)."""
    words = list(struct.unpack("<16q", command))
    words[word] = value
    return raw(words)


def symbol(text: str) -> int:
    """The word of a symbol: first character in the lowest byte."""
    return int.from_bytes(text.encode("ascii").ljust(8, b"\0"), "little", signed=True)


def list_instrument(instrument: int = 1, text: str = "ACME", **changes: int) -> bytes:
    """A plain instrument: BASE against QUOTE, one minor unit a tick and a lot, band 1-1,000,000, no fees; *changes* by field name."""
    plain = {
        "instrument": instrument,
        "symbol": symbol(text),
        "base_asset": BASE,
        "quote_asset": QUOTE,
        "tick_size_e9": 10**9,
        "lot_size_e9": 10**9,
        "band_low_ticks": 1,
        "band_high_ticks": 1_000_000,
        "max_quantity_lots": 1_000_000,
        "max_notional": 2**42,
        "quote_units": 1,
        "base_units": 1,
    }
    return row(v.LIST_INSTRUMENT, **(plain | changes))


def set_state(state: int, instrument: int = 1, **fields: int) -> bytes:
    return row(v.SET_INSTRUMENT_STATE, instrument=instrument, state=state, **fields)


def set_fees(maker_rate: int, taker_rate: int, instrument: int = 1, **fields: int) -> bytes:
    return row(v.SET_FEE_RATES, instrument=instrument, maker_rate=maker_rate, taker_rate=taker_rate, **fields)


def open_account(account: int, **limits: int) -> bytes:
    return row(v.OPEN_ACCOUNT, account=account, **limits)


def change_account(account: int, status: int = v.ACCOUNT_OPEN, **limits: int) -> bytes:
    return row(v.CHANGE_ACCOUNT, account=account, status=status, **limits)


def deposit(account: int, asset: int, amount: int, **fields: int) -> bytes:
    return row(v.DEPOSIT, account=account, asset=asset, amount=amount, **fields)


def withdraw(account: int, asset: int, amount: int, **fields: int) -> bytes:
    return row(v.WITHDRAW, account=account, asset=asset, amount=amount, **fields)


def buy(account: int, lots: int, price: int, **fields: int) -> bytes:
    """A NewOrder, limit and GTC on instrument 1 unless *fields* say otherwise; *price* 0 for none."""
    return _new_order(v.BUY, account, lots, price, fields)


def sell(account: int, lots: int, price: int, **fields: int) -> bytes:
    """As `buy`, the other side."""
    return _new_order(v.SELL, account, lots, price, fields)


def _new_order(side: int, account: int, lots: int, price: int, fields: dict[str, int]) -> bytes:
    return row(v.NEW_ORDER, side=side, account=account, quantity_lots=lots, price_ticks=price, **({"instrument": 1} | fields))


def cancel(account: int, **target: int) -> bytes:
    """CancelOrder; *target*: client_order_id=… or order=…"""
    return row(v.CANCEL_ORDER, account=account, **target)


def reduce(account: int, lots: int, **target: int) -> bytes:
    return row(v.REDUCE_ORDER, account=account, quantity_lots=lots, **target)


def replace(account: int, lots: int = 0, price: int = 0, **fields: int) -> bytes:
    """ReplaceOrder; *fields*: the target and new_client_order_id."""
    return row(v.REPLACE_ORDER, account=account, quantity_lots=lots, price_ticks=price, **fields)


def mass_cancel(account: int = 0, instrument: int = 0, side_scope: int = v.ANY_SIDE, **fields: int) -> bytes:
    return row(v.MASS_CANCEL, account=account, instrument=instrument, side_scope=side_scope, **fields)


def tick(received_ns: int, **fields: int) -> bytes:
    return row(v.TICK_CLOCK, received_ns=received_ns, **fields)


def note_unreadable(topic: str = "commands", offset: int = 7, error: int = 6, **fields: int) -> bytes:
    """NoteUnreadable; error 6: the checksum is wrong."""
    return row(v.NOTE_UNREADABLE, topic=symbol(topic), offset=offset, error=error, **fields)


# --- events -----------------------------------------------------------------------------------------------------------


def refused(rule: int, limit: int, observed: int) -> Event:
    return event(e.COMMAND_REFUSED, rule=rule, limit=limit, observed=observed)


def repeated(first_kind: int, first_detail: int = 0) -> Event:
    return event(e.COMMAND_REPEATED, first_kind=first_kind, first_detail=first_detail)


def accepted(order: int, side: int, price: int, lots: int, held: int, expires_ns: int = 0, instrument: int = 1) -> Event:
    return event(
        e.ORDER_ACCEPTED,
        side=side,
        instrument=instrument,
        order=order,
        held=held,
        price_ticks=price,
        quantity_lots=lots,
        expires_ns=expires_ns,
    )


def traded(
    side: int,
    maker: int,
    maker_account: int,
    price: int,
    lots: int,
    buyer_released: int,
    taker_fee: int = 0,
    maker_fee: int = 0,
    instrument: int = 1,
) -> Event:
    return event(
        e.TRADE_EXECUTED,
        side=side,
        instrument=instrument,
        maker_order=maker,
        maker_account=maker_account,
        price_ticks=price,
        quantity_lots=lots,
        taker_fee=taker_fee,
        maker_fee=maker_fee,
        buyer_released=buyer_released,
    )


def rested(order: int, account: int, side: int, price: int, lots: int, instrument: int = 1) -> Event:
    return event(e.ORDER_RESTED, side=side, instrument=instrument, order=order, account=account, price_ticks=price, quantity_lots=lots)


def removed(reason: int, order: int, account: int, side: int, price: int, lots: int, released: int, instrument: int = 1) -> Event:
    return event(
        e.ORDER_REMOVED,
        side=side,
        reason=reason,
        instrument=instrument,
        order=order,
        account=account,
        price_ticks=price,
        quantity_lots=lots,
        released=released,
    )


def cancelled(order: int, account: int, side: int, price: int, lots: int, released: int, instrument: int = 1) -> Event:
    return event(
        e.ORDER_CANCELLED,
        side=side,
        instrument=instrument,
        order=order,
        account=account,
        price_ticks=price,
        quantity_lots=lots,
        released=released,
    )


def reduced(order: int, account: int, side: int, price: int, lots: int, released: int, remaining: int, instrument: int = 1) -> Event:
    return event(
        e.ORDER_REDUCED,
        side=side,
        instrument=instrument,
        order=order,
        account=account,
        price_ticks=price,
        quantity_lots=lots,
        released=released,
        remaining_lots=remaining,
    )


def replaced(
    order: int, side: int, was: tuple[int, int], now: tuple[int, int], held_change: int, kept_priority: int = 0, instrument: int = 1
) -> Event:
    """OrderReplaced; *was* and *now* are (price_ticks, open lots)."""
    return event(
        e.ORDER_REPLACED,
        side=side,
        kept_priority=kept_priority,
        instrument=instrument,
        order=order,
        previous_price_ticks=was[0],
        previous_lots=was[1],
        price_ticks=now[0],
        quantity_lots=now[1],
        held_change=held_change,
    )


def prevented(
    side: int, maker: int, maker_account: int, price: int, lots: int, taker_released: int, maker_released: int, instrument: int = 1
) -> Event:
    return event(
        e.SELF_TRADE_PREVENTED,
        side=side,
        instrument=instrument,
        maker_order=maker,
        maker_account=maker_account,
        price_ticks=price,
        quantity_lots=lots,
        taker_released=taker_released,
        maker_released=maker_released,
    )


def mass_cancelled(count: int, more: int = 0) -> Event:
    return event(e.ORDERS_MASS_CANCELLED, count=count, more=more)


def ticked(count: int, more: int = 0) -> Event:
    return event(e.CLOCK_TICKED, count=count, more=more)


OUTCOMES: Final = frozenset(kind.name for kind in e.EVENTS if kind.code < e.FIRST_CONSEQUENCE)


# --- given / when / then ------------------------------------------------------------------------------------------------


class Venue(Protocol):
    """Whatever executes a batch of command rows and answers with event rows: the engine's Partition, for one."""

    def execute(self, batch: bytes, /) -> bytes: ...


class Market:
    """A venue seen by a test. Orders are called 1, 2, 3 … in the order of their acceptance, whatever numbers the engine gives them."""

    def __init__(self, venue: Venue) -> None:
        self.venue = venue
        self.numbers: list[int] = [0]  # engine's number by our name

    def given(self, *commands: bytes) -> None:
        """What happened before; none of it may be refused or repeated."""
        for command in commands:
            first = self.when(command)[0]
            assert first.name not in ("CommandRefused", "CommandRepeated"), f"given {show(command)}: {first}"

    def when(self, command: bytes) -> list[Event]:
        """Execute one command; all its events, order numbers replaced by the names of the orders."""
        events = decode(self.venue.execute(command))
        if events[0].name == "OrderAccepted":
            assert events[0].order not in self.numbers, f"order number {events[0].order} was used before"
            self.numbers.append(events[0].order)
        return [self._named(happened) for happened in events]

    def number(self, name: int) -> int:
        """The engine's number of the order that this test calls *name*."""
        return self.numbers[name]

    def available(self, account: int, asset: int) -> int:
        """Available balance, as the refusal of a withdrawal of far too much shows it."""
        return self.when(withdraw(account, asset, 2**62 - 1))[0].limit

    def _named(self, happened: Event) -> Event:
        fields = tuple((name, self.numbers.index(value) if value in self.numbers else value) for name, value in happened.fields)
        return Event(happened.name, fields)
