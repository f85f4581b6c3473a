"""Commands as rows of 128 bytes, and batches of them: docs/protocol.md."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, Literal, NamedTuple, Unpack

from outcry.client.shapes import Id, Instrument, Number, Side, Terms, text

MOST_ROWS: Final = 16_384
ROW: Final = struct.Struct("<16q")
HEADER: Final = struct.Struct("<4sHHII")  # magic, version, flags, rows, checksum
_CHECKSUM: Final = struct.Struct("<I")
_CHECKSUM_AT: Final = 12
_NAME: Final = struct.Struct("<2q")  # session, sequence
_NAME_AT: Final = 16
_ACKNOWLEDGED: Final = struct.Struct("<4sHHIIqq")  # magic, version, flags, rows, checksum, block, first event
_OUTCOME: Final = struct.Struct("<2q")

_NEW, _CANCEL, _REDUCE, _REPLACE, _CANCEL_ALL = 7, 8, 9, 10, 11  # verbs: word 0 of a row
_INSTRUMENT, _TERMS, _CLIENT_ORDER_ID, _ORDER, _PRICE, _QUANTITY, _EXPIRES, _NEW_CLIENT_ORDER_ID = 5, 6, 7, 8, 9, 10, 12, 13
_REFUSED, _REPEATED = 1, 2  # kinds of outcomes
_OF_AN_ORDER: Final = range(9, 13)  # whose word 1 is the order

_SIDES: Final = ("buy", "sell")
_LASTING: Final = ("GTC", "IOC", "FOK", "DAY", "GTD")
_POST_ONLY: Final = ("off", "refuse", "slide")
_SELF_TRADE: Final = ("allow", "cancel_newest", "cancel_oldest", "cancel_both", "decrement")
_SCOPES: Final = ("any", "buys", "sells")


class Outcome(NamedTuple):
    """What became of a row.

    status  accepted; refused, by the rule of that code (docs/events.md); repeated: it was on record already, as `first` says (accepted,
            refused, or empty: the venue does not remember)
    order   that it entered or changed; 0: none, or not told again
    """

    status: Literal["accepted", "refused", "repeated"]
    order: int = 0
    rule: int = 0
    first: Literal["", "accepted", "refused"] = ""


class Acknowledged(NamedTuple):
    """A batch on record, in block *seq*: what became of each row, in their order. first_event: of the batch in its partition."""

    seq: int
    first_event: int
    outcomes: list[Outcome]


def new_order(
    instrument: Instrument, account: int, side: Side, quantity: Number, price: Number = "", *, expires_ns: int = 0, **terms: Unpack[Terms]
) -> bytes:
    """The row of an order; without a price a market order, which only a sell may be here. Raises ValueError for a price between ticks, a
    quantity between lots, and what goes together not.
    """
    is_market = terms.get("order_type", "limit" if text(price) else "market") == "market"
    if not text(price) and (side == "buy" or not is_market):
        raise ValueError("an order has no price; right would be a limit, or of a market buy the price that it does not pass")
    lasting = terms.get("time_in_force", "GTD" if expires_ns else "IOC" if is_market else "GTC")
    bits = _SIDES.index(side) | is_market << 1 | _LASTING.index(lasting) << 2
    bits |= _POST_ONLY.index(terms.get("post_only", "off")) << 5 | _SELF_TRADE.index(terms.get("self_trade", "cancel_newest")) << 7
    words = {
        _INSTRUMENT: instrument.instrument,
        _TERMS: bits,
        _CLIENT_ORDER_ID: int(terms.get("client_order_id", 0)),
        _PRICE: _ticks(instrument, price if text(price) else instrument.low_price),
        _QUANTITY: _lots(instrument, quantity),
        _EXPIRES: expires_ns,
    }
    return _row(_NEW, account, words)


def cancel(account: int, order: Id = 0, *, client_order_id: Id = 0) -> bytes:
    """The row that takes an order away: by the venue's number, or by your client order id."""
    return _row(_CANCEL, account, {_CLIENT_ORDER_ID: int(client_order_id), _ORDER: int(order)})


def replace(
    instrument: Instrument,
    account: int,
    order: Id = 0,
    *,
    client_order_id: Id = 0,
    price: Number = "",
    quantity: Number = "",
    new_client_order_id: Id = 0,
) -> bytes:
    """The row that changes an order. Raises ValueError as new_order."""
    words = {
        _CLIENT_ORDER_ID: int(client_order_id),
        _ORDER: int(order),
        _PRICE: _ticks(instrument, price) if text(price) else 0,
        _QUANTITY: _lots(instrument, quantity) if text(quantity) else 0,
        _NEW_CLIENT_ORDER_ID: int(new_client_order_id),
    }
    return _row(_REPLACE, account, words)


def reduce(instrument: Instrument, account: int, quantity: Number, order: Id = 0, *, client_order_id: Id = 0) -> bytes:
    """The row that takes *quantity* off an order. Raises ValueError as new_order."""
    lots = _lots(instrument, quantity)
    return _row(_REDUCE, account, {_CLIENT_ORDER_ID: int(client_order_id), _ORDER: int(order), _QUANTITY: lots})


def cancel_all(account: int, instrument: Instrument | None = None, side: Literal["any", "buys", "sells"] = "any") -> bytes:
    """The row that takes away all orders of an account in the partition, or those of one instrument or side."""
    return _row(_CANCEL_ALL, account, {_INSTRUMENT: instrument.instrument if instrument else 0, _TERMS: _SCOPES.index(side)})


def encode(rows: Iterable[bytes], session: int = 0, first_sequence: int = 0) -> bytes:
    """The batch of *rows*, numbered in *session* from *first_sequence* on; 0: as they are. Raises ValueError for too few or too many."""
    joined = bytearray(HEADER.size) + b"".join(rows)
    count, odd = divmod(len(joined) - HEADER.size, ROW.size)
    if odd or not 1 <= count <= MOST_ROWS:
        raise ValueError(f"a batch has 1 to {MOST_ROWS} rows of {ROW.size} bytes; here are {len(joined) - HEADER.size} bytes")
    HEADER.pack_into(joined, 0, b"OUTC", 1, 0, count, 0)
    if first_sequence:
        for place in range(count):
            _NAME.pack_into(joined, HEADER.size + place * ROW.size + _NAME_AT, session, first_sequence + place)
    whole = memoryview(joined)
    _CHECKSUM.pack_into(joined, _CHECKSUM_AT, zlib.crc32(whole[HEADER.size :], zlib.crc32(whole[:_CHECKSUM_AT])))
    return bytes(joined)


def checksum(frame: bytes) -> str:
    """By which the venue names a batch when it answers, and the acknowledgement the batch."""
    return str(_CHECKSUM.unpack_from(frame, _CHECKSUM_AT)[0])


def acknowledged(frame: bytes) -> Acknowledged:
    """What the venue answers to a batch."""
    _, _, _, _, _, seq, first_event = _ACKNOWLEDGED.unpack_from(frame)
    rows = memoryview(frame)[_ACKNOWLEDGED.size :]
    return Acknowledged(seq, first_event, [_outcome(kind & 255, detail) for kind, detail in _OUTCOME.iter_unpack(rows)])


def _outcome(kind: int, detail: int) -> Outcome:
    if kind == _REFUSED:
        return Outcome("refused", rule=detail)
    if kind == _REPEATED:
        return Outcome("repeated", first="" if not detail else "refused" if detail == _REFUSED else "accepted")
    return Outcome("accepted", order=detail if kind in _OF_AN_ORDER else 0)


def _row(verb: int, account: int, words: dict[int, int]) -> bytes:
    return ROW.pack(verb, 0, 0, 0, account, *(words.get(word, 0) for word in range(5, 16)))


def _ticks(instrument: Instrument, price: Number) -> int:
    return _whole(price, instrument.tick_size, f"price of {instrument.symbol}", "tick")


def _lots(instrument: Instrument, quantity: Number) -> int:
    return _whole(quantity, instrument.lot_size, f"quantity of {instrument.symbol}", "lot")


def _whole(number: Number, unit: Decimal, what: str, called: str) -> int:
    """How many of *unit* a number is. Raises ValueError."""
    count, rest = divmod(Decimal(text(number)), unit)
    if rest:
        raise ValueError(f"the {what} is {number}, which is between two {called}s; right would be a multiple of {unit}")
    return int(count)
