"""A block as the bytes of one Kafka record: a header of fixed size, the inputs, the payload. Nothing is compressed again.

Little-endian: 4 ASCII `OUTB`, u32 format, then the fields of Block in the order of its definition, with the lengths of inputs and payload
before the two hashes; inputs; payload.
"""

from __future__ import annotations

import struct
from typing import Final

from eventstore.blocks import Block, digest
from eventstore.errors import Damaged, NewerSchema

MAGIC: Final = b"OUTB"
FORMAT: Final = 1
# Magic, format; partition, seq, epoch, first event, event count, command count, time, schema version, length of inputs, of payload;
# hash of the block before, hash.
HEADER: Final = struct.Struct("<4sIIQQQIIqIII32s32s")


def encode(block: Block) -> bytes:
    """The bytes of *block*; the same block gives the same bytes in every release that writes this format."""
    header = HEADER.pack(
        MAGIC,
        FORMAT,
        block.partition,
        block.seq,
        block.epoch,
        block.first_event,
        block.event_count,
        block.command_count,
        block.time_ns,
        block.schema_version,
        len(block.inputs),
        len(block.payload),
        block.prev_hash,
        block.hash,
    )
    return b"".join((header, block.inputs, block.payload))


def decode(value: bytes) -> Block:
    """The block that encode was given; its hash fits its content. Raises Damaged, NewerSchema."""
    if len(value) < HEADER.size:
        raise Damaged(None, None, f"a block begins with {HEADER.size} bytes of header; here are {len(value)}")
    magic, form, *numbers, inputs, payload, prev_hash, own_hash = HEADER.unpack_from(value)
    if magic != MAGIC:
        raise Damaged(None, None, f"bytes 0-3 are {magic!r}; a block begins with {MAGIC!r}")
    partition, seq, epoch, first_event, event_count, command_count, time_ns, schema_version = numbers
    if form > FORMAT:
        raise NewerSchema(f"the record of partition {partition}, block {seq},", form, FORMAT)
    end = HEADER.size + inputs
    if form != FORMAT or len(value) != end + payload:
        raise Damaged(partition, seq, f"format {form}, inputs {inputs} and payload {payload} bytes do not make the {len(value)} bytes here")
    counts = first_event, event_count, command_count
    content = value[HEADER.size : end], prev_hash, own_hash, value[end:]
    block = Block(partition, seq, epoch, *counts, time_ns, schema_version, *content)
    computed = digest(block)
    if computed != own_hash:
        raise Damaged(partition, seq, f"its hash is {own_hash.hex()}, its content hashes to {computed.hex()}")
    return block
