"""A block as the bytes of a record: what goes in comes out, and nothing else passes for a block."""

from __future__ import annotations

import struct

import pytest

from eventstore import wire
from eventstore.blocks import Block, genesis, seal
from eventstore.errors import Damaged, NewerSchema
from tests.contracts.record import block_after, ticks

BLOCK = block_after(genesis(3), commands=2, time_ns=7, inputs=b'{"commands/3":12}')


def test_a_block_comes_back_as_it_was() -> None:
    assert wire.decode(wire.encode(BLOCK)) == BLOCK


def test_the_bytes_are_those_of_the_page() -> None:
    """Written out by hand: what stands in a topic for years is not to change with the code."""
    numbers = struct.pack("<4sIIQQQIIqIII", b"OUTB", 1, 3, 1, 0, 0, 2, 2, 7, BLOCK.schema_version, len(BLOCK.inputs), len(BLOCK.payload))
    assert wire.encode(BLOCK) == numbers + BLOCK.prev_hash + BLOCK.hash + BLOCK.inputs + BLOCK.payload


@pytest.mark.parametrize("at", range(len(wire.encode(BLOCK))))
def test_no_byte_can_be_changed_unseen(at: int) -> None:
    value = bytearray(wire.encode(BLOCK))
    value[at] ^= 1
    with pytest.raises((Damaged, NewerSchema)):
        wire.decode(bytes(value))


@pytest.mark.parametrize("length", [0, 1, wire.HEADER.size - 1, wire.HEADER.size, len(wire.encode(BLOCK)) - 1])
def test_a_record_that_is_cut_is_no_block(length: int) -> None:
    with pytest.raises(Damaged):
        wire.decode(wire.encode(BLOCK)[:length])


def test_more_than_a_block_is_no_block() -> None:
    with pytest.raises(Damaged, match=f"do not make the {len(wire.encode(BLOCK)) + 1} bytes here"):
        wire.decode(wire.encode(BLOCK) + b"\0")


def test_a_later_format_is_for_a_later_release() -> None:
    value = wire.encode(BLOCK)
    with pytest.raises(NewerSchema, match="partition 3, block 1"):
        wire.decode(value[:4] + (2).to_bytes(4, "little") + value[8:])


def test_the_largest_numbers_fit() -> None:
    head = genesis(511)
    block: Block = seal(head, *ticks(1, 2**62 - 1), 2**62 - 1)
    assert wire.decode(wire.encode(block)) == block
