"""What was asked most is known after a restart, and loaded before anybody asks again."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.reads import popular
from adapters.reads import reads as reads_module
from adapters.reads.answer import MEMORY, REDIS, Asked
from adapters.reads.popular import HALF_LIFE_NS, Popular, decayed, load
from adapters.reads.reads import Reads
from adapters.reads.warm import Warming, plan
from adapters.stack.stack import Stack
from tests.reads.world import IN_TIME_S, Market, Workers, days, reading
from tests.waiting import eventually

BLOCKS, NAIVE = days(1)
QUESTIONS = [Asked("balances", key, 1) for key in sorted(NAIVE["balances"][-1])]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=40))
def test_a_question_counts_half_after_a_day(asked: list[tuple[int, int]]) -> None:
    """However many days lie between one and the next."""
    counted, naive, day = Popular(), Counter[Asked](), 0
    for question, days_later in asked:
        counted.count(QUESTIONS[question])
        counted.turn(day * HALF_LIFE_NS)
        naive.update({QUESTIONS[question]: 2**day})
        day += days_later
    counted.turn(day * HALF_LIFE_NS)
    assert counted.scores == pytest.approx({each: score / 2**day for each, score in naive.items()})


def test_beyond_the_bound_what_was_asked_least_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(popular, "KEPT", 3)
    scores = decayed({}, {asked: times for times, asked in enumerate(QUESTIONS[:5])}, 0)
    assert scores == {asked: times for times, asked in enumerate(QUESTIONS[:5]) if times >= 2}


def test_counts_survive_a_restart(tmp_path: Path) -> None:
    """In the same order; what cannot be read is as nothing."""
    counted = Popular()
    for times, asked in enumerate(QUESTIONS[:5], 1):
        for _ in range(times):
            counted.count(asked)
    counted.turn(7)
    counted.save(tmp_path / "asked")
    assert load(tmp_path / "asked").most() == counted.most() == QUESTIONS[4::-1]
    assert load(tmp_path / "none").most() == []
    (tmp_path / "asked").write_bytes(b"torn")
    assert load(tmp_path / "asked").most() == []


def test_what_a_calendar_opens_next_is_loaded_first() -> None:
    """In the order of opening, before what was asked most."""
    planned = list(plan([], QUESTIONS[:1], [(1, 7), (2, 3), (1, 7)]))
    seven, three = (
        [Asked("book", f"book:{n}", partition, is_group=True), Asked("statistics", f"statistics:{n}", partition)]
        for n, partition in ((7, 1), (3, 2))
    )
    assert planned == [*seven, *three, QUESTIONS[0]]


def test_a_warmed_process_answers_from_memory_at_once(redis_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Books of instruments that are about to open, and what was asked most; a cold one has to ask Redis for each."""
    market = Market(BLOCKS)
    market.commit(len(BLOCKS))
    workers = Workers(redis_stack.redis_url, market)
    workers.to(len(BLOCKS))
    monkeypatch.setattr(reads_module, "TIMEOUT_S", IN_TIME_S)
    books = [Asked("book", "book:1", 1, is_group=True)]
    with reading(market.log, redis_stack.redis_url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)
        assert [reads.hit(asked) for asked in QUESTIONS + books] == [None] * (len(QUESTIONS) + 1)

        async def warmed() -> Warming:
            warming = Warming(reads, plan([feed], QUESTIONS))
            assert await warming.before_traffic([feed], IN_TIME_S)
            return warming

        warming = run(warmed())
        assert warming.loaded >= len(QUESTIONS)
        assert {level(reads, asked) for asked in QUESTIONS + books} == {MEMORY}
        assert reads.misses == 0


def level(reads: Reads, asked: Asked) -> str:
    answer = reads.hit(asked)
    return "none" if answer is None else answer.level


def test_traffic_does_not_wait_for_all_of_it(redis_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the time is over the rest goes on in the background."""
    monkeypatch.setattr(reads_module, "TIMEOUT_S", IN_TIME_S)
    market = Market(BLOCKS)
    market.commit(len(BLOCKS))
    workers = Workers(redis_stack.redis_url, market)
    workers.to(len(BLOCKS))
    with reading(market.log, redis_stack.redis_url, workers.cluster) as (reads, feed, run):
        eventually(lambda: feed.is_current)

        async def served() -> None:
            warming = Warming(reads, plan([feed], QUESTIONS))
            assert not await warming.before_traffic([feed], 0)
            assert (await reads.read(QUESTIONS[-1], timeout_s=IN_TIME_S)).level == REDIS
            while warming.loaded < len(QUESTIONS):  # noqa: ASYNC110 - what every process has that warms itself
                await asyncio.sleep(0.001)
            await warming.close()

        run(served())
