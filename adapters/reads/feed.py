"""The memory of a process, fed by push: the hot views of one partition, and what its blocks touched.

It begins with the record and goes on with what is offered: by the writer in the same process, or by Topic.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from adapters.reads.begin import Kept, Latest, begin
from adapters.reads.touches import Touches
from commands.ports import RowBytes
from eventstore.blocks import Block, Head, after, genesis
from eventstore.codec import as_rows
from eventstore.errors import Disagree
from eventstore.kafka import BlocksTopic, Reader
from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.embedded import FOLDS, Views
from projections.runner import Runner
from projections.states import States
from projections.view import Fold, Projection, Rows

PUSHED: Final[Mapping[str, Callable[[], Fold]]] = MappingProxyType(
    {name: FOLDS[name] for name in ("quotes", "depth", "trades", "instruments")}
)
_TOUCHES: Final = "touches"
_TOLD: Final = "told"
SILENT_S: Final = 1.0  # so long the topic may bring nothing before the record is looked at
_LOG: Final = logging.getLogger(__name__)


class Change(NamedTuple):
    """A block, or a run, that was taken in, and by view the rows that it changed; a view that stands still has none."""

    block: Columns
    rows: Mapping[str, Rows]


class Feed(Views):
    """The views of PUSHED, to be read from any thread; waited for by one event loop at a time. Close it.

    states   kept states to begin with; None: with the first block
    busy     whether somebody in this process waits for the interpreter, as for Runner
    touches  what the blocks up to `seq` touched
    trouble  why nothing is pushed now; empty when all is well
    """

    def __init__(
        self,
        partition: int,
        log: BlockLog,
        pushed: Mapping[str, Callable[[], Fold]] = PUSHED,
        states: States | None = None,
        *,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(partition, {})
        self.touches, touched, told = Touches(), Latest(), Latest()
        begun = {name: begin(name, partition, make, states) for name, make in pushed.items()}
        self._began_at = log.head(partition).seq
        behind = min((kept.projection.seq for kept in begun.values()), default=self._began_at)
        before = max(0, behind - 1)  # so the time of the last block is learnt
        if before:
            touched.write({}, partition, before)
            told.write({}, partition, before)
        begun[_TOUCHES] = Kept(touched, Projection(partition, self.touches, touched, before))
        self._pushed_views = {name: kept.view for name, kept in begun.items() if name in pushed}
        self._heard_seq, self._heard_hash = before, None if before else genesis(partition).hash
        self._listeners = tuple[Callable[[Columns], None], ...]()
        self._hearing = threading.Lock()
        self._told = _Told(self._changed)
        begun[_TOLD] = Kept(told, Projection(partition, self._told, told, before))  # the last: views have taken a block in when it does
        for name, kept in begun.items():
            self.views[name], self._projections[name] = kept
        self.pushed = frozenset(pushed)
        self.trouble = ""
        self._last: Head | None = None if before else genesis(partition)
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner = Runner(self, log, busy=busy)

    @property
    def seq(self) -> int:
        """The last block that was taken in."""
        return self.views[_TOUCHES].position(self.partition)

    @property
    def is_current(self) -> bool:
        """Whether it has all that was on record when it began, and takes in what comes."""
        return self.seq >= self._began_at and self._runner.failure is None and not self.trouble

    def shows(self, view: str) -> bool:
        """Whether *view* is pushed, and looked at here."""
        return view in self.pushed and view not in self.stopped and self.is_current

    def time_ns(self, seq: int) -> int:
        """The time of block *seq* or, when that is not here yet, of the last that is. 0: it is too long ago, or nothing is here yet."""
        last = self.seq
        return self.touches.time_ns(min(seq, last)) if last else 0

    def last_event(self, seq: int) -> int:
        """The number of the last event of block *seq*; -1: it is too long ago, or not here yet."""
        return self.touches.last_event(seq) if seq <= self.seq else -1

    def offer(self, block: Block, rows: RowBytes | None = None) -> None:
        """A block that is on record, as soon as its sender knows it is; its rows, if he has them at hand. Returns at once."""
        columns = Columns(block, rows and as_rows(*rows))
        self._hear(columns)
        self._runner.offer(columns)

    def advance(self, run: Columns) -> None:
        """See Views. Raises Disagree: a block does not follow what was taken in, so it is not of the record."""
        last = self._last
        for columns in run.blocks:
            block = columns.source
            if last is not None and block.seq == last.seq + 1 and block.prev_hash != last.hash:
                what = f"block {block.seq} does not follow block {last.seq} as it was pushed or read before"
                raise Disagree("blocks", self.partition, what)
            last = after(block)
        for columns in run.blocks:
            self._hear(columns)
        super().advance(run)
        self._last = last
        if self._waiting and self._loop is not None:
            self._loop.call_soon_threadsafe(self._tell)

    def watch(self, watcher: Callable[[Change], None]) -> None:
        """Have *watcher* told of each block or run from now on, in the thread that takes it in; it must be quick and not raise."""
        self._told.watchers = (*self._told.watchers, watcher)

    def hear(self, listener: Callable[[Columns], None]) -> None:
        """Have *listener* told of each block from now on, in order, once, as soon as it is known; it must be quick and not raise."""
        self._listeners = (*self._listeners, listener)

    def unwatch(self, watcher: Callable[[Change], None]) -> None:
        """Tell it no more."""
        self._told.watchers = tuple(each for each in self._told.watchers if each != watcher)

    async def reaches(self, seq: int, within_s: float) -> bool:
        """Whether block *seq* was taken in within that time."""
        if self.seq >= seq:
            return True
        self._loop = asyncio.get_running_loop()
        waiting = (seq, self._loop.create_future())
        self._waiting.append(waiting)
        self._tell()  # it may have come meanwhile
        try:
            async with asyncio.timeout(within_s):
                await waiting[1]
        except TimeoutError:
            return False
        finally:
            self._waiting.remove(waiting)
        return True

    @property
    def failure(self) -> Exception | None:
        """Why the record could not be read to the end."""
        return self._runner.failure

    def close(self) -> None:
        """Take nothing more in."""
        self._runner.close()

    def _hear(self, block: Columns) -> None:
        """Unless it does not follow the last that was heard of: what is missing is read, and what is not of the record never follows."""
        source = block.source
        with self._hearing:
            if source.seq == self._heard_seq + 1 and self._heard_hash in {None, source.prev_hash}:
                self._heard_seq, self._heard_hash = source.seq, source.hash
                for listener in self._listeners:
                    listener(block)

    def _changed(self, block: Columns) -> Change:
        views = self._pushed_views.items()
        return Change(block, {name: view.changed for name, view in views if view.position(self.partition) == block.seq})

    def _tell(self) -> None:
        for seq, future in self._waiting:
            if seq <= self.seq and not future.done():
                future.set_result(None)


class _Told:
    """A fold (see Fold) that shows nothing and tells those who watch."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, made: Callable[[Columns], Change]) -> None:
        self._made = made
        self.watchers: tuple[Callable[[Change], None], ...] = ()

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        if self.watchers:
            change = self._made(block)
            for watcher in self.watchers:
                watcher(change)
        return {}

    def state(self) -> bytes:
        """See Fold."""
        return b""

    def restore(self, state: bytes) -> None:
        """See Fold."""


class Topic:
    """Pushes what comes to a topic to a Feed, in a thread of its own; what it does not bring is read from the record. Close it."""

    def __init__(self, feed: Feed, log: BlockLog, topic: BlocksTopic) -> None:
        self._feed, self._log, self._topic = feed, log, topic
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"partition {feed.partition} push", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Push nothing more."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow()
            except Exception as wrong:  # noqa: BLE001 - whatever it is, memory must not stand still without a word
                if not self._feed.trouble:
                    _LOG.warning("nothing is pushed, it is tried again: %s", wrong, extra={"partition": self._feed.partition})
                self._feed.trouble = str(wrong)
                self._closing.wait(SILENT_S)

    def _follow(self) -> None:
        """Push what comes. Raises as the topic's Reader and the record do."""
        self._look_at_the_record()
        with Reader(self._topic, self._feed.partition, self._log.head(self._feed.partition).seq) as reader:
            while not self._closing.is_set():
                blocks = reader.take(SILENT_S)
                for block in blocks:
                    self._feed.offer(block)
                if not blocks:
                    self._look_at_the_record()
                self._feed.trouble = ""

    def _look_at_the_record(self) -> None:
        """Offer its last block when it was not pushed: the runner notices what is missing before that, and reads it."""
        head = self._log.head(self._feed.partition).seq
        if head > self._feed.seq:
            for block in self._log.read(self._feed.partition, head - 1):
                self._feed.offer(block)
