"""Doors in the process that also writes: `outcry serve` of the embedded profile."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from typing import Final

from adapters.alerts import alerting
from adapters.doors import address
from adapters.doors.desk import Desk
from adapters.doors.gateway import Gateway, Ports
from adapters.doors.house import House
from adapters.doors.sessions import InMemory, Sessions
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.registry import seal
from adapters.registry.credentials import Credentials
from adapters.registry.forwarder import Forwarder
from adapters.registry.registry import Registry
from adapters.settings import Settings
from adapters.wiring import RECORD
from commands.writer import Writer
from eventstore.sqlite import SqliteLog
from projections.embedded import FOLDS

FORWARD_S: Final = 0.02
_LOG: Final = logging.getLogger(__name__)


@contextmanager
def doors(settings: Settings, writer: Writer, feed: Feed) -> Iterator[Gateway]:
    """Open them beside *writer*. The registry has a connection of its own to the record, for it commits on its own."""
    with closing(SqliteLog(settings.store / RECORD)) as log, ExitStack() as opened:
        sealed = seal.of_folder(settings.folder)
        registry = Registry(log)
        credentials = Credentials(registry, sealed)
        sessions = Sessions(InMemory(), sealed.derive("sessions"))
        told = opened.enter_context(alerting.embedded(registry, log, writer, feed))

        @asynccontextmanager
        async def house() -> AsyncIterator[House]:
            record = Record(log, FOLDS)
            reads = Reads([feed], None, record)
            yield House(
                registry,
                credentials,
                sessions,
                desks={feed.partition: Desk(writer)},
                reads=reads,
                durability=log.durability,
                test_mode=settings.test_mode,
                feeds=[feed],
                alerts=told,
            )
            await reads.close()
            await record.close()

        with (
            forwarding(registry, writer, feed.partition),
            Gateway(house, Ports(settings.rest_port, settings.ws_port), host=settings.doors_at) as gateway,
            address.announced(settings.store, *gateway.urls),
        ):
            _LOG.info("doors are open", extra={"rest_port": gateway.ports.rest, "ws_port": gateway.ports.ws})
            yield gateway


@contextmanager
def forwarding(registry: Registry, writer: Writer, partition: int) -> Iterator[None]:
    """Tell *writer* what is registered, in a thread of its own."""
    stop = threading.Event()
    forwarder = Forwarder(registry, partition)

    def run() -> None:
        while not stop.wait(FORWARD_S) and writer.failure is None:
            forwarder.forward(writer)

    thread = threading.Thread(target=run, name="registry", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
