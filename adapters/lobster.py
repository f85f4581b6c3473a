"""LOBSTER: a zip with a day's messages of one security and, line by line, its book after each. What they mean to us: lobster_feed.py.

A message is `time,type,order,size,price,direction`: seconds after midnight with decimals, shares, 10^-4 dollar, 1 for a buy order and -1
for a sell order. A line of the book is `ask,size,bid,size` per level, best first; 9999999999 and -9999999999 mark an empty level.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINVAL
from itertools import pairwise
from lzma import LZMAError
from pathlib import Path
from typing import IO, Final, NamedTuple, NoReturn
from zipfile import BadZipFile, ZipFile

from adapters.feed import BadFeed

SUBMITTED: Final = 1
CANCELLED: Final = 2  # in part
DELETED: Final = 3
EXECUTED: Final = 4
HIDDEN_EXECUTED: Final = 5
CROSSED: Final = 6
HALTED: Final = 7  # price -1: trading stops; 0: quotation resumes; 1: trading resumes

MAX_LINE_BYTES: Final = 8_192
MAX_VALUE: Final = 2**31 - 1
MAX_ORDER: Final = 2**62 - 1
DAY_SECONDS: Final = 86_400
_NO_SELLS: Final = 9_999_999_999
_NO_BUYS: Final = -9_999_999_999
_NAME: Final = re.compile(r"([!-.0-~]{1,8})_(\d{4}-\d\d-\d\d)_.*(message|orderbook)_.*\.csv")
_MESSAGE: Final = re.compile(rb"(\d{1,5})(?:\.(\d{1,18}))?,([1-7]),(\d{1,19}),(\d{1,10}),(-?\d{1,10}),(-1|1)\r?\n?")
_DAMAGED: Final = (BadZipFile, EOFError, LZMAError, NotImplementedError, RuntimeError, ValueError, zlib.error)  # as zipfile has it

Levels = dict[int, int]
"""Price in 10^-4 dollar -> shares, best first."""


class Message(NamedTuple):
    """One line of messages; line counts from 1, buy says of which side the order concerned is."""

    line: int
    timestamp_ns: int
    type: int
    order: int
    shares: int
    price: int
    buy: bool


class Step(NamedTuple):
    """A message, and the levels in sight after it: at most *depth* a side, with all of them there deeper ones may be out of sight."""

    message: Message
    sells: Levels
    buys: Levels
    depth: int


class LobsterFile:
    """A zip with one file of messages and one of books, both called SYMBOL_YYYY-MM-DD_... Raises BadFeed, OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_bytes = self.total_bytes = 0  # of the messages
        found: dict[str, tuple[str, str, str]] = {}
        with self._opened() as archive:
            for member in archive.infolist():
                match = _NAME.fullmatch(member.filename)
                if match:
                    found[match[3]] = (member.filename, match[1], match[2])
                    self.total_bytes += member.file_size * (match[3] == "message")
        if set(found) != {"message", "orderbook"}:
            raise BadFeed(
                f"{path.name}: has {', '.join(found) or 'neither'}, and not both files; right would be SYMBOL_YYYY-MM-DD_..._message_N.csv "
                "and SYMBOL_YYYY-MM-DD_..._orderbook_N.csv"
            )
        self._messages, self.symbol, self.day = found["message"]
        self._books = found["orderbook"][0]

    def steps(self) -> Iterator[Step]:
        """Both files in lockstep, one line of each in memory. Raises BadFeed, OSError."""
        with self._opened() as archive, archive.open(self._messages) as messages, archive.open(self._books) as books:
            yield from self._steps(messages, books)

    @contextmanager
    def _opened(self) -> Iterator[ZipFile]:
        try:
            with ZipFile(self.path) as archive:
                yield archive
        except BadFeed:
            raise
        except (*_DAMAGED, OSError) as wrong:
            if isinstance(wrong, OSError) and wrong.errno not in (None, EINVAL):  # None: bad bzip2; EINVAL: a place that cannot be
                raise
            raise BadFeed(f"{self.path.name}: no zip, or a damaged one ({wrong}); right would be the zip as LOBSTER delivers it") from None

    def _steps(self, messages: IO[bytes], books: IO[bytes]) -> Iterator[Step]:
        line, depth = 0, 0
        while True:
            text, book = messages.readline(MAX_LINE_BYTES), books.readline(MAX_LINE_BYTES)
            if not (text or book):
                break
            line += 1
            if not (text and book):
                missing = self._books if text else self._messages
                self._bad(missing, line, "the file ends, but the other one goes on", "as many lines in both")
            self.read_bytes += len(text)
            depth = depth or (book.count(b",") + 1) // 4
            yield Step(self._message(line, text), *self._levels(line, book, depth), depth)
        if line == 0:
            self._bad(self._messages, 1, "the file is empty", "a line per message")

    def _message(self, line: int, text: bytes) -> Message:
        match = _MESSAGE.fullmatch(text)
        if match is None:
            self._bad(self._messages, line, f"{text[:80]!r}", "seconds,type 1-7,order,shares,price in 10^-4 dollar,1 or -1")
        seconds, fraction, type_, order, shares, price, direction = match.groups()
        message = Message(
            line,
            # Some lines of the free sample carry the rounding of a binary fraction: 43002.632812672004.
            int(seconds) * 10**9 + (int((fraction or b"0").ljust(10, b"0")[:10]) + 5) // 10,
            int(type_),
            int(order),
            int(shares),
            int(price),
            direction == b"1",
        )
        if int(seconds) >= DAY_SECONDS:
            self._bad(self._messages, line, f"{int(seconds)} seconds after midnight", f"below {DAY_SECONDS}")
        if message.type <= EXECUTED and not (1 <= message.shares <= MAX_VALUE and 1 <= message.price <= MAX_VALUE):
            self._bad(self._messages, line, f"{message.shares} shares at {message.price}", f"both from 1 to {MAX_VALUE}")
        if message.type <= EXECUTED and not 1 <= message.order <= MAX_ORDER:
            self._bad(self._messages, line, f"order {message.order}", f"1 to {MAX_ORDER}")
        if message.type == HALTED and message.price not in (-1, 0, 1):
            self._bad(self._messages, line, f"a halt with price {message.price}", "-1 halted, 0 quotation, 1 trading")
        return message

    def _levels(self, line: int, text: bytes, depth: int) -> tuple[Levels, Levels]:
        """Sells and buys in sight."""
        try:
            cells = [int(cell) for cell in text.split(b",")]
        except ValueError:
            cells = []
        if len(cells) != 4 * depth or depth == 0:
            self._bad(self._books, line, f"{text[:80]!r}", f"{4 * depth or '4 for each level'} whole numbers with commas between them")
        sells = [(price, shares) for price, shares in zip(cells[0::4], cells[1::4], strict=True) if price != _NO_SELLS]
        buys = [(price, shares) for price, shares in zip(cells[2::4], cells[3::4], strict=True) if price != _NO_BUYS]
        if not all(1 <= price <= MAX_VALUE and 1 <= shares <= MAX_VALUE for price, shares in sells + buys):
            self._bad(self._books, line, f"{text[:80]!r}", f"prices and sizes from 1 to {MAX_VALUE}")
        if any(low[0] >= high[0] for low, high in pairwise([*reversed(buys), *sells])):
            self._bad(
                self._books, line, f"{text[:80]!r}", "prices that rise from the worst buy over best buy and best sell to the worst sell"
            )
        return dict(sells), dict(buys)

    def _bad(self, name: str, line: int, wrong: str, right: str) -> NoReturn:
        raise BadFeed(f"{self.path.name}: {name} line {line}: {wrong}; right would be {right}")
