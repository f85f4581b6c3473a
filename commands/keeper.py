"""Snapshots are kept beside the commits, never before them: a state of 400 MB takes a store seconds."""

from __future__ import annotations

import logging
import threading
from typing import Final

from eventstore.blocks import Head
from eventstore.ports import Snapshot, SnapshotStore, StoreFailed

SNAPSHOTS_KEPT: Final = 2
_LOG: Final = logging.getLogger(__name__)


def keep(snapshots: SnapshotStore, head: Head, state: bytes) -> None:
    """Keep *state*, as of *head*, as a snapshot, and few others. Failing at it is a warning: the record alone is enough."""
    try:
        snapshots.save(Snapshot(head.partition, head.seq, head.hash, state))
        snapshots.prune(head.partition, SNAPSHOTS_KEPT)
    except StoreFailed as failed:
        _LOG.warning("partition %d: no snapshot of block %d: %s", head.partition, head.seq, failed)


class Keeper:
    """Keeps one snapshot at a time, in a thread; what comes meanwhile is left out, so that at most one state waits in memory."""

    def __init__(self, snapshots: SnapshotStore) -> None:
        self._snapshots = snapshots
        self._thread: threading.Thread | None = None

    def offer(self, head: Head, state: bytes) -> None:
        """Keep *state*, unless the one before is still being kept."""
        if self._thread is not None and self._thread.is_alive():
            _LOG.warning("partition %d: no snapshot of block %d: the one before is still being kept", head.partition, head.seq)
            return
        self._thread = threading.Thread(target=keep, args=(self._snapshots, head, state), name="snapshot", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until what was taken is kept."""
        if self._thread is not None:
            self._thread.join()
