"""The relay on a real broker: every committed block once, in order, through kills and outages, and nothing of another history."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from adapters.stack.stack import Stack
from eventstore import agreement, relay, topics
from eventstore.agreement import compare
from eventstore.blocks import after
from eventstore.errors import Damaged, Disagree, Expired, StoreFailed
from eventstore.kafka import BlocksTopic, Reader, Tape
from eventstore.memory import MemoryLog
from eventstore.publisher import RECORDS_IN_FLIGHT, Publisher
from eventstore.relay import Relay
from eventstore.sqlite import SqliteLog
from tests.contracts.record import block_after
from tests.servers.topic import CLUSTER, PARTITION, grow, publish, seqs
from tests.waiting import eventually

Make = Callable[..., Stack]


@pytest.fixture
def topic(kafka_stack: Stack, topic_prefix: str) -> BlocksTopic:
    topics.create(kafka_stack.kafka_bootstrap, topics.wanted(1, 1, topic_prefix))
    return BlocksTopic(kafka_stack.kafka_bootstrap, CLUSTER, topic_prefix + topics.BLOCKS)


@contextmanager
def relaying(log: MemoryLog, topic: BlocksTopic) -> Iterator[Relay]:
    """A relay that has caught up with the record."""
    running = Relay(log, topic, PARTITION)
    running.start()
    try:
        eventually(lambda: running.failure or running.seq == log.head(PARTITION).seq)
        yield running
    finally:
        running.close(10)


def test_every_block_is_one_record_that_says_what_it_is(topic: BlocksTopic) -> None:
    log = MemoryLog()
    chain = grow(log, 3)
    with relaying(log, topic) as running:
        for block in grow(log, 3):
            running.offer(block)
            chain.append(block)
        eventually(lambda: running.lag == 0 and running.seq == 6)
    with Tape(topic, PARTITION) as tape:
        tape.go(0)
        records = list(tape.records())
    assert [(record.offset, record.cluster, record.seq, record.hash) for record in records] == [
        (offset, CLUSTER, block.seq, block.hash) for offset, block in enumerate(chain)
    ]
    assert list(topic.read(PARTITION)) == chain
    assert topic.tail(PARTITION) == chain[-1]


def test_a_relay_begins_where_the_topic_ends(topic: BlocksTopic) -> None:
    log = MemoryLog()
    for blocks in (5, 0, 7):
        grow(log, blocks)
        with relaying(log, topic):
            pass
    assert seqs(topic) == list(range(1, 13))


def test_one_that_does_not_look_doubles_and_the_comparison_tells(topic: BlocksTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test before: without reading the tail, each start sends everything again."""
    monkeypatch.setattr(agreement, "place", lambda *_: 0)
    log = MemoryLog()
    grow(log, 5)
    for _ in range(2):
        with relaying(log, topic):
            pass
    assert seqs(topic) == [1, 2, 3, 4, 5] * 2
    assert compare(log, topic, PARTITION).repeated == 5
    assert [block.seq for block in topic.read(PARTITION)] == [1, 2, 3, 4, 5]


def test_what_memory_has_no_room_for_is_read_in_the_record(topic: BlocksTopic, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow or silent Kafka costs a bounded amount of memory, and no block."""
    log = MemoryLog()
    chain = grow(log, 1)
    monkeypatch.setattr(relay, "OFFERED_BYTES", 3 * len(chain[0].payload))
    with relaying(log, topic) as running:
        for block in grow(log, 200):
            running.offer(block)
            assert running._offered_bytes <= relay.OFFERED_BYTES
        eventually(lambda: running.seq == 201)
    assert seqs(topic) == list(range(1, 202))


def victim(folder: Path, topic: BlocksTopic, blocks: int) -> subprocess.Popen[str]:
    """Another process that owns the partition: appends *blocks* blocks to a SQLite record and relays them."""
    arguments = [str(folder / "record.sqlite3"), topic.bootstrap, topic.name, str(blocks)]
    return subprocess.Popen([sys.executable, "-m", "tests.servers.relaying", *arguments], stdout=subprocess.PIPE, text=True)


def test_kill_9_of_the_relay_again_and_again_loses_and_doubles_nothing(topic: BlocksTopic, tmp_path: Path) -> None:
    """The next owner sees in the topic what arrived of what was under way."""
    for kill in range(4):
        with victim(tmp_path, topic, 100_000) as running:
            assert running.stdout
            assert running.stdout.readline() == "relaying\n"
            time.sleep(0.3 + 0.1 * kill)
            running.send_signal(signal.SIGKILL)
    with victim(tmp_path, topic, 1) as last:
        assert last.wait(60) == 0
    log = SqliteLog(tmp_path / "record.sqlite3")
    head = log.head(PARTITION)
    assert head.epoch == 5
    assert seqs(topic) == list(range(1, head.seq + 1))
    found = compare(log, topic, PARTITION)
    assert (found.difference, found.missing, found.repeated, found.last_seq) == (None, 0, 0, head.seq)
    log.close()


def test_a_broker_that_is_killed_and_comes_back_delays_and_changes_nothing(own_stack: Make) -> None:
    """Trading goes on meanwhile: offering never waits, the lag is told, and catching up needs no help."""
    stack = own_stack(postgres=False)
    topic = BlocksTopic(stack.kafka_bootstrap, CLUSTER)
    log = MemoryLog()
    grow(log, 10)
    with relaying(log, topic) as running:
        longest_s = 0.0
        stack.servers["kafka-1"].kill()
        for _ in range(600):
            (block,) = grow(log, 1)
            began_s = time.monotonic()
            running.offer(block)
            longest_s = max(longest_s, time.monotonic() - began_s)
            time.sleep(0.01)
        assert running.lag > RECORDS_IN_FLIGHT
        stack.servers["kafka-1"].start()
        eventually(lambda: running.seq == 610)
        assert running.failure is None
        assert longest_s < 0.5
    assert seqs(topic) == list(range(1, 611))
    assert compare(log, topic, PARTITION).difference is None


def test_an_owner_who_comes_while_kafka_is_down_relays_when_it_is_back(own_stack: Make) -> None:
    stack = own_stack(postgres=False)
    stack.servers["kafka-1"].kill()
    log = MemoryLog()
    grow(log, 3)
    running = Relay(log, BlocksTopic(stack.kafka_bootstrap, CLUSTER), PARTITION)
    running.start()
    eventually(lambda: running.trouble)
    assert "kafka at" in running.trouble
    stack.servers["kafka-1"].start()
    eventually(lambda: running.seq == 3)
    assert running.trouble == ""
    running.close(5)


def refused(log: MemoryLog, topic: BlocksTopic) -> Disagree:
    """What a relay ends with that must not send."""
    before = seqs(topic) if topic.cluster == CLUSTER else None
    with relaying(log, topic) as running:
        eventually(lambda: running.failure)
        running.offer(grow(log, 1)[0])
    assert isinstance(running.failure, Disagree)
    assert before is None or seqs(topic) == before
    return running.failure


def test_a_topic_ahead_of_the_record_is_refused(topic: BlocksTopic) -> None:
    """A record that lost its end, or a topic of another one: whoever went on would fork it."""
    log = MemoryLog()
    chain = grow(log, 3)
    publish(topic, [*chain, block_after(after(chain[-1]))])
    assert "it ends with block 4" in str(refused(log, topic))


def test_a_topic_with_another_block_is_refused(topic: BlocksTopic) -> None:
    log, other = MemoryLog(), MemoryLog()
    grow(log, 3)
    other.claim(PARTITION)
    publish(topic, grow(other, 2, claim=True))
    assert "in the record; nothing is published until topic and record agree" in str(refused(log, topic))


def test_the_topic_of_another_cluster_is_refused(topic: BlocksTopic) -> None:
    log = MemoryLog()
    publish(topic, grow(log, 2))
    theirs = BlocksTopic(topic.bootstrap, "another", topic.name)
    assert f"the record at offset 0 is of cluster {CLUSTER}, not of another" in str(refused(log, theirs))
    with pytest.raises(Disagree):
        list(theirs.read(PARTITION))
    assert "is of cluster" in str(compare(log, theirs, PARTITION).difference)


def test_a_topic_that_lost_what_it_had_acknowledged_is_noticed(topic: BlocksTopic, topic_prefix: str) -> None:
    """As brokers do whose power was cut: going on would leave a gap in the topic that nothing fills."""
    log = MemoryLog()
    grow(log, 20)
    with relaying(log, topic) as running:
        admin = AdminClient({"bootstrap.servers": topic.bootstrap})
        for done in admin.delete_topics([topic.name]).values():
            done.result(20)
        eventually(lambda: topic.name not in admin.list_topics(timeout=10).topics)
        topics.create(topic.bootstrap, topics.wanted(1, 1, topic_prefix))
        eventually(lambda: running.failure or running.offer(grow(log, 1)[0]))  # type: ignore[func-returns-value]
    assert isinstance(running.failure, Disagree)
    assert "it lost what it had acknowledged" in str(running.failure)


def test_a_stranger_in_the_topic_is_damage(topic: BlocksTopic) -> None:
    from confluent_kafka import Producer

    log = MemoryLog()
    publish(topic, grow(log, 2))
    producer = Producer({"bootstrap.servers": topic.bootstrap})
    producer.produce(topic.name, b"hello", partition=PARTITION)
    producer.flush()
    with pytest.raises(Damaged, match="offset 2: the headers are not those of a block"):
        list(topic.read(PARTITION))


def test_blocks_of_two_owners_among_one_another_come_once(topic: BlocksTopic) -> None:
    """The old owner had records under way when the new one looked: both send them, and the reader drops the second."""
    log = MemoryLog()
    chain = grow(log, 10)
    publish(topic, chain[:4])
    old, new = Publisher(topic, 4), Publisher(topic, 4)
    publish(topic, chain[4:7], new)
    publish(topic, chain[4:6], old)
    publish(topic, chain[7:10], new)
    publish(topic, chain[6:8], old)
    assert seqs(topic) == [1, 2, 3, 4, 5, 6, 7, 5, 6, 8, 9, 10, 7, 8]
    assert list(topic.read(PARTITION)) == chain
    for after_seq in range(11):
        assert list(topic.read(PARTITION, after_seq)) == chain[after_seq:]
    found = compare(log, topic, PARTITION)
    assert (found.difference, found.repeated, found.missing) == (None, 4, 0)
    assert agreement.place(log, topic, PARTITION) == 10, "the last record is an old one, the highest counts"
    old.close()
    new.close()


def test_a_fork_is_damage_for_who_reads_and_a_difference_for_who_compares(topic: BlocksTopic) -> None:
    log, other = MemoryLog(), MemoryLog()
    chain = grow(log, 4)
    other.claim(PARTITION)
    publish(topic, chain)
    fork = grow(other, 3, claim=True)
    publish(topic, fork[2:])
    reading = topic.read(PARTITION)
    assert [next(reading) for _ in chain] == chain, "what stands before the fork is read"
    with pytest.raises(Damaged, match="block 3: there are two of them"):
        next(reading)
    assert "block 3 at offset 4" in str(compare(log, topic, PARTITION).difference)


def test_a_missing_block_is_damage_and_a_difference(topic: BlocksTopic) -> None:
    log = MemoryLog()
    chain = grow(log, 4)
    publish(topic, chain[:2])
    publish(topic, chain[3:])
    with pytest.raises(Damaged, match="block 3: missing; the next block in the topic is 4"):
        list(topic.read(PARTITION))
    assert compare(log, topic, PARTITION).difference == "block 3 is missing before offset 2, which has block 4"


def test_what_is_not_relayed_yet_is_missing_and_no_difference(topic: BlocksTopic) -> None:
    log = MemoryLog()
    chain = grow(log, 5)
    publish(topic, chain[:3])
    found = compare(log, topic, PARTITION)
    assert (found.first_seq, found.last_seq, found.missing, found.difference) == (1, 3, 2, None)


def test_an_empty_topic_misses_everything(topic: BlocksTopic) -> None:
    log = MemoryLog()
    grow(log, 2)
    found = compare(log, topic, PARTITION)
    assert (found.first_seq, found.last_seq, found.missing, found.difference) == (0, 0, 2, None)
    assert topic.tail(PARTITION) is None
    assert list(topic.read(PARTITION)) == []


def test_a_block_that_the_record_does_not_have_is_a_difference(topic: BlocksTopic) -> None:
    log = MemoryLog()
    chain = grow(log, 2)
    publish(topic, [*chain, block_after(after(chain[-1]))])
    assert "block 3 at offset 2" in str(compare(log, topic, PARTITION).difference)


def test_a_reader_follows(topic: BlocksTopic) -> None:
    log = MemoryLog()
    grow(log, 2)
    with relaying(log, topic) as running, Reader(topic, PARTITION, 1) as reader:
        eventually(lambda: reader.take(0.1) and reader.seq == 2)
        assert reader.take(0.1) == []
        (block,) = grow(log, 1)
        running.offer(block)
        assert reader.take(10) == [block]


def test_what_the_topic_no_longer_has_is_to_be_read_in_the_record(topic: BlocksTopic) -> None:
    log = MemoryLog()
    chain = grow(log, 5)
    publish(topic, chain)
    admin = AdminClient({"bootstrap.servers": topic.bootstrap})
    for done in admin.delete_records([TopicPartition(topic.name, PARTITION, 3)]).values():
        done.result(20)
    with pytest.raises(Expired, match="block 1 is asked for, the first there is 4; read it in the record"):
        list(topic.read(PARTITION))
    assert list(topic.read(PARTITION, 3)) == chain[3:]
    found = compare(log, topic, PARTITION)
    assert (found.first_seq, found.last_seq, found.difference) == (4, 5, None)


def test_brokers_that_do_not_answer_are_named() -> None:
    with pytest.raises(StoreFailed, match=r"kafka at 127\.0\.0\.1:9: topic blocks, partition 1"):
        BlocksTopic("127.0.0.1:9", CLUSTER, patience_s=0.5).tail(PARTITION)


def test_what_is_offered_before_it_starts_is_relayed(topic: BlocksTopic) -> None:
    """A writer may commit before the one who takes a partition over has got round to its relay."""
    log = MemoryLog()
    early = Relay(log, topic, PARTITION)
    for block in grow(log, 3):
        early.offer(block)
    early.start()
    eventually(lambda: early.seq == 3)
    early.close(5)
    assert seqs(topic) == [1, 2, 3]
