"""How a market trades in some span: only what became known in it counts, and its ends belong to the pauses."""

from __future__ import annotations

from adapters.drill.pace import Heard, Pace, pace

STEADY = [Heard(at_s / 10, 0.002) for at_s in range(100)]


def test_a_steady_market_has_a_steady_pace() -> None:
    assert pace(STEADY, 2.0, 4.0) == Pace(commands_per_s=10, p50_ms=2.0, p99_ms=2.0, longest_pause_s=0.1)


def test_a_market_that_stands_still_pauses_for_as_long_as_one_looks() -> None:
    assert pace(STEADY, 20.0, 24.0) == Pace(0, 0.0, 0.0, 4.0)
    assert pace(STEADY, 9.0, 13.0).longest_pause_s == 3.1, "to the end of the span"


def test_one_slow_answer_in_fifty_is_seen_at_p99() -> None:
    slow = [heard._replace(after_s=1.0) if place % 50 == 7 else heard for place, heard in enumerate(STEADY)]
    assert pace(slow, 0.0, 9.95)[1:3] == (2.0, 1_000.0)
