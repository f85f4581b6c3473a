"""From the commit of a block to the moment when a reader in another process has its alerts from the stream, at a steady rate of orders.

A writer in this process commits to PostgreSQL and its relay sends the blocks to Kafka; `outcry worker alerts` evaluates 100,000 rules over
them and writes what fires to Redis; the reader waits at the stream. All of them, and the servers, share the machine.

Rules: nine in ten wait for a price within a half of the middle, which must go back by 200 ticks, more than it does in this flow, where
each trade is up to 100 ticks from the one before; moves must go back by as much, 2 %. Some fire in nearly every block, which no user's
would: OFTEN prices that are crossed all the time, with a hysteresis of 25 ticks, and every fill of OFTEN accounts in 64. That is about one
alert a rule and minute (`alerts_per_s`). The others wait for volumes, spreads, balances.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import numpy as np
import psycopg

from adapters.alerts.stream import AlertStream, stream_key
from adapters.cli.progress import Show
from adapters.redis_view import connect
from adapters.stack.postgres import MIGRATOR
from benchmarks import report
from benchmarks.block import bytes_per_event
from benchmarks.cores import Cores
from benchmarks.flows import BASE, MIDDLE_TICKS, NEAR_TICKS, QUOTE, Flow
from benchmarks.market import NUMBER
from benchmarks.onlooker import Onlooker
from benchmarks.relay import Relayed
from benchmarks.servers import Begun, Servers, begun, servers
from benchmarks.traffic import GATHER_S, paced
from benchmarks.workers import Place, place
from commands.ports import Committed, RowBytes
from eventstore.blocks import Block
from eventstore.postgres import PostgresLog
from eventstore.relay import Relay
from projections.alert_rules import WINDOWS_S, Rule, check

RULES: Final = 100_000
TRADES_PER_S: Final = 100_000
SECONDS: Final = 8.0
WARM_S: Final = 2.0  # not counted: the worker joins its group and finds where it is
READ_MS: Final = 1_000
OFTEN: Final = 2  # rules of a price, and of fills, that fire in nearly every block
PERCENTILES: Final = (50, 90, 99, 99.9, 100)


@dataclass(slots=True)
class Seen:
    """Of one run: seconds from commit to sight of each block with alerts that counts; alerts; blocks; how long it was sent."""

    late: list[float]
    alerts: int
    blocks: list[Block]
    seconds: float


def run(
    flow: Flow, runs: int, show: Show, *, stack: Path | None = None, rate: float | None = None, rules: int = RULES
) -> dict[str, object]:
    """Percentiles in ms: medians over *runs* of SECONDS each. rate: orders/s, else as many as make TRADES_PER_S."""
    seen: list[Seen] = []
    with servers(stack, redis=True) as on, begun(on, flow) as market:
        per_s = rate or TRADES_PER_S / market.trades_per_order(flow)
        paced_flow = replace(flow, commands=round(per_s * SECONDS))
        rows, cores = b"".join(paced_flow.batches()), Cores()
        for number in range(runs):
            with place(market, on) as where:
                _put_in_force(on, where, market.seq[NUMBER], list(_rules(rules, flow)))
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
        rules=rules,
        alerts_per_s=round(statistics.median(each.alerts / each.seconds for each in seen)),
        commit_to_stream_ms={name: statistics.median(each[name] for each in of_runs) for name in of_runs[0]},
        commit_to_stream_ms_of_runs=of_runs,
        orders_per_s_asked=round(per_s),
        commands_per_block=round(counted.commands / len(seen[-1].blocks), 1),
        ran="writer and relay in this process; PostgreSQL, Kafka, Redis; `outcry worker alerts`; a reader of the stream",
        gathered_ms=1e3 * GATHER_S,
        not_counted_s=WARM_S,
        cores_used=cores.shares(),
        servers=says,
    )


def _rules(count: int, flow: Flow) -> Iterator[Rule]:
    """*count* rules, by chance from the seed of *flow*."""
    dice = np.random.default_rng(flow.seed)

    def account() -> int:
        return int(dice.integers(1, flow.accounts + 1))

    def instrument() -> int:
        return int(dice.integers(1, flow.instruments + 1))

    for number in range(count):
        above = bool(dice.integers(0, 2))
        if number < OFTEN:
            yield Rule("price", account(), instrument(), level=MIDDLE_TICKS + number - OFTEN // 2, hysteresis=NEAR_TICKS // 2)
        elif number < 2 * OFTEN:
            yield Rule("fills", account())
        elif number < count // 200:
            level, window_s = int(dice.integers(1, 500_000)), int(dice.choice(WINDOWS_S))
            yield Rule("move", account(), instrument(), level=level, hysteresis=20_000, window_s=window_s)
        elif number < count // 100:
            yield Rule("volume", account(), instrument(), level=int(dice.integers(1_000, 100_000)), window_s=int(dice.choice(WINDOWS_S)))
        elif number < count // 20:
            yield Rule("spread", account(), instrument(), above=above, level=int(dice.integers(1, 10_000)), hysteresis=200)
        elif number < count // 10:
            yield Rule("balance", account(), 0, int(dice.choice((BASE, QUOTE))), above=above, level=int(dice.integers(0, 2**60)))
        else:
            level = int(dice.integers(MIDDLE_TICKS // 2, 3 * MIDDLE_TICKS // 2))
            yield Rule("price", account(), instrument(), above=above, level=level, hysteresis=200)


def _put_in_force(on: Servers, where: Place, seq: int, rules: list[Rule]) -> None:
    """All at once, from block *seq* on, the last before the flow: whoever evaluates has them when it begins."""
    name = psycopg.conninfo.conninfo_to_dict(where.dsn)["dbname"]
    into = "COPY outcry.alert_changes (part, seq, account, rule) FROM STDIN"
    with psycopg.connect(on.stack.postgres_dsn(MIGRATOR, str(name))) as db, db.cursor().copy(into) as copy:
        for rule in rules:
            copy.write_row((NUMBER, seq, rule.account, msgspec.json.encode(check(rule)).decode()))


def _run(where: Place, market: Begun, rows: bytes, per_s: float, cores: Cores) -> Seen:
    committed: dict[int, float] = {}
    with closing(connect(where.on.stack.redis_url)) as client, closing(PostgresLog(where.dsn)) as log:
        key = stream_key(where.cluster, NUMBER)
        client.delete(key, key.removesuffix(":stream"))  # all copies of a record have streams of the same name
        with closing(Relayed(Relay(log, where.topic, NUMBER))) as relay:

            def on_commit(block: Block, _rows: RowBytes, _took_s: float) -> None:
                committed[block.seq] = time.perf_counter()
                relay.relay.offer(block)

            worker = where.start(command=("worker", "alerts"))
            relay.wait(market.seq[NUMBER])
            where.wait(worker.is_ready, "the worker of alerts is ready")
            stream = AlertStream(client, where.cluster)  # within some blocks of the record it is ready, but to read the rules takes seconds
            where.wait(lambda: stream.status(NUMBER).seq >= market.seq[NUMBER], "the rules are in force")
            with (
                market.writer(log, on_commit=on_commit) as writer,
                Onlooker[tuple[int, float, int]](_read, where.on.stack.redis_url, where.cluster) as reader,
                cores.during(where.processes),
            ):
                last: list[Future[Committed]] = []

                def send(batch: bytes) -> None:
                    last[:] = [writer.put(batch)]

                began = paced(rows, per_s, send)
                last[0].result()
                seconds = time.perf_counter() - began
                seen = reader.until(writer.head.seq)
        blocks = list(log.read(NUMBER, market.seq[NUMBER]))
        client.delete(key, key.removesuffix(":stream"))
    late = [moment - committed[seq] for seq, moment, _ in seen if committed.get(seq, began) >= began + WARM_S]
    assert late, "nothing fired after the first seconds"
    return Seen(late, sum(alerts for _, _, alerts in seen), blocks, seconds)


def _read(url: str, cluster: str, pipe: Connection) -> None:
    client, key, place = connect(url, patience_s=10 * READ_MS / 1e3), stream_key(cluster, NUMBER), b"0"
    stream = AlertStream(client, cluster)
    seen: dict[int, tuple[float, int]] = {}
    until = None
    pipe.send("ready")
    while until is None or stream.status(NUMBER).seq < until or client.xread(cast("Any", {key: place}), 1):
        for _, entries in cast("Any", client.xread(cast("Any", {key: place}), 10_000, READ_MS)):
            now = time.perf_counter()
            for place, _fields in entries:
                seq = int(place.partition(b"-")[0])
                seen[seq] = now, seen.get(seq, (0.0, 0))[1] + 1
        if until is None and pipe.poll():
            until = pipe.recv()
    pipe.send([(seq, moment, alerts) for seq, (moment, alerts) in seen.items()])
