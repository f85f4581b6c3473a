"""A process that reads the views of a stack: pushed by Kafka, fetched from Redis, folded from Postgres; and `outcry read`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from adapters.cli.read import VIEWS
from adapters.readers import ASKED, reading_views
from adapters.reads.answer import MEMORY, RECORD, REDIS, Answer
from adapters.reads.popular import load
from adapters.stack.stack import Stack
from eventstore.memory import MemorySnapshots
from eventstore.publisher import Publisher
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.quotes import Quotes
from projections.states import States
from tests.reads.world import IN_TIME_S, PATIENCE_S, Market, Workers, days, is_right, reading
from tests.servers.fixtures import Database
from tests.servers.market import StackMarket, begin
from tests.servers.test_views import own_cluster
from tests.servers.topic import publish
from tests.waiting import eventually

BLOCKS, NAIVE = days(0)
HALF = len(BLOCKS) // 2
KEY = next(key for key in NAIVE["balances"][-1] if NAIVE["balances"][HALF].get(key) not in {None, NAIVE["balances"][-1][key]})


@pytest.fixture
def stack_market(full_stack: Stack, redis_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path) -> StackMarket:
    own_cluster(database)
    return begin(full_stack, database, topic_prefix, tmp_path, OUTCRY_REDIS=redis_stack.redis_url)


@pytest.fixture
def market(stack_market: StackMarket) -> Iterator[Market]:
    """Half of the blocks are on record."""
    with closing(stack_market.record()) as log:
        made = Market(BLOCKS, log)
        made.commit(HALF)
        yield made


def test_a_process_of_a_stack_is_pushed_what_kafka_brings(stack_market: StackMarket, market: Market) -> None:
    """And what Kafka does not bring it reads in the record; what it was asked is known to the next process, which loads it."""
    cluster = market.log.cluster  # type: ignore[attr-defined]
    topic = replace(stack_market.blocks_topic(), cluster=cluster)
    workers = Workers(stack_market.settings.redis, market, cluster)
    workers.to(HALF)

    async def first_process() -> None:
        async with reading_views(stack_market.settings, patience_s=PATIENCE_S) as (reads, _, _):
            assert right(await reads.row("quotes", "quote:1", 1, timeout_s=IN_TIME_S), "quotes", "quote:1").level == MEMORY
            assert right(await reads.row("balances", KEY, 1, timeout_s=IN_TIME_S), "balances", KEY).level == REDIS
            market.commit(len(BLOCKS) - 5)
            with closing(Publisher(topic, 0)) as publisher:
                publish(topic, market.blocks, publisher)
            answer = await reads.row("quotes", "quote:1", 1, at_least=market.seq, timeout_s=60)
            assert right(answer, "quotes", "quote:1").level == MEMORY
            market.commit(len(BLOCKS))  # and Kafka is not told
            answer = await reads.row("balances", KEY, 1, at_least=market.seq, timeout_s=60)
            assert right(answer, "balances", KEY).level in {RECORD, MEMORY}

    async def second_process() -> None:
        async with reading_views(stack_market.settings, patience_s=PATIENCE_S) as (reads, _, _):
            assert right(await reads.row("balances", KEY, 1, timeout_s=IN_TIME_S), "balances", KEY).level == MEMORY

    for process in (first_process, second_process):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(process())
    assert load(stack_market.settings.folder / ASKED).scores


def right(answer: Answer, view: str, key: str) -> Answer:
    assert is_right(answer, NAIVE[view], key)
    return answer


def test_a_row_is_shown_with_where_it_comes_from(stack_market: StackMarket, market: Market) -> None:
    """From the record while no worker keeps views; then from Redis; and who asks for a block that is not yet is told."""
    workers = Workers(stack_market.settings.redis, market, market.log.cluster)  # type: ignore[attr-defined]
    command = ("read", "balances", KEY.rpartition(":")[0], "--group", "--json", "--timeout", IN_TIME_S)
    from_record = json.loads(stack_market.outcry(*command).stdout)
    workers.to(HALF)
    from_redis = json.loads(stack_market.outcry(*command).stdout)
    assert (from_record["level"], from_redis["level"]) == (RECORD, REDIS)
    assert from_record["seq"] == from_redis["seq"] == HALF
    assert from_record["rows"] == from_redis["rows"] != []
    assert {row["key"] for row in from_redis["rows"]} >= {KEY}
    told = stack_market.outcry("read", "quotes", "quote:1", "--at-least", HALF + 1, "--timeout", 0.2)
    assert told.returncode == 3
    assert f"nothing shows quote:1 as of block {HALF + 1} or later in time" in told.stderr


def test_views_that_can_be_read_are_those_that_are_folded() -> None:
    assert tuple(FOLDS) == VIEWS


def test_memory_and_record_begin_with_kept_states(redis_stack: Stack) -> None:
    """Not with the first block: what is older is not read."""
    market = Market(BLOCKS)
    market.commit(HALF)
    states = States(lambda _: kept, market.log)
    kept, fold = MemorySnapshots(), Quotes()
    for block in market.blocks:
        fold.fold(Columns(block))
    states.keep("quotes", 1, HALF, market.blocks[-1].hash, fold)
    market.commit(len(BLOCKS))
    read_from = list[int]()
    read = market.log.read

    def watched(partition: int, after_seq: int = 0) -> Iterator[object]:
        read_from.append(after_seq)
        return read(partition, after_seq)

    market.log.read = watched  # type: ignore[method-assign, assignment]
    with reading(market.log, redis_stack.redis_url, "no-views", states=states, pushed={"quotes": Quotes}) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        assert right(run(reads.row("quotes", "quote:1", 1, timeout_s=IN_TIME_S)), "quotes", "quote:1").level == MEMORY
        feed.stopped["quotes"] = ValueError("not shown any more")
        assert right(run(reads.row("quotes", "quote:1", 1, timeout_s=IN_TIME_S)), "quotes", "quote:1").level == RECORD
    assert min(read_from) == HALF - 1
