"""The kernel alone: execute, in memory. Optionally against a comparison kernel, measured alternately in the same run."""

from __future__ import annotations

from pathlib import Path

from adapters.cli.progress import Show
from benchmarks import against, report
from benchmarks.flows import Flow
from benchmarks.market import Market, events_of, execute


def run(flow: Flow, runs: int, show: Show, *, comparison: Path | None = None) -> dict[str, object]:
    """Median of *runs*, each on a fresh state."""
    market, batches = Market(flow), flow.batches()
    other = against.Comparison(comparison, flow, batches) if comparison else None
    counted = report.tally(batches, events_of(market.fresh(), batches))
    seconds: list[float] = []
    other_seconds: list[float] = []
    for number in range(runs):
        seconds.append(execute(market.fresh(), batches))
        if other:
            other_seconds.append(other.run())
        show((number + 1) / runs)
    figures = report.report(flow, seconds, counted)
    if other:
        figures |= {
            "against_commands_per_s": report.rate(flow.commands, other_seconds),
            "ratio": report.median_ratio(other_seconds, seconds),
        }
    return figures
