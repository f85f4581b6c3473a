"""A gateway of a stack, as a process: doors of a house whose desks send to Kafka, and which sees in the blocks what became of it.

It writes nothing but the registry. Any number of them serve side by side; one that is gone is replaced by any other, for what its clients
were answered is on record, and what they were not answered they send again by its name.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing, contextmanager
from typing import Final

from prometheus_client import Gauge

from adapters.announce import announced
from adapters.doors.alerts import of_stack
from adapters.doors.desk import Desk
from adapters.doors.gateway import Gateway
from adapters.doors.house import House
from adapters.doors.line import KafkaLine
from adapters.doors.rest.health import waits_for
from adapters.doors.sessions import InRedis, Sessions
from adapters.doors.slots import Slot
from adapters.metrics import Metrics
from adapters.readers import reading_views
from adapters.redis_view import connect
from adapters.registry import seal
from adapters.registry.calendars import opening_soon
from adapters.registry.credentials import Credentials
from adapters.registry.registry import Registry
from adapters.settings import Settings
from adapters.status import StatusServer
from eventstore import topics
from eventstore.ports import BlockLog
from projections.embedded import FOLDS

TOLD: Final = ("quotes", "depth", "book", "trades", "bars", "statistics", "orders", "balances", "instruments")  # what channels tell of
BEAT_S: Final = 0.1
OBSERVE_S: Final = 0.5
SESSIONS_S: Final = 0.25  # with a Redis that does not answer
_LOG: Final = logging.getLogger(__name__)


class GatewayProcess:
    """Serves at *slot* until `stop` is set; then drains. What it is called stands in `settings.worker`.

    told     is told the URLs of the doors once they are open
    Raises   BadSettings, BadTopic, StoreFailed, OSError: what it stands on is not as it must be
    """

    def __init__(self, settings: Settings, slot: Slot, told: Callable[[str, str], None] = lambda _rest, _websocket: None) -> None:
        self._settings, self._slot, self._told = settings, slot, told
        self._metrics = Metrics(settings.worker)
        self._gauges = {
            name: Gauge(f"outcry_door_{name}", says, ("partition",), registry=self._metrics.registry)
            for name, says in (
                ("waiting_commands", "Commands that wait at the desk of a partition, or are under way."),
                ("cut", "1 while the way to a partition is cut; /ready says why."),
            )
        }
        self._house: House | None = None
        self._lines: dict[int, KafkaLine] = {}
        self._beat_s = time.monotonic()
        self._is_leaving = False

    def serve(self, stop: threading.Event) -> None:
        """Until *stop*. Raises what ended it otherwise."""
        with ExitStack() as opened:
            status = opened.enter_context(
                closing(StatusServer(self._metrics, self._settings.http_port, self.not_ready, lambda: self._beat_s))
            )
            gateway = opened.enter_context(
                Gateway(self._opened, self._slot.ports, host=self._settings.doors_at, proxies=self._settings.proxies)
            )
            opened.enter_context(announced(self._settings.stack, self._settings.worker, status.port))
            ports = {"rest_port": gateway.ports.rest, "ws_port": gateway.ports.ws, "port": status.port}
            _LOG.info("doors are open", extra=ports)
            self._told(*gateway.urls)
            while not stop.wait(OBSERVE_S) and gateway.failure is None:
                self._observe()
            self._is_leaving = True
            _LOG.info("doors are being closed")
        _LOG.info("stopped")

    def not_ready(self) -> list[str]:
        """Why nobody should be sent here now."""
        house = self._house
        if house is None:
            return ["the doors are not open yet"]
        if self._is_leaving:
            return ["this gateway goes away"]
        cut = [line.trouble for line in self._lines.values() if line.trouble]
        return cut + [why for feed in house.feeds for why in waits_for(feed)]

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[House]:
        settings = self._settings
        async with AsyncExitStack() as opened:
            pushed = {name: FOLDS[name] for name in TOLD}
            reads, feeds, store = await opened.enter_async_context(reading_views(settings, pushed=pushed, soon=_opening_soon))
            topics.check(settings.kafka, topics.wanted(settings.partitions, prefix=settings.topic_prefix))
            registry = await asyncio.to_thread(Registry, store.log)
            sealed = seal.of_folder(settings.folder)
            client = opened.enter_context(closing(connect(settings.redis, patience_s=SESSIONS_S)))
            for feed in feeds:
                line = KafkaLine(settings.kafka, feed.partition, settings.topic_prefix)
                self._lines[feed.partition] = opened.enter_context(closing(line))
                feed.hear(line.take)  # clients are answered before views are folded
            self._house = House(
                registry,
                Credentials(registry, sealed),
                Sessions(InRedis(client, store.log.cluster), sealed.derive("sessions")),
                {number: Desk(line) for number, line in self._lines.items()},
                reads,
                store.log.durability,
                test_mode=settings.test_mode,
                feeds=feeds,
                alerts=opened.enter_context(of_stack(settings)),
            )
            beating = asyncio.ensure_future(self._beat())
            try:
                yield self._house
            finally:
                beating.cancel()

    async def _beat(self) -> None:
        """In the loop that answers clients: when it stands still, so does this."""
        while True:
            self._beat_s = time.monotonic()
            await asyncio.sleep(BEAT_S)

    def _observe(self) -> None:
        assert self._house is not None, "the doors are open"
        for feed in self._house.feeds:
            positions = {name: seq for name, seq in feed.positions().items() if name in feed.pushed}
            self._metrics.observe_views(feed.partition, feed.seq, positions, feed.stopped)
            self._gauges["waiting_commands"].labels(feed.partition).set(self._house.desks[feed.partition].waiting)
            self._gauges["cut"].labels(feed.partition).set(bool(self._lines[feed.partition].trouble))
        self._metrics.observe(())


@contextmanager
def process(settings: Settings, slot: Slot) -> Iterator[GatewayProcess]:
    """As serving.serve wants it."""
    yield GatewayProcess(settings, slot)


def _opening_soon(log: BlockLog) -> list[tuple[int, int]]:
    """Partition and number of what calendars open within the hour, the first to open first."""
    return [(listing.partition, int(listing.terms["instrument"])) for listing in opening_soon(Registry(log), time.time_ns())]
