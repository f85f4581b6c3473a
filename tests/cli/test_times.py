"""Times at the door: to the nanosecond, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.times import BadTime, from_ns, to_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("0", 0),
        ("1340274667123456789", 1340274667123456789),
        ("2012-06-21T10:31:07.123456789", 1340274667123456789),
        ("2012-06-21 10:31:07.123456789Z", 1340274667123456789),
        ("2012-06-21T06:31:07.1-04:00", 1340274667100000000),
        ("1970-01-01T00:00:00", 0),
    ],
)
def test_a_time_is_nanoseconds_or_iso_8601(text: str, time_ns: int) -> None:
    assert to_ns(text) == time_ns


@pytest.mark.parametrize(
    "text", ["", "10:31", "2012-06-21", "2012-06-21T25:00:00", "2012-13-01T00:00:00", "-1", "2012-06-21T10:31:07.1234567890"]
)
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(BadTime, match="for example 2012-06-21T10:31:07"):
        to_ns(text)


@given(st.integers(0, 253_402_300_799 * 10**9))
def test_times_survive_the_way_out_and_in(time_ns: int) -> None:
    assert to_ns(from_ns(time_ns)) == time_ns


def test_a_time_beyond_the_calendar_is_shown_as_a_number() -> None:
    assert from_ns(2**70) == str(2**70)
