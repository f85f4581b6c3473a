"""ITCH 5.0 decoding: every message of the specification, and an error that explains for every file that is none."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import itch
from adapters.feed import BadFeed
from tests.adapters.itch_files import LENGTHS, SPECIFICATION, add, body, framed, message


def read(raw: bytes) -> list[itch.Message]:
    return list(itch.read(io.BytesIO(raw), "day.itch50"))


def error_of(raw: bytes) -> str:
    """What is wrong with *raw*; empty: nothing."""
    try:
        read(raw)
    except BadFeed as wrong:
        return str(wrong)
    return ""


@pytest.mark.parametrize("letter", LENGTHS)
def test_every_type_has_the_length_and_the_fields_of_the_specification(letter: str) -> None:
    """Fields are told apart by their values: were two swapped or one of the wrong width, a value would land in the wrong place."""
    codes = SPECIFICATION[letter].split()
    values = [
        (f"T{place}"[: int(code[:-1] or 1)] if code.endswith("s") else "B") if code[-1] in "sc" else place + 1
        for place, code in enumerate(codes)
    ]
    values[0:2] = ["ACME", "T"] if letter == "H" else values[0:2]

    (decoded,) = read(framed(body(letter, *values, locate=513, tracking=4, time_ns=2**33 + 5)))

    assert itch.LAYOUTS[ord(letter)].length == LENGTHS[letter]
    assert decoded[:5] == (1, 0, 513, 4, 2**33 + 5)
    assert list(decoded.body) == values
    assert (type(decoded.body).__doc__ or "").startswith(f"{letter}: ")


def test_all_types_of_the_specification_are_known() -> None:
    assert {chr(letter) for letter in itch.LAYOUTS} == set(SPECIFICATION)
    assert len(get_args(itch.Body)) == len(SPECIFICATION)


def test_text_loses_its_padding() -> None:
    (decoded,) = read(message("L", "GSCO", "AAPL", "Y", "N", "A"))
    assert decoded.body == itch.MarketParticipant("GSCO", "AAPL", "Y", "N", "A")


def test_a_length_of_zero_ends_the_session() -> None:
    assert len(read(add(1, "B", 5, 100) + b"\0\0")) == 1


GOOD = add(1, "B", 5, 100)  # 38 bytes on file
BAD = [
    (b"", "message 1 at byte 0: the file has no message; right would be an uncompressed ITCH 5.0 file"),
    (b"\0", "message 1 at byte 0: the file ends inside it, after one byte of its two-byte length"),
    (GOOD + GOOD[:-1], "message 2 at byte 38: the file ends inside it, after 35 of its 36 bytes"),
    (
        GOOD + b"\0\0" + GOOD,
        "message 2 at byte 38: a length of 0 ends the session, but more bytes follow; right would be the end of the file",
    ),
    (
        GOOD + framed(b"z" + bytes(11)),
        "message 2 at byte 38: type b'z' is unknown; right would be one of these (with its length): S (12), R (39)",
    ),
    (b"# A text file", "message 1 at byte 0: its length is 8992; right would be at most 50, in an uncompressed file of ITCH 5.0"),
    (GOOD + b"\x00\x33", "message 2 at byte 38: its length is 51; right would be at most 50"),
    (framed(body("D", 1) + b"\0"), "message 1 at byte 0: type D has length 20; right would be 19"),
    (framed(body("D", 1)[:-1]), "message 1 at byte 0: type D has length 18; right would be 19"),
    (
        message("D", 1, time_ns=itch.NS_PER_DAY),
        "timestamp 86400000000000 ns is not within a day; right would be nanoseconds since midnight",
    ),
    (add(1, "X", 5, 100), "message 1 at byte 0: AddOrder.side is 'X'; right would be one of B, S"),
    (message("H", "ACME", " ", "", ""), "TradingAction.state is ''; right would be one of H, P, Q, T"),
    (GOOD.replace(b"ACME", b"AC\xffE"), "AddOrder.stock is b'AC\\xffE    '; right would be printable ASCII characters"),
    (GOOD.replace(b"ACME", b"AC\nE"), "AddOrder.stock is b'AC\\nE    '; right would be printable ASCII characters"),
]


@pytest.mark.parametrize(("raw", "says"), BAD)
def test_a_bad_message_is_named_with_what_would_be_right(raw: bytes, says: str) -> None:
    with pytest.raises(BadFeed, match=re.escape(says)):
        read(raw)


def test_messages_before_the_bad_one_are_good() -> None:
    reading = itch.read(io.BytesIO(GOOD + b"\xff"), "day.itch50")

    assert next(reading).body == itch.AddOrder(1, "B", 5, "ACME", 100)
    with pytest.raises(BadFeed, match=r"^day\.itch50: message 2 at byte 38"):
        next(reading)


class Endless(io.RawIOBase):
    """A file that never ends."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        buffer[:] = (GOOD * (len(buffer) // len(GOOD) + 1))[: len(buffer)]
        return len(buffer)


def test_reading_streams() -> None:
    """A day has hundreds of millions of messages: none is read before it is asked for."""
    reading = itch.read(io.BufferedReader(Endless(), buffer_size=38), "endless")

    assert [next(reading).number for _ in range(3)] == [1, 2, 3]


@given(st.binary(max_size=400))
def test_any_bytes_are_messages_or_an_error_that_explains(raw: bytes) -> None:
    error = error_of(raw)

    assert not error or re.match(r"day\.itch50: message \d+ at byte \d+: .+; right would be .+", error, re.DOTALL)


@given(st.lists(st.sampled_from(sorted(LENGTHS)), min_size=1, max_size=5), st.data())
def test_any_content_of_well_formed_length_is_messages_or_an_error(letters: list[str], data: st.DataObject) -> None:
    bodies = [letter.encode() + data.draw(st.binary(min_size=LENGTHS[letter] - 1, max_size=LENGTHS[letter] - 1)) for letter in letters]
    raw = framed(*bodies)

    assert "right would be" in error_of(raw) or [type(decoded.body) for decoded in read(raw)] == [
        itch.LAYOUTS[ord(a)].make for a in letters
    ]


def test_the_real_files_have_the_messages_counted_by_hand(market_data: Path) -> None:
    counts = {}
    for name in ("aapl_2020-01-30_first_10k", "all_symbols_2019-12-30_1k"):
        with (market_data / "itch" / f"{name}.itch50").open("rb") as file:
            counts[name] = Counter((type(decoded.body).__doc__ or "")[0] for decoded in itch.read(file, name))

    assert counts["aapl_2020-01-30_first_10k"] == {
        "A": 4758,
        "F": 2,
        "D": 4083,
        "E": 849,
        "X": 6,
        "U": 7,
        "P": 240,
        "L": 52,
        "R": 1,
        "H": 1,
        "Y": 1,
    }
    assert counts["all_symbols_2019-12-30_1k"] == {
        "A": 367,
        "U": 225,
        "F": 193,
        "D": 167,
        "E": 28,
        "X": 6,
        "I": 4,
        "P": 4,
        "Q": 4,
        "S": 1,
        "C": 1,
    }
