"""A partition at a worker of a stack: whether the group gave it to this worker, and what is done about that.

The consumer group says who should own the partition, in the thread of the inbox; the seat's own thread takes over, follows, and comes
back after a failure, so that one partition never waits for another. Owning means a writer that takes batches from Kafka and, in a thread
of the worker's, what the registry has for it; and a relay that sends its blocks there.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import Final, Protocol

from adapters.kafka_inbox import LATER
from adapters.metrics import Metrics, PartitionStatus
from adapters.registry.forwarder import Forwarder
from adapters.registry.registry import Registry
from commands.ownership import Ownership
from commands.ports import RowBytes, Stopped
from eventstore.blocks import Block, Head
from eventstore.errors import Fenced, OutcomeUnknown, StoreFailed
from eventstore.kafka import BlocksTopic
from eventstore.ports import BlockLog
from eventstore.publisher import Sender
from eventstore.relay import Relay

RETRY_S: Final = 0.25
FENCED_RETRY_S: Final = 2.0  # long enough for the group to say who it is; if it is still us, somebody took it without asking
HAND_OVER_S: Final = 0.2  # for the relay: the next owner sends what is missing
FOLLOW_S: Final = 0.05
TEND_S: Final = 0.01
SILENT_S: Final = 5.0  # of the record, before it is trouble
PASSING: Final = (StoreFailed, OutcomeUnknown, Fenced)
_LOG: Final = logging.getLogger(__name__)


class Inbox(Protocol):
    """What a seat asks of the inbox (adapters/kafka_inbox.py)."""

    def start(self, partition: int, offset: int) -> None:
        """Pass on what stands in the topic from *offset* on."""

    def hold(self, partition: int) -> None:
        """Pass on nothing until `start`."""


class Seat:
    """Partition *partition* at this worker.

    broken  an error that no waiting mends (Damaged, a broken invariant): the partition is left alone, the others go on
    """

    def __init__(self, ownership: Ownership, log: BlockLog, topic: BlocksTopic, metrics: Metrics, partition: int) -> None:
        self.partition, self.source = partition, f"commands/{partition}"
        self.broken: BaseException | None = None
        self._ownership, self._record, self._topic, self._metrics = ownership, log, topic, metrics
        self._relay: Relay | None = None
        self._producer = Sender(topic.bootstrap)  # of the next relay, so that it need not wait for one
        self._forwarder: Forwarder | None = None
        self._given = False
        self._not_before_s = self._next_follow_s = 0.0
        self._trouble = ""
        self._progress: tuple[object, float] = (None, time.monotonic())
        self._lock = threading.Lock()

    # -- in the inbox's thread ----------------------------------------------------------------------------------------

    def assigned(self) -> int:
        """The group gave it: the worker's thread takes over, and starts the inbox then."""
        self._given = True
        self._not_before_s = 0.0
        return LATER

    def revoked(self) -> None:
        """The group took it away: once this returns, somebody else may have it."""
        self._given = False
        with self._lock:
            self._leave()

    def offer(self, rows: bytes, next_offset: int) -> None:
        """A batch of commands from Kafka. What a writer that failed does not take is read again by the next. Raises Full."""
        writer = self._ownership.writer
        if writer is not None:
            try:
                writer.submit(rows, {self.source: next_offset})
            except Stopped:
                return

    # -- in its own thread --------------------------------------------------------------------------------------------

    def run(self, inbox: Inbox, stop: threading.Event) -> None:
        """Do what is due until *stop*; then drain, commit, hand over."""
        while not stop.wait(TEND_S):
            self.tend(inbox)
        self.revoked()

    def tend(self, inbox: Inbox) -> None:
        """Do what is due: take over, follow, let a dead order expire, come back after a failure."""
        with self._lock:
            try:
                self._tend(inbox)
            except PASSING as error:
                self._waits(error)
            except BaseException as error:  # noqa: BLE001 - a broken invariant stops this partition and no other
                self.broken = error
                _LOG.critical("partition %d: stopped: %s", self.partition, error, exc_info=error, extra={"partition": self.partition})

    def forward(self, registry: Registry) -> None:
        """In a thread of the registry's: tell the partition what was registered, if it is ours. Raises as Registry.follow."""
        writer = self._ownership.writer
        if writer is None:
            return
        self._forwarder = self._forwarder or Forwarder(registry, self.partition)
        with suppress(Stopped):
            self._forwarder.forward(writer)

    def close(self) -> None:
        """Keep a snapshot, when the group may have given the partition to another: that of a big state holds up every thread for long."""
        with self._lock:
            if self.broken is None:
                self._ownership.close()

    # -- from any thread ----------------------------------------------------------------------------------------------

    def status(self) -> PartitionStatus:
        """For metrics and probes."""
        writer, relay, seen = self._ownership.writer, self._relay, self._ownership.seen
        owned = writer if writer is not None and writer.failure is None else None
        head = seen if owned is None else owned.head
        followed = self._ownership.followed_seq if owned is None else owned.head.seq
        in_flight = 0 if owned is None else owned.in_flight_blocks
        return PartitionStatus(
            partition=self.partition,
            role="owner" if owned else "none" if head is None or self.broken else "standby",
            epoch=head.epoch if head else 0,
            seq=head.seq if head else 0,
            followed_seq=followed,
            inbox_commands=owned.waiting_commands if owned else 0,
            in_flight_blocks=in_flight,
            relay_seq=relay.seq if relay else 0,
            relay_lag_blocks=relay.lag if relay else 0,
            trouble=str(self.broken or "") or self._trouble or self._silence(in_flight, head) or _trouble_of(relay),
        )

    def _silence(self, in_flight: int, head: Head | None) -> str:
        """Whether the record has not answered for too long: a commit that is under way, or the standby's question."""
        now_s = time.monotonic()
        now = (head, self._next_follow_s) if in_flight or self._ownership.writer is None else now_s
        if now != self._progress[0]:
            self._progress = (now, now_s)
        silent_s = now_s - self._progress[1]
        return f"the record has not answered for {silent_s:.0f} s" if silent_s > SILENT_S else ""

    def _tend(self, inbox: Inbox) -> None:
        writer, now_s = self._ownership.writer, time.monotonic()
        if self.broken is not None:
            return
        if writer is not None and writer.failure is not None:
            inbox.hold(self.partition)
            self._leave()
        elif writer is not None:
            writer.let_expire(time.time_ns())
        elif self._given and now_s >= self._not_before_s:
            self._take_over(inbox)
        elif now_s >= self._next_follow_s:
            self._ownership.follow()
            self._trouble = ""
            self._next_follow_s = time.monotonic() + FOLLOW_S

    def _take_over(self, inbox: Inbox) -> None:
        asked_s = time.monotonic()
        self._relay = relay = Relay(self._record, self._topic, self.partition, self._producer)
        try:
            writer = self._ownership.take_over(self._committed)
        except BaseException:
            self._relay = None
            raise
        relay.start()
        self._producer = Sender(self._topic.bootstrap)
        inbox.start(self.partition, writer.positions.get(self.source, 0))
        took_s = time.monotonic() - asked_s
        self._trouble = ""
        self._metrics.takeover(self.partition, took_s)
        _LOG.info(
            "partition %d: taken over in %.3f s", self.partition, took_s, extra={"partition": self.partition, "epoch": writer.head.epoch}
        )

    def _committed(self, block: Block, rows: RowBytes, took_s: float) -> None:
        relay = self._relay
        if relay is not None:
            relay.offer(block)
        self._metrics.on_commit(block, rows.events, took_s)

    def _leave(self) -> None:
        """Give the partition up, if it was ours."""
        if self._ownership.writer is not None:
            _LOG.info("partition %d: handed over", self.partition, extra={"partition": self.partition})
        try:
            self._ownership.hand_over()
        except PASSING as error:
            self._waits(error)
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close(HAND_OVER_S)

    def _waits(self, error: Exception) -> None:
        if str(error) != self._trouble:
            _LOG.warning("partition %d: %s", self.partition, error, extra={"partition": self.partition, "error": type(error).__name__})
        self._trouble = str(error)
        if isinstance(error, Fenced):
            self._metrics.fenced(self.partition)
        delay_s = FENCED_RETRY_S if isinstance(error, Fenced) else RETRY_S
        self._not_before_s = self._next_follow_s = time.monotonic() + delay_s


def _trouble_of(relay: Relay | None) -> str:
    return "" if relay is None else relay.trouble or str(relay.failure or "")
