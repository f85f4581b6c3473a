"""An answer is right as of the block it names, whatever was pushed, forgotten or lost; asked for a block, it is as of that or later."""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.reads import reads as reads_module
from adapters.reads.answer import MEMORY, RECORD, REDIS, Answer, Asked, Behind
from adapters.reads.touches import Touches
from adapters.stack.stack import Stack
from eventstore.blocks import Block
from projections.balances import Balances
from projections.columns import Columns
from projections.view import MemoryView
from tests.reads.world import IN_TIME_S, Market, Workers, days, expected, is_right, kept, reading
from tests.waiting import eventually

STEPS = st.lists(st.sampled_from(("commit", "push", "write", "lose", "forget", "ask", "ask", "ask")), min_size=20, max_size=60)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_on_its_way() -> Iterator[None]:
    """Where levels are moved on by hand, waiting for what they do not have yet is waiting for nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reads_module, "PUSH_S", 0.1)
        yield


@pytest.fixture(scope="module")
def url(redis_stack: Stack) -> str:
    return redis_stack.redis_url


@settings(max_examples=15)
@given(st.integers(0, 3), st.integers(0, 2**32), STEPS)
def test_an_answer_is_what_the_view_says_as_of_its_block(url: str, seed: int, luck: int, steps: list[str]) -> None:
    """Whatever was committed, pushed, written to Redis, lost there and forgotten here in between, whatever level it comes from."""
    blocks, naive = days(seed)
    dice, market = random.Random(luck), Market(blocks)
    workers, pushed = Workers(url, market), 0
    keys = {name: sorted({key for rows in views for key in rows} | {"balance:99:1"}) for name, views in naive.items()}
    hot = {name: dice.sample(each, min(3, len(each))) for name, each in keys.items()}
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        for step in steps:
            if step == "commit":
                market.commit(dice.randint(market.seq, min(market.seq + 20, len(blocks))))
            elif step == "push":
                for block in market.blocks[pushed : (pushed := dice.randint(pushed, market.seq))]:
                    feed.offer(block)
            elif step == "write":
                workers.to(dice.randint(0, market.seq), dict.fromkeys(dice.sample(sorted(naive), 4)))
            elif step == "lose":
                workers.lose()
            elif step == "forget":
                reads._cache.clear()
            else:
                view = dice.choice(sorted(naive))
                key, is_group = dice.choice(hot[view]), dice.random() < 0.4
                asked = Asked(view, key.rpartition(":")[0] if is_group else key, 1, is_group)
                at_least = dice.choice((0, 0, dice.randint(0, market.seq), market.seq))
                answer = run(reads.read(asked, at_least=at_least, timeout_s=IN_TIME_S))
                assert is_right(answer, naive[view], asked.key, is_group=is_group), f"{asked} from {answer.level} as of {answer.seq}"
                assert at_least <= answer.seq <= market.seq
                assert answer.partition == 1
                assert answer.time_ns in {0, *(block.time_ns for block in market.blocks[: answer.seq])}


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_no_row_changes_that_its_block_did_not_touch(seed: int) -> None:
    """Of all keys that a block changed, none is said to be untouched by it; of those that it did not, some are."""
    blocks, naive = days(seed % 5)
    touches, untouched = Touches(), 0
    for block in blocks:
        touches.fold(Columns(block))
        for views in naive.values():
            before, now = views[block.seq - 1], views[block.seq]
            for key in before.keys() | now.keys():
                if before.get(key) != now.get(key):
                    assert not touches.untouched(key, block.seq - 1), f"block {block.seq} changed {key}"
                    assert not touches.untouched(key.rpartition(":")[0], block.seq - 1)
                else:
                    untouched += touches.untouched(key, block.seq - 1)
    assert untouched > len(blocks)


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_balances_are_found_in_the_fold_itself(seed: int) -> None:
    """After each block, of each account and asset, as the rows say; also of those that are not there, and of what is no key of it."""
    blocks, naive = days(seed % 5)
    fold = Balances()
    asked = sorted({key for rows in naive["balances"] for key in rows} | {"balance:99:1", "balance:16777217:1", "balance:1:99999999"})
    for block in blocks:
        fold.fold(Columns(block))
        rows = naive["balances"][block.seq]
        for key in asked:
            group = key.rpartition(":")[0]
            assert fold.find(key, is_group=False) == expected(rows, key, is_group=False)
            assert fold.find(group, is_group=True) == expected(rows, group, is_group=True)
    restored = Balances()
    restored.restore(fold.state())
    assert restored.find("balance:1", is_group=True) == fold.find("balance:1", is_group=True) != {}
    assert [fold.find(wrong, is_group=False) for wrong in ("balance:1", "order:1:1", "balance:1:x", "balance::1", "")] == [{}] * 5


def test_what_was_asked_once_is_answered_by_memory_until_a_block_touches_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of the newest block, though Redis was asked long before; that there is nothing is remembered, too."""
    monkeypatch.setattr(reads_module, "FRESH_S", 0)
    blocks, naive = days(0)
    market, workers = kept(url, blocks, 20)
    touched = next(key for key in naive["balances"][-1] if len({views.get(key) for views in naive["balances"][20:]}) > 1)
    nothing = Asked("balances", "balance:99:1", 1)
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        for asked in (Asked("balances", touched, 1), nothing):
            assert run(reads.read(asked, timeout_s=IN_TIME_S)).level == REDIS
            answer = reads.hit(asked)
            assert answer is not None and (answer.level, answer.seq, answer.behind) == (MEMORY, 20, 0)
        market.commit(len(blocks))
        for block in market.blocks[20:]:
            feed.offer(block)
        eventually(lambda: feed.seq == len(blocks))
        answer = reads.hit(nothing)
        assert answer is not None and (answer.rows, answer.seq) == ({}, len(blocks))
        assert reads.hit(Asked("balances", touched, 1)) is None


def test_while_nothing_is_pushed_others_are_asked(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does not know then whether it has the newest, of pushed views and of what was fetched; it says so by not answering."""
    monkeypatch.setattr(reads_module, "FRESH_S", 0)
    blocks, naive = days(0)
    market, workers = kept(url, blocks, 20)
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        assert run(reads.row("balances", "balance:1:1", 1, timeout_s=IN_TIME_S)).seq == 20
        feed.trouble = "Kafka is away"
        market.commit(len(blocks))
        workers.to(len(blocks))
        for view, key in (("balances", "balance:1:1"), ("quotes", "quote:1")):
            answer = run(reads.row(view, key, 1, timeout_s=IN_TIME_S))
            assert (answer.level, answer.seq) == (REDIS, len(blocks))
            assert is_right(answer, naive[view], key)


def test_hot_views_never_leave_the_process(url: str) -> None:
    """Quotes are pushed: they are right as of the last block without anybody being asked."""
    blocks, naive = days(1)
    market = Market(blocks)
    market.commit(len(blocks))
    with reading(market.log, url, "nobody-keeps-views-here") as (reads, feed, run):
        eventually(lambda: feed.is_current)
        for key, row in naive["quotes"][-1].items():
            answer = run(reads.row("quotes", key, 1, timeout_s=IN_TIME_S))
            assert (answer.row, answer.level, answer.seq, answer.behind) == (row, MEMORY, len(blocks), 0)
            assert answer.time_ns == blocks[-1].time_ns
        whole = reads.hit(Asked("quotes", "quote", 1, is_group=True))
        assert whole is not None and is_right(whole, naive["quotes"], "quote", is_group=True)
        assert reads.misses == 0


def test_a_reader_who_just_wrote_waits_for_his_block(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is pushed while he waits, and then he has it."""
    monkeypatch.setattr(reads_module, "PUSH_S", IN_TIME_S)
    blocks, naive = days(2)
    market, workers = kept(url, blocks, 10)
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        market.commit(11)

        async def write_and_read() -> Answer:
            asyncio.get_running_loop().call_later(0.05, feed.offer, market.blocks[10])
            return await reads.row("quotes", "quote:1", 1, at_least=11, timeout_s=IN_TIME_S)

        answer = run(write_and_read())
        assert (answer.seq, answer.level) == (11, MEMORY)
        assert is_right(answer, naive["quotes"], "quote:1")


def test_a_reader_who_asks_for_what_is_not_yet_is_told(url: str) -> None:
    """In the time that he gave, with what each level has."""
    blocks, _ = days(2)
    market, workers = kept(url, blocks, 10, 9)
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        began_s = time.monotonic()
        told = (
            "as of block 500 or later in time: memory is as of block 10; Redis is as of block (9|10); the record: of 10 blocks on record 10"
        )
        with pytest.raises(Behind, match=told):
            run(reads.group("balances", "balance:1", 1, at_least=500, timeout_s=0.4))
        assert time.monotonic() - began_s < 10
        assert run(reads.group("balances", "balance:1", 1, timeout_s=0.4)).seq >= 9


def test_of_a_thousand_who_ask_at_once_one_asks_redis(url: str) -> None:
    """And when Redis has nothing, one folds the record for all, whatever key they want."""
    blocks, naive = days(3)
    market, workers = kept(url, blocks, len(blocks))
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)

        async def all_at_once(*questions: Asked) -> set[str]:
            answers = await asyncio.gather(*(reads.read(asked, timeout_s=IN_TIME_S) for asked in questions))
            assert all(is_right(each, naive[asked.view], asked.key) for each, asked in zip(answers, questions, strict=True))
            return {answer.level for answer in answers}

        assert run(all_at_once(*[Asked("balances", "balance:1:1", 1)] * 1_000)) == {REDIS}
        assert reads._flights.made == 1
        workers.lose()
        asked = [Asked("statements", key, 1) for key in naive["statements"][-1]][:50]
        folds = counted_reads(market)
        assert run(all_at_once(*asked * 20)) == {RECORD}
        assert sum(folds) <= 2


def counted_reads(market: Market) -> list[int]:
    """Counts from now on how often the record is read."""
    reads: list[int] = []
    read = market.log.read

    def counting(partition: int, after_seq: int = 0) -> Iterator[Block]:
        reads.append(1)
        return read(partition, after_seq)

    market.log.read = counting  # type: ignore[method-assign]
    return reads


def test_a_group_is_what_the_view_has_of_it(url: str) -> None:
    """From Redis, and from memory the second time."""
    blocks, naive = days(0)
    market, workers = kept(url, blocks, len(blocks))
    with reading(market.log, url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        for level in (REDIS, MEMORY):
            answer = run(reads.group("balances", "balance:1", 1, timeout_s=IN_TIME_S))
            assert answer.level == level
            assert answer.rows == expected(naive["balances"][-1], "balance:1", is_group=True) != {}


def test_memory_is_bounded(url: str) -> None:
    """What was not asked for longest gives way."""
    blocks, naive = days(0)
    market, workers = kept(url, blocks, len(blocks))
    keys: list[str] = list(naive["balances"][-1])
    with reading(market.log, url, workers.cluster, cached_bytes=2_000) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        for key in keys:
            run(reads.row("balances", key, 1, timeout_s=IN_TIME_S))
            assert reads._cache.currsize <= 2_000
        assert reads.hit(Asked("balances", keys[-1], 1)) is not None
        assert reads.hit(Asked("balances", keys[0], 1)) is None


def test_a_partition_that_is_not_fed_and_a_view_that_is_not_are_no_questions(url: str) -> None:
    market = Market(days(0)[0])
    with reading(market.log, url, "any") as (reads, _, run):
        for asked in (Asked("quotes", "quote:1", 2), Asked("prices", "quote:1", 1)):
            with pytest.raises(KeyError):
                run(reads.read(asked, timeout_s=IN_TIME_S))


def test_a_row_and_its_position_are_read_together_while_they_are_written() -> None:
    """From a thread that writes as fast as it can: every row says in which block it was written."""
    view, done, before = MemoryView(), threading.Event(), sys.getswitchinterval()

    def write() -> None:
        for seq in range(1, 20_000):
            row = seq.to_bytes(8, "little")
            view.write({"a:1": row, "a:2": row, f"b:{seq % 7}": b"" if seq % 3 else row}, 1, seq)
        done.set()

    sys.setswitchinterval(1e-5)
    try:
        writer = threading.Thread(target=write)
        writer.start()
        looked = 0
        while not done.is_set():
            rows, seq = view.group("a", 1)
            assert set(rows.values()) <= {seq.to_bytes(8, "little")}
            row, seq = view.read("a:1", 1)
            assert int.from_bytes(row, "little") == seq
            looked += 1
        writer.join()
        assert looked > 0
    finally:
        sys.setswitchinterval(before)
