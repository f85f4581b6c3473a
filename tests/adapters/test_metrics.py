"""What a scrape of a worker says is what its writer committed, what it observed, and nothing else."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import closing

import pytest
from prometheus_client.parser import text_string_to_metric_families

from adapters.metrics import ROLES, Metrics, PartitionStatus
from adapters.status import StatusServer
from commands.writer import Writer
from domain import rules
from domain import verbs as v
from eventstore.blocks import Block
from eventstore.memory import MemoryLog, MemorySnapshots
from tests import market
from tests.waiting import PATIENCE_S

PARTITION = 3
SETUP = market.list_instrument(1) + market.set_state(v.OPEN) + market.open_account(1) + market.open_account(2)
FUNDS = market.deposit(1, market.BASE, 1_000) + market.deposit(2, market.QUOTE, 10**9)
TRADES = (market.sell(1, 1, 100) + market.buy(2, 1, 100)) * 500
NO_ACCOUNT = market.buy(9, 1, 100)
TOO_POOR = market.sell(1, 1_000, 100)

Samples = dict[tuple[str, tuple[str, ...]], float]
"""Name and values of its labels, in the order of their names -> value."""


@pytest.fixture
def metrics() -> Metrics:
    return Metrics("worker-1", inbox_commands=20_000)


@pytest.fixture
def server(metrics: Metrics) -> Iterator[StatusServer]:
    with closing(StatusServer(metrics, 0, list, lambda: 0.0)) as opened:
        yield opened


def scrape(server: StatusServer) -> Samples:
    """As Prometheus does it: over HTTP, and with a parser that is not ours."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=PATIENCE_S) as answer:
        text = answer.read().decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def committed(metrics: Metrics, *batches: bytes) -> list[Block]:
    """Write *batches* with a real writer that tells *metrics*; each is a block."""
    log = MemoryLog()
    with Writer(
        log, MemorySnapshots(), PARTITION, on_commit=lambda block, rows, took_s: metrics.on_commit(block, rows.events, took_s)
    ) as writer:
        for batch in batches:
            writer.submit(batch).result(PATIENCE_S)
    return list(log.read(PARTITION))


def test_counters_are_what_the_record_holds(metrics: Metrics, server: StatusServer) -> None:
    blocks = committed(metrics, SETUP + FUNDS, TRADES, NO_ACCOUNT * 7 + TOO_POOR * 2, market.note_unreadable())
    events = [event.name for block in blocks for event in market.decode(block.events())]
    seen, partition = scrape(server), (str(PARTITION),)
    assert seen["outcry_blocks_total", partition] == len(blocks) == 4
    assert seen["outcry_commands_total", partition] == sum(block.command_count for block in blocks) == 6 + 1_000 + 9 + 1
    assert seen["outcry_events_total", partition] == len(events)
    assert seen["outcry_trades_total", partition] == events.count("TradeExecuted") == 500
    assert seen["outcry_unreadable_records_total", partition] == events.count("RecordUnreadable") == 1
    refused = {labels[1]: value for (name, labels), value in seen.items() if name == "outcry_refusals_total"}
    assert refused == {"unknown_account": 7, "insufficient_funds": 2}


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.name)
def test_every_rule_is_counted_by_its_name(metrics: Metrics, server: StatusServer, rule: rules.Rule) -> None:
    """Among events of other kinds whose word 1 is no rule at all, but an order of 62 bits."""
    block = committed(metrics, SETUP)[0]
    before = scrape(server)
    other = market.event(9, order=2**62 - 1)
    metrics.on_commit(block, market.encode(other) + market.encode(market.refused(rule.code, 5, 6)) * 3, 0.001)
    assert scrape(server)["outcry_refusals_total", (str(PARTITION), rule.name)] == 3
    assert not any(name == "outcry_refusals_total" for name, _ in before)


def test_commit_time_and_fill_of_blocks_are_distributions(metrics: Metrics, server: StatusServer) -> None:
    block = committed(Metrics("other"), TRADES)[0]
    for commit_s in (0.0004, 0.0004, 0.004, 40.0):
        metrics.on_commit(block, block.events(), commit_s)
    seen, partition = scrape(server), str(PARTITION)
    at_most = {bound: seen["outcry_commit_seconds_bucket", (bound, partition)] for bound in ("0.0003", "0.0005", "0.005", "10.0", "+Inf")}
    assert at_most == {"0.0003": 0, "0.0005": 2, "0.005": 3, "10.0": 3, "+Inf": 4}
    assert seen["outcry_commit_seconds_sum", (partition,)] == pytest.approx(40.0048)
    assert (seen["outcry_block_commands_bucket", ("512.0", partition)], seen["outcry_block_commands_bucket", ("1024.0", partition)]) == (
        0,
        4,
    )


def test_a_writer_times_its_commits(metrics: Metrics, server: StatusServer) -> None:
    committed(metrics, SETUP, FUNDS)
    seen = scrape(server)
    assert seen["outcry_commit_seconds_count", (str(PARTITION),)] == 2
    assert 0 < seen["outcry_commit_seconds_sum", (str(PARTITION),)] < PATIENCE_S


def test_gauges_are_what_was_observed_last(metrics: Metrics, server: StatusServer) -> None:
    metrics.observe([PartitionStatus(1, "standby", 1, 10, 7), PartitionStatus(2, "none")])
    owned = PartitionStatus(1, "owner", 4, 90, 90, 1_234, 2, 80, 10, "Kafka is away")
    metrics.observe([owned, PartitionStatus(2, "standby", 3, 50, 45)])
    seen = scrape(server)
    assert {role: (seen["outcry_role", ("1", role)], seen["outcry_role", ("2", role)]) for role in ROLES} == {
        "owner": (1, 0),
        "standby": (0, 1),
        "none": (0, 0),
    }
    names = ("epoch", "record_seq", "followed_seq", "follower_lag_blocks", "inbox_commands", "in_flight_blocks", "relay_seq")
    assert [seen[f"outcry_{name}", ("1",)] for name in names] == [4, 90, 90, 0, 1_234, 2, 80]
    assert [seen[f"outcry_{name}", ("2",)] for name in names] == [3, 50, 45, 5, 0, 0, 0]
    assert (seen["outcry_relay_lag_blocks", ("1",)], seen["outcry_trouble", ("1",)], seen["outcry_trouble", ("2",)]) == (10, 1, 0)
    assert seen["outcry_inbox_bound_commands", ()] == 20_000
    assert seen["outcry_observed_timestamp_seconds", ()] > 1.7e9


def test_a_view_that_lags_is_seen(metrics: Metrics, server: StatusServer) -> None:
    """And one that was read before the writer said how far it is lags by nothing."""
    metrics.observe_views(1, 90, {"quotes": 90, "orders": 75}, ["orders"])
    metrics.observe_views(2, 4, {"quotes": 5})
    seen = scrape(server)
    assert [seen["outcry_view_seq", labels] for labels in (("1", "quotes"), ("1", "orders"), ("2", "quotes"))] == [90, 75, 5]
    assert [seen["outcry_view_stopped", labels] for labels in (("1", "quotes"), ("1", "orders"))] == [0, 1]
    assert [seen["outcry_view_lag_blocks", labels] for labels in (("1", "quotes"), ("1", "orders"), ("2", "quotes"))] == [0, 15, 0]


def test_takeovers_and_lost_partitions_are_counted(metrics: Metrics, server: StatusServer) -> None:
    metrics.takeover(1, 0.25)
    metrics.fenced(1)
    metrics.fenced(1)
    seen = scrape(server)
    assert (seen["outcry_takeover_seconds_count", ("1",)], seen["outcry_takeover_seconds_sum", ("1",)]) == (1, 0.25)
    assert seen["outcry_fenced_total", ("1",)] == 2


def test_what_has_not_happened_yet_is_there_at_zero(metrics: Metrics, server: StatusServer) -> None:
    """Prometheus computes rates from differences: a counter that appears at 1 has never risen."""
    metrics.observe([PartitionStatus(1, "standby")])
    seen = scrape(server)
    for name in ("blocks_total", "commands_total", "trades_total", "unreadable_records_total", "fenced_total", "takeover_seconds_count"):
        assert seen[f"outcry_{name}", ("1",)] == 0


def test_a_worker_says_who_it_is_and_what_it_takes_of_the_machine(server: StatusServer) -> None:
    seen = scrape(server)
    assert [labels[1] for (name, labels) in seen if name == "outcry_worker_info"] == ["worker-1"]
    assert seen["process_resident_memory_bytes", ()] > 0


def test_two_workers_in_one_process_count_apart(server: StatusServer) -> None:
    other = Metrics("worker-2")
    committed(other, SETUP)
    assert ("outcry_blocks_total", (str(PARTITION),)) not in scrape(server)
