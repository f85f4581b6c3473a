"""Each fold against the same view kept naively, event by event, over random trading of every kind."""

from __future__ import annotations

from collections import Counter
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import queries
from domain.partition import Partition
from domain.verbs import BUY, SELL
from projections.columns import Columns
from projections.depth import Depth
from projections.embedded import FOLDS, Views
from projections.packed import DEPTH_LEVELS, LAST_TRADES, Balance, Bar, balance_key
from projections.view import Rows
from tests.projections.flow import trading
from tests.projections.naive import Naive

SEEDS = st.integers(0, 2**32)


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 200))
def test_every_view_is_what_the_events_say(seed: int, longest: int) -> None:
    """However the commands were cut into blocks, and after each block."""
    naive, views = Naive(1), Views(1)
    for block in trading(seed, 400, longest):
        naive.take(*block.rows())
        views.advance(block)
        assert not views.stopped
        for name, expected in shown_by(naive).items():
            assert without_zeros(views.views[name].rows) == without_zeros(expected), f"{name} after block {block.seq}"


def without_zeros(rows: Rows) -> Rows:
    """A balance or quote that is nothing may have no row yet."""
    return {key: row for key, row in rows.items() if any(row)}


def shown_by(naive: Naive) -> dict[str, Rows]:
    """The rows of each view: layouts as projections/packed.py documents them, written out with struct."""
    sides = {(instrument, side): naive.levels(instrument, side) for instrument in naive.listed for side in (BUY, SELL)}
    best = {key: levels[0] if levels else (0, 0) for key, levels in sides.items()}
    quotes = {instrument: (*best[instrument, BUY], *best[instrument, SELL]) for instrument in naive.listed}
    return {
        "quotes": {f"quote:{instrument}": pack("<4q", *quote) for instrument, quote in quotes.items()},
        "depth": {
            f"depth:{instrument}:{('buy', 'sell')[side]}": b"".join(pack("<2q", *level) for level in levels[:DEPTH_LEVELS])
            for (instrument, side), levels in sides.items()
            if levels
        },
        "trades": {
            f"trades:{instrument}": b"".join(pack("<5q", *trade) for trade in trades[: -LAST_TRADES - 1 : -1])
            for instrument, trades in naive.trades.items()
        },
        "bars": {
            f"bar:{seconds}:{instrument}:{start_ns // 10**9 // seconds % 1_440}": bar_row(bar)  # a later bar takes the place
            for (seconds, instrument, start_ns), bar in naive.bars.items()
        },
        "balances": {f"balance:{account}:{asset}": pack("<2q", *both) for (account, asset), both in naive.balances.items()},
    }


def bar_row(bar: Bar) -> bytes:
    return pack("<6q", *bar[:6]) + bar.volume_lots.to_bytes(16, "little") + bar.turnover.to_bytes(16, "little")


@pytest.mark.parametrize("name", FOLDS)
def test_a_fold_restored_from_its_state_goes_on_as_if_it_had_never_stopped(name: str) -> None:
    """Same rows from every later block, and the same state at the end."""
    first = FOLDS[name]()
    for block in trading(seed=5, count=600):
        if block.seq % 7 == 0:
            second = FOLDS[name]()
            second.restore(first.state())
            assert second.state() == first.state()
            assert second.fold(Columns(block)) == first.fold(Columns(block))
            first = second
        else:
            first.fold(Columns(block))


@settings(max_examples=10)
@given(SEEDS)
def test_the_views_say_what_the_engine_says_at_the_end(seed: int) -> None:
    """Depth and quotes are the engine's book by price; every balance is the engine's."""
    engine, views, depth = Partition(1), Views(1), Depth()
    for block in trading(seed, 400):
        engine.apply(*block.rows())
        views.advance(block)
        depth.fold(Columns(block))
    for instrument in (1, 2, 3):
        for side, orders in enumerate(queries.book(engine, instrument)):
            lots = Counter[int]()
            for order in orders:
                lots[order.price_ticks] += order.quantity_lots
            assert depth.levels(instrument, side) == list(lots.items())
    balances = {
        balance_key(account, asset): Balance(*both).pack()
        for account in range(12)
        for asset, both in queries.balances(engine, account).items()
    }
    assert without_zeros(views.views["balances"].rows) == without_zeros(balances)
