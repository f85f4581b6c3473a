"""Replay by apply against execution in the same run, and how long a snapshot of the state at the end takes."""

from __future__ import annotations

import statistics
import time

from adapters.cli.progress import Show
from benchmarks import report
from benchmarks.flows import Flow
from benchmarks.market import Market, apply, execute
from domain.columns import LIVE_ORDERS
from domain.partition import Partition


def run(flow: Flow, runs: int, show: Show) -> dict[str, object]:
    """Medians of *runs*: events applied per second; events_per_s_execute and the ratio; seconds of snapshot and restore."""
    market, batches = Market(flow), flow.batches()
    executed, applied, taken, restored = [], [], [], []
    happened: list[bytes] = []
    snapshot = b""
    live = 0
    for number in range(runs):
        happened, snapshot = [], b""
        seconds, happened = execute(market.fresh(), batches)
        executed.append(seconds)
        partition = market.fresh()
        applied.append(apply(partition, batches, happened))
        began = time.perf_counter()
        snapshot = partition.snapshot()
        taken.append(time.perf_counter() - began)
        live = partition.state.counters[LIVE_ORDERS]
        del partition
        began = time.perf_counter()
        Partition.restore(snapshot)
        restored.append(time.perf_counter() - began)
        show((number + 1) / runs)
    counted = report.tally(batches, happened)
    return report.report(
        flow,
        applied,
        counted,
        events_per_s_execute=round(counted.events / statistics.median(executed)),
        ratio=report.median_ratio(executed, applied),
        snapshot_s=round(statistics.median(taken), 3),
        restore_s=round(statistics.median(restored), 3),
        snapshot_mib=round(len(snapshot) / 2**20),
        live_orders=live,
    )
