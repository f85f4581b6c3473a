"""The relay: blocks of the record into an empty topic, as fast as it can; then beside the writer who makes them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.block import bytes_per_event
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from benchmarks.servers import Begun, Servers, begun, servers
from eventstore import topics, wire
from eventstore.blocks import Block
from eventstore.kafka import BlocksTopic
from eventstore.postgres import PostgresLog
from eventstore.relay import Relay

PATIENCE_S: Final = 300.0
LOOK_S: Final = 0.001


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None) -> dict[str, object]:
    """Medians of *runs*: events/s of the relay alone from the record; with_writer: both at once."""
    batches = flow.batches()
    alone: list[float] = []
    beside: list[tuple[float, float, int]] = []
    blocks: list[Block] = []
    with servers(stack) as on, begun(on, flow) as market:
        cores, cores_beside = Cores(), Cores()
        for number in range(runs):
            with market.record() as dsn, closing(PostgresLog(dsn)) as log:
                with on.topics() as prefix:
                    beside.append(_beside_the_writer(market, log, batches, _topic(on, market, prefix), cores_beside, on))
                with on.topics() as prefix:
                    alone.append(_alone(log, _topic(on, market, prefix), cores, on))
                blocks = list(log.read(NUMBER))
            show((number + 1) / runs)
        says = on.says()
    counted = report.tally_of(block.rows() for block in blocks)
    median = statistics.median(alone)
    flowed = sum(block.event_count for block in blocks if block.seq > market.seq[NUMBER])
    wrote, drained = ([each[k] for each in beside] for k in (0, 1))
    return report.report(
        flow,
        alone,
        counted,
        durability=f"{market.durability}; Kafka idempotent, acks=all",
        bytes_per_event=bytes_per_event(blocks),
        blocks_per_s=round(len(blocks) / median),
        mb_per_s=round(sum(len(wire.encode(block)) for block in blocks) / median / 1e6, 1),
        with_writer={
            "writer_events_per_s": report.rate(flowed, wrote),
            "relay_events_per_s": report.rate(flowed, drained),
            "lag_blocks_when_the_writer_ends": statistics.median(each[2] for each in beside),
            "ms_behind_the_writer": round(1e3 * (statistics.median(drained) - statistics.median(wrote)), 1),
            "cores_used": cores_beside.shares(),
        },
        blocks=len(blocks),
        cores_used=cores.shares(),
        cpu_ns_per_command=cores.ns_each(runs * counted.commands),
        servers=says,
    )


def _alone(log: PostgresLog, topic: BlocksTopic, cores: Cores, on: Servers) -> float:
    """Seconds from the start of a relay that finds an empty topic until the brokers have every block of the record."""
    end = log.head(NUMBER).seq
    began = time.perf_counter()
    with closing(Relayed(Relay(log, topic, NUMBER))) as relay, cores.during(on.processes):
        relay.wait(end)
        return time.perf_counter() - began


def _beside_the_writer(
    market: Begun, log: PostgresLog, batches: Sequence[bytes], topic: BlocksTopic, cores: Cores, on: Servers
) -> tuple[float, float, int]:
    """Seconds until the writer, and until the relay, had done *batches*; how many blocks the brokers lacked when the writer had."""
    with closing(Relayed(Relay(log, topic, NUMBER))) as relay:
        relay.wait(market.seq[NUMBER])
        with market.writer(log, on_commit=lambda block, _events, _took_s: relay.relay.offer(block)) as writer, cores.during(on.processes):
            began = time.perf_counter()
            writer.write_all(batches)
            wrote, lag = time.perf_counter() - began, relay.relay.lag
            relay.wait(writer.head.seq)
            return wrote, time.perf_counter() - began, lag


def relay_all(log: PostgresLog, topic: BlocksTopic) -> None:
    """Have the whole record in the topic."""
    with closing(Relayed(Relay(log, topic, NUMBER))) as relay:
        relay.wait(log.head(NUMBER).seq)


class Relayed:
    """A relay that is closed without waiting, and may be waited for."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        relay.start()

    def wait(self, seq: int) -> None:
        """Until the brokers have block *seq*. Raises what ended the relay; TimeoutError."""
        deadline = time.monotonic() + PATIENCE_S
        while self.relay.seq < seq:
            if self.relay.failure is not None:
                raise self.relay.failure
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"the relay has not sent block {seq} after {PATIENCE_S:.0f} s: {self.relay.trouble or 'no reason known'}"
                )
            time.sleep(LOOK_S)

    def close(self) -> None:
        """End it."""
        self.relay.close(0)


def _topic(on: Servers, market: Begun, prefix: str) -> BlocksTopic:
    return BlocksTopic(on.stack.kafka_bootstrap, market.cluster, prefix + topics.BLOCKS)
