"""The whole way round: batches in through Kafka, a worker, PostgreSQL, Kafka, answers to the client; checked by an oracle.

From the first batch sent to the last acknowledged. The client sends as fast as it can, and learns of outcomes as any client does: it reads
and opens the blocks. Afterwards the record must have each command once, and each acknowledged one in the block that its sender was told.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, execute
from benchmarks.servers import begun, servers
from benchmarks.traffic import GREETING_BLOCKS, Traffic, check
from benchmarks.workers import Place, place
from eventstore.blocks import Block
from eventstore.postgres import PostgresLog

DURABILITY = "{}, synchronous_commit on; Kafka idempotent, acks=all, both ways"


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Medians of *runs*; in each the kernel alone, then the way round with a new worker on a new record."""
    batches = flow.batches()
    kernel: list[float] = []
    round_: list[float] = []
    blocks: list[Block] = []
    with servers(stack) as on, begun(on, flow, snapshots=True) as market:
        cores = Cores()
        for number in range(runs):
            kernel.append(execute(market.partition(), batches))
            with place(market, on) as where:
                round_.append(burst(where, batches, market.seq[NUMBER], cores))
                with closing(PostgresLog(where.dsn)) as log:
                    blocks = list(log.read(NUMBER, market.seq[NUMBER] + GREETING_BLOCKS))
            show((number + 1) / runs)
        says = on.says()
    counted = report.tally_of(block.rows() for block in blocks)
    return report.report(
        flow,
        round_,
        counted,
        durability=DURABILITY.format(market.durability),
        bytes_per_event=bytes_per_event(blocks),
        kernel_commands_per_s=report.rate(flow.commands, kernel),
        ratio=report.median_ratio(kernel, round_),
        oracle="each command once in the record, each acknowledged one in the block that its sender was told",
        blocks=len(blocks),
        cores_used=cores.shares(),
        cpu_ns_per_command=cores.ns_each(runs * counted.commands),
        servers=says,
    )


def burst(where: Place, batches: Sequence[bytes], begun_seq: int, cores: Cores) -> float:
    """Seconds from the first of *batches* sent to the last acknowledged, by a worker that is started here; then the oracle has a look."""
    serving(where, begun_seq)
    with closing(Traffic(where)) as traffic, cores.during(where.processes):
        began = time.perf_counter()
        for batch in batches:
            traffic.send(batch)
        told = traffic.finish()
        taken = max(traffic.answered) - began
    with closing(PostgresLog(where.dsn)) as log:
        check(log, begun_seq, sum(len(batch) for batch in batches) // 128, told)
    return taken


def serving(where: Place, begun_seq: int) -> None:
    """Start a worker; it owns the partition, and block *begun_seq* is in the topic, when this returns."""
    where.start()
    where.wait(lambda: where.owner(NUMBER) is not None, "the worker owns the partition")
    where.wait(lambda: (tail := where.topic.tail(NUMBER)) is not None and tail.seq >= begun_seq, "the set-up is relayed")
