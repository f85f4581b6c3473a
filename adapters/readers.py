"""What a process opens that reads views of a stack: every door, and `outcry read`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Final, NamedTuple

from adapters.history import following
from adapters.reads.feed import PUSHED, Feed, Topic
from adapters.reads.popular import Popular, load
from adapters.reads.reads import Reads
from adapters.reads.record import Record
from adapters.reads.remote import PATIENCE_S, Remote
from adapters.reads.warm import Warming, plan
from adapters.settings import Settings
from adapters.wiring import ViewStore, views
from eventstore.kafka import BlocksTopic
from eventstore.ports import BlockLog
from eventstore.topics import BLOCKS
from projections.embedded import FOLDS
from projections.view import Fold

ASKED: Final = "asked"  # in the folder of the stack
TURN_S: Final = 60.0
KAFKA_S: Final = 2.0  # of silence; then the record is looked at
SWITCH_S: Final = 0.0005  # after which a thread gives the interpreter to one that waits for it: a busy loop must not starve what feeds it
_LOG: Final = logging.getLogger(__name__)


class Opened(NamedTuple):
    """What is read through, the partitions that are pushed, and the record and Redis beneath."""

    reads: Reads
    feeds: list[Feed]
    store: ViewStore


@asynccontextmanager
async def reading_views(
    settings: Settings,
    *,
    pushed: Mapping[str, Callable[[], Fold]] = PUSHED,
    warm: bool = True,
    soon: Callable[[BlockLog], Iterable[tuple[int, int]]] = lambda _: (),
    patience_s: float = PATIENCE_S,
) -> AsyncIterator[Opened]:
    """Reads of all partitions of the stack, warmed: what will be asked is in memory, or is being loaded when that takes long.

    warm        False: for who asks once. Nothing is loaded before, nothing is counted
    soon        partition and number of the instruments that open next, by who knows calendars
    patience_s  with a Redis that does not answer
    Raises      BadSettings, NewerSchema, StoreFailed
    """
    sys.setswitchinterval(SWITCH_S)
    async with AsyncExitStack() as opened:
        store = opened.enter_context(views(settings))
        feeds = [
            opened.enter_context(closing(Feed(number, store.log, pushed, store.states()))) for number in range(1, settings.partitions + 1)
        ]
        topic = BlocksTopic(settings.kafka, store.log.cluster, settings.topic_prefix + BLOCKS, KAFKA_S)
        for feed in feeds if warm else ():
            opened.enter_context(closing(Topic(feed, store.log, topic)))
        past = opened.enter_context(following(settings, store.log))
        remote, record = Remote(settings.redis, store.log.cluster, patience_s=patience_s), Record(past, FOLDS, store.states())
        opened.push_async_callback(remote.close)
        opened.push_async_callback(record.close)
        counted = load(settings.folder / ASKED) if warm else Popular()
        reads = Reads(feeds, remote, record, told=counted.count)
        opened.push_async_callback(reads.close)
        if warm:
            opening = await asyncio.to_thread(soon, store.log)
            warming = Warming(reads, plan(feeds, counted.most(), opening))
            opened.push_async_callback(warming.close)
            if not await warming.before_traffic(feeds):
                _LOG.info("warmed in part: %d questions are answered by memory, the rest is being loaded", warming.loaded)
            opened.enter_context(closing(_Counting(counted, settings.folder / ASKED)))
        yield Opened(reads, feeds, store)


class _Counting:
    """Keeps what was asked, every TURN_S and at the end."""

    def __init__(self, counted: Popular, path: Path) -> None:
        self._counted, self._path = counted, path
        self._task = asyncio.create_task(self._run())

    def close(self) -> None:
        """The last time."""
        self._task.cancel()
        self._save()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(TURN_S)
            self._save()

    def _save(self) -> None:
        self._counted.turn(time.time_ns())
        try:
            self._counted.save(self._path)
        except OSError as failed:
            _LOG.warning("what was asked most is not kept: %s", failed)
