"""Two partitions on two workers against one on one: whether anything is shared that would keep them from running side by side.

A worker alone keeps more than one core busy (one thread decides, another compresses and commits), so each is pinned to one core: the first
to the first, the second to the next, and the lone worker to the first. Servers and the client run wherever the system puts them. On a
machine of two cores they therefore take from the workers' cores, and have more to do for two: the ratio then says as much of the servers as
of the workers, and cores_used says how much. On more cores it says what it means to.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import psycopg

from adapters.cli.progress import Show
from adapters.kafka_client import CommandsTopic
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from benchmarks.servers import Begun, Servers, begun, servers
from benchmarks.stack import DURABILITY
from benchmarks.workers import Place, place
from commands import batch as door
from commands.codec import to_row
from commands.messages import TickClock
from eventstore.postgres import PostgresLog

TWO: Final = 2
_COMMITTED: Final = "SELECT coalesce(sum(command_count), 0) FROM outcry.blocks WHERE part = %s AND seq > %s"


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Medians of *runs*; in each one partition on one worker, then two on two: *flow* into each, as fast as they take it."""
    wire = [door.encode(batch) for batch in flow.batches()]
    one: list[float] = []
    two: list[float] = []
    cores_one, cores_two = Cores(), Cores()
    with servers(stack, partitions=TWO) as on, begun(on, flow, partitions=TWO, snapshots=True) as market:
        for number in range(runs):
            one.append(_run(market, on, wire, 1, cores_one))
            two.append(_run(market, on, wire, TWO, cores_two))
            show((number + 1) / runs)
        with market.record() as dsn, closing(PostgresLog(dsn)) as log, market.writer(log) as writer:
            writer.write_all(flow.batches())
            counted = report.tally_of(block.rows() for block in log.read(NUMBER, market.seq[NUMBER]))
        says = on.says()
    both = report.Tally(TWO * counted.commands, TWO * counted.events, TWO * counted.trades, counted.mix)
    return report.report(
        flow,
        two,
        both,
        durability=DURABILITY.format(market.durability),
        one_commands_per_s=report.rate(counted.commands, one),
        ratio=round(TWO * report.median_ratio(one, two), 3),
        ran_on={**{f"worker {k + 1}": sorted(_core_of(k)) for k in range(TWO)}, "servers and client": sorted(os.sched_getaffinity(0))},
        cores_used={"one": cores_one.shares(), "two": cores_two.shares()},
        servers=says,
    )


def _run(market: Begun, on: Servers, wire: Sequence[bytes], count: int, cores: Cores) -> float:
    """Seconds from the first batch sent until *wire* is on record in each of *count* partitions, each owned by a worker of its own."""
    numbers = range(NUMBER, NUMBER + count)
    with place(market, on, count) as where:
        for k in range(count):
            where.start(_core_of(k))
        where.wait(lambda: len({where.owner(number) for number in numbers} - {None}) == count, "each partition has a worker of its own")
        with closing(CommandsTopic(on.stack.kafka_bootstrap, prefix=where.prefix)) as topic, cores.during(where.processes):
            for number in numbers:  # the first record of a new producer takes half a second
                topic.send(number, door.encode(to_row(TickClock(received_ns=1))))
            _wait_recorded(where, market, numbers, 1)
            began = time.perf_counter()
            for batch in wire:
                for number in numbers:
                    topic.send(number, batch)
            _wait_recorded(where, market, numbers, 1 + sum((len(batch) - door.HEADER.size) // 128 for batch in wire))
            return time.perf_counter() - began


def _wait_recorded(where: Place, market: Begun, numbers: range, commands: int) -> None:
    """Until *commands* are on record in each partition since its set-up."""
    with psycopg.connect(where.dsn, autocommit=True) as db:

        def recorded(number: int) -> bool:
            return db.execute(_COMMITTED, (number, market.seq[number])).fetchone() == (commands,)

        where.wait(lambda: all(recorded(number) for number in numbers), "all commands are on record")


def _core_of(worker: int) -> set[int]:
    """Which core worker number *worker*, from 0, may use."""
    ours = sorted(os.sched_getaffinity(0))
    return {ours[worker % len(ours)]}
