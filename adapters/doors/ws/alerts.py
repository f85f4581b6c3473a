"""What an account's alert rules told, as it is pushed."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby

from adapters.alerts.fired import Fired, Told
from adapters.doors import alerts
from adapters.doors.ws import messages
from adapters.doors.ws.outbox import Outbox
from adapters.doors.ws.packed import Packed
from adapters.doors.ws.topics import Topic
from adapters.reads.feed import Feed


class Alerts(Topic):
    """Alerts of an account in a partition: a message for each block in which any fired. It begins with those that are remembered, so
    whoever comes back to whatever gateway is sent those that he missed.
    """

    channel, view, is_state, is_chained = "alerts", "", False, True

    def __init__(self, feed: Feed, fired: Fired, account: int) -> None:
        super().__init__(feed)
        self._fired, self.account = fired, account
        self.begin()

    def begin(self) -> None:
        """See Topic."""
        self._begin_at(self._fired.floor)
        self.take(self._fired.of(self.account))

    def take(self, told: Sequence[Told]) -> None:
        """More of them, as they fired."""
        for seq, fired in groupby((each for each in told if each.seq > self.seq), lambda each: each.seq):
            self.seq, self.event = seq, self._first_event(seq)
            message = messages.Alerts(
                channel="alerts",
                type="update",
                account=self.account,
                partition=self.partition,
                seq=self.seq,
                previous=self.previous,
                event=self.event,
                alerts=[alerts.shape(each) for each in fired],
            )
            self._publish(Packed(message))

    def skip(self, floor: int) -> None:
        """Alerts up to block *floor* are not all here any more: say so."""
        after = self.seq
        if after < floor:
            self.seq = self.previous = self._floor = floor
            self._ring.clear()
            self._send(Packed(self.gap(after)))

    def _whole(self) -> None:
        return None


class AlertsLine:
    """From what fired in a partition to the topics of its accounts. For one event loop; close it."""

    def __init__(self, feed: Feed, fired: Fired, outbox: Outbox) -> None:
        self._feed, self._fired, self._outbox = feed, fired, outbox
        self._loop = asyncio.get_running_loop()
        self._topics: dict[int, Alerts] = {}  # by account
        self._told = fired.seq
        self._is_woken = False
        fired.watchers = (*fired.watchers, self._heard)

    def __len__(self) -> int:
        """How many accounts anybody asked for."""
        return len(self._topics)

    def of(self, account: int) -> Alerts:
        """The topic of an account."""
        found = self._topics.get(account)
        if found is None:
            found = self._topics[account] = Alerts(self._feed, self._fired, account)
            found.outbox = self._outbox
        return found

    def close(self) -> None:
        """Hear of no more."""
        self._fired.watchers = tuple(each for each in self._fired.watchers if each != self._heard)

    def _heard(self) -> None:
        """In the thread of who evaluates or follows."""
        if not self._is_woken:
            self._is_woken = True
            with suppress(RuntimeError):  # the loop has ended: nobody is there to be told
                self._loop.call_soon_threadsafe(self._turn)

    def _turn(self) -> None:
        """Tell of all that came since the last time."""
        self._is_woken = False
        before, floor = self._told, self._fired.floor
        new: defaultdict[int, list[Told]] = defaultdict(list)
        for each in reversed(self._fired.since(before)):
            new[each.alert.account].append(each)
            self._told = each.seq
        if floor > before:
            for topic in self._topics.values():
                topic.skip(floor)
        for account in new.keys() & self._topics.keys():
            self._topics[account].take(new[account])
