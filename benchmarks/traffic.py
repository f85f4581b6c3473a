"""A client of a market behind Kafka: sends orders when they are due, notes when their answers come, and checks the record afterwards."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adapters.kafka_client import CommandsTopic, Outcomes
from benchmarks.flows import SESSION
from benchmarks.market import NUMBER
from benchmarks.workers import Place
from commands import batch as door
from commands.codec import to_row
from commands.messages import TickClock
from commands.outcomes import Outcome, outcome_rows
from domain import verbs as v
from domain.columns import MAX_BATCH_COMMANDS
from domain.events import COMMAND_REPEATED, EVENT_WORDS
from eventstore.ports import BlockLog

GATHER_S: Final = 0.001  # a door hands on at once what came within this time
PATIENCE_S: Final = 120.0
GREETING: Final = SESSION + 1
GREETING_BLOCKS: Final = 1


class Traffic:
    """Sends batches to partition NUMBER of *place*. The last command of a batch stands for it: a batch is committed in one block.

    warm  whether a worker serves already: then a first command has gone all the way round before anything else, as it has for a client
          who has been there for a while (the first record of a new producer takes half a second)

    sent, answered  seconds of time.perf_counter, by the number of the batch; 0.0: not yet
    """

    def __init__(self, place: Place, *, warm: bool = True) -> None:
        self._commands = CommandsTopic(place.on.stack.kafka_bootstrap, prefix=place.prefix)
        self._outcomes = Outcomes(place.topic, NUMBER)
        self._futures: list[Future[Outcome]] = []
        self.sent: list[float] = []
        self.answered: list[float] = []
        if warm:
            there = self._outcomes.expect(session=GREETING, sequence=1)
            self._commands.send(NUMBER, door.encode(to_row(TickClock(session=GREETING, sequence=1, received_ns=1))))
            there.result(PATIENCE_S)

    def send(self, rows: bytes) -> None:
        """Send *rows* as one batch, which is encoded here as a client has to."""
        number = len(self.sent)
        self.answered.append(0.0)
        future = self._outcomes.expect(session=SESSION, sequence=_sequence(rows))
        future.add_done_callback(lambda _: self._note(number))
        self._futures.append(future)
        self.sent.append(time.perf_counter())
        self._commands.send(NUMBER, door.encode(rows))

    def finish(self) -> dict[int, int]:
        """Wait for all answers: sequence of each batch's last command -> block that it is said to be in. Raises what the client raises."""
        self._commands.flush()
        deadline = time.monotonic() + PATIENCE_S
        outcomes = [future.result(max(0.0, deadline - time.monotonic())) for future in self._futures]
        return {int.from_bytes(each.row[8 * v.SEQUENCE : 8 * v.SEQUENCE + 8], "little"): each.block_seq for each in outcomes}

    def close(self) -> None:
        """Send and follow no longer."""
        self._commands.close()
        self._outcomes.close()

    def _note(self, number: int) -> None:
        self.answered[number] = time.perf_counter()


def paced(
    rows: bytes | mmap.mmap, rate: float, send: Callable[[bytes], None], *, gather_s: float = GATHER_S, stop: Callable[[], bool] = bool
) -> float:
    """Send each of *rows* when it is due, *rate* a second; what fell due since the last time goes as one batch.

    Returns when the first was due, by time.perf_counter: order k was due k / rate later, however late it was sent.
    """
    count, sent = len(rows) // v.COMMAND_BYTES, 0
    began = time.perf_counter()
    while sent < count and not stop():
        now = time.perf_counter()
        due = min(count, int((now - began) * rate) + 1, sent + MAX_BATCH_COMMANDS)
        if due > sent:
            send(rows[sent * v.COMMAND_BYTES : due * v.COMMAND_BYTES])
            sent = due
        time.sleep(max(0.0, began + sent / rate - now, gather_s - (time.perf_counter() - now)))
    return began


def check(log: BlockLog, after_seq: int, count: int, told: dict[int, int]) -> None:
    """The oracle: commands 1 to *count* of the session are in the record, each once and none a repeat, and each where its sender was told.

    Raises AssertionError.
    """
    found, blocks = [], []
    for block in log.read(NUMBER, after_seq):
        commands, events = block.rows()
        rows = np.frombuffer(commands, "<i8").reshape(-1, v.COMMAND_WORDS)
        kinds = np.frombuffer(events, "<i8")[::EVENT_WORDS][outcome_rows(events)] & 255
        mine = (rows[:, v.SESSION] == SESSION) & (kinds != COMMAND_REPEATED)
        found.append(rows[mine, v.SEQUENCE])
        blocks.append(np.full(len(found[-1]), block.seq))
    sequences, where = _joined(found), _joined(blocks)
    assert len(sequences) == count, f"{count} commands were sent, {len(sequences)} are in the record"
    assert (sequences == np.arange(1, count + 1)).all(), "each command is in the record once, in the order of sending"
    for sequence, block_seq in told.items():
        assert where[sequence - 1] == block_seq, f"command {sequence} was said to be in block {block_seq}, it is in {where[sequence - 1]}"


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _sequence(rows: bytes) -> int:
    """Of the last command."""
    at = len(rows) - v.COMMAND_BYTES + 8 * v.SEQUENCE
    return int.from_bytes(rows[at : at + 8], "little")
