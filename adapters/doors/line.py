"""The way from a gateway to the owner of a partition: batches go to Kafka, and what became of them is found in the committed blocks.

    submit(rows) ─► commands topic ─► owner ─► record ─► blocks ─► take(block) ─► outcome

A batch is sent once and never again, so nothing is doubled here; who was not answered sends the same commands again, by their names. Rows
are stamped when they are handed over, each batch with a time of its own, and a batch is known by all of its bytes.

Nothing waits without an end. A batch that the brokers have not acknowledged within SEND_S, or that no block has ANSWER_S after that, is
answered Unanswered: it may be on record or get there. From then on nothing is taken (Away: not executed) until the brokers answer again,
or until the owner has come past what is in doubt: so at most what was under way is ever in doubt.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from adapters.doors.desk import Away
from commands import batch
from commands.ports import Committed, Unanswered
from domain.events import FIRST_CONSEQUENCE
from domain.verbs import COMMAND_WORDS, RECEIVED_NS
from eventstore.errors import StoreFailed
from eventstore.kafka import client_config, is_out_of_sight
from eventstore.topics import MAX_BATCH_BYTES, commands_topic
from projections.columns import Columns

SEND_S: Final = 5.0
ANSWER_S: Final = 15.0
POLL_S: Final = 0.05
PROBE_S: Final = 1.0
_LOG: Final = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Batch:
    """stamp: received_ns of its rows; due_s: when somebody must have answered; offset: where the brokers have it, -1 until they say so."""

    rows: bytes
    stamp: int
    sent_s: float
    due_s: float
    offset: int = -1
    future: Future[Committed] = field(default_factory=Future)


class KafkaLine:
    """See above; of *partition*. submit() may be called from any thread, take() from one. Close it.

    trouble  why nothing is taken now; empty when all is well
    """

    def __init__(self, bootstrap: str, partition: int, prefix: str = "", *, send_s: float = SEND_S, answer_s: float = ANSWER_S) -> None:
        self.partition, self._source = partition, f"commands/{partition}"
        self._bootstrap, self._topic = bootstrap, commands_topic(partition, prefix)
        self._send_s, self._answer_s = send_s, answer_s
        self._pending: deque[_Batch] = deque()
        self._stamp = 0
        self._cut = self._silent = ""
        self._is_broken = False  # the client of Kafka sends nothing any more: another one is needed
        self._doubtful = -1  # offset of the last batch that was given up; the line is silent until the owner is past it
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._producer = self._made()
        self._thread = threading.Thread(target=self._run, name=f"partition {partition} line", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str:
        """See above."""
        return self._cut or self._silent

    def submit(self, rows: bytes) -> Future[Committed]:
        """See Line. Raises Away: nothing was sent. The future raises Unanswered; StoreFailed: it was read, and nobody could."""
        with self._lock:
            if self.trouble:
                raise Away(self.trouble)
            now_s = time.monotonic()
            self._stamp = max(time.time_ns(), self._stamp + 1)
            sent = _Batch(_stamped(rows, self._stamp), self._stamp, now_s, now_s + self._send_s)
            sent.future.set_running_or_notify_cancel()  # from now on it cannot be cancelled

            def delivered(error: KafkaError | None, message: Message) -> None:
                if error is None:
                    sent.offset, sent.due_s = message.offset() or 0, time.monotonic() + self._answer_s

            try:
                self._producer.produce(self._topic, batch.encode(sent.rows), partition=0, on_delivery=delivered)
            except (BufferError, KafkaException) as failed:
                self._is_broken = True
                raise Away(f"partition {self.partition}: kafka at {self._bootstrap}: {failed}") from failed
            self._pending.append(sent)
        return sent.future

    def take(self, block: Columns) -> None:
        """A block of the partition that is on record, in order, each once."""
        with self._lock:
            if not self._pending and not self._silent:
                return
            position = msgspec.json.decode(block.inputs, type=dict[str, int]).get(self._source, 0)
            if self._silent and position > self._doubtful:
                _LOG.info("partition %d: commands are taken again", self.partition)
                self._silent = ""
            found = {each: rows for each in self._pending if (rows := _find(block, each)) is not None}
            gone = [each for each in self._pending if each not in found and 0 <= each.offset < position]
            self._pending = deque(each for each in self._pending if each not in found and each not in gone)
        for each, committed in found.items():
            each.future.set_result(committed)
        for each in gone:
            what = f"the batch at offset {each.offset} was read and could not be understood; nothing of it was executed"
            each.future.set_exception(StoreFailed(f"topic {self._topic}", what))

    def close(self) -> None:
        """Take nothing more. Who was not answered by now is told so."""
        self._closing.set()
        self._thread.join()
        self._cut = "the gateway goes away"
        self._give_up(self._overdue(float("inf")))
        self._drop_producer()

    # -- in its own thread --------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(POLL_S)
            overdue = self._overdue(time.monotonic())
            if self._is_broken or any(each.offset < 0 for each in overdue):
                self._cut = f"partition {self.partition}: kafka at {self._bootstrap} does not acknowledge what is sent"
                self._give_up(self._overdue(float("inf")))  # none of them gets there after another that did
                self._drop_producer()
                self._producer, self._is_broken = self._made(), False
            elif overdue:
                self._fall_silent(overdue)
            if self._cut and self._answers():
                _LOG.info("partition %d: kafka at %s answers again", self.partition, self._bootstrap)
                self._cut = ""

    def _overdue(self, now_s: float) -> list[_Batch]:
        with self._lock:
            return [each for each in self._pending if each.due_s < now_s]

    def _fall_silent(self, overdue: list[_Batch]) -> None:
        """The brokers have them, and no block does, unless take() has seen one meanwhile."""
        with self._lock:
            overdue = [each for each in overdue if each in self._pending]
            if not overdue:
                return
            self._doubtful = max(self._doubtful, *(each.offset for each in overdue))
            self._silent = f"no block has what partition {self.partition} was sent {self._answer_s:g} s ago: perhaps no worker owns it"
        self._give_up(overdue)

    def _give_up(self, batches: list[_Batch]) -> None:
        """Answer those that take() did not answer meanwhile."""
        with self._lock:
            given_up = [each for each in batches if each in self._pending]
            self._pending = deque(each for each in self._pending if each not in given_up)
        if given_up:
            _LOG.warning("partition %d: %d batches are in doubt: %s", self.partition, len(given_up), self.trouble)
        for each in given_up:
            each.future.set_exception(Unanswered(self.partition, time.monotonic() - each.sent_s))

    def _answers(self) -> bool:
        """Whether the brokers say that somebody leads the topic."""
        try:
            found = self._producer.list_topics(self._topic, PROBE_S).topics[self._topic]
        except KafkaException:
            self._closing.wait(PROBE_S / 4)
            return False
        return found.error is None and all(each.leader >= 0 for each in found.partitions.values())

    def _made(self) -> Producer:
        def troubled(error: KafkaError) -> None:
            self._is_broken |= error.fatal()
            if is_out_of_sight(error):
                self._cut = f"partition {self.partition}: kafka at {self._bootstrap}: {error.str()}"

        return Producer(
            client_config(self._bootstrap, troubled)
            | {
                "enable.idempotence": True,
                "acks": "all",
                "message.timeout.ms": 0,
                "linger.ms": 0,
                "max.in.flight": 1,  # what comes meanwhile goes with the next request: a node that syncs each request syncs fewer
                "message.max.bytes": MAX_BATCH_BYTES,
            }
        )

    def _drop_producer(self) -> None:
        self._producer.purge()
        with suppress(KafkaException):  # what was dropped leaves a gap: that is meant
            self._producer.close()


def _stamped(rows: bytes, time_ns: int) -> bytes:
    """*rows*, received then: by whom they were received before is not theirs to say."""
    words = np.frombuffer(rows, "<i8").reshape(-1, COMMAND_WORDS).copy()
    words[:, RECEIVED_NS] = time_ns
    return words.tobytes()


def _find(block: Columns, sent: _Batch) -> Committed | None:
    """What became of a batch in *block*; None: it is not there. Its rows stand together: the writer decides a batch as a whole."""
    for row in np.flatnonzero(block.asked(RECEIVED_NS) == sent.stamp).tolist():
        count = len(sent.rows) // (8 * COMMAND_WORDS)
        if block.commands[row : row + count].tobytes() == sent.rows:
            starts = np.append(np.flatnonzero((block.events[:, 0] & 255) < FIRST_CONSEQUENCE), len(block.events))
            first, end = int(starts[row]), int(starts[row + count])
            return Committed(block.seq, block.first_event + first, block.events[first:end].tobytes())
    return None
