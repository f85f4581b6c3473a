"""The load of a drill: traders who send batches through Kafka, learn the outcomes from the blocks, and repeat what they hear nothing of.

It is a client like any other (adapters/kafka_client.py) and outlives every fault. Each trader has one batch under way: the next is sent
when all of its outcomes are known. Some batches are sent twice at once, and some once more after they were answered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from random import Random
from typing import Final

from adapters.drill.intents import Again, Intent, IntentLog, Told
from adapters.drill.market import TRADERS, Trader, name_of
from adapters.drill.pace import Heard
from adapters.kafka_client import CommandsTopic, Outcomes
from commands import batch
from commands.codec import SPELLINGS
from commands.messages import Event
from commands.outcomes import Name, Outcome
from domain.events import COMMAND_REPEATED, EVENT_BY_CODE
from eventstore.errors import Damaged, Disagree, Expired, StoreFailed
from eventstore.kafka import BlocksTopic

AGAIN_S: Final = 1.0  # without an answer for so long, a batch is sent again
REOPEN_S: Final = 0.2
PAUSE_S: Final = 0.002
TWICE_AT_ONCE: Final = 0.03
ONCE_MORE: Final = 0.02
MAX_ROWS: Final = 20
CUT_OFF: Final = (StoreFailed, Disagree, Damaged, Expired)
_KINDS: Final = {row.name: row for row in EVENT_BY_CODE.values()}


def told(event: Event) -> tuple[int, int]:
    """Kind and word 1 of an outcome; of a repetition, those of the first outcome."""
    row = _KINDS[event.kind]
    if row.code == COMMAND_REPEATED:
        return int(event.fields["first_kind"]), int(event.fields["first_detail"])
    detail = next((event.fields[each.name] for each in row.fields if each.word == 1), 0)
    spelled = next((SPELLINGS[each.name] for each in row.fields if each.word == 1 and each.name in SPELLINGS), ())
    return row.code, spelled.index(detail) if isinstance(detail, str) else int(detail)


@dataclass(slots=True)
class Batch:
    """One trader's rows under way. waits: names whose outcome is not known yet."""

    trader: Trader
    rows: Sequence[bytes]
    sent_s: float
    waits: set[Name] = field(default_factory=set)
    begun_s: float = field(default_factory=time.monotonic)


class Load:
    """Traders of one partition; `start` after the market was opened by `open_market`.

    rate   commands a second, all together
    """

    def __init__(self, bootstrap: str, cluster: str, partition: int, log: IntentLog, dice: Random, rate: int) -> None:
        self._bootstrap, self._partition, self._log, self._dice, self._rate = bootstrap, partition, log, dice, rate
        self._blocks = BlocksTopic(bootstrap, cluster, patience_s=1.0)
        self._traders = [Trader(number, Random(dice.random())) for number in range(1, TRADERS + 1)]
        self._flight: dict[int, Batch] = {}
        self._news: SimpleQueue[tuple[Name, int, Outcome]] = SimpleQueue()
        self._commands: CommandsTopic | None = None
        self._outcomes: Outcomes | None = None
        self._cut_off = threading.Event()
        self._retry_s = 0.0
        self._budget = 0.0
        self._stop = threading.Event()
        self._ending = self._resting = False
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self.told = 0
        self.heard: list[Heard] = []
        self.unknown = 0
        self.failure: BaseException | None = None

    def start(self, opening: Sequence[bytes], timeout_s: float) -> None:
        """Open the market, then trade. Raises StoreFailed when nobody answers in time."""
        self._flight[0] = Batch(Trader(0, self._dice), opening, 0.0, {name_of(row) for row in opening})
        self._log.write(*(Intent(row) for row in opening))
        self._thread.start()
        if not self.wait_told(len(opening), timeout_s):
            raise StoreFailed(f"kafka at {self._bootstrap}", f"the market was not opened within {timeout_s:g} s")

    def wait_told(self, more: int, timeout_s: float) -> bool:
        """Wait until *more* outcomes are known than now; False when they are not in time."""
        goal, end = self.told + more, time.monotonic() + timeout_s
        while self.told < goal:
            if self.failure is not None:
                raise self.failure
            if time.monotonic() > end:
                return False
            time.sleep(PAUSE_S)
        return True

    @contextmanager
    def resting(self, timeout_s: float) -> Iterator[None]:
        """Nobody trades: all that was begun has been answered. Raises StoreFailed when it is not in time."""
        self._resting, end = True, time.monotonic() + timeout_s
        try:
            while self._flight:
                if time.monotonic() > end:
                    raise StoreFailed(f"kafka at {self._bootstrap}", f"what was begun was not answered within {timeout_s:g} s")
                time.sleep(PAUSE_S)
            yield
        finally:
            self._resting = False

    def finish(self, timeout_s: float) -> None:
        """Begin nothing new; wait until every outcome is known, at most *timeout_s*. What is left then is in `unknown`."""
        self._ending = True
        end = time.monotonic() + timeout_s
        while self._flight and time.monotonic() < end and self._thread.is_alive():
            time.sleep(PAUSE_S)
        self._stop.set()
        self._thread.join()
        self.unknown = sum(len(each.waits) for each in self._flight.values())
        self._leave()
        if self.failure is not None:
            raise self.failure

    # -- in the thread of the load ------------------------------------------------------------------------------------

    def _run(self) -> None:
        began_s = time.monotonic()
        try:
            while not self._stop.is_set():
                now_s = time.monotonic()
                self._budget, began_s = min(self._budget + (now_s - began_s) * self._rate, self._rate / 5), now_s
                self._hear()
                self._connect(now_s)
                if self._commands is not None:
                    self._trade(now_s)
                self._stop.wait(PAUSE_S)
        except BaseException as error:  # noqa: BLE001 - a load that ends must say why
            self.failure = error

    def _trade(self, now_s: float) -> None:
        try:
            for each in list(self._flight.values()):
                if now_s - each.sent_s > AGAIN_S:
                    self._log.write(Again([name_of(row) for row in each.rows]))
                    self._send(each)
            if 0 in self._flight or self._ending or self._resting:
                return
            for trader in self._traders:
                if trader.number not in self._flight and self._budget >= 1:
                    self._begin(trader)
        except CUT_OFF:
            self._leave()

    def _begin(self, trader: Trader) -> None:
        rows = list(trader.rows(self._dice.randint(1, min(MAX_ROWS, max(1, int(self._budget))))))
        self._budget -= len(rows)
        self._log.write(*(Intent(row) for row in rows))
        each = self._flight[trader.number] = Batch(trader, rows, 0.0, {name_of(row) for row in rows})
        self._send(each)
        if self._dice.random() < TWICE_AT_ONCE:
            self._send(each)

    def _send(self, each: Batch) -> None:
        """Expect what is not known yet, and send the batch. Raises CUT_OFF."""
        assert self._commands is not None, "connected"
        for name in each.waits:
            self._expect(name)
        each.sent_s = time.monotonic()
        self._commands.send(self._partition, batch.encode(b"".join(each.rows)))

    def _expect(self, name: Name) -> None:
        assert self._outcomes is not None, "connected"
        future = self._outcomes.expect(session=name.session, account=name.account, sequence=name.sequence)

        def heard(done: object) -> None:
            assert done is future, "one future, one callback"
            if future.exception() is None:
                self._news.put((name, time.monotonic_ns(), future.result()))
            else:
                self._cut_off.set()

        future.add_done_callback(heard)

    def _hear(self) -> None:
        """Take what became known, write it down, and free the traders who know all of theirs."""
        lines = []
        with suppress(Empty):
            while True:
                name, at_ns, outcome = self._news.get_nowait()
                kind, detail = told(outcome.events[0])
                repeat = outcome.events[0].kind == "CommandRepeated"
                lines.append(Told(name, at_ns, outcome.block_seq, kind, detail, repeat))
                each = self._flight.get(name.session or name.account if name.sequence < 2**40 else 0)
                if each is not None:
                    each.waits.discard(name)
                    self.heard.append(Heard(at_ns / 1e9, at_ns / 1e9 - each.begun_s))
        if lines:
            self._log.write(*lines)
            self.told += len({line.name for line in lines})
        for number, each in list(self._flight.items()):
            if not each.waits:
                del self._flight[number]
                if number and not (self._ending or self._resting) and self._dice.random() < ONCE_MORE:
                    each.waits = {name_of(row) for row in each.rows}
                    each.sent_s, each.begun_s = 0.0, time.monotonic()
                    self._flight[number] = each

    def _connect(self, now_s: float) -> None:
        """Have a way to send and to hear; whoever was cut off begins anew, at the present end of the topic."""
        if self._cut_off.is_set():
            self._leave()
        if self._commands is None and now_s >= self._retry_s:
            self._retry_s = now_s + REOPEN_S
            try:
                self._outcomes = Outcomes(self._blocks, self._partition)
            except CUT_OFF:
                return
            self._commands = CommandsTopic(self._bootstrap)
            for each in self._flight.values():
                each.sent_s = 0.0

    def _leave(self) -> None:
        commands, outcomes = self._commands, self._outcomes
        self._commands = self._outcomes = None
        self._cut_off.clear()
        if commands is not None:
            commands.close()
        if outcomes is not None:
            outcomes.close()
