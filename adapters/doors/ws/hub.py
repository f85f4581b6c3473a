"""From the feeds of a process to all who subscribed: each block is looked at once, each message is made once.

Feeds tell of blocks in their threads; here they wait, MAX_WAITING of them, until the event loop has a turn, and then of state only the last
is told. Beyond that they are dropped, and every topic begins anew, with a snapshot.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import numpy as np

from adapters.doors.access import Denied
from adapters.doors.house import House, Listed, NotListed, symbol_of
from adapters.doors.ws import happenings, topics
from adapters.doors.ws.alerts import AlertsLine
from adapters.doors.ws.happenings import accounts_of
from adapters.doors.ws.outbox import Outbox
from adapters.doors.ws.topics import Happening, Key, State, Topic
from adapters.reads.feed import Change, Feed
from domain import events as e
from projections.columns import Columns, Ints
from projections.layouts import INSTRUMENT
from projections.view import group_of

MAX_WAITING: Final = 256
_LOG: Final = logging.getLogger(__name__)
MAX_TOPICS: Final = 2**17
_STATES: Final[dict[str, type[State]]] = {
    "level1": topics.Level1,
    "level2": topics.Level2,
    "ticker": topics.Ticker,
    "status": topics.Status,
}
_VIEWS: Final = {"bars": "bars", "trades": "trades", "level3": "book", "user": "orders"} | {
    name: each.view for name, each in _STATES.items()
}
_TOUCHED: Final[dict[str, Callable[[Columns], Ints]]] = {
    "trades": lambda block: block.instruments(e.TRADE_EXECUTED),
    "level3": lambda block: block.instrument,
    "user": accounts_of,
}
INTERVALS: Final = {"1s": 1, "1m": 60, "5m": 300, "1h": 3_600, "1d": 86_400}


class NotPushed(NotListed):
    """This gateway does not push that."""


class TooMany(Denied):
    """No more topics, or subscriptions."""

    def __init__(self, says: str) -> None:
        super().__init__(429, says)


class Taker(Protocol):
    """Who makes messages of his own of what happens."""

    def take(self, change: Change, before_ns: int) -> None:
        """The next block; *before_ns*: the time of the one before."""

    def restart(self, partition: int) -> None:
        """Blocks of a partition were missed."""


class Hub:
    """For one event loop, in whose thread all of it is called.

    lost  blocks that were dropped at the bound
    """

    def __init__(self, house: House, feeds: Iterable[Feed], *, max_waiting: int = MAX_WAITING) -> None:
        self.house = house
        self.outbox = Outbox()
        self._lines = {feed.partition: _Line(self, feed, max_waiting) for feed in feeds}
        self._topics: dict[Key, Topic] = {}
        self._listed: dict[str, Listed] = {}
        self._by_number: dict[tuple[int, int], Listed] = {}
        self.takers: list[Taker] = []
        fired = house.alerts.fired if house.alerts else {}
        self._alerts = {partition: AlertsLine(line.feed, fired[partition], self.outbox) for partition, line in self._lines.items() if fired}
        for line in self._lines.values():
            line.begin()
            rows, _ = line.feed.group("instruments", "instrument")
            self.learn(line.feed.partition, rows)

    @property
    def lost(self) -> int:
        """See above."""
        return sum(line.lost for line in self._lines.values())

    @property
    def partitions(self) -> list[int]:
        """That are pushed."""
        return sorted(self._lines)

    def seq(self, partition: int) -> int:
        """The last block that was told of."""
        return self._lines[partition].seq

    def listed(self, symbol: str) -> Listed:
        """Raises NotListed."""
        found = self._listed.get(symbol)
        if found is None:
            raise NotListed(f"no instrument {symbol!r} is listed")
        return found

    def instruments(self) -> Mapping[str, Listed]:
        """All that is listed, by symbol."""
        return self._listed

    def listen(self, taker: Taker) -> None:
        """Tell *taker* of every block."""
        self.takers.append(taker)

    def by_number(self, partition: int, instrument: int) -> Listed | None:
        """What has that number."""
        return self._by_number.get((partition, instrument))

    def of_instrument(self, channel: str, symbol: str, interval: str) -> Topic:
        """A topic of an instrument. Raises NotListed, NotPushed, TooMany."""
        listed = self.listed(symbol)
        seconds = INTERVALS[interval] if channel == "bars" else 0
        return self._topic(
            (channel, listed.partition, listed.instrument, seconds), lambda feed: self._made(channel, feed, listed, interval)
        )

    def of_account(self, account: int, partition: int) -> Topic:
        """What happens to an account. Raises NotPushed, TooMany."""

        def made(feed: Feed) -> Topic:
            return happenings.User(feed, account, lambda number: self.by_number(partition, number), self.house.assets)

        return self._topic(("user", partition, account, 0), made)

    def alerts_of(self, account: int, partition: int) -> Topic:
        """What an account's alert rules tell. Raises NotPushed, TooMany."""
        if partition not in self._alerts:
            raise NotPushed("the channel alerts is not pushed here")
        if len(self._alerts[partition]) >= MAX_TOPICS:
            raise TooMany(f"{MAX_TOPICS} accounts are told of their alerts, and no more")
        return self._alerts[partition].of(account)

    def learn(self, partition: int, rows: dict[str, bytes]) -> None:
        """Instruments that are new or changed."""
        for key, row in rows.items():
            terms = INSTRUMENT.one(row)
            listed = Listed(symbol_of(terms), partition, int(key.rpartition(":")[2]), terms)
            self._listed[listed.symbol] = self._by_number[partition, listed.instrument] = listed

    def close(self) -> None:
        """Hear of nothing more."""
        for line in self._lines.values():
            line.close()
        for alerts in self._alerts.values():
            alerts.close()

    def _topic(self, key: Key, make: Callable[[Feed], Topic]) -> Topic:
        found = self._topics.get(key)
        if found is not None:
            return found
        line = self._lines[key[1]]
        if not line.feed.shows(_VIEWS[key[0]]):
            raise NotPushed(f"the channel {key[0]} is not pushed here, or not now")
        if len(self._topics) >= MAX_TOPICS:
            raise TooMany(f"{MAX_TOPICS} topics are pushed, and no more")
        made = self._topics[key] = make(line.feed)
        made.outbox = self.outbox
        line.add(key, made)
        return made

    def _made(self, channel: str, feed: Feed, listed: Listed, interval: str) -> Topic:
        if channel in _STATES:
            return _STATES[channel](feed, listed)
        if channel == "bars":
            return topics.Bars(feed, listed, INTERVALS[interval], interval)
        return (happenings.Trades if channel == "trades" else happenings.Level3)(feed, listed)


class _Line:
    """Of one partition: the blocks that wait, and who wants what of them."""

    def __init__(self, hub: Hub, feed: Feed, max_waiting: int) -> None:
        self._hub, self.feed, self._bound = hub, feed, max_waiting
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._waiting: deque[Change] = deque()
        self._is_woken = False
        self._is_reset = False
        self._states: dict[str, State] = {}  # row key -> who shows it
        self._bars: dict[str, topics.Bars] = {}  # group of rows -> who shows them
        self._happenings: dict[str, dict[int, Happening]] = {"trades": {}, "level3": {}, "user": {}}  # by instrument or account
        self.topics: list[Topic] = []
        self.seq, self.lost = feed.seq, 0

    def begin(self) -> None:
        """Hear of blocks."""
        self.feed.watch(self._heard)

    def close(self) -> None:
        """Hear of none."""
        self.feed.unwatch(self._heard)

    def add(self, key: Key, topic: Topic) -> None:
        """Tell *topic* of what it is about."""
        self.topics.append(topic)
        if isinstance(topic, State):
            self._states.update(dict.fromkeys(topic.keys(), topic))
        elif isinstance(topic, topics.Bars):
            self._bars[topic.group] = topic
        elif isinstance(topic, Happening):
            self._happenings[topic.channel][key[2]] = topic

    def _heard(self, change: Change) -> None:
        """In the feed's thread."""
        with self._lock:
            if len(self._waiting) >= self._bound:
                self.lost += len(self._waiting)
                self._waiting.clear()
                self._is_reset = True
            self._waiting.append(change)
            if self._is_woken:
                return
            self._is_woken = True
        try:
            self._loop.call_soon_threadsafe(self._turn)
        except RuntimeError:  # the loop has ended: nobody is there to be told
            self._waiting.clear()

    def _turn(self) -> None:
        """Look at what waits, once all that came before is sent."""
        if not self._hub.outbox.when_empty(self._turn):
            return
        with self._lock:
            changes, self._waiting = self._waiting, deque()
            is_reset, self._is_reset, self._is_woken = self._is_reset, False, False
        for change in changes:
            self._hub.learn(self.feed.partition, dict(change.rows.get("instruments", {})))
        if is_reset:
            self.seq = changes[-1].block.seq
            for topic in self.topics:
                topic.restart()
            for taker in self._hub.takers:
                taker.restart(self.feed.partition)
            return
        self._tell_states(changes)
        for change in changes:
            self._tell_happenings(change)
            self._tell_takers(change)
            self.seq = change.block.seq

    def _tell_states(self, changes: deque[Change]) -> None:
        """Of all *changes* together what is so after the last."""
        last = changes[-1].block
        rows: dict[str, bytes] = {}
        for change in changes:
            for changed in change.rows.values():
                for key in self._states.keys() & changed.keys():
                    rows[key] = changed[key]
        for topic in dict.fromkeys(self._states[key] for key in rows):
            self._tell(topic, topic.change, rows, last.seq, last.first_event)
        if self._bars:
            self._tell_bars(changes)

    def _tell(self, topic: Topic, act: Callable[..., None], *what: object) -> None:
        """What one topic does wrong costs the others nothing."""
        try:
            act(*what)
        except Exception as wrong:  # noqa: BLE001 - whatever it is: it begins anew
            _LOG.critical("%s of %s begins anew: %s", topic.channel, topic.symbol or topic.account, wrong, exc_info=wrong)
            topic.restart()

    def _tell_bars(self, changes: deque[Change]) -> None:
        last = changes[-1].block
        groups: dict[str, dict[str, bytes]] = {}
        for change in changes:
            for key, row in change.rows.get("bars", {}).items():
                if (group := group_of(key)) in self._bars:
                    groups.setdefault(group, {})[key] = row
        for group, rows in groups.items():
            bars = self._bars[group]
            self._tell(bars, bars.change, rows, last.seq, last.first_event)

    def _tell_happenings(self, change: Change) -> None:
        """Of a run what is seen of its events alone is told block by block, for who comes back names one; what is rows is as of its end."""
        for channel, topics_of in self._happenings.items():
            if not topics_of:
                continue
            for block in [change.block] if channel == "user" else change.block.blocks:
                told = Change(block, change.rows), self._before_ns(block)
                for number in np.unique(_TOUCHED[channel](block)).tolist():
                    if number in topics_of:
                        self._tell(topics_of[number], topics_of[number].take, *told)

    def _tell_takers(self, change: Change) -> None:
        for taker in self._hub.takers:
            try:
                taker.take(change, self._before_ns(change.block))
            except Exception as wrong:  # noqa: BLE001 - what one does wrong costs the others nothing
                _LOG.critical("a block was not told of to all: %s", wrong, exc_info=wrong, extra={"partition": self.feed.partition})
                taker.restart(self.feed.partition)

    def _before_ns(self, block: Columns) -> int:
        return self.feed.time_ns(block.first_seq - 1) if block.first_seq > 1 else 0
