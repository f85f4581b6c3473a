"""The last 24 hours of each instrument, in steps of five minutes: the running step and the 287 before it, by the time of the partition.

Bound: the steps in which there was a trade, about 350 bytes each: 100 KB for an instrument that trades in all, 7 GB for 65,535 such.
One row per instrument; it is gone when there was no trade in 24 hours.
"""

from __future__ import annotations

from collections import deque
from functools import reduce
from typing import Final

import msgspec

from projections import trading
from projections.columns import Columns
from projections.facts import Facts
from projections.layouts import STATISTICS, statistics_key
from projections.trading import Traded
from projections.view import Rows

STEP_NS: Final = 300 * 10**9
STEPS: Final = 288


class Statistics:
    """Fold of 24 hours' statistics (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self) -> None:
        self._time_ns = 0
        self._facts = Facts()
        self._steps: dict[int, deque[Traded]] = {}  # by instrument, oldest first
        self._whole: dict[int, Traded] = {}  # all its steps as one
        self._order: deque[tuple[int, int]] = deque()  # start and instrument of every step, oldest first

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        self._facts.learn(block)
        changed = {}
        bars = trading.merged(trading.each_trade(block, self._time_ns, self._facts), STEP_NS)
        for instrument, traded in sorted(trading.each(bars), key=lambda bar: bar[1].start_ns):
            self._add(instrument, traded)
            changed[instrument] = True
        self._time_ns = block.time_ns
        changed |= dict.fromkeys(self._expire(), True)
        return {statistics_key(instrument): self._row(instrument) for instrument in sorted(changed)}

    def _add(self, instrument: int, traded: Traded) -> None:
        steps = self._steps.setdefault(instrument, deque())
        if steps and steps[-1].start_ns == traded.start_ns:
            steps[-1] = steps[-1].then(traded)
        else:
            steps.append(traded)
            self._order.append((traded.start_ns, instrument))
        whole = self._whole.get(instrument)
        self._whole[instrument] = traded if whole is None else whole.then(traded)

    def _expire(self) -> list[int]:
        """Drop the steps that are too old; the instruments that had some."""
        oldest_ns = (self._time_ns // STEP_NS - STEPS + 1) * STEP_NS
        expired: dict[int, list[Traded]] = {}
        while self._order and self._order[0][0] < oldest_ns:
            _, instrument = self._order.popleft()
            expired.setdefault(instrument, []).append(self._steps[instrument].popleft())
        for instrument, gone in expired.items():
            whole, left = self._whole.pop(instrument), self._steps[instrument]
            if left:
                self._whole[instrument] = _without(whole, gone, left)
            else:
                del self._steps[instrument]
        return list(expired)

    def _row(self, instrument: int) -> bytes:
        whole = self._whole.get(instrument)
        return b"" if whole is None else STATISTICS.pack(whole.bar(int(self._facts.quote_units[instrument])))

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return {statistics_key(instrument): self._row(instrument) for instrument in self._whole}

    def state(self) -> bytes:
        """See Fold. Amounts as text, for they may be wider than a word."""
        steps = {instrument: [[*map(str, step)] for step in steps] for instrument, steps in sorted(self._steps.items())}
        return msgspec.msgpack.encode((self._time_ns, self._facts.state(), steps, sorted(self._order)))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        shape = tuple[int, bytes, dict[int, list[list[str]]], list[tuple[int, int]]]
        self._time_ns, facts, steps, order = msgspec.msgpack.decode(state, type=shape)
        self._facts.restore(facts)
        self._steps = {instrument: deque(Traded(*map(int, step)) for step in each) for instrument, each in steps.items()}
        self._whole = {instrument: reduce(Traded.then, each) for instrument, each in self._steps.items()}
        self._order = deque(order)


def _without(whole: Traded, gone: list[Traded], left: deque[Traded]) -> Traded:
    """What of *whole* is *left* when the steps *gone* are taken off."""
    return whole._replace(
        start_ns=left[0].start_ns,
        open_ticks=left[0].open_ticks,
        high_ticks=max(step.high_ticks for step in left),
        low_ticks=min(step.low_ticks for step in left),
        trades=whole.trades - sum(step.trades for step in gone),
        volume_lots=whole.volume_lots - sum(step.volume_lots for step in gone),
        turnover=whole.turnover - sum(step.turnover for step in gone),
    )
