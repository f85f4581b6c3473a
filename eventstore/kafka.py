"""The blocks of all partitions in a Kafka topic: one record a block, Kafka partition = partition.

Key: the partition in decimal. Value: eventstore/wire.py. Headers: cluster, seq, epoch (decimal) and hash (hex), so that a record
need not be opened to see what it is. A Reader gets each block once and in order (eventstore/once.py), whatever was sent twice.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from eventstore import wire
from eventstore.blocks import Block
from eventstore.errors import Damaged, Disagree, Expired, StoreFailed
from eventstore.once import Once
from eventstore.topics import BLOCKS, MAX_RECORD_BYTES, failed

RECORDS_AT_ONCE: Final = 64
QUIET_S: Final = 30.0
A = TypeVar("A")
B = TypeVar("B")
QUEUED_KBYTES: Final = 64 * 1_024  # what the client fetches ahead of its reader
_CHANGING_LEADER: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)
_LOG: Final = logging.getLogger(__name__)


def client_config(bootstrap: str, on_error: Callable[[KafkaError], None] = lambda _error: None) -> dict[str, Any]:
    """What every client of ours asks of librdkafka: come back within a second of a broker; tell *on_error* and our log, not the screen."""
    return {
        "bootstrap.servers": bootstrap,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 0,
        "error_cb": _Trouble(bootstrap, on_error),
    }


def is_out_of_sight(error: KafkaError) -> bool:
    """Whether it says that no broker is connected."""
    return bool(error.code() == KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001 - librdkafka's own codes begin so


class _Trouble:
    """Tells our log what a client has to complain of: the same thing again after QUIET_S, not with every attempt."""

    def __init__(self, bootstrap: str, on_error: Callable[[KafkaError], None]) -> None:
        self._bootstrap, self._on_error = bootstrap, on_error
        self._told_s: dict[int, float] = {}

    def __call__(self, error: KafkaError) -> None:
        self._on_error(error)
        code, now_s = error.code(), time.monotonic()
        if now_s - self._told_s.get(code, -QUIET_S) >= QUIET_S:
            self._told_s[code] = now_s
            _LOG.info("kafka at %s: %s", self._bootstrap, error.str())


class Record(NamedTuple):
    """A record of the topic, unopened."""

    offset: int
    cluster: str
    seq: int
    hash: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class BlocksTopic:
    """The topic *name* at *bootstrap*, of the cluster *cluster* (empty: whichever it is). Holds nothing open.

    patience_s  how long the brokers may be silent while there is something to be read, before StoreFailed
    """

    bootstrap: str
    cluster: str = ""
    name: str = BLOCKS
    patience_s: float = 10.0

    def tail(self, partition: int, among: int = 1) -> Block | None:
        """The highest block among the last *among* records; None when there is no record. Raises Disagree, Damaged, StoreFailed."""
        with Tape(self, partition) as tape:
            tape.go(max(tape.low, tape.high - among))
            highest = max(tape.records(), key=lambda record: record.seq, default=None)
            return None if highest is None else opened(highest, self, partition)

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """The blocks after *after_seq* that are in the topic when reading begins, ascending, each once. Raises as Reader does."""
        with Reader(self, partition, after_seq) as reader:
            while not reader.is_at_end:
                before = reader.offset
                yield from reader.take(self.patience_s)
                if reader.offset == before:
                    raise silent(self, partition)


class Tape:
    """One Kafka partition, record by record as they stand there. From *low* on; *high* is after the last when it was opened."""

    def __init__(self, topic: BlocksTopic, partition: int) -> None:
        self._topic, self._place = topic, (topic.name, partition)
        self._waiting: deque[Message] = deque()
        self._consumer = Consumer(
            client_config(topic.bootstrap)
            | {
                "group.id": "outcry-readers",  # is asked for, and never used: nobody subscribes, nothing is committed
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.queue.backoff.ms": 10,  # the default of a second stalls a reader that is quicker than the broker
                "fetch.message.max.bytes": 16 * 2**20,
                "fetch.max.bytes": MAX_RECORD_BYTES + 2**20,
                "receive.message.max.bytes": MAX_RECORD_BYTES + 2**22,
                "queued.max.messages.kbytes": QUEUED_KBYTES,
            }
        )
        try:
            self.low, self.high = self._ends()
        except KafkaException as error:
            self.close()
            raise failed(topic.bootstrap, error, f"topic {topic.name}, partition {partition}") from error
        self.offset = self.low

    def go(self, offset: int) -> None:
        """Read from *offset* on; nothing was read before."""
        self.offset = offset
        self._consumer.assign([TopicPartition(*self._place, offset)])

    def take(self, timeout_s: float) -> list[Record]:
        """The next records, as many as are there; waits until there is one, at most *timeout_s*. Raises Disagree, Damaged, StoreFailed."""
        if not self._waiting:
            self._waiting.extend(messages(self._consumer, timeout_s, RECORDS_AT_ONCE))
        return _up_to_the_first_refused(self._waiting, self._record)

    def records(self) -> Iterator[Record]:
        """Those that were there when it was opened. Raises as take does."""
        while self.offset < self.high:
            taken = self.take(self._topic.patience_s)
            if not taken:
                raise silent(self._topic, self._place[1])
            yield from taken

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _ends(self) -> tuple[int, int]:
        """Lowest and next offset. While the leader changes no broker knows them. Raises KafkaException."""
        end_s = time.monotonic() + self._topic.patience_s
        while True:
            try:
                return self._consumer.get_watermark_offsets(TopicPartition(*self._place), timeout=self._topic.patience_s)
            except KafkaException as error:
                if error.args[0].code() not in _CHANGING_LEADER or time.monotonic() > end_s:
                    raise
                time.sleep(0.05)

    def _record(self, message: Message) -> Record:
        name, partition = self._place
        error = message.error()
        if error is not None:
            raise failed(self._topic.bootstrap, error, f"topic {name}, partition {partition}, offset {self.offset}")
        offset = message.offset()
        assert offset is not None, "a record that was read has an offset"
        headers: dict[str, bytes] = dict(cast(Any, message.headers()) or [])
        try:
            cluster, seq = headers["cluster"].decode("ascii"), int(headers["seq"])
            record = Record(offset, cluster, seq, bytes.fromhex(headers["hash"].decode("ascii")), message.value() or b"")
        except (KeyError, ValueError, AttributeError) as wrong:  # a header may be there without a value
            raise Damaged(partition, None, f"topic {name}, offset {offset}: the headers are not those of a block ({wrong!r})") from None
        if self._topic.cluster and cluster != self._topic.cluster:
            raise Disagree(name, partition, f"the record at offset {offset} is of cluster {cluster}, not of {self._topic.cluster}")
        self.offset = offset + 1
        return record


class Reader:
    """The blocks of a partition after *after_seq*, each once and in order, as they come to the topic.

    Raises  Expired when the topic does not go back so far; Disagree, Damaged, StoreFailed
    """

    def __init__(self, topic: BlocksTopic, partition: int, after_seq: int = 0) -> None:
        self._topic, self._partition = topic, partition
        self._once = Once(partition, after_seq)
        self._waiting: deque[Record] = deque()
        self._tape = Tape(topic, partition)
        try:
            self._tape.go(self._offset_of(after_seq))
        except BaseException:
            self._tape.close()
            raise
        self.offset, self._end = self._tape.offset, self._tape.high

    @property
    def is_at_end(self) -> bool:
        """Whether all that was there when it was opened was taken."""
        return self.offset >= self._end

    @property
    def seq(self) -> int:
        """The last block taken."""
        return self._once.seq

    def take(self, timeout_s: float) -> list[Block]:
        """The next blocks, as many as are there. Waits for records at most *timeout_s*; none, too, when all were repetitions.

        Raises Disagree, Damaged, NewerSchema, StoreFailed, once what stands before was taken.
        """
        if not self._waiting:
            self._waiting.extend(self._tape.take(timeout_s))
        return _up_to_the_first_refused(self._waiting, self._next_block)

    def close(self) -> None:
        """Give the connections back."""
        self._tape.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _next_block(self, record: Record) -> Block | None:
        """The block in *record*; None when it was there before."""
        block = opened(record, self._topic, self._partition)
        is_next = self._once.is_next(block)
        self.offset = record.offset + 1
        return block if is_next else None

    def _offset_of(self, seq: int) -> int:
        """An offset at or before the first record of block *seq*, where it is if nothing was sent twice.

        Block numbers rise by at most one from record to record, so no block stands before its distance from the first.
        """
        low, high = self._tape.low, self._tape.high
        if low == high:
            return low
        with Tape(self._topic, self._partition) as beginning:
            beginning.go(low)
            first = next(beginning.records()).seq
        if first > seq + 1:
            raise Expired(self._topic.name, self._partition, seq + 1, first)
        return min(low + max(seq - first, 0), high)


def opened(record: Record, topic: BlocksTopic, partition: int) -> Block:
    """The block in *record*, intact and the one that the headers name. Raises Damaged, NewerSchema."""
    try:
        block = wire.decode(record.value)
    except Damaged as damaged:
        raise Damaged(partition, record.seq, f"topic {topic.name}, offset {record.offset}: {damaged.what}") from None
    if (block.partition, block.seq, block.hash) != (partition, record.seq, record.hash):
        what = f"headers name block {record.seq}, {record.hash.hex()}; it is {block.seq} of partition {block.partition}, {block.hash.hex()}"
        raise Damaged(partition, record.seq, f"topic {topic.name}, offset {record.offset}: {what}")
    return block


def _up_to_the_first_refused(waiting: deque[A], make: Callable[[A], B | None]) -> list[B]:
    """What *make* makes of those that wait. One that it refuses is left there, and refused aloud once nothing stands before it."""
    made: list[B] = []
    while waiting:
        try:
            one = make(waiting[0])
        except Exception:
            if made:
                break
            raise
        waiting.popleft()
        if one is not None:
            made.append(one)
    return made


def messages(consumer: Consumer, timeout_s: float, at_most: int) -> list[Message]:
    """What is there, waiting at most *timeout_s* for the first: `consume` alone would wait until it has *at_most*."""
    try:
        first = consumer.poll(timeout_s)
        return [] if first is None else [first, *consumer.consume(at_most - 1, 0)]
    except KafkaException as error:  # of our own making: the client was closed, or a configuration that is none
        raise AssertionError(str(error)) from error


def silent(topic: BlocksTopic, partition: int) -> StoreFailed:
    """The brokers say that there is more, and do not give it."""
    return StoreFailed(
        f"kafka at {topic.bootstrap}", f"topic {topic.name}, partition {partition}: nothing comes for {topic.patience_s:g} s"
    )
