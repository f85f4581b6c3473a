"""The binary batch, byte by byte as docs/protocol.md says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import batch
from commands.batch import BadBatch
from commands.codec import from_row
from commands.messages import CancelOrder, NewOrder
from tests import market

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
ROWS = [market.open_account(7), market.buy(7, 5, 101, client_order_id=3), market.cancel(7, client_order_id=3), market.tick(0)]
BROKEN = market.buy(7, 5, -1)


def test_the_example_of_the_protocol_page_is_what_it_says() -> None:
    hex_block = re.search(r"```hex\n(.*?)```", PROTOCOL.read_text(), re.DOTALL)
    assert hex_block
    lines = [line.split(maxsplit=1) for line in hex_block[1].splitlines()]
    example = b"".join(bytes.fromhex(text) for _, text in lines)
    assert [int(offset) for offset, _ in lines] == list(range(0, len(example), 16))
    rows = batch.decode(example).rows
    assert from_row(rows[:128]) == NewOrder(account=7, instrument=1, side="buy", price_ticks=101, quantity_lots=5, client_order_id=3)
    assert from_row(rows[128:]) == CancelOrder(account=7, client_order_id=3)
    assert batch.encode(rows) == example


@given(st.lists(st.sampled_from(ROWS), min_size=1, max_size=20), st.booleans())
def test_a_batch_gives_back_its_rows(rows: list[bytes], skip_malformed: bool) -> None:
    together = b"".join(rows)
    assert batch.decode(batch.encode(together, skip_malformed=skip_malformed)) == (together, ())


def test_a_batch_carries_16_384_rows() -> None:
    rows = ROWS[1] * 16_384
    assert batch.decode(batch.encode(rows)).rows == rows


@pytest.mark.parametrize(
    ("at", "change", "says"),
    [
        (0, b"X", "bytes 0-3 are b'XUTC'; a batch begins with b'OUTC'"),
        (4, b"\2", "version is 2; this release reads version 1"),
        (6, b"\2", "flags are 0x0002; only bit 0"),
        (8, b"\0", "row count is 0; a batch carries 1 to 16384 rows"),
        (8, b"\1\x40", "row count is 16385; a batch carries 1 to 16384 rows"),
        (8, b"\3", "3 rows make 400 bytes with the header; here are 272"),
        (12, b"\0", "checksum is 0x"),
        (200, b"\1", "changed on the way: send them again"),
    ],
)
def test_what_is_no_batch_is_named(at: int, change: bytes, says: str) -> None:
    good = batch.encode(ROWS[1] + ROWS[2])
    with pytest.raises(BadBatch, match=re.escape(says)) as refused:
        batch.decode(good[:at] + change + good[at + len(change) :])
    assert refused.value.malformed == ()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 271, 273])
def test_a_batch_of_the_wrong_length_is_no_batch(size: int) -> None:
    good = batch.encode(ROWS[1] + ROWS[2])
    with pytest.raises(BadBatch, match=f"here are {size}"):
        batch.decode((good + b"\0")[:size])


def test_a_malformed_row_stops_the_batch_and_is_named() -> None:
    with pytest.raises(
        BadBatch, match=r"1 malformed rows, nothing was processed: row 1: NewOrder\.price_ticks \(word 9\) is -1: it must be 0 to"
    ) as refused:
        batch.decode(batch.encode(ROWS[0] + BROKEN + ROWS[2]))
    assert [(each.row, each.field, each.value) for each in refused.value.malformed] == [(1, "price_ticks", -1)]


def test_the_well_formed_rest_is_processed_only_when_asked_for() -> None:
    rows, skipped = batch.decode(batch.encode(ROWS[0] + BROKEN + ROWS[2] + BROKEN, skip_malformed=True))
    assert rows == ROWS[0] + ROWS[2]
    assert [each.row for each in skipped] == [1, 3]


def test_an_error_names_ten_rows_and_counts_the_others() -> None:
    with pytest.raises(BadBatch, match=r"12 malformed rows.*row 9:.*; and 2 more$") as refused:
        batch.decode(batch.encode(BROKEN * 12))
    assert len(refused.value.malformed) == 12


@given(st.binary(max_size=500))
def test_any_bytes_are_a_batch_or_an_error_that_explains(data: bytes) -> None:
    with pytest.raises(BadBatch, match=r"."):
        batch.decode(data)


@given(st.binary(min_size=128, max_size=128 * 4).map(lambda data: data[: len(data) // 128 * 128]), st.booleans())
def test_any_rows_are_commands_or_named_as_malformed(rows: bytes, skip_malformed: bool) -> None:
    try:
        decoded, skipped = batch.decode(batch.encode(rows, skip_malformed=skip_malformed))
    except BadBatch as refused:
        assert refused.malformed  # noqa: PT017 - either is right
        assert not skip_malformed
    else:
        assert len(decoded) // 128 + len(skipped) == len(rows) // 128


@given(st.data())
def test_one_flipped_byte_is_never_taken_for_the_batch_that_was_sent(data: st.DataObject) -> None:
    good = batch.encode(b"".join(ROWS))
    at = data.draw(st.integers(0, len(good) - 1))
    flipped = bytes([good[at] ^ data.draw(st.integers(1, 255))])
    with pytest.raises(BadBatch, match=r"."):
        batch.decode(good[:at] + flipped + good[at + 1 :])
