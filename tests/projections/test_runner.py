"""The views of a process that also writes: behind the writer, never in his way, and soon where the record is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from eventstore.blocks import Block
from eventstore.memory import MemoryLog
from eventstore.ports import BlockLog, Damaged, StoreFailed
from projections.columns import Columns
from projections.embedded import FOLDS, Views
from projections.quotes import Quotes
from projections.runner import Runner
from projections.view import Rows
from tests.projections.flow import recorded, trading
from tests.waiting import PATIENCE_S, eventually

BLOCKS = trading(seed=3, count=200, longest=10)


class Held(Quotes):
    """A fold that waits, in the second block, until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.go_on = threading.Event(), threading.Event()

    def fold(self, block: Columns) -> Rows:
        if block.seq == 2:
            self.entered.set()
            assert self.go_on.wait(PATIENCE_S)
        return super().fold(block)


class Log(MemoryLog):
    """A record that grows as a writer's does, and counts who reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []
        self.failures: list[Exception] = []

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        self.reads.append(after_seq)
        if self.failures:
            raise self.failures.pop()
        return super().read(partition, after_seq)


def position(views: Views) -> int:
    return min(views.positions().values())


def same_as_undisturbed(views: Views) -> bool:
    undisturbed = Views(1)
    for block in BLOCKS:
        undisturbed.advance(Columns(block))
    return {name: view.rows for name, view in views.views.items()} == {name: undisturbed.views[name].rows for name in views.views}


def test_it_begins_with_what_the_record_has_and_goes_on_with_what_is_offered() -> None:
    log, views = Log(), Views(1)
    with Runner(views, recorded(BLOCKS[:30], log)) as runner:
        eventually(lambda: position(views) == 30)
        for block in BLOCKS[30:]:
            runner.offer(Columns(block))
        eventually(lambda: position(views) == len(BLOCKS))
    assert (log.reads, runner.dropped) == ([0], 0)
    assert same_as_undisturbed(views)


def test_who_offers_never_waits_and_what_was_dropped_is_read_from_the_record() -> None:
    """The bound of the queue is met while a fold stands still: the writer's thread goes on, and later nothing is missing."""
    held, log = Held(), Log()
    views = Views(1, {**FOLDS, "quotes": lambda: held})
    with Runner(views, log, waiting_blocks=4) as runner:
        eventually(lambda: log.reads == [0])
        for block in BLOCKS[:2]:
            runner.offer(Columns(block))
        assert held.entered.wait(PATIENCE_S)
        recorded(BLOCKS, log)
        for block in BLOCKS[2:]:
            runner.offer(Columns(block))
        assert runner.dropped == 4
        held.go_on.set()
        eventually(lambda: position(views) == len(BLOCKS))
    assert log.reads == [0, 2]
    assert same_as_undisturbed(views)


def test_a_gap_in_what_is_offered_is_read_from_the_record() -> None:
    log, views = Log(), Views(1)
    with Runner(views, log) as runner:
        eventually(lambda: log.reads == [0])
        recorded(BLOCKS, log)
        runner.offer(Columns(BLOCKS[0]))
        runner.offer(Columns(BLOCKS[-1]))
        eventually(lambda: position(views) == len(BLOCKS))
    assert same_as_undisturbed(views)


def test_a_record_that_does_not_answer_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trading does not notice; readiness says why."""
    monkeypatch.setattr("projections.runner.RETRY_S", 0.05)
    log, views = Log(), Views(1)
    log.failures = [StoreFailed("disk", "away")] * 2
    with Runner(views, recorded(BLOCKS, log)) as runner:
        eventually(lambda: runner.failure is not None)
        eventually(lambda: position(views) == len(BLOCKS))
        eventually(lambda: runner.failure is None)
    assert log.reads == [0, 0, 0]


@pytest.mark.parametrize("failure", [Damaged(1, 7, "missing"), ZeroDivisionError("a mistake of ours")])
def test_a_damaged_record_stops_the_views_and_nobody_else(failure: Exception, caplog: pytest.LogCaptureFixture) -> None:
    log, views = Log(), Views(1)
    log.failures = [failure]
    with Runner(views, log) as runner:
        eventually(lambda: runner.failure is failure)
        for block in BLOCKS:
            runner.offer(Columns(block))
    assert "views of partition 1" in caplog.text
    assert position(views) == 0


class Slow(Quotes):
    """A fold that takes a hundredth of a second."""

    def fold(self, block: Columns) -> Rows:
        time.sleep(0.01)
        return super().fold(block)


def test_while_the_writer_is_busy_a_tenth_of_the_time_is_for_the_views(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not less: the views of a market that never rests would stand still."""
    monkeypatch.setattr("projections.runs.RUN_EVENTS", 1)
    taken_s = {}
    for busy in (False, True):
        views = Views(1, {"quotes": Slow})
        began_s = time.monotonic()
        with Runner(views, recorded(BLOCKS[:5], Log()), busy=lambda busy=busy: busy):  # type: ignore[misc]
            eventually(lambda views=views: position(views) == 5)  # type: ignore[misc]
        taken_s[busy] = time.monotonic() - began_s
    assert taken_s[True] > 4 * 10 * 0.01 > taken_s[False]


def test_closing_does_not_wait_for_a_busy_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runner.GIVES_WAY_AT_MOST_S", 10 * PATIENCE_S)
    monkeypatch.setattr("projections.runner.GIVES_WAY", 10**6)
    monkeypatch.setattr("projections.runs.RUN_EVENTS", 1)
    views = Views(1)
    with Runner(views, recorded(BLOCKS[:5], Log()), busy=lambda: True):
        eventually(lambda: position(views) == 1)
    assert position(views) == 1


def test_closing_does_not_wait_for_the_rest_of_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long record is not read to its end when the process is asked to stop."""
    monkeypatch.setattr("projections.runs.RUN_EVENTS", 1)
    held = Held()
    views = Views(1, {"quotes": lambda: held})
    log: BlockLog = recorded(BLOCKS, MemoryLog())
    runner = Runner(views, log)
    assert held.entered.wait(PATIENCE_S)
    closing = threading.Thread(target=runner.close)
    closing.start()
    eventually(lambda: runner._closing)
    held.go_on.set()
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert position(views) == 2


class Counted(Quotes):
    """A fold that counts how often it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def fold(self, block: Columns) -> Rows:
        self.calls += 1
        time.sleep(0.01)
        return super().fold(block)


def test_who_is_not_behind_does_not_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projections.runner.RESTS", 10**6)
    monkeypatch.setattr("projections.runner.RESTS_AT_MOST_S", PATIENCE_S)
    log = Log()
    views = Views(1, {"quotes": Quotes})
    with Runner(views, log) as runner:
        eventually(lambda: log.reads == [0])
        for block in BLOCKS[:5]:
            runner.offer(Columns(block))
            eventually(lambda block=block: position(views) == block.seq)  # type: ignore[misc]


def test_what_comes_while_it_rests_is_taken_in_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many short blocks cost the interpreter that also answers clients what few cost."""
    monkeypatch.setattr("projections.runner.RESTS", 10**6)
    monkeypatch.setattr("projections.runner.RESTS_AT_MOST_S", 0.2)
    counted, log = Counted(), Log()
    views = Views(1, {"quotes": lambda: counted})
    with Runner(views, log) as runner:
        eventually(lambda: log.reads == [0])
        for block in BLOCKS:
            runner.offer(Columns(block))
            time.sleep(0.002)
        eventually(lambda: position(views) == len(BLOCKS))
    assert counted.calls <= 3
    assert same_as_undisturbed(views)
