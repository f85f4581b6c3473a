"""Orders over a WebSocket, one by one and in batches, and what becomes of them when the connection ends."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from random import getrandbits
from typing import Final, Protocol

import msgspec
import numpy as np

from adapters.decimals import to_lots, to_ticks
from adapters.doors.access import Caller, Denied
from adapters.doors.desk import NEVER, Busy, Decided
from adapters.doors.desk import Answer as Told
from adapters.doors.house import House, Listed, NotListed, Outcome, checked_row, named
from adapters.doors.rest import quick
from adapters.doors.rest.asking import account_of, deadline_of, number, obeyed
from adapters.doors.rest.problems import UNKNOWN, Unknown
from adapters.doors.shapes import done
from adapters.doors.ws.asked import Aimed, Cancel, CancelAll, Order, Reduce, Replace
from adapters.doors.ws.hub import Hub
from adapters.doors.ws.messages import Answer
from adapters.doors.ws.packed import Frame
from adapters.tickets import Ticket, new_order
from commands import batch
from commands.codec import events, to_row
from commands.messages import CancelOrder, Command, MassCancel, ReduceOrder, ReplaceOrder
from domain import verbs as v
from domain.columns import MAX_BATCH_COMMANDS, PARTITION_SHIFT
from domain.events import EVENT_WORDS, FIRST_CONSEQUENCE
from projections.layouts import Instrument

MAX_UNDER_WAY: Final = 2 * MAX_BATCH_COMMANDS  # commands of one connection
RESERVE: Final = 1_024  # more, of what takes orders away
ROWS_PER_TOKEN: Final = 64
ACKNOWLEDGED: Final = struct.Struct("<4sHHIIqq")  # magic, version, flags, rows, checksum of the batch, block, first event
MAGIC: Final = b"OUTK"
SKIPPED: Final = 1
_CHECKSUM_AT: Final = 12
_NAMED: Final = 10
_AGAIN_S: Final = 0.05
_TICKET: Final = tuple(field for field in Ticket.__struct_fields__ if field != "client_order_id")
_HOW_OFTEN: Final = 200  # tries to cancel on disconnect while the desk is full, or the way to the writer cut


class Sink(Protocol):
    """Where answers go."""

    def send(self, message: msgspec.Struct) -> None:
        """A message."""

    def send_frame(self, frame: Frame) -> None:
        """A frame."""


class Entry:
    """The orders of one connection.

    caller   who sends them; None: nobody who may
    session  of rows of batches whose sequence rises; 0: none
    cancels  whether what rests is cancelled at the end
    """

    def __init__(self, house: House, hub: Hub, sink: Sink, refuse: Callable[[str, Exception], None]) -> None:
        self._house, self._hub, self._sink, self._refuse = house, hub, sink, refuse
        self.caller: Caller | None = None
        self.session = self.partition = 0
        self.cancels = False
        self._under_way = 0
        self._traded: set[int] = set()

    def order(self, asked: Order) -> None:
        """Raises what REST raises, and Busy."""
        caller = self._trader()
        listed = self._hub.listed(asked.symbol)
        account = account_of(caller, asked.account)
        command_id = number(asked.command_id) if asked.command_id else getrandbits(62) + 1
        row = quick.order_row(asked, account, listed, command_id)
        if row is None:
            words = {field: getattr(asked, field) for field in _TICKET}
            ticket = Ticket(client_order_id=_id(asked.client_order_id), **words)
            command = new_order(ticket, account, listed.instrument, listed.terms)
            row = checked_row(msgspec.structs.replace(command, sequence=command_id))
        self._enter_one(asked.id, listed.partition, row, "NewOrder", command_id, account, listed, asked.deadline_ms)

    def change(self, asked: Cancel | Replace | Reduce) -> None:
        """Raises what REST raises, and Busy."""
        caller = self._trader()
        account = account_of(caller, asked.account)
        listed = self._hub.listed(asked.symbol) if asked.symbol else None
        partition = listed.partition if listed else self._partition_of(asked)
        target = {"account": account, "order": _id(asked.order), "client_order_id": _id(asked.client_order_id)}
        command: Command
        if isinstance(asked, Cancel):
            command = CancelOrder(**target)
        else:
            terms = self._terms(listed)
            lots = to_lots(asked.quantity, terms.lot_size_e9) if asked.quantity else 0
            if isinstance(asked, Reduce):
                command = ReduceOrder(**target, quantity_lots=lots)
            else:
                ticks = to_ticks(asked.price, terms.tick_size_e9) if asked.price else 0
                other = _id(asked.new_client_order_id)
                command = ReplaceOrder(**target, price_ticks=ticks, quantity_lots=lots, new_client_order_id=other)
        self._send(asked.id, partition, command, listed, asked.command_id, asked.deadline_ms)

    def cancel_all(self, asked: CancelAll) -> None:
        """Answers for each partition. Raises what REST raises, and Busy."""
        caller = self._trader()
        account = account_of(caller, asked.account)
        listed = self._hub.listed(asked.symbol) if asked.symbol else None
        command = MassCancel(account=account, instrument=listed.instrument if listed else 0, side_scope=asked.side)
        for partition in [listed.partition] if listed else self._house.desks:
            self._send(asked.id, partition, command, listed, asked.command_id, 0)

    def batch(self, frame: bytes) -> None:
        """A frame of docs/protocol.md, answered by one. Raises BadBatch, Denied, TooOften, Busy."""
        caller = self._trader()
        name = batch_name(frame)
        try:
            found = batch.decode(frame)
        except batch.BadBatch as wrong:
            raise msgspec.ValidationError(str(wrong)) from wrong
        if found.skipped:
            says = f"left out as malformed, {len(found.skipped)} rows: " + "; ".join(map(str, found.skipped[:_NAMED]))
            self._refuse(name, msgspec.ValidationError(says))
        rows, count = found.rows, len(found.rows) // v.COMMAND_BYTES
        if not count:
            return
        self._house.by_caller.take(caller.key or caller.user, time.monotonic(), count / ROWS_PER_TOKEN)
        words = np.frombuffer(rows, "<i8").reshape(-1, v.COMMAND_WORDS)
        self._check(caller, words)
        if words[:, v.RECEIVED_NS].any():
            stamped = words.copy()
            stamped[:, v.RECEIVED_NS] = 0  # by whom it is received is the door's to say: the writer stamps them
            rows = stamped.tobytes()

        def answered(outcome: Decided | BaseException) -> None:
            self._under_way -= count
            if isinstance(outcome, BaseException):
                self._failed(name, 0, outcome)
            else:
                self._sink.send_frame(Frame(acknowledged(outcome, int(name), is_part=bool(found.skipped)), is_binary=True))

        self._enter(self.partition, rows, count, answered, NEVER)

    def end(self) -> None:
        """The connection is gone."""
        if self.cancels:
            for account in self._traded:
                for partition in self._house.desks:
                    self._cancel(partition, account, _HOW_OFTEN)

    def _cancel(self, partition: int, account: int, tries: int) -> None:
        def answered(outcome: Decided | BaseException) -> None:
            if isinstance(outcome, BaseException):
                again()
            elif events(outcome.events[:64])[0].fields.get("more"):
                self._cancel(partition, account, tries)

        def again() -> None:
            if tries:
                asyncio.get_running_loop().call_later(_AGAIN_S, self._cancel, partition, account, tries - 1)

        try:
            self._house.desks[partition].enter(to_row(MassCancel(account=account)), answered)
        except Busy:
            again()

    def _trader(self) -> Caller:
        """Who may trade. Raises Denied."""
        if self.caller is None:
            raise Denied(401, 'log in first: {"op":"login", …}')
        self.caller.needs("trade")
        return self.caller

    def _send(self, name: str, partition: int, command: Command, listed: Listed | None, command_id: str, deadline_ms: int) -> None:
        sent = msgspec.structs.replace(command, sequence=number(command_id)) if command_id else named(command)
        self._enter_one(
            name, partition, checked_row(sent), type(sent).__name__, sent.sequence, sent.account, listed, deadline_ms, _reserve_for(sent)
        )

    def _enter_one(
        self,
        name: str,
        partition: int,
        row: bytes,
        verb: str,
        sequence: int,
        account: int,
        listed: Listed | None,
        deadline_ms: int,
        reserve: int = 0,
    ) -> None:
        durability = self._house.durability

        def answered(outcome: Decided | BaseException) -> None:
            self._under_way -= 1
            if isinstance(outcome, BaseException):
                self._failed(name, sequence, outcome)
                return
            seq, first_event, rows = outcome
            short = quick.done(rows, partition, seq, first_event, verb, sequence, listed, durability)
            if short is not None:
                self._sink.send(Answer(id=name, done=short))
                return
            became = Outcome(partition, seq, events(rows, first_event))
            try:
                obeyed(became, sequence)
            except Exception as refused:  # noqa: BLE001 # a rule of the market, told as any problem
                self._refuse(name, refused)
            else:
                self._sink.send(Answer(id=name, done=done(became, sequence, verb, listed, durability)))

        self._enter(partition, row, 1, answered, deadline_of(deadline_ms), reserve)
        self._traded.add(account)

    def _enter(self, partition: int, rows: bytes, count: int, answered: Told, end_s: float, reserve: int = 0) -> None:
        """Raises Busy."""
        if self._under_way + count > MAX_UNDER_WAY + reserve:
            raise Busy(self._under_way, MAX_UNDER_WAY + reserve)
        self._house.desks[partition].enter(rows, answered, end_s)
        self._under_way += count

    def _failed(self, name: str, sequence: int, error: BaseException) -> None:
        told = Unknown(sequence, error) if isinstance(error, UNKNOWN) else error
        self._refuse(name, told if isinstance(told, Exception) else RuntimeError(str(told)))

    def _check(self, caller: Caller, words: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> None:
        """Raises Denied, naming the first row that is not the caller's to send."""
        verbs, accounts, sessions = words[:, v.VERB], words[:, v.ACCOUNT], words[:, v.SESSION]
        wrong = np.flatnonzero((verbs < v.NEW_ORDER) | (verbs > v.MASS_CANCEL))
        if len(wrong):
            raise Denied(403, f"row {wrong[0]}: clients enter, change and cancel orders (verbs 7 to 11), not verb {verbs[wrong[0]]}")
        wrong = np.flatnonzero(~np.isin(accounts, list(caller.accounts)))
        if len(wrong):
            raise Denied(403, f"row {wrong[0]}: account {accounts[wrong[0]]} is not one of yours")
        wrong = np.flatnonzero((sessions != 0) & (sessions != self.session))
        if len(wrong):
            raise Denied(403, f"row {wrong[0]}: session {sessions[wrong[0]]} is not yours; right would be {self.session}, or 0")
        self._traded.update(np.unique(accounts).tolist())

    def _terms(self, listed: Listed | None) -> Instrument:
        if listed is None:
            raise msgspec.ValidationError("prices and quantities are those of an instrument; right would be its symbol beside them")
        return listed.terms

    def _partition_of(self, asked: Aimed) -> int:
        """Raises NotListed, ValidationError."""
        if not asked.order:
            raise msgspec.ValidationError("a client order id is looked for where its instrument is; right would be its symbol beside it")
        partition = int(asked.order) >> PARTITION_SHIFT
        if partition not in self._house.desks:
            raise NotListed(f"no order is called {asked.order}")
        return partition


def batch_name(frame: bytes) -> str:
    """What a batch is called in problems: its checksum."""
    return str(int.from_bytes(frame[_CHECKSUM_AT : _CHECKSUM_AT + 4], "little"))


def acknowledged(decided: Decided, checksum: int, *, is_part: bool) -> bytes:
    """The frame that answers a batch: docs/protocol.md."""
    words = np.frombuffer(decided.events, "<i8").reshape(-1, EVENT_WORDS)
    outcomes = words[(words[:, 0] & 255) < FIRST_CONSEQUENCE, :2]
    flags = SKIPPED if is_part else 0
    return ACKNOWLEDGED.pack(MAGIC, 1, flags, len(outcomes), checksum, decided.block_seq, decided.first_event) + outcomes.tobytes()


def _reserve_for(command: Command) -> int:
    return RESERVE if isinstance(command, CancelOrder | ReduceOrder | MassCancel) else 0


def _id(text: str) -> int:
    return number(text) if text else 0
