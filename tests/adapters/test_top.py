"""Figures of a stack: from what workers said at two moments, and against a reader's own arithmetic."""

from __future__ import annotations

import math
import random
import statistics
import time

import pytest
from prometheus_client import generate_latest

from adapters import scrape
from adapters.metrics import COMMIT_S, Metrics, PartitionStatus
from adapters.scrape import Place, Seen
from adapters.top import figures, quantile
from commands.writer import Writer
from domain import rules
from domain import verbs as v
from eventstore.blocks import Block
from eventstore.memory import MemoryLog, MemorySnapshots
from tests import market

REFUSED = market.encode(market.refused(rules.UNKNOWN_ACCOUNT, 1, 2))
TWO_REFUSED = market.encode(market.refused(rules.PRICE_BAND, 1, 2)) * 2


class Worker:
    """Metrics of a worker, seen when a test says so."""

    def __init__(self, name: str, port: int) -> None:
        self.name, self.place, self.metrics = name, Place("127.0.0.1", port, name, port), Metrics(name)

    def seen(self, at_s: float) -> Seen:
        return Seen(self.place, self.name, at_s, scrape._samples(generate_latest(self.metrics.registry).decode()))

    def gone(self, at_s: float) -> Seen:
        return Seen(self.place, self.name, at_s, failure="nobody listens there")


@pytest.fixture(scope="module")
def block() -> Block:
    """20 commands, of which 10 trade."""
    log = MemoryLog()
    setup = (
        market.list_instrument(1)
        + market.set_state(v.OPEN)
        + market.open_account(1)
        + market.deposit(1, 1, 99)
        + market.deposit(1, 2, 9**9)
    )
    with Writer(log, MemorySnapshots(), 1) as writer:
        writer.submit(setup).result(20)
        writer.submit((market.sell(1, 1, 100) + market.buy(1, 1, 100)) * 10).result(20)
    return list(log.read(1))[1]


@pytest.fixture
def one() -> Worker:
    return Worker("one", 1)


@pytest.fixture
def two() -> Worker:
    return Worker("two", 2)


def test_a_partition_shows_who_owns_it_who_follows_and_what_lags(one: Worker, two: Worker) -> None:
    one.metrics.observe([PartitionStatus(1, "owner", 5, 90, 90, 700, 2, 80, 10), PartitionStatus(2, "standby", 3, 40, 35)])
    two.metrics.observe([PartitionStatus(1, "standby", 5, 88, 81), PartitionStatus(2, "owner", 4, 44, trouble="Kafka is away")])
    first, second = figures((), [one.seen(0), two.seen(0)]).partitions
    assert (first.owners, first.standbys, first.epoch, first.seq) == (["one"], ["two"], 5, 90)
    assert (first.inbox_commands, first.in_flight_blocks, first.relay_lag_blocks, first.follower_lag_blocks) == (700, 2, 10, 7)
    assert (second.owners, second.epoch, second.seq, second.follower_lag_blocks, second.troubled) == (["two"], 4, 44, 5, ["two"])


def test_rates_are_differences_over_the_time_between(one: Worker, two: Worker, block: Block) -> None:
    for worker in (one, two):
        worker.metrics.observe([PartitionStatus(1, "standby")])
        worker.metrics.on_commit(block, block.events(), 0.001)  # before anyone looked
    before = [one.seen(10.0), two.seen(10.5)]
    for _ in range(4):
        one.metrics.on_commit(block, block.events() + REFUSED, 0.001)
    two.metrics.on_commit(block, block.events() + TWO_REFUSED, 0.001)
    found = figures(before, [one.seen(12.0), two.seen(11.0)])
    (partition,) = found.partitions
    assert partition.commands_per_s == 4 * 20 / 2.0 + 20 / 0.5
    assert partition.trades_per_s == 4 * 10 / 2.0 + 10 / 0.5
    assert [(each.rule, each.total, each.per_s) for each in found.refusals] == [("price_band", 2, 4.0), ("unknown_account", 4, 2.0)]


def test_after_one_moment_there_are_no_rates(one: Worker, block: Block) -> None:
    one.metrics.observe([PartitionStatus(1, "owner", 1, 1)])
    one.metrics.on_commit(block, block.events() + REFUSED, 0.001)
    found = figures((), [one.seen(1.0)])
    assert found.partitions[0].commands_per_s is None
    assert found.partitions[0].commit_p99_ms is None
    assert (found.refusals[0].total, found.refusals[0].per_s, found.workers[0].cpu) == (1, None, None)


def test_a_worker_that_began_anew_has_no_rate_below_zero(one: Worker, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counters are at 0 again; the process says when it began."""
    one.metrics.observe([PartitionStatus(1, "owner", 1, 1)])
    one.metrics.on_commit(block, block.events(), 0.001)
    before = one.seen(1.0)
    anew = Worker("one", 1)
    anew.metrics.observe([PartitionStatus(1, "owner", 2, 1)])
    now = anew.seen(2.0)
    began = Seen(now.place, now.worker, now.at_s, {**now.samples, "process_start_time_seconds": [({}, 5.0)]})
    assert figures([before], [began]).partitions[0].commands_per_s is None


def test_a_worker_that_is_gone_owns_nothing(one: Worker, two: Worker) -> None:
    one.metrics.observe([PartitionStatus(1, "owner", 1, 9)])
    two.metrics.observe([PartitionStatus(1, "standby", 1, 9, 9)])
    before = [one.seen(1.0), two.seen(1.0)]
    assert figures((), before).is_well
    found = figures(before, [one.gone(2.0), two.seen(2.0)])
    assert found.partitions[0].owners == []
    assert not found.is_well
    assert [(worker.worker, worker.gone) for worker in found.workers] == [("one", "nobody listens there"), ("two", "")]


def test_two_that_think_they_own_it_are_both_shown_the_newer_epoch_first(one: Worker, two: Worker) -> None:
    """As while a worker that stood still for longer than its session does not know yet."""
    one.metrics.observe([PartitionStatus(1, "owner", 3, 50)])
    two.metrics.observe([PartitionStatus(1, "owner", 4, 60)])
    found = figures((), [one.seen(0), two.seen(0)])
    assert (found.partitions[0].owners, found.partitions[0].epoch) == (["two", "one"], 4)
    assert not found.is_well


def test_nobody_at_all_is_not_well(one: Worker) -> None:
    assert not figures((), []).is_well
    assert not figures((), [one.gone(0)]).is_well


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_commit_times_are_those_between_the_two_moments(one: Worker, block: Block, share: float) -> None:
    """To within the bucket in which they are."""
    rng = random.Random(5)
    one.metrics.observe([PartitionStatus(1, "owner")])
    for _ in range(50):
        one.metrics.on_commit(block, b"", 5.0)  # slow once, before anyone looked
    before = one.seen(0.0)
    took_s = [rng.lognormvariate(math.log(0.004), 0.5) for _ in range(2_000)]
    for each in took_s:
        one.metrics.on_commit(block, b"", each)
    (found,) = figures([before], [one.seen(1.0)]).partitions
    shown_ms = {0.5: found.commit_p50_ms, 0.99: found.commit_p99_ms}[share]
    exact_s = statistics.quantiles(took_s, n=100, method="inclusive")[round(share * 100) - 1]
    above = next(bound for bound in COMMIT_S if bound >= exact_s)
    below = COMMIT_S[COMMIT_S.index(above) - 1]
    assert shown_ms is not None
    assert below * 1e3 <= shown_ms <= above * 1e3


@pytest.mark.parametrize(
    ("share", "at_most", "value"),
    [
        (0.5, {1.0: 10, 2.0: 10, math.inf: 10}, 0.5),
        (0.5, {1.0: 0, 2.0: 10, math.inf: 10}, 1.5),
        (0.99, {1.0: 50, 2.0: 100, math.inf: 100}, 1.98),
        (0.99, {1.0: 0, 2.0: 0, math.inf: 3}, 2.0),
        (0.5, {1.0: 0, math.inf: 0}, None),
        (0.5, {}, None),
    ],
)
def test_a_quantile_is_what_prometheus_would_say(share: float, at_most: dict[float, float], value: float | None) -> None:
    assert quantile(share, at_most) == (None if value is None else pytest.approx(value))


def test_real_workers_at_real_moments_have_a_processor_and_memory(one: Worker) -> None:
    one.metrics.observe([PartitionStatus(1, "owner")])
    before, begin_s = one.seen(time.monotonic()), time.process_time()
    while time.process_time() < begin_s + 0.1:
        pass
    (worker,) = figures([before], [one.seen(time.monotonic())]).workers
    assert worker.cpu is not None
    assert 0 < worker.cpu < 2
    assert worker.resident_bytes > 2**20
