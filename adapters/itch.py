"""Nasdaq TotalView-ITCH 5.0: a file of length-prefixed messages, decoded one by one. What they mean to us: itch_feed.py.

On file: two bytes of length, then that many bytes of message; a length of 0 ends a session. Every message begins with its type, the
security's number of the day, a tracking number and the time; then follow the fields of its type. Those stand below as the annotations of a
class, in the order and width of the specification, and nowhere else. Integers are big-endian and unsigned, text is padded on the right.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Annotated, Any, BinaryIO, Final, NamedTuple, NoReturn, TypeAlias, get_args, get_type_hints

from adapters.feed import BadFeed

U8: TypeAlias = Annotated[int, "Q"]
U4: TypeAlias = Annotated[int, "I"]
PriceE4: TypeAlias = Annotated[int, "I"]  # in 10^-4 dollar
PriceE8: TypeAlias = Annotated[int, "Q"]  # in 10^-8 dollar
Text1: TypeAlias = Annotated[str, "1s"]
Text2: TypeAlias = Annotated[str, "2s"]
Text4: TypeAlias = Annotated[str, "4s"]
Text8: TypeAlias = Annotated[str, "8s"]
Side: TypeAlias = Annotated[str, "1s", "BS"]  # only these letters, for the fields on which our orders depend
TradingState: TypeAlias = Annotated[str, "1s", "HPQT"]

HEADER: Final = struct.Struct(">HHHI")  # locate, tracking, then 48 bits of time, which no code of struct has
NS_PER_DAY: Final = 86_400 * 10**9


class SystemEvent(NamedTuple):
    """S: the day begins and ends (O, C), system hours (S, E), market hours (Q, M)."""

    event: Text1


class StockDirectory(NamedTuple):
    """R: a security of the day."""

    stock: Text8
    market_category: Text1
    financial_status: Text1
    round_lot_shares: U4
    round_lots_only: Text1
    issue_classification: Text1
    issue_subtype: Text2
    authenticity: Text1
    short_sale_threshold: Text1
    ipo_flag: Text1
    luld_tier: Text1
    etp_flag: Text1
    etp_leverage: U4
    inverse: Text1


class TradingAction(NamedTuple):
    """H: halted (H), paused (P), quotation only (Q) or trading (T)."""

    stock: Text8
    state: TradingState
    reserved: Text1
    reason: Text4


class ShortSaleRestriction(NamedTuple):
    """Y: Reg SHO price test."""

    stock: Text8
    action: Text1


class MarketParticipant(NamedTuple):
    """L: a market maker's position in a security."""

    participant: Text4
    stock: Text8
    primary: Text1
    mode: Text1
    state: Text1


class BreakerLevels(NamedTuple):
    """V: the day's levels of the market-wide circuit breaker."""

    level_1: PriceE8
    level_2: PriceE8
    level_3: PriceE8


class BreakerStatus(NamedTuple):
    """W: a level of the market-wide circuit breaker was breached."""

    level: Text1


class IpoQuotation(NamedTuple):
    """K: when an IPO's quotation begins."""

    stock: Text8
    release_time_s: U4
    qualifier: Text1
    price: PriceE4


class AuctionCollar(NamedTuple):
    """J: prices within which a paused security may reopen."""

    stock: Text8
    reference: PriceE4
    upper: PriceE4
    lower: PriceE4
    extension: U4


class OperationalHalt(NamedTuple):
    """h: one market halts (H) or resumes (T) a security for reasons of its own."""

    stock: Text8
    market: Text1
    action: Text1


class AddOrder(NamedTuple):
    """A: a displayed order, without the participant's name."""

    reference: U8
    side: Side
    shares: U4
    stock: Text8
    price: PriceE4


class AddAttributedOrder(NamedTuple):
    """F: a displayed order, with the participant's name."""

    reference: U8
    side: Side
    shares: U4
    stock: Text8
    price: PriceE4
    participant: Text4


class OrderExecuted(NamedTuple):
    """E: shares of a displayed order were executed at its price."""

    reference: U8
    shares: U4
    match_number: U8


class OrderExecutedAtPrice(NamedTuple):
    """C: shares of a displayed order were executed at another price, as in a cross."""

    reference: U8
    shares: U4
    match_number: U8
    printable: Text1
    price: PriceE4


class OrderCancelled(NamedTuple):
    """X: shares were taken off an order."""

    reference: U8
    shares: U4


class OrderDeleted(NamedTuple):
    """D: an order is gone."""

    reference: U8


class OrderReplaced(NamedTuple):
    """U: an order is gone and another, at the end of its queue, stands for it."""

    reference: U8
    new_reference: U8
    shares: U4
    price: PriceE4


class Trade(NamedTuple):
    """P: an order that was not displayed was executed."""

    reference: U8
    side: Side
    shares: U4
    stock: Text8
    price: PriceE4
    match_number: U8


class CrossTrade(NamedTuple):
    """Q: the result of a cross."""

    shares: U8
    stock: Text8
    price: PriceE4
    match_number: U8
    cross: Text1


class BrokenTrade(NamedTuple):
    """B: an execution was undone."""

    match_number: U8


class Imbalance(NamedTuple):
    """I: the order imbalance ahead of a cross."""

    paired_shares: U8
    imbalance_shares: U8
    direction: Text1
    stock: Text8
    far: PriceE4
    near: PriceE4
    reference: PriceE4
    cross: Text1
    variation: Text1


class RetailInterest(NamedTuple):
    """N: retail price improvement is on offer."""

    stock: Text8
    interest: Text1


class DirectListing(NamedTuple):
    """O: price discovery of a direct listing that raises capital."""

    stock: Text8
    open_eligible: Text1
    minimum: PriceE4
    maximum: PriceE4
    near: PriceE4
    near_time_ns: U8
    lower: PriceE4
    upper: PriceE4


Body: TypeAlias = (
    SystemEvent | StockDirectory | TradingAction | ShortSaleRestriction | MarketParticipant | BreakerLevels | BreakerStatus | IpoQuotation
    | AuctionCollar | OperationalHalt | AddOrder | AddAttributedOrder | OrderExecuted | OrderExecutedAtPrice | OrderCancelled | OrderDeleted
    | OrderReplaced | Trade | CrossTrade | BrokenTrade | Imbalance | RetailInterest | DirectListing
)  # fmt: skip


class Message(NamedTuple):
    """One message. number counts from 1; offset is the byte of its length; locate is 0 when it concerns no security."""

    number: int
    offset: int
    locate: int
    tracking: int
    timestamp_ns: int  # since midnight at the venue
    body: Body


class Layout:
    """How the bytes of one type become its class: read off the annotations."""

    def __init__(self, make: Any) -> None:
        self.make = make
        codes = [get_args(hint)[1:] for hint in get_type_hints(make, include_extras=True).values()]
        self.struct = struct.Struct(">" + "".join(code[0] for code in codes))
        self.length = 1 + HEADER.size + self.struct.size
        self.text = [
            (place, name, code[1] if len(code) > 1 else "")
            for place, (name, code) in enumerate(zip(make._fields, codes, strict=True))
            if "s" in code[0]
        ]  # fmt: skip


LAYOUTS: Final = {
    letter: Layout(make)
    for letter, make in zip(b"SRHYLVWKJhAFECXDUPQBINO", get_args(Body), strict=True)
}  # fmt: skip
_LONGEST: Final = max(layout.length for layout in LAYOUTS.values())
_KNOWN: Final = ", ".join(f"{chr(letter)} ({layout.length})" for letter, layout in LAYOUTS.items())


def read(file: BinaryIO, name: str) -> Iterator[Message]:
    """Messages of *file* in order, one in memory at a time. Raises BadFeed naming file, message and byte, and OSError."""
    number, offset = 1, 0
    while prefix := file.read(2):
        length = int.from_bytes(prefix, "big")
        if len(prefix) == 2 and length > _LONGEST:
            bad(name, number, offset, f"its length is {length}", f"at most {_LONGEST}, in an uncompressed file of ITCH 5.0")
        payload = file.read(length)
        if len(prefix) < 2 or len(payload) < length:
            missing = f"{len(payload)} of its {length} bytes" if len(prefix) == 2 else "one byte of its two-byte length"
            bad(name, number, offset, f"the file ends inside it, after {missing}", "a whole message")
        if length == 0:
            if file.read(1):
                bad(
                    name,
                    number,
                    offset,
                    "a length of 0 ends the session, but more bytes follow",
                    "the end of the file",
                )
            break
        yield decode(payload, name, number, offset)
        number += 1
        offset += 2 + length
    if number == 1:
        bad(name, 1, 0, "the file has no message", "an uncompressed ITCH 5.0 file, two bytes of length before each message")


def decode(payload: bytes, name: str, number: int, offset: int) -> Message:
    """One message, without its length. Raises BadFeed."""
    layout = LAYOUTS.get(payload[0])
    if layout is None:
        bad(name, number, offset, f"type {payload[:1]!r} is unknown", f"one of these (with its length): {_KNOWN}")
    if len(payload) != layout.length:
        bad(name, number, offset, f"type {chr(payload[0])} has length {len(payload)}", f"{layout.length}")
    locate, tracking, high, low = HEADER.unpack_from(payload, 1)
    timestamp_ns = high << 32 | low
    if timestamp_ns >= NS_PER_DAY:
        bad(name, number, offset, f"timestamp {timestamp_ns} ns is not within a day", f"nanoseconds since midnight, below {NS_PER_DAY}")
    values = list(layout.struct.unpack_from(payload, 1 + HEADER.size))
    for place, field, letters in layout.text:
        raw: bytes = values[place]
        text = raw.decode("latin-1")
        if not (text.isascii() and text.isprintable()):
            bad(name, number, offset, f"{layout.make.__name__}.{field} is {raw!r}", "printable ASCII characters")
        values[place] = text = text.rstrip(" ")
        if letters and (not text or text not in letters):
            bad(name, number, offset, f"{layout.make.__name__}.{field} is {text!r}", f"one of {', '.join(letters)}")
    return Message(number, offset, locate, tracking, timestamp_ns, layout.make._make(values))


def bad(name: str, number: int, offset: int, wrong: str, right: str) -> NoReturn:
    """Raise BadFeed for a message."""
    raise BadFeed(f"{name}: message {number} at byte {offset}: {wrong}; right would be {right}")
