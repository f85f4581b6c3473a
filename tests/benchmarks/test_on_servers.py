"""What the benchmarks of the stack must say beside their figures. They run for seconds here; how fast is never a test."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.stack.stack import Stack
from benchmarks import cli
from benchmarks.cores import Cores
from benchmarks.flows import flow
from benchmarks.latency import percentiles
from benchmarks.servers import Servers, servers
from benchmarks.traffic import check, paced
from benchmarks.warmed import warm
from commands.writer import Writer
from domain.verbs import COMMAND_BYTES
from eventstore.kafka import client_config
from eventstore.memory import MemoryLog, MemorySnapshots
from projections.embedded import FOLDS as VIEWS
from tests.benchmarks.test_benchmarks import FIELDS
from tests.waiting import eventually

SMALL = {"flow": "cross", "accounts": 5, "instruments": 1, "commands": 2_000, "runs": 3}
SERVERS = {"cores_used", "servers"}
CPU = "cpu_ns_per_command"
OWN = {
    "relay": {CPU, "blocks_per_s", "mb_per_s", "with_writer"},
    "stack": {CPU, "kernel_commands_per_s", "ratio", "oracle", "blocks"},
    "partitions": {"one_commands_per_s", "ratio", "ran_on"},
}


@pytest.mark.parametrize("what", OWN)
def test_a_benchmark_on_servers_says_what_was_measured_and_on_which_servers(what: str, full_stack: Stack) -> None:
    answer = cli.run(what, {**SMALL, "stack": full_stack.folder})
    assert FIELDS | SERVERS | OWN[what] <= answer.keys()
    assert "fsync" in str(answer["durability"])
    assert "acks=all" in str(answer["durability"])
    assert {"postgres", "kafka"} <= set(_table(answer, "servers"))
    assert _number(answer, "commands_per_s") > 0


def test_postgres_is_measured_against_the_kernel_and_on_servers_of_its_own_against_no_durability_too() -> None:
    """A figure without fsync beside it could be taken for one with it, and the other way round."""
    answer = cli.run("postgres", SMALL)
    assert FIELDS | SERVERS | {"kernel_commands_per_s", "ratio", "fsync_off_commands_per_s", "fsync_off_faster"} <= answer.keys()
    assert answer["commands"] == 2_000
    assert answer["durability"] == "postgres fsync, synchronous_commit on, one block a commit"
    assert _number(answer, "ratio") > 0


def test_nothing_is_set_on_servers_that_are_somebody_elses(postgres_stack: Stack) -> None:
    answer = cli.run("postgres", {**SMALL, "stack": postgres_stack.folder})
    assert "fsync_off_faster" not in answer
    with postgres_stack.postgres.superuser() as db:
        assert db.execute("SHOW fsync").fetchone() == ("on",)
        # Another test of this run may have one for as long as it measures.
        eventually(lambda: db.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'").fetchall() == [])


@pytest.mark.parametrize("through", ["process", "kafka"])
def test_latency_counts_every_order_from_when_it_was_due(through: str, full_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.latency.SECONDS", 1.0)
    answer = cli.run("latency", {**SMALL, "rate": 500.0, "through": through, "stack": full_stack.folder})
    latency = _table(answer, "latency_ms")
    assert list(latency) == ["p50", "p90", "p99", "p99.9", "max"]
    assert 0 < latency["p50"] <= latency["p99"] <= latency["max"]
    assert (answer["commands"], answer["rate_per_s"]) == (500, 500)


def test_a_stall_is_felt_by_all_orders_that_were_due_during_it() -> None:
    """Coordinated omission: two answers in two seconds are two thousand orders, and half of them waited for more than half a second."""
    measured = percentiles(100.0, [(1_000, 101.0), (2_000, 102.0)], 1_000.0)
    assert measured["p50"] == pytest.approx(500, rel=0.01)
    assert measured["max"] == pytest.approx(1_000, rel=0.01)


def test_orders_are_sent_when_they_are_due_and_together_when_they_fall_due_together() -> None:
    rows = b"".join(flow("cross", accounts=5, instruments=1, commands=200).batches())
    sent: list[bytes] = []
    paced(rows, 2_000.0, sent.append, gather_s=0.02)
    assert b"".join(sent) == rows
    assert 2 <= len(sent) <= 10
    assert all(len(each) % COMMAND_BYTES == 0 for each in sent)


def test_a_failover_is_measured_from_the_kill_to_an_answer_to_what_was_sent_after_it(full_stack: Stack) -> None:
    answer = cli.run("failover", {**SMALL, "kills": 1, "rate": 500.0, "stack": full_stack.folder})
    assert FIELDS | SERVERS | {"kills_s", "handovers_s", "oracle"} <= answer.keys()
    assert 0 < _table(answer, "kill_to_first_answer_s")["worst"] < 60
    assert 0 < _table(answer, "handover_longest_gap_s")["worst"] < 60


def test_a_restart_begins_from_a_snapshot_with_events_after_it(full_stack: Stack) -> None:
    answer = cli.run("restart", {**SMALL, "flow": "deep", "resting": 900, "events": 3_000, "stack": full_stack.folder})
    assert FIELDS | SERVERS | {"process_start_to_first_answer_s", "worker_cpu_s", "phases"} <= answer.keys()
    assert _number(answer, "events_after_snapshot") >= 3_000
    assert _number(answer, "live_orders") > 500
    phases = _table(answer, "phases")
    assert 0 < phases["has_the_state_s"] <= phases["owns_s"] <= _number(answer, "slowest_s")


def test_views_by_way_of_faust_say_how_much_of_it_came_that_way(views_stack: Stack) -> None:
    """What a worker reads from the record instead would flatter."""
    answer = cli.run("faust", {**SMALL, "stack": views_stack.folder})
    assert FIELDS | SERVERS | {"by_topic", "writes_per_view", "views", "blocks"} <= answer.keys()
    assert answer["by_topic"] == 1.0
    assert _number(answer, "writes_per_view") >= 1
    assert "redis" in _table(answer, "servers")


def test_alerts_say_how_many_rules_there_were_and_how_long_each_took_to_the_stream(
    views_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.alerts.SECONDS", 4.0)
    answer = cli.run("alerts", {**SMALL, "rate": 2_000, "rules": 2_000, "stack": views_stack.folder})
    assert FIELDS | SERVERS | {"alerts_per_s", "commit_to_stream_ms", "ran"} <= answer.keys()
    assert answer["rules"] == 2_000
    assert _number(answer, "alerts_per_s") > 0


def test_a_rebuild_is_of_at_least_as_many_events_as_asked_and_of_every_view(views_stack: Stack) -> None:
    answer = cli.run("rebuild", {**SMALL, "flow": "cancel", "resting": 18, "events": 9_000, "stack": views_stack.folder})
    assert FIELDS | SERVERS | {"rebuild_s", "live_orders"} <= answer.keys()
    assert _number(answer, "events_on_record") >= 9_000
    assert set(_table(answer, "events_per_s_of")) == set(VIEWS) - {"quotes"}


def test_the_oracle_misses_a_command_and_finds_one_in_another_block_than_was_said() -> None:
    market, log = flow("cross", accounts=5, instruments=1, commands=100), MemoryLog()
    with Writer(log, MemorySnapshots(), 1) as writer:
        writer.write_all(market.set_up())
        begun = writer.head.seq
        writer.write_all(market.batches())
    check(log, begun, 100, {100: begun + 1})
    with pytest.raises(AssertionError, match="101 commands were sent, 100 are in the record"):
        check(log, begun, 101, {})
    with pytest.raises(AssertionError, match="was said to be in block"):
        check(log, begun, 100, {50: begun + 2})


def test_a_broker_is_warmed_with_what_it_will_do_and_nothing_of_that_stays(full_stack: Stack) -> None:
    reader = Consumer(client_config(full_stack.kafka_bootstrap) | {"group.id": "nobody"})
    with closing(reader), Servers(full_stack, own=False).topics() as prefix:
        warm(full_stack.kafka_bootstrap, prefix, 2.0)
        places = TopicPartition(f"{prefix}blocks", 1), TopicPartition(f"{prefix}commands-1", 0)
        blocks, commands = (reader.get_watermark_offsets(place, timeout=10)[1] for place in places)
        assert blocks > commands > 0
    admin = AdminClient(client_config(full_stack.kafka_bootstrap))
    assert not [name for name in admin.list_topics(timeout=10).topics if name.startswith(prefix)]


def test_servers_that_do_not_run_are_not_started_behind_their_owners_back(own_folder: Path) -> None:
    Stack(own_folder / "mine", kafka=False).up()
    Stack.open(own_folder / "mine").down()
    with pytest.raises(ValueError, match="outcry stack up"), servers(own_folder / "mine"):
        pass


@pytest.mark.parametrize(("what", "option"), [("kernel", "rate"), ("stack", "kills"), ("postgres", "against"), ("embedded", "stack")])
def test_an_option_that_would_have_no_effect_is_refused(what: str, option: str) -> None:
    with pytest.raises(ValueError, match=f"bench {what} has no --{option}"):
        cli.run(what, {**SMALL, option: 5})


def test_cores_say_what_this_process_used() -> None:
    cores, before_s = Cores(), time.process_time()
    with cores.during(list):
        for _ in range(20):
            np.sort(np.random.default_rng(1).random(200_000))
    assert not cores.shares() or 0 < cores.cpu_s("this process") <= time.process_time() - before_s


def _table(answer: dict[str, object], name: str) -> dict[str, float]:
    table = answer[name]
    assert isinstance(table, dict)
    return table


def _number(answer: dict[str, object], name: str) -> float:
    number = answer[name]
    assert isinstance(number, int | float)
    return number
