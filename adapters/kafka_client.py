"""A client of a market behind Kafka: sends batches to its topics, and learns from the committed blocks what became of them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from commands.outcomes import Name, Outcome, of_block
from eventstore.errors import StoreFailed
from eventstore.kafka import BlocksTopic, Reader, client_config
from eventstore.topics import MAX_BATCH_BYTES, commands_topic, failed

PATIENCE_S: Final = 30.0  # with brokers that do not answer
_POLL_S: Final = 0.1


class Unsent(StoreFailed):
    """Batches that the brokers have not acknowledged: they have them or not. Send the same rows again, with the same sequences."""

    def __init__(self, store: str, cause: str) -> None:
        super().__init__(store, cause)
        self.args = (f"{store}: {cause}; what was not acknowledged may have arrived or not: send the same commands again",)


class CommandsTopic:
    """Sends batches (docs/protocol.md), in order, each once and none before those sent earlier. For one thread.

    After Unsent it sends nothing more: open another one and begin with what was not acknowledged. A session's sequence rises, so a command
    that got through before one that failed would bar that one for good.
    """

    def __init__(self, bootstrap: str, *, prefix: str = "", patience_s: float = PATIENCE_S) -> None:
        self._bootstrap, self._prefix, self._patience_s = bootstrap, prefix, patience_s
        self._failed = ""
        self._producer = Producer(
            client_config(bootstrap)
            | {
                "enable.idempotence": True,
                "enable.gapless.guarantee": True,  # after a record that failed no other gets through
                "acks": "all",
                "message.timeout.ms": 0,
                "linger.ms": 0,
                "max.in.flight": 1,  # what comes meanwhile goes with the next request: a node that syncs each request syncs fewer
                "message.max.bytes": MAX_BATCH_BYTES,
                "queue.buffering.max.kbytes": 32 * MAX_BATCH_BYTES // 1_024,
            }
        )

    def send(self, partition: int, batch: bytes) -> None:
        """Put *batch* on its way to *partition*; waits while 128 MiB are on theirs. Raises StoreFailed; Unsent for one sent before."""
        end_s = time.monotonic() + self._patience_s
        while True:
            self._raise()
            try:
                self._producer.produce(commands_topic(partition, self._prefix), batch, partition=0, on_delivery=self._delivered)
            except BufferError:
                self._producer.poll(_POLL_S)
                if time.monotonic() > end_s:
                    self._give_up()
            except KafkaException as error:
                raise failed(self._bootstrap, error, f"a batch of {len(batch)} bytes for partition {partition} was not sent") from error
            else:
                self._producer.poll(0)
                return

    def flush(self) -> None:
        """Wait until the brokers have acknowledged everything. Raises Unsent."""
        if self._producer.flush(self._patience_s):
            self._give_up()
        self._raise()

    def close(self) -> None:
        """Drop what is not on its way yet, and give the connections back."""
        self._producer.purge(blocking=False)
        with suppress(KafkaException):  # what was dropped leaves a gap: that is meant
            self._producer.close()

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None and not self._failed:
            self._failed = error.str()

    def _give_up(self) -> None:
        self._failed = self._failed or f"no answer for {self._patience_s:g} s"
        self._producer.purge(blocking=False)

    def _raise(self) -> None:
        if self._failed:
            raise Unsent(f"kafka at {self._bootstrap}", self._failed)


class Outcomes:
    """Follows the blocks of *partition* from their present end, in a thread of its own. Raises StoreFailed, Disagree."""

    def __init__(self, topic: BlocksTopic, partition: int) -> None:
        tail = topic.tail(partition)
        self._reader = Reader(topic, partition, 0 if tail is None else tail.seq)
        self._expected: dict[Name, Future[Outcome]] = {}
        self._lock = threading.Lock()
        self._failure: BaseException | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"partition {partition} outcomes", daemon=True)
        self._thread.start()

    def expect(self, *, session: int = 0, account: int = 0, sequence: int) -> Future[Outcome]:
        """What becomes of a command: with a session, of its *sequence*; without one, of the command id *sequence* of *account*.

        Ask before sending it: the future resolves with the first block from now on that has it, where a CommandRepeated says how it first
        came out. While there is no result the outcome is unknown: send the same command again. Raises, and the future does, Disagree,
        Damaged and StoreFailed when the blocks can no longer be followed.
        """
        name = Name(session, 0 if session else account, sequence)
        with self._lock:
            if self._failure is not None:
                raise self._failure
            future = self._expected.setdefault(name, Future())
            if not future.running():
                future.set_running_or_notify_cancel()  # from now on it cannot be cancelled
            return future

    def close(self) -> None:
        """Follow no longer."""
        self._closing = True
        self._thread.join()
        self._reader.close()

    def _run(self) -> None:
        try:
            while not self._closing:
                for block in self._reader.take(_POLL_S):
                    with self._lock:
                        for name, outcome in of_block(block, self._expected):
                            self._expected.pop(name).set_result(outcome)
        except BaseException as error:  # noqa: BLE001 - everyone who waits must hear of it
            with self._lock:
                self._failure = error
                for future in self._expected.values():
                    future.set_exception(error)
