"""Replay by apply against execution in the same run, and how long a snapshot of the state at the end takes."""

from __future__ import annotations

import statistics
import time

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.flows import Flow
from benchmarks.market import Market, apply, events_of, execute
from domain.partition import Partition


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Medians of *runs*: events applied per second; events_per_s_execute and the ratio; seconds of snapshot and restore."""
    market, batches = Market(flow), flow.batches()
    happened = events_of(market.fresh(), batches)
    counted = report.tally(batches, happened)
    executed, applied, taken, restored = [], [], [], []
    live = size = 0
    for number in range(runs):
        executed.append(execute(market.fresh(), batches))
        partition = market.fresh()
        applied.append(apply(partition, batches, happened))
        live = partition.state.live_orders
        began = time.perf_counter()
        snapshot = partition.snapshot()
        taken.append(time.perf_counter() - began)
        size = len(snapshot)
        del partition
        began = time.perf_counter()
        Partition.restore(snapshot)
        restored.append(time.perf_counter() - began)
        del snapshot
        show((number + 1) / runs)
    return report.report(
        flow,
        applied,
        counted,
        events_per_s_execute=report.rate(counted.events, executed),
        ratio=report.median_ratio(executed, applied),
        snapshot_s=round(statistics.median(taken), 3),
        restore_s=round(statistics.median(restored), 3),
        snapshot_mib=round(size / 2**20),
        live_orders=live,
    )
