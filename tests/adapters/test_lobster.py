"""Reading a LOBSTER zip: messages and books in lockstep, and an error that explains for every file that is none."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.feed import BadFeed
from adapters.lobster import LobsterFile, Message, Step
from tests.adapters.lobster_files import BOOKS, MESSAGES, book, line, zipped

GOOD = line(1, 11, 5, 100, 1)
AFTER = book([(103, 1)], [(100, 5)])


def read(path: Path) -> list[Step]:
    return list(LobsterFile(path).steps())


def test_a_step_is_a_message_and_the_levels_in_sight_after_it(tmp_path: Path) -> None:
    (step,) = read(zipped(tmp_path, [(GOOD, book([(103, 1), (104, 2)], [(100, 5)]))]))

    assert step.message == Message(line=1, timestamp_ns=34_200_500_000_000, type=1, order=11, shares=5, price=100, buy=True)
    assert (step.sells, step.buys, step.depth) == ({103: 1, 104: 2}, {100: 5}, 2)


def test_the_name_says_what_was_traded_and_when(tmp_path: Path) -> None:
    file = LobsterFile(zipped(tmp_path, [(GOOD, AFTER)]))
    assert (file.symbol, file.day) == ("ACME", "2012-06-21")


@pytest.mark.parametrize(
    ("at", "timestamp_ns"),
    [
        ("34200", 34_200_000_000_000),
        ("34200.017459617", 34_200_017_459_617),
        ("43002.632812672004", 43_002_632_812_672),
        ("43002.6328126719999", 43_002_632_812_672),
        ("0.0000000005", 1),
    ],
)
def test_times_are_exact_to_the_nanosecond(tmp_path: Path, at: str, timestamp_ns: int) -> None:
    """No binary fraction is involved; the rounding of the file's own is undone."""
    (step,) = read(zipped(tmp_path, [(line(1, 11, 5, 100, 1, at), AFTER)]))
    assert step.message.timestamp_ns == timestamp_ns


BAD_MESSAGES = [
    ("", f"{MESSAGES} line 1: the file ends, but the other one goes on; right would be as many lines in both"),
    (GOOD + "\n" + GOOD + "\n", f"{BOOKS} line 2: the file ends, but the other one goes on"),
    ("nonsense\n", "line 1: b'nonsense\\n'; right would be seconds,type 1-7,order,shares,price in 10^-4 dollar,1 or -1"),
    (line(8, 11, 5, 100, 1), "right would be seconds,type 1-7"),
    (line(1, 11, 5, 100, 0), "right would be seconds,type 1-7"),
    (line(1, 11, 5, 100, 1, "86400.0"), "86400 seconds after midnight; right would be below 86400"),
    (line(1, 11, 0, 100, 1), "0 shares at 100; right would be both from 1 to 2147483647"),
    (line(1, 11, 2**31, 100, 1), "2147483648 shares at 100; right would be both from 1 to 2147483647"),
    (line(1, 11, 5, -1, 1), "5 shares at -1; right would be both from 1 to 2147483647"),
    (line(1, 0, 5, 100, 1), "order 0; right would be 1 to 4611686018427387903"),
    (line(7, 0, 0, 2, -1), "a halt with price 2; right would be -1 halted, 0 quotation, 1 trading"),
    ("1" * 10_000, "line 1: b'1111"),
]


@pytest.mark.parametrize(("messages", "says"), BAD_MESSAGES)
def test_a_bad_message_is_named_with_what_would_be_right(tmp_path: Path, messages: str, says: str) -> None:
    with pytest.raises(BadFeed, match=re.escape(says)):
        read(zipped(tmp_path, messages=messages, books=AFTER + "\n"))


BAD_BOOKS = [
    ("1,2,3", "right would be 4 for each level whole numbers with commas between them"),
    ("1,2,3,x", "right would be 4 whole numbers with commas between them"),
    ("103,0,100,5", "right would be prices and sizes from 1 to 2147483647"),
    ("103,1,-100,5", "right would be prices and sizes from 1 to 2147483647"),
    ("100,1,100,5", "right would be prices that rise from the worst buy over best buy and best sell to the worst sell"),
    ("103,1,100,5,102,1,99,1", "right would be prices that rise"),
    ("103,1,100,5,104,1,100,1", "right would be prices that rise"),
]


@pytest.mark.parametrize(("after", "says"), BAD_BOOKS)
def test_a_bad_book_is_named_with_what_would_be_right(tmp_path: Path, after: str, says: str) -> None:
    with pytest.raises(BadFeed, match=re.escape(f"{BOOKS} line 1: ") + ".*" + re.escape(says)):
        read(zipped(tmp_path, [(GOOD, after)]))


def test_the_depth_of_the_first_book_is_the_depth_of_all(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match=re.escape("line 2: b'103,1,100,5\\n'; right would be 8 whole numbers")):
        read(zipped(tmp_path, [(GOOD, AFTER), (GOOD, "103,1,100,5")]))


def test_an_empty_day_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match=re.escape(f"{MESSAGES} line 1: the file is empty; right would be a line per message")):
        read(zipped(tmp_path, []))


def test_a_zip_without_both_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadFeed, match=r"day\.zip: has message, and not both files; right would be SYMBOL_YYYY-MM-DD_"):
        LobsterFile(zipped(tmp_path, [(GOOD, AFTER)], books_name="other.csv"))


@given(st.binary(max_size=300))
def test_any_bytes_are_no_day(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "day.zip"
        path.write_bytes(raw)
        with pytest.raises(BadFeed, match=r"day\.zip: .+; right would be .+"):
            read(path)


LINES = [(line(1, order, 5, 90 + order, 1), book([(103, 1)], [(90 + order, 5)])) for order in range(1, 10)]


@given(st.integers(0, 2_000), st.integers(0, 255), st.integers(0, 2_000))
def test_a_damaged_zip_is_the_day_or_an_error(at: int, value: int, cut: int) -> None:
    """One byte overwritten, or the end missing: read as it was (some bytes carry no meaning), or refused with a reason."""
    with tempfile.TemporaryDirectory() as folder:
        path = zipped(Path(folder), LINES)
        whole, raw = read(path), bytearray(path.read_bytes())
        raw[at % len(raw)] = value
        path.write_bytes(raw if cut % 3 else raw[: cut % len(raw)])
        try:
            assert read(path) == whole
        except BadFeed as wrong:
            error = str(wrong)
        else:
            error = "right would be nothing else"
    assert "right would be" in error


TEXT = st.text(st.sampled_from("0123456789,.-\n"), max_size=60)


@given(TEXT, TEXT)
def test_any_text_in_the_zip_is_a_day_or_an_error(messages: str, books: str) -> None:
    error = ""
    with tempfile.TemporaryDirectory() as folder:
        path = zipped(Path(folder), messages=f"{GOOD}\n{messages}", books=f"{AFTER}\n{books}")
        try:
            read(path)
        except BadFeed as wrong:
            error = str(wrong)
    assert not error or "right would be" in error


def test_the_real_day_has_the_messages_counted_by_hand(market_data: Path) -> None:
    """And each message about an order changes its level by exactly its size."""
    before: Step | None = None
    types: Counter[int] = Counter()
    wrong = 0
    for step in LobsterFile(market_data / "lobster/LOBSTER_SampleFile_AMZN_2012-06-21_5.zip").steps():
        message = step.message
        types[message.type] += 1
        if before is not None and message.type <= 4:
            then, now = (before.buys, step.buys) if message.buy else (before.sells, step.sells)
            change = now.get(message.price, 0) - then.get(message.price, 0)
            wrong += change != (message.shares if message.type == 1 else -message.shares)
        before = step

    assert types == {1: 77_381, 2: 450, 3: 66_685, 4: 8_974, 5: 2_445}
    assert wrong == 0
