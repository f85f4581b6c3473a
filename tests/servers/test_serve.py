"""A worker of a stack, as a process: it owns what the group gives it, hands over, is succeeded, and says what is wrong."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from adapters.worker import Worker
from commands import batch
from domain import verbs as v
from eventstore.ports import Snapshot
from eventstore.postgres import PostgresLog
from eventstore.postgres_snapshots import PostgresSnapshots
from tests import market as words
from tests.contracts.record import block_after
from tests.servers.market import Client, StackMarket
from tests.servers.topic import publish
from tests.waiting import PATIENCE_S, eventually

Clients = Callable[..., Client]
SETUP = (words.list_instrument(1), words.set_state(v.OPEN), words.open_account(1), words.deposit(1, 1, 10**6), words.deposit(1, 2, 10**6))


def test_an_order_goes_through_kafka_and_is_answered_from_the_committed_block(market: StackMarket) -> None:
    """Two terminals: a worker in one, orders from the other."""
    market.serve("one")
    bought = market.outcry("order", "buy", "ACME", 100, "@", "12.50", "--account", "alice", "--json")
    assert bought.returncode == 0, bought.stderr
    answer = json.loads(bought.stdout)
    assert (answer["ok"], answer["resting"], answer["durability"]) == (True, True, "postgres fsync")

    sold = json.loads(market.outcry("order", "sell", "ACME", 40, "@", "12.40", "--account", "bob", "--json").stdout)
    assert [(trade["price"], trade["quantity"]) for trade in sold["trades"]] == [("12.50", "40")]
    book = json.loads(market.outcry("book", "ACME", "--json").stdout)
    assert (book["buys"][0]["price"], book["buys"][0]["quantity"]) == ("12.50", "60")
    verified = json.loads(market.outcry("verify", "--json").stdout)
    assert verified["ok"]
    assert [copy["name"] for copy in verified["partitions"][0]["copies"]] == ["kafka"]


def test_the_owner_is_killed_and_the_standby_goes_on_with_everything_acknowledged(market: StackMarket, clients: Clients) -> None:
    """A retry of what was acknowledged before gets the first outcome from the successor."""
    first = market.serve("one")
    client = clients(market)
    for row in SETUP:
        assert client.ask(row).events[0].kind not in ("CommandRefused", "CommandRepeated")
    eventually(lambda: first.owns(1))
    market.serve("two")
    ordered = client.ask(words.buy(1, 5, 100))

    first.stop(signal.SIGKILL)
    again = client.ask(words.buy(1, 5, 100), sequence=client.sequence)

    assert again.events[0].kind == "CommandRepeated"
    assert again.events[0].fields["first_detail"] == ordered.events[0].fields["order"]
    assert market.owner().name == "two"
    assert client.ask(words.cancel(1, order=int(ordered.events[0].fields["order"]))).events[0].kind == "OrderCancelled"


def test_a_worker_that_is_told_to_stop_hands_over_and_keeps_a_snapshot(market: StackMarket, clients: Clients) -> None:
    market.serve("one")
    client = clients(market)
    for row in SETUP:
        client.ask(row)
    owner = market.owner()
    market.serve("two")

    assert owner.stop() == 0
    assert client.ask(words.buy(1, 5, 100)).events[0].kind == "OrderAccepted"

    assert market.owner().name == "two"
    snapshot = PostgresSnapshots(market.settings.postgres).latest(1)
    assert snapshot is not None
    assert snapshot.seq >= 1
    assert [line["message"] for line in owner.log()][-1] == "stopped"


class Slow(PostgresSnapshots):
    """Keeps nothing before it may."""

    may = threading.Event()

    def save(self, snapshot: Snapshot) -> None:
        assert self.may.wait(PATIENCE_S)
        super().save(snapshot)


def test_whoever_is_next_does_not_wait_for_the_snapshot_of_who_leaves(market: StackMarket, clients: Clients) -> None:
    settings, stop = replace(market.settings, worker="leaving"), threading.Event()
    with closing(PostgresLog(settings.postgres)) as log:
        snapshots = Slow(settings.postgres)
        leaving = threading.Thread(target=Worker(settings, log, snapshots, log.cluster).serve, args=(stop,))
        leaving.start()
        client = clients(market)
        for row in SETUP:
            client.ask(row)
        market.serve("two")

        stop.set()

        assert client.ask(words.buy(1, 5, 100)).events[0].kind == "OrderAccepted"
        assert market.owner().name == "two"
        assert leaving.is_alive()
        snapshots.may.set()
        leaving.join(PATIENCE_S)
        assert snapshots.latest(1) is not None


def test_a_zombie_that_wakes_up_after_its_session_writes_nothing(market: StackMarket, clients: Clients) -> None:
    """SIGSTOP for longer than the session, then SIGCONT: it still believes, and the record does not."""
    zombie = market.serve("one")
    client = clients(market)
    for row in SETUP:
        client.ask(row)
    market.serve("two")
    zombie.process.send_signal(signal.SIGSTOP)
    assert client.ask(words.buy(1, 5, 100)).events[0].kind == "OrderAccepted"

    zombie.process.send_signal(signal.SIGCONT)
    assert client.ask(words.buy(1, 5, 101)).events[0].kind == "OrderAccepted"

    eventually(lambda: zombie.get("/ready")[0] == 200)
    with closing(market.record()) as record:
        blocks = list(record.read(1))
    assert [block.epoch for block in blocks] == sorted(block.epoch for block in blocks)
    assert sum(block.command_count for block in blocks) == len(SETUP) + 2
    assert json.loads(market.outcry("verify", "--json").stdout)["ok"]


def test_two_workers_own_a_partition_each(two_partitions: StackMarket, clients: Clients) -> None:
    """Instruments are assigned explicitly, and side by side nobody waits for the other."""
    market = two_partitions
    market.serve("one")
    market.serve("two")
    eventually(lambda: {market.owner(1).name, market.owner(2).name} == {"one", "two"})
    for partition in (1, 2):
        client = clients(market, partition)
        for row in SETUP:
            assert client.ask(row).events[0].kind not in ("CommandRefused", "CommandRepeated")
    with closing(market.record()) as record:
        assert [sum(block.command_count for block in record.read(number)) for number in (1, 2)] == [len(SETUP)] * 2


def test_a_record_that_nobody_can_read_is_put_on_record_and_stops_nothing(market: StackMarket, clients: Clients) -> None:
    market.serve("one")
    client = clients(market)
    client.ask(SETUP[0])
    good = batch.encode(words.deposit(1, 1, 5))
    for poison in (b"", b"poison", good[:-1], good[:20] + b"\1" + good[21:]):
        client.sender.send(1, poison)
    assert client.ask(SETUP[2]).events[0].kind == "AccountOpened"
    with closing(market.record()) as record:
        noted = [event for block in record.read(1) for event in words.decode(block.events()) if event.name == "RecordUnreadable"]
    assert [(event.offset, v.UNREADABLE[event.error]) for event in noted] == [(1, "length"), (2, "length"), (3, "length"), (4, "checksum")]


def test_an_order_expires_when_its_time_comes_though_nobody_sends_anything(market: StackMarket, clients: Clients) -> None:
    market.serve("one")
    client = clients(market)
    for row in SETUP:
        client.ask(row)
    expires_ns = time.time_ns() + 300_000_000
    order = client.ask(words.buy(1, 5, 100, time_in_force=v.GTD, expires_ns=expires_ns)).events[0].fields["order"]

    def expired() -> bool:
        with closing(market.record()) as record:
            events = [event for block in record.read(1) for event in words.decode(block.events())]
        return any(event.name == "OrderRemoved" and event.order == order for event in events)

    eventually(expired)


def test_a_missing_topic_is_named(market: StackMarket) -> None:
    market.environment["OUTCRY_TOPIC_PREFIX"] = "nobody-made-this-"
    refused = market.outcry("serve")
    assert refused.returncode == 3
    assert "topic nobody-made-this-blocks: the topic is missing; right would be one of 2 partitions" in refused.stderr


def test_a_partition_count_that_changed_is_refused(market: StackMarket) -> None:
    market.environment["OUTCRY_PARTITIONS"] = "2"
    refused = market.outcry("serve")
    assert refused.returncode == 3
    assert "the number of partitions is 2; right would be 3, as `partitions` says" in refused.stderr


def test_the_record_of_another_market_is_refused(market: StackMarket) -> None:
    market.environment["OUTCRY_CLUSTER"] = "11111111-2222-3333-4444-555555555555"
    refused = market.outcry("serve")
    assert refused.returncode == 3
    assert "11111111-2222-3333-4444-555555555555" in refused.stderr


def test_without_servers_it_says_how_to_get_them(market: StackMarket) -> None:
    market.environment |= {"OUTCRY_POSTGRES": "", "OUTCRY_KAFKA": ""}
    refused = market.outcry("serve")
    assert refused.returncode == 2
    assert "postgres is not set" in refused.stderr
    assert "outcry stack up" in refused.stderr


def test_a_topic_that_is_no_copy_of_the_record_fails_verification(market: StackMarket, clients: Clients) -> None:
    """A block of another history in the topic: which, and where."""
    worker = market.serve("one")
    client = clients(market)
    client.ask(SETUP[0])
    worker.stop()
    with closing(market.record()) as record:
        publish(replace(market.blocks_topic(), cluster=record.cluster), [block_after(record.head(1))])
    verified = market.outcry("verify", "--json")
    assert verified.returncode == 1
    answer = json.loads(verified.stdout)
    assert "block 2" in answer["partitions"][0]["copies"][0]["difference"]
