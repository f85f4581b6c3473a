"""The store's side of the writer: seals blocks in order, commits them, and only then answers."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Final

from commands.draft import Draft
from commands.ports import Committed
from eventstore.blocks import Head, after, seal
from eventstore.ports import BlockLog, Snapshot, SnapshotStore, StoreFailed

BLOCKS_AHEAD: Final = 2
SNAPSHOTS_KEPT: Final = 2
_LOG: Final = logging.getLogger(__name__)


class Committer:
    """A thread that commits what it is handed, while the next block is executed elsewhere.

    At most BLOCKS_AHEAD complete drafts wait. After a failure nothing is committed any more: each draft fails with that error.
    """

    def __init__(self, log: BlockLog, snapshots: SnapshotStore, head: Head, on_change: Callable[[], None]) -> None:
        """*head* was claimed; *on_change* is called in the thread after every commit and every failure."""
        self._log, self._snapshots, self._on_change = log, snapshots, on_change
        self._drafts: queue.Queue[Draft | None] = queue.Queue(BLOCKS_AHEAD)
        self._handed = self._done = 0
        self.head = head
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"partition {head.partition} store", daemon=True)
        self._thread.start()

    def hand_over(self, draft: Draft) -> None:
        """Commit *draft* after those before it; waits while BLOCKS_AHEAD are waiting."""
        self._handed += 1
        self._drafts.put(draft)

    @property
    def is_idle(self) -> bool:
        """Nothing is waiting or being committed."""
        return self._handed == self._done

    @property
    def is_full(self) -> bool:
        """One more draft would have to wait to be handed over."""
        return self._drafts.full()

    def finish(self) -> None:
        """Commit what was handed over, then end."""
        self._drafts.put(None)
        self._thread.join()

    def save(self, state: bytes) -> None:
        """Keep *state*, which is that of the head, as a snapshot. Failing at it is a warning: the record alone is enough."""
        try:
            self._snapshots.save(Snapshot(self.head.partition, self.head.seq, self.head.hash, state))
            self._snapshots.prune(self.head.partition, SNAPSHOTS_KEPT)
        except StoreFailed as failed:
            _LOG.warning("partition %d: no snapshot of block %d: %s", self.head.partition, self.head.seq, failed)

    def _run(self) -> None:
        while (draft := self._drafts.get()) is not None:
            try:
                if self.failure is None:
                    self._commit(draft)
            except BaseException as error:  # noqa: BLE001 - whatever it was, the block is not committed and senders wait
                self.failure = error
            if self.failure is not None:
                draft.fail(self.failure)
            self._done += 1
            self._on_change()

    def _commit(self, draft: Draft) -> None:
        block = seal(self.head, b"".join(draft.commands), b"".join(draft.events), draft.time_ns, draft.inputs)
        assert block.first_event + block.event_count == draft.next_event, "the record counts the events that memory counted"
        self._log.append(block)
        self.head = after(block)
        for answer in draft.answers:
            answer.future.set_result(Committed(block.seq, answer.first_event, answer.events))
        if draft.state is not None:
            self.save(draft.state)
