"""A cold restart: a worker starts on a record with a snapshot and many events after it; when does it trade?

From the start of its process to the answer to a command that waits for it in Kafka. The servers run all the while and have the record in
their memory; the topic has its blocks already, as it had before whatever stopped the worker.
"""

from __future__ import annotations

import json
import signal
import statistics
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.cores import Cores
from benchmarks.flows import SESSION, Flow
from benchmarks.market import NUMBER
from benchmarks.relay import relay_all
from benchmarks.servers import NEVER, begun, servers
from benchmarks.stack import DURABILITY
from benchmarks.traffic import Traffic
from benchmarks.workers import Place, Worker, place
from commands.codec import to_row
from commands.messages import TickClock
from commands.writer import Writer
from eventstore.postgres import PostgresLog
from eventstore.postgres_snapshots import PostgresSnapshots

EVENTS: Final = 10_000_000
LEAST_PER_COMMAND: Final = 1.5  # events, of every flow
FORGOTTEN_S: Final = 2.5  # until the group has missed the worker that was killed before
PHASES: Final = {"serving": "has_the_state_s", "taken over": "owns_s"}  # by what its log says then


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None, events: int = EVENTS) -> dict[str, object]:
    """Median of *runs* of the same restart. events: after the snapshot, at least, whatever flow.commands says."""
    seconds: list[float] = []
    phases: list[dict[str, float]] = []
    cores = Cores()
    flow = replace(flow, commands=int(events / LEAST_PER_COMMAND))
    with servers(stack) as on, begun(on, flow, snapshots=True) as market, place(market, on) as where:
        last, live_orders = _prepare(flow, where, events)
        with closing(PostgresLog(where.dsn)) as log:
            counted = report.tally_of(block.rows() for block in log.read(NUMBER, market.seq[NUMBER]))
            relay_all(log, where.topic)
        for number in range(runs):
            taken, phase = _restart(where, last + 1 + number, cores)
            seconds.append(taken)
            phases.append(phase)
            show((number + 1) / runs)
        says = on.says()
    return report.report(
        flow,
        seconds,
        counted,
        durability=DURABILITY.format(market.durability),
        process_start_to_first_answer_s=round(statistics.median(seconds), 3),
        worker_cpu_s=round(cores.cpu_s("workers") / runs, 3),
        slowest_s=round(max(seconds), 3),
        phases={name: round(statistics.median(each[name] for each in phases), 3) for name in PHASES.values()},
        events_after_snapshot=counted.events,
        live_orders=live_orders,
        cores_used=cores.shares(),
        servers=says,
    )


def _prepare(flow: Flow, where: Place, events: int) -> tuple[int, int]:
    """Write *flow* until *events* are on record after the snapshot; last sequence of the session and live orders then."""
    with closing(PostgresLog(where.dsn)) as log:
        writer = Writer(log, PostgresSnapshots(where.dsn), NUMBER, snapshot_every_events=NEVER)
        target = writer.head.next_event + events
        writer.write_all(batch for batch in flow.batches() if writer.head.next_event < target)
        last, standby = writer.last_sequence(SESSION), writer.hand_over()  # closing would keep a snapshot
        assert standby.head.next_event >= target, "the flow has enough events"
        return last, int(standby.state.state.live_orders)


def _restart(where: Place, sequence: int, cores: Cores) -> tuple[float, dict[str, float]]:
    """Seconds until command *sequence* is answered by a worker that starts now, and until each of PHASES. It is killed afterwards."""
    with closing(Traffic(where, warm=False)) as traffic:
        traffic.send(to_row(TickClock(session=SESSION, sequence=sequence)))
        with cores.during(where.processes):
            began, began_ns = time.perf_counter(), time.time_ns()
            worker = where.start()
            where.wait(lambda: traffic.answered[0] > 0, "an answer")
            traffic.finish()
    phases = _phases(worker, began_ns)
    worker.end(signal.SIGKILL)
    time.sleep(FORGOTTEN_S)
    return traffic.answered[0] - began, phases


def _phases(worker: Worker, began_ns: int) -> dict[str, float]:
    """Seconds from *began_ns* to each of PHASES, as the worker's log has them."""
    lines = [json.loads(line) for line in worker.log.read_text().splitlines() if line.startswith("{")]
    moments = {name: next(line["time"] for line in lines if said in line["message"]) for said, name in PHASES.items()}
    return {name: (int(np.datetime64(moment.rstrip("Z"), "ns").astype(np.int64)) - began_ns) / 1e9 for name, moment in moments.items()}
