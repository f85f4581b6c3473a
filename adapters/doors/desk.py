"""Between many clients and one partition: what comes in one turn of the event loop goes on as one batch, and each gets his own outcome.

    enter() ─► waiting (bounded) ─► one batch at a time, IN_FLIGHT under way ─► outcome of each row

While batches are under way what comes waits here, so load makes batches larger and not more. Bounds: MAX_WAITING commands wait or are
under way; beyond all but RESERVE of them only what takes risk away (cancels, reductions, mass cancels) is let in, so that a trader can
always get out. Nothing is let in that the partition cannot take: Busy says when to come back.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from commands.outcomes import outcome_rows
from commands.ports import Committed
from domain.columns import MAX_BATCH_COMMANDS
from domain.events import EVENT_BYTES
from domain.verbs import ACCOUNT, CANCEL_ORDER, COMMAND_BYTES, COMMAND_WORDS, MASS_CANCEL, REDUCE_ORDER, SEQUENCE, SESSION, VERB

MAX_WAITING: Final = 4 * MAX_BATCH_COMMANDS
RESERVE: Final = MAX_BATCH_COMMANDS
IN_FLIGHT: Final = 2
MAX_REMEMBERED: Final = 2**16
BUSY_RETRY_S: Final = 1
NEVER: Final = float("inf")
GRACE_S: Final = 1.0
SETTLE_S: Final = 0.01
_REDUCES_RISK: Final = (CANCEL_ORDER, REDUCE_ORDER, MASS_CANCEL)
_NAME: Final = struct.Struct("<3q")  # of a command: session, sequence, account
_NAME_AT: Final = 8 * SESSION
_ACCOUNT: Final = struct.Struct(f"<{8 * ACCOUNT}xq")
assert (SEQUENCE, ACCOUNT) == (SESSION + 1, SESSION + 2), "these three words stand side by side"


class Line(Protocol):
    """The way to the one writer of a partition."""

    def submit(self, rows: bytes) -> Future[Committed]:
        """Have *rows* (k*128 bytes) decided as one batch; the events are theirs, in their order. Raises Away, Full, Stopped."""


class Decided(NamedTuple):
    """A command is on record: its block, the number of its first event, its event rows of 64 bytes, the outcome first."""

    block_seq: int
    first_event: int
    events: bytes


Answer = Callable[[Decided | BaseException], None]


class Busy(Exception):
    """Too much waits already; nothing was taken. retry_after_s: when to try again."""

    def __init__(self, waiting: int, bound: int) -> None:
        super().__init__(f"{waiting} commands wait, {bound} may; nothing was taken, try again in {BUSY_RETRY_S} s")
        self.retry_after_s = BUSY_RETRY_S


class Away(Exception):
    """The way to the writer is cut, or this gateway goes away: nothing was taken."""

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; nothing was executed, try again in {BUSY_RETRY_S} s")


class Overdue(Exception):
    """The deadline passed after the command was handed over, and nothing is known of it: it may be on record or get there."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the command was under way; it may be executed yet")


class TooLate(Exception):
    """The deadline passed before the command was handed over: it was not and will not be executed."""

    def __init__(self) -> None:
        super().__init__("the deadline passed while the command waited; it was not executed and will not be")


@dataclass(slots=True, eq=False)
class _Entry:
    rows: bytes
    deadline_s: float
    answer: Answer
    timer: asyncio.TimerHandle | None = None
    is_under_way: bool = False
    is_answered: bool = False


class Desk:
    """The desk of one partition. For one event loop, all in its thread.

    waiting  commands that wait or are under way
    seq      the last block that something of this desk is in
    """

    def __init__(self, line: Line, *, max_waiting: int = MAX_WAITING, reserve: int = RESERVE) -> None:
        self._line, self._bound, self._reserve = line, max_waiting, reserve
        self._loop = asyncio.get_running_loop()
        self._entries: deque[_Entry] = deque()
        self._under_way: dict[int, list[_Entry]] = {}  # by id()
        self._is_flushing = self._is_leaving = False
        self._acted: dict[int, int] = {}  # account -> block
        self._forgotten = 0  # the last block of those that are not remembered
        self.waiting = self.seq = 0

    def enter(self, rows: bytes, answer: Answer, deadline_s: float = NEVER) -> None:
        """Take one command, or several (1 to 16,384 rows) that are decided together, one after the other.

        answer      is called once, in the loop: with the outcome of all of them, or with what became of the batch instead
        deadline_s  of time.monotonic(): what was not handed over by then never is (TooLate), of what was and is not decided GRACE_S later
                    nothing is known (Overdue)
        Raises      Busy, Away
        """
        size = len(rows) // COMMAND_BYTES
        assert 1 <= size <= MAX_BATCH_COMMANDS, "a batch has 1 to 16,384 rows"
        assert len(rows) == size * COMMAND_BYTES, "whole rows"
        reduces_risk = _reduces_risk(rows)
        bound = self._bound if reduces_risk else self._bound - self._reserve
        if self.waiting + size > bound:
            raise Busy(self.waiting, bound)
        if self._is_leaving and not reduces_risk:
            raise Away("this gateway goes away")
        self.waiting += size
        entry = _Entry(rows, deadline_s, answer)
        self._entries.append(entry)
        if deadline_s < NEVER:
            entry.timer = self._loop.call_later(deadline_s - time.monotonic(), self._pass, entry)
        self._wake()

    async def send(self, rows: bytes, deadline_s: float = NEVER) -> Decided:
        """As enter; raises what became of the batch instead."""
        future: asyncio.Future[Decided] = self._loop.create_future()

        def answered(outcome: Decided | BaseException) -> None:
            if future.done():  # whoever asked went away: the command goes on
                return
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self.enter(rows, answered, deadline_s)
        return await future

    def acted(self, account: int) -> int:
        """The block of the account's last command that was answered here: who asks as of that one sees what he did. At the bound of
        MAX_REMEMBERED accounts it may be a later one of somebody else.
        """
        return self._acted.get(account, self._forgotten)

    def holds(self, account: int, command_id: int) -> bool:
        """Whether a command of that name, outside of sessions, waits here or is under way: about a millisecond for a full desk."""
        name = _NAME.pack(0, command_id, account)
        waiting = (entry for entry in self._entries if not entry.is_answered)
        return any(_has(entry.rows, name) for batch in (waiting, *self._under_way.values()) for entry in batch)

    def leave(self) -> None:
        """Take nothing more but what takes risk away."""
        self._is_leaving = True

    async def settle(self, within_s: float) -> bool:
        """Whether everybody was answered within that time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self.waiting:  # noqa: ASYNC110 # once in a gateway's life
                    await asyncio.sleep(SETTLE_S)
        return not self.waiting

    def _pass(self, entry: _Entry) -> None:
        """The deadline of *entry* passes."""
        if entry.is_under_way:
            entry.timer = self._loop.call_later(GRACE_S, self._say, entry, Overdue())
        else:
            self._say(entry, TooLate())

    def _wake(self) -> None:
        if self._entries and len(self._under_way) < IN_FLIGHT and not self._is_flushing:
            self._is_flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        batch = self._next_batch()
        if not batch:
            return
        try:
            future = self._line.submit(b"".join(entry.rows for entry in batch))
        except BaseException as error:  # noqa: BLE001 - whatever it was, the batch was not taken, and senders wait
            self._answer(batch, error)
        else:
            self._under_way[id(batch)] = batch
            future.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._decided, batch, done))
        self._wake()

    def _next_batch(self) -> list[_Entry]:
        """The oldest entries that fit into one batch, without those that are too late."""
        now_s, size = time.monotonic(), 0
        batch: list[_Entry] = []
        while self._entries and size + len(self._entries[0].rows) <= MAX_BATCH_COMMANDS * COMMAND_BYTES:
            entry = self._entries.popleft()
            if entry.is_answered or entry.deadline_s <= now_s:
                self._answer([entry], TooLate())
                continue
            entry.is_under_way = True
            size += len(entry.rows)
            batch.append(entry)
        return batch

    def _decided(self, batch: list[_Entry], done: Future[Committed]) -> None:
        del self._under_way[id(batch)]
        error = done.exception()
        if error is not None:
            self._answer(batch, error)
        else:
            self._tell(batch, done.result())
        self._wake()

    def _tell(self, batch: list[_Entry], committed: Committed) -> None:
        """To each the events of his own rows."""
        self.seq = max(self.seq, committed.block_seq)
        starts = [*outcome_rows(committed.events), len(committed.events) // EVENT_BYTES]
        row = 0
        for entry in batch:
            first = starts[row]
            row += len(entry.rows) // COMMAND_BYTES
            self._acted.update(dict.fromkeys(_accounts(entry.rows), committed.block_seq))
            events = committed.events[first * EVENT_BYTES : starts[row] * EVENT_BYTES]
            self._answer([entry], Decided(committed.block_seq, committed.first_event + first, events))
        assert row == len(starts) - 1, "every command has one outcome"
        if len(self._acted) > MAX_REMEMBERED:
            self._acted.clear()
            self._forgotten = self.seq

    def _answer(self, batch: list[_Entry], outcome: Decided | BaseException) -> None:
        for entry in batch:
            self.waiting -= len(entry.rows) // COMMAND_BYTES
            if entry.timer is not None:
                entry.timer.cancel()
            self._say(entry, outcome)

    def _say(self, entry: _Entry, outcome: Decided | BaseException) -> None:
        if not entry.is_answered:
            entry.is_answered = True
            entry.answer(outcome)


def _accounts(rows: bytes) -> Iterable[int]:
    """Whose *rows* are."""
    if len(rows) == COMMAND_BYTES:
        return _ACCOUNT.unpack_from(rows)
    found: list[int] = np.unique(np.frombuffer(rows, "<i8")[ACCOUNT::COMMAND_WORDS]).tolist()
    return found


def _has(rows: bytes, name: bytes) -> bool:
    """Whether one of *rows* is called so."""
    at = rows.find(name)
    while at >= 0 and at % COMMAND_BYTES != _NAME_AT:
        at = rows.find(name, at + 1)
    return at >= 0


def _reduces_risk(rows: bytes) -> bool:
    """Whether all of *rows* only take orders away."""
    if len(rows) == COMMAND_BYTES:
        return int.from_bytes(rows[:8], "little") in _REDUCES_RISK
    verbs = np.frombuffer(rows, "<i8")[VERB::COMMAND_WORDS]
    return bool(np.isin(verbs, _REDUCES_RISK).all())
