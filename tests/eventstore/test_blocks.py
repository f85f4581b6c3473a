"""The chain: what seals a block, and that nothing in it can be altered, moved or left out without being noticed."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.verbs import SCHEMA_VERSION
from eventstore import codec
from eventstore.blocks import Block, Head, after, digest, genesis, seal, verify
from eventstore.ports import Damaged, NewerSchema
from tests.contracts.record import block_after, ticks

HEAD = replace(genesis(3), epoch=2)
FIRST = block_after(HEAD, commands=2, time_ns=1_000, inputs=b'{"orders":5}')
SECOND = block_after(after(FIRST))


def resealed(block: Block) -> Block:
    """*block* with the hash of what it says now: what a forger would write, or a writer that went wrong."""
    return replace(block, hash=digest(block))


def test_a_block_says_what_it_holds_and_where_it_stands() -> None:
    commands, events = ticks(2, 1_000)
    block = seal(HEAD, commands, events, 1_000, b'{"orders":5}')
    assert (block.partition, block.seq, block.epoch, block.first_event) == (3, 1, 2, 0)
    assert (block.command_count, block.event_count, block.time_ns, block.schema_version) == (2, 2, 1_000, SCHEMA_VERSION)
    assert (block.inputs, block.prev_hash) == (b'{"orders":5}', HEAD.hash)
    assert block.rows() == (block.commands(), block.events()) == (commands, events)
    assert after(block) == Head(3, 2, 1, block.hash, 2, 1_000)


def test_the_genesis_is_made_of_the_partition_number_alone() -> None:
    """docs: SHA-256 of the words `outcry genesis` and the number as eight little-endian bytes. An outsider can compute it."""
    assert genesis(3).hash == hashlib.sha256(b"outcry genesis" + b"\x03" + bytes(7)).digest()


def test_the_hash_is_made_as_documented() -> None:
    """SHA-256 of a fixed header, the inputs and the payload: written here from the layout and not from the code."""
    header = struct.pack("<IIQQQIIqII", 3, 3, 1, 2, 0, 2, 2, 1_000, len(FIRST.inputs), len(FIRST.payload)) + HEAD.hash
    assert FIRST.hash == hashlib.sha256(header + FIRST.inputs + FIRST.payload).digest()


def test_blocks_follow_each_other() -> None:
    verify(FIRST, HEAD)
    verify(SECOND, after(FIRST))
    verify(block_after(replace(after(SECOND), epoch=9)), after(SECOND))


@pytest.mark.parametrize("field", [field.name for field in fields(Block)])
def test_every_field_is_under_the_hash(field: str) -> None:
    value = getattr(FIRST, field)
    altered: Any = value + 1 if isinstance(value, int) else value[:-1] + bytes([value[-1] ^ 1])
    with pytest.raises(Damaged, match="partition 3, block 1: "):
        verify(replace(FIRST, **{field: altered}), HEAD)


@given(bit=st.integers(0, 8 * len(FIRST.payload) - 1))
def test_every_bit_of_the_payload_is_under_the_hash(bit: int) -> None:
    payload = bytearray(FIRST.payload)
    payload[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged, match="its content hashes to"):
        verify(replace(FIRST, payload=bytes(payload)), HEAD)


def test_a_byte_cannot_move_between_inputs_and_payload() -> None:
    moved = replace(FIRST, inputs=FIRST.inputs + FIRST.payload[:1], payload=FIRST.payload[1:])
    with pytest.raises(Damaged, match="its content hashes to"):
        verify(moved, HEAD)


@pytest.mark.parametrize(
    ("wrong", "head", "says"),
    [
        (SECOND, HEAD, "partition 3, block 1: is block 2"),
        (FIRST, after(FIRST), "partition 3, block 2: is block 1"),
        (FIRST, replace(genesis(4), epoch=2), "partition 4, block 1: belongs to partition 3"),
        (FIRST, replace(HEAD, hash=bytes(32)), "names [0-9a-f]{64} as the block before, which is 0{64}"),
        (resealed(replace(SECOND, first_event=7)), after(FIRST), "first event is 7, the block before ends before 2"),
        (resealed(replace(SECOND, epoch=1)), after(FIRST), "epoch 1 is older than 2"),
        (resealed(replace(SECOND, time_ns=999)), after(FIRST), "time 999 is before 1000"),
        (replace(FIRST, epoch=-1), HEAD, "a field has a value it cannot have"),
        (replace(FIRST, event_count=2**40), HEAD, "a field has a value it cannot have"),
    ],
)
def test_what_does_not_follow_says_why(wrong: Block, head: Head, says: str) -> None:
    """Also when it carries the right hash of its wrong content."""
    with pytest.raises(Damaged, match=says):
        verify(wrong, head)


def test_the_rows_must_be_as_many_as_the_block_says() -> None:
    with pytest.raises(Damaged, match="partition 3, block 1: payload holds 2 commands and 2 events, not 2 and 3"):
        replace(FIRST, event_count=3).rows()


def test_a_payload_that_is_none_is_damage_with_a_name() -> None:
    """Whoever decodes without verifying still gets no error of zstd or numpy."""
    with pytest.raises(Damaged, match="partition 3, block 1: payload: zstd: "):
        replace(FIRST, payload=b"no payload").rows()


def test_a_block_of_a_later_release_is_not_guessed_at() -> None:
    with pytest.raises(
        NewerSchema, match=r"partition 3, block 1 has schema version 4, this release knows up to 3; use the release that wrote it"
    ):
        replace(FIRST, schema_version=4).rows()


def test_a_version_that_never_was_is_damage() -> None:
    with pytest.raises(Damaged, match="there never was a schema version 0"):
        replace(FIRST, schema_version=0).rows()


def test_time_never_goes_back_from_block_to_block() -> None:
    with pytest.raises(AssertionError, match="time never goes back"):
        seal(after(FIRST), *ticks(1, 5), 5)


def test_a_block_without_commands_is_our_mistake() -> None:
    with pytest.raises(AssertionError, match="at least one command"):
        seal(HEAD, b"", b"", 5)


def test_arrays_are_the_rows() -> None:
    """int64[k, 16] and int64[n, 8], for folds that work on columns."""
    rows = FIRST.arrays()
    assert isinstance(rows, codec.Rows)
    assert (rows.commands.shape, rows.events.shape) == ((2, 16), (2, 8))
    assert (rows.commands.tobytes(), rows.events.tobytes()) == FIRST.rows()
