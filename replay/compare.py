"""Two records of a partition, or one record under two builds of the engine: where do they part?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from domain.partition import Partition
from eventstore.ports import BlockLog
from replay.difference import Difference, Side, first_difference
from replay.rows import Batch, outcomes
from replay.source import Progress, blocks


@dataclass(frozen=True, slots=True)
class Compared:
    """What two records have in common.

    same              the same commands and events from end to end, however they were cut into blocks
    commands, events  how many are the same in both, from the beginning
    first_block       first block whose hash differs or that only one has; None: the chains are the same, bit by bit
    first_difference  first command or event that differs; None: same
    """

    same: bool
    commands: int
    events: int
    first_block: int | None
    first_difference: Difference | None


def diff(log_a: BlockLog, log_b: BlockLog, partition: int, progress: Progress | None = None) -> Compared:
    """Compare what happened, not how it was cut into blocks. Raises Damaged, StoreFailed, NewerSchema of either."""
    one, other = _Reader(log_a, partition, progress), _Reader(log_b, partition)
    commands = events = 0
    while one.left or other.left:
        count = min(one.left, other.left) or max(one.left, other.left)  # when one is at its end: all that the other still has of its block
        seq, (side, other_side) = one.seq, (one.take(count), other.take(count))
        difference = first_difference(seq, events, side, other_side)
        if difference:
            commands += int(np.count_nonzero(outcomes(side.events) < difference.event - events))
            return Compared(False, commands, difference.event, _first_block(log_a, log_b, partition), difference)
        commands, events = commands + len(side.commands), events + len(side.events)
    return Compared(True, commands, events, _first_block(log_a, log_b, partition), None)


def _first_block(log_a: BlockLog, log_b: BlockLog, partition: int) -> int | None:
    """First block whose hash differs. Equal heads need no reading: each hash stands for all before it."""
    if log_a.head(partition).hash == log_b.head(partition).hash:
        return None
    pairs = zip_longest(blocks(log_a, partition), blocks(log_b, partition))
    return next((seq for seq, (a, b) in enumerate(pairs, 1) if a is None or b is None or a.hash != b.hash), None)


class _Reader:
    """A record taken in pieces of so many commands. left: commands left of the present block, 0 at the end; seq: its number."""

    def __init__(self, log: BlockLog, partition: int, progress: Progress | None = None) -> None:
        self._blocks = blocks(log, partition, progress=progress)
        self._batch: Batch | None = None
        self.seq = self.left = 0
        self._next()

    def _next(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self._batch, self.left = None, 0
        else:
            self._batch, self.left, self.seq = Batch(block), block.command_count, block.seq

    def take(self, count: int) -> Side:
        """The next *count* commands with their events; nothing when the record is at its end."""
        if self._batch is None:
            return Side.of(b"", b"")
        begin = len(self._batch.commands) - self.left
        side = Side.of(*self._batch.part(begin, begin + count))
        self.left -= count
        if not self.left:
            self._next()
        return side


class Mark(NamedTuple):
    """The state after a block."""

    seq: int
    events: int
    state_hash: bytes


def trail(log: BlockLog, partition: int, every_blocks: int = 64, progress: Progress | None = None) -> Iterator[Mark]:
    """Execute the commands and hash the state at every so many blocks and at the end: what two builds must agree on."""
    state, block = Partition(partition), None
    for block in blocks(log, partition, progress=progress):
        state.execute(block.commands())
        if block.seq % every_blocks == 0:
            yield Mark(block.seq, state.events, state.state_hash())
    if block and block.seq % every_blocks:
        yield Mark(block.seq, state.events, state.state_hash())


def parting(one: Iterable[Mark], other: Iterable[Mark]) -> tuple[Mark | None, Mark | None] | None:
    """The first marks of two trails that differ; None when they agree to the end."""
    return next(((a, b) for a, b in zip_longest(one, other) if a != b), None)
