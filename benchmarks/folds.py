"""The folds of the views over the blocks of a flow: each alone, all together, and what decompressing the blocks takes before.

A fold alone is measured on blocks that are decompressed already; the words that it asks for (projections/columns.py) it decodes itself. All
together is what a process does that keeps every view: decompress once, decode each word once, then every fold, then its rows into memory.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import median
from typing import Final

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event, sealed
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, Market, events_of
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal
from projections.columns import Columns
from projections.embedded import FOLDS, Views
from projections.view import Fold

HEADLINE: Final = "quotes"


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Medians of *runs*: events_per_s of quotes alone; of every fold alone and with decompressing before it, of all together."""
    before, state = _begun(flow)
    batches = flow.batches()
    happened = events_of(Market(flow).fresh(), batches)
    _, blocks = sealed(after(before[-1]), batches, happened)
    counted = report.tally(batches, happened)
    seconds: dict[str, list[float]] = {name: [] for name in (*FOLDS, "decompress", "together")}
    rows: dict[str, int] = {}
    for number in range(runs):
        seconds["decompress"].append(_decompress(blocks))
        for name in FOLDS:
            taken, rows[name] = _alone(FOLDS[name](), state[name], blocks)
            seconds[name].append(taken)
        seconds["together"].append(_together(before, blocks))
        show((number + 1) / runs)
    return report.report(
        flow,
        seconds[HEADLINE],
        counted,
        bytes_per_event=bytes_per_event(blocks),
        fold=HEADLINE,
        events_per_s_alone={name: report.rate(counted.events, seconds[name]) for name in FOLDS},
        events_per_s_from_blocks={
            name: report.rate(counted.events, [median(seconds[name]) + median(seconds["decompress"])]) for name in FOLDS
        },
        events_per_s_decompress=report.rate(counted.events, seconds["decompress"]),
        events_per_s_together=report.rate(counted.events, seconds["together"]),
        spread_alone={name: round((max(each) - min(each)) / median(each), 3) for name, each in seconds.items() if name in FOLDS},
        rows_written=rows,
        blocks=len(blocks),
    )


def _begun(flow: Flow) -> tuple[list[Block], dict[str, bytes]]:
    """The blocks of the flow's set-up, and the state of each fold after them."""
    engine, head, blocks = Partition(NUMBER), genesis(NUMBER), list[Block]()
    folds = {name: fold() for name, fold in FOLDS.items()}
    for commands in flow.set_up():
        blocks.append(seal(head, commands, engine.execute(commands), engine.time_ns))
        head = after(blocks[-1])
        columns = Columns(blocks[-1])
        for fold in folds.values():
            fold.fold(columns)
    return blocks, {name: fold.state() for name, fold in folds.items()}


def _decompress(blocks: Sequence[Block]) -> float:
    began = time.perf_counter()
    for block in blocks:
        Columns(block).open()
    return time.perf_counter() - began


def _alone(fold: Fold, state: bytes, blocks: Sequence[Block]) -> tuple[float, int]:
    """Seconds for a fold that goes on from *state*, and the rows that it gave."""
    fold.restore(state)
    seconds, rows = 0.0, 0
    for block in blocks:
        columns = Columns(block)
        columns.open()
        began = time.perf_counter()
        changed = fold.fold(columns)
        seconds += time.perf_counter() - began
        rows += len(changed)
    return seconds, rows


def _together(before: Sequence[Block], blocks: Sequence[Block]) -> float:
    views = Views(NUMBER)
    for block in before:
        views.advance(Columns(block))
    began = time.perf_counter()
    for block in blocks:
        views.advance(Columns(block))
    taken = time.perf_counter() - began
    assert not views.stopped, f"stopped: {views.stopped}"
    return taken
