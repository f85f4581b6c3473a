"""The aggregate: one partition, many instruments, one writer. `execute` decides, `apply` folds, both through the same mutators."""

from __future__ import annotations

import hashlib
from typing import final

from mypy_extensions import i64

from domain.apply import apply_event
from domain.columns import (
    MAX_BATCH_COMMANDS,
)
from domain.events import EVENT_BYTES, FIRST_CONSEQUENCE
from domain.execute import execute_command
from domain.expiries import next_due_ns
from domain.snapshot import pack, parts, unpack, vectors
from domain.state import State, told
from domain.verbs import COMMAND_BYTES
from domain.warm import read_command, read_event


@final
class Partition:
    """All of a partition's state and the only two ways to change it."""

    def __init__(self, number: i64) -> None:
        """The empty partition *number*, 1..511."""
        self.state: State = State(number)

    @property
    def number(self) -> int:
        """Number of the partition: the high bits of its order and trade numbers."""
        return self.state.partition

    @property
    def time_ns(self) -> int:
        """Time of the last command, nanosecond of UTC."""
        return self.state.time_ns

    @property
    def events(self) -> int:
        """Events so far: the index of the next one."""
        return self.state.event_count

    @property
    def commands(self) -> int:
        """Commands so far."""
        return self.state.command_count

    def next_expiry_ns(self) -> int:
        """When the next order is due to expire, nanosecond of UTC; 0: none is."""
        return next_due_ns(self.state)

    def execute(self, batch: bytes) -> bytes:
        """Decide a batch of at most 16,384 command rows (128 bytes each); returns the event rows (64 bytes each).

        Any content gives events: a refusal is an event too.
        Raises ValueError when the length is no batch; AssertionError on a broken invariant, after which this object is to be dropped.
        """
        count = len(batch) // COMMAND_BYTES
        if len(batch) % COMMAND_BYTES != 0 or count > MAX_BATCH_COMMANDS:
            raise ValueError(f"a batch is at most {MAX_BATCH_COMMANDS} rows of {COMMAND_BYTES} bytes, not {len(batch)} bytes")
        s = self.state
        s.emitted = 0
        row: i64 = 0
        end: i64 = len(batch)
        while row < end:
            read_command(s, batch, row)
            execute_command(s)
            row += COMMAND_BYTES
        s.event_count += s.emitted
        return bytes(memoryview(s.events)[: s.emitted * (EVENT_BYTES // 8)])

    def apply(self, commands: bytes | memoryview, events: bytes | memoryview) -> None:
        """Fold events and the command rows that caused them, in order; the state is then as after the execute that emitted them.

        A memoryview is one of bytes (format "B").

        Raises ValueError when the rows do not belong together, AssertionError when an event does not follow from the state.
        """
        if len(commands) % COMMAND_BYTES != 0 or len(events) % EVENT_BYTES != 0:
            raise ValueError(f"{len(commands)} and {len(events)} bytes are not whole rows of {COMMAND_BYTES} and {EVENT_BYTES} bytes")
        s = self.state
        row: i64 = -COMMAND_BYTES
        event: i64 = 0
        end: i64 = len(events)
        last: i64 = len(commands)
        while event < end:
            read_event(s, events, event)
            if told(s, 0) & 255 < FIRST_CONSEQUENCE:
                row += COMMAND_BYTES
                if row >= last:
                    raise ValueError(f"event {event // EVENT_BYTES} has no command: {last // COMMAND_BYTES} were given")
                read_command(s, commands, row)
            if row < 0:
                raise ValueError("the first event is no outcome of a command")
            apply_event(s)
            event += EVENT_BYTES
        if row + COMMAND_BYTES != last:
            raise ValueError(f"{last // COMMAND_BYTES} commands, but outcomes of {row // COMMAND_BYTES + 1}")
        s.event_count += end // EVENT_BYTES
        assert s.incoming == 0, "a fold ends as its execute did"

    def snapshot(self) -> bytes:
        """The whole state as bytes: versioned, checked, the same on every machine."""
        return pack(self.state)

    def snapshot_parts(self) -> list[bytes | memoryview]:
        """The bytes of `snapshot`, without the hash that ends it, where they lie: right only until the state changes."""
        return parts(self.state)

    @staticmethod
    def restore(data: bytes) -> Partition:
        """The partition of a snapshot. Raises BadSnapshot, saying what is wrong with the bytes."""
        state = unpack(data)
        partition = Partition(state.partition)
        partition.state = state
        return partition

    def state_hash(self) -> bytes:
        """SHA-256 over every vector: equal states have equal hashes, on every machine, compiled or not."""
        digest = hashlib.sha256()
        for vector in vectors(self.state):
            digest.update(int(len(vector)).to_bytes(8, "little"))
            digest.update(memoryview(vector))
        return digest.digest()
