"""Keeps the views of a partition up to date in a thread of its own, behind whoever commits its blocks and never in his way."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from eventstore.ports import BlockLog, StoreFailed
from projections.columns import Columns
from projections.embedded import Views
from projections.runs import runs
from projections.view import Gap

WAITING_BLOCKS: Final = 256
AT_HAND_EVENTS: Final = 262_144  # of waiting blocks whose rows are kept in memory, 128 bytes each; others are decoded in their turn
RETRY_S: Final = 1.0
RESTS: Final = 3  # times as long as the run before took
RESTS_AT_MOST_S: Final = 0.02
GIVES_WAY: Final = 9  # while commands wait
GIVES_WAY_AT_MOST_S: Final = 1.0
LOOKS_EVERY_S: Final = 0.002
_LOG: Final = logging.getLogger(__name__)


class Runner:
    """Begins with what the record has, then takes what is offered, as a run of all that waits. At most WAITING_BLOCKS do: at the bound they
    are dropped, and what is missing is read from the record.

    It shares the interpreter with who answers clients, so a run during which more came is followed by a pause RESTS times as long as it
    took: what comes meanwhile goes together, at the cost of one.

    busy     whether commands wait for the writer: then the pause is GIVES_WAY times as long, a tenth of the time is for the views, which
             lag and say so
    dropped  blocks that were
    failure  why the record could not be read to the end, None when it could; after StoreFailed it is tried again, others are for good
    """

    def __init__(
        self, views: Views, log: BlockLog, *, busy: Callable[[], bool] = lambda: False, waiting_blocks: int = WAITING_BLOCKS
    ) -> None:
        self._views, self._log, self._busy, self._bound = views, log, busy, waiting_blocks
        self._waiting: deque[Columns] = deque()
        self._waiting_events = 0
        self._reads = True  # what is missing stands in the record, not in the queue
        self._closing = False
        self._began_s: float | None = None  # the run in hand, by time.monotonic()
        self._ended_s = self._took_s = 0.0  # the one before
        self._has_more = False  # came while that was in hand
        self._changed = threading.Condition()
        self.dropped = 0
        self.failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=f"partition {views.partition} views", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def offer(self, block: Columns) -> None:
        """Take *block*, which is on record, in when its turn comes. Returns at once."""
        with self._changed:
            if len(self._waiting) >= self._bound:
                self.dropped += len(self._waiting)
                self._waiting.clear()
                self._waiting_events = 0
                self._reads = True
            if not self._reads:
                self._waiting_events += block.event_count
                self._waiting.append(block if self._waiting_events <= AT_HAND_EVENTS else Columns(block.source))
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more in; returns when the run in hand is done."""
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
            try:
                if reads:
                    self._views.catch_up(self._log, self._goes_on)
                else:
                    self._advance()
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

    def _advance(self) -> None:
        """Take in what waits once the pause is over."""
        goes_on = self._goes_on()
        with self._changed:
            waiting, self._waiting, self._waiting_events = self._waiting, deque(), 0
        for run in runs(waiting):
            if not (goes_on or self._goes_on()):
                return
            self._views.advance(run)
            self._is_done()
            goes_on = False

    def _goes_on(self) -> bool:
        """Whether to take another run in, after having rested from the one before."""
        self._is_done()
        while not self._closing and (left_s := self._rest_s()) > 0:
            time.sleep(min(left_s, LOOKS_EVERY_S))
        self._began_s = time.monotonic()
        return not self._closing

    def _rest_s(self) -> float:
        """How long the pause goes on yet."""
        times, at_most_s = (GIVES_WAY, GIVES_WAY_AT_MOST_S) if self._busy() else (RESTS * self._has_more, RESTS_AT_MOST_S)
        return self._ended_s + min(times * self._took_s, at_most_s) - time.monotonic()

    def _is_done(self) -> None:
        """The run in hand, if there is one."""
        if self._began_s is not None:
            self._ended_s = time.monotonic()
            self._took_s, self._began_s = self._ended_s - self._began_s, None
            self._has_more = bool(self._waiting)

    def _fail(self, failed: Exception) -> None:
        if self.failure is None:
            _LOG.error("views of partition %d: %s", self._views.partition, failed, exc_info=failed)
        self.failure = failed
