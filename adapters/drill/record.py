"""What an outsider finds: the blocks as they lie in PostgreSQL and in Kafka, read without the product's own readers.

The layouts are those of docs/architecture.md and the modules that define them, written down here a second time on purpose.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import psycopg
from confluent_kafka import Consumer, TopicPartition
from numpy.typing import NDArray

from eventstore import codec

HASHED: Final = struct.Struct("<IIQQQIIqII32s")
WIRE: Final = struct.Struct("<4sIIQQQIIqIII32s32s")
OUTCOMES_BELOW: Final = 32
BLOCKS: Final = "blocks"
PATIENCE_S: Final = 10.0
_QUERY: Final = """SELECT part, seq, epoch, first_event, event_count, command_count, time_ns, schema_version, inputs,
    prev_hash, hash, payload
FROM outcry.blocks WHERE part = %s ORDER BY seq, epoch"""
_HEAD: Final = "SELECT epoch, seq, hash, next_event FROM outcry.head WHERE part = %s"


class Found(NamedTuple):
    """A block as it was found; it may be anything."""

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

    def computed(self) -> bytes:
        """The hash that its content has."""
        numbers = self.partition, self.seq, self.epoch, self.first_event, self.event_count, self.command_count, self.time_ns
        header = HASHED.pack(self.schema_version, *numbers, len(self.inputs), len(self.payload), self.prev_hash)
        return hashlib.sha256(header + self.inputs + self.payload).digest()

    def rows(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Commands (k x 16), events (n x 8), and of each event which command caused it. Raises codec.BadPayload."""
        rows = codec.decode(self.payload)
        return rows.commands, rows.events, np.cumsum((rows.events[:, 0] & 255) < OUTCOMES_BELOW) - 1


class Head(NamedTuple):
    """Where the record says that it ends."""

    epoch: int
    seq: int
    hash: bytes
    next_event: int


def genesis(partition: int) -> bytes:
    """What the first block names as its predecessor."""
    return hashlib.sha256(b"outcry genesis" + partition.to_bytes(8, "little")).digest()


def recorded(conninfo: str, partition: int) -> tuple[list[Found], Head | None]:
    """The blocks in PostgreSQL, in their order, and the head; whatever is there, once or more often."""
    with psycopg.connect(conninfo) as db:
        blocks = [Found(*row) for row in db.cursor(binary=True).execute(_QUERY, (partition,))]
        head = db.cursor(binary=True).execute(_HEAD, (partition,)).fetchone()
    return blocks, None if head is None else Head(*head)


def published(bootstrap: str, partition: int) -> Iterator[tuple[Found, dict[str, bytes]]]:
    """The records of the topic of blocks as they stand there, with their headers."""
    place = TopicPartition(BLOCKS, partition)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "outcry-oracle", "enable.auto.commit": False, "log_level": 0})
    try:
        low, high = consumer.get_watermark_offsets(place, timeout=PATIENCE_S)
        place.offset = low
        consumer.assign([place])
        while low < high:
            message = consumer.poll(PATIENCE_S)
            assert message is not None, "a broker that says how much there is gives it"
            assert message.error() is None, str(message.error())
            headers: Any = message.headers() or []
            yield unpacked(message.value() or b""), dict(headers)
            low = (message.offset() or 0) + 1
    finally:
        consumer.close()


def unpacked(value: bytes) -> Found:
    """The block in a record of the topic."""
    _magic, _format, part, seq, epoch, first, events, commands, time_ns, version, inputs, _payload, prev, own = WIRE.unpack_from(value)
    middle = WIRE.size + inputs
    return Found(part, seq, epoch, first, events, commands, time_ns, version, value[WIRE.size : middle], prev, own, value[middle:])
