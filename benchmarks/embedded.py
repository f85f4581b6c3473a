"""The whole embedded path, by the writer that the product uses, against the kernel alone in the same run.

From the bytes of a batch to its acknowledgement: decode and check, execute, encode, compress, hash, commit to SQLite.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, execute
from benchmarks.store import durability
from commands import batch as door
from commands.writer import Writer
from domain.partition import Partition
from eventstore.blocks import Block, after, seal
from eventstore.memory import MemorySnapshots
from eventstore.ports import Snapshot
from eventstore.sqlite import SqliteLog

STAGES: Final = ("decode", "execute", "block", "store")


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Medians of *runs*; in each the kernel alone, the path, then the path's stages one after the other, from the same state."""
    batches = flow.batches()
    wire = [door.encode(batch) for batch in batches]
    kernel: list[float] = []
    path: list[float] = []
    stages: list[list[float]] = []
    blocks: list[Block] = []
    with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder:
        begun = _Begun(flow, Path(folder))
        for number in range(runs):
            kernel.append(execute(begun.partition(), batches))
            taken, blocks = _path(begun, wire)
            path.append(taken)
            stages.append(_stages(begun, wire))
            show((number + 1) / runs)
        meaning = durability(Path(folder))
    rows = [block.rows() for block in blocks]
    counted = report.tally([commands for commands, _ in rows], [events for _, events in rows])
    assert counted.commands == flow.commands, "all of the flow is in the record"
    alone = zip(STAGES, zip(*stages, strict=True), strict=True)
    return report.report(
        flow,
        path,
        counted,
        durability=meaning,
        bytes_per_event=bytes_per_event(blocks),
        kernel_commands_per_s=report.rate(counted.commands, kernel),
        ratio=report.median_ratio(kernel, path),
        stages_ns_per_command={stage: round(1e9 * statistics.median(taken) / counted.commands) for stage, taken in alone},
        blocks=len(blocks),
    )


class _Begun:
    """A record in which the flow's set-up is done, copied for each run."""

    def __init__(self, flow: Flow, folder: Path) -> None:
        self._folder = folder
        self._origin = folder / "begun.sqlite"
        self._snapshots = MemorySnapshots()
        with closing(SqliteLog(self._origin)) as log, Writer(log, self._snapshots, NUMBER) as writer:
            writer.write_all(flow.set_up())

    @contextmanager
    def record(self) -> Iterator[SqliteLog]:
        """A record of one's own, gone afterwards."""
        path = self._folder / "run.sqlite"
        shutil.copy(self._origin, path)
        with closing(SqliteLog(path)) as log:
            yield log
        for left in self._folder.glob("run.sqlite*"):
            left.unlink()

    def writer(self, log: SqliteLog) -> Writer:
        """The writer of such a record, ready. It keeps no snapshot that a later run would begin from."""
        snapshots = MemorySnapshots()
        snapshots.save(self._snapshot())
        return Writer(log, snapshots, NUMBER, snapshot_every_events=2**62)

    def partition(self) -> Partition:
        """The state in which the flow begins."""
        return Partition.restore(self._snapshot().state)

    def _snapshot(self) -> Snapshot:
        kept = self._snapshots.latest(NUMBER)
        assert kept is not None, "the writer kept one when it was closed"
        return kept


def _path(begun: _Begun, wire: Sequence[bytes]) -> tuple[float, list[Block]]:
    """Seconds until all of *wire* is decoded, executed, committed and acknowledged, and the blocks."""
    with begun.record() as log:
        with begun.writer(log) as writer:
            before = log.head(NUMBER).seq
            began = time.perf_counter()
            writer.write_all(door.decode(each).rows for each in wire)
            taken = time.perf_counter() - began
        return taken, list(log.read(NUMBER, before))


def _stages(begun: _Begun, wire: Sequence[bytes]) -> list[float]:
    """Seconds that each stage takes for all of *wire* in one thread, where nothing overlaps."""
    partition = begun.partition()
    seconds = [0.0] * len(STAGES)
    with begun.record() as log:
        head = log.claim(NUMBER)
        for each in wire:
            moments = [time.perf_counter()]
            rows = door.decode(each).rows
            moments.append(time.perf_counter())
            events = partition.execute(rows)
            moments.append(time.perf_counter())
            block = seal(head, rows, events, partition.time_ns)
            moments.append(time.perf_counter())
            log.append(block)
            moments.append(time.perf_counter())
            head = after(block)
            seconds = [total + end - begin for total, begin, end in zip(seconds, moments, moments[1:], strict=False)]
    return seconds
