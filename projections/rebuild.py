"""Folds a view anew beside the one that is looked at, and lets the new one be looked at once it is as far."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from eventstore.ports import BlockLog
from projections.columns import Columns
from projections.view import Fold, Projection, View


class Generation(View, Protocol):
    """A view that may take the place of the one that is looked at."""

    def clear(self, partition: int) -> None:
        """Be empty. Raises ViewAway."""

    def switch(self, partition: int) -> bool:
        """Be the one that is looked at; False: that one is as of a later block. Raises ViewAway."""


def rebuild(
    partition: int, fold: Fold, log: BlockLog, new: Generation, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> int:
    """Fill *new* from the first block on and switch; returns the block that it is as of then.

    progress  called with the blocks done, and blocks in all
    Raises    ViewAway, Displaced when somebody else fills it, what the fold and log.read raise: what is looked at stays as it was
    """
    new.clear(partition)
    projection = Projection(partition, fold, new)
    while True:
        total = log.head(partition).seq
        for block in log.read(partition, projection.seq):
            projection.advance(Columns(block))
            progress(block.seq, max(total, block.seq))
        if new.switch(partition):
            return projection.seq
