"""Figures of a whole stack from what its workers said at two moments: who owns what, how fast it goes, what lags, what is refused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.scrape import Seen

COMMIT: Final = "outcry_commit_seconds"
START: Final = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class PartitionFigures:
    """One partition. What comes from the difference of two moments is None after the first.

    owners                workers that think they own it, the newest epoch first: one, when all is well
    epoch, seq            of the last block on record that anyone knows of
    commit_p50_ms, p99    of the commits between the two moments; None when there were none
    follower_lag_blocks   of the standby that is closest; None without a standby
    troubled              workers that wait something out
    """

    partition: int
    owners: list[str]
    standbys: list[str]
    epoch: int
    seq: int
    commands_per_s: float | None
    trades_per_s: float | None
    commit_p50_ms: float | None
    commit_p99_ms: float | None
    inbox_commands: int
    in_flight_blocks: int
    relay_lag_blocks: int
    follower_lag_blocks: int | None
    troubled: list[str]


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """One worker. cpu: share of one core; gone: why it is taken for gone, empty when it answers; not_ready: its reasons."""

    worker: str
    address: str
    pid: int
    gone: str
    not_ready: list[str]
    cpu: float | None
    resident_bytes: int


@dataclass(frozen=True, slots=True)
class Refusals:
    """Commands that a rule refused, by the workers that answer: since they began, and each second."""

    rule: str
    total: int
    per_s: float | None


@dataclass(frozen=True, slots=True)
class Figures:
    """All of it."""

    partitions: list[PartitionFigures]
    workers: list[WorkerFigures]
    refusals: list[Refusals]

    @property
    def is_well(self) -> bool:
        """Every partition that anyone knows of has exactly one owner, and there are some."""
        return bool(self.partitions) and all(len(each.owners) == 1 for each in self.partitions)


def figures(before: Sequence[Seen], now: Sequence[Seen]) -> Figures:
    """From what was seen *before* (may be nothing) and *now*."""
    answering = [seen for seen in now if not seen.failure]
    pairs = _pairs(before, answering)
    numbers = sorted({int(labels["partition"]) for seen in answering for labels, _ in seen.of("outcry_role")})
    return Figures(
        [_partition(number, answering, pairs) for number in numbers],
        [_worker(seen, pairs) for seen in now],
        _refusals(answering, pairs),
    )


Pairs = Sequence[tuple[Seen, Seen]]
"""The same process at two moments, for every worker for which there are both."""


def _pairs(before: Sequence[Seen], answering: Sequence[Seen]) -> Pairs:
    """A process that was started anew in between has no moment before: its counters began at 0 again."""
    known = {(seen.place.address, seen.worker, seen.value(START)): seen for seen in before if not seen.failure}
    found = [(known.get((seen.place.address, seen.worker, seen.value(START))), seen) for seen in answering]
    return [(then, seen) for then, seen in found if then is not None and seen.at_s > then.at_s]


def _rate(pairs: Pairs, name: str, **labels: str) -> float | None:
    if not pairs:
        return None
    return sum((now.value(name, **labels) - then.value(name, **labels)) / (now.at_s - then.at_s) for then, now in pairs)


def _partition(number: int, answering: Sequence[Seen], pairs: Pairs) -> PartitionFigures:
    label = str(number)

    def at(seen: Seen, name: str) -> int:
        return int(seen.value(f"outcry_{name}", partition=label))

    def in_role(role: str) -> list[Seen]:
        return [seen for seen in answering if seen.value("outcry_role", partition=label, role=role)]

    owners = sorted(in_role("owner"), key=lambda seen: -at(seen, "epoch"))
    standbys = in_role("standby")
    commits = _commits(pairs, label)
    return PartitionFigures(
        number,
        [seen.worker for seen in owners],
        [seen.worker for seen in standbys],
        max(at(seen, "epoch") for seen in answering),
        max(at(seen, "record_seq") for seen in answering),
        _rate(pairs, "outcry_commands_total", partition=label),
        _rate(pairs, "outcry_trades_total", partition=label),
        _in_ms(quantile(0.5, commits)),
        _in_ms(quantile(0.99, commits)),
        sum(at(seen, "inbox_commands") for seen in owners),
        sum(at(seen, "in_flight_blocks") for seen in owners),
        max((at(seen, "relay_lag_blocks") for seen in owners), default=0),
        min((at(seen, "follower_lag_blocks") for seen in standbys), default=None),
        [seen.worker for seen in answering if at(seen, "trouble")],
    )


def _commits(pairs: Pairs, label: str) -> dict[float, float]:
    """Upper bound in seconds -> commits between the two moments that took no longer."""
    found: Counter[float] = Counter()
    for then, now in pairs:
        for sign, seen in ((-1, then), (1, now)):
            for labels, value in seen.of(f"{COMMIT}_bucket", partition=label):
                found[float(labels["le"])] += sign * int(value)
    return dict(found)


def quantile(share: float, at_most: Mapping[float, float]) -> float | None:
    """The value below which *share* (0 to 1) of a histogram lies, linear within a bucket as Prometheus has it; None when it is empty.

    at_most  upper bound of a bucket -> how many values are not above it; the last bound is infinity, and what lies before it counts as
             the bound before
    """
    bounds = sorted(at_most)
    if not bounds or not at_most[bounds[-1]]:
        return None
    wanted = share * at_most[bounds[-1]]
    low = below = 0.0
    for bound in bounds:
        if at_most[bound] >= wanted and at_most[bound] > below:
            return low if math.isinf(bound) else low + (bound - low) * (wanted - below) / (at_most[bound] - below)
        low, below = bound, at_most[bound]
    raise AssertionError("a histogram's last bucket has all")


def _in_ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _worker(seen: Seen, pairs: Pairs) -> WorkerFigures:
    return WorkerFigures(
        seen.worker,
        seen.place.address,
        seen.place.pid,
        seen.failure,
        list(seen.reasons),
        _rate([pair for pair in pairs if pair[1] is seen], "process_cpu_seconds_total"),
        int(seen.value("process_resident_memory_bytes")),
    )


def _refusals(answering: Sequence[Seen], pairs: Pairs) -> list[Refusals]:
    """The most frequent first."""
    rules = sorted({labels["rule"] for seen in answering for labels, _ in seen.of("outcry_refusals_total")})
    found = [
        Refusals(
            rule,
            int(sum(seen.value("outcry_refusals_total", rule=rule) for seen in answering)),
            _rate(pairs, "outcry_refusals_total", rule=rule),
        )
        for rule in rules
    ]
    return sorted(found, key=lambda each: (-(each.per_s or 0), -each.total))
