"""Committed blocks, in order, to the topic: a thread of the partition's owner.

It begins by comparing the end of the topic with the record and sends exactly what is missing, and does so again after no broker was
connected: one that comes back may have lost its last records. An outage delays it, nothing else: what it is offered meanwhile is kept up
to a bound, and read in the record beyond it. When the partition changes hands, records of the
old owner may still arrive among those of the new; both have them from the record, and readers drop what they have had (eventstore/once.py).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Final

from eventstore import agreement
from eventstore.blocks import Block
from eventstore.errors import StoreFailed
from eventstore.kafka import BlocksTopic
from eventstore.ports import BlockLog
from eventstore.publisher import Broken, Publisher, Sender

OFFERED_BYTES: Final = 64 * 2**20
RETRY_S: Final = 0.5
PATIENCE_S: Final = 2.0  # with silent brokers, before closing is thought of
_SOON_S: Final = 0.001  # while something was sent just now
_LATER_S: Final = 0.05
_LOG: Final = logging.getLogger(__name__)


class Relay:
    """Sends the blocks of *partition* from *log* to *topic*, from start() until it is closed or fails for good.

    failure  None: it relays, or waits for Kafka or the record to come back. Else it has ended: Disagree, Damaged and NewerSchema say that
             somebody must look; trading is not concerned
    trouble  what it is waiting out, empty when nothing
    seq      the last block that the brokers have acknowledged
    """

    def __init__(self, log: BlockLog, topic: BlocksTopic, partition: int, made: Sender | None = None) -> None:
        """made: some time before, so that the first block is there at once."""
        self._log, self._topic, self._partition = log, replace(topic, patience_s=min(topic.patience_s, PATIENCE_S)), partition
        self._offered: deque[Block] = deque()
        self._offered_bytes = 0
        self._newest = 0
        self._deadline_s: float | None = None
        self._made = made
        self._changed = threading.Condition()
        self.seq = 0
        self.trouble = ""
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"partition {partition} relay", daemon=True)

    def start(self) -> None:
        """Begin to send: once the partition is owned."""
        self._thread.start()

    def offer(self, block: Block) -> None:
        """Have *block*, just committed, relayed, be it before start(). Never waits or raises. Beyond OFFERED_BYTES it is read again."""
        with self._changed:
            self._newest = block.seq
            if self._offered_bytes + len(block.payload) <= OFFERED_BYTES and self.failure is None:
                self._offered.append(block)
                self._offered_bytes += len(block.payload)
            self._changed.notify()

    @property
    def lag(self) -> int:
        """Blocks committed and not yet acknowledged by the brokers, as far as is known here."""
        return max(self._newest - self.seq, 0)

    def close(self, drain_s: float) -> None:
        """End, after what is committed was relayed, or *drain_s* from now."""
        with self._changed:
            self._deadline_s = time.monotonic() + drain_s
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_over():
                try:
                    self._relay()
                except (StoreFailed, Broken) as error:
                    if str(error) != self.trouble:
                        _LOG.warning("partition %d: relaying waits: %s", self._partition, error)
                    self.trouble = str(error)
                    self._pause()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it must be seen, and trading goes on
            _LOG.error("partition %d: relaying ended: %s", self._partition, error)
            self.failure = error
        with self._changed:
            self._offered.clear()
            self._offered_bytes = 0

    def _relay(self) -> None:
        """From the end of the topic on, until closed. Raises Disagree, StoreFailed, Broken, Damaged, NewerSchema."""
        self.seq = agreement.place(self._log, self._topic, self._partition)
        with self._changed:
            self._newest = max(self._newest, self._log.head(self._partition).seq)
        made, self._made = self._made, None
        with closing(Publisher(self._topic, self.seq, made)) as publisher:
            sent_s = 0.0
            while not self._is_over():
                for block in self._pending(publisher.sent):
                    publisher.send(block)
                    sent_s = time.monotonic()
                    publisher.serve(0)
                    while publisher.is_full and not self._is_over():
                        publisher.serve(_LATER_S)
                    self._note(publisher)
                    if self._is_over():
                        return
                publisher.serve(0)
                self._note(publisher)
                under_way = publisher.acknowledged < publisher.sent
                self._wait(_SOON_S if under_way and time.monotonic() - sent_s < _LATER_S else _LATER_S)

    def _pending(self, sent: int) -> Iterator[Block]:
        """What is known to be committed after block *sent*: from memory, and what is not there from the record."""
        while (block := self._pop()) is not None:
            if block.seq == sent + 1:
                sent = block.seq
                yield block
            elif block.seq > sent:
                break
        if self._newest > sent:
            yield from self._log.read(self._partition, sent)

    def _pop(self) -> Block | None:
        with self._changed:
            if not self._offered:
                return None
            block = self._offered.popleft()
            self._offered_bytes -= len(block.payload)
            return block

    def _note(self, publisher: Publisher) -> None:
        if publisher.acknowledged > self.seq:
            self.seq, self.trouble = publisher.acknowledged, ""

    def _wait(self, at_most_s: float) -> None:
        """Until something is offered or closing is asked for."""
        with self._changed:
            if not self._offered and not self._is_over():
                self._changed.wait(at_most_s)

    def _pause(self) -> None:
        """RETRY_S, or until closing is asked for."""
        with self._changed:
            self._changed.wait_for(self._is_over, RETRY_S)

    def _is_over(self) -> bool:
        """Whether closing was asked for, and nothing is left to do or no time to do it."""
        return self._deadline_s is not None and (self.seq >= self._newest > 0 or time.monotonic() >= self._deadline_s)
