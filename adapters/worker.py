"""A worker of a stack: one process that follows every trading partition, and owns those that the consumer group gives it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack, closing
from typing import Final

from adapters.announce import announced, name_of
from adapters.kafka_inbox import BadPosition, CommandsInbox
from adapters.metrics import Metrics
from adapters.registry.registry import Registry
from adapters.seat import Seat
from adapters.settings import Settings
from adapters.status import StatusServer
from commands.ownership import Ownership
from eventstore import topics
from eventstore.kafka import BlocksTopic
from eventstore.ports import BlockLog, SnapshotStore

OBSERVE_S: Final = 0.5
BEAT_S: Final = 0.1
FORWARD_S: Final = 0.05
FORWARD_AGAIN_S: Final = 1.0
GROUP: Final = "outcry-workers"
READY_WITHIN_BLOCKS: Final = 1_000
_LOG: Final = logging.getLogger(__name__)


class Worker:
    """Serves until `stop` is set; then drains, commits, hands over and keeps snapshots.

    cluster  id of the market: of the record, and of every record in Kafka
    Raises   BadTopic, StoreFailed when Kafka is not as it must be; Damaged and broken invariants stop a partition, not the worker
    """

    def __init__(self, settings: Settings, log: BlockLog, snapshots: SnapshotStore, cluster: str) -> None:
        self._name = name_of(settings)
        topics.check(settings.kafka, topics.wanted(settings.partitions, prefix=settings.topic_prefix))
        self.metrics = Metrics(self._name, inbox_commands=settings.inbox_commands)
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
        self._observed_s = 0.0
        self._settings, self._log = settings, log

    def serve(self, stop: threading.Event) -> None:
        """Be a worker until *stop*. Raises what ended the membership in the group."""
        with ExitStack() as open_things:
            status = StatusServer(self.metrics, self._settings.http_port, self.not_ready, lambda: self._beat_s)
            open_things.enter_context(closing(status))
            open_things.enter_context(announced(self._settings.stack, self._name, status.port))
            for seat in self._seats.values():
                seat.tend(self._inbox)  # warm before the group gives anything
            threads = [
                threading.Thread(target=self._be_member, args=(stop,), name="inbox", daemon=True),
                threading.Thread(target=self._forward, args=(stop,), name="registry", daemon=True),
                *(
                    threading.Thread(target=seat.run, args=(self._inbox, stop), name=f"partition {number}", daemon=True)
                    for number, seat in self._seats.items()
                ),
            ]
            for thread in threads:
                thread.start()
            _LOG.info("serving", extra={"partitions": len(self._seats), "port": status.port})
            while not stop.wait(BEAT_S):
                self._beat_s = time.monotonic()
                if self._beat_s >= self._observed_s + OBSERVE_S:
                    self._observed_s = self._beat_s
                    self.metrics.observe([seat.status() for seat in self._seats.values()])
            for thread in threads:
                thread.join()
            for seat in self._seats.values():
                seat.close()
            _LOG.info("stopped")
        if self._failure is not None:
            raise self._failure

    def not_ready(self) -> list[str]:
        """Why it could not take over at once, or does not serve what it owns; nothing when all is well."""
        reasons = []
        for status in (seat.status() for seat in self._seats.values()):
            behind = status.seq - status.followed_seq
            if status.trouble:
                reasons.append(f"partition {status.partition}: {status.trouble}")
            elif status.role == "none":
                reasons.append(f"partition {status.partition}: neither owned nor followed")
            elif behind > READY_WITHIN_BLOCKS:
                reasons.append(f"partition {status.partition}: {behind} blocks behind the record")
        return reasons

    def _be_member(self, stop: threading.Event) -> None:
        try:
            self._inbox.run(stop)
        except BaseException as error:  # noqa: BLE001 - a worker that is no member any more must end, and say why
            self._failure = error
            stop.set()

    def _forward(self, stop: threading.Event) -> None:
        """Tell the partitions of ours what is registered; trading goes on when that fails."""
        registry: Registry | None = None
        while not stop.wait(FORWARD_S):
            try:
                registry = registry or Registry(self._log)
                for seat in self._seats.values():
                    seat.forward(registry)
            except Exception as failed:  # noqa: BLE001 - the record is away, or what was registered is damaged
                _LOG.warning("nothing that was registered is forwarded now: %s", failed)
                stop.wait(FORWARD_AGAIN_S)

    def _held(self, number: int, error: BadPosition) -> None:
        self._seats[number].broken = error
        _LOG.critical("partition %d: %s", number, error, extra={"partition": number})
