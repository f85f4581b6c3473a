"""How a market trades in some span of time, as its clients see it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple


class Heard(NamedTuple):
    """An outcome became known at *at_s*, monotonic, *after_s* after its command was first sent."""

    at_s: float
    after_s: float


class Pace(NamedTuple):
    """Of outcomes that became known. longest_pause_s: in which none did, the ends of the span included."""

    commands_per_s: float
    p50_ms: float
    p99_ms: float
    longest_pause_s: float


def pace(heard: Sequence[Heard], from_s: float, to_s: float) -> Pace:
    """Of what became known from *from_s* to *to_s*."""
    within = [each for each in heard if from_s <= each.at_s <= to_s]
    after_ms = sorted(1_000 * each.after_s for each in within) or [0.0]
    pauses = [later - earlier for earlier, later in pairwise([from_s, *(each.at_s for each in within), to_s])]
    return Pace(
        round(len(within) / (to_s - from_s)),
        round(after_ms[len(after_ms) // 2], 1),
        round(after_ms[len(after_ms) * 99 // 100], 1),
        round(max(pauses), 2),
    )
