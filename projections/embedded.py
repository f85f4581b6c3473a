"""All views of one partition, in the memory of this process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from eventstore.ports import BlockLog
from projections.balances import Balances
from projections.bars import Bars
from projections.book import Book
from projections.columns import Columns
from projections.commands import Commands
from projections.depth import Depth
from projections.executions import Executions
from projections.instruments import Instruments
from projections.orders import Orders
from projections.quotes import Quotes
from projections.runs import for_fold, runs
from projections.statements import Statements
from projections.statistics import Statistics
from projections.totals import VenueTotals
from projections.trades import Trades
from projections.view import Fold, Gap, MemoryView, Projection

FOLDS: Final[dict[str, Callable[[], Fold]]] = {
    "quotes": Quotes,
    "depth": Depth,
    "book": Book,
    "trades": Trades,
    "bars": Bars,
    "statistics": Statistics,
    "orders": Orders,
    "executions": Executions,
    "balances": Balances,
    "statements": Statements,
    "instruments": Instruments,
    "commands": Commands,
    "totals": VenueTotals,
}

_log = logging.getLogger(__name__)


class Views:
    """One projection per fold, each with a view in memory. One thread advances them; any may read.

    stopped  the views that could not take a block in, and why: they stay at their position, the others and trading go on
    """

    def __init__(self, partition: int, folds: dict[str, Callable[[], Fold]] = FOLDS) -> None:
        self.partition = partition
        self.views = {name: MemoryView() for name in folds}
        self.stopped: dict[str, Exception] = {}
        self._projections = {name: Projection(partition, fold(), self.views[name]) for name, fold in folds.items()}

    def advance(self, run: Columns) -> None:
        """Take a committed block, or a run of them, in, in every view. Raises Gap: use catch_up()."""
        for name, projection in self._projections.items():
            if name in self.stopped:
                continue
            for columns in for_fold(run, projection.fold, projection.seq):
                try:
                    projection.advance(columns)
                except Gap:
                    raise
                except Exception as poison:  # noqa: BLE001 - whatever it is, it stops this view only
                    self.stopped[name] = poison
                    after = columns.seq - columns.first_seq
                    rest = f", or one of the {after} that were taken together with it" if after else ""
                    _log.exception("view %s of partition %d stopped before block %d%s", name, self.partition, columns.first_seq, rest)
                    break

    def catch_up(self, log: BlockLog, go_on: Callable[[], bool] = lambda: True) -> None:
        """Take in what the record has and the views have not, while *go_on* says so. Raises what log.read raises."""
        running = [projection.seq for name, projection in self._projections.items() if name not in self.stopped]
        for run in runs(map(Columns, log.read(self.partition, min(running)))) if running else ():
            if not go_on():
                return
            self.advance(run)

    def positions(self) -> dict[str, int]:
        """The block that each view is as of."""
        return {name: view.position(self.partition) for name, view in self.views.items()}

    def read(self, view: str, key: str) -> tuple[bytes, int]:
        """A row of a view (empty: there is none) and the block it is as of. From any thread."""
        return self.views[view].read(key, self.partition)

    def group(self, view: str, group: str) -> tuple[dict[str, bytes], int]:
        """The rows of a group (projections/layouts.py), by key, and the block they are as of. From any thread."""
        return self.views[view].group(group, self.partition)
