"""The kernel alone: execute, in memory. Beside it, measured alternately in the same run: usual `cross`, and a comparison kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from adapters.cli.progress import Show
from benchmarks import against, flows, report
from benchmarks.flows import Flow
from benchmarks.market import Market, events_of, execute

USUAL_ACCOUNTS: Final = 64


def run(flow: Flow, runs: int, show: Show, *, comparison: Path | None = None) -> dict[str, object]:
    """Median of *runs*, each on a fresh state; of_cross is the rate as a share of that of `cross` with 64 accounts and one instrument."""
    market, batches = Market(flow), flow.batches()
    counted = report.tally(batches, events_of(market.fresh(), batches))
    usual = flows.flow("cross", accounts=USUAL_ACCOUNTS, instruments=1, commands=flow.commands, seed=flow.seed)
    cross, cross_batches = Market(usual), usual.batches()
    other = against.Comparison(comparison, flow, batches) if comparison else None
    seconds: list[float] = []
    cross_seconds: list[float] = []
    other_seconds: list[float] = []
    for number in range(runs):
        seconds.append(execute(market.fresh(), batches))
        if flow != usual:
            cross_seconds.append(execute(cross.fresh(), cross_batches))
        if other:
            other_seconds.append(other.run())
        show((number + 1) / runs)
    figures = report.report(flow, seconds, counted)
    figures["of_cross"] = report.median_ratio(cross_seconds, seconds) if cross_seconds else 1.0
    if other:
        figures |= {
            "against_commands_per_s": report.rate(flow.commands, other_seconds),
            "ratio": report.median_ratio(other_seconds, seconds),
        }
    return figures
