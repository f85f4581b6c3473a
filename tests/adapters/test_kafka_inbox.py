"""What becomes of a record of `commands`: its rows, or a row that says what was wrong with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kafka_inbox import BadPosition, rows_of
from commands import batch
from commands.codec import from_row
from commands.messages import NoteUnreadable, Unreadable
from tests import market

ROWS = market.buy(7, 5, 101) + market.sell(7, 5, 101)
BROKEN = market.buy(7, 5, -1)
GOOD = batch.encode(ROWS)


def test_a_batch_is_its_rows() -> None:
    assert rows_of(GOOD, 1, 0) == ROWS


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (b"", "length"),
        (GOOD[:-1], "length"),
        (b"X" + GOOD[1:], "magic"),
        (GOOD[:4] + b"\2" + GOOD[5:], "version"),
        (GOOD[:6] + b"\2" + GOOD[7:], "flags"),
        (GOOD[:8] + b"\0" + GOOD[9:], "row_count"),
        (GOOD[:12] + b"\0" + GOOD[13:], "checksum"),
        (batch.encode(ROWS + BROKEN), "malformed_rows"),
        (batch.encode(BROKEN, skip_malformed=True), "malformed_rows"),
    ],
)
def test_what_is_no_batch_becomes_a_note_of_its_place_and_fault(value: bytes, error: Unreadable) -> None:
    note = from_row(rows_of(value, 3, 41))
    assert note == NoteUnreadable(topic="commands", topic_partition=3, offset=41, error=error, size_bytes=len(value))


def test_malformed_rows_are_left_out_when_the_batch_says_so() -> None:
    assert rows_of(batch.encode(ROWS + BROKEN, skip_malformed=True), 1, 0) == ROWS


@given(st.binary(max_size=400))
def test_no_bytes_stop_a_partition(value: bytes) -> None:
    assert len(rows_of(value, 1, 0)) % 128 == 0


def test_a_lost_place_is_told_with_what_there_is() -> None:
    assert "the topic holds 30 to 50: 20 records before it was read were deleted" in str(BadPosition("commands-1", 10, 30, 50))
    assert "it is another topic, or it lost its end" in str(BadPosition("commands-1", 60, 30, 50))
