"""Consecutive blocks of a partition as the columns of one: a fold that is behind takes them in at the cost of few.

Most of what a short block costs a fold are calls, not rows. A fold says that it takes runs (`takes_runs`) when what it shows after the last
block of a run does not depend on where the blocks of it end, or when it asks for `ends`. Of a run it need not give rows that changed and
changed back: so a view that is as of a block within a run is given it in two parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import pairwise
from typing import Final

import numpy as np

from eventstore.codec import Rows
from eventstore.columns import Words
from eventstore.lazy import Kinds, Opened, Whole
from projections.columns import Columns, Ints

RUN_EVENTS: Final = 65_536  # of blocks that are folded together
READ_EVENTS: Final = 8_192  # of those that are read from a record for a view elsewhere, which takes their rows at once


class Run(Columns):
    """*blocks*, at least one, each following the one before. See Columns."""

    def __init__(self, blocks: Sequence[Columns]) -> None:
        assert all(block.first_seq == before.seq + 1 for before, block in pairwise(blocks)), "the blocks of a run follow each other"
        self._blocks = blocks
        at_hand = [block.at_hand for block in blocks if block.at_hand is not None]
        self.at_hand = Rows(*map(np.concatenate, zip(*at_hand, strict=True))) if len(at_hand) == len(blocks) else None
        self.inputs = b"".join(block.inputs for block in blocks)
        first, last = blocks[0], blocks[-1]
        events = sum(block.event_count for block in blocks)
        self._begin(last.partition, (first.first_seq, last.seq), (first.first_event, events), last.time_ns)

    @property
    def blocks(self) -> Sequence[Columns]:
        """See Columns."""
        return self._blocks

    @cached_property
    def _opened(self) -> Opened:
        return _Joined(self.blocks, self.ends) if self.at_hand is None else Whole(self.at_hand)

    @cached_property
    def _rows(self) -> Rows:
        if self.at_hand is not None:
            return self.at_hand
        return Rows(*(np.concatenate([getattr(block, rows) for block in self.blocks]) for rows in ("commands", "events")))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        yield  # each block says what is wrong with it

    @cached_property
    def ends(self) -> Ints:
        """See Columns."""
        ends: Ints = np.cumsum([block.event_count for block in self.blocks])
        return ends


def together(blocks: Sequence[Columns]) -> Columns:
    """One or more blocks, each following the one before, as one."""
    return blocks[0] if len(blocks) == 1 else Run(blocks)


def runs(blocks: Iterable[Columns], at_most_events: int | None = None) -> Iterator[Columns]:
    """All of *blocks*, those together that follow each other, up to *at_most_events* (RUN_EVENTS) and a block more."""
    run, events, at_most_events = list[Columns](), 0, at_most_events or RUN_EVENTS
    for block in blocks:
        if run and (events >= at_most_events or block.first_seq != run[-1].seq + 1):
            yield together(run)
            run, events = [], 0
        run.append(block)
        events += block.event_count
    if run:
        yield together(run)


def for_fold(run: Columns, fold: object, seq: int, shown: int = 0) -> Sequence[Columns]:
    """*run* as *fold*, which is as of block *seq*, can take it: at once, in two if its view shows block *shown* of it, or one by one."""
    if getattr(fold, "takes_runs", False) and run.first_seq == seq + 1:
        return list(parted(run, {shown + 1}))
    return run.blocks


def parted(columns: Columns, seqs: Collection[int]) -> Iterator[Columns]:
    """A block as it is; a run in parts, of which a new one begins with each of the blocks *seqs*."""
    blocks = columns.blocks
    begins = [0, *(at for at, block in enumerate(blocks) if at and block.seq in seqs)]
    if len(begins) == 1:
        yield columns
        return
    for begin, end in zip(begins, [*begins[1:], len(blocks)], strict=True):
        yield together(blocks[begin:end])


class _Joined(Kinds):
    """See eventstore.lazy.Opened."""

    def __init__(self, blocks: Sequence[Columns], ends: Ints) -> None:
        self._blocks, self._ends = blocks, ends
        self.kinds = np.concatenate([block.kind for block in blocks]).astype(np.uint8)
        self.commands = sum(len(block.outcomes) for block in blocks)
        self._owners: dict[int, list[Columns]] = {}

    def command(self, word: int) -> Words:
        return np.concatenate([block.asked(word) for block in self._blocks])

    def event(self, kind: int, word: int) -> Words:
        having = self._having(kind)
        return np.concatenate([block.of(kind, word) for block in having]) if having else np.zeros(0, np.int64)

    def _having(self, kind: int) -> list[Columns]:
        """The blocks with events of *kind*: most of many short ones have none of most kinds, and asking each costs as much as an answer."""
        if kind not in self._owners:
            at = np.searchsorted(self._ends, self.rows(kind), "right")
            self._owners[kind] = [self._blocks[first] for first in at[np.flatnonzero(np.diff(at, prepend=-1))].tolist()]
        return self._owners[kind]
