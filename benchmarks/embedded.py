"""The whole embedded path, by the writer that the product uses, against the kernel alone in the same run.

From the bytes of a batch to its acknowledgement: decode and check, execute, encode, compress, hash, commit to SQLite.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event, sealed
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, execute
from benchmarks.store import appended, durability
from commands import batch as door
from commands.writer import Writer
from domain.partition import Partition
from eventstore.blocks import Block
from eventstore.memory import MemorySnapshots
from eventstore.ports import Snapshot
from eventstore.sqlite import SqliteLog


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Medians of *runs*; in each the path, then its stages alone and one after the other, from the same state."""
    wire = [door.encode(batch) for batch in flow.batches()]
    seconds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="outcry-bench-") as folder:
        begun = _Begun(flow, Path(folder))
        blocks: list[Block] = []
        for number in range(runs):
            taken, blocks = _path(begun, wire)
            seconds["path"].append(taken)
            for stage, taken in _stages(begun, wire):
                seconds[stage].append(taken)
            show((number + 1) / runs)
        meaning = durability(Path(folder))
    rows = [block.rows() for block in blocks]
    counted = report.tally([commands for commands, _ in rows], [events for _, events in rows])
    assert counted.commands == flow.commands, "all of the flow is in the record"
    path, kernel = seconds["path"], seconds["execute"]
    each_ns = {stage: round(1e9 * statistics.median(taken) / counted.commands) for stage, taken in seconds.items()}
    return report.report(
        flow,
        path,
        counted,
        durability=meaning,
        bytes_per_event=bytes_per_event(blocks),
        kernel_commands_per_s=round(counted.commands / statistics.median(kernel)),
        ratio=report.median_ratio(kernel, path),
        ns_per_command=each_ns,
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


def _stages(begun: _Begun, wire: Sequence[bytes]) -> Iterator[tuple[str, float]]:
    """Each stage and the seconds that it takes for all of *wire*, with nothing beside it."""
    began = time.perf_counter()
    batches = [door.decode(each).rows for each in wire]
    yield "decode", time.perf_counter() - began
    taken, happened = execute(begun.partition(), batches)
    yield "execute", taken
    with begun.record() as log:
        taken, blocks = sealed(log.claim(NUMBER), batches, happened)
        yield "block", taken
        yield "store", sum(appended(log, blocks))
