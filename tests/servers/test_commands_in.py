"""Commands through a real Kafka: what reaches the writer, from where, and which worker gets which partition."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.kafka_client import CommandsTopic, Outcomes, Unsent
from adapters.kafka_inbox import LATER, BadPosition, CommandsInbox
from adapters.stack.stack import Stack
from commands import batch
from commands.codec import from_row
from commands.messages import NoteUnreadable
from commands.ports import Full
from commands.writer import Writer
from domain import verbs as v
from eventstore import topics
from eventstore.agreement import compare
from eventstore.kafka import BlocksTopic
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.relay import Relay
from eventstore.topics import commands_topic
from tests import market
from tests.servers.topic import CLUSTER
from tests.waiting import eventually

FAILOVER_S = 3.0


@dataclass
class Worker:
    """A member of the group in a thread, and what it was told."""

    bootstrap: str
    prefix: str
    partitions: int = 1
    offsets: dict[int, int] = field(default_factory=dict)  # where the record goes on, by partition
    has_room: Callable[[int], bool] = lambda _: True
    told: list[tuple[str, int]] = field(default_factory=list)
    batches: list[tuple[int, bytes, int]] = field(default_factory=list)
    failures: list[BadPosition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbox = CommandsInbox(
            self.bootstrap,
            f"{self.prefix}group",
            range(1, self.partitions + 1),
            on_assigned=self.on_assigned,
            on_revoked=lambda partition: self.told.append(("revoked", partition)),
            on_batch=self.on_batch,
            on_failed=lambda _, error: self.failures.append(error),
            prefix=self.prefix,
        )

    def on_assigned(self, partition: int) -> int | None:
        self.told.append(("assigned", partition))
        return self.offsets.get(partition)

    def on_batch(self, partition: int, rows: bytes, offset: int) -> None:
        if not self.has_room(partition):
            raise Full(1, 1, 1)
        self.batches.append((partition, rows, offset))

    def of(self, partition: int) -> list[int]:
        return [offset for number, _, offset in self.batches if number == partition]

    @contextmanager
    def running(self) -> Iterator[Worker]:
        stop = threading.Event()
        thread = threading.Thread(target=self.inbox.run, args=(stop,))
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join(30)


@pytest.fixture
def worker(kafka_stack: Stack, topic_prefix: str) -> Worker:
    topics.create(kafka_stack.kafka_bootstrap, topics.wanted(2, 1, topic_prefix))
    return Worker(kafka_stack.kafka_bootstrap, topic_prefix)


@pytest.fixture
def client(worker: Worker) -> Iterator[CommandsTopic]:
    client = CommandsTopic(worker.bootstrap, prefix=worker.prefix)
    yield client
    client.close()


def order(sequence: int) -> bytes:
    return market.buy(1, 1, 100, session=1, sequence=sequence)


def send(client: CommandsTopic, count: int, partition: int = 1) -> None:
    for sequence in range(1, count + 1):
        client.send(partition, batch.encode(order(sequence)))
    client.flush()


def test_batches_come_in_order_with_the_offset_after_each(worker: Worker, client: CommandsTopic) -> None:
    send(client, 300)
    with worker.running():
        eventually(lambda: len(worker.batches) == 300)
        eventually(lambda: worker.inbox.lag == {1: 0})
    assert worker.batches == [(1, order(sequence), sequence) for sequence in range(1, 301)]
    assert worker.told == [("assigned", 1), ("revoked", 1)]


def test_reading_goes_on_where_the_record_says_and_kafka_is_told_nothing(worker: Worker, client: CommandsTopic) -> None:
    """A position that Kafka kept would be of another moment than the block, so there is none to be tempted by."""
    send(client, 10)
    worker.offsets[1] = 7
    with worker.running():
        eventually(lambda: len(worker.batches) == 3)
    assert worker.of(1) == [8, 9, 10]
    asking = Consumer({"bootstrap.servers": worker.bootstrap, "group.id": f"{worker.prefix}group"})
    (committed,) = asking.committed([TopicPartition(commands_topic(1, worker.prefix), 0)], timeout=10)
    asking.close()
    assert committed.offset < 0


def test_a_poison_record_becomes_a_note_and_stops_nothing(worker: Worker, client: CommandsTopic) -> None:
    producer = Producer({"bootstrap.servers": worker.bootstrap})
    client.send(1, batch.encode(order(1)))
    client.flush()
    for value in (b"poison", None):
        producer.produce(commands_topic(1, worker.prefix), value, partition=0)
    producer.flush()
    client.send(1, batch.encode(order(2)))
    client.flush()
    with worker.running():
        eventually(lambda: len(worker.batches) == 4)
    _, first, second, last = [rows for _, rows, _ in worker.batches]
    assert from_row(first) == NoteUnreadable(topic="commands", topic_partition=1, offset=1, error="length", size_bytes=6)
    assert from_row(second) == NoteUnreadable(topic="commands", topic_partition=1, offset=2, error="length", size_bytes=0)
    assert (last, worker.of(1)) == (order(2), [1, 2, 3, 4])


def test_a_writer_without_room_gets_each_batch_once_it_has_some_and_holds_up_no_other(worker: Worker, client: CommandsTopic) -> None:
    open_gate = threading.Event()
    worker = Worker(worker.bootstrap, worker.prefix, partitions=2, has_room=lambda partition: partition == 2 or open_gate.is_set())
    send(client, 200, partition=1)
    with worker.running():
        eventually(lambda: len(worker.told) == 2)
        send(client, 50, partition=2)
        eventually(lambda: len(worker.of(2)) == 50)
        assert worker.of(1) == []
        open_gate.set()
        eventually(lambda: len(worker.of(1)) == 200)
        send(client, 5, partition=1)
        eventually(lambda: len(worker.of(1)) == 205)
    assert worker.of(1) == list(range(1, 206))
    assert worker.of(2) == list(range(1, 51))


def test_a_partition_starts_when_its_writer_is_ready_and_again_from_the_record_after_it_failed(
    worker: Worker, client: CommandsTopic
) -> None:
    send(client, 10)
    worker.offsets[1] = LATER
    with worker.running():
        eventually(lambda: worker.told == [("assigned", 1)])
        time.sleep(0.3)
        assert worker.batches == []
        worker.inbox.start(1, 4)
        eventually(lambda: worker.of(1) == [5, 6, 7, 8, 9, 10])
        worker.inbox.hold(1)
        time.sleep(0.1)
        send(client, 2)
        time.sleep(0.3)
        assert len(worker.batches) == 6, "held"
        worker.inbox.start(1, 8)
        eventually(lambda: len(worker.batches) == 10)
    assert worker.of(1)[6:] == [9, 10, 11, 12]


def test_nothing_comes_any_more_once_hold_has_returned(worker: Worker, client: CommandsTopic) -> None:
    """A batch that came after would go to the next writer, which begins before it: those in between would be lost."""
    send(client, 5_000)
    with worker.running():
        for start in range(0, 2_000, 100):
            worker.inbox.start(1, start)
            eventually(lambda start=start: worker.batches and worker.batches[-1][2] > start + 10)  # type: ignore[misc]
            worker.inbox.hold(1)
            held_at = len(worker.batches)
            time.sleep(0.02)
            assert len(worker.batches) == held_at
            worker.batches.clear()


def test_a_place_that_the_topic_does_not_have_holds_that_partition_and_no_other(worker: Worker, client: CommandsTopic) -> None:
    """Going on anywhere else would leave out commands, or take those of another topic, without anybody being told."""
    send(client, 5, partition=1)
    send(client, 5, partition=2)
    admin = AdminClient({"bootstrap.servers": worker.bootstrap})
    for done in admin.delete_records([TopicPartition(commands_topic(1, worker.prefix), 0, 3)]).values():
        done.result(20)
    lost = Worker(worker.bootstrap, worker.prefix, partitions=2, offsets={1: 1, 2: 4})
    with lost.running():
        eventually(lambda: lost.failures and lost.batches)
    assert "the topic holds 3 to 5: 2 records before it was read were deleted" in str(lost.failures[0])
    assert (lost.of(1), lost.of(2)) == ([], [5])
    beyond = Worker(worker.bootstrap, worker.prefix, partitions=2, offsets={1: 4, 2: 9})
    with beyond.running():
        eventually(lambda: beyond.failures and beyond.batches)
    assert "the topic holds 0 to 5: it is another topic, or it lost its end" in str(beyond.failures[0])
    assert (beyond.of(1), beyond.of(2)) == ([5], [])


def test_a_client_who_gave_up_on_silent_brokers_sends_nothing_behind_what_may_be_lost() -> None:
    """Sequences rise: had the second batch got through without the first, the first would be refused when it is sent again."""
    client = CommandsTopic("127.0.0.1:9", patience_s=0.3)
    client.send(1, batch.encode(order(1)))
    with pytest.raises(Unsent, match=r"kafka at 127\.0\.0\.1:9: no answer for 0\.3 s; what was not acknowledged may have arrived or not"):
        client.flush()
    with pytest.raises(Unsent):
        client.send(1, batch.encode(order(2)))
    client.close()


@dataclass
class Members:
    """Processes that are members of one group, and the lines that they say, with the time at which each came."""

    worker: Worker
    partitions: int
    lines: queue.Queue[tuple[str, str, int, float]] = field(default_factory=queue.Queue)
    owner: dict[int, str] = field(default_factory=dict)  # who last got a batch of it
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    started: list[tuple[subprocess.Popen[str], threading.Thread]] = field(default_factory=list)

    def join(self, name: str) -> None:
        arguments = [self.worker.bootstrap, f"{self.worker.prefix}group", name, self.worker.prefix, str(self.partitions)]
        member = subprocess.Popen([sys.executable, "-m", "tests.servers.member", *arguments], stdout=subprocess.PIPE, text=True)
        self.running[name] = member
        listener = threading.Thread(target=self._listen, args=(name, member), daemon=True)
        listener.start()
        self.started.append((member, listener))

    def until(self, holds: Callable[[], object], timeout_s: float = 20.0) -> float:
        """Listen until it holds; how long that took."""
        began_s = time.monotonic()
        while not holds():
            assert time.monotonic() < began_s + timeout_s, f"not so within {timeout_s} s: {self.owner}"
            try:
                name, what, partition, _ = self.lines.get(timeout=0.05)
            except queue.Empty:
                continue
            if what == "batch":
                self.owner[partition] = name
        return time.monotonic() - began_s

    def share(self) -> bool:
        """Every partition is served, and no living member has none."""
        return set(self.owner) == set(range(1, self.partitions + 1)) and set(self.owner.values()) == set(self.running)

    def _listen(self, name: str, member: subprocess.Popen[str]) -> None:
        assert member.stdout
        for line in member.stdout:
            what, partition, *_ = line.split()
            self.lines.put((name, what, int(partition), time.monotonic()))

    def end(self) -> None:
        for member, listener in self.started:
            member.kill()
            listener.join(10)
            with member:  # its pipe is closed and its end awaited
                pass


@pytest.fixture
def members(worker: Worker) -> Iterator[Members]:
    """Two members and two partitions, into which batches come all the time."""
    members = Members(worker, 2)
    stop = threading.Event()
    thread = threading.Thread(target=keep_sending, args=(worker, stop))
    thread.start()
    try:
        members.join("a")
        members.join("b")
        members.until(members.share)
        yield members
    finally:
        stop.set()
        thread.join()
        members.end()


def keep_sending(worker: Worker, stop: threading.Event) -> None:
    client = CommandsTopic(worker.bootstrap, prefix=worker.prefix)
    while not stop.wait(0.02):
        for partition in (1, 2):
            client.send(partition, batch.encode(order(1)))
    client.close()


def test_two_workers_share_two_partitions_and_again_after_one_was_replaced(members: Members) -> None:
    """Each trades on its own cores: a group that gave both to one would be no use."""
    for newcomer, leaver in (("c", "a"), ("d", "b")):
        members.running.pop(leaver).terminate()
        members.until(lambda leaver=leaver: leaver not in members.owner.values())  # type: ignore[misc]
        members.join(newcomer)
        members.until(members.share)


def test_kill_9_of_a_worker_moves_its_partition_in_time(members: Members) -> None:
    members.running.pop("a").kill()
    took_s = members.until(lambda: set(members.owner.values()) == {"b"})
    assert took_s < FAILOVER_S


def test_a_worker_that_slept_through_its_session_is_told_that_it_lost(members: Members) -> None:
    """It may believe for a moment that it owns: the record refuses it then (eventstore/ports.py, Fenced)."""
    sleeper = members.running.pop("a")
    sleeper.send_signal(signal.SIGSTOP)
    members.until(lambda: set(members.owner.values()) == {"b"})
    sleeper.send_signal(signal.SIGCONT)
    members.running["a"] = sleeper
    end_s = time.monotonic() + 10
    told = []
    while "revoked" not in told and time.monotonic() < end_s:
        name, what, _, _ = members.lines.get(timeout=10)
        if name == "a":
            told.append(what)
    assert "revoked" in told
    members.until(members.share)


def test_a_group_that_the_brokers_lost_is_joined_anew(own_stack: Callable[..., Stack], topic_prefix: str) -> None:
    """As after a power cut: the topics are there, what was known of groups is not. What was read before is not passed on again."""
    own = own_stack(postgres=False)
    topics.create(own.kafka_bootstrap, topics.wanted(1, 1, topic_prefix))
    worker, node = Worker(own.kafka_bootstrap, topic_prefix), own.servers["kafka-1"]
    with closing(CommandsTopic(own.kafka_bootstrap, prefix=topic_prefix)) as client, worker.running():
        send(client, 3)
        eventually(lambda: len(worker.batches) == 3)
        worker.offsets[1] = 3
        node.kill()
        for log in (node.folder / "data").glob("__consumer_offsets-*/*.log"):
            log.unlink()
        node.start()
        send(client, 2)
        eventually(lambda: len(worker.batches) == 5)
    assert worker.of(1) == [1, 2, 3, 4, 5]
    assert worker.told == [("assigned", 1), ("revoked", 1)] * 2


def test_a_client_that_gave_up_because_the_brokers_do_not_know_what_is_wrong_is_replaced(worker: Worker, client: CommandsTopic) -> None:
    """As it gives up for good when a broker answers "unknown error" to its heartbeat: a worker that ended then would be one too few."""
    unknown = KafkaError(KafkaError._FATAL, f"ConsumerGroupHeartbeat fatal error: {KafkaError(KafkaError.UNKNOWN).str()}")
    with worker.running():
        send(client, 3)
        eventually(lambda: len(worker.batches) == 3)
        worker.offsets[1] = 3
        given_up = iter([unknown])
        looks = worker.inbox._look_how_far

        def look() -> None:
            for error in given_up:
                worker.inbox._receive(Message(error=error))
            looks()

        setattr(worker.inbox, "_look_how_far", look)  # noqa: B010
        eventually(lambda: worker.told == [("assigned", 1), ("revoked", 1), ("assigned", 1)])
        send(client, 2)
        eventually(lambda: len(worker.batches) == 5)
    assert worker.of(1) == [1, 2, 3, 4, 5]


def test_an_order_goes_in_through_kafka_and_its_outcome_comes_out(worker: Worker, client: CommandsTopic, tmp_path: Path) -> None:
    """The whole way: commands, the writer, the relay, and a client who reads the blocks."""
    topic = BlocksTopic(worker.bootstrap, CLUSTER, worker.prefix + topics.BLOCKS)
    log = MemoryLog()
    relay = Relay(log, topic, 1)
    relay.start()
    outcomes = Outcomes(topic, 1)
    with Writer(log, MemorySnapshots(), 1, on_commit=lambda block, *_: relay.offer(block)) as writer:

        def on_batch(partition: int, rows: bytes, offset: int) -> None:
            writer.submit(rows, {f"commands/{partition}": offset})

        setattr(worker.inbox, "_on_batch", on_batch)  # noqa: B010
        with worker.running():
            client.send(1, batch.encode(market.list_instrument(1) + market.set_state(v.OPEN) + market.open_account(1)))
            client.send(1, b"poison")
            client.send(1, batch.encode(market.deposit(1, market.QUOTE, 10**9)))
            first = outcomes.expect(session=1, sequence=1)
            named = outcomes.expect(account=1, sequence=77)
            client.send(1, batch.encode(order(1) + market.buy(1, 1, 100, sequence=77)))
            assert [event.kind for event in first.result(20).events] == ["OrderAccepted", "OrderRested"]
            assert named.result(20).block_seq == first.result(20).block_seq
            again = outcomes.expect(session=1, sequence=1)
            client.send(1, batch.encode(order(1)))
            assert again.result(20).events[0].kind == "CommandRepeated"
        assert writer.positions == {"commands/1": 5}
    relay.close(10)
    outcomes.close()
    found = compare(log, topic, 1)
    assert (found.difference, found.missing, found.repeated) == (None, 0, 0)
