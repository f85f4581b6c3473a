"""The store's side of the writer: compresses, hashes and commits blocks in order, and only then answers."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

from commands.draft import Decided, fail
from commands.keeper import Keeper
from commands.ports import Committed, OnCommit
from eventstore.blocks import Head, after, chain
from eventstore.ports import BlockLog

BLOCKS_AHEAD: Final = 2


class Committer:
    """A thread that commits what it is handed, while the next block is executed elsewhere.

    At most BLOCKS_AHEAD blocks wait. After a failure nothing is committed any more: every sender who waits gets that error.
    """

    def __init__(self, log: BlockLog, keeper: Keeper, head: Head, on_change: Callable[[], None], on_commit: OnCommit) -> None:
        """*head* was claimed. Called in the thread: *on_change* after every commit and failure, *on_commit* with every block on record."""
        self._log, self._keeper, self._on_change, self._on_commit = log, keeper, on_change, on_commit
        self._waiting: queue.Queue[Decided | None] = queue.Queue(BLOCKS_AHEAD)
        self._handed = self._done = 0
        self.head = head
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"partition {head.partition} store", daemon=True)
        self._thread.start()

    def hand_over(self, decided: Decided) -> None:
        """Commit a block after those before it; waits while BLOCKS_AHEAD are waiting."""
        self._handed += 1
        self._waiting.put(decided)

    @property
    def is_idle(self) -> bool:
        """Nothing is waiting or being committed."""
        return self._handed == self._done

    @property
    def in_flight(self) -> int:
        """Blocks that were handed over and are not on record yet."""
        return self._handed - self._done

    @property
    def is_full(self) -> bool:
        """One more block would have to wait to be handed over."""
        return self._waiting.full()

    def finish(self) -> None:
        """Commit what was handed over, then end."""
        self._waiting.put(None)
        self._thread.join()
        self._keeper.wait()

    def _run(self) -> None:
        while (decided := self._waiting.get()) is not None:
            try:
                if self.failure is None:
                    self._commit(decided)
            except BaseException as error:  # noqa: BLE001 - whatever it was, the block is not committed and senders wait
                self.failure = error
            if self.failure is not None:
                fail(decided.answers, self.failure)
                if decided.image is not None:
                    self._keeper.drop(decided.image)
            self._done += 1
            self._on_change()

    def _commit(self, decided: Decided) -> None:
        block = chain(self.head, decided.content)
        head = after(block)
        assert head.next_event == decided.next_event, "the record counts the events that memory counted"
        asked_s = time.perf_counter()
        self._log.append(block)
        took_s = time.perf_counter() - asked_s
        self.head = head
        for future, first_event, events in decided.answers:
            future.set_result(Committed(block.seq, first_event, events))
        self._on_commit(block, decided.rows, took_s)
        if decided.image is not None:
            self._keeper.keep(decided.image, head)
