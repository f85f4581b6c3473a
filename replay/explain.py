"""The life of an order, event by event, and why it got its fills: who was ahead of it, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from domain import events as e
from domain.partition import Partition
from domain.queries import queue
from domain.verbs import SIDES
from eventstore.blocks import Block
from eventstore.ports import BlockLog
from replay.rows import Batch, Ints, Row, command_row, event_row
from replay.source import Progress, blocks
from replay.travel import NotInRecord

_NAMES_ITS_ORDER: Final = (e.ORDER_ACCEPTED, e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REPLACED, e.ORDER_RESTED, e.ORDER_REMOVED)
_MEETINGS: Final = (e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED)
_ENTRIES: Final = (e.ORDER_ACCEPTED, e.ORDER_REPLACED)


@dataclass(frozen=True, slots=True)
class Lived:
    """One event of an order.

    seq, event, time_ns  block, index in the partition, time of the command
    role                 "taker" or "maker" where two orders met, else ""
    happened, command    the event, and the command that caused it
    open_lots            of the order after it; 0: the order is gone
    """

    seq: int
    event: int
    time_ns: int
    role: str
    happened: Row
    command: Row
    open_lots: int


@dataclass(frozen=True, slots=True)
class Queue:
    """The place of a resting order on its side of the book.

    order                     its number: for a taker the order that it met
    orders_ahead, lots_ahead  served before it: better prices, and earlier orders at its price
    lots_taken                when two orders met: what the same command took off this side first; by price-time priority exactly lots_ahead
    """

    order: int
    orders_ahead: int
    lots_ahead: int
    lots_taken: int


@dataclass(frozen=True, slots=True)
class Explained:
    """An event of an order, and the queue: when the order came to rest, after the command; when two orders met, before it; else None."""

    lived: Lived
    queue: Queue | None


def life(log: BlockLog, partition: int, order: int, progress: Progress | None = None) -> list[Lived]:
    """Every event of an order, until it is gone. Raises NotInRecord, Damaged, StoreFailed."""
    time_ns, lived = 0, list[Lived]()
    for block in blocks(log, partition, progress=progress):
        lived += _lived_in(block, Batch(block), order, time_ns, lived[-1].open_lots if lived else 0)
        time_ns = block.time_ns
        if lived and not lived[-1].open_lots:
            break
    return _known(lived, partition, order)


def explain(log: BlockLog, partition: int, order: int, progress: Progress | None = None) -> list[Explained]:
    """As life(), with the queues. It applies the record from genesis and writes out a side of the book for each rest and fill."""
    state, explained = Partition(partition), list[Explained]()
    for block in blocks(log, partition, progress=progress):
        batch, done = Batch(block), 0
        for lived in _lived_in(block, batch, order, state.time_ns, explained[-1].lived.open_lots if explained else 0):
            command, place = batch.command_of(lived.event - block.first_event), lived.event - block.first_event
            rested = lived.happened.name == "OrderRested"
            if lived.role or rested:
                upto = command + 1 if rested else command
                if upto > done:
                    state.apply(*batch.part(done, upto))
                    done = upto
            explained.append(Explained(lived, _queue(state, batch, command, place) if lived.role or rested else None))
        if explained and not explained[-1].lived.open_lots:
            break
        state.apply(*batch.part(done, len(batch.commands)))
    _known([entry.lived for entry in explained], partition, order)
    return explained


def _known(lived: list[Lived], partition: int, order: int) -> list[Lived]:
    if not lived:
        raise NotInRecord(f"partition {partition} never accepted an order {order}; orders of it are numbered from {partition << 53} on")
    return lived


def _lived_in(block: Block, batch: Batch, order: int, before_ns: int, open_lots: int) -> Iterator[Lived]:
    """The order's events in a block. *open_lots*: what it had open before."""
    at = _events_of(batch, order)
    times = batch.times_ns(before_ns) if len(at) else at
    for place in at.tolist():
        command, happened = batch.command_of(place), event_row(batch.events[place])
        open_lots = _open_lots(happened, open_lots)
        role = ""
        if int(batch.kind[place]) in _MEETINGS:
            role = "maker" if happened.fields["maker_order"] == order else "taker"
        asked = command_row(batch.commands[command])
        yield Lived(block.seq, block.first_event + place, int(times[command]), role, happened, asked, open_lots)


def _events_of(batch: Batch, order: int) -> Ints:
    """Where in the batch the order's events stand. As taker it is named by the outcome of the command."""
    first, word = batch.first[:-1], batch.events[:, 1]
    entered = np.isin(batch.kind[first], _ENTRIES) & (word[first] == order)
    taker = np.repeat(entered, np.diff(batch.first)) & np.isin(batch.kind, _MEETINGS)
    named = np.isin(batch.kind, _NAMES_ITS_ORDER + _MEETINGS) & (word == order)
    return np.flatnonzero(taker | named)


def _open_lots(happened: Row, before: int) -> int:
    """Lots that the order has open after an event of its."""
    match happened.name:
        case "OrderAccepted" | "OrderReplaced" | "OrderRested":
            return happened.fields["quantity_lots"]
        case "OrderReduced":
            return happened.fields["remaining_lots"]
        case "TradeExecuted" | "SelfTradePrevented":
            return before - happened.fields["quantity_lots"]
        case _:
            return 0


def _queue(state: Partition, batch: Batch, command: int, place: int) -> Queue:
    """Of the resting order in the event at *place*: who is ahead of it in *state*, and what the command took off its side before."""
    fields = event_row(batch.events[place]).fields
    resting = fields["maker_order"] if "maker_order" in fields else fields["order"]
    side = fields["side"] ^ 1 if "maker_order" in fields else fields["side"]
    ahead = []
    for entry in queue(state, fields["instrument"] * len(SIDES) + side):
        if entry.order == resting:
            break
        ahead.append(entry.quantity_lots)
    taken = 0
    if "maker_order" in fields:
        before = batch.events[batch.first[command] + 1 : place]
        taken = sum(event_row(words).fields["quantity_lots"] for words in before)
    return Queue(resting, len(ahead), sum(ahead), taken)
