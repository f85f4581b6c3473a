"""Many clients, one partition: batches as large as the load, to each his own outcome, and a bound that cancels may pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from adapters import example
from adapters.doors import desk as desks
from adapters.doors.desk import IN_FLIGHT, Away, Busy, Decided, Desk, Overdue, TooLate
from commands.codec import events, to_row
from commands.messages import CancelOrder, NewOrder
from commands.ports import Committed, Stopped
from commands.writer import Writer
from eventstore.memory import MemoryLog, MemorySnapshots

ROW = to_row(NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100))
CANCEL = to_row(CancelOrder(account=1, order=1))


class Held:
    """A line whose batches are decided when the test says so."""

    def __init__(self) -> None:
        self.batches: list[tuple[bytes, Future[Committed]]] = []

    def submit(self, rows: bytes) -> Future[Committed]:
        future: Future[Committed] = Future()
        self.batches.append((rows, future))
        return future


@pytest.fixture
def writer() -> Iterator[Writer]:
    with Writer(MemoryLog(), MemorySnapshots(), 1) as made:
        made.write_all([b"".join(map(to_row, example.commands()))])
        yield made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_each_sender_gets_the_events_of_his_own_commands(writer: Writer) -> None:
    async def given() -> None:
        desk = Desk(writer)
        sell = to_row(NewOrder(account=2, instrument=1, side="sell", quantity_lots=5, price_ticks=100))
        rested, first, second, unknown = await asyncio.gather(desk.send(sell), desk.send(ROW), desk.send(ROW), desk.send(CANCEL))
        assert [kinds(each) for each in (rested, first, second, unknown)] == [
            ["OrderAccepted", "OrderRested"],
            ["OrderAccepted", "TradeExecuted"],
            ["OrderAccepted", "TradeExecuted"],
            ["CommandRefused"],
        ]
        assert len({each.block_seq for each in (rested, first, second, unknown)}) == 1
        assert [each.first_event for each in (first, second)] == [rested.first_event + 2, rested.first_event + 4]

    run(given())


def kinds(decided: Decided) -> list[str]:
    return [event.kind for event in events(decided.events)]


def test_several_commands_of_one_sender_are_decided_together(writer: Writer) -> None:
    async def given() -> None:
        desk = Desk(writer)
        both, one = await asyncio.gather(desk.send(ROW * 2), desk.send(ROW))
        assert kinds(both) == ["OrderAccepted", "OrderRested"] * 2
        assert kinds(one) == ["OrderAccepted", "OrderRested"]

    run(given())


def test_what_comes_while_batches_are_under_way_goes_as_one() -> None:
    async def given() -> None:
        line = Held()
        desk = Desk(line)
        for size in (1, 2, 3, 4):
            for _ in range(size):
                desk.enter(ROW, lambda _: None)
            await asyncio.sleep(0)
        assert [len(rows) // 128 for rows, _ in line.batches] == [1, 2]
        line.batches[0][1].set_exception(Stopped(1, None))
        await asyncio.sleep(0.01)
        assert [len(rows) // 128 for rows, _ in line.batches] == [1, 2, 7]

    run(given())


def test_beyond_the_bound_only_what_takes_risk_away_is_let_in() -> None:
    async def given() -> None:
        desk = Desk(Held(), max_waiting=10, reserve=2)
        desk.enter(ROW * 8, lambda _: None)
        with pytest.raises(Busy, match="8 commands wait, 8 may"):
            desk.enter(ROW, lambda _: None)
        with pytest.raises(Busy):
            desk.enter(CANCEL + ROW, lambda _: None)
        desk.enter(CANCEL * 2, lambda _: None)
        with pytest.raises(Busy, match="10 commands wait, 10 may"):
            desk.enter(CANCEL, lambda _: None)
        assert desk.waiting == 10

    run(given())


def test_room_comes_back_with_the_outcome() -> None:
    async def given() -> None:
        line = Held()
        desk = Desk(line, max_waiting=4, reserve=0)
        desk.enter(ROW * 4, lambda _: None)
        await asyncio.sleep(0)
        line.batches[0][1].set_exception(Stopped(1, None))
        await asyncio.sleep(0.01)
        desk.enter(ROW * 4, lambda _: None)

    run(given())


def test_what_is_too_late_when_its_turn_comes_is_never_handed_over() -> None:
    async def given() -> None:
        line = Held()
        desk = Desk(line)
        late, said = desk.send(ROW, time.monotonic() - 0.001), desk.send(CANCEL)
        both = asyncio.gather(late, said, return_exceptions=True)
        await asyncio.sleep(0.01)
        assert [rows for rows, _ in line.batches] == [CANCEL]
        line.batches[0][1].set_exception(Stopped(1, None))
        assert [type(each) for each in await both] == [TooLate, Stopped]
        assert desk.waiting == 0

    run(given())


def test_whoever_waits_is_told_when_his_deadline_passes_though_nothing_moves() -> None:
    """And it is not handed over when something moves again."""

    async def given() -> None:
        line = Held()
        desk = Desk(line)
        for _ in range(IN_FLIGHT):
            desk.enter(ROW, lambda _: None)
            await asyncio.sleep(0)
        with pytest.raises(TooLate):
            await desk.send(to_row(CancelOrder(account=1, order=1, sequence=9)), time.monotonic() + 0.01)
        assert not desk.holds(1, 9)
        line.batches[0][1].set_exception(Stopped(1, None))
        line.batches[1][1].set_exception(Stopped(1, None))
        assert await desk.settle(10)
        assert [rows for rows, _ in line.batches] == [ROW, ROW]

    run(given())


def test_of_what_is_under_way_at_its_deadline_nothing_is_known_and_nothing_is_said_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "GRACE_S", 0.01)

    async def given() -> None:
        line, told = Held(), list[object]()
        desk, said = Desk(line), asyncio.Event()

        def answered(outcome: object) -> None:
            told.append(outcome)
            said.set()

        desk.enter(ROW, answered, time.monotonic() + 0.05)
        await said.wait()
        assert [type(each) for each in told] == [Overdue]
        assert desk.waiting == 1
        line.batches[0][1].set_exception(Stopped(1, None))
        assert await desk.settle(10)
        assert len(told) == 1

    run(given())


def test_a_desk_that_leaves_takes_only_what_takes_risk_away_and_settles_what_it_has() -> None:
    async def given() -> None:
        line, told = Held(), list[object]()
        desk = Desk(line)
        desk.enter(ROW, told.append)
        await asyncio.sleep(0)
        desk.leave()
        with pytest.raises(Away, match="this gateway goes away; nothing was executed"):
            desk.enter(ROW, told.append)
        desk.enter(CANCEL, told.append)
        assert not await desk.settle(0.01)
        while desk.waiting:
            await asyncio.sleep(0)
            for _, future in line.batches:
                if not future.done():
                    future.set_exception(Stopped(1, None))
        assert await desk.settle(0)
        assert [type(each) for each in told] == [Stopped, Stopped]

    run(given())


def test_every_sender_of_a_batch_that_failed_is_told_why(tmp_path: Path) -> None:
    async def given() -> None:
        with Writer(MemoryLog(), MemorySnapshots(), 1) as closed:
            pass
        desk = Desk(closed)
        outcomes = await asyncio.gather(desk.send(ROW), desk.send(ROW), return_exceptions=True)
        assert [type(each) for each in outcomes] == [Stopped, Stopped]
        assert desk.waiting == 0

    run(given())


def test_a_sender_who_goes_away_costs_the_others_nothing(writer: Writer) -> None:
    async def given() -> None:
        desk = Desk(writer)
        gone = asyncio.ensure_future(desk.send(ROW))
        stays = asyncio.ensure_future(desk.send(ROW))
        await asyncio.sleep(0)
        gone.cancel()
        assert kinds(await stays) == ["OrderAccepted", "OrderRested"]
        assert desk.waiting == 0

    run(given())


def test_of_each_account_the_block_of_its_last_command_is_known(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def given() -> None:
        desk = Desk(writer)
        sell = to_row(NewOrder(account=2, instrument=1, side="sell", quantity_lots=5, price_ticks=100))
        both = await desk.send(ROW + sell)
        assert (desk.acted(1), desk.acted(2), desk.acted(3)) == (both.block_seq, both.block_seq, 0)
        later = await desk.send(ROW)
        assert (desk.acted(1), desk.acted(2)) == (later.block_seq, both.block_seq)

    run(given())


def test_an_account_that_is_not_remembered_has_acted_no_later_than_is_said(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.doors.desk.MAX_REMEMBERED", 1)

    async def given() -> None:
        desk = Desk(writer)
        await desk.send(ROW)
        other = await desk.send(to_row(CancelOrder(account=2, order=1)))
        assert desk.acted(1) == other.block_seq
        assert desk.acted(7) == other.block_seq

    run(given())
