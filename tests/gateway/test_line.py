"""The way of a gateway to the owner of a partition: Kafka there, blocks back. An owner in this process reads the one, makes the other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, closing

import pytest
from confluent_kafka import Consumer, TopicPartition

from adapters import example
from adapters.doors.desk import Away
from adapters.doors.line import KafkaLine
from adapters.stack.stack import Stack
from commands import batch
from commands.codec import events, to_row
from commands.messages import NewOrder
from commands.ports import Committed, Unanswered
from commands.writer import Writer
from domain.verbs import RECEIVED_NS
from eventstore import topics
from eventstore.errors import StoreFailed
from eventstore.kafka import messages
from eventstore.memory import MemoryLog, MemorySnapshots
from projections.columns import Columns
from tests.market import with_word
from tests.waiting import PATIENCE_S, eventually

ORDER = to_row(NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100))


class Owner:
    """Of partition 1: what its topic has it decides when the test says so."""

    def __init__(self, stack: Stack, prefix: str) -> None:
        self.log = MemoryLog()
        self.writer = Writer(self.log, MemorySnapshots(), 1)
        self.writer.write_all([b"".join(map(to_row, example.commands()))])
        self._told = self.log.head(1).seq
        self._consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": "none", "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(topics.commands_topic(1, prefix), 0, 0)])
        self._waiting: list[tuple[bytes, int]] = []

    def has(self, count: int) -> bool:
        """Whether so many batches wait in the topic."""
        found = messages(self._consumer, 0.1, 100)
        self._waiting += [(batch.decode(each.value() or b"").rows, (each.offset() or 0) + 1) for each in found]
        return len(self._waiting) >= count

    def decide(self, *lines: KafkaLine, after: bytes = b"") -> None:
        """Take what waits, and *after* in between, in as few blocks as may be, and tell the *lines*."""
        futures: list[Future[Committed]] = []
        for rows, offset in self._waiting:
            futures.append(self.writer.submit(rows, {"commands/1": offset}))
            futures += [self.writer.submit(after)] if after else []
        self._waiting.clear()
        wait(futures)
        self.tell(*lines)

    def skip(self, *lines: KafkaLine) -> None:
        """Take what waits as something that nobody can read."""
        (_, offset) = self._waiting[-1]
        self._waiting.clear()
        self.writer.submit(ORDER, {"commands/1": offset}).result()
        self.tell(*lines)

    def tell(self, *lines: KafkaLine) -> None:
        """Of the blocks that came."""
        for block in self.log.read(1, self._told):
            self._told = block.seq
            for line in lines:
                line.take(Columns(block))

    def close(self) -> None:
        self._consumer.close()
        self.writer.close()


@pytest.fixture
def owner(kafka_stack: Stack, topic_prefix: str) -> Iterator[Owner]:
    topics.create(kafka_stack.kafka_bootstrap, topics.wanted(1, prefix=topic_prefix))
    with closing(Owner(kafka_stack, topic_prefix)) as made:
        yield made


@pytest.fixture
def lines(kafka_stack: Stack, topic_prefix: str, owner: Owner) -> Iterator[list[KafkaLine]]:
    """Of two gateways."""
    with ExitStack() as opened:
        yield [opened.enter_context(closing(KafkaLine(kafka_stack.kafka_bootstrap, 1, topic_prefix, answer_s=1.0))) for _ in range(2)]


def orders(committed: Committed) -> list[int]:
    """The numbers of the orders that were entered."""
    return [int(each.fields["order"]) for each in events(committed.events, committed.first_event) if each.kind == "OrderAccepted"]


def test_each_batch_has_the_events_of_its_own_rows_though_others_are_the_same(owner: Owner, lines: list[KafkaLine]) -> None:
    """Rows without names, from two gateways and from elsewhere, in the same blocks."""
    futures = [line.submit(ORDER * size) for size in (1, 3) for line in lines]
    eventually(lambda: owner.has(4))

    owner.decide(*lines, after=ORDER)

    found = [future.result(PATIENCE_S) for future in futures]
    assert [len(orders(each)) for each in found] == [1, 1, 3, 3]
    mine = [order for each in found for order in orders(each)]
    assert len(set(mine)) == 8
    with_block = {block.seq: block for block in owner.log.read(1)}
    for future, committed in zip(futures, found, strict=True):
        assert future.done()
        block = with_block[committed.block_seq]
        assert block.first_event <= committed.first_event < block.first_event + block.event_count


def test_no_two_batches_of_a_gateway_are_the_same(owner: Owner, lines: list[KafkaLine]) -> None:
    """By what a batch is known: the time of its receipt, which is the gateway's to say, whatever a client said."""
    first, second = lines[0].submit(with_word(ORDER, RECEIVED_NS, 5)), lines[0].submit(ORDER)
    eventually(lambda: owner.has(2))
    owner.decide(lines[0])
    assert orders(first.result(PATIENCE_S)) < orders(second.result(PATIENCE_S))


def test_what_nobody_takes_is_answered_as_unknown_and_nothing_more_is_sent_until_it_was_taken(owner: Owner, lines: list[KafkaLine]) -> None:
    line = lines[0]
    with pytest.raises(Unanswered, match="may still be executed"):
        line.submit(ORDER).result(PATIENCE_S)
    with pytest.raises(Away, match="perhaps no worker owns it; nothing was executed"):
        line.submit(ORDER)
    assert "partition 1" in line.trouble
    eventually(lambda: owner.has(1))

    owner.decide(line)

    assert line.trouble == ""
    future = line.submit(ORDER)
    eventually(lambda: owner.has(1))
    owner.decide(line)
    assert len(orders(future.result(PATIENCE_S))) == 1


def test_what_was_read_and_is_not_on_record_is_said_to_be_so(owner: Owner, lines: list[KafkaLine]) -> None:
    future = lines[0].submit(ORDER)
    eventually(lambda: owner.has(1))
    eventually(lambda: lines[0]._pending[0].offset >= 0)
    owner.skip(lines[0])
    with pytest.raises(StoreFailed, match="nothing of it was executed"):
        future.result(PATIENCE_S)


def test_a_line_that_is_closed_tells_who_waits_that_it_does_not_know(kafka_stack: Stack, topic_prefix: str, owner: Owner) -> None:
    line = KafkaLine(kafka_stack.kafka_bootstrap, 1, topic_prefix)
    future = line.submit(ORDER)
    line.close()
    with pytest.raises(Unanswered):
        future.result(PATIENCE_S)
    with pytest.raises(Away):
        line.submit(ORDER)
