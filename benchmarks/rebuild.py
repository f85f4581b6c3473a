"""Views made anew from the first block of a record in Postgres, into Redis: quotes again and again, every other one once. Of a record of
more than LONG events it is quotes alone, since others take minutes.

The record is that of `bench archive`: the flow over and over, its session and client order ids and its time going on where they ended; a
book that is half full is emptied. Time is taken from an empty generation until it may be looked at.
"""

from __future__ import annotations

import statistics
import time
from contextlib import closing
from pathlib import Path
from typing import Final, cast

import redis

from adapters.cli.progress import Show
from adapters.redis_view import RedisView, connect
from benchmarks import report
from benchmarks.archive import rounds
from benchmarks.cores import Cores
from benchmarks.flows import Flow
from benchmarks.market import NUMBER
from benchmarks.servers import Begun, begun, servers
from eventstore.blocks import after, seal
from eventstore.postgres import PostgresLog
from projections.embedded import FOLDS
from projections.rebuild import rebuild
from projections.states import Begun as Beginning

EVENTS: Final = 10_000_000
LONG: Final = 20_000_000
HEADLINE: Final = "quotes"
MIX_OF_BLOCKS: Final = 50
REDIS_MB: Final = 2_048


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None, events: int = EVENTS) -> dict[str, object]:
    """Medians of *runs* for quotes; of the other views one run each."""
    seconds: list[float] = []
    others: dict[str, float] = {}
    memory: dict[str, float] = {}
    with (
        servers(stack, kafka=False, redis=True, redis_memory_mb=REDIS_MB) as on,
        begun(on, flow) as market,
        closing(connect(on.stack.redis_url)) as client,
        market.record() as dsn,
        closing(PostgresLog(dsn)) as log,
    ):
        live_orders = _fill(market, log, flow, events)
        there, cores = log.head(NUMBER).next_event, Cores()
        rest = [name for name in FOLDS if name != HEADLINE and there <= LONG]
        steps = runs + len(rest)
        for number in range(runs):
            with cores.during(on.processes):
                taken, memory[HEADLINE] = _rebuilt(client, market, log, HEADLINE, number + 1)
            seconds.append(taken)
            show((number + 1) / steps)
        for number, name in enumerate(rest):
            others[name], memory[name] = _rebuilt(client, market, log, name, 1)
            show((runs + number + 1) / steps)
        counted = report.tally_of(
            block.rows() for block, _ in zip(log.read(NUMBER, market.seq[NUMBER]), range(MIX_OF_BLOCKS), strict=False)
        )
        says = on.says()
    return report.report(
        flow,
        seconds,
        counted,
        durability=market.durability,
        commands_per_s=None,
        trades_per_s=None,
        events_per_s=report.rate(there, seconds),
        rebuild_s=round(statistics.median(seconds), 3),
        events_on_record=there,
        live_orders=live_orders,
        events_per_s_of={name: round(there / taken) for name, taken in others.items()},
        redis_mib_of=memory,
        mix_is_of=f"the first {MIX_OF_BLOCKS} blocks",
        cores_used=cores.shares(),
        servers=says,
    )


def _fill(market: Begun, log: PostgresLog, flow: Flow, events: int) -> int:
    """Write *flow* over and over until *events* are on record; how many orders live then."""
    engine, head = market.partition(), log.claim(NUMBER)
    for commands in rounds(flow, engine):
        block = seal(head, commands, engine.execute(commands), engine.time_ns)
        log.append(block)
        head = after(block)
        if head.next_event >= events:
            break
    return int(engine.state.live_orders)


def _rebuilt(client: redis.Redis, market: Begun, log: PostgresLog, name: str, generation: int) -> tuple[float, float]:
    """Seconds to rebuild a view, and MiB of Redis that it then takes; it is gone afterwards."""
    new, before = RedisView(client, market.cluster, name, generation), _used_mib(client)
    began = time.perf_counter()
    seq = rebuild(NUMBER, Beginning(FOLDS[name](), 0, 0), [log], new)
    taken = time.perf_counter() - began
    assert (new.status(NUMBER).seq, seq) == (log.head(NUMBER).seq,) * 2, "all of the record is in the view"
    used = _used_mib(client) - before
    new.clear(NUMBER)
    client.delete(*cast("list[bytes]", client.keys(f"outcry:{{{market.cluster}:*")))
    return taken, round(used, 1)


def _used_mib(client: redis.Redis) -> float:
    return float(cast("dict[str, int]", client.info("memory"))["used_memory"]) / 2**20
