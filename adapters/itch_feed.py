"""An ITCH file as commands: what its venue displayed becomes orders, and what it executed must happen again in our book.

A, F -> a limit order, its client order id is the venue's reference number. D -> cancel, X -> reduce, U -> cancel and a new order (the venue
takes its priority away, whatever changed). A run of E, executions of one side of one security in one nanosecond, was one incoming order: it
becomes an IOC of their summed lots at the price of the worst. C left the book at a price that is not its own, so it is a reduction.
H -> state of the instrument. All else (trades of hidden orders, crosses, imbalances, ...) moves no displayed order and is only counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from adapters import itch
from adapters.feed import batched, rows
from adapters.judge import Execution, VenueJudge
from adapters.venue import MAX_VENUE_INSTRUMENT, change_state, maker, midnight_ns, set_up, taker
from commands.messages import CancelOrder, Command, InstrumentState, NewOrder, ReduceOrder, Side

ITCH_SESSION: Final = 1
STATES: Final[dict[str, InstrumentState]] = {"H": "halted", "P": "halted", "Q": "pre_open", "T": "open"}


@dataclass(slots=True)
class Displayed:
    """An order that the venue displays."""

    locate: int
    side: Side
    price_ticks: int
    quantity_lots: int


class ItchFeed:
    """The messages of one file, from *path*; every security becomes the instrument of its number (locate)."""

    def __init__(self, path: Path, session: int = ITCH_SESSION) -> None:
        self.session = session
        self.judge = VenueJudge()
        self.messages: Counter[str] = Counter()  # by class
        self.unknown_orders = 0  # messages about orders that were displayed before the file begins
        self._path, self._midnight_ns = path, midnight_ns(path.name)
        self._displayed: dict[int, Displayed] = {}
        self._states: dict[int, InstrumentState] = {}
        self._run: list[tuple[itch.Message, itch.OrderExecuted, Displayed]] = []
        self._read_bytes = 0

    def batches(self) -> Iterator[bytes]:
        """Command rows. Raises BadFeed, OSError."""
        return batched(rows(self.commands(), self.session))

    def progress(self) -> float:
        """Share of the file's bytes read."""
        return self._read_bytes / max(1, self._path.stat().st_size)

    def commands(self) -> Iterator[Command]:
        """The commands, without session and sequence. Raises BadFeed, OSError."""
        with self._path.open("rb") as file:
            for message in itch.read(file, self._path.name):
                self._read_bytes = message.offset
                self.messages[type(message.body).__name__] += 1
                if self._run and not self._belongs_to_run(message):
                    yield self._taken()
                yield from self._of(message)
            self._read_bytes = file.tell()
        if self._run:
            yield self._taken()

    def _of(self, message: itch.Message) -> Iterator[Command]:
        """What one message makes us send at once; a run of executions waits for its end."""
        match message.body:
            case itch.StockDirectory(stock=stock):
                yield from self._listed(message, stock)
            case itch.TradingAction(stock=stock, state=state):
                yield from self._listed(message, stock)
                yield from change_state(message.locate, self._states[message.locate], STATES[state], self._time_ns(message))
                self._states[message.locate] = STATES[state]
            case itch.AddOrder() | itch.AddAttributedOrder() as added:
                yield from self._listed(message, added.stock)
                side: Side = "buy" if added.side == "B" else "sell"
                yield self._display(message, added.reference, Displayed(message.locate, side, added.price, added.shares))
            case itch.OrderExecuted() as executed:
                self._execute(message, executed)
            case itch.OrderCancelled(reference=reference, shares=shares) | itch.OrderExecutedAtPrice(reference=reference, shares=shares):
                yield from self._reduce(message, reference, shares)
            case itch.OrderDeleted(reference=reference):
                yield from self._delete(message, reference)
            case itch.OrderReplaced() as replaced:
                yield from self._replace(message, replaced)
            case _:
                pass

    def _listed(self, message: itch.Message, symbol: str) -> Iterator[Command]:
        if message.locate in self._states:
            return
        if not 1 <= message.locate <= MAX_VENUE_INSTRUMENT:
            self._bad(message, f"a security has number {message.locate}", f"1 to {MAX_VENUE_INSTRUMENT}")
        if not symbol or " " in symbol:
            self._bad(message, f"a security is called {symbol!r}", "1 to 8 characters without a space")
        self._states[message.locate] = "open"
        yield from set_up(message.locate, symbol, self._time_ns(message))

    def _display(self, message: itch.Message, reference: int, order: Displayed) -> Command:
        if not 1 <= reference < 2**63:
            self._bad(message, f"an order has reference {reference}", "1 to 2^63 - 1")
        if reference in self._displayed:
            self._bad(message, f"order {reference} is added, but it is there already", "a reference that no displayed order has")
        self._displayed[reference] = order
        return NewOrder(
            received_ns=self._time_ns(message),
            account=maker(order.locate),
            instrument=order.locate,
            side=order.side,
            client_order_id=reference,
            price_ticks=order.price_ticks,
            quantity_lots=order.quantity_lots,
        )

    def _reduce(self, message: itch.Message, reference: int, lots: int) -> Iterator[Command]:
        order = self._take(message, reference, lots)
        if order is not None:
            account = maker(order.locate)
            yield ReduceOrder(received_ns=self._time_ns(message), account=account, client_order_id=reference, quantity_lots=lots)

    def _delete(self, message: itch.Message, reference: int) -> Iterator[Command]:
        order = self._find(message, reference)
        if order is not None:
            del self._displayed[reference]
            yield CancelOrder(received_ns=self._time_ns(message), account=maker(order.locate), client_order_id=reference)

    def _replace(self, message: itch.Message, replaced: itch.OrderReplaced) -> Iterator[Command]:
        order = self._find(message, replaced.reference)
        if order is not None:
            yield from self._delete(message, replaced.reference)
            new = Displayed(order.locate, order.side, replaced.price, replaced.shares)
            yield self._display(message, replaced.new_reference, new)

    def _execute(self, message: itch.Message, executed: itch.OrderExecuted) -> None:
        order = self._take(message, executed.reference, executed.shares)
        if order is None:
            self.judge.miss()
            return
        if not 1 <= executed.match_number < 2**63:
            self._bad(message, f"a match has number {executed.match_number}", "1 to 2^63 - 1")
        self._run.append((message, executed, order))

    def _belongs_to_run(self, message: itch.Message) -> bool:
        """Was *message* caused by the incoming order of the run?"""
        first, _, order = self._run[0]
        if not isinstance(message.body, itch.OrderExecuted) or (message.locate, message.timestamp_ns) != (first.locate, first.timestamp_ns):
            return False
        mine = self._displayed.get(message.body.reference)
        return mine is not None and mine.side == order.side

    def _taken(self) -> Command:
        """The incoming order that the run was."""
        first, executed, order = self._run[0]
        executions = [Execution(e.reference, resting.price_ticks, e.shares) for _, e, resting in self._run]
        self._run = []
        self.judge.expect(executed.match_number, executions)
        prices = [execution.price_ticks for execution in executions]
        return NewOrder(
            received_ns=self._time_ns(first),
            account=taker(order.locate),
            instrument=order.locate,
            side="sell" if order.side == "buy" else "buy",
            time_in_force="IOC",
            client_order_id=executed.match_number,
            price_ticks=min(prices) if order.side == "buy" else max(prices),
            quantity_lots=sum(execution.quantity_lots for execution in executions),
        )

    def _take(self, message: itch.Message, reference: int, lots: int) -> Displayed | None:
        """Take *lots* off a displayed order; None: it is unknown."""
        order = self._find(message, reference)
        if order is not None:
            if not 1 <= lots <= order.quantity_lots:
                self._bad(message, f"{lots} shares leave order {reference}, which has {order.quantity_lots}", f"1 to {order.quantity_lots}")
            order.quantity_lots -= lots
            if not order.quantity_lots:
                del self._displayed[reference]
        return order

    def _find(self, message: itch.Message, reference: int) -> Displayed | None:
        order = self._displayed.get(reference)
        if order is None:
            self.unknown_orders += 1
        elif order.locate != message.locate:
            self._bad(message, f"order {reference} belongs to security {order.locate}, not {message.locate}", f"{order.locate}")
        return order

    def _time_ns(self, message: itch.Message) -> int:
        return self._midnight_ns + message.timestamp_ns

    def _bad(self, message: itch.Message, wrong: str, right: str) -> NoReturn:
        itch.bad(self._path.name, message.number, message.offset, wrong, right)
