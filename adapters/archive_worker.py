"""The worker that archives: it closes the ranges that are at their end, again and again. It trades nothing, and any number may run."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import ExitStack, closing
from typing import Final

from prometheus_client import Gauge

from adapters.announce import announced, name_of
from adapters.metrics import Metrics
from adapters.reader_metrics import watch
from adapters.settings import Settings
from adapters.status import StatusServer
from eventstore.closing import close_ranges
from eventstore.errors import StoreFailed
from eventstore.ports import BlockLog, markets
from eventstore.shelf import Shelf

BEAT_S: Final = 0.1
_LOG: Final = logging.getLogger(__name__)


class ArchiveWorker:
    """Archives *log* into *shelf* every so many seconds until `stop` is set. Raises Damaged, NewerSchema: those need people."""

    def __init__(self, settings: Settings, log: BlockLog, shelf: Shelf, every_s: float) -> None:
        self._settings, self._log, self._shelf, self._every_s = settings, log, shelf, every_s
        self._name = name_of(settings)
        self._metrics = Metrics(self._name)
        watch(self._metrics.registry, log)
        self._archived = Gauge("outcry_archived_seq", "Last block in the archive.", ("partition",), registry=self._metrics.registry)
        self._closed = Gauge("outcry_archive_bytes", "Bytes this worker archived.", ("partition",), registry=self._metrics.registry)
        self._beat_s = time.monotonic()
        self._away = "nothing was looked at yet"
        self._failure: BaseException | None = None

    def serve(self, stop: threading.Event) -> None:
        """Be a worker until *stop*. Raises what ended it otherwise."""
        with ExitStack() as open_things:
            status = StatusServer(self._metrics, self._settings.http_port, self.not_ready, lambda: self._beat_s)
            open_things.enter_context(closing(status))
            open_things.enter_context(announced(self._settings.stack, self._name, status.port))
            archiving = threading.Thread(target=self._archive, args=(stop,), name="archive", daemon=True)
            archiving.start()
            _LOG.info("serving", extra={"port": status.port})
            while not stop.wait(BEAT_S):
                self._beat_s = time.monotonic()
            archiving.join()
            _LOG.info("stopped")
        if self._failure is not None:
            raise self._failure

    def not_ready(self) -> list[str]:
        """What it waits out, if anything."""
        return [self._away] if self._away else []

    def _archive(self, stop: threading.Event) -> None:
        try:
            while True:
                self._round(stop)
                if stop.wait(self._every_s):
                    return
        except BaseException as error:  # noqa: BLE001 - a worker that archives nothing any more must end, and say why
            self._failure = error
        finally:
            stop.set()

    def _round(self, stop: threading.Event) -> None:
        """Close what is at its end; the world's failures are waited out."""
        try:
            for partition in markets(self._log):
                for entry in close_ranges(self._log, self._shelf, partition):
                    self._closed.labels(partition).inc(entry.size_bytes)
                    _LOG.info("archived", extra={"partition": partition, "seq": entry.to_seq, "file": entry.file})
                    if stop.is_set():
                        return
                self._archived.labels(partition).set(self._shelf.head(partition).seq)
            self._away = ""
        except StoreFailed as failed:
            if self._away != str(failed):
                _LOG.warning("%s", failed)
            self._away = str(failed)
        self._metrics.observe(())
