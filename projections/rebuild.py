"""Folds a view anew beside the one that is looked at, and lets the new one be looked at once it is as far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Protocol

from eventstore.ahead import ahead
from eventstore.blocks import Block, after
from eventstore.errors import Damaged
from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.runs import READ_EVENTS, for_fold, runs
from projections.states import Begun
from projections.view import Projection, View, Whole


class Generation(View, Protocol):
    """A view that may take the place of the one that is looked at."""

    @property
    def rows_at_once(self) -> int:
        """When as many rows wait they are written."""

    def clear(self, partition: int) -> None:
        """Be empty. Raises ViewAway."""

    def switch(self, partition: int) -> bool:
        """Be the one that is looked at; False: that one is as of a later block. Raises ViewAway."""


def rebuild(
    partition: int,
    begun: Begun,
    logs: Sequence[BlockLog],
    new: Generation,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> int:
    """Fill *new* and switch; returns the block that it is as of then.

    begun     a new fold; or one restored from a state, and Whole: its rows come first
    logs      the record last; before it what has the record's first blocks, an archive
    progress  called with the blocks done, and blocks in all
    Raises    ViewAway, Displaced when somebody else fills it, what the fold and log.read raise, Damaged also for a log that does not go on
              where the one before ends: what is looked at stays as it was
    """
    new.clear(partition)
    projection = Projection(partition, begun.fold, new)
    if begun.seq:
        assert isinstance(begun.fold, Whole), "whoever begins with a state has all that is shown in it"
        projection = Projection.of_empty(partition, begun.fold, new, begun.seq)
    record = logs[-1]
    while True:
        total = record.head(partition).seq
        for run in runs(_opened(partition, projection.seq, logs), READ_EVENTS):
            for columns in for_fold(run, projection.fold, projection.seq):
                projection.take(columns)
                if len(projection.waits) >= new.rows_at_once:
                    projection.write()
            progress(run.seq, max(total, run.seq))
        projection.write()
        if new.switch(partition):
            return projection.seq


def _opened(partition: int, after_seq: int, logs: Sequence[BlockLog]) -> Iterator[Columns]:
    """The blocks after *after_seq*, fetched and decompressed while those before are folded."""

    def opening() -> Iterator[Columns]:
        for block in _blocks(partition, after_seq, logs):
            columns = Columns(block)
            columns.open()
            yield columns

    with closing(ahead(opening())) as blocks:
        yield from blocks


def _blocks(partition: int, after_seq: int, logs: Sequence[BlockLog]) -> Iterator[Block]:
    """Of each log in turn what those before it do not have."""
    last = None
    for log in logs:
        seq = last.seq if last else after_seq
        if log.head(partition).seq <= seq:
            continue
        for block in log.read(partition, seq):
            if last and block.prev_hash != last.hash:
                raise Damaged(partition, block.seq, f"it does not follow block {last.seq} of the archive: they are of two histories")
            last = after(block)
            yield block
