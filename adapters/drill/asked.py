"""What a client at the doors writes down: what it means to ask before it asks, what it was answered, and what it was shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec


class Asked(msgspec.Struct, frozen=True, tag="asked"):
    """An order or a cancel about to be sent for the first time.

    what         buy, sell or cancel
    price_ticks, lots  of an order: no other of this account has the same, so it is known without its id
    order        of a cancel
    """

    account: int
    command_id: int
    what: str
    price_ticks: int = 0
    lots: int = 0
    order: int = 0


class Unheard(msgspec.Struct, frozen=True, tag="unheard"):
    """Nobody said what became of it; it is sent again, as command *next_id*."""

    account: int
    command_id: int
    next_id: int
    why: str


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """It is on record.

    at_ns, after_ns  monotonic; since it was first sent
    seq, event       block and number of its first event
    fills            numbers of its trades
    is_repeat        it was on record before: then seq and event are those of the repetition, and fills are not told
    """

    account: int
    command_id: int
    at_ns: int
    after_ns: int
    seq: int
    event: int
    order: int
    fills: list[int]
    is_repeat: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A rule of the market refused it."""

    account: int
    command_id: int
    at_ns: int
    after_ns: int
    rule: str


class Execution(NamedTuple):
    """One side of a trade: its number, the order of that side."""

    number: int
    order: int
    price_ticks: int
    lots: int


class Shown(msgspec.Struct, frozen=True, tag="shown"):
    """What an account was pushed of its own, as of block *seq*."""

    account: int
    seq: int
    executions: list[Execution]


class Printed(msgspec.Struct, frozen=True, tag="printed"):
    """Trades that somebody was pushed who watches the market; their order is 0."""

    seq: int
    trades: list[Execution]


class Missing(msgspec.Struct, frozen=True, tag="missing"):
    """Who was pushed something was told that he was not told of what happened after block *after* up to *seq*. account 0: of the market."""

    account: int
    after: int
    seq: int


Line = Asked | Unheard | Answered | Refused | Shown | Printed | Missing
_DECODER: Final = msgspec.json.Decoder(Line)


def read(path: Path) -> Iterator[Line]:
    """What was written."""
    with path.open("rb") as file:
        for line in file:
            yield _DECODER.decode(line)
