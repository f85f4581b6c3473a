"""Keeps the views of a partition up to date in a thread of its own, behind whoever commits its blocks and never in his way."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from eventstore.blocks import Block
from eventstore.ports import BlockLog, StoreFailed
from projections.embedded import Views
from projections.view import Gap

WAITING_BLOCKS: Final = 64
RETRY_S: Final = 1.0
GIVES_WAY: Final = 9  # times as long as the block before took
GIVES_WAY_AT_MOST_S: Final = 1.0
LOOKS_EVERY_S: Final = 0.002
_LOG: Final = logging.getLogger(__name__)


class Runner:
    """Begins with what the record has, then takes what is offered. At most WAITING_BLOCKS wait: at the bound they are dropped, and what is
    missing is read from the record.

    busy     whether commands wait for the writer. Both share the interpreter, so then a block is followed by a pause GIVES_WAY times as
             long as it took: a tenth of the time is for the views, which lag and say so
    dropped  blocks that were
    failure  why the record could not be read to the end, None when it could; after StoreFailed it is tried again, others are for good
    """

    def __init__(
        self, views: Views, log: BlockLog, *, busy: Callable[[], bool] = lambda: False, waiting_blocks: int = WAITING_BLOCKS
    ) -> None:
        self._views, self._log, self._busy, self._bound = views, log, busy, waiting_blocks
        self._waiting: deque[Block] = deque()
        self._reads = True  # what is missing stands in the record, not in the queue
        self._closing = False
        self._began_s: float | None = None  # the block in hand, by time.monotonic()
        self._pause_s = 0.0
        self._changed = threading.Condition()
        self.dropped = 0
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"partition {views.partition} views", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def offer(self, block: Block) -> None:
        """Take *block*, which is on record, in when its turn comes. Returns at once."""
        with self._changed:
            if len(self._waiting) >= self._bound:
                self.dropped += len(self._waiting)
                self._waiting.clear()
                self._reads = True
            if not self._reads:
                self._waiting.append(block)
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more in; returns when the block in hand is done."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._reads or self._waiting)
                if self._closing:
                    return
                reads, self._reads = self._reads, False
                block = None if reads else self._waiting.popleft()
            try:
                if block is None:
                    self._views.catch_up(self._log, self._goes_on)
                elif self._goes_on():
                    self._views.advance(block)
                self.failure = None
            except Gap:
                self._reads = True
            except StoreFailed as failed:
                self._fail(failed)
                self._reads = True
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, RETRY_S)
            except Exception as failed:  # noqa: BLE001 - Damaged, NewerSchema or whatever it is: views stand still, and say why
                self._fail(failed)
                return
            self._is_done()

    def _goes_on(self) -> bool:
        """Whether to take another block in, after having given way for the one before."""
        self._is_done()
        end_s = time.monotonic() + self._pause_s
        while self._busy() and not self._closing and time.monotonic() < end_s:
            time.sleep(LOOKS_EVERY_S)
        self._began_s = time.monotonic()
        return not self._closing

    def _is_done(self) -> None:
        """The block in hand, if there is one."""
        if self._began_s is not None:
            self._pause_s = min(GIVES_WAY * (time.monotonic() - self._began_s), GIVES_WAY_AT_MOST_S)
            self._began_s = None

    def _fail(self, failed: Exception) -> None:
        if self.failure is None:
            _LOG.error("views of partition %d: %s", self._views.partition, failed, exc_info=failed)
        self.failure = failed
