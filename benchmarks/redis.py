"""From the commit of a block to the moment when a reader in another process sees its prices in Redis, at a steady rate of orders.

A writer in this process commits to PostgreSQL and its relay sends the blocks to Kafka; `outcry worker views` folds quotes from there and
writes them to Redis; the reader asks for a quote again and again, LOOK_S after each answer, and so learns of a block up to LOOK_S late.
All of them, and the servers, share the machine.
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import numpy as np

from adapters.cli.progress import Show
from adapters.redis_view import RedisView, connect
from benchmarks import report
from benchmarks.block import bytes_per_event
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from benchmarks.onlooker import Onlooker
from benchmarks.relay import Relayed
from benchmarks.servers import Begun, begun, servers
from benchmarks.traffic import GATHER_S, paced
from benchmarks.workers import Place, place
from commands.ports import Committed, RowBytes
from eventstore.blocks import Block
from eventstore.postgres import PostgresLog
from eventstore.relay import Relay
from projections.layouts import quote_key

TRADES_PER_S: Final = 200_000
SECONDS: Final = 8.0
WARM_S: Final = 2.0  # not counted: the worker joins its group and finds where it is
LOOK_S: Final = 0.002  # every 0.5 ms would take 0.28 cores from those that are measured, this 0.10
VIEW: Final = "quotes"
PERCENTILES: Final = (50, 90, 99, 99.9, 100)


@dataclass(slots=True)
class Seen:
    """Of one run: seconds from commit to sight of each block that counts; blocks; how long it was sent; how many came by the topic."""

    late: list[float]
    blocks: list[Block]
    seconds: float
    by_topic: float


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None, rate: float | None = None) -> dict[str, object]:
    """Percentiles in ms: medians over *runs* of SECONDS each. rate: orders/s, else as many as make TRADES_PER_S."""
    seen: list[Seen] = []
    with servers(stack, redis=True) as on, begun(on, flow) as market:
        per_s = rate or TRADES_PER_S / market.trades_per_order(flow)
        paced_flow = replace(flow, commands=round(per_s * SECONDS))
        rows, cores = b"".join(paced_flow.batches()), Cores()
        for number in range(runs):
            with place(market, on) as where:
                seen.append(_run(where, market, rows, per_s, cores))
            show((number + 1) / runs)
        says = on.says()
    counted = report.tally_of(block.rows() for block in seen[-1].blocks)
    of_runs = [{f"p{p}": round(float(np.percentile(each.late, p)) * 1e3, 2) for p in PERCENTILES} for each in seen]
    return report.report(
        paced_flow,
        [each.seconds for each in seen],
        counted,
        durability=f"{market.durability}, synchronous_commit on; Kafka idempotent, acks=all; Redis as `outcry stack up` sets it",
        bytes_per_event=bytes_per_event(seen[-1].blocks),
        commit_to_readable_ms={name: statistics.median(each[name] for each in of_runs) for name in of_runs[0]},
        commit_to_readable_ms_of_runs=of_runs,
        orders_per_s_asked=round(per_s),
        by_topic=min(each.by_topic for each in seen),
        commands_per_block=round(counted.commands / len(seen[-1].blocks), 1),
        ran="writer and relay in this process; PostgreSQL, Kafka, Redis; `outcry worker views --views quotes`; a reader",
        gathered_ms=1e3 * GATHER_S,
        looks_every_ms=1e3 * LOOK_S,
        not_counted_s=WARM_S,
        cores_used=cores.shares(),
        servers=says,
    )


def _run(where: Place, market: Begun, rows: bytes, per_s: float, cores: Cores) -> Seen:
    committed: list[tuple[int, float]] = []
    with closing(connect(where.on.stack.redis_url)) as client, closing(PostgresLog(where.dsn)) as log:
        view = RedisView(client, where.cluster, VIEW, 0)
        view.clear(NUMBER)  # all copies of a record have views of the same names
        with closing(Relayed(Relay(log, where.topic, NUMBER))) as relay:

            def on_commit(block: Block, _rows: RowBytes, _took_s: float) -> None:
                committed.append((block.seq, time.perf_counter()))
                relay.relay.offer(block)

            worker = where.start(command=("worker", "views", "--views", VIEW))
            relay.wait(market.seq[NUMBER])
            where.wait(worker.is_ready, "the worker of views is ready")
            with (
                market.writer(log, on_commit=on_commit) as writer,
                Onlooker[tuple[int, float]](_look, where.on.stack.redis_url, where.cluster) as reader,
                cores.during(where.processes),
            ):
                last: list[Future[Committed]] = []

                def send(batch: bytes) -> None:
                    last[:] = [writer.put(batch)]

                began = paced(rows, per_s, send)
                last[0].result()
                seconds = time.perf_counter() - began
                seen = reader.until(writer.head.seq)
            time.sleep(1.0)  # until the worker has observed itself again
            came = {labels["source"]: blocks for labels, blocks in worker.metrics("outcry_view_blocks")}
        blocks = list(log.read(NUMBER, market.seq[NUMBER]))
        view.clear(NUMBER)
    return Seen(_late(committed, seen, began + WARM_S), blocks, seconds, came.get("topic", 0.0) / max(1.0, sum(came.values())))


def _late(committed: list[tuple[int, float]], seen: list[tuple[int, float]], from_s: float) -> list[float]:
    """Seconds from the commit of each block after *from_s* until a reader saw a position that was as far."""
    positions, moments = np.array([seq for seq, _ in seen]), np.array([moment for _, moment in seen])
    counted = [(seq, moment) for seq, moment in committed if moment >= from_s]
    assert counted, "nothing was committed after the first seconds"
    first = np.searchsorted(positions, [seq for seq, _ in counted])
    late: list[float] = np.maximum(moments[first] - [moment for _, moment in counted], 0.0).tolist()
    return late


def _look(url: str, cluster: str, pipe: Connection) -> None:
    view, key = RedisView(connect(url), cluster, VIEW), quote_key(NUMBER)
    seen: list[tuple[int, float]] = [(-1, 0.0)]
    until = None
    pipe.send("ready")
    while until is None or seen[-1][0] < until:
        _, seq = view.read(key, NUMBER)
        if seq != seen[-1][0]:
            seen.append((seq, time.perf_counter()))
        if until is None and pipe.poll():
            until = pipe.recv()
        time.sleep(LOOK_S)
    pipe.send(seen)
