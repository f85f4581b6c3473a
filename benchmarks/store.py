"""Appending sealed blocks to a SQLite file, each durable before the next: WAL, synchronous FULL."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event, sealed
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, Market, events_of
from eventstore.blocks import Block
from eventstore.sqlite import SqliteLog


def durability(folder: Path) -> str:
    """What a commit means here: the setting, and on which kind of file system (on tmpfs nothing is durable)."""
    return f"SQLite WAL, synchronous=FULL, one block a commit, on {filesystem(folder)}"


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Median of *runs*, each into a new file."""
    batches = flow.batches()
    happened = events_of(Market(flow).fresh(), batches)
    seconds: list[float] = []
    each: list[float] = []
    blocks: list[Block] = []
    with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder:
        for number in range(runs):
            with closing(SqliteLog(Path(folder, f"{number}.sqlite"))) as log:
                _, blocks = sealed(log.claim(NUMBER), batches, happened)
                times = appended(log, blocks)
            seconds.append(sum(times))
            each += times
            show((number + 1) / runs)
        file_bytes = Path(folder, "0.sqlite").stat().st_size
        meaning = durability(Path(folder))
    counted = report.tally(batches, happened)
    size = sum(len(block.payload) for block in blocks)
    return report.report(
        flow,
        seconds,
        counted,
        durability=meaning,
        bytes_per_event=bytes_per_event(blocks),
        file_bytes_per_event=round(file_bytes / counted.events, 2),
        mb_per_s=round(size / statistics.median(seconds) / 1e6, 1),
        blocks=len(blocks),
        ms_per_block=round(1e3 * statistics.median(each), 3),
        ms_per_block_slowest=round(1e3 * max(each), 3),
    )


def appended(log: SqliteLog, blocks: Sequence[Block]) -> list[float]:
    """Seconds that each append took."""
    times = []
    for block in blocks:
        began = time.perf_counter()
        log.append(block)
        times.append(time.perf_counter() - began)
    return times


_MOUNTS: Final = Path("/proc/mounts")


def filesystem(folder: Path) -> str:
    """The type of the file system that *folder* is on, as far as the system tells."""
    if not _MOUNTS.exists():
        return "an unknown file system"
    mounts = [line.split()[1:3] for line in _MOUNTS.read_text().splitlines()]
    at = folder.resolve()
    return max((point, kind) for point, kind in mounts if at.is_relative_to(point))[1]
