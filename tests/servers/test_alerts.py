"""Alerts on real servers: each that fires is in the stream exactly once, whoever is killed, whenever rules come and go."""

from __future__ import annotations

import base64
import json
import os
import random
import secrets
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

import pytest
import redis

from adapters.alerts.aws_lambda import Function
from adapters.alerts.proof import AlertsProof
from adapters.alerts.rules import AlertRules
from adapters.alerts.stream import AlertStream, Entry, entry, stream_key
from adapters.alerts.worker import ruled
from adapters.redis_view import connect
from adapters.stack.stack import Stack
from eventstore import wire
from eventstore.blocks import Block
from projections.alert_rules import BadRule, Change, Rule
from projections.alerts import Alerts
from projections.columns import Columns
from projections.view import Displaced, Projection, Rows
from tests.projections.flow import trading
from tests.projections.test_alerts import random_rule
from tests.servers.fixtures import Database
from tests.servers.market import OUTCRY, StackMarket, Worker
from tests.servers.test_views import Owner, flowing, own_cluster
from tests.waiting import eventually

NOTHING_ELSE = {"postgres": False, "kafka": False, "redis": True}


def evaluate(market: StackMarket, name: str, what: str = "alerts") -> Worker:
    """Start `outcry worker alerts`, or what else, and wait until it is ready."""
    with (market.folder / f"{name}.log").open("wb") as log:
        environment = os.environ | market.environment | {"OUTCRY_WORKER": name}
        process = subprocess.Popen([OUTCRY, "worker", what], env=environment, stdout=subprocess.DEVNULL, stderr=log)
    worker = market.workers[name] = Worker(name, process, market.folder)
    announced = market.folder / "workers" / f"{name}.json"
    eventually(lambda: process.poll() is not None or (announced.exists() and worker.get("/ready")[0] == 200))
    assert process.poll() is None, (market.folder / f"{name}.log").read_text()
    return worker


class Watched:
    """A market whose alerts are evaluated into a Redis."""

    def __init__(self, market: StackMarket, redis_url: str, owner: Owner) -> None:
        market.environment["OUTCRY_REDIS"] = redis_url
        self.market, self.owner, self.client = market, owner, connect(redis_url)
        self.rules = AlertRules(market.settings.postgres)
        self.dice = random.Random(7)

    def worker(self, name: str) -> Worker:
        return evaluate(self.market, name)

    def add(self, count: int) -> None:
        for _ in range(count):
            self.rules.add(1, random_rule(self.dice))

    def entries(self) -> list[Entry]:
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", self.client.xrange(stream_key(self.owner.log.cluster, 1)))
        return [entry(place, fields) for place, fields in found]

    def assert_exactly_once(self) -> list[Entry]:
        """Once the last block is evaluated, the stream is what a fold of every block with the same changes of rules gives."""
        stream = AlertStream(self.client, self.owner.log.cluster)
        eventually(lambda: stream.status(1).seq == self.owner.head.seq)
        with closing(AlertRules(self.market.settings.postgres)) as again:
            expected = expected_of(self.owner.blocks, again.changes)
        entries = self.entries()
        assert [each.name for each in entries] == list(expected)
        assert entries
        return entries


def expected_of(blocks: list[Block], changes: Callable[[int, int, int], Any]) -> Rows:
    fold, rows = Alerts(), Rows()
    for block in blocks:
        fold.change(changes(1, fold.changed, block.seq))
        rows |= fold.fold(Columns(block))
    return rows


@pytest.fixture
def watched(market: StackMarket, redis_stack: Stack, database: Database) -> Iterator[Watched]:
    own_cluster(database)
    with closing(Owner(market)) as owner:
        made = Watched(market, redis_stack.redis_url, owner)
        with closing(made.rules):
            yield made


def test_rules_that_come_while_blocks_flow_and_workers_that_are_killed(watched: Watched) -> None:
    """Whatever a killed worker had evaluated, and whenever a rule came: the record and the changes of rules say what is in the stream."""
    watched.add(20)
    for name in ("one", "two", "three"):
        worker = watched.worker(name)
        with flowing(watched.owner):
            watched.add(10)
        watched.owner.commit(20)
        worker.stop(signal.SIGKILL)
    worker = watched.worker("last")
    watched.owner.commit(30)
    watched.assert_exactly_once()
    assert worker.stop() == 0


def test_redis_is_killed_and_then_emptied(market: StackMarket, own_stack: Callable[..., Stack], database: Database) -> None:
    """Killed, it comes back with what it had, or a second less. Emptied, it has the same alerts again."""
    own = own_stack(**NOTHING_ELSE)
    with closing(Owner(market)) as owner:
        watched = Watched(market, own.redis_url, owner)
        with closing(watched.rules):
            watched.add(40)
            watched.worker("one")
            owner.commit(60)
            for _ in range(2):
                own.servers["redis"].kill()
                owner.commit(15)
                own.up()
                owner.commit(5)
                watched.assert_exactly_once()
            before = watched.entries()
            redis.Redis.from_url(own.redis_url).flushall()
            owner.commit(1)
            assert watched.assert_exactly_once()[: len(before)] == before


class Apart(AlertStream):
    """The negative control: entries and position in two steps."""

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        for key, row in rows.items():
            self._client.xadd(f"{self._key(partition)}:stream", {"id": key, "alert": row})
        die_here()
        self._client.set(self._key(partition), seq)
        self._left_at[partition] = seq


class Died(BaseException):
    """Whoever evaluated is gone."""


DYING = [False]


def die_here() -> None:
    if DYING[0]:
        DYING[0] = False
        raise Died


@pytest.mark.parametrize("kind", [AlertStream, Apart])
def test_whoever_dies_between_two_steps_is_noticed_and_in_one_step_there_is_no_between(redis_stack: Stack, kind: type[AlertStream]) -> None:
    """Of dozens of deaths: with the position apart alerts come twice, with the script none does."""
    cluster, dice, blocks = f"died-{secrets.token_hex(4)}", random.Random(3), trading(3, 250, 8)
    client = connect(redis_stack.redis_url)
    rules = [Change(number, 1, random_rule(dice)) for number in range(1, 60)]
    written = 0
    while written < len(blocks):
        fold = Alerts()
        fold.change(rules)
        projection = Projection(1, fold, kind(client, cluster))
        try:
            for block in blocks:
                DYING[0] = block.seq > written and dice.random() < 0.3
                projection.advance(Columns(block))
                written = max(written, block.seq)
                die_here()  # when there was no between
        except Died:
            pass
    names = [fields[b"id"].decode() for _, fields in cast("Any", client.xrange(stream_key(cluster, 1)))]
    expected = list(expected_of(blocks, lambda _, after, __: rules[after:]))
    if kind is Apart:
        assert len(names) > len(set(names)), "the control was not caught"
    else:
        assert names == expected


def test_a_second_writer_is_refused_and_an_answer_that_was_lost_is_not_written_again(redis_stack: Stack) -> None:
    stream, other = (AlertStream(connect(redis_stack.redis_url), "two-writers") for _ in range(2))
    row = next(iter(expected_of(trading(3, 250, 10), lambda _, after, __: [Change(1, 1, Rule("halt", 1, 1))][after:]).values()), b"x")
    stream.position(1)
    other.position(1)
    stream.write({"alert:1:5:1": row}, 1, 1)
    other.write({"alert:1:5:1": row}, 1, 1)  # as one whose answer was lost
    assert connect(redis_stack.redis_url).xlen(stream_key("two-writers", 1)) == 1
    stream.write({"alert:2:9:1": row}, 1, 2)
    with pytest.raises(Displaced):
        other.write({"alert:3:9:1": row}, 1, 3)


def test_a_rule_holds_from_the_block_after_the_head_and_until_the_one_after_its_removal(watched: Watched) -> None:
    watched.owner.commit(5, relay=False)
    added = watched.rules.add(1, Rule("fills", 3))
    watched.owner.commit(2, relay=False)
    assert added.seq == 6
    assert watched.rules.remove(1, 3, added.number) == 8
    changes = [*watched.rules.changes(1, 0, 5), *watched.rules.changes(1, 0, 6), *watched.rules.changes(1, added.number, 7)]
    assert changes == [Change(added.number, 6, Rule("fills", 3))], "what holds only from block 8 on is not told before"
    watched.owner.commit(1, relay=False)
    (removed,) = watched.rules.changes(1, added.number, 8)
    assert (removed.seq, removed.rule, removed.removes) == (8, None, added.number)


def test_rules_of_others_and_too_many_rules_are_refused(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.alerts.rules.MAX_RULES_PER_ACCOUNT", 2)
    first, second = (watched.rules.add(1, Rule("fills", 3)) for _ in range(2))
    with pytest.raises(BadRule, match="account 3 has 2 alert rules, as many as it may have; remove some first"):
        watched.rules.add(1, Rule("fills", 3))
    with pytest.raises(BadRule, match=f"account 4 has no alert rule {first.number} in partition 1"):
        watched.rules.remove(1, 4, first.number)
    watched.rules.remove(1, 3, first.number)
    with pytest.raises(BadRule, match="no alert rule"):
        watched.rules.remove(1, 3, first.number)
    assert [each.number for each in watched.rules.of(3)] == [second.number]
    assert watched.rules.add(1, Rule("fills", 3)).number > second.number


def proved(watched: Watched) -> str:
    """What `outcry verify --views` finds wrong with the stream, nothing when it is right."""
    with closing(AlertRules(watched.market.settings.postgres)) as rules:
        stream = AlertStream(watched.client, watched.owner.log.cluster)
        return AlertsProof(1, ruled(rules), watched.owner.log, stream).compare().difference


def test_a_stream_that_is_not_what_the_record_and_the_rules_say_is_found(watched: Watched) -> None:
    """The first entry that is missing, is another or should not be there is named."""
    watched.add(40)
    watched.owner.commit(60)
    worker = watched.worker("one")
    entries = watched.assert_exactly_once()
    assert worker.stop() == 0
    assert proved(watched) == ""
    key, middle = stream_key(watched.owner.log.cluster, 1), entries[len(entries) // 2]
    row = cast("Any", watched.client.xrange(key, middle.id, middle.id))[0][1]
    watched.client.xdel(key, middle.id)
    assert f"as of block {middle.seq}, entry {middle.id}, {middle.name}: the record gives [" in proved(watched)
    assert proved(watched).endswith("the view has no row")

    everything = cast("list[tuple[bytes, dict[bytes, bytes]]]", watched.client.xrange(key))
    watched.client.delete(key)
    for place, fields in everything[: len(entries) // 2]:
        watched.client.xadd(key, cast("Any", fields), place)
    watched.client.xadd(key, row | {b"alert": row[b"alert"][:-8] + bytes(8)}, middle.id)
    assert f"entry {middle.id}, {middle.name}: the record gives [" in proved(watched)


def told(watched: Watched, *command: str) -> Any:
    """What `outcry` answers."""
    return json.loads(subprocess.check_output([OUTCRY, *command, "--json"], env=os.environ | watched.market.environment))


def test_a_stream_is_made_anew_beside_the_one_that_is_kept(watched: Watched) -> None:
    """A wrong one gives way in one step; the worker goes on."""
    watched.add(40)
    watched.owner.commit(60)
    worker = watched.worker("one")
    entries = watched.assert_exactly_once()
    watched.client.xdel(stream_key(watched.owner.log.cluster, 1), entries[0].id)
    assert proved(watched) != ""
    (done,) = told(watched, "rebuild", "alerts")["rebuilt"]
    assert (done["view"], done["partition"], done["seq"]) == ("alerts", 1, watched.owner.head.seq)
    assert [each.name for each in watched.entries()] == [each.name for each in entries]
    watched.owner.commit(20)
    watched.assert_exactly_once()
    found = told(watched, "verify", "--views")
    assert found["ok"] is True
    assert [each["view"] for each in found["views"]] == ["alerts"]
    assert worker.stop() == 0


def kafka_event(blocks: list[Block], cluster: str, first_offset: int = 100) -> dict[str, Any]:
    """The event of a trigger of self-managed Kafka, as AWS documents it."""
    return {
        "eventSource": "SelfManagedKafka",
        "bootstrapServers": "b-1.demo-cluster-1.a1bcde.c1.kafka.us-east-1.amazonaws.com:9092",
        "records": {
            "blocks-1": [
                {
                    "topic": "blocks",
                    "partition": 1,
                    "offset": first_offset + number,
                    "timestamp": 1545084650987,
                    "timestampType": "CREATE_TIME",
                    "key": base64.b64encode(b"1").decode(),
                    "value": base64.b64encode(wire.encode(block)).decode(),
                    "headers": [{"cluster": list(cluster.encode())}, {"seq": list(str(block.seq).encode())}],
                }
                for number, block in enumerate(blocks)
            ]
        },
    }


def failed(answer: dict[str, Any]) -> list[tuple[str, int]]:
    return [(each["itemIdentifier"]["topic-partition"], each["itemIdentifier"]["offset"]) for each in answer["batchItemFailures"]]


def test_a_function_that_a_kafka_trigger_calls_fires_the_same_and_reports_what_it_could_not_take(watched: Watched) -> None:
    """A poison record alone; what it should have been comes from the record. Batches come twice, instances change."""
    watched.add(40)
    owner, cluster = watched.owner, watched.owner.log.cluster
    owner.commit(60, relay=False)
    given = watched.market.settings
    with closing(Function(given)) as function:
        assert failed(function.handle(kafka_event(owner.blocks[:20], cluster))) == []
        poison = kafka_event(owner.blocks[20:30], cluster, 120)
        poison["records"]["blocks-1"][4]["value"] = "SGVsbG8sIHRoaXMgaXMgYSB0ZXN0Lg=="
        poison["records"]["blocks-1"][7]["headers"] = [{"cluster": list(b"another")}]
        assert failed(function.handle(json.loads(json.dumps(poison)))) == [("blocks-1", 124), ("blocks-1", 127)]
        assert AlertStream(watched.client, cluster).status(1).seq >= 30
    with closing(Function(given)) as another:
        assert failed(another.handle(kafka_event(owner.blocks[10:60], cluster))) == []
        watched.assert_exactly_once()


def test_a_function_without_redis_reports_the_block_and_all_behind_it(market: StackMarket, own_stack: Callable[..., Stack]) -> None:
    own = own_stack(**NOTHING_ELSE)
    with closing(Owner(market)) as owner:
        watched = Watched(market, own.redis_url, owner)
        watched.add(30)
        owner.commit(40, relay=False)
        with closing(Function(market.settings)) as function, closing(watched.rules):
            assert failed(function.handle(kafka_event(owner.blocks[:10], owner.log.cluster))) == []
            own.servers["redis"].kill()
            owner.commit(10, relay=False)
            event = kafka_event(owner.blocks[40:], owner.log.cluster, 140)
            assert failed(function.handle(event)) == [("blocks-1", offset) for offset in range(140, 150)]
            own.up()
            assert failed(function.handle(event)) == []
            watched.assert_exactly_once()


def test_rules_are_added_shown_and_removed_by_hand_and_alerts_are_watched(
    market: StackMarket, redis_stack: Stack, database: Database
) -> None:
    """The example market, from the order to the alert."""
    own_cluster(database)
    market.environment["OUTCRY_REDIS"] = redis_stack.redis_url
    market.serve("trading")
    market.outcry("order", "sell", "ACME", 50, "@", "12.00", "--account", "bob")
    assert market.outcry("order", "buy", "ACME", 10, "@", "12.00", "--account", "alice").returncode == 0
    said = market.outcry("alert", "add", "price", "ACME", "above", "12.50", "--account", "alice", "--text", "hello")
    assert said.returncode == 0, said.stderr
    assert "tells when ACME reaches 12.50, from block" in said.stdout
    assert market.outcry("alert", "add", "fills", "--account", "bob").returncode == 0
    low = market.outcry("alert", "add", "balance", "USD", "below", "1.00", "--account", "alice", "--json")
    number = json.loads(low.stdout)["rule"]
    assert market.outcry("alert", "remove", number, "--account", "alice").returncode == 0
    listed = json.loads(market.outcry("alert", "list", "--account", "alice", "--json").stdout)["rules"]
    assert [(each["rule"]["kind"], each["rule"]["level"], each["rule"]["unit"]) for each in listed] == [("price", 1_250, "0.01")]

    refused = market.outcry("alert", "add", "price", "ACME", "above", "12.505", "--account", "alice")
    assert (refused.returncode, "not a multiple of the tick 0.01" in refused.stderr) == (2, True)
    refused = market.outcry("alert", "add", "move", "ACME", "5", "--within", "7", "--account", "alice")
    assert (refused.returncode, "right would be one of 10, 60, 300" in refused.stderr) == (2, True)

    worker, deliverer = evaluate(market, "evaluating"), evaluate(market, "delivering", "deliver")
    market.outcry("order", "sell", "ACME", 50, "@", "12.60", "--account", "bob")
    market.outcry("order", "buy", "ACME", 60, "@", "12.60", "--account", "alice")

    with closing(market.record()) as record, closing(connect(redis_stack.redis_url)) as client:
        stream = AlertStream(client, record.cluster)
        eventually(lambda: stream.status(1).seq == record.head(1).seq)
    alerts = json.loads(market.outcry("alert", "watch", "--once", "--json").stdout)["alerts"]
    assert "ACME reaches 12.50: 12.60 (hello)" in market.outcry("alert", "watch", "--once").stdout
    assert [(each["kind"], each["tells"], each["shown"], each["text"]) for each in alerts] == [
        ("price", "ACME reaches 12.50", "12.60", "hello"),
        ("fills", "orders of the account trade", "1260", ""),
    ]
    assert json.loads(market.outcry("alert", "dead", "--json").stdout) == {"dead": []}
    assert (worker.stop(), deliverer.stop()) == (0, 0)


def test_without_a_stack_alerts_are_refused_with_what_to_do(market: StackMarket) -> None:
    market.environment["OUTCRY_REDIS"] = ""
    for command in (["worker", "alerts"], ["alert", "watch", "--once"]):
        refused = market.outcry(*command)
        assert (refused.returncode, "outcry stack up --with redis" in refused.stderr) == (2, True)
