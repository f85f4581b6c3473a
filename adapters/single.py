"""The embedded profile as a process: one partition, one SQLite file, its views in memory behind it, metrics beside it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Final, TypeAlias

from adapters.announce import name_of
from adapters.metrics import Metrics, PartitionStatus
from adapters.reads.feed import Feed
from adapters.settings import Settings
from adapters.status import StatusServer
from commands.ports import RowBytes
from commands.writer import Writer
from eventstore.blocks import Block
from eventstore.ports import BlockLog, SnapshotStore
from projections.embedded import FOLDS

TEND_S: Final = 0.05
_LOG: Final = logging.getLogger(__name__)


Beside: TypeAlias = Callable[[Writer, Feed], AbstractContextManager[object]]
"""What runs beside the writer as long as it does: doors."""


class Single:
    """Serves one partition until `stop` is set. Raises what stopped the writer."""

    def __init__(
        self, settings: Settings, log: BlockLog, snapshots: SnapshotStore, beside: Beside = lambda _writer, _feed: nullcontext()
    ) -> None:
        self._settings, self._log, self._snapshots, self._beside = settings, log, snapshots, beside
        self._metrics = Metrics(name_of(settings), inbox_commands=settings.inbox_commands)
        self._writer: Writer | None = None
        self._beat_s = time.monotonic()

    def serve(self, stop: threading.Event) -> None:
        """Write the partition until *stop*."""
        with closing(Feed(self._settings.partition, self._log, FOLDS, busy=self._is_busy)) as feed:
            self._serve(stop, feed)
        _LOG.info("stopped")

    def _serve(self, stop: threading.Event, feed: Feed) -> None:
        def committed(block: Block, rows: RowBytes, took_s: float) -> None:
            feed.offer(block, rows)
            self._metrics.on_commit(block, rows.events, took_s)

        writer = self._writer = Writer(
            self._log,
            self._snapshots,
            self._settings.partition,
            inbox_commands=self._settings.inbox_commands,
            snapshot_every_events=self._settings.snapshot_every_events,
            on_commit=committed,
        )
        server = StatusServer(self._metrics, self._settings.http_port, lambda: self._not_ready(feed), lambda: self._beat_s)
        with writer, closing(server) as status, self._beside(writer, feed):
            _LOG.info("serving", extra={"partition": self._settings.partition, "port": status.port})
            while not stop.wait(TEND_S) and writer.failure is None:
                self._beat_s = time.monotonic()
                writer.let_expire(time.time_ns())
                self._metrics.observe([self._status(writer)])
                positions = {name: seq for name, seq in feed.positions().items() if name in FOLDS}
                self._metrics.observe_views(self._settings.partition, writer.head.seq, positions, feed.stopped)

    def _is_busy(self) -> bool:
        """The writer is being made, or commands wait for it."""
        return self._writer is None or self._writer.waiting_commands > 0

    def _not_ready(self, feed: Feed) -> list[str]:
        unread = [f"views: {feed.failure}"] if feed.failure else []
        return unread + [f"view {name}: {why}" for name, why in feed.stopped.items()]

    def _status(self, writer: Writer) -> PartitionStatus:
        head = writer.head
        return PartitionStatus(
            head.partition, "owner", head.epoch, head.seq, head.seq, writer.waiting_commands, writer.in_flight_blocks, head.seq, 0, ""
        )
