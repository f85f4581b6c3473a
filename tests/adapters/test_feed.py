"""Numbering and batching, which all feeds of a venue share."""

from __future__ import annotations

import struct
from pathlib import Path

from adapters.feed import batched, file_source, rows
from commands.codec import from_row
from commands.messages import TickClock


def test_rows_carry_the_session_and_a_sequence_that_rises_by_one_from_1() -> None:
    numbered = list(rows([TickClock(received_ns=7), TickClock(received_ns=8)], session=5))

    assert [from_row(row) for row in numbered] == [
        TickClock(received_ns=7, session=5, sequence=1),
        TickClock(received_ns=8, session=5, sequence=2),
    ]


def test_batches_are_as_large_as_the_writer_takes() -> None:
    numbered = [struct.pack("<16q", *[number] * 16) for number in range(1, 40_001)]
    batches = list(batched(numbered))

    assert [len(batch) // 128 for batch in batches] == [16_384, 16_384, 7_232]
    assert b"".join(batches) == b"".join(numbered)


def test_a_file_is_known_by_its_name_its_size_and_its_content(tmp_path: Path) -> None:
    """Wherever it lies, and as long as nobody changes a byte of it."""

    def source(folder: str, name: str, content: bytes) -> str:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_bytes(content)
        return file_source("itch", tmp_path / folder / name, lambda _share: None)

    first = source("here", "day", b"abc")
    assert first == "itch day, 3 bytes, SHA-256 ba7816bf8f01cfea"
    assert source("there", "day", b"abc") == first
    assert len({first, source("here", "day", b"abd"), source("here", "day", b"abcd"), source("here", "another", b"abc")}) == 4


def test_reading_a_file_shows_how_far_it_is(tmp_path: Path) -> None:
    (tmp_path / "day").write_bytes(bytes(3 * 2**20))
    shares: list[float] = []
    file_source("itch", tmp_path / "day", shares.append)
    assert shares == [1 / 3, 2 / 3, 1.0]
