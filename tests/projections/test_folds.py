"""Each fold against the same view kept naively, event by event, over random trading of every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import queries
from domain.partition import Partition
from domain.verbs import BUY, SELL
from eventstore.codec import as_rows
from projections.book import Book
from projections.columns import Columns
from projections.commands import Commands
from projections.depth import Depth
from projections.embedded import FOLDS, Views
from projections.executions import Executions
from projections.layouts import (
    BALANCE,
    BOOK_ORDERS,
    COMMANDS_KEPT,
    DEPTH_LEVELS,
    KEPT_IN_ALL,
    KEPT_PER_ACCOUNT,
    LAST_TRADES,
    Balance,
    Bar,
    balance_key,
)
from projections.orders import Orders
from projections.rings import Rings
from projections.runs import Run
from projections.statements import Statements
from projections.view import Fold, MemoryView, Rows
from tests.projections.flow import trading
from tests.projections.naive import Naive, Order

SEEDS = st.integers(0, 2**32)


@settings(max_examples=25)
@given(SEEDS, st.integers(1, 200))
def test_every_view_is_what_the_events_say(seed: int, longest: int) -> None:
    """However the commands were cut into blocks, and after each block."""
    naive, views = Naive(1), Views(1)
    for block in trading(seed, 400, longest):
        naive.take(*block.rows())
        views.advance(Columns(block))
        assert not views.stopped
        for name, expected in shown_by(naive).items():
            assert without_zeros(views.views[name].rows) == without_zeros(expected), f"{name} after block {block.seq}"


def without_zeros(rows: Rows) -> Rows:
    """A balance or quote that is nothing may have no row yet."""
    return {key: row for key, row in rows.items() if any(row[8:])}


def shown_by(naive: Naive) -> dict[str, Rows]:
    """The rows of each view: layouts as projections/packed.py documents them, written out with struct."""
    sides = {(instrument, side): naive.levels(instrument, side) for instrument in naive.listed for side in (BUY, SELL)}
    best = {key: levels[0] if levels else (0, 0, 0) for key, levels in sides.items()}
    quotes = {instrument: (*best[instrument, BUY], *best[instrument, SELL]) for instrument in naive.listed}
    queues = {(instrument, side): naive.queue(instrument, side) for instrument, side in sides}
    return {
        "quotes": {f"quote:{instrument}": words(*quote) for instrument, quote in quotes.items()},
        "depth": {
            f"depth:{instrument}:{('buy', 'sell')[side]}": words(*chain(*levels[:DEPTH_LEVELS]))
            for (instrument, side), levels in sides.items()
            if levels
        },
        "book": {
            f"book:{instrument}:{('buy', 'sell')[side]}": words(*chain(*queue[:BOOK_ORDERS]))
            for (instrument, side), queue in queues.items()
            if queue
        },
        "trades": {f"trades:{instrument}": words(*chain(*trades[: -LAST_TRADES - 1 : -1])) for instrument, trades in naive.trades.items()},
        "bars": {
            f"bar:{seconds}:{instrument}:{start_ns // 10**9 // seconds % 1_440}": bar_row(bar)  # a later bar takes the place
            for (seconds, instrument, start_ns), bar in naive.bars.items()
        },
        "statistics": {
            f"statistics:{instrument}": bar_row(bar) for instrument in naive.listed if (bar := naive.last_day(instrument)) is not None
        },
        "orders": {
            **{f"order:{order.account}:{order.number}": order_row(order) for order in naive.orders.values()},
            **ring("ended", [(order.account, order_row(order)) for order in naive.ended]),
        },
        "executions": ring("execution", list(executions_of(naive))),
        "balances": {f"balance:{account}:{asset}": words(*both) for (account, asset), both in naive.balances.items()},
        "statements": ring("statement", [(account, words(*line)) for account, *line in naive.lines]),
        "instruments": {
            f"instrument:{instrument}": words(*state, *list(naive.listed[instrument].values())[6:])
            for instrument, state in naive.states.items()
        },
        "commands": commands_of(naive),
        "totals": totals_of(naive),
    }


def words(*values: int) -> bytes:
    """A row of layout 1."""
    return pack(f"<{1 + len(values)}q", 1, *values)


def bar_row(bar: Bar) -> bytes:
    return words(*bar[:7]) + bar.volume_lots.to_bytes(16, "little") + bar.turnover.to_bytes(16, "little")


def order_row(order: Order) -> bytes:
    return words(
        *(order.number, order.account, order.instrument, order.side, *order.terms, order.client_order_id),
        *(order.price, order.quantity, order.lots, order.filled, order.value, order.fees),
        *(order.accepted_ns, order.changed_ns, order.ended_by, order.reason),
    )


def executions_of(naive: Naive) -> Iterator[tuple[int, bytes]]:
    for bargain in naive.bargains:
        number, time_ns, price, lots, side = bargain.trade
        for is_maker, (account, order, fee) in enumerate((bargain.taker, bargain.maker)):
            yield account, words(number, time_ns, order, bargain.instrument, side ^ is_maker, is_maker, price, lots, fee)


def ring(name: str, rows: list[tuple[int, bytes]], kept: int = KEPT_PER_ACCOUNT, in_all: int = KEPT_IN_ALL) -> Rows:
    """The newest *kept* of each account that are among the newest *in_all*; the n-th stands in place n % kept."""
    numbers, shown = Counter[int](), dict[str, tuple[int, bytes]]()
    for at, (account, row) in enumerate(rows):
        shown[f"{name}:{account}:{numbers[account] % kept}"] = at, row
        numbers[account] += 1
    return {key: row for key, (at, row) in shown.items() if at >= len(rows) - in_all}


def commands_of(naive: Naive, kept: int = COMMANDS_KEPT) -> Rows:
    return {f"command:{account}:{name}": words(*row) for (account, name), row in list(naive.named.items())[-kept:]}


def totals_of(naive: Naive) -> Rows:
    trades = [trade for each in naive.trades.values() for trade in each]
    volume = sum(trade.quantity_lots for trade in trades).to_bytes(16, "little")
    rows = {
        "totals:1:all": words(naive.time_ns, naive.blocks, naive.commands, naive.next_event, len(trades)) + volume,
        "totals:1:kinds": words(*(naive.kinds[kind] for kind in range(64))),
    }
    for asset, sums in naive.assets.items():
        wide = (sums[name].to_bytes(16, "little") for name in ("deposited", "withdrawn", "traded", "fees"))
        rows[f"totals:1:{asset}"] = words(sums["deposited"] - sums["withdrawn"]) + b"".join(wide)
    return rows


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 200))
def test_what_is_kept_of_each_account_is_bounded_for_each_and_for_all(seed: int, longest: int) -> None:
    """Here three of an account and seven together, so that both bounds are met again and again."""
    naive, shown = Naive(1), {name: MemoryView() for name in ("ended", "execution", "statement")}
    folds: tuple[Fold, ...] = Orders(Rings(3, 7)), Executions(Rings(3, 7)), Statements(Rings(3, 7))
    for block in trading(seed, 200, longest):
        naive.take(*block.rows())
        columns = Columns(block)
        for view, fold in zip(shown.values(), folds, strict=True):
            view.write(fold.fold(columns), 1, block.seq)
        kept = {
            "ended": [(order.account, order_row(order)) for order in naive.ended],
            "execution": list(executions_of(naive)),
            "statement": [(account, words(*line)) for account, *line in naive.lines],
        }
        for name, entries in kept.items():
            rows = {key: row for key, row in shown[name].rows.items() if key.startswith(name)}
            assert rows == ring(name, entries, kept=3, in_all=7)


@settings(max_examples=10)
@given(SEEDS, st.integers(1, 30))
def test_of_the_commands_that_were_named_the_newest_are_kept(seed: int, longest: int) -> None:
    """Here five; a view that begins in between has the same."""
    naive, view, fold = Naive(1), MemoryView(), Commands(5)
    for block in trading(seed, 200, longest):
        naive.take(*block.rows())
        view.write(fold.fold(Columns(block)), 1, block.seq)
        assert view.rows == commands_of(naive, 5) == fold.rows(1)
        restored = Commands(5)
        restored.restore(fold.state())
        assert restored.state() == fold.state()


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
    """Depth and book are the engine's, level by level and order by order; every balance is the engine's."""
    engine, views, depth, book = Partition(1), Views(1), Depth(), Book()
    for block in trading(seed, 400):
        engine.apply(*block.rows())
        views.advance(Columns(block))
        depth.fold(Columns(block))
        book.fold(Columns(block))
    for instrument in (1, 2, 3):
        for side, orders in enumerate(queries.book(engine, instrument)):
            lots, count = Counter[int](), Counter[int]()
            for order in orders:
                lots[order.price_ticks] += order.quantity_lots
                count[order.price_ticks] += 1
            assert depth.levels(instrument, side) == [(price, lots[price], count[price]) for price in lots]
            in_queue = [(order.order, order.price_ticks, order.quantity_lots) for order in orders]
            assert book.orders(instrument, side) == in_queue
    balances = {
        balance_key(account, asset): BALANCE.pack(Balance(*both))
        for account in range(12)
        for asset, both in queries.balances(engine, account).items()
    }
    assert without_zeros(views.views["balances"].rows) == without_zeros(balances)


@settings(max_examples=10)
@given(SEEDS, st.integers(2, 30))
@pytest.mark.parametrize("at_hand", [True, False])
@pytest.mark.parametrize("name", FOLDS)
def test_blocks_taken_together_end_in_the_rows_of_each_taken_alone(name: str, at_hand: bool, seed: int, together: int) -> None:
    """Decoded, or with their rows at hand."""
    alone, at_once = MemoryView(), MemoryView()
    one, other = FOLDS[name](), FOLDS[name]()
    blocks = [Columns(block) for block in trading(seed, 200, 10)]
    for begin in range(0, len(blocks), together):
        some = blocks[begin : begin + together]
        for block in some:
            alone.write(one.fold(block), 1, block.seq)
        taken = [Columns(block.source, as_rows(*block.source.rows())) for block in some] if at_hand else some
        at_once.write(other.fold(Run(taken)), 1, some[-1].seq)
        assert at_once.rows == alone.rows
    assert one.state() == other.state()


def test_every_fold_of_this_process_takes_runs() -> None:
    assert all(getattr(make(), "takes_runs", False) for make in FOLDS.values())
