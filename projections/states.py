"""Kept states of folds: where a worker of views, or a rebuild, begins instead of at the first block. Never needed, the record is enough.

A state is as good as the record says: it names its block by its hash, and its fold by its version. One of another record or version is
passed over, and so is one that cannot be read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec
import zstandard

from eventstore.errors import StoreFailed
from eventstore.ports import BlockLog, Snapshot, SnapshotStore
from projections.view import Fold

KEPT: Final = 2  # of a view and partition: should Redis come back without its last writes, the newest state is beyond its rows
LEVEL: Final = 1
MAX_STATE_BYTES: Final = 2**34
_LOG: Final = logging.getLogger(__name__)


class Begun(NamedTuple):
    """A fold, the block that it is as of (0: it is new), and how many events there were until then."""

    fold: Fold
    seq: int
    events: int


class States:
    """States of folds, by view and partition.

    store  name of a view -> where its states are kept
    log    the record that they must be of
    """

    def __init__(self, store: Callable[[str], SnapshotStore], log: BlockLog) -> None:
        self._store, self._log = store, log

    def keep(self, view: str, partition: int, seq: int, block_hash: bytes, fold: Fold) -> None:
        """Keep what *fold* knows as of block *seq*, whose hash is *block_hash*; all but the KEPT newest go. Raises StoreFailed."""
        packed = zstandard.ZstdCompressor(LEVEL).compress(fold.state())
        store = self._store(view)
        store.save(Snapshot(partition, seq, block_hash, msgspec.msgpack.encode((fold.version, packed))))
        store.prune(partition, KEPT)

    def newest(self, view: str, partition: int, make: Callable[[], Fold], at_most_seq: int | None = None) -> Begun:
        """A fold from the newest state (up to block *at_most_seq*) that fits; a new one when none does. Raises what the record raises."""
        while (kept := self._latest(view, partition, at_most_seq)) is not None:
            fold = make()
            try:
                why, events = self._unfit(kept, fold)
            except (msgspec.MsgspecError, zstandard.ZstdError, ValueError) as unreadable:
                why, events = f"cannot be read: {unreadable}", 0
            if not why:
                return Begun(fold, kept.seq, events)
            _LOG.warning("view %s of partition %d: the state kept of block %d %s; it is passed over", view, partition, kept.seq, why)
            at_most_seq = kept.seq - 1
        return Begun(make(), 0, 0)

    def _latest(self, view: str, partition: int, at_most_seq: int | None) -> Snapshot | None:
        try:
            return self._store(view).latest(partition, at_most_seq)
        except StoreFailed as failed:
            _LOG.warning("view %s of partition %d: kept states: %s; the record is folded from its first block", view, partition, failed)
            return None

    def _unfit(self, kept: Snapshot, fold: Fold) -> tuple[str, int]:
        """Why it cannot be begun from; when it can: an empty reason, *fold* restored, and the events until then."""
        version, packed = msgspec.msgpack.decode(kept.state, type=tuple[int, bytes])
        if version != fold.version:
            return f"is of version {version} of its fold, this release has version {fold.version}", 0
        if self._log.head(kept.partition).seq < kept.seq:
            return "is of another record: this one ends before it", 0
        block = next(self._log.read(kept.partition, kept.seq - 1))
        if block.hash != kept.block_hash:
            return "is of another record: its block has another hash there", 0
        fold.restore(zstandard.ZstdDecompressor().decompress(packed, MAX_STATE_BYTES))
        return "", block.first_event + block.event_count
