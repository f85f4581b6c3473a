"""The kernel alone: execute, in memory. Optionally against a comparison kernel, measured alternately in the same run."""

from __future__ import annotations

from pathlib import Path

from adapters.cli.progress import Show
from benchmarks import against, report
from benchmarks.flows import Flow
from benchmarks.market import Market, execute


def run(flow: Flow, runs: int, show: Show, *, comparison: Path | None = None) -> dict[str, object]:
    """Median of *runs*, each on a fresh state."""
    market, batches = Market(flow), flow.batches()
    other = against.Comparison(comparison, flow) if comparison else None
    seconds: list[float] = []
    other_seconds: list[float] = []
    happened: list[bytes] = []
    for number in range(runs):
        happened = []  # those of the run before are dropped before the next state is made
        taken, happened = execute(market.fresh(), batches)
        seconds.append(taken)
        if other:
            other_seconds.append(other.run(batches))
        show((number + 1) / runs)
    figures = report.report(flow, seconds, report.tally(batches, happened))
    if other:
        figures |= {"against_commands_per_s": other.commands_per_s(other_seconds), "ratio": report.median_ratio(other_seconds, seconds)}
    return figures
