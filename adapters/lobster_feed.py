"""A LOBSTER day as commands: what its venue displayed becomes orders, and what it executed must happen again in our book.

1 -> a limit order, its client order id is the venue's order id. 2 -> reduce, 3 -> cancel. A run of 4, executions of one side in one
nanosecond, was one incoming order: it becomes an IOC of their summed lots at the price of the worst. 7 -> state of the instrument. 5 and 6
(hidden orders, crosses) move no displayed order and are only counted. After each message both sides are mended (window.py), so that the
levels in sight are those of our book.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from adapters import lobster
from adapters.feed import batched, rows
from adapters.judge import Execution, VenueJudge
from adapters.lobster import LobsterFile, Step
from adapters.venue import change_state, midnight_ns, set_up, taker
from adapters.window import Window
from commands.messages import Command, InstrumentState, NewOrder

LOBSTER_SESSION: Final = 2
INSTRUMENT: Final = 1
STATES: Final[dict[int, InstrumentState]] = {-1: "halted", 0: "pre_open", 1: "open"}


class LobsterFeed:
    """The day in the zip at *path*, as instrument 1. Raises BadFeed, OSError."""

    def __init__(self, path: Path, session: int = LOBSTER_SESSION) -> None:
        self.session = session
        self.judge = VenueJudge()
        self.messages: Counter[int] = Counter()  # by type
        self._file = LobsterFile(path)
        self._midnight_ns = midnight_ns(self._file.day)
        self._state: InstrumentState = "open"
        self._sells, self._buys = Window(INSTRUMENT, "sell"), Window(INSTRUMENT, "buy")
        self._run: list[lobster.Message] = []

    def batches(self) -> Iterator[bytes]:
        """Command rows. Raises BadFeed, OSError."""
        return batched(rows(self.commands(), self.session))

    def progress(self) -> float:
        """Share of the messages' bytes read."""
        return self._file.read_bytes / max(1, self._file.total_bytes)

    def commands(self) -> Iterator[Command]:
        """The commands, without session and sequence. Raises BadFeed, OSError."""
        for _, commands in self.steps():
            yield from commands

    def steps(self) -> Iterator[tuple[Step | None, list[Command]]]:
        """Each message with what it makes us send; None: the end. A run of executions is sent with the message that follows it."""
        for step in self._file.steps():
            commands = list(set_up(INSTRUMENT, self._file.symbol, self._time_ns(step.message))) if step.message.line == 1 else []
            self.messages[step.message.type] += 1
            yield step, commands + self._of(step)
        yield None, self._taken()

    def _of(self, step: Step) -> list[Command]:
        message, time_ns = step.message, self._time_ns(step.message)
        commands = [] if self._belongs_to_run(message) else self._taken()
        if message.type <= lobster.EXECUTED:
            commands += self._of_order(step, time_ns)
        elif message.type == lobster.HALTED:
            commands += change_state(INSTRUMENT, self._state, STATES[message.price], time_ns)
            self._state = STATES[message.price]
        commands += self._sells.mend(time_ns, step.sells, full=len(step.sells) == step.depth)
        commands += self._buys.mend(time_ns, step.buys, full=len(step.buys) == step.depth)
        return commands

    def _of_order(self, step: Step, time_ns: int) -> list[Command]:
        """What a message about an order makes us send; its level is first mended to what it was before."""
        _, _, what, order, lots, price, buy = step.message
        window, levels = (self._buys, step.buys) if buy else (self._sells, step.sells)
        after = levels.get(price, 0)
        commands = window.mend_level(time_ns, price, max(0, after - lots) if what == lobster.SUBMITTED else after + lots)
        if what == lobster.SUBMITTED:
            return [*commands, window.add(time_ns, order, price, lots)]
        if what == lobster.EXECUTED:
            if price == window.best():
                window.fill(price, lots)
                self._run.append(step.message)
                return commands
            self.judge.miss()
        return commands + window.take(time_ns, order, price, lots, whole=what == lobster.DELETED)

    def _belongs_to_run(self, message: lobster.Message) -> bool:
        """Was *message* caused by the incoming order of the run?"""
        if not self._run or message.type != lobster.EXECUTED:
            return False
        first = self._run[0]
        return (message.timestamp_ns, message.buy) == (first.timestamp_ns, first.buy)

    def _taken(self) -> list[Command]:
        """The incoming order that the run was."""
        if not self._run:
            return []
        run, self._run = self._run, []
        first, prices = run[0], [message.price for message in run]
        self.judge.expect(first.line, [Execution(message.order, message.price, message.shares) for message in run])
        return [
            NewOrder(
                received_ns=self._time_ns(first),
                account=taker(INSTRUMENT),
                instrument=INSTRUMENT,
                side="sell" if first.buy else "buy",
                time_in_force="IOC",
                client_order_id=first.line,
                price_ticks=min(prices) if first.buy else max(prices),
                quantity_lots=sum(message.shares for message in run),
            )
        ]

    def _time_ns(self, message: lobster.Message) -> int:
        return self._midnight_ns + message.timestamp_ns
