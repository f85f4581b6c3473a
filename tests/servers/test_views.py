"""Views kept in Redis by workers that Kafka feeds: equal to a naive fold, whoever is killed, whatever is lost; made anew; proved."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import psycopg
import pytest
import redis

from adapters.redis_view import RedisView, connect
from adapters.stack.postgres import MIGRATOR
from adapters.stack.stack import Stack
from adapters.views_worker import ViewsWorker
from eventstore.blocks import Block, after, seal
from eventstore.postgres import PostgresLog
from eventstore.publisher import Publisher
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.faust_app import BUFFERED_BLOCKS
from projections.quotes import Quotes
from projections.view import MemoryView, Projection, Rows
from tests.projections.flow import trading
from tests.servers.fixtures import Database
from tests.servers.market import OUTCRY, StackMarket, Worker, begin
from tests.servers.topic import publish
from tests.waiting import PATIENCE_S, eventually

MADE = trading(seed=23, count=400, longest=8)
VIEWS = ("quotes", "depth")


class Owner:
    """Commits blocks of trading and relays them, as whoever owns the partition does."""

    def __init__(self, market: StackMarket, partition: int = 1) -> None:
        self.log = PostgresLog(market.settings.postgres)
        self.topic = replace(market.blocks_topic(), cluster=self.log.cluster)
        self.head = self.log.claim(partition)
        self.made = iter(MADE)
        self.blocks: list[Block] = []
        self.publisher: Publisher | None = None

    def commit(self, count: int, *, relay: bool = True) -> None:
        """The next *count* blocks. Without *relay* the topic does not have them, as when they expired there."""
        begun = len(self.blocks)
        for _ in range(count):
            block = seal(self.head, *next(self.made).rows(), self.head.time_ns + 1)
            self.log.append(block)
            self.head = after(block)
            self.blocks.append(block)
        if relay:
            self.publisher = self.publisher or Publisher(self.topic, begun)
            publish(self.topic, self.blocks[begun:], self.publisher)

    def close(self) -> None:
        if self.publisher:
            self.publisher.close()
        self.log.close()


class Kept:
    """A market whose views are kept in a Redis."""

    def __init__(self, market: StackMarket, redis_url: str, owner: Owner) -> None:
        market.environment["OUTCRY_REDIS"] = redis_url
        self.market, self.owner, self.client = market, owner, connect(redis_url)

    def view(self, name: str, generation: int | None = None) -> RedisView:
        return RedisView(self.client, self.owner.log.cluster, name, generation)

    def worker(self, name: str, views: str = "quotes,depth") -> Worker:
        """Start `outcry worker views`, and wait until it is ready."""
        with (self.market.folder / f"{name}.log").open("wb") as log:
            environment = os.environ | self.market.environment | {"OUTCRY_WORKER": name}
            command = [str(OUTCRY), "worker", "views", "--views", views]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
        worker = self.market.workers[name] = Worker(name, process, self.market.folder)
        announced = self.market.folder / "workers" / f"{name}.json"
        eventually(lambda: process.poll() is not None or (announced.exists() and worker.get("/ready")[0] == 200))
        assert process.poll() is None, (self.market.folder / f"{name}.log").read_text()
        return worker

    def at(self, seq: int, *views: str) -> Callable[[], bool]:
        return lambda: all(self.view(name).status(1).seq == seq for name in views)

    def assert_complete(self, *views: str) -> None:
        """Once they are as of the last block, they are what a fold of every block is, row by row and nothing besides."""
        eventually(self.at(self.owner.head.seq, *views))
        for name in views:
            assert self.rows(name) == naive(name, self.owner.blocks)

    def rows(self, name: str) -> Rows:
        """All that is there."""
        view = self.view(name)
        generation = view.status(1).generation
        base = view._key(1) + (f"@{generation}" if generation else "")
        keys = cast("list[bytes]", self.client.keys(f"{base}:[0-9]*"))
        buckets = [cast("dict[bytes, bytes]", self.client.hgetall(key)) for key in keys]
        return {key.decode(): row for bucket in buckets for key, row in bucket.items()}


def naive(name: str, blocks: list[Block]) -> Rows:
    view = MemoryView()
    projection = Projection(blocks[0].partition, FOLDS[name](), view)
    for block in blocks:
        projection.advance(Columns(block))
    assert view.rows
    return view.rows


def own_cluster(database: Database) -> None:
    """In the shared Redis keys of tests are told apart by the cluster, which all copies of a database would have in common."""
    with psycopg.connect(database.dsn(MIGRATOR), autocommit=True) as connection:
        connection.execute("UPDATE outcry.cluster SET id = gen_random_uuid()")


@pytest.fixture
def kept(market: StackMarket, redis_stack: Stack, database: Database) -> Iterator[Kept]:
    own_cluster(database)
    with closing(Owner(market)) as owner:
        yield Kept(market, redis_stack.redis_url, owner)


def test_a_worker_keeps_views_while_blocks_flow(kept: Kept) -> None:
    """It begins with a record of which the topic has nothing any more; then some blocks come by the topic, twice, some do not come."""
    kept.owner.commit(30, relay=False)
    worker = kept.worker("one")
    for _ in range(5):
        kept.owner.commit(3)
    publish(kept.owner.topic, kept.owner.blocks[35:])
    kept.owner.commit(3, relay=False)
    kept.owner.publisher = None
    kept.owner.commit(3)
    kept.assert_complete(*VIEWS)

    eventually(lambda: f'outcry_view_seq{{partition="1",view="quotes"}} {kept.owner.head.seq}.0' in worker.get("/metrics")[1])
    assert 'outcry_view_lag_blocks{partition="1",view="quotes"} 0.0' in worker.get("/metrics")[1]
    shown = json.loads(kept.market.outcry("views", "--json").stdout)
    quotes = next(each for each in shown["views"] if each["view"] == "quotes")
    assert (quotes["seq"], quotes["behind"], quotes["generation"], quotes["stopped"]) == (kept.owner.head.seq, 0, 0, "")
    assert worker.stop() == 0
    assert [line["message"] for line in worker.log()][-1] == "stopped"


def test_a_worker_that_is_killed_is_gone_on_from_where_its_views_are(kept: Kept) -> None:
    worker = kept.worker("one")
    for _ in range(5):
        kept.owner.commit(2)
    worker.stop(signal.SIGKILL)
    kept.owner.commit(7)
    kept.worker("two")
    kept.owner.commit(7)
    kept.assert_complete(*VIEWS)


def test_workers_given_the_same_views_have_each_partition_once_and_one_that_stops_hands_over(
    two_partitions: StackMarket, redis_stack: Stack, database: Database
) -> None:
    """Who keeps what changes while blocks flow: none is lost, whatever each of them did last."""
    own_cluster(database)
    with closing(Owner(two_partitions)) as owner, closing(Owner(two_partitions, 2)) as other:
        kept = Kept(two_partitions, redis_stack.redis_url, owner)
        first, second = kept.worker("one"), kept.worker("two")

        def keeps(worker: Worker) -> set[str]:
            return {number for number in "12" if f'outcry_view_seq{{partition="{number}",view="quotes"}}' in worker.get("/metrics")[1]}

        with flowing(owner):
            eventually(lambda: sorted(map(sorted, (keeps(first), keeps(second)))) == [["1"], ["2"]])
            keeper, heir = (first, second) if "1" in keeps(first) else (second, first)
            other.commit(20)
            assert keeper.stop() == 0
            eventually(lambda: keeps(heir) == {"1", "2"})
        owner.commit(20)
        kept.assert_complete(*VIEWS)
        eventually(lambda: kept.view("quotes").status(2).seq == other.head.seq)
        assert all(kept.view("quotes").read(key, 2) == (row, 20) for key, row in naive("quotes", other.blocks).items())


def test_redis_is_killed_emptied_and_replaced_and_the_views_are_whole_again(market: StackMarket, own_stack: Callable[..., Stack]) -> None:
    """The worker lives through all of it."""
    own = own_stack(postgres=False, kafka=False, redis=True)
    with closing(Owner(market)) as owner:
        kept = Kept(market, own.redis_url, owner)
        worker = kept.worker("one")
        owner.commit(20)
        kept.assert_complete(*VIEWS)
        own.servers["redis"].kill()
        owner.commit(5)
        eventually(lambda: worker.get("/ready")[0] == 503)
        own.up()
        kept.assert_complete(*VIEWS)
        redis.Redis.from_url(own.redis_url).flushall()
        kept.assert_complete(*VIEWS)  # nobody trades
        owner.commit(5)
        kept.assert_complete(*VIEWS)
        eventually(lambda: worker.get("/ready")[0] == 200)


def test_kafka_is_killed_and_the_views_go_on_by_the_record(
    own_stack: Callable[..., Stack], redis_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path
) -> None:
    """Who trades goes on without it, and so do the views; when it is back the worker is a member of its group again."""
    own = own_stack(postgres=False, kafka=True)
    own_cluster(database)
    with closing(begin(own, database, topic_prefix, tmp_path)) as market, closing(Owner(market)) as owner:
        kept = Kept(market, redis_stack.redis_url, owner)
        worker = kept.worker("one")
        owner.commit(20)
        kept.assert_complete(*VIEWS)
        own.servers["kafka-1"].kill()
        owner.commit(5, relay=False)
        kept.assert_complete(*VIEWS)
        own.up()
        owner.publisher = None
        owner.commit(5)
        kept.assert_complete(*VIEWS)
        eventually(lambda: worker.get("/ready")[0] == 200)
        assert worker.stop() == 0


def test_kafka_is_killed_before_the_worker_is_a_member_of_its_group_and_it_waits(
    own_stack: Callable[..., Stack], redis_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path
) -> None:
    """Else two that die at once would be one too many: whoever starts workers anew would find them gone."""
    own = own_stack(postgres=False, kafka=True)
    own_cluster(database)
    with closing(begin(own, database, topic_prefix, tmp_path)) as market, closing(Owner(market)) as owner, ThreadPoolExecutor() as pool:
        kept = Kept(market, redis_stack.redis_url, owner)
        worker = ViewsWorker(market.settings, owner.log, owner.log.cluster, {name: FOLDS[name] for name in VIEWS}, kept.view)
        own.servers["kafka-1"].kill()
        stop = threading.Event()
        serving = pool.submit(worker.serve, stop)
        try:
            eventually(lambda: worker.not_ready()[0].startswith("kafka at"))
            assert not serving.done()
            own.up()
            owner.commit(20)
            kept.assert_complete(*VIEWS)
            eventually(lambda: not worker.not_ready())
        finally:
            stop.set()
        serving.result(PATIENCE_S)


def test_a_rebuild_beside_the_running_worker_gives_the_same_bytes(kept: Kept) -> None:
    """And is looked at in one step, while blocks flow; the worker goes on with it."""
    kept.worker("one")
    kept.owner.commit(15)
    kept.assert_complete(*VIEWS)
    before = kept.rows("quotes")

    rebuilt = kept.market.outcry("rebuild", "quotes", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert kept.view("quotes").status(1).generation == 1
    assert kept.rows("quotes") == before
    assert kept.client.keys(f"{kept.view('quotes')._key(1)}:[0-9]*") == [], "the old ones are removed"

    archive = str(kept.market.folder / "archive")
    archived = kept.market.outcry("archive", "--to", archive, "--until", "now")
    assert archived.returncode == 0, archived.stderr
    kept.owner.commit(5)
    kept.assert_complete(*VIEWS)
    from_archive = kept.market.outcry("rebuild", "quotes", "--from", "archive", "--archive", archive)
    assert from_archive.returncode == 0, from_archive.stderr
    kept.assert_complete(*VIEWS)
    with flowing(kept.owner):
        assert kept.market.outcry("rebuild", "quotes,depth").returncode == 0
    kept.assert_complete(*VIEWS)
    assert [kept.view(name).status(1).generation for name in VIEWS] == [3, 1]


def test_a_worker_that_ended_well_goes_on_with_the_states_it_kept_and_a_rebuild_may_begin_with_them(kept: Kept) -> None:
    """The rows are the same bytes; what shows the past in its rows alone is told so, and nothing is changed."""
    worker = kept.worker("one", "quotes,depth,orders")
    kept.owner.commit(15)
    kept.assert_complete(*VIEWS, "orders")
    none = kept.market.outcry("rebuild", "quotes", "--from", "snapshot")
    assert (none.returncode, "no state of quotes, partition 1, that fits the record is kept in" in none.stderr) == (2, True)
    assert worker.stop() == 0
    kept.owner.commit(5)

    again = kept.worker("two", "quotes,depth,orders")
    kept.owner.commit(5)
    kept.assert_complete(*VIEWS, "orders")
    assert sum(line["message"] == "begins with the state of block 15" for line in again.log()) == 3
    rebuilt = kept.market.outcry("rebuild", "quotes,depth", "--from", "snapshot", "--json")
    assert [(each["from_block"], each["seq"]) for each in json.loads(rebuilt.stdout)["rebuilt"]] == [(16, 25), (16, 25)]
    kept.assert_complete(*VIEWS)

    refused = kept.market.outcry("rebuild", "quotes,orders", "--from", "snapshot")
    assert (refused.returncode, "orders shows rows of the past" in refused.stderr) == (2, True)
    assert kept.view("quotes").status(1).generation == 1


@contextmanager
def flowing(owner: Owner) -> Iterator[None]:
    """Blocks are committed and relayed meanwhile."""
    done = threading.Event()

    def flow() -> None:
        for _ in range(20):
            owner.commit(1)
            if done.wait(0.05):
                return

    thread = threading.Thread(target=flow)
    thread.start()
    yield
    done.set()
    thread.join()


def test_a_poison_block_stops_its_view_alone_and_a_fixed_release_resumes(kept: Kept) -> None:
    class Choking(Quotes):
        def fold(self, block: Columns) -> Rows:
            if block.first_seq <= 13 <= block.seq:
                raise ZeroDivisionError("poison")
            return super().fold(block)

    stop = threading.Event()
    worker = ViewsWorker(
        kept.market.settings, kept.owner.log, kept.owner.log.cluster, {"quotes": Choking, "depth": FOLDS["depth"]}, kept.view
    )
    serving = threading.Thread(target=worker.serve, args=(stop,))
    serving.start()
    try:
        eventually(lambda: not worker.not_ready())
        kept.owner.commit(20)
        kept.assert_complete("depth")
        why = "stopped before block 13: ZeroDivisionError: poison"
        eventually(lambda: worker.not_ready() == [f"view quotes of partition 1: {why}"])
        shown = kept.market.outcry("views", "--json")
        assert shown.returncode == 1
        quotes = next(each for each in json.loads(shown.stdout)["views"] if each["view"] == "quotes")
        assert (quotes["seq"], quotes["stopped"]) == (12, why)
    finally:
        stop.set()
        serving.join()
    kept.worker("fixed")
    kept.assert_complete(*VIEWS)
    assert kept.market.outcry("views").returncode == 0


def test_a_worker_that_has_more_than_it_can_take_lives_on_when_its_partition_goes(
    two_partitions: StackMarket, redis_stack: Stack, database: Database
) -> None:
    """Faust cancels whoever waits for room there, and would call that a crash."""
    own_cluster(database)
    entered, go_on = threading.Event(), threading.Event()

    class Held(Quotes):
        def fold(self, block: Columns) -> Rows:
            entered.set()
            assert go_on.wait(PATIENCE_S)
            return super().fold(block)

    with closing(Owner(two_partitions, 2)) as owner, ThreadPoolExecutor() as pool:
        kept = Kept(two_partitions, redis_stack.redis_url, owner)

        def worker() -> ViewsWorker:
            return ViewsWorker(two_partitions.settings, owner.log, owner.log.cluster, {"quotes": Held}, kept.view)

        stop, first, second = threading.Event(), worker(), worker()
        served = [pool.submit(first.serve, stop)]
        eventually(lambda: not first.not_ready())
        owner.commit(1)
        assert entered.wait(PATIENCE_S)
        owner.commit(3 * BUFFERED_BLOCKS)
        eventually(first._following._waiting[2].full)
        served.append(pool.submit(second.serve, stop))
        eventually(lambda: 2 in second._following.keepers)
        go_on.set()
        eventually(lambda: kept.view("quotes").status(2).seq == owner.head.seq)
        assert first._following.keepers.keys() == {1}
        stop.set()
        for each in served:
            each.result(PATIENCE_S)


def test_a_row_that_is_not_what_the_record_gives_is_named(kept: Kept) -> None:
    kept.worker("one")
    kept.owner.commit(20)
    kept.assert_complete(*VIEWS)
    verified = json.loads(kept.market.outcry("verify", "--views", "--json").stdout)
    assert [(each["view"], each["seq"], each["difference"]) for each in verified["views"]] == [(name, 20, "") for name in VIEWS]
    again = json.loads(kept.market.outcry("verify", "--views", "--partitions", "1", "--seed", str(verified["seed"]), "--json").stdout)
    assert again == verified, "what is chosen at random can be chosen again"

    key = next(iter(kept.client.keys(f"{kept.view('quotes')._key(1)}:[0-9]*")))
    kept.client.hset(key, "quote:1", b"\1" + bytes(55))
    refused = kept.market.outcry("verify", "--views")
    assert refused.returncode == 1
    assert "NOT AS RECORDED: quotes, partition 1, as of block 20, quote:1: the record gives [1, " in refused.stdout
    assert "the view has [1, 0, 0, 0, 0, 0, 0]" in refused.stdout


def test_views_without_a_redis_are_refused_with_what_to_do(market: StackMarket) -> None:
    market.environment["OUTCRY_REDIS"] = ""
    for command in (["views"], ["rebuild", "quotes"], ["worker", "views"], ["verify", "--views"]):
        refused = market.outcry(*command)
        assert (refused.returncode, "outcry stack up --with redis" in refused.stderr) == (2, True)


def test_a_view_that_does_not_exist_is_refused_with_those_that_do(market: StackMarket) -> None:
    refused = market.outcry("worker", "views", "--views", "quotes,dept")
    assert (refused.returncode, "no view 'dept'; there are quotes, depth," in refused.stderr) == (2, True)
