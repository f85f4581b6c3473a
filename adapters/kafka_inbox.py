"""Commands from Kafka: the member of the consumer group that a worker is, and the batches of the partitions that the group gives it.

The group says who should own a partition, and no more: whether a worker does is for the epoch of the record to say. Where reading goes on
stands in the record too (the block's input `commands/<partition>`), so nothing is ever committed to Kafka.

Group protocol: the brokers' own (KIP-848), not `cooperative-sticky` of the clients. After a kill both are as quick, but when a worker
leaves in good order the next one knows within a heartbeat instead of half a second (docs/performance.md, "Kafka"). How long a silent
member stays one is then a setting of the brokers: `outcry stack up` sets it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from commands import batch
from commands.batch import BadBatch
from commands.codec import to_row
from commands.messages import NoteUnreadable
from commands.ports import Full
from eventstore.kafka import QUEUED_KBYTES, RECORDS_AT_ONCE, client_config, messages
from eventstore.topics import COMMANDS, MAX_BATCH_BYTES, commands_topic, failed, slow_to_miss

LATER: Final = -1
MAX_SILENCE_MS: Final = 60_000  # of the thread that runs it, before the group takes its partitions away
PAUSE_AFTER_S: Final = 0.1
_IDLE_S: Final = 0.02
_AGAIN_S: Final = 0.2  # before the group that was lost is joined anew
_LOOK_S: Final = 0.5
_BUSY_S: Final = 0.001  # a partition waits for room at its writer
_OUT_OF_RANGE: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)  # noqa: SLF001 - librdkafka's own codes begin so
_PASSING: Final = (KafkaError._MAX_POLL_EXCEEDED, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)  # noqa: SLF001
_LOST: Final = tuple(KafkaError(code).str() for code in (KafkaError.GROUP_ID_NOT_FOUND, KafkaError.UNKNOWN))
"""What a client gives up for, and another may find better: the brokers have lost the group, or failed and do not know why themselves.

All that a fatal error says of its cause is text."""
_LOG: Final = logging.getLogger(__name__)

Assigned = Callable[[int], int | None]
Revoked = Callable[[int], None]
OnBatch = Callable[[int, bytes, int], None]
OnFailed = Callable[[int, "BadPosition"], None]


class BadPosition(Exception):
    """The topic does not have the place where the record goes on: commands are lost, or this is another topic. Somebody must look."""

    def __init__(self, topic: str, offset: int, low: int, high: int) -> None:
        what = f"{low - offset} records before it was read were deleted" if offset < low else "it is another topic, or it lost its end"
        super().__init__(
            f"topic {topic}: the record goes on at offset {offset}, the topic holds {low} to {high}: {what}; nothing is consumed"
        )
        self.offset, self.low, self.high = offset, low, high


class _GroupLost(Exception):
    """The client is no member any more, and does nothing to be one again."""


@dataclass(slots=True)
class _Lane:
    """A partition that the group gave us.

    offset   where we read next
    started  what comes is passed on
    waiting  what the writer had no room for: rows, and the offset after them
    paused   because the writer has taken nothing since *taken_s*
    """

    offset: int = 0
    started: bool = False
    waiting: deque[tuple[bytes, int]] = field(default_factory=deque)
    paused: bool = False
    taken_s: float = 0.0


class CommandsInbox:
    """A member of *group* for the commands of *partitions*. All callbacks are called in the thread of `run`.

    on_assigned  this worker should own the partition: gives the offset at which the record goes on, None when it has consumed nothing;
                 LATER: nothing is passed on until `start` is called
    on_revoked   it should not any more, or the group thinks that we are gone; when this returns, somebody else may have it
    on_batch     partition, command rows (1 to 16,384 of 128 bytes), next offset; raises Full to be asked again, and nothing else of that
                 partition comes meanwhile. A record that is no batch comes as one NoteUnreadable
    on_failed    the partition is held, because its topic does not have the offset

    lag          records of each partition of ours that were not passed on yet, as the brokers said within the last second
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        partitions: Iterable[int],
        *,
        on_assigned: Assigned,
        on_revoked: Revoked,
        on_batch: OnBatch,
        on_failed: OnFailed,
        worker: str = "",
        prefix: str = "",
    ) -> None:
        self._bootstrap = bootstrap
        self._partitions = {commands_topic(number, prefix): number for number in partitions}
        self._topics = {number: topic for topic, number in self._partitions.items()}
        self._on_assigned, self._on_revoked, self._on_batch, self._on_failed = on_assigned, on_revoked, on_batch, on_failed
        self._lanes: dict[int, _Lane] = {}
        self._looked_s = 0.0
        self.lag: Mapping[int, int] = {}
        self._asked: dict[int, int | None] = {}  # partition -> offset to start at, None: hold; the last one counts
        self._asking = threading.RLock()  # is held while a batch is passed on
        self._settings = client_config(bootstrap) | {
            "client.id": worker or "outcry",
            "group.id": group,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "max.poll.interval.ms": MAX_SILENCE_MS,
            "fetch.queue.backoff.ms": 10,  # the default of a second stalls a reader that is quicker than the broker
            "fetch.message.max.bytes": MAX_BATCH_BYTES,
            "queued.max.messages.kbytes": QUEUED_KBYTES,
        }
        self._consumer = Consumer(self._settings)

    def start(self, partition: int, offset: int) -> None:
        """Pass on what stands in the topic from *offset* on, and nothing else from now on. From any thread; void once it was revoked."""
        with self._asking:
            self._asked[partition] = offset

    def hold(self, partition: int) -> None:
        """Pass on nothing of *partition* until `start`: when this returns nothing more comes. From any thread."""
        with self._asking:
            self._asked[partition] = None

    def run(self, stop: threading.Event) -> None:
        """Be a member until *stop*, then give everything back and leave. Raises StoreFailed, and what a callback raises.

        A group that the brokers have lost, as with a disk, or cannot keep, is joined anew: all partitions are revoked before.
        """
        try:
            for says in slow_to_miss(self._bootstrap):
                _LOG.warning("kafka at %s: %s when a worker has died", self._bootstrap, says)
            self._join()
            while not stop.is_set():
                try:
                    self._take_turn()
                except _GroupLost as lost:
                    _LOG.warning("kafka at %s: %s: joining the group of the workers anew", self._bootstrap, lost)
                    self._leave()
                    stop.wait(_AGAIN_S)
                    self._join_with_another()
        finally:
            self._consumer.close()

    def _take_turn(self) -> None:
        self._do_what_was_asked()
        self._look_how_far()
        if self._offer_what_waits():
            time.sleep(_BUSY_S)
            return
        waits = any(lane.waiting for lane in self._lanes.values())
        for message in messages(self._consumer, _BUSY_S if waits else _IDLE_S, RECORDS_AT_ONCE):
            self._receive(message)

    # -- what the group says ------------------------------------------------------------------------------------------

    def _join(self) -> None:
        self._consumer.subscribe(list(self._partitions), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _leave(self) -> None:
        self._consumer.close()
        for partition in list(self._lanes):
            self._drop(partition)

    def _join_with_another(self) -> None:
        self._consumer = Consumer(self._settings)
        self._join()

    def _assigned(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        held = []
        for place in places:
            partition = self._partitions[place.topic]
            offset = self._on_assigned(partition)
            lane = self._lanes[partition] = _Lane(offset=max(offset or 0, 0), started=offset != LATER)
            place.offset = lane.offset
            if not lane.started:
                held.append(place)
        consumer.incremental_assign(places)
        if held:
            consumer.pause(held)

    def _revoked(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            self._drop(self._partitions[place.topic])
        consumer.incremental_unassign(places)

    def _drop(self, partition: int) -> None:
        with self._asking:
            self._asked.pop(partition, None)
        if self._lanes.pop(partition, None) is not None:
            self._on_revoked(partition)

    # -- what the worker asks -----------------------------------------------------------------------------------------

    def _do_what_was_asked(self) -> None:
        with self._asking:
            asked = dict(self._asked)
        for partition, offset in asked.items():
            if partition not in self._lanes or self._put_at(partition, offset):
                with self._asking:
                    if self._asked.get(partition) == offset:
                        del self._asked[partition]

    def _put_at(self, partition: int, offset: int | None) -> bool:
        """Start at *offset*, or hold. False: the client has only just been given the partition and cannot yet."""
        lane, place = self._lanes[partition], TopicPartition(self._topics[partition], 0, offset or 0)
        lane.started = lane.paused = False
        lane.waiting.clear()
        if offset is None:
            self._consumer.pause([place])
            return True
        if not self._go_on(place):
            return False
        lane.offset, lane.started = offset, True
        return True

    def _go_on(self, place: TopicPartition) -> bool:
        """Fetch from there, paused before or not. Resumed first and sought then it begins at once, the other way round a second later.

        False: the client has only just been given the partition and cannot yet.
        """
        self._consumer.resume([place])
        try:
            self._consumer.seek(place)
        except KafkaException as error:
            if error.args[0].code() == KafkaError._STATE:  # noqa: SLF001
                return False
            raise failed(self._bootstrap, error, f"topic {place.topic}, offset {place.offset}") from error
        return True

    def _look_how_far(self) -> None:
        """Refresh `lag`. The client serves one thread at a time, and whoever else asked it would wait for as long as this one polls."""
        now_s = time.monotonic()
        if now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            places = {number: TopicPartition(self._topics[number], 0) for number in self._lanes}
            ends = {number: self._consumer.get_watermark_offsets(place, cached=True)[1] for number, place in places.items()}
            self.lag = {number: max(end - self._lanes[number].offset, 0) for number, end in ends.items()}

    # -- what the topic holds -----------------------------------------------------------------------------------------

    def _receive(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            self._failed(message, error)
            return
        partition = self._partitions[message.topic() or ""]
        lane = self._lanes.get(partition)
        if lane is None or not lane.started:
            return
        offset = message.offset()
        assert offset is not None, "a record that was read has an offset"
        rows = rows_of(message.value() or b"", partition, offset)
        if lane.waiting or not self._pass_on(partition, lane, rows, offset + 1):
            if not lane.waiting:
                lane.taken_s = time.monotonic()
            lane.waiting.append((rows, offset + 1))

    def _offer_what_waits(self) -> bool:
        """Whether to come back in a moment, before anything else is taken from the client.

        A writer who is busy has room soon. Only one who takes nothing for PAUSE_AFTER_S has his partition paused, so that the others go on:
        pausing throws away what the client has fetched ahead.
        """
        soon = False
        for partition, lane in self._lanes.items():
            while lane.waiting and self._pass_on(partition, lane, *lane.waiting[0]):
                lane.waiting.popleft()
                lane.taken_s = time.monotonic()
            if not lane.waiting and lane.paused:
                lane.paused = not self._go_on(TopicPartition(self._topics[partition], 0, lane.offset))
            elif lane.waiting and not lane.paused:
                lane.paused = time.monotonic() > lane.taken_s + PAUSE_AFTER_S
                soon |= not lane.paused
                if lane.paused:
                    self._consumer.pause([TopicPartition(self._topics[partition], 0)])
        return soon

    def _pass_on(self, partition: int, lane: _Lane, rows: bytes, next_offset: int) -> bool:
        """Whether it is done with: the writer took it, or it will be read again from where it was asked for."""
        with self._asking:  # so that no batch slips past who asked, to a writer that goes on before it
            if partition in self._asked:
                return True
            try:
                self._on_batch(partition, rows, next_offset)
            except Full:
                return False
        lane.offset = next_offset
        return True

    def _failed(self, message: Message, error: KafkaError) -> None:
        partition = self._partitions.get(message.topic() or "")
        if error.code() in _OUT_OF_RANGE and partition is not None:
            lane = self._lanes.get(partition)
            if lane is not None:
                self._put_at(partition, None)
                low, high = self._consumer.get_watermark_offsets(TopicPartition(self._topics[partition], 0), timeout=10)
                self._on_failed(partition, BadPosition(self._topics[partition], lane.offset, low, high))
        elif error.code() in _PASSING or error.retriable():
            _LOG.warning("kafka at %s: %s", self._bootstrap, error.str())
        elif error.code() == KafkaError._FATAL and any(lost in error.str() for lost in _LOST):  # noqa: SLF001
            raise _GroupLost(error.str())
        else:
            raise failed(self._bootstrap, error)


def rows_of(value: bytes, partition: int, offset: int) -> bytes:
    """The command rows of a record; of one that is no batch, one NoteUnreadable that says where it stands and what is wrong with it."""
    try:
        read = batch.decode(value)
    except BadBatch as bad:
        error, why = bad.error, str(bad)
    else:
        if read.skipped:
            _LOG.warning(
                "commands/%d, offset %d: %d malformed rows left out, the first: %s", partition, offset, len(read.skipped), read.skipped[0]
            )
        if read.rows:
            return read.rows
        error, why = "malformed_rows", "no row of it is well-formed"
    place = {"partition": partition, "offset": offset}
    _LOG.warning("commands/%d, offset %d: no batch: %s", partition, offset, why, extra=place)
    return to_row(NoteUnreadable(topic=COMMANDS, topic_partition=partition, offset=offset, error=error, size_bytes=len(value)))
