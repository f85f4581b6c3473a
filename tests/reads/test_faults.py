"""Redis dies, hangs, fills up or is emptied: readers get an answer from the level below, and what they get says how old it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
import redis

from adapters.reads import circuit
from adapters.reads import reads as reads_module
from adapters.reads.answer import RECORD, REDIS, Asked
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from adapters.redis_view import RedisView
from adapters.stack.stack import Stack
from eventstore.blocks import Block
from eventstore.errors import StoreFailed
from projections.view import ViewAway
from tests.reads.world import IN_TIME_S, Market, Run, Workers, days, is_right, reading
from tests.waiting import eventually

Make = Callable[..., Stack]
BLOCKS, NAIVE = days(0)
HALF = len(BLOCKS) // 2
KEYS = sorted(NAIVE["statements"][-1])[:20]


def send(stack: Stack, number: signal.Signals) -> None:
    pid = stack.servers["redis"].pid
    if pid is not None:
        os.kill(pid, number)


def killed(stack: Stack) -> None:
    stack.servers["redis"].kill()


def silent(stack: Stack) -> None:
    """It takes calls and says nothing."""
    send(stack, signal.SIGSTOP)


def emptied(stack: Stack) -> None:
    redis.Redis.from_url(stack.redis_url).flushall()


def full(stack: Stack) -> None:
    redis.Redis.from_url(stack.redis_url).config_set("maxmemory", "1")


def mended(stack: Stack) -> None:
    """As it should be, whatever was done to it."""
    send(stack, signal.SIGCONT)
    stack.up()
    redis.Redis.from_url(stack.redis_url).config_set("maxmemory", "0")


FAULTS = (killed, silent, emptied, full)


class Scene:
    """A market half of whose blocks were written to Redis when the fault came, and are all committed after it."""

    def __init__(self, stack: Stack, fault: Callable[[Stack], None]) -> None:
        self.stack, self.market = stack, Market(BLOCKS)
        self.market.commit(HALF)
        self.workers = Workers(stack.redis_url, self.market)
        self.workers.to(HALF)
        self._fault = fault

    def happens(self, feed: Feed) -> None:
        self._fault(self.stack)
        self.market.commit(len(BLOCKS))
        for block in self.market.blocks[HALF:]:
            feed.offer(block)
        eventually(lambda: feed.seq == len(BLOCKS))
        if self._fault is full:
            with pytest.raises(ViewAway):
                self.workers.to(len(BLOCKS), {"statements": None})

    def ask_all(self, reads: Reads, run: Run, count: int = len(KEYS)) -> set[str]:
        """The levels that answered; each answer is right, and as of the end of the record."""
        levels = set[str]()
        for key in KEYS[:count]:
            answer = run(reads.row("statements", key, 1, timeout_s=IN_TIME_S))
            assert is_right(answer, NAIVE["statements"], key), f"{key} as of {answer.seq} from {answer.level}"
            assert answer.seq == len(BLOCKS), f"{key} as of {answer.seq} from {answer.level}"
            levels.add(answer.level)
        return levels


def level_of(reads: Reads, run: Run) -> str:
    """Which level answers what memory does not know."""
    reads._cache.clear()
    return run(reads.row("statements", KEYS[1], 1, timeout_s=IN_TIME_S)).level


@pytest.mark.parametrize("fault", FAULTS)
def test_the_level_below_answers_while_redis_cannot(
    own_stack: Make, fault: Callable[[Stack], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And Redis again when it has what it should have; so long as it is silent it is asked now and then, not by every reader."""
    monkeypatch.setattr(reads_module, "FRESH_S", 0)
    stack = own_stack(postgres=False, kafka=False, redis=True)
    scene = Scene(stack, fault)
    with reading(scene.market.log, stack.redis_url, scene.workers.cluster, patience_s=0.5) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        assert run(reads.row("statements", KEYS[0], 1, timeout_s=IN_TIME_S)).level == REDIS
        scene.happens(feed)
        assert scene.ask_all(reads, run) == {RECORD}
        mended(stack)
        scene.workers.begin()
        scene.workers.to(len(BLOCKS))
        eventually(lambda: level_of(reads, run) == REDIS)
        reads._cache.clear()
        assert scene.ask_all(reads, run) == {REDIS}


@pytest.mark.parametrize("fault", [emptied, full])
def test_without_the_rule_what_redis_has_left_would_be_shown(
    own_stack: Make, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Stack], None]
) -> None:
    """Control: whatever Redis says is taken to be fit. The checks above must see it."""
    monkeypatch.setattr(Reads, "_is_fit", lambda *_: True)
    stack = own_stack(postgres=False, kafka=False, redis=True)
    scene = Scene(stack, fault)
    with reading(scene.market.log, stack.redis_url, scene.workers.cluster, patience_s=0.5) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        scene.happens(feed)
        with pytest.raises(AssertionError, match="from redis"):
            scene.ask_all(reads, run)


@pytest.mark.parametrize(("is_there", "at_most"), [(True, circuit.FAILURES), (False, 1_000)])
def test_a_silent_redis_is_not_waited_for_by_every_reader(
    own_stack: Make, monkeypatch: pytest.MonkeyPatch, is_there: bool, at_most: int
) -> None:
    """Three find out, then it is left alone for a while. Control: without the circuit each reader waits for it."""
    monkeypatch.setattr(circuit, "REST_S", 600)
    if not is_there:
        monkeypatch.setattr(circuit.Circuit, "lets_through", lambda _: True)
    stack = own_stack(postgres=False, kafka=False, redis=True)
    scene = Scene(stack, silent)
    with reading(scene.market.log, stack.redis_url, scene.workers.cluster, patience_s=0.5) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        scene.happens(feed)
        assert reads._remote is not None
        ask, waited = reads._remote._ask, list[int]()

        async def counted(questions: list[Asked]) -> list[object]:
            waited.append(len(questions))
            return await ask(questions)

        monkeypatch.setattr(reads._remote, "_ask", counted)
        count = 8
        scene.ask_all(reads, run, count)
        assert len(waited) == min(count, at_most)
        mended(stack)


def test_when_nothing_else_is_left_an_old_answer_says_how_old_it_is(own_stack: Make) -> None:
    """Redis is full and the record does not answer: what Redis has is shown, as of the block it is as of."""
    stack = own_stack(postgres=False, kafka=False, redis=True)
    scene = Scene(stack, full)
    with reading(scene.market.log, stack.redis_url, scene.workers.cluster, patience_s=0.5) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        scene.happens(feed)

        def away(partition: int, after_seq: int = 0) -> Iterator[Block]:
            raise StoreFailed("the record", "it is away")

        scene.market.log.read = away  # type: ignore[method-assign]
        answer = run(reads.group("statements", KEYS[0].rpartition(":")[0], 1, timeout_s=IN_TIME_S))
        assert is_right(answer, NAIVE["statements"], KEYS[0].rpartition(":")[0], is_group=True)
        has = RedisView(scene.workers.client, scene.workers.cluster, "statements").status(1).seq  # blocks without a row need no room
        assert HALF <= has < len(BLOCKS)
        assert (answer.level, answer.seq, answer.behind) == (REDIS, has, len(BLOCKS) - has)
        assert answer.age_ns(BLOCKS[-1].time_ns) == BLOCKS[-1].time_ns - BLOCKS[has - 1].time_ns > 0


def test_a_market_that_was_never_written_to_redis_is_read(redis_stack: Stack) -> None:
    """From the record alone."""
    market = Market(BLOCKS)
    market.commit(len(BLOCKS))
    with reading(market.log, redis_stack.redis_url, "never-written") as (reads, _, run):
        answer = run(reads.read(Asked("totals", "totals:1:all", 1), timeout_s=IN_TIME_S))
        assert is_right(answer, NAIVE["totals"], "totals:1:all")
        assert (answer.level, answer.seq, answer.time_ns) == (RECORD, len(BLOCKS), BLOCKS[-1].time_ns)
