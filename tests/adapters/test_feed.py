"""Numbering and batching, which all feeds of a venue share."""

from __future__ import annotations

import struct

import pytest

from adapters.feed import batched, rows
from commands.codec import from_row
from commands.messages import TickClock


def test_rows_carry_the_session_and_a_sequence_that_rises_by_one_from_1() -> None:
    numbered = list(rows([TickClock(received_ns=7), TickClock(received_ns=8)], session=5))

    assert [from_row(row) for row in numbered] == [
        TickClock(received_ns=7, session=5, sequence=1),
        TickClock(received_ns=8, session=5, sequence=2),
    ]


@pytest.mark.parametrize(("after", "sizes"), [(0, [16_384, 16_384, 7_232]), (10, [16_384, 16_384, 7_222]), (39_999, [1]), (40_000, [])])
def test_batches_are_as_large_as_the_writer_takes_and_begin_after_what_is_done(after: int, sizes: list[int]) -> None:
    numbered = (struct.pack("<16q", *[number] * 16) for number in range(1, 40_001))
    batches = list(batched(numbered, after))

    assert [len(batch) // 128 for batch in batches] == sizes
    assert all(struct.unpack_from("<q", batch)[0] == after + 1 for batch in batches[:1])
