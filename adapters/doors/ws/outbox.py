"""Messages on their way to all who subscribed: in order, AT_ONCE sends in one turn of the event loop, so that orders do not wait for them.

Before all are sent nothing new is looked at: so under load messages of state become fewer and not more, and nothing piles up here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Any, Final, Protocol

from adapters.doors.ws.packed import Packed

AT_ONCE: Final = 256
_LOG: Final = logging.getLogger(__name__)


class Topic(Protocol):
    """What is subscribed to."""

    @property
    def subscribers(self) -> Collection[Any]:
        """Who gets what is put here from now on: each by its push(topic, packed)."""


class Outbox:
    """For one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Topic, Packed, Iterator[Any]]] = deque()
        self._then: deque[Callable[[], None]] = deque()
        self._is_awake = False

    def put(self, topic: Topic, packed: Packed) -> None:
        """Send *packed* to all who are subscribed to *topic* now, and still are when their turn comes."""
        if topic.subscribers:
            self._waiting.append((topic, packed, iter(tuple(topic.subscribers))))
            if not self._is_awake:
                self._is_awake = True
                self._loop.call_soon(self._turn)

    def when_empty(self, then: Callable[[], None]) -> bool:
        """Whether everything is sent; else *then* is called when it is."""
        if self._is_awake:
            self._then.append(then)
        return not self._is_awake

    def _turn(self) -> None:
        left = AT_ONCE
        while self._waiting and left:
            topic, packed, subscribers = self._waiting[0]
            sent = 0
            for subscriber in islice(subscribers, left):
                sent += 1
                if subscriber in topic.subscribers:
                    _push(subscriber, topic, packed)
            left -= sent
            if left:
                self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._turn)
            return
        self._is_awake = False
        while self._then and not self._is_awake:
            self._then.popleft()()


def _push(subscriber: Any, topic: Topic, packed: Packed) -> None:
    """What goes wrong with one costs the others nothing."""
    try:
        subscriber.push(topic, packed)
    except Exception as wrong:  # noqa: BLE001 - whatever it is, it is one client's
        _LOG.critical("a message was not sent to one of those who are to have it: %s", wrong, exc_info=wrong)
