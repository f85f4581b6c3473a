"""The payload: any rows come back as they were, little is stored, and bytes that are no payload say so."""

from __future__ import annotations

import struct
import tracemalloc
from contextlib import suppress

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from domain.events import COMMAND_REFUSED, EVENT_BYTES, ORDER_RESTED
from domain.verbs import COMMAND_BYTES, MASS_CANCEL
from eventstore import codec
from eventstore.codec import BadPayload
from tests.eventstore.flow import busy_rows

WORD = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 300) | st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 2**24, 2**32])
COMMAND = st.tuples(*[WORD] * 16)
OUTCOME = st.tuples(st.builds(lambda kind, rest: kind + rest * 256, st.integers(0, 31), st.integers(-(2**55), 2**55 - 1)), *[WORD] * 7)
CONSEQUENCE = st.tuples(
    st.builds(lambda kind, rest: kind + rest * 256, st.integers(32, 255), st.integers(-(2**55), 2**55 - 1)), *[WORD] * 7
)
CAUSED = st.lists(st.tuples(COMMAND, OUTCOME, st.lists(CONSEQUENCE, max_size=4)), max_size=8)


def rows_of(caused: list[tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, ...]]]]) -> tuple[bytes, bytes]:
    """Command rows and event rows of commands with what they caused."""
    commands = b"".join(struct.pack("<16q", *command) for command, _, _ in caused)
    return commands, b"".join(struct.pack("<8q", *event) for _, outcome, others in caused for event in (outcome, *others))


def decoded(payload: bytes) -> tuple[bytes, bytes]:
    rows = codec.decode(payload)
    return rows.commands.tobytes(), rows.events.tobytes()


def packed(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(1).compress(body)


def unpacked(payload: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(payload)


@given(caused=CAUSED)
def test_any_rows_come_back_as_they_were(caused: list[tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, ...]]]]) -> None:
    """Refused commands are recorded too, and their words may hold anything."""
    rows = rows_of(caused)
    assert decoded(codec.encode(*rows)) == rows


@pytest.mark.parametrize("commands", [1, 2, 255, 256, 257, codec.MAX_COMMANDS])
def test_a_busy_market_comes_back_as_it_was(commands: int) -> None:
    rows = busy_rows(commands)
    assert decoded(codec.encode(*rows)) == rows


def test_the_same_rows_are_always_the_same_bytes() -> None:
    """Otherwise the hash of a block would depend on who sealed it."""
    rows = busy_rows(1000)
    assert codec.encode(*rows) == codec.encode(*rows)


def test_a_busy_market_takes_at_most_10_bytes_per_event_its_commands_included() -> None:
    commands, events = busy_rows()
    assert len(codec.encode(commands, events)) <= 10 * len(events) // EVENT_BYTES


def test_what_a_reader_knows_already_takes_no_space() -> None:
    """Steady sequences, fields that never change and what events repeat of their command: 10,000 orders in 500 bytes."""
    orders = [(7, 100 * i, 1, i, 42, 3, 1, i, 0, 9_990, 2, *[0] * 5) for i in range(10_000)]
    events = [[9 + 256 + (3 << 32), 2**53 + (i + 1) * 2**24, 0, 9_990, 2, 0, 0, 0] for i in range(10_000)]
    rows = b"".join(struct.pack("<16q", *order) for order in orders), b"".join(struct.pack("<8q", *event) for event in events)
    assert len(codec.encode(*rows)) < 500
    assert decoded(codec.encode(*rows)) == rows


@pytest.mark.parametrize(
    ("commands", "events", "rule"),
    [
        (b"\0" * 127, b"", "whole command rows"),
        (b"\0" * 128, b"\0" * 65, "whole event rows"),
        (b"\0" * 128, b"", "0 outcomes for 1 commands"),
        (b"\0" * 128, b"\0" * 128, "2 outcomes for 1 commands"),
        (b"\0" * 128, struct.pack("<8q", ORDER_RESTED, *[0] * 7) + b"\0" * 64, "the first event is not the outcome"),
        (b"\0" * 128 * (codec.MAX_COMMANDS + 1), b"", "at most MAX_COMMANDS"),
    ],
)
def test_encoding_what_is_no_commit_is_our_mistake(commands: bytes, events: bytes, rule: str) -> None:
    with pytest.raises(AssertionError, match=rule):
        codec.encode(commands, events)


@given(payload=st.binary(max_size=300))
def test_bytes_that_are_no_payload_say_so(payload: bytes) -> None:
    with pytest.raises(BadPayload):
        codec.decode(payload)


@given(body=st.binary(max_size=300))
def test_a_frame_around_bytes_that_are_no_body_says_so(body: bytes) -> None:
    with pytest.raises(BadPayload):
        codec.decode(packed(body))


@given(data=st.data())
def test_a_body_altered_anywhere_gives_rows_or_says_what_is_wrong(data: st.DataObject) -> None:
    """The hash finds the alteration; decoding need only not crash, hang, or give rows of a shape that is not those of a commit."""
    body = bytearray(unpacked(codec.encode(*busy_rows(20))))
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        body[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(body)))
    try:
        rows = codec.decode(packed(bytes(body[:cut])))
    except BadPayload:
        return
    assert rows.commands.shape[1:] == (16,)
    assert rows.events.shape[1:] == (8,)


@given(at=st.integers(0, 5000), value=st.integers(0, 255))
def test_a_payload_altered_anywhere_gives_rows_or_says_what_is_wrong(at: int, value: int) -> None:
    payload = bytearray(codec.encode(*busy_rows(300)))
    payload[at % len(payload)] = value
    with suppress(BadPayload):
        codec.decode(bytes(payload))


def test_a_truncated_payload_says_so() -> None:
    payload = codec.encode(*busy_rows(50))
    for size in range(len(payload)):
        with pytest.raises(BadPayload):
            codec.decode(payload[:size])


def head(reference: int = 0, rising: int = 0, width: int = 0) -> bytes:
    return struct.pack("<BBBqq", reference, rising, width, 0, 0)


def body(*, version: int = 1, verbs: bytes = b"\0", kinds: bytes = b"\0", heads: bytes = head() * 24, planes: bytes = b"") -> bytes:
    return struct.pack("<III", version, len(verbs), len(kinds)) + verbs + kinds + heads + planes


def test_the_plainest_body_is_one_command_of_zeros_and_its_outcome() -> None:
    assert decoded(packed(body())) == (b"\0" * COMMAND_BYTES, b"\0" * EVENT_BYTES)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (body(version=2), "its format is 2, not 1"),
        (struct.pack("<III", 1, codec.MAX_COMMANDS + 1, 0), "16385 commands, more than 16384"),
        (struct.pack("<III", 1, 0, codec.MAX_EVENTS + 1), "4194305 events, more than 4194304"),
        (struct.pack("<III", 1, 1, 1), "it ends inside the groups"),
        (body(verbs=b"\x40"), "a group is not below 64"),
        (body(kinds=b"\xff"), "a group is not below 64"),
        (body(kinds=b"\0\0"), "2 outcomes for 1 commands"),
        (body(kinds=b"\x21\0"), "the first event is not the outcome of a command"),
        (body(heads=head() * 23), "it ends inside the column heads"),
        (body(heads=head(width=1) + head() * 23), "it ends inside a column"),
        (body(heads=head(width=9) + head() * 23, planes=b"\0" * 9), "a column is 9 bytes wide"),
        (body(heads=head() * 3 + head(reference=3) + head() * 20), "word 3 of a command refers to word 3"),
        (body(heads=head() * 16 + head(reference=17) + head() * 7), "kind 0 refers to word 17"),
        (body(kinds=b"\0\x21", heads=head() * 24 + head(reference=24) + head() * 7), "kind 33 refers to word 24"),
        (body(planes=b"\0"), "1 bytes follow the last column"),
    ],
)
def test_a_body_that_breaks_the_layout_names_the_break(wrong: bytes, says: str) -> None:
    with pytest.raises(BadPayload, match=says):
        codec.decode(packed(wrong))


def test_memory_is_taken_only_after_sizes_were_checked() -> None:
    """A frame that promises more than the largest block is refused before a byte of it is unpacked."""
    bomb = packed(b"\0" * (codec.MAX_BODY_BYTES + 1))
    tracemalloc.start()
    with pytest.raises(BadPayload, match="states a size of"):
        codec.decode(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_what_follows_the_frame_is_not_passed_over() -> None:
    with pytest.raises(BadPayload):
        codec.decode(codec.encode(*busy_rows(2)) + b"\0")


def test_a_command_with_many_consequences_comes_back_as_it_was() -> None:
    """One mass cancel may remove 16,384 orders; all are one block."""
    command = struct.pack("<16q", MASS_CANCEL, *[0] * 15)
    removed = b"".join(struct.pack("<8q", 34 + (4 << 16), 2**53 + i, 1, 100, 5, 500, 0, 0) for i in range(16_384))
    rows = command, struct.pack("<8q", 13, 16_384, *[0] * 6) + removed
    assert decoded(codec.encode(*rows)) == rows


def test_a_refusal_is_small() -> None:
    """An idle writer commits at once: a block of one command and one event stays in the hundreds of bytes."""
    rows = (
        struct.pack("<16q", 7, 1_700_000_000_000_000_000, 1, 99, 12, 1, 1, 99, 0, 100, 5, *[0] * 5),
        struct.pack("<8q", COMMAND_REFUSED, 21, 9_950, 100, *[0] * 4),
    )
    assert len(codec.encode(*rows)) < 200
