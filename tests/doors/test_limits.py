"""Buckets of tokens: a steady rate, a burst, and a bound of what is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.doors.limits import Buckets, Rate, TooOften


def test_a_burst_then_a_steady_rate() -> None:
    buckets = Buckets(Rate(per_s=2, burst=3))
    for _ in range(3):
        buckets.take("key 1", 10.0)
    with pytest.raises(TooOften, match=r"key 1 may ask 2 times a second, 3 at once; try again in 0\.5 s") as refused:
        buckets.take("key 1", 10.0)
    assert refused.value.retry_after_s == 0.5
    buckets.take("key 1", 10.5)
    with pytest.raises(TooOften):
        buckets.take("key 1", 10.5)


def test_a_refusal_takes_nothing() -> None:
    buckets = Buckets(Rate(per_s=1, burst=1))
    buckets.take("a", 0.0)
    for _ in range(5):
        with pytest.raises(TooOften):
            buckets.take("a", 0.5)
    buckets.take("a", 1.0)


def test_one_does_not_use_up_anothers() -> None:
    buckets = Buckets(Rate(per_s=1, burst=1))
    buckets.take("a", 0.0)
    buckets.take("b", 0.0)


def test_a_batch_larger_than_the_bucket_is_paid_back_after() -> None:
    buckets = Buckets(Rate(per_s=10, burst=10))
    buckets.take("a", 0.0, 100)
    with pytest.raises(TooOften) as refused:
        buckets.take("a", 0.0)
    assert refused.value.retry_after_s == pytest.approx(9.1)
    buckets.take("a", 9.2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 2), st.integers(1, 5)), max_size=60))
def test_no_more_is_let_through_than_rate_and_burst_allow(asked: list[tuple[str, float, int]]) -> None:
    """Over any time from the first request on, whatever the order: tokens let through <= burst + rate x time (no batch above the burst)."""
    rate = Rate(per_s=2, burst=5)
    buckets, now_s, taken = Buckets(rate), 0.0, dict.fromkeys("abc", 0)
    for name, pause_s, tokens in asked:
        now_s += pause_s
        try:
            buckets.take(name, now_s, tokens)
        except TooOften:
            continue
        taken[name] += tokens
        assert taken[name] <= rate.burst + rate.per_s * now_s + 1e-6


def test_what_is_remembered_has_a_bound_and_full_buckets_go_first() -> None:
    buckets = Buckets(Rate(per_s=1, burst=2), max_buckets=3)
    for name in "abcdef":
        buckets.take(name, 0.0)
    assert list(buckets._buckets) == ["d", "e", "f"]
    buckets.take("g", 5.0)
    assert list(buckets._buckets) == ["g"]
