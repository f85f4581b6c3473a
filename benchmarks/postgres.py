"""The durable path over PostgreSQL, by the writer that the product uses, against the kernel alone in the same run.

From the bytes of a batch to its acknowledgement: decode and check, execute, encode, compress, hash, commit. Beside it the same with fsync
off, which is no durability, so that nobody mistakes one for the other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from pathlib import Path

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event
from benchmarks.cores import Cores, Roots
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, execute
from benchmarks.servers import Begun, begun, servers
from commands import batch as door
from eventstore.blocks import Block
from eventstore.postgres import PostgresLog


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Medians of *runs*; in each the kernel alone, the durable path, and the path with fsync off (not on the servers of *stack*)."""
    batches = flow.batches()
    wire = [door.encode(batch) for batch in batches]
    kernel: list[float] = []
    path: list[float] = []
    unsafe: list[float] = []
    commits: list[float] = []
    blocks: list[Block] = []
    with servers(stack, kafka=False) as on, begun(on, flow) as market:
        cores = Cores()
        for number in range(runs):
            kernel.append(execute(market.partition(), batches))
            taken, blocks = _path(market, wire, commits, cores, on.processes)
            path.append(taken)
            if on.own:
                on.set_fsync(on=False)
                unsafe.append(_path(market, wire, [])[0])
                on.set_fsync(on=True)
            show((number + 1) / runs)
        says = on.says()
    counted = report.tally_of(block.rows() for block in blocks)
    assert counted.commands == flow.commands, "all of the flow is in the record"
    without: dict[str, object] = {}
    if unsafe:
        without = {"fsync_off_commands_per_s": report.rate(flow.commands, unsafe), "fsync_off_faster": report.median_ratio(path, unsafe)}
    return report.report(
        flow,
        path,
        counted,
        durability=f"{market.durability}, synchronous_commit on, one block a commit",
        bytes_per_event=bytes_per_event(blocks),
        kernel_commands_per_s=report.rate(flow.commands, kernel),
        ratio=report.median_ratio(kernel, path),
        **without,
        blocks=len(blocks),
        ms_per_commit=round(1e3 * sorted(commits)[len(commits) // 2], 3),
        ms_per_commit_slowest=round(1e3 * max(commits), 3),
        mb_per_s=round(sum(len(block.payload) for block in blocks) / sorted(path)[len(path) // 2] / 1e6, 1),
        cores_used=cores.shares(),
        cpu_ns_per_command=cores.ns_each(runs * counted.commands),
        servers=says,
    )


def _path(
    market: Begun, wire: Sequence[bytes], commits: list[float], cores: Cores | None = None, processes: Roots = list
) -> tuple[float, list[Block]]:
    """Seconds until all of *wire* is decoded, executed, committed and acknowledged, and the blocks; commits: seconds of each."""
    with market.record() as dsn, closing(PostgresLog(dsn, i_know_this_loses_data=cores is None)) as log:
        writer = market.writer(log, on_commit=lambda _block, _events, took_s: commits.append(took_s))
        with writer, cores.during(processes) if cores else nullcontext():
            began = time.perf_counter()
            writer.write_all(door.decode(each).rows for each in wire)
            taken = time.perf_counter() - began
        return taken, list(log.read(NUMBER, market.seq[NUMBER])) if cores else []
