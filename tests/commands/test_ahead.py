"""Reading ahead changes when blocks are read, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from commands.ahead import decoded
from eventstore.ahead import DEPTH
from eventstore.blocks import Block, after, genesis
from eventstore.errors import Damaged
from tests.contracts.record import block_after


def chain(count: int) -> list[Block]:
    blocks: list[Block] = []
    for _ in range(count):
        blocks.append(block_after(after(blocks[-1]) if blocks else genesis(1)))
    return blocks


def test_the_blocks_come_in_order_with_their_rows() -> None:
    blocks = chain(7)
    assert [(found.block, bytes(found.commands), bytes(found.events)) for found in decoded(iter(blocks))] == [
        (block, *block.rows()) for block in blocks
    ]


def test_an_error_comes_where_its_block_would_have_come() -> None:
    def broken() -> Iterator[Block]:
        yield from chain(2)
        raise Damaged(1, 3, "missing")

    blocks = decoded(broken())
    assert [next(blocks).block.seq, next(blocks).block.seq] == [1, 2]
    with pytest.raises(Damaged, match="block 3: missing"):
        next(blocks)


def test_few_blocks_wait_and_who_stops_early_leaves_no_thread() -> None:
    """A record may be of any length."""
    read: list[int] = []

    def endless() -> Iterator[Block]:
        for block in chain(50):
            read.append(block.seq)
            yield block

    before = threading.active_count()
    with closing(decoded(endless())) as blocks:
        assert next(blocks).block.seq == 1
    assert len(read) <= DEPTH + 3
    assert threading.active_count() == before
