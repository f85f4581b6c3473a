"""The embedded profile as a process: one partition, one SQLite file, its views in memory behind it, metrics beside it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import closing
from typing import Final

from adapters.announce import name_of
from adapters.metrics import Metrics, PartitionStatus
from adapters.settings import Settings
from adapters.status import StatusServer
from commands.writer import Writer
from eventstore.blocks import Block
from eventstore.ports import BlockLog, SnapshotStore
from projections.embedded import Views
from projections.runner import Runner

TEND_S: Final = 0.05
_LOG: Final = logging.getLogger(__name__)


class Single:
    """Serves one partition until `stop` is set. Raises what stopped the writer."""

    def __init__(self, settings: Settings, log: BlockLog, snapshots: SnapshotStore) -> None:
        self._settings, self._log, self._snapshots = settings, log, snapshots
        self._views = Views(settings.partition)
        self._metrics = Metrics(name_of(settings), inbox_commands=settings.inbox_commands)
        self._writer: Writer | None = None
        self._beat_s = time.monotonic()

    def serve(self, stop: threading.Event) -> None:
        """Write the partition until *stop*."""
        with Runner(self._views, self._log, busy=self._is_busy) as runner:
            self._serve(stop, runner)
        _LOG.info("stopped")

    def _serve(self, stop: threading.Event, runner: Runner) -> None:
        def committed(block: Block, events: bytes, took_s: float) -> None:
            runner.offer(block)
            self._metrics.on_commit(block, events, took_s)

        writer = self._writer = Writer(
            self._log,
            self._snapshots,
            self._settings.partition,
            inbox_commands=self._settings.inbox_commands,
            snapshot_every_events=self._settings.snapshot_every_events,
            on_commit=committed,
        )
        server = StatusServer(self._metrics, self._settings.http_port, lambda: self._not_ready(runner), lambda: self._beat_s)
        with writer, closing(server) as status:
            _LOG.info("serving", extra={"partition": self._settings.partition, "port": status.port})
            while not stop.wait(TEND_S) and writer.failure is None:
                self._beat_s = time.monotonic()
                writer.let_expire(time.time_ns())
                self._metrics.observe([self._status(writer)])
                self._metrics.observe_views(self._settings.partition, writer.head.seq, self._views.positions(), self._views.stopped)

    def _is_busy(self) -> bool:
        """The writer is being made, or commands wait for it."""
        return self._writer is None or self._writer.waiting_commands > 0

    def _not_ready(self, runner: Runner) -> list[str]:
        unread = [f"views: {runner.failure}"] if runner.failure else []
        return unread + [f"view {name}: {why}" for name, why in self._views.stopped.items()]

    def _status(self, writer: Writer) -> PartitionStatus:
        head = writer.head
        return PartitionStatus(
            head.partition, "owner", head.epoch, head.seq, head.seq, writer.waiting_commands, writer.in_flight_blocks, head.seq, 0, ""
        )
