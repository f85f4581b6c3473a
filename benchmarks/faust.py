"""Views by way of Faust: blocks that lie in Kafka, one worker of views, quotes and depth in Redis.

The worker is held (SIGSTOP) while the record and the topic get the blocks, so that reading, folding and writing are measured and nothing
else. From when it may go on until Redis has the last block in every view. What it read from the record instead is counted: see by_topic.
"""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

import redis

from adapters.cli.progress import Show
from adapters.redis_view import RedisView, connect
from benchmarks import report
from benchmarks.block import bytes_per_event, sealed
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, events_of
from benchmarks.relay import Relayed
from benchmarks.servers import Begun, begun, servers
from benchmarks.workers import Place, Worker, place
from domain.verbs import COMMAND_BYTES
from eventstore.blocks import Block
from eventstore.postgres import PostgresLog
from eventstore.relay import Relay

VIEWS: Final = ("quotes", "depth")
GREETINGS: Final = 5  # blocks at most, until one comes by the topic
GREETED_S: Final = 1.5
LOOK_S: Final = 0.005
PATIENCE_S: Final = 120.0


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Medians of *runs*, each with a new worker on a copy of the record."""
    batches = flow.batches()
    seconds: list[float] = []
    by_topic: list[float] = []
    writes: list[float] = []
    with servers(stack, redis=True) as on, begun(on, flow) as market, closing(connect(on.stack.redis_url)) as client:
        blocks = _made(market, batches)
        cores = Cores()
        for number in range(runs):
            with place(market, on) as where, _emptied(client, market) as views:
                taken, topic, written = _run(where, market, blocks, client, views, cores)
            seconds.append(taken)
            by_topic.append(topic)
            writes.append(written)
            show((number + 1) / runs)
        says = on.says()
    measured = blocks[GREETINGS:]
    counted = report.tally_of(block.rows() for block in measured)
    return report.report(
        flow,
        seconds,
        counted,
        durability=f"{market.durability}; Kafka idempotent, acks=all; Redis as `outcry stack up` sets it",
        bytes_per_event=bytes_per_event(measured),
        blocks_per_s=round(len(measured) / statistics.median(seconds)),
        mb_per_s=round(sum(len(block.payload) for block in measured) / statistics.median(seconds) / 1e6, 1),
        by_topic=min(by_topic),
        writes_per_view=statistics.median(writes),
        views=list(VIEWS),
        blocks=len(measured),
        cores_used=cores.shares(),
        cpu_ns_per_event=cores.ns_each(runs * counted.events),
        servers=says,
    )


def _made(market: Begun, batches: Sequence[bytes]) -> list[Block]:
    """The blocks of the flow, as they follow the set-up in every copy of the record. The first GREETINGS have a command each."""
    with market.record() as dsn, closing(PostgresLog(dsn)) as log:
        head = log.claim(NUMBER)
    cuts = [COMMAND_BYTES * number for number in range(GREETINGS + 1)]
    cut = [*(batches[0][begin:end] for begin, end in pairwise(cuts)), batches[0][cuts[-1] :], *batches[1:]]
    _, blocks = sealed(head, cut, events_of(market.partition(), cut))
    return blocks


def _run(
    where: Place, market: Begun, blocks: Sequence[Block], client: redis.Redis, views: Sequence[RedisView], cores: Cores
) -> tuple[float, float, float]:
    """Seconds; the share of the blocks that came by the topic; how often each view was written."""
    with closing(PostgresLog(where.dsn)) as log, closing(Relayed(Relay(log, where.topic, NUMBER))) as relay:
        log.claim(NUMBER)
        relay.wait(market.seq[NUMBER])
        worker = where.start(command=("worker", "views", "--views", ",".join(VIEWS)))
        where.wait(worker.is_ready, "the worker of views is ready")
        _greet(worker, log, relay, blocks)
        _wait(views, blocks[GREETINGS - 1].seq)
        before, writes = _sources(worker), _positions(client)
        worker.process.send_signal(signal.SIGSTOP)
        for block in blocks[GREETINGS:]:
            log.append(block)
            relay.relay.offer(block)
        relay.wait(blocks[-1].seq)
        with cores.during(where.processes):
            began = time.perf_counter()
            worker.process.send_signal(signal.SIGCONT)
            _wait(views, blocks[-1].seq)
            taken = time.perf_counter() - began
        written = (_positions(client) - writes) / len(views)
        time.sleep(1.0)  # until the worker has observed itself again
        after = _sources(worker)
    came = {source: after[source] - before[source] for source in after}
    return taken, came["topic"] / sum(came.values()), written


def _greet(worker: Worker, log: PostgresLog, relay: Relayed, blocks: Sequence[Block]) -> None:
    """Commit blocks of one command until one of them has come by the topic: from then on the worker reads there."""
    for block in blocks[:GREETINGS]:
        log.append(block)
        relay.relay.offer(block)
        end = time.monotonic() + GREETED_S
        while time.monotonic() < end and not _sources(worker)["topic"]:
            time.sleep(LOOK_S)
    assert _sources(worker)["topic"], f"none of {GREETINGS} blocks came by the topic"


def _wait(views: Sequence[RedisView], seq: int) -> None:
    """Until each of *views* is as of block *seq*. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S
    for view in views:
        while view.status(NUMBER).seq < seq:
            if time.monotonic() > deadline:
                raise TimeoutError(f"view {view.name} is as of block {view.status(NUMBER).seq} after {PATIENCE_S:.0f} s, not {seq}")
            time.sleep(LOOK_S)


def _sources(worker: Worker) -> dict[str, float]:
    """Blocks that the worker's views took in, by where they came from."""
    return {"topic": 0.0, "record": 0.0} | {labels["source"]: blocks for labels, blocks in worker.metrics("outcry_view_blocks")}


def _positions(client: redis.Redis) -> int:
    """Positions that Redis was told, one with each write of a view."""
    return int(cast("dict[str, dict[str, int]]", client.info("commandstats")).get("cmdstat_set", {"calls": 0})["calls"])


@contextmanager
def _emptied(client: redis.Redis, market: Begun) -> Iterator[list[RedisView]]:
    """The views, empty before and after: those of all copies of a record have the same names."""
    views = [RedisView(client, market.cluster, name, 0) for name in VIEWS]
    for view in views:
        view.clear(NUMBER)
    yield views
    for view in views:
        view.clear(NUMBER)
