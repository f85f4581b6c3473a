"""Market analysis: who moved, what was traded, how it moves together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from adapters.cli import options
from adapters.cli.keep import worker
from adapters.cli.output import Answer, Table, answers

if TYPE_CHECKING:
    from adapters.settings import Settings

COLUMNS = {
    "gainers": ("symbol", "open", "last", "change_percent"),
    "losers": ("symbol", "open", "last", "change_percent"),
    "most_active": ("symbol", "turnover", "volume", "trades"),
    "volatility": ("symbol", "volatility_percent", "low", "high"),
    "correlation": ("symbol", "with", "correlation"),
}


@click.command()
@click.option("--kept", is_flag=True, help="Show what `outcry worker analysis` kept in Redis last, instead of asking the record.")
@options.archive
@options.source
@options.record
@answers
def analysis(settings: Settings, source: str, *, kept: bool) -> Answer:
    """Gainers, losers, most active, volatility and correlation of the 24 hours before the last trade.

    From the archive and what the record has beyond it.
    """
    from adapters import wiring

    found = wiring.analysis_kept(settings) if kept else wiring.analysis(settings, source)
    tables = [Table(columns, [[_shown(row[each]) for each in columns] for row in found[name]], name) for name, columns in COLUMNS.items()]
    return Answer(found, [table for table in tables if table.rows] or ["no trade is on record"])


@worker.command("analysis")
@click.option("--every", "every_s", type=click.FloatRange(1.0), default=60.0, show_default=True, help="Seconds from one to the next.")
@options.archive
@options.record
@answers
def worker_analysis(settings: Settings, every_s: float) -> Answer:
    """Analyse the market again and again, into Redis, until SIGTERM or ctrl-C."""
    from adapters import serving, wiring

    return Answer({"worker": serving.serve(settings, lambda given: wiring.analysing(given, every_s)), "stopped": True}, shown=[])


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:,.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


COMMANDS = (analysis,)
