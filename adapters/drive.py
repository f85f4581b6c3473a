"""Drives a feed through the writer into the record, and counts what came of it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from adapters.feed import Feed
from adapters.wiring import NoStore, Store
from commands.writer import Committed, Writer
from domain.columns import MAX_BATCH_COMMANDS
from domain.events import COMMAND_REFUSED, EVENT_WORDS, TRADE_EXECUTED
from domain.verbs import COMMAND_BYTES


@dataclass(slots=True)
class Tally:
    """What a run added to the record. commands: those of the feed; events also count clock ticks, which the writer adds by itself."""

    commands: int = 0
    events: int = 0
    trades: int = 0
    refusals: int = 0
    blocks: int = 0
    seconds: float = 0.0

    def add(self, committed: Committed) -> None:
        """Count the trades and refusals of one batch."""
        kinds = np.frombuffer(committed.events, "<i8").reshape(-1, EVENT_WORDS)[:, 0] & 255
        self.trades += int(np.count_nonzero(kinds == TRADE_EXECUTED))
        self.refusals += int(np.count_nonzero(kinds == COMMAND_REFUSED))


def drive(
    store: Store, feed: Feed, source: str, show: Callable[[float], None], open_writer: Callable[[Store], Writer] = Store.writer
) -> Tally:
    """Feed *store* with what it does not have of *source* yet; every batch is in the record when this returns.

    The position in the source stands in the blocks it led to, so a run that was cut short goes on where the record ends.
    Raises NoStore when the record is of something else, BadFeed, Fenced, OutcomeUnknown, StoreFailed, OSError.
    """
    in_flight = store.settings.inbox_commands // MAX_BATCH_COMMANDS  # as many batches as the writer's inbox holds: it is never full
    begin, before, tally = time.monotonic(), store.log.head(store.number), Tally()
    with open_writer(store) as writer:
        if writer.partition.events and source not in writer.positions:
            holds = ", ".join(writer.positions) or "commands of clients"
            raise NoStore(
                f"{store.settings.store} holds {holds}, not {source}: a feed wants a store of its own, name a new one with --store"
            )
        waiting: deque[Future[Committed]] = deque()
        done = on_record = writer.positions.get(source, 0)
        for rows in feed.batches():
            batch = rows[on_record * COMMAND_BYTES :]
            on_record -= (len(rows) - len(batch)) // COMMAND_BYTES
            show(feed.progress())
            if not batch:
                continue
            done += len(batch) // COMMAND_BYTES
            tally.commands += len(batch) // COMMAND_BYTES
            waiting.append(writer.submit(batch, {source: done}))
            if len(waiting) == in_flight:
                tally.add(waiting.popleft().result())
        for future in waiting:
            tally.add(future.result())
    now = store.log.head(store.number)
    tally.blocks, tally.events = now.seq - before.seq, now.next_event - before.next_event
    tally.seconds = time.monotonic() - begin
    return tally
