"""Blocks of a record in order, verified, and the proof that all of them are good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from domain.partition import Partition
from eventstore.blocks import Block, after, genesis
from eventstore.ports import CONSUMER_PARTITION, BlockLog, Damaged

Progress: TypeAlias = Callable[[int, int], None]  # blocks done, blocks in all


@dataclass(frozen=True, slots=True)
class Bad:
    """The first block that is not as it was committed, and what is wrong. partition or seq None: the store as a whole."""

    partition: int | None
    seq: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What reading a partition's record from end to end showed.

    blocks, events  good ones, all of them when ok
    state_hash      of the state after them; of the registry, which has none, the hash of the last
    """

    ok: bool
    blocks: int
    events: int
    state_hash: bytes
    first_bad: Bad | None


def blocks(
    log: BlockLog, partition: int, after_seq: int = 0, through_seq: int | None = None, progress: Progress | None = None
) -> Iterator[Block]:
    """Blocks after *after_seq* up to *through_seq* (None: the end), one in memory at a time.

    Raises Damaged, also when the record ends before its head says; StoreFailed.
    """
    last = log.head(partition).seq
    end = last if through_seq is None else min(through_seq, last)
    seq = after_seq
    for block in log.read(partition, after_seq) if end > after_seq else ():
        yield block
        seq = block.seq
        if progress:
            progress(seq - after_seq, end - after_seq)
        if seq == end:
            return
    if seq < end:
        raise Damaged(partition, seq + 1, f"missing; the head says that the record ends with block {last}")


def verify(log: BlockLog, partition: int, progress: Progress | None = None) -> Verified:
    """Read every block, check its place in the chain, apply its events. A bad block is a finding, not an error.

    Raises StoreFailed, NewerSchema: then nothing is known.
    """
    if partition == CONSUMER_PARTITION:
        return _verify_consumer(log, progress)
    state = Partition(partition)
    done, bad = 0, None
    try:
        for block in blocks(log, partition, progress=progress):
            wrong = _apply(state, block)
            if wrong:
                bad = Bad(partition, block.seq, wrong)
                break
            done = block.seq
    except Damaged as damaged:
        bad = Bad(damaged.partition, damaged.seq, damaged.what)
    return Verified(bad is None, done, state.events, state.state_hash(), bad)


def _verify_consumer(log: BlockLog, progress: Progress | None) -> Verified:
    """What the registry recorded holds no market: the chain, and that its events can be read."""
    from eventstore import consumers

    last, bad = genesis(CONSUMER_PARTITION), None
    try:
        for block in blocks(log, CONSUMER_PARTITION, progress=progress):
            consumers.check(block)
            last = after(block)
    except Damaged as damaged:
        bad = Bad(damaged.partition, damaged.seq, damaged.what)
    return Verified(bad is None, last.seq, last.next_event, last.hash, bad)


def _apply(state: Partition, block: Block) -> str:
    """Apply a block that the chain vouches for; what is wrong with it nevertheless, which only a forger could have written."""
    try:
        state.apply(*block.rows())
    except Damaged:
        raise
    except Exception as impossible:  # noqa: BLE001 - rows that no engine wrote may break anything; it must be named, not end in a traceback
        return f"its events cannot have happened: {type(impossible).__name__}: {impossible}"
    if state.events != block.first_event + block.event_count:
        return f"{state.events} events up to here, the block says {block.first_event + block.event_count}"
    if state.time_ns != block.time_ns:
        return f"its commands end at time {state.time_ns}, the block says {block.time_ns}"
    return ""
