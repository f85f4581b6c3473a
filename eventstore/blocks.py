"""A block is one commit: some commands, all events they caused, and its place in the partition's hash chain."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from domain.events import EVENT_BYTES
from domain.verbs import COMMAND_BYTES, SCHEMA_VERSION
from eventstore import codec, lazy, upcast
from eventstore.errors import Damaged, NewerSchema

if TYPE_CHECKING:
    import pyarrow as pa

HASH_BYTES: Final = 32
NO_INPUTS: Final = b"{}"
# Everything with meaning but the two byte strings, which follow: schema version, partition, seq, epoch, first event,
# event count, command count, time, length of the inputs, length of the payload, hash of the block before.
_HEADER: Final = struct.Struct("<IIQQQIIqII32s")


@dataclass(frozen=True, slots=True)
class Block:
    """One commit of a partition.

    seq             number of the block in its partition, from 1
    epoch           of the writer that sealed it
    first_event     index in the partition of its first event, from 0
    time_ns         time of its last command
    schema_version  of the rows in the payload
    inputs          input positions consumed: JSON object source -> position
    prev_hash       hash of the block before, of the genesis head for the first
    hash            SHA-256 over every other field
    payload         the rows, columnar and compressed (eventstore/codec.py)
    """

    partition: int
    seq: int
    epoch: int
    first_event: int
    event_count: int
    command_count: int
    time_ns: int
    schema_version: int
    inputs: bytes
    prev_hash: bytes
    hash: bytes
    payload: bytes

    def arrays(self) -> codec.Rows:
        """Decode: commands int64[k, 16], events int64[n, 8], as rows of the current schema version. Raises Damaged, NewerSchema."""
        with self.reading():
            rows = codec.decode(self.payload)
        self._check_counts(len(rows.commands), len(rows.events))
        return upcast.upcast(rows, self.schema_version)

    def opened(self) -> lazy.Opened:
        """The same rows, of which no more is decoded than is asked for: ask inside reading(). Raises Damaged, NewerSchema."""
        if not upcast.is_same(self.schema_version):
            return lazy.Whole(self.arrays())
        with self.reading():
            opened = lazy.Payload(self.payload)
        self._check_counts(opened.commands, opened.events)
        return opened

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Where the payload is read. Raises NewerSchema at once; Damaged for what is no payload."""
        if self.schema_version > SCHEMA_VERSION:
            raise NewerSchema(f"partition {self.partition}, block {self.seq}", self.schema_version, SCHEMA_VERSION)
        if self.schema_version < SCHEMA_VERSION and not upcast.known(self.schema_version):
            raise Damaged(self.partition, self.seq, f"there never was a schema version {self.schema_version}")
        try:
            yield
        except codec.BadPayload as bad:
            raise Damaged(self.partition, self.seq, f"payload: {bad}") from None

    def _check_counts(self, commands: int, events: int) -> None:
        if (commands, events) != (self.command_count, self.event_count):
            what = f"payload holds {commands} commands and {events} events, not {self.command_count} and {self.event_count}"
            raise Damaged(self.partition, self.seq, what)

    def rows(self) -> tuple[bytes, bytes]:
        """Command rows (k*128 bytes) and event rows (n*64 bytes), decoded anew each time. Raises Damaged, NewerSchema."""
        rows = self.arrays()
        return rows.commands.tobytes(), rows.events.tobytes()

    def views(self) -> tuple[memoryview, memoryview]:
        """The bytes of rows(), not copied once more. Raises Damaged, NewerSchema."""
        rows = self.arrays()
        return rows.commands.data.cast("B"), rows.events.data.cast("B")

    def commands(self) -> bytes:
        """The command rows alone; use rows() when both are wanted."""
        return self.rows()[0]

    def events(self) -> bytes:
        """The event rows alone; use rows() when both are wanted."""
        return self.rows()[1]

    def to_arrow(self) -> pa.RecordBatch:
        """The events with their commands as named columns (eventstore/arrow.py)."""
        from eventstore.arrow import to_arrow  # pyarrow is slow to import and not needed to trade

        return to_arrow(self)


@dataclass(frozen=True, slots=True)
class Head:
    """Where a partition's chain ends, and the epoch of its owner. seq 0: nothing yet, hash is that of the genesis."""

    partition: int
    epoch: int
    seq: int
    hash: bytes
    next_event: int
    time_ns: int


def genesis(partition: int) -> Head:
    """The head before the first block and before the first claim."""
    origin = hashlib.sha256(b"outcry genesis" + partition.to_bytes(8, "little")).digest()
    return Head(partition, 0, 0, origin, 0, 0)


def after(block: Block) -> Head:
    """The head once *block* is the last."""
    return Head(block.partition, block.epoch, block.seq, block.hash, block.first_event + block.event_count, block.time_ns)


def seal(head: Head, commands: bytes, events: bytes, time_ns: int, inputs: bytes = NO_INPUTS) -> Block:
    """The block that follows *head*.

    commands  k*128 bytes, 1 <= k <= codec.MAX_COMMANDS
    events    n*64 bytes, n <= codec.MAX_EVENTS, all that these commands caused
    time_ns   time of the last command, not before head.time_ns
    inputs    a JSON object, short: input -> position consumed
    """
    return chain(head, lay_out(commands, events, time_ns, inputs))


class Content(NamedTuple):
    """What a block will say: its rows laid out as columns, not yet compressed, and without a place in the chain."""

    body: bytes
    event_count: int
    command_count: int
    time_ns: int
    inputs: bytes


def lay_out(commands: bytes, events: bytes, time_ns: int, inputs: bytes = NO_INPUTS) -> Content:
    """The first half of seal: hundreds of short array operations, each of which needs the interpreter lock."""
    assert commands, "a block records at least one command"
    return Content(codec.lay_out(commands, events), len(events) // EVENT_BYTES, len(commands) // COMMAND_BYTES, time_ns, inputs)


def chain(head: Head, content: Content) -> Block:
    """The second half of seal, compression and hashing: two long steps that leave the interpreter lock to others."""
    assert content.time_ns >= head.time_ns, "time never goes back"
    unsealed = Block(
        head.partition,
        head.seq + 1,
        head.epoch,
        head.next_event,
        content.event_count,
        content.command_count,
        content.time_ns,
        SCHEMA_VERSION,
        content.inputs,
        head.hash,
        b"",
        codec.pack(content.body),
    )
    return replace(unsealed, hash=digest(unsealed))


def verify(block: Block, head: Head) -> None:
    """Raise Damaged, saying what differs, unless *block* is intact and directly follows *head*."""
    wrong = _first_difference(block, head)
    if wrong:
        raise Damaged(head.partition, head.seq + 1, wrong)


def _first_difference(block: Block, head: Head) -> str:
    if block.partition != head.partition:
        return f"belongs to partition {block.partition}"
    if block.seq != head.seq + 1:
        return f"is block {block.seq}"
    if block.prev_hash != head.hash:
        return f"names {block.prev_hash.hex()} as the block before, which is {head.hash.hex()}"
    try:
        computed = digest(block)
    except struct.error as error:
        return f"a field has a value it cannot have ({error})"
    if block.hash != computed:
        return f"its hash is {block.hash.hex()}, its content hashes to {computed.hex()}"
    if block.first_event != head.next_event:
        return f"first event is {block.first_event}, the block before ends before {head.next_event}"
    if block.epoch < head.epoch:
        return f"epoch {block.epoch} is older than {head.epoch} of the block before"
    if block.time_ns < head.time_ns:
        return f"time {block.time_ns} is before {head.time_ns} of the block before"
    return ""


def digest(block: Block) -> bytes:
    """SHA-256 over every field but the hash itself."""
    header = _HEADER.pack(
        block.schema_version,
        block.partition,
        block.seq,
        block.epoch,
        block.first_event,
        block.event_count,
        block.command_count,
        block.time_ns,
        len(block.inputs),
        len(block.payload),
        block.prev_hash,
    )
    sha = hashlib.sha256(header)
    sha.update(block.inputs)
    sha.update(block.payload)
    return sha.digest()
