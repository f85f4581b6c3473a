"""The single writer: nothing is answered before it is on record, everything has a bound, and a failed commit never was."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress

import numpy as np
import pytest

from commands.codec import events
from commands.follower import Follower
from commands.ports import RowBytes
from commands.writer import Committed, Full, Stopped, Writer
from domain import verbs as v
from domain.partition import Partition
from eventstore.blocks import Block
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.ports import Fenced, OutcomeUnknown, StoreFailed
from tests import market
from tests.commands.held import HeldLog
from tests.waiting import PATIENCE_S, eventually

PARTITION = 3
SETUP = (
    market.list_instrument(1)
    + market.set_state(v.OPEN)
    + market.open_account(1)
    + market.deposit(1, 1, 10**9)
    + market.deposit(1, 2, 10**9)
)
ORDER = market.buy(1, 1, 100)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_ns = 1_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def log() -> HeldLog:
    return HeldLog()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def writer(log: HeldLog, clock: Clock) -> Iterator[Writer]:
    """A writer over *log*; the instrument is open and account 1 has funds, in block 1."""
    opened = Writer(log, MemorySnapshots(), PARTITION, clock=clock)
    opened.submit(SETUP).result(PATIENCE_S)
    yield opened
    log.release()
    with suppress(Exception):  # many tests make it fail, and say how
        opened.close()


def kinds(committed: Committed) -> list[str]:
    return [event.kind for event in events(committed.events)]


def rebuilt(log: MemoryLog) -> Partition:
    """The partition from its record alone."""
    partition = Partition(PARTITION)
    for block in log.read(PARTITION):
        partition.apply(*block.rows())
    return partition


# --- answers ------------------------------------------------------------------------------------------------------------


def test_a_batch_is_answered_with_its_block_and_its_events(writer: Writer, log: HeldLog) -> None:
    before = log.head(PARTITION)
    committed = writer.submit(ORDER).result(PATIENCE_S)
    assert (committed.block_seq, committed.first_event) == (before.seq + 1, before.next_event)
    assert kinds(committed) == ["OrderAccepted", "OrderRested"]
    assert next(log.read(PARTITION, before.seq)).events() == committed.events


def test_nobody_is_answered_before_the_commit(writer: Writer, log: HeldLog) -> None:
    log.hold()
    future = writer.submit(ORDER)
    eventually(lambda: writer.partition.commands == 6)
    time.sleep(0.05)
    assert not future.done(), "it was decided in memory, which is nobody's business yet"
    log.release()
    assert future.result(PATIENCE_S).block_seq == log.head(PARTITION).seq


def test_a_sender_cannot_take_back_what_is_on_its_way(writer: Writer) -> None:
    """Else a door could tell its client that an order was withdrawn which is in the record."""
    future = writer.submit(ORDER)
    assert not future.cancel()
    future.result(PATIENCE_S)


def test_an_idle_writer_commits_each_batch_at_once(writer: Writer, log: HeldLog) -> None:
    first = log.head(PARTITION).seq
    for expected in range(first + 1, first + 6):
        assert writer.submit(ORDER).result(PATIENCE_S).block_seq == expected


def test_the_next_block_is_executed_while_one_commits(writer: Writer, log: HeldLog) -> None:
    log.hold()
    futures = [writer.submit(ORDER)]
    eventually(lambda: writer.partition.commands == 6)
    futures.append(writer.submit(ORDER))
    eventually(lambda: writer.partition.commands == 7)
    assert log.head(PARTITION).seq == 1
    log.release()
    assert [future.result(PATIENCE_S).block_seq for future in futures] == [2, 3]


def test_batches_that_wait_for_the_store_share_a_block(writer: Writer, log: HeldLog) -> None:
    """One commits and two complete blocks wait for it at most; whatever comes then goes into one."""
    log.hold()
    futures = [writer.submit(ORDER) for _ in range(4)]
    for _ in range(3):
        futures.append(writer.submit(ORDER))
        time.sleep(0.02)
    futures += [writer.submit(ORDER) for _ in range(100)]
    eventually(lambda: writer.partition.commands == 5 + len(futures))
    log.release()
    answers = [future.result(PATIENCE_S) for future in futures]
    assert len({answer.block_seq for answer in answers}) <= 4
    assert [answer.first_event for answer in answers] == list(range(answers[0].first_event, answers[0].first_event + 2 * len(answers), 2))
    assert all(kinds(answer) == ["OrderAccepted", "OrderRested"] for answer in answers)


def test_a_block_holds_at_most_16_384_commands(writer: Writer, log: HeldLog) -> None:
    log.hold()
    first = writer.submit(ORDER)
    eventually(lambda: writer.partition.commands == 6)
    futures = [writer.submit(market.tick(0) * size) for size in (9_000, 9_000, 16_384)]
    log.release()
    for future in [first, *futures]:
        future.result(PATIENCE_S)
    assert [block.command_count for block in log.read(PARTITION, 2)] == [9_000, 9_000, 16_384]


@pytest.mark.parametrize("rows", [b"", ORDER[:-1], ORDER + b"\0", ORDER * 16_385])
def test_what_is_no_batch_is_refused_and_nothing_changes(writer: Writer, log: HeldLog, rows: bytes) -> None:
    with pytest.raises(ValueError, match=f"a batch is 1 to 16384 rows of 128 bytes, not {len(rows)} bytes"):
        writer.submit(rows)
    assert log.head(PARTITION).seq == 1


def test_many_senders_get_their_own_events_in_their_own_order(writer: Writer, log: HeldLog) -> None:
    sent: dict[int, list[Future[Committed]]] = {session: [] for session in range(1, 5)}

    def send(session: int) -> None:
        for sequence in range(1, 101):
            sent[session].append(writer.submit(market.buy(1, 1, 100, session=session, sequence=sequence)))

    threads = [threading.Thread(target=send, args=(session,)) for session in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    for futures in sent.values():
        answers = [future.result(PATIENCE_S) for future in futures]
        assert all(kinds(answer) == ["OrderAccepted", "OrderRested"] for answer in answers), "none was taken for a repetition"
        assert answers == sorted(answers, key=lambda answer: answer.first_event)
    assert rebuilt(log).state_hash() == writer.partition.state_hash()


# --- the bound ------------------------------------------------------------------------------------------------------------


def test_a_full_inbox_says_so_and_nothing_is_buffered_beyond_it(log: HeldLog) -> None:
    """One block commits, two wait, one is complete and cannot be handed over; behind it the inbox holds its bound and no more."""
    size = 16_384
    with Writer(log, MemorySnapshots(), PARTITION, inbox_commands=size) as writer:
        log.hold()
        taken: list[Future[Committed]] = []
        while len(taken) < 5:
            try:
                taken.append(writer.submit(market.tick(0) * size))
            except Full:
                time.sleep(0.01)
        eventually(lambda: writer.partition.commands == 4 * size)
        with pytest.raises(Full, match="16384 commands wait, 1 more would pass the inbox's bound of 16384; nothing was taken, try again"):
            writer.submit(market.tick(0))
        log.release()
        assert [future.result(PATIENCE_S).block_seq for future in taken] == [1, 2, 3, 4, 5]
        writer.submit(market.tick(0)).result(PATIENCE_S)
    assert writer.partition.commands == 5 * size + 1


# --- time -----------------------------------------------------------------------------------------------------------------


def recorded(log: MemoryLog, after_seq: int) -> list[tuple[int, int]]:
    """(verb, received_ns) of every command after a block."""
    rows = np.frombuffer(b"".join(block.commands() for block in log.read(PARTITION, after_seq)), "<i8").reshape(-1, 16)
    return [(verb, received_ns) for verb, received_ns in rows[:, [v.VERB, v.RECEIVED_NS]].tolist()]


def test_rows_that_no_door_stamped_get_the_writers_time(writer: Writer, log: HeldLog, clock: Clock) -> None:
    clock.now_ns = 2_000
    writer.submit(ORDER + market.buy(1, 1, 100, received_ns=1_500) + ORDER).result(PATIENCE_S)
    assert recorded(log, 1) == [(v.NEW_ORDER, 2_000), (v.NEW_ORDER, 1_500), (v.NEW_ORDER, 2_000)]


def test_time_never_goes_back_though_the_clock_does(writer: Writer, log: HeldLog, clock: Clock) -> None:
    clock.now_ns = 5_000
    writer.submit(ORDER).result(PATIENCE_S)
    clock.now_ns = 4_000
    writer.submit(ORDER).result(PATIENCE_S)
    assert [block.time_ns for block in log.read(PARTITION)] == [1_000, 5_000, 5_000]


def test_due_orders_expire_before_anything_else_is_sequenced(writer: Writer, log: HeldLog, clock: Clock) -> None:
    writer.submit(market.buy(1, 1, 100, time_in_force=v.GTD, expires_ns=2_000)).result(PATIENCE_S)
    clock.now_ns = 1_999
    assert kinds(writer.submit(market.sell(1, 1, 101)).result(PATIENCE_S)) == ["OrderAccepted", "OrderRested"]
    clock.now_ns = 2_000
    answer = writer.submit(market.sell(1, 1, 100)).result(PATIENCE_S)
    assert kinds(answer) == ["OrderAccepted", "OrderRested"], "the buy is gone; what the writer did before is not the sender's"
    assert recorded(log, 3) == [(v.TICK_CLOCK, 2_000), (v.NEW_ORDER, 2_000)]
    block = next(log.read(PARTITION, 3))
    assert [event.kind for event in events(block.events())] == ["ClockTicked", "OrderRemoved", "OrderAccepted", "OrderRested"]
    assert answer.first_event == block.first_event + 2


def test_a_tick_that_finds_no_room_in_the_block_gets_the_next(writer: Writer, log: HeldLog, clock: Clock) -> None:
    writer.submit(market.buy(1, 1, 100, time_in_force=v.GTD, expires_ns=2_000)).result(PATIENCE_S)
    log.hold()
    clock.now_ns = 2_000
    first = writer.submit(market.tick(1_500) * 16_384)
    second = writer.submit(market.tick(3_000) * 16_384)
    log.release()
    first.result(PATIENCE_S)
    second.result(PATIENCE_S)
    assert [block.command_count for block in log.read(PARTITION, 2)] == [16_384, 1, 16_384]


def test_ticks_repeat_until_nothing_is_due(writer: Writer, log: HeldLog, clock: Clock) -> None:
    """One tick removes at most 4,096 orders."""
    writer.submit(market.buy(1, 1, 100, time_in_force=v.GTD, expires_ns=2_000) * 4_097).result(PATIENCE_S)
    clock.now_ns = 2_000
    writer.submit(ORDER).result(PATIENCE_S)
    assert recorded(log, 2) == [(v.TICK_CLOCK, 2_000), (v.TICK_CLOCK, 2_000), (v.NEW_ORDER, 2_000)]


@pytest.mark.parametrize("received_ns", [-1, -(2**63), 2**62 + 1, 2**63 - 1])
def test_a_malformed_time_expires_nothing(writer: Writer, clock: Clock, received_ns: int) -> None:
    writer.submit(market.buy(1, 1, 100, time_in_force=v.GTD, expires_ns=2_000)).result(PATIENCE_S)
    assert kinds(writer.submit(market.tick(received_ns)).result(PATIENCE_S)) == ["CommandRefused"]
    assert writer.partition.time_ns == 1_000


def test_how_batches_share_blocks_changes_no_event(log: HeldLog) -> None:
    """One by one, or as fast as they come: the same events and the same state, expiries included."""
    chance = random.Random(4)
    batches = []
    for now_ns in range(10, 400, 10):
        expires_ns = now_ns + chance.randint(1, 50)
        orders = [
            market.buy(1, 1, chance.randint(90, 100), time_in_force=v.GTD, expires_ns=expires_ns),
            market.sell(1, 1, chance.randint(95, 105)),
            market.cancel(1, client_order_id=chance.randint(1, 5)),
        ]
        batches.append(b"".join(market.with_word(order, v.RECEIVED_NS, now_ns) for order in chance.choices(orders, k=chance.randint(1, 4))))
    together: list[Committed] = []
    with Writer(log, MemorySnapshots(), PARTITION, clock=lambda: 1) as fast:
        fast.submit(SETUP).result(PATIENCE_S)
        fast.write_all(batches, together.append)
    with Writer(MemoryLog(), MemorySnapshots(), PARTITION, clock=lambda: 1) as slow:
        slow.submit(SETUP).result(PATIENCE_S)
        apart = [slow.submit(batch).result(PATIENCE_S) for batch in batches]
    assert v.TICK_CLOCK in [verb for verb, _ in recorded(log, 1)]
    assert [each[1:] for each in together] == [each[1:] for each in apart]
    assert fast.partition.state_hash() == slow.partition.state_hash()


# --- failure --------------------------------------------------------------------------------------------------------------

FAILURES = [Fenced(PARTITION, 2, 1, 1, 2), OutcomeUnknown(PARTITION, 2, "the disk went away"), StoreFailed("the file", "disk full")]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_failed_commit_stops_the_writer_and_everyone_who_waits_is_told(writer: Writer, log: HeldLog, failure: Exception) -> None:
    log.hold()
    futures = [writer.submit(ORDER)]
    for _ in range(20):
        futures.append(writer.submit(ORDER))
        time.sleep(0.001)
    log.fails = failure
    log.release()
    assert [future.exception(PATIENCE_S) for future in futures] == [failure] * len(futures)
    assert log.head(PARTITION).seq == 1
    eventually(lambda: refuses(writer))
    with pytest.raises(Stopped, match="the writer of partition 3 stopped: ") as stopped:
        writer.submit(ORDER)
    assert stopped.value.__cause__ is failure
    with pytest.raises(Stopped):
        _ = writer.partition
    with pytest.raises(type(failure)):
        writer.close()


def refuses(writer: Writer) -> bool:
    """Whether the writer says that it stopped, and why."""
    try:
        writer.submit(ORDER)
    except Stopped as stopped:
        return stopped.__cause__ is not None
    return False


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_after_a_failure_a_new_writer_goes_on_from_the_record(writer: Writer, log: HeldLog, clock: Clock, failure: Exception) -> None:
    log.fails = failure
    with pytest.raises(type(failure)):
        writer.submit(ORDER).result(PATIENCE_S)
    log.fails = None
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock) as again:
        assert again.partition.state_hash() == rebuilt(log).state_hash()
        assert again.submit(ORDER).result(PATIENCE_S).block_seq == 2


def test_what_was_written_though_its_outcome_was_unknown_is_not_done_twice(writer: Writer, log: HeldLog, clock: Clock) -> None:
    """The sender cannot know; it sends again with the same sequence, and the first outcome stands."""
    order = market.buy(1, 1, 100, session=7, sequence=1)
    log.fails, log.fails_after_writing = OutcomeUnknown(PARTITION, 2, "no answer"), True
    with pytest.raises(OutcomeUnknown):
        writer.submit(order).result(PATIENCE_S)
    log.fails = None
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock) as again:
        assert again.last_sequence(7) == 1
        assert kinds(again.submit(order).result(PATIENCE_S)) == ["CommandRepeated"]


def test_who_lost_the_partition_is_fenced(writer: Writer, log: HeldLog, clock: Clock) -> None:
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock) as newer:
        with pytest.raises(Fenced, match="another writer owns the partition, stop this one"):
            writer.submit(ORDER).result(PATIENCE_S)
        assert newer.submit(ORDER).result(PATIENCE_S).block_seq == 2


def test_a_broken_invariant_stops_the_writer_and_what_was_whole_before_is_kept(
    writer: Writer, log: HeldLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = AssertionError("a trade may only spend what its order holds")

    class Broken:
        """A partition with a mistake in it."""

        time_ns = commands = events = 0

        def next_expiry_ns(self) -> int:
            return 0

        def execute(self, batch: bytes) -> bytes:
            raise broken

    writer.submit(ORDER).result(PATIENCE_S)
    monkeypatch.setattr(writer, "_state", Broken())
    assert writer.submit(ORDER).exception(PATIENCE_S) is broken
    eventually(lambda: refuses(writer))
    assert log.head(PARTITION).seq == 2


@pytest.mark.parametrize("half", ["commands.writer.lay_out", "commands.committer.chain"])
def test_a_block_that_cannot_be_sealed_stops_the_writer_and_its_senders_are_told(
    writer: Writer, log: HeldLog, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    """In the executing thread as in the store's."""
    mistake = AssertionError("time never goes back")

    def seal(*_: object) -> None:
        raise mistake

    monkeypatch.setattr(half, seal)
    assert writer.submit(ORDER).exception(PATIENCE_S) is mistake
    with pytest.raises(AssertionError, match="time never goes back"):
        writer.close()
    assert log.head(PARTITION).seq == 1


# --- streaming, closing -----------------------------------------------------------------------------------------------------


def test_write_all_waits_for_room_and_reports_in_order(log: HeldLog, clock: Clock) -> None:
    answers: list[Committed] = []
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock, inbox_commands=3) as writer:
        writer.submit(SETUP[: 3 * 128]).result(PATIENCE_S)
        writer.write_all((market.deposit(1, 1, amount) * 2 for amount in range(1, 201)), answers.append)
    assert [answer.first_event for answer in answers] == list(range(3, 403, 2))
    assert log.head(PARTITION).next_event == 403


def test_write_all_raises_what_stopped_it_after_reporting_what_was_committed(writer: Writer, log: HeldLog) -> None:
    answers: list[Committed] = []

    def batches() -> Iterator[bytes]:
        yield ORDER
        eventually(lambda: log.head(PARTITION).seq == 2)
        log.fails = StoreFailed("the file", "disk full")
        while True:
            yield ORDER

    with pytest.raises(StoreFailed, match="disk full"):
        writer.write_all(batches(), answers.append)
    assert [answer.block_seq for answer in answers] == [2]


def test_write_all_commits_and_reports_what_came_before_a_broken_source(writer: Writer) -> None:
    answers: list[Committed] = []

    def batches() -> Iterator[bytes]:
        yield from [ORDER] * 3
        raise OSError("the feed ended in the middle of a message")

    with pytest.raises(OSError, match="the feed ended"):
        writer.write_all(batches(), answers.append)
    assert len(answers) == 3


def test_leaving_the_block_raises_what_stopped_the_writer(log: HeldLog) -> None:
    log.fails = StoreFailed("the file", "disk full")
    with pytest.raises(StoreFailed), Writer(log, MemorySnapshots(), PARTITION) as writer:
        writer.submit(SETUP)


def test_leaving_the_block_at_an_error_shows_that_one(log: HeldLog) -> None:
    def leave() -> None:
        with Writer(log, MemorySnapshots(), PARTITION) as writer:
            writer.submit(SETUP)
            raise ZeroDivisionError

    log.fails = StoreFailed("the file", "disk full")
    with pytest.raises(ZeroDivisionError):
        leave()


def test_closing_commits_what_was_taken_and_takes_no_more(writer: Writer, log: HeldLog) -> None:
    futures = [writer.submit(ORDER) for _ in range(50)]
    writer.close()
    assert all(future.done() for future in futures)
    assert rebuilt(log).state_hash() == writer.partition.state_hash()
    with pytest.raises(Stopped, match="the writer of partition 3 was closed; nothing was taken, open a new one"):
        writer.submit(ORDER)
    writer.close()


def test_the_block_says_how_far_each_source_was_consumed(writer: Writer, log: HeldLog, clock: Clock) -> None:
    writer.submit(ORDER, inputs={"registry": 7}).result(PATIENCE_S)
    writer.submit(ORDER, inputs={"feed": 128}).result(PATIENCE_S)
    writer.submit(ORDER).result(PATIENCE_S)
    assert [block.inputs for block in log.read(PARTITION)] == [b"{}", b'{"registry":7}', *[b'{"feed":128,"registry":7}'] * 2]
    writer.close()
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock) as again:
        assert again.positions == {"registry": 7, "feed": 128}


def test_a_commit_is_told_once_it_is_on_record_and_in_order(log: HeldLog, clock: Clock) -> None:
    """What publishes blocks must never see one that may yet not be."""
    told: list[tuple[int, int, bool]] = []

    def tell(block: Block, rows: RowBytes, took_s: float) -> None:
        assert took_s >= 0
        told.append((block.seq, log.head(PARTITION).seq, rows == block.rows()))

    with Writer(log, MemorySnapshots(), PARTITION, clock=clock, on_commit=tell) as w:
        for _ in range(3):
            w.submit(SETUP).result(PATIENCE_S)
    assert told == [(1, 1, True), (2, 2, True), (3, 3, True)]


def test_a_writer_that_begins_with_a_warm_standby_reads_only_the_blocks_since(writer: Writer, log: HeldLog, clock: Clock) -> None:
    """So that taking over takes no longer than the tail is long."""
    standby = Follower.open(log, MemorySnapshots(), PARTITION)
    writer.submit(ORDER, {"gateway": 7}).result(PATIENCE_S)
    writer.close()
    before = standby.head.seq

    with Writer(log, MemorySnapshots(), PARTITION, clock=clock, warm=standby) as successor:
        assert successor.positions == {"gateway": 7}
        assert successor.head.seq == before + 1
        successor.submit(ORDER).result(PATIENCE_S)
        state = successor.partition
    assert state.state_hash() == Follower.open(log, MemorySnapshots(), PARTITION).state.state_hash()


def test_a_writer_that_hands_over_leaves_a_standby_as_of_its_last_block(writer: Writer, log: HeldLog) -> None:
    writer.submit(ORDER)
    standby = writer.hand_over()
    assert standby.head.seq == log.head(PARTITION).seq == 2
    assert standby.state.state_hash() == Follower.open(log, MemorySnapshots(), PARTITION).state.state_hash()
    with pytest.raises(Stopped):
        writer.submit(ORDER)


def test_a_source_that_can_wait_waits_for_room(log: HeldLog, clock: Clock) -> None:
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock, inbox_commands=len(SETUP) // 128) as writer:
        futures = [writer.put(SETUP) for _ in range(5)]
        assert [future.result(PATIENCE_S).block_seq > 0 for future in futures] == [True] * 5


def test_an_order_can_be_let_expire_though_nobody_sends_anything(writer: Writer, log: HeldLog) -> None:
    writer.submit(market.buy(1, 1, 100, time_in_force=v.GTD, expires_ns=2_000)).result(PATIENCE_S)
    writer.let_expire(1_999)
    writer.let_expire(2_000)
    writer.close()
    expired = next(log.read(PARTITION, 2))
    assert [event.kind for event in events(expired.events())][:2] == ["ClockTicked", "OrderRemoved"]
    assert set(recorded(log, 2)) == {(v.TICK_CLOCK, 2_000)}


def test_a_full_inbox_and_a_writer_that_stopped_are_no_matter_to_what_expires(log: HeldLog, clock: Clock) -> None:
    """Whoever serves asks from a thread that must not end at it."""
    due = market.buy(1, 1, 100, time_in_force=v.GTD, expires_ns=2_000)
    with Writer(log, MemorySnapshots(), PARTITION, clock=clock, inbox_commands=len(SETUP) // 128) as writer:
        writer.submit(SETUP).result(PATIENCE_S)
        writer.submit(due).result(PATIENCE_S)
        log.hold()
        with suppress(Full):
            while True:
                writer.submit(SETUP)
        with pytest.raises(Full):
            writer.submit(SETUP)
        writer.let_expire(3_000)
        log.release()
    writer.let_expire(3_000)
