"""The archive: ranges closed from a record in SQLite, and what is asked of them.

The record is the flow over and over, numbers and time going on where they ended; when the book, which is bounded, is half full, the venue
cancels what is in it. All of it is one day. Archiving is timed as a whole: the record read and verified, files written and synced, read
back and compared. Questions are timed from opening the archive to the last row, each in a fresh database; the files are in the page cache.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, Final

import numpy as np

from adapters.cli.progress import Show
from adapters.query.engine import database
from adapters.query.reading import reading
from benchmarks import report
from benchmarks.flows import Flow, over_and_over
from benchmarks.market import NUMBER
from domain import verbs as v
from domain.columns import MASS_CANCEL_BOUND, MAX_BATCH_COMMANDS, MAX_LIVE_ORDERS
from domain.events import ORDER_ACCEPTED
from domain.partition import Partition
from eventstore.blocks import Block, after, seal
from eventstore.closing import close_ranges
from eventstore.shelf import Entry, Shelf
from eventstore.sqlite import SqliteLog

EVENTS: Final = 10_000_000
EVENTS_INTERPRETED: Final = 100_000
MIX_OF_BLOCKS: Final = 50
LIVES: Final = 5
VWAP: Final = "SELECT symbol, sum(notional) / sum(quantity) AS vwap FROM trades WHERE day = '{day}' GROUP BY symbol"
LIFE: Final = 'SELECT * FROM orders WHERE "order" = {order} ORDER BY event_index'
ALWAYS_NS: Final = 2**62


def run(flow: Flow, runs: int, show: Show, *, events: int | None = None) -> dict[str, object]:
    """Medians of *runs*."""
    events = events or (EVENTS if report.is_compiled() else EVENTS_INTERPRETED)
    with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder, closing(SqliteLog(Path(folder) / "record.sqlite")) as log:
        orders = _fill(log, flow, events, lambda share: show(share / 2))
        there = log.head(NUMBER).next_event
        seconds, cpu_s = list[float](), list[float]()
        shelves = [Shelf(f"{folder}/archive-{number}") for number in range(runs)]
        for number, shelf in enumerate(shelves, 1):
            began, cpu = time.perf_counter(), time.process_time()
            for _ in close_ranges(log, shelf, NUMBER, ALWAYS_NS):
                pass
            seconds.append(time.perf_counter() - began)
            cpu_s.append(time.process_time() - cpu)
            show(0.5 + number / runs / 4)
        shelf = shelves[0]
        entries = shelf.entries(NUMBER)
        assert sum(entry.event_count for entry in entries) == there, "all of the record is archived"
        day = np.datetime64(entries[0].first_time_ns, "ns").astype("datetime64[D]")
        cpu = time.process_time()
        vwap = [_ask(shelf, VWAP.format(day=day), flow.instruments) for _ in range(runs)]
        vwap_cpu_s = (time.process_time() - cpu) / runs
        show(0.9)
        lives = [_ask(shelf, LIFE.format(order=order)) for order in orders]
        counted = report.tally_of(block.rows() for block, _ in zip(log.read(NUMBER), range(MIX_OF_BLOCKS), strict=False))
        durability = log.durability
    return report.report(
        flow,
        seconds,
        counted,
        durability=f"record: {durability}; archive: a folder, each file synced",
        commands_per_s=None,
        trades_per_s=None,
        events_per_s=report.rate(there, seconds),
        events_per_core_s=report.rate(there, cpu_s),
        bytes_per_event=round(_bytes(entries) / there, 2),
        events=there,
        ranges=len(entries),
        day_vwap_s=round(statistics.median(vwap), 3),
        day_vwap_cpu_s=round(vwap_cpu_s, 3),
        day_vwap_events=there,
        order_life_s=round(statistics.median(lives), 3),
        order_life_worst_s=round(max(lives), 3),
        mix_is_of=f"the first {MIX_OF_BLOCKS} blocks",
    )


def _bytes(entries: list[Entry]) -> int:
    return sum(entry.size_bytes for entry in entries)


def _fill(log: SqliteLog, flow: Flow, events: int, show: Callable[[float], Any]) -> list[int]:
    """Write the record; some orders of it."""
    engine, head, dice = Partition(NUMBER), log.claim(NUMBER), random.Random(flow.seed)
    seen: list[int] = []
    for commands in chain(flow.set_up(), rounds(flow, engine)):
        block = seal(head, commands, engine.execute(commands), engine.time_ns)
        log.append(block)
        head = after(block)
        seen += _one_order(block, dice)
        show(head.next_event / events)
        if head.next_event >= events:
            return dice.choices(seen, k=LIVES)
    raise AssertionError("a flow has no end")


def rounds(flow: Flow, engine: Partition) -> Iterator[bytes]:
    """The flow without end; the book is emptied after a round that leaves it half full: beyond its bound, orders are refused."""
    batches = flow.batches()
    for number, batch in enumerate(over_and_over(batches), 1):
        yield batch
        if number % len(batches) == 0 and engine.state.live_orders > MAX_LIVE_ORDERS // 2:
            yield from _sweep(flow, engine)


def _sweep(flow: Flow, engine: Partition) -> Iterator[bytes]:
    """Mass cancels of every instrument, as many as its orders may need."""
    each = engine.state.live_orders // MASS_CANCEL_BOUND + 1
    rows = np.zeros((flow.instruments * each, v.COMMAND_WORDS), "<i8")
    rows[:, v.VERB], rows[:, v.RECEIVED_NS] = v.MASS_CANCEL, engine.time_ns
    rows[:, v.INSTRUMENT] = np.repeat(np.arange(1, flow.instruments + 1), each)
    for begin in range(0, len(rows), MAX_BATCH_COMMANDS):
        yield rows[begin : begin + MAX_BATCH_COMMANDS].tobytes()
    assert engine.state.live_orders == 0, "the book is empty"


def _one_order(block: Block, dice: random.Random) -> list[int]:
    """The number of an order that the block accepted."""
    orders = block.opened().event(ORDER_ACCEPTED, 1)
    return [int(orders[dice.randrange(len(orders))])] if len(orders) else []


def _ask(shelf: Shelf, sql: str, rows: int | None = None) -> float:
    """Seconds from opening the archive to the last row."""
    began = time.perf_counter()
    with reading(shelf, None) as found, database(found) as asked, asked.ask(sql) as answer:
        table = answer.read_all()
    taken = time.perf_counter() - began
    assert table.num_rows == rows if rows else table.num_rows > 0, "there is an answer"
    return taken
