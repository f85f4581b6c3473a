"""From the moment an order was due to be sent to the moment its sender knows that it is durable, at a steady rate.

Open loop: orders are due at fixed times, whatever became of those before, and time counts from then; so a stall is felt by all who would
have come during it. What falls due within a millisecond goes as one batch, as a door does it, and waiting for that counts too.

process  into the inbox of a writer over PostgreSQL in this process, which keeps its snapshots there, as often as the product does
kafka    through Kafka to a worker, and back from the topic of blocks
"""

from __future__ import annotations

import mmap
import statistics
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped] # ships no types

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from benchmarks.servers import Begun, Servers, begun, servers
from benchmarks.stack import DURABILITY, burst, serving
from benchmarks.traffic import GATHER_S, GREETING_BLOCKS, Traffic, check, paced
from benchmarks.workers import Place, place
from commands.ports import Committed
from commands.writer import Writer
from domain.verbs import COMMAND_BYTES
from eventstore.blocks import Block
from eventstore.postgres import PostgresLog
from eventstore.postgres_snapshots import PostgresSnapshots

SECONDS: Final = 8.0
WARM_S: Final = 1.0  # not counted: first use of everything
PERCENTILES: Final = (50, 90, 99, 99.9)
HIGHEST_US: Final = 600_000_000
DIGITS: Final = 3

Answers = list[tuple[int, float]]
"""Up to which order, and when they were answered."""


def run(
    flow: Flow, runs: int, show: Show, *, stack: Path | None = None, rate: float | None = None, through: str = "process"
) -> dict[str, object]:
    """Percentiles in ms: medians over *runs* of SECONDS each; max is that of all of them. rate: orders/s, else a third of the capacity."""
    measured: list[dict[str, float]] = []
    seconds: list[float] = []
    cores = Cores()
    blocks: list[Block] = []
    with servers(stack, kafka=through == "kafka") as on, begun(on, flow, snapshots=True) as market:
        capacity = _capacity(flow, on, market, through)
        per_s = rate or capacity / 3
        paced_flow = replace(flow, commands=max(2, round(per_s * SECONDS)))
        rows = _apart(paced_flow.batches())
        for number in range(runs):
            if through == "kafka":
                with place(market, on) as where:
                    serving(where, market.seq[NUMBER])
                    began, answers = _through_kafka(where, rows, per_s, market, cores)
                    blocks = _blocks(where.dsn, market.seq[NUMBER] + GREETING_BLOCKS)
            else:
                with market.record() as dsn:
                    began, answers = _in_process(dsn, rows, per_s, cores, on)
                    blocks = _blocks(dsn, market.seq[NUMBER])
            measured.append(percentiles(began, answers, per_s))
            seconds.append(answers[-1][1] - began)
            show((number + 1) / runs)
        says = on.says()
    counted = report.tally_of(block.rows() for block in blocks)
    return report.report(
        paced_flow,
        seconds,
        counted,
        durability=DURABILITY.format(market.durability) if through == "kafka" else f"{market.durability}, synchronous_commit on",
        through=through,
        rate_per_s=round(per_s),
        capacity_commands_per_s=round(capacity),
        latency_ms={name: statistics.median(run[name] for run in measured) for name in measured[0]}
        | {"max": max(run["max"] for run in measured)},
        latency_ms_of_runs=measured,
        gathered_ms=1e3 * GATHER_S,
        not_counted_s=WARM_S,
        commands_per_block=round(counted.commands / len(blocks), 1),
        cores_used=cores.shares(),
        servers=says,
    )


def _apart(batches: list[bytes]) -> mmap.mmap:
    """The client's orders, in memory that a fork of the writer's process does not look at: a client is another process."""
    rows = mmap.mmap(-1, sum(map(len, batches)))
    for batch in batches:
        rows.write(batch)
    return rows


def _capacity(flow: Flow, on: Servers, market: Begun, through: str) -> float:
    """Commands/s that go through when they are sent as fast as they can be, in full batches."""
    batches = flow.batches()
    if through == "kafka":
        with place(market, on) as where:
            return flow.commands / burst(where, batches, market.seq[NUMBER], Cores())
    with market.record() as dsn, closing(PostgresLog(dsn)) as log, market.writer(log) as writer:
        began = time.perf_counter()
        writer.write_all(batches)
        return flow.commands / (time.perf_counter() - began)


def _in_process(dsn: str, rows: mmap.mmap, rate: float, cores: Cores, on: Servers) -> tuple[float, Answers]:
    answers: Answers = []
    sent = 0
    with closing(PostgresLog(dsn)) as log, Writer(log, PostgresSnapshots(dsn), NUMBER) as writer, cores.during(on.processes):

        def send(batch: bytes) -> None:
            nonlocal sent
            sent += len(batch) // COMMAND_BYTES
            until = sent

            def answered(future: Future[Committed]) -> None:
                answers.append((until, time.perf_counter()))
                future.result()

            last[:] = [writer.put(batch)]
            last[0].add_done_callback(answered)

        last: list[Future[Committed]] = []
        began = paced(rows, rate, send)
        last[0].result()
    return began, sorted(answers)


def _through_kafka(where: Place, rows: mmap.mmap, rate: float, market: Begun, cores: Cores) -> tuple[float, Answers]:
    until: list[int] = []
    with closing(Traffic(where)) as traffic, cores.during(where.processes):

        def send(batch: bytes) -> None:
            until.append((until[-1] if until else 0) + len(batch) // COMMAND_BYTES)
            traffic.send(batch)

        began = paced(rows, rate, send)
        told = traffic.finish()
    with closing(PostgresLog(where.dsn)) as log:
        check(log, market.seq[NUMBER], until[-1], told)
    return began, list(zip(until, traffic.answered, strict=True))


def percentiles(began: float, answers: Answers, rate: float) -> dict[str, float]:
    """In ms, of the orders that were due after WARM_S (of all, when there are no others)."""
    until = np.array([order for order, _ in answers])
    late = np.repeat([moment for _, moment in answers], np.diff(until, prepend=0)) - (began + np.arange(until[-1]) / rate)
    counted = late[round(WARM_S * rate) :] if len(late) > 2 * WARM_S * rate else late
    histogram = HdrHistogram(1, HIGHEST_US, DIGITS)
    for value, times in zip(*np.unique(np.maximum(1, (1e6 * counted).round()).astype(int), return_counts=True), strict=True):
        histogram.record_value(int(value), int(times))
    ms = {f"p{percentile}": histogram.get_value_at_percentile(percentile) / 1e3 for percentile in PERCENTILES}
    return ms | {"max": histogram.get_max_value() / 1e3}


def _blocks(dsn: str, after_seq: int) -> list[Block]:
    with closing(PostgresLog(dsn)) as log:
        return list(log.read(NUMBER, after_seq))
