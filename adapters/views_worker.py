"""A worker of views: one process that keeps some views, of the partitions that the consumer group gives it. It trades nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from typing import Final

import uvloop

from adapters.announce import announced, name_of
from adapters.metrics import Metrics
from adapters.settings import Settings
from adapters.status import StatusServer
from eventstore import topics
from eventstore.errors import StoreFailed
from eventstore.ports import BlockLog
from projections.faust_app import Following, Source
from projections.keeper import Keeper
from projections.states import States
from projections.view import Fold, RemoteView

GROUP: Final = "outcry-views"
OBSERVE_S: Final = 0.5
BEAT_S: Final = 0.1
READY_WITHIN_BLOCKS: Final = 1_000
NOISY: Final = ("faust", "mode")
_LOG: Final = logging.getLogger(__name__)


class Complaints(logging.Handler):
    """What the Kafka client complains of many times a second while brokers are away is waited out: a warning, told now and then."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log it as ours."""
        _LOG.warning("kafka: %s", record.getMessage())


class ViewsWorker:
    """Keeps the views of *folds* until `stop` is set. Those given the same ones share the partitions among them.

    view    name of a view -> where its rows go
    states  where states of folds are kept, None: nowhere
    Raises  BadTopic, StoreFailed when Kafka is not as it must be
    """

    def __init__(
        self,
        settings: Settings,
        log: BlockLog,
        cluster: str,
        folds: Mapping[str, Callable[[], Fold]],
        view: Callable[[str], RemoteView],
        states: States | None = None,
    ) -> None:
        self._settings, self._log, self._name = settings, log, name_of(settings)
        topics.check(settings.kafka, topics.wanted(settings.partitions, prefix=settings.topic_prefix)[:1])
        group = f"{settings.topic_prefix}{GROUP}-{cluster}-{'-'.join(sorted(folds))}"
        partitions = range(1, settings.partitions + 1)
        source = Source(settings.kafka, settings.topic_prefix + topics.BLOCKS, cluster, group, partitions)
        self._following = Following(source, lambda partition: Keeper(partition, folds, view, log, states))
        self._metrics = Metrics(self._name)
        self._beat_s = time.monotonic()
        self._lags: dict[int, dict[str, int]] = {}
        self._record_away = ""
        self._failure: BaseException | None = None

    def serve(self, stop: threading.Event) -> None:
        """Be a worker until *stop*. Raises what ended it otherwise."""
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.ERROR)
        logging.getLogger("aiokafka").handlers[:] = [Complaints(logging.WARNING)]
        logging.getLogger("aiokafka").propagate = False
        with ExitStack() as open_things:
            status = StatusServer(self._metrics, self._settings.http_port, self.not_ready, lambda: self._beat_s)
            open_things.enter_context(closing(status))
            open_things.enter_context(announced(self._settings.stack, self._name, status.port))
            following = threading.Thread(target=self._follow, args=(stop,), name="views", daemon=True)
            observing = threading.Thread(target=self._observe, args=(stop,), name="lag", daemon=True)
            following.start()
            observing.start()
            _LOG.info("serving", extra={"port": status.port})
            while not stop.wait(BEAT_S):
                self._beat_s = time.monotonic()
            following.join()
            observing.join()
            _LOG.info("stopped")
        if self._failure is not None:
            raise self._failure

    def not_ready(self) -> list[str]:
        """Which views do not show what is on record, and why; nothing when all is well."""
        if not self._following.joined:
            return [self._following.trouble or "the consumer group has not said yet which partitions this worker keeps"]
        reasons = [self._record_away] if self._record_away else []
        for partition, keeper in sorted(self._following.keepers.items()):
            reasons += keeper.not_ready()
            for name, lag in self._lags.get(partition, dict.fromkeys(keeper.kept, READY_WITHIN_BLOCKS + 1)).items():
                if lag > READY_WITHIN_BLOCKS:
                    reasons.append(f"view {name} of partition {partition}: more than {READY_WITHIN_BLOCKS} blocks behind the record")
        return reasons

    def _follow(self, stop: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._following.run(lambda: not stop.is_set()))
        except BaseException as error:  # noqa: BLE001 - a worker that keeps nothing any more must end, and say why
            self._failure = error
        finally:
            stop.set()

    def _observe(self, stop: threading.Event) -> None:
        """Compare with the record, which may be slow to answer: in a thread of its own."""
        while not stop.wait(OBSERVE_S):
            try:
                for partition, keeper in list(self._following.keepers.items()):
                    positions, head = keeper.positions(), self._log.head(partition)
                    keeper.notice(head.seq)
                    self._lags[partition] = {name: max(head.seq - seq, 0) for name, seq in positions.items()}
                    sources = {"topic": keeper.brought_blocks, "record": keeper.read_blocks}
                    refused = {name: getattr(kept.view, "refused", 0) for name, kept in keeper.kept.items()}
                    self._metrics.observe_views(partition, head.seq, positions, keeper.stopped(), sources, refused)
                self._metrics.observe(())
                self._record_away = ""
            except StoreFailed as failed:
                self._record_away = str(failed)
            for partition in self._lags.keys() - self._following.keepers.keys():
                del self._lags[partition]
                self._metrics.forget_views(partition)
