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

from eventstore.blocks import Block, after, genesis
from eventstore.errors import Damaged, NewerSchema, StoreFailed
from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.runs import READ_EVENTS, RUN_EVENTS, for_fold, runs, together
from projections.states import States
from projections.view import Displaced, Fold, Gap, Projection, RemoteView, ViewAway, Whole

SLICE_S: Final = 0.5  # of reading the record, before blocks of the topic have their turn
RETRY_S: Final = 1.0
LOOKS_EVERY_S: Final = 2.0  # whether a view still has what it had
STATE_EVERY_EVENTS: Final = 20_000_000  # folded again in seconds; keeping the largest states takes as long
SILENT_S: Final = 1.0  # so long a block that is on record may take to come by the topic
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """One view, and how it is.

    seq         the block it is as of
    begins      it has no fold yet that goes on from the view's position
    is_behind   what it needs next stands in the record, not in the topic
    trouble     what it waits out, empty when nothing
    doubtful    blocks that it could not take in together: it takes them one by one
    stopped     why it takes no block in any more, None while it does
    """

    make: Callable[[], Fold]
    view: RemoteView
    projection: Projection
    seq: int = 0
    begins: bool = True
    is_behind: bool = True
    trouble: str = ""
    doubtful: range = range(0)
    stopped: str = ""
    retry_s: float = field(default=0.0, repr=False)
    state_at: int = field(default=0, repr=False)  # number of the event after the last in the state that was kept last

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
    states  where states of folds are kept, to begin with; None: nowhere

    brought_blocks, read_blocks  how many came by the topic and were taken, how many were read from the record
    """

    def __init__(
        self,
        partition: int,
        folds: Mapping[str, Callable[[], Fold]],
        view: Callable[[str], RemoteView],
        log: BlockLog,
        states: States | None = None,
    ) -> None:
        self.partition, self._log, self._states = partition, log, states
        self.kept: dict[str, Kept] = {}
        for name, make in folds.items():
            where = view(name)
            self.kept[name] = Kept(make, where, Projection(partition, make(), where))
        self._last = genesis(partition)
        self._ended_at = (0, time.monotonic())
        self._brought_s = 0.0
        self._run = list[Columns]()  # taken, and not folded yet
        self._looks_at_s = 0.0
        self._closing = False
        self.read_blocks = self.brought_blocks = 0

    def wants(self, seq: int) -> bool:
        """Whether a view would take block *seq* from the topic."""
        return any(not kept.is_behind and not kept.stopped and kept.projection.seq < seq for kept in self.kept.values())

    def take(self, block: Block) -> None:
        """A block of the topic. One that does not follow the last is not taken: the record says which is right. Then write()."""
        if self._run and self._run[0].seq <= block.seq <= self._last.seq:
            return  # it comes again
        if block.seq != self._last.seq + 1:
            self._fold()
        elif block.prev_hash != self._last.hash:
            self.doubt(f"the topic's block {block.seq} does not follow block {self._last.seq} of the record")
            return
        self._run.append(Columns(block))
        self._last = after(block)
        self._brought_s = time.monotonic()
        self.brought_blocks += 1
        if self._last.next_event - self._run[0].first_event >= RUN_EVENTS:
            self._fold()

    def write(self) -> None:
        """Fold and write what was taken and still waits, in one write per view, whatever the number of blocks."""
        self._fold()
        for name, kept in self.kept.items():
            if not kept.is_behind and not kept.stopped and self._write(name, kept):
                self._keep_state(name, kept, STATE_EVERY_EVENTS)

    def save(self) -> None:
        """Keep the states of all views as they are, for whoever keeps them next."""
        for name, kept in self.kept.items():
            if not kept.begins and not kept.stopped and not kept.trouble:
                self._keep_state(name, kept, 1)

    def doubt(self, why: str) -> None:
        """What the topic brought is no block of the record: every view reads there."""
        _LOG.error("partition %d: %s; run `outcry verify`", self.partition, why, extra={"partition": self.partition})
        for kept in self.kept.values():
            kept.is_behind = True

    def tend(self) -> bool:
        """Let the views that are behind read the record, for SLICE_S at most. True: there is more to read."""
        if time.monotonic() >= self._looks_at_s:
            self._look()
            self._looks_at_s = time.monotonic() + LOOKS_EVERY_S
        reading = {name: kept for name, kept in self.kept.items() if kept.reads}
        if not reading:
            return False
        try:
            for name, kept in list(reading.items()):
                if kept.begins and not self._begin(name, kept):
                    del reading[name]
            self._read(reading)
        except (StoreFailed, Damaged, NewerSchema) as failed:
            if not any(kept.trouble for kept in reading.values()):
                _LOG.error("partition %d: views cannot read the record: %s", self.partition, failed, extra={"partition": self.partition})
            for kept in reading.values():
                kept.wait(failed)
        return any(kept.reads and not kept.trouble for kept in self.kept.values())

    def notice(self, seq: int) -> None:
        """The record ends with block *seq* now. When the topic is silent for SILENT_S a view that lacks what was the end reads it there.

        From any thread.
        """
        end, since_s = self._ended_at
        if time.monotonic() - max(since_s, self._brought_s) < SILENT_S:
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

    def _fold(self) -> None:
        """Let the views have the blocks that were taken, which follow each other: those at once whose folds can."""
        if not self._run:
            return
        run, self._run = together(self._run), []
        for name, kept in self.kept.items():
            if kept.is_behind or kept.stopped:
                continue
            self._take_run(name, kept, run)

    def _look(self) -> None:
        """A view that lost what it had is folded anew, also while no block comes that it would have to be written for."""
        for name, kept in self.kept.items():
            if not kept.is_behind and not kept.stopped:
                kept.view.forget(self.partition)
                self._write(name, kept)

    def _read(self, reading: dict[str, Kept]) -> None:
        """Those that come to the end of the record are not behind any more."""
        end_s = time.monotonic() + SLICE_S
        self._write_each(reading)
        is_end = True
        blocks = self._log.read(self.partition, min(kept.projection.seq for kept in reading.values())) if reading else ()
        for run in runs(map(Columns, blocks), READ_EVENTS):
            for name, kept in list(reading.items()):
                if not self._take_run(name, kept, run):
                    del reading[name]
            self._last = after(run.blocks[-1].source)
            self.read_blocks += len(run.blocks)
            if not reading or self._closing or time.monotonic() > end_s:
                is_end = False
                break
        self._write_each(reading)
        for name, kept in reading.items():
            kept.is_behind = not is_end
            self._keep_state(name, kept, STATE_EVERY_EVENTS)

    def _begin(self, name: str, kept: Kept) -> bool:
        """Whether the view has a fold that goes on from its position: from the newest kept state that is no further, else a new one.

        One that is empty begins with the newest state of all, where that has all rows.
        """
        kept.projection = Projection(self.partition, kept.make(), kept.view)
        try:
            at = kept.view.position(self.partition)
        except ViewAway as away:
            if not kept.trouble:
                _LOG.warning("%s", away, extra={"partition": self.partition, "view": name})
            kept.wait(away)
            return False
        if self._states is not None and (at or isinstance(kept.projection.fold, Whole)):
            fold, seq, kept.state_at = self._states.newest(name, self.partition, kept.make, at or None)
            if seq:
                _LOG.info("begins with the state of block %d", seq, extra={"partition": self.partition, "view": name})
            if not at and seq and isinstance(fold, Whole):
                kept.projection = Projection.of_empty(self.partition, fold, kept.view, seq)
            else:
                kept.projection = Projection(self.partition, fold, kept.view, seq)
        kept.begins = False
        return True

    def _keep_state(self, name: str, kept: Kept, every_events: int) -> None:
        """Keep its state when *every_events* came since the last that was kept. One that lost its block's hash waits for the next."""
        if self._states is None or kept.projection.seq != self._last.seq or self._last.next_event - kept.state_at < every_events:
            return
        kept.state_at = self._last.next_event
        try:
            self._states.keep(name, self.partition, self._last.seq, self._last.hash, kept.projection.fold)
        except StoreFailed as failed:
            _LOG.warning("state was not kept: %s", failed, extra={"partition": self.partition, "view": name})

    def _write_each(self, reading: dict[str, Kept]) -> None:
        """Those that cannot be written are read for no longer."""
        for name, kept in list(reading.items()):
            if not self._write(name, kept):
                del reading[name]

    def _take_run(self, name: str, kept: Kept, run: Columns) -> bool:
        """Whether the view has all of *run* now, or will have it with the next write."""
        singly = run.first_seq < kept.doubtful.stop and run.seq >= kept.doubtful.start
        blocks = run.blocks if singly else for_fold(run, kept.projection.fold, kept.projection.seq, kept.seq)
        return all(self._take(name, kept, columns) for columns in blocks)

    def _take(self, name: str, kept: Kept, block: Columns) -> bool:
        """Whether the view has the block now, or will have it with the next write."""
        try:
            kept.projection.take(block)
        except Gap:
            kept.is_behind = True
            return False
        except Exception as poison:  # noqa: BLE001 - whatever it is, it stops this view only
            if block.first_seq < block.seq:
                _LOG.warning(
                    "blocks %d to %d, taken together: %s; one by one now", block.first_seq, block.seq, poison, extra={"view": name}
                )
                kept.begins = kept.is_behind = True
                kept.doubtful = range(block.first_seq, block.seq + 1)
            elif self._write(name, kept):
                self._stop(name, kept, block.seq, poison)
            else:
                kept.begins = True  # and meets that block again
            return False
        return len(kept.projection.waits) < kept.view.rows_at_once or self._write(name, kept)

    def _write(self, name: str, kept: Kept) -> bool:
        """Whether the view has all that its fold has."""
        try:
            _written(kept.projection)
            kept.seq = max(kept.projection.seq, kept.view.position(self.partition))
        except ViewAway as away:
            if not kept.trouble:
                _LOG.warning("%s", away, extra={"partition": self.partition, "view": name})
            kept.wait(away)
        except Displaced as lost:
            _LOG.error("view %s: %s; it is folded anew", name, lost, extra={"partition": self.partition, "view": name})
            kept.begins = kept.is_behind = True
        except Exception as poison:  # noqa: BLE001 - as above
            self._stop(name, kept, kept.seq + 1, poison)
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


def _written(projection: Projection) -> None:
    """Write. A view that another has written further, as a rebuild does, is gone on with once the fold is there, too."""
    while True:
        try:
            projection.write()
        except Displaced as displaced:
            if displaced.found_at < displaced.left_at:
                raise
        else:
            return
