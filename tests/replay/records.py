"""Records for tests of replay, and forgeries of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from domain.partition import Partition
from domain.verbs import COMMAND_BYTES
from eventstore.blocks import Block, after, seal
from eventstore.memory import MemoryLog
from tests.projections.flow import trading

Rows = tuple[bytes, bytes]


@dataclass(frozen=True)
class Step:
    """One command of a record, and the engine's state after it."""

    seq: int
    first_event: int
    end_event: int
    time_ns: int
    state_hash: bytes


def record(batches: Sequence[Rows], times_ns: Sequence[int]) -> MemoryLog:
    """A record of partition 1 with these rows in these blocks, well sealed whatever they say."""
    log = MemoryLog()
    head = log.claim(1)
    for (commands, events), time_ns in zip(batches, times_ns, strict=True):
        block = seal(head, commands, events, time_ns)
        log.append(block)
        head = after(block)
    return log


def recorded(blocks: Sequence[Block]) -> MemoryLog:
    """The record of these blocks, claimed and sealed again."""
    return record([block.rows() for block in blocks], [block.time_ns for block in blocks])


def rewritten(blocks: Sequence[Block], seq: int, change: Callable[[bytes, bytes], Rows]) -> MemoryLog:
    """The record as a forger with the whole store in hand would leave it: the rows of block *seq* changed, all hashes made good."""
    rows = [change(*block.rows()) if block.seq == seq else block.rows() for block in blocks]
    return record(rows, [block.time_ns for block in blocks])


def executed(commands: Sequence[bytes], *cuts: int) -> MemoryLog:
    """What the engine makes of the commands, in blocks that end before the commands numbered *cuts*."""
    engine, batches, times = Partition(1), list[Rows](), list[int]()
    for begin, end in zip((0, *cuts), (*cuts, len(commands)), strict=True):
        batch = b"".join(commands[begin:end])
        batches.append((batch, engine.execute(batch)))
        times.append(engine.time_ns)
    return record(batches, times)


def steps(blocks: Sequence[Block]) -> list[Step]:
    """Every command of the blocks, executed one by one."""
    engine, found = Partition(1), list[Step]()
    for block in blocks:
        commands = block.commands()
        for at in range(0, len(commands), COMMAND_BYTES):
            first_event = engine.events
            engine.execute(commands[at : at + COMMAND_BYTES])
            found.append(Step(block.seq, first_event, engine.events, engine.time_ns, engine.state_hash()))
    return found


BLOCKS = trading(seed=11, count=300, longest=30)
STEPS = steps(BLOCKS)
