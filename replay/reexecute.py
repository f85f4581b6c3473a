"""Run every command of a record again and hold the events against those recorded: the proof that the record follows from its commands."""

from __future__ import annotations

from dataclasses import dataclass

from domain.partition import Partition
from eventstore.ports import BlockLog
from replay.difference import Difference, Side, first_difference
from replay.source import Progress, blocks


@dataclass(frozen=True, slots=True)
class Reexecuted:
    """blocks, commands, events: how many came out the same; state_hash: of the state executed, at the end or where it parted."""

    ok: bool
    blocks: int
    commands: int
    events: int
    state_hash: bytes
    first_difference: Difference | None


def reexecute(log: BlockLog, partition: int, progress: Progress | None = None) -> Reexecuted:
    """Stop at the first block that comes out differently. Raises Damaged, StoreFailed, NewerSchema."""
    state, done, difference = Partition(partition), 0, None
    commands_done = events_done = 0
    for block in blocks(log, partition, progress=progress):
        commands, recorded = block.rows()
        executed = state.execute(commands)
        if executed != recorded:
            difference = first_difference(block.seq, block.first_event, Side.of(commands, recorded), Side.of(commands, executed))
            break
        done, commands_done, events_done = block.seq, commands_done + block.command_count, events_done + block.event_count
    return Reexecuted(difference is None, done, commands_done, events_done, state.state_hash(), difference)
