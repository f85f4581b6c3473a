"""Snapshots are taken and kept beside the commits, never before them: a state of 400 MB takes a store seconds."""

from __future__ import annotations

import logging
import threading
from typing import Final

from commands.image import Image
from domain.partition import Partition
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
    """Takes and keeps one snapshot at a time, so that at most one state waits in memory.

    The executing thread takes an image of the state after a block; once that block is on record it is kept, else dropped.
    """

    def __init__(self, snapshots: SnapshotStore) -> None:
        self._snapshots = snapshots
        self._idle = threading.Event()
        self._idle.set()

    @property
    def is_idle(self) -> bool:
        """The one before is kept or dropped."""
        return self._idle.is_set()

    def take(self, partition: Partition) -> Image | None:
        """An image of *partition* as it is now, to be given to `keep` or `drop`; None when there can be none, with a warning."""
        assert self.is_idle, "at most one state waits in memory"
        try:
            image = Image.take(partition)
        except OSError as failed:
            _LOG.warning("partition %d: no snapshot after event %d: %s", partition.number, partition.events, failed)
            return None
        self._idle.clear()
        return image

    def keep(self, image: Image, head: Head) -> None:
        """Keep *image* as the snapshot of *head*, in a thread."""
        threading.Thread(target=self._keep, args=(image, head), name="snapshot", daemon=True).start()

    def drop(self, image: Image) -> None:
        """What *image* shows never was."""
        image.drop()
        self._idle.set()

    def wait(self) -> None:
        """Until what was taken is kept or dropped."""
        self._idle.wait()

    def _keep(self, image: Image, head: Head) -> None:
        try:
            keep(self._snapshots, head, image.bytes())
        except OSError as failed:
            _LOG.warning("partition %d: no snapshot of block %d: %s", head.partition, head.seq, failed)
        finally:
            self._idle.set()
