"""A worker of a stack: one process that follows every trading partition, and owns those that the consumer group gives it."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import ExitStack, closing
from typing import Final

from adapters.kafka_inbox import BadPosition, CommandsInbox
from adapters.metrics import Metrics
from adapters.seat import Seat
from adapters.settings import Settings
from adapters.status import StatusServer
from commands.ownership import Ownership
from eventstore import topics
from eventstore.kafka import BlocksTopic
from eventstore.ports import BlockLog, SnapshotStore

TEND_S: Final = 0.01
OBSERVE_S: Final = 0.5
GROUP: Final = "outcry-workers"
FOLLOWS_WITHIN_BLOCKS: Final = 1_000
_LOG: Final = logging.getLogger(__name__)


def name_of(settings: Settings) -> str:
    """What this worker is called: as the settings say, else host and process."""
    return settings.worker or f"{socket.gethostname()}-{os.getpid()}"


class Worker:
    """Serves until `stop` is set; then drains, commits, hands over and keeps snapshots.

    cluster  id of the market: of the record, and of every record in Kafka
    Raises   BadTopic, StoreFailed when Kafka is not as it must be; Damaged and broken invariants stop a partition, not the worker
    """

    def __init__(self, settings: Settings, log: BlockLog, snapshots: SnapshotStore, cluster: str) -> None:
        self._name = name_of(settings)
        topics.check(settings.kafka, topics.wanted(settings.partitions, prefix=settings.topic_prefix))
        self.metrics = Metrics(self._name)
        topic = BlocksTopic(settings.kafka, cluster, settings.topic_prefix + topics.BLOCKS)
        limits = {"inbox_commands": settings.inbox_commands, "snapshot_every_events": settings.snapshot_every_events}
        self._seats = {
            number: Seat(Ownership(log, snapshots, number, **limits), log, topic, self.metrics, number)
            for number in range(1, settings.partitions + 1)
        }
        self._inbox = CommandsInbox(
            settings.kafka,
            f"{settings.topic_prefix}{GROUP}-{cluster}",
            self._seats,
            on_assigned=lambda number: self._seats[number].assigned(),
            on_revoked=lambda number: self._seats[number].revoked(),
            on_batch=lambda number, rows, offset: self._seats[number].offer(rows, offset),
            on_failed=self._held,
            worker=self._name,
            prefix=settings.topic_prefix,
        )
        self._failure: BaseException | None = None
        self._beat_s = time.monotonic()
        self._settings = settings

    def serve(self, stop: threading.Event) -> None:
        """Be a worker until *stop*. Raises what ended the membership in the group."""
        with ExitStack() as open_things:
            status = StatusServer(self.metrics, self._settings.http_port, self.not_ready, lambda: self._beat_s)
            open_things.enter_context(closing(status))
            self._announce(open_things, status.port)
            for seat in self._seats.values():
                seat.tend(self._inbox)  # warm before the group gives anything
            inbox = threading.Thread(target=self._be_member, args=(stop,), name="inbox", daemon=True)
            inbox.start()
            _LOG.info("serving", extra={"partitions": len(self._seats), "port": status.port})
            observed_s = 0.0
            while not stop.is_set():
                self._beat_s = time.monotonic()
                for seat in self._seats.values():
                    seat.tend(self._inbox)
                if self._beat_s >= observed_s + OBSERVE_S:
                    observed_s = self._beat_s
                    self.metrics.observe([seat.status() for seat in self._seats.values()])
                stop.wait(TEND_S)
            inbox.join()
            for seat in self._seats.values():
                seat.close()
            _LOG.info("stopped")
        if self._failure is not None:
            raise self._failure

    def not_ready(self) -> list[str]:
        """Why it could not take over at once, or does not serve what it owns; nothing when all is well."""
        return [f"partition {status.partition}: {status.trouble}" for seat in self._seats.values() if (status := seat.status()).trouble] + [
            f"partition {status.partition}: neither owned nor followed"
            for seat in self._seats.values()
            if (status := seat.status()).role == "none"
        ]

    def _be_member(self, stop: threading.Event) -> None:
        try:
            self._inbox.run(stop)
        except BaseException as error:  # noqa: BLE001 - a worker that is no member any more must end, and say why
            self._failure = error
            stop.set()

    def _held(self, number: int, error: BadPosition) -> None:
        self._seats[number].broken = error
        _LOG.critical("partition %d: %s", number, error, extra={"partition": number})

    def _announce(self, open_things: ExitStack, port: int) -> None:
        """Where others find this worker's metrics: a file in the stack's folder, gone when the worker is."""
        import msgspec

        folder = self._settings.stack / "workers"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._name}.json"
        path.write_bytes(msgspec.json.encode({"worker": self._name, "pid": os.getpid(), "port": port}))
        open_things.callback(path.unlink, missing_ok=True)
