"""Keeps views of one partition outside this process: from the blocks that a topic brings, and what it did not bring from the record.

The record is what counts. A block of the topic is taken by a view that has all before it; any other view is *behind*, and reads the
record until it has caught up. So it is no matter where the topic is read from, what it brings twice, and what it no longer has.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from eventstore.blocks import Block, genesis
from eventstore.errors import Damaged, NewerSchema, StoreFailed
from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.view import Displaced, Fold, Gap, Projection, RemoteView, ViewAway

SLICE_S: Final = 0.5  # of reading the record, before blocks of the topic have their turn
RETRY_S: Final = 1.0
SILENT_S: Final = 1.0  # so long a block that is on record may take to come by the topic
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """One view, and how it is.

    seq         the block it is as of
    is_behind   what it needs next stands in the record, not in the topic
    trouble     what it waits out, empty when nothing
    stopped     why it takes no block in any more, None while it does
    """

    make: Callable[[], Fold]
    view: RemoteView
    projection: Projection
    seq: int = 0
    is_behind: bool = True
    trouble: str = ""
    stopped: str = ""
    retry_s: float = field(default=0.0, repr=False)

    @property
    def reads(self) -> bool:
        """Whether it is to read the record now."""
        return self.is_behind and not self.stopped and time.monotonic() >= self.retry_s

    def wait(self, trouble: Exception) -> None:
        """Read the record, but not at once."""
        self.is_behind, self.trouble, self.retry_s = True, str(trouble), time.monotonic() + RETRY_S


class Keeper:
    """Views of *partition*. One thread at a time calls its methods, any may look at *kept*.

    folds   name of a view -> makes its fold
    view    name -> where its rows go
    log     the record
    """

    def __init__(self, partition: int, folds: Mapping[str, Callable[[], Fold]], view: Callable[[str], RemoteView], log: BlockLog) -> None:
        self.partition, self._log = partition, log
        self.kept: dict[str, Kept] = {}
        for name, make in folds.items():
            where = view(name)
            self.kept[name] = Kept(make, where, Projection(partition, make(), where))
        self._last = (0, genesis(partition).hash)
        self._ended_at = (0, time.monotonic())
        self._closing = False

    def wants(self, seq: int) -> bool:
        """Whether a view would take block *seq* from the topic."""
        return any(not kept.is_behind and not kept.stopped and kept.projection.seq < seq for kept in self.kept.values())

    def take(self, block: Block) -> None:
        """A block of the topic. One that does not follow the last is not taken: the record says which is right."""
        seq, last_hash = self._last
        if block.seq == seq + 1 and block.prev_hash != last_hash:
            self.doubt(f"the topic's block {block.seq} does not follow block {seq} of the record")
            return
        columns = Columns(block)
        for name, kept in self.kept.items():
            if not kept.is_behind and not kept.stopped:
                self._advance(name, kept, columns)
        self._last = (block.seq, block.hash)

    def doubt(self, why: str) -> None:
        """What the topic brought is no block of the record: every view reads there."""
        _LOG.error("partition %d: %s; run `outcry verify`", self.partition, why, extra={"partition": self.partition})
        for kept in self.kept.values():
            kept.is_behind = True

    def tend(self) -> bool:
        """Let the views that are behind read the record, for SLICE_S at most. True: there is more to read."""
        reading = {name: kept for name, kept in self.kept.items() if kept.reads}
        if not reading:
            return False
        try:
            self._read(reading)
        except (StoreFailed, Damaged, NewerSchema) as failed:
            if not any(kept.trouble for kept in reading.values()):
                _LOG.error("partition %d: views cannot read the record: %s", self.partition, failed, extra={"partition": self.partition})
            for kept in reading.values():
                kept.wait(failed)
        return any(kept.reads and not kept.trouble for kept in self.kept.values())

    def notice(self, seq: int) -> None:
        """The record ends with block *seq* now: a view that still lacks what was its end SILENT_S ago reads it there. From any thread."""
        end, since_s = self._ended_at
        if time.monotonic() - since_s < SILENT_S:
            return
        for kept in self.kept.values():
            if kept.projection.seq < end:
                kept.is_behind = True
        self._ended_at = (seq, time.monotonic())

    def close(self) -> None:
        """Read the record no further. From any thread."""
        self._closing = True

    def positions(self) -> dict[str, int]:
        """The block that each view is as of. From any thread."""
        return {name: kept.seq for name, kept in self.kept.items()}

    def stopped(self) -> list[str]:
        """The views that met a block which they cannot take in. From any thread."""
        return [name for name, kept in self.kept.items() if kept.stopped]

    def not_ready(self) -> list[str]:
        """Which views stand still, and why. From any thread."""
        return [
            f"view {name} of partition {self.partition}: {kept.stopped or kept.trouble}"
            for name, kept in self.kept.items()
            if kept.stopped or kept.trouble
        ]

    def _read(self, reading: dict[str, Kept]) -> None:
        """Those that come to the end of the record are not behind any more."""
        end_s = time.monotonic() + SLICE_S
        for block in self._log.read(self.partition, min(kept.projection.seq for kept in reading.values())):
            columns = Columns(block)
            for name, kept in list(reading.items()):
                if not self._advance(name, kept, columns):
                    del reading[name]
            self._last = (block.seq, block.hash)
            if not reading or self._closing or time.monotonic() > end_s:
                return
        for kept in reading.values():
            kept.is_behind = False

    def _advance(self, name: str, kept: Kept, block: Columns) -> bool:
        """Whether the view has the block now."""
        try:
            _written(kept.projection, block)
            kept.seq = max(kept.projection.seq, kept.view.position(self.partition))
        except Gap:
            kept.is_behind = True
        except ViewAway as away:
            if not kept.trouble:
                _LOG.warning("%s", away, extra={"partition": self.partition, "view": name})
            kept.wait(away)
        except Displaced as lost:
            _LOG.error("view %s: %s; it is folded anew", name, lost, extra={"partition": self.partition, "view": name})
            kept.projection = Projection(self.partition, kept.make(), kept.view)
            kept.is_behind = True
        except Exception as poison:  # noqa: BLE001 - whatever it is, it stops this view only
            self._stop(name, kept, block.seq, poison)
        else:
            kept.trouble = ""
            return True
        return False

    def _stop(self, name: str, kept: Kept, seq: int, poison: Exception) -> None:
        kept.stopped = f"stopped before block {seq}: {type(poison).__name__}: {poison}"
        extra = {"partition": self.partition, "view": name, "seq": seq}
        _LOG.critical("view %s of partition %d %s", name, self.partition, kept.stopped, exc_info=poison, extra=extra)
        with suppress(ViewAway):
            kept.view.say(self.partition, kept.stopped)


def _written(projection: Projection, block: Columns) -> None:
    """Advance. A view that another has written further, as a rebuild does, is gone on with once the fold is there, too."""
    while True:
        try:
            projection.advance(block)
        except Displaced as displaced:
            if displaced.found_at < displaced.left_at:
                raise
        else:
            return
