"""What can be subscribed to: of each channel and instrument (or account) its state, its last messages, and who gets them.

A topic begins when somebody first asks for it, with what the views show, and stays. State (level1, level2, bars, ticker, status) may be
skipped over by who is slow: the present state says all. What happens (trades, level3, user) may not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Mapping
from itertools import islice
from typing import ClassVar, Final, Protocol

from adapters.doors import shapes
from adapters.doors.house import Listed
from adapters.doors.shapes import number
from adapters.doors.ws import messages
from adapters.doors.ws.messages import Channel, Kind, LevelTuple
from adapters.doors.ws.outbox import Outbox
from adapters.doors.ws.packed import Packed
from adapters.reads.feed import Change, Feed
from domain.verbs import BUY, INSTRUMENT_STATES, SELL
from projections import layouts
from projections.view import Rows

RING: Final = 256  # messages of a topic that can be sent again
BARS: Final = 300  # of a snapshot
Key = tuple[str, int, int, int]
"""Channel, partition, instrument or account, seconds of a bar."""


class Subscriber(Protocol):
    """Who gets messages."""

    def push(self, topic: Topic, packed: Packed) -> None:
        """One more message of *topic*."""


class Topic(ABC):
    """See above.

    seq          block that its state is as of
    subscribers  in the order of their coming
    outbox       on which way they get messages; None: at once
    """

    channel: ClassVar[Channel]
    view: ClassVar[str]
    is_state: ClassVar[bool] = True
    is_chained: ClassVar[bool] = False  # whether each message names the one before it
    symbol = ""
    account = 0

    def __init__(self, feed: Feed) -> None:
        self._feed, self.partition = feed, feed.partition
        self.subscribers: dict[Subscriber, None] = {}
        self.outbox: Outbox | None = None
        self.seq = self.previous = 0
        self.event = ""
        self._ring: deque[tuple[int, Packed]] = deque(maxlen=RING)
        self._floor = 0  # everything after that block is in the ring
        self._snapshot: Packed | None = None

    @abstractmethod
    def begin(self) -> None:
        """Take the state from the views, as of now."""

    def snapshot(self) -> Packed | None:
        """The state, for who comes or was skipped over; None: there is none, what happens is told as it does."""
        if self._snapshot is None:
            self._snapshot = self._whole()
        return self._snapshot

    @abstractmethod
    def _whole(self) -> Packed | None:
        """The message that is the state."""

    def since(self, after: int) -> list[Packed] | None:
        """The messages after block *after*; None: they are not all here any more, or that block is not known."""
        if not self._floor <= after <= self.seq:
            return None
        return [packed for seq, packed in self._ring if seq > after]

    def restart(self) -> None:
        """Blocks were missed: begin anew, and say so to everybody."""
        after = self.seq
        self._ring.clear()
        self._snapshot = None
        self.begin()
        told = [] if self.is_state else [Packed(self.gap(after))]
        snapshot = self.snapshot()
        for packed in told if snapshot is None else [*told, snapshot]:
            self._send(packed)

    def gap(self, after: int) -> messages.Gap:
        """What is between block *after* and now is not here."""
        of = {"channel": self.channel, "symbol": self.symbol, "account": self.account, "partition": self.partition}
        return messages.Gap(**of, after=after, seq=self.seq)  # type: ignore[arg-type]

    def _begin_at(self, seq: int) -> None:
        self.seq = self.previous = self._floor = seq
        self.event = self._first_event(seq)

    def _first_event(self, seq: int) -> str:
        """Number of the first event of block *seq*; empty: it is not known here."""
        before = self._feed.last_event(seq - 1) if seq > 1 else -1
        return str(number(self.partition, before + 1)) if before >= 0 or seq == 1 else ""

    def _publish(self, packed: Packed) -> None:
        if len(self._ring) == RING:
            self._floor = self._ring[0][0]
        packed.seq = self.seq
        self._ring.append((self.seq, packed))
        self.previous = self.seq
        self._snapshot = None
        self._send(packed)

    def _send(self, packed: Packed) -> None:
        if self.outbox is not None:
            self.outbox.put(self, packed)
        else:
            for subscriber in tuple(self.subscribers):
                subscriber.push(self, packed)


class OfInstrument(Topic):
    """A topic of one instrument."""

    is_chained = True

    def __init__(self, feed: Feed, listed: Listed) -> None:
        super().__init__(feed)
        self.listed, self.symbol = listed, listed.symbol
        self.begin()

    def _head(self, kind: Kind) -> dict[str, object]:
        return {
            "channel": self.channel,
            "type": kind,
            "symbol": self.listed.symbol,
            "partition": self.partition,
            "seq": self.seq,
            "previous": self.previous,
            "event": self.event,
        }


class State(OfInstrument):
    """A topic whose state is rows of a view."""

    @abstractmethod
    def keys(self) -> list[str]:
        """Of its rows."""

    def begin(self) -> None:
        """See Topic."""
        rows, seq = self._read()
        self._rows = {key: rows.get(key, b"") for key in self.keys()}
        self._begin_at(seq)

    def change(self, rows: Rows, seq: int, event: int) -> None:
        """Take in rows as of block *seq*, whose first event is *event*; other keys than its own are no matter."""
        if seq <= self.seq:
            return
        before = self._rows
        self._rows = {key: rows.get(key, row) for key, row in before.items()}
        self.seq, self.event = seq, str(number(self.partition, event))
        update = self._update(before, self._rows)
        if update is not None:
            self._publish(Packed(update))

    def _read(self) -> tuple[Rows, int]:
        (key,) = self.keys()
        row, seq = self._feed.read(self.view, key)
        return {key: row}, seq

    @abstractmethod
    def _update(self, before: Rows, after: Rows) -> messages.Push | None:
        """What changed; None: nothing that is seen."""

    @property
    def _row(self) -> bytes:
        (row,) = self._rows.values()
        return row


class Level1(State):
    """Best prices."""

    channel, view = "level1", "quotes"

    def keys(self) -> list[str]:
        """See State."""
        return [layouts.quote_key(self.listed.instrument)]

    def _whole(self) -> Packed:
        return Packed(self._made("snapshot"))

    def _update(self, _before: Rows, _after: Rows) -> messages.Push:
        return self._made("update")

    def _made(self, kind: Kind) -> messages.Level1:
        quote = layouts.QUOTE.one(self._row) if self._row else layouts.Quote(0, 0, 0, 0, 0, 0)
        bid = _level(self.listed, layouts.Level(quote.bid_ticks, quote.bid_lots, quote.bid_orders))
        ask = _level(self.listed, layouts.Level(quote.ask_ticks, quote.ask_lots, quote.ask_orders))
        return messages.Level1(**self._head(kind), bid=bid, ask=ask)  # type: ignore[arg-type]


class Level2(State):
    """Price levels."""

    channel, view = "level2", "depth"

    def keys(self) -> list[str]:
        """See State."""
        return [layouts.depth_key(self.listed.instrument, side) for side in (BUY, SELL)]

    def _read(self) -> tuple[Rows, int]:
        return self._feed.group(self.view, f"depth:{self.listed.instrument}")

    def _whole(self) -> Packed:
        bids, asks = ([_level(self.listed, each) for each in layouts.LEVEL.unpack(row)] for row in self._rows.values())
        return Packed(messages.Level2(**self._head("snapshot"), bids=bids, asks=asks))  # type: ignore[arg-type]

    def _update(self, before: Rows, after: Rows) -> messages.Push:
        bids, asks = (_differences(self.listed, *rows) for rows in zip(before.values(), after.values(), strict=True))
        return messages.Level2(**self._head("update"), bids=bids, asks=asks)  # type: ignore[arg-type]


class Ticker(State):
    """The last 24 hours."""

    channel, view = "ticker", "statistics"

    def keys(self) -> list[str]:
        """See State."""
        return [layouts.statistics_key(self.listed.instrument)]

    def _whole(self) -> Packed:
        return Packed(self._made("snapshot"))

    def _update(self, _before: Rows, _after: Rows) -> messages.Push:
        return self._made("update")

    def _made(self, kind: Kind) -> messages.Ticker:
        day = shapes.bar(self.listed, layouts.STATISTICS.one(self._row)) if self._row else None
        return messages.Ticker(**self._head(kind), day=day)  # type: ignore[arg-type]


class Status(State):
    """The state of the instrument."""

    channel, view = "status", "instruments"

    def keys(self) -> list[str]:
        """See State."""
        return [layouts.instrument_key(self.listed.instrument)]

    def _whole(self) -> Packed:
        return Packed(self._made("snapshot"))

    def _update(self, _before: Rows, _after: Rows) -> messages.Push:
        return self._made("update")

    def _made(self, kind: Kind) -> messages.Status:
        state = layouts.INSTRUMENT.one(self._row).state if self._row else 0
        return messages.Status(**self._head(kind), state=INSTRUMENT_STATES[state])  # type: ignore[arg-type]


class Bars(OfInstrument):
    """Bars of one interval. Its rows come and go, so it is told of all that changed of its group."""

    channel, view = "bars", "bars"

    def __init__(self, feed: Feed, listed: Listed, seconds: int, interval: str) -> None:
        self.group = f"bar:{seconds}:{listed.instrument}"
        self._interval = interval
        super().__init__(feed, listed)

    def begin(self) -> None:
        """See Topic."""
        rows, seq = self._feed.group(self.view, self.group)
        bars = sorted(layouts.BAR.one(row) for row in rows.values())[-BARS:]
        self._bars = {bar.start_ns: bar for bar in bars}
        self._begin_at(seq)

    def change(self, rows: Rows, seq: int, event: int) -> None:
        """Take in the rows of its group that changed."""
        if seq <= self.seq:
            return
        self.seq, self.event = seq, str(number(self.partition, event))
        changed = sorted(layouts.BAR.one(row) for row in rows.values())
        self._bars.update({bar.start_ns: bar for bar in changed})
        for start_ns in list(islice(self._bars, max(0, len(self._bars) - BARS))):
            del self._bars[start_ns]
        self._publish(Packed(self._made("update", changed)))

    def _whole(self) -> Packed:
        return Packed(self._made("snapshot", list(self._bars.values())))

    def _made(self, kind: Kind, bars: list[layouts.Bar]) -> messages.Bars:
        shown = [shapes.bar(self.listed, bar) for bar in bars]
        return messages.Bars(**self._head(kind), interval=self._interval, bars=shown)  # type: ignore[arg-type]


class Happening(Topic):
    """A topic that is told of every block that touches it."""

    is_state = False

    @abstractmethod
    def take(self, change: Change, before_ns: int) -> None:
        """The next block; *before_ns*: the time of the one before."""

    def _goes_on(self, change: Change) -> bool:
        """Whether the block is new here."""
        if change.block.seq <= self.seq:
            return False
        self.seq, self.event = change.block.seq, str(number(self.partition, change.block.first_event))
        return True


def _level(listed: Listed, level: layouts.Level) -> LevelTuple:
    return shapes.price(listed, level.price_ticks), shapes.quantity(listed, level.quantity_lots), level.orders


def _differences(listed: Listed, before: bytes, after: bytes) -> list[LevelTuple]:
    """The levels that are new, changed or gone."""
    was: Mapping[int, layouts.Level] = {level.price_ticks: level for level in layouts.LEVEL.unpack(before)}
    now = layouts.LEVEL.unpack(after)
    gone = was.keys() - {level.price_ticks for level in now}
    changed = [level for level in now if was.get(level.price_ticks) != level]
    return [_level(listed, level) for level in changed] + [_level(listed, layouts.Level(ticks, 0, 0)) for ticks in sorted(gone)]
