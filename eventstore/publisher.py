"""The sending side of the topic of blocks."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from eventstore import wire
from eventstore.blocks import Block
from eventstore.errors import Disagree
from eventstore.kafka import BlocksTopic, client_config, is_out_of_sight
from eventstore.topics import MAX_RECORD_BYTES

RECORDS_IN_FLIGHT: Final = 64
BYTES_IN_FLIGHT: Final = 32 * 2**20


class Broken(Exception):
    """A record was given up, so none after it may follow. Read the tail of the topic and begin anew."""


class Sender(Producer):
    """What a Publisher sends with. Make it before it is needed: the first record of a new one takes half a second, and a few ms later on.

    (librdkafka asks for its number before it is connected, and again only after 500 ms.)

    out_of_sight  no broker was connected at some time: one that comes back may have lost what it acknowledged
    """

    def __init__(self, bootstrap: str) -> None:
        self.out_of_sight = False
        ours = {
            "enable.idempotence": True,
            "enable.gapless.guarantee": True,  # after a record that failed no other gets through
            "acks": "all",
            "message.timeout.ms": 0,
            "linger.ms": 0,
            "max.in.flight": 1,  # what comes meanwhile goes with the next request: a node that syncs each request syncs fewer
            "message.max.bytes": MAX_RECORD_BYTES - 4_096,  # the brokers count what is around the record too
            "queue.buffering.max.kbytes": 2 * MAX_RECORD_BYTES // 1_024,
        }
        super().__init__(client_config(bootstrap, self._erred) | ours)

    def _erred(self, error: KafkaError) -> None:
        self.out_of_sight |= is_out_of_sight(error)


class Publisher:
    """Sends blocks in order and each once, as long as it lives: idempotent, acknowledged by all replicas in sync.

    It lives until no broker is connected. Whoever comes after it must look at the tail of the topic first, for what was sent and not
    acknowledged may be there or not, and a node that was alone may have lost what it had not synced.
    """

    def __init__(self, topic: BlocksTopic, after_seq: int, made: Sender | None = None) -> None:
        """The next block sent is the one after *after_seq*. made: not used before; else it makes one."""
        self._topic = topic
        self._failed: Exception | None = None
        self._offset = -1  # of the last record acknowledged
        self._bytes = 0
        self.sent = self.acknowledged = after_seq
        self._producer = made or Sender(topic.bootstrap)
        self._producer.out_of_sight = False  # whoever makes a publisher has just looked

    @property
    def is_full(self) -> bool:
        """As much is under way as may be."""
        return self.sent - self.acknowledged >= RECORDS_IN_FLIGHT or self._bytes >= BYTES_IN_FLIGHT

    def send(self, block: Block) -> None:
        """Put *block* on its way. Raises Broken, Disagree; ValueError when it is larger than a record can be."""
        assert block.seq == self.sent + 1, "blocks are sent in order"
        self.serve(0)
        value = wire.encode(block)
        headers: list[tuple[str, str | bytes | None]] = [
            ("cluster", self._topic.cluster.encode()),
            ("seq", b"%d" % block.seq),
            ("epoch", b"%d" % block.epoch),
            ("hash", block.hash.hex().encode()),
        ]

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            self._bytes -= len(value)
            if self._failed is None:
                self._note(block, error, message.offset() or 0)

        try:
            self._producer.produce(
                self._topic.name, value, b"%d" % block.partition, block.partition, on_delivery=on_delivery, headers=headers
            )
        except KafkaException as error:
            if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                text = f"block {block.seq} of partition {block.partition} has {len(value)} bytes, a record at most {MAX_RECORD_BYTES}"
                raise ValueError(text) from None
            raise Broken(f"block {block.seq}: {error.args[0].str()}") from error
        self.sent = block.seq
        self._bytes += len(value)

    def serve(self, timeout_s: float) -> None:
        """Learn what was acknowledged, waiting at most *timeout_s* for news. Raises Broken; Disagree when the topic lost what it had."""
        self._producer.poll(timeout_s)
        if self._failed is not None:
            raise self._failed
        if self._producer.out_of_sight:
            raise Broken(f"kafka at {self._topic.bootstrap}: no broker is connected")

    def _note(self, block: Block, error: KafkaError | None, offset: int) -> None:
        if error is not None:
            self._failed = Broken(f"block {block.seq}: {error.str()}")
        elif offset <= self._offset:
            what = f"block {block.seq} stands at offset {offset}, the one before stood at {self._offset}: it lost what it had acknowledged"
            self._failed = Disagree(self._topic.name, block.partition, what)
        else:
            self.acknowledged, self._offset = block.seq, offset

    def close(self) -> None:
        """Forget what is not on its way; what is may arrive yet."""
        self._producer.purge(in_queue=True, in_flight=True, blocking=False)
        with suppress(KafkaException):  # what was dropped leaves a gap: that is meant
            self._producer.flush(0)
            self._producer.close()
