"""What SQL says against what the events say, one by one, over random trading; wherever the archive ends and whatever is passed over."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from adapters.query import scan
from adapters.query.reading import AsOf
from adapters.query.tables import TABLES
from domain import events as e
from domain.events import EVENT_BY_CODE
from domain.rules import RULES
from domain.verbs import BUY, SELL
from eventstore import ranges
from eventstore.arrow import SCHEMA, to_arrow
from eventstore.blocks import Block
from replay import explain
from tests.market import decode
from tests.projections.flow import trading
from tests.projections.naive import Naive
from tests.query.market import Asked

EXAMPLES = settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # no seed is simpler than another
)
SEEDS, CUTS = st.integers(0, 2**32), st.integers(0, 40)
SIDES = ("buy", "sell")


@pytest.fixture(autouse=True)
def small_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a short record has some."""
    monkeypatch.setattr(ranges, "ROW_GROUP_BLOCKS", 3)
    monkeypatch.setattr(scan, "_TAIL_PIECE_EVENTS", 50)


def asked(folders: pytest.TempPathFactory, seed: int, cut: int) -> Asked:
    """Random trading, of which so many blocks are archived."""
    return Asked(folders.mktemp("archive"), trading(seed, 250, 30), cut)


def naive_of(blocks: list[Block]) -> Naive:
    naive = Naive(1)
    for block in blocks:
        naive.take(*block.rows())
    return naive


@EXAMPLES
@given(SEEDS, CUTS)
def test_trades_are_those_that_happened(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    one = asked(tmp_path_factory, seed, cut)
    naive = naive_of(one.blocks)
    found, sums = one.rows(
        "select event_index, instrument, side, price_ticks, quantity_lots, taker_order, taker_account, maker_order, maker_account, "
        "taker_fee, maker_fee from trades order by event_index",
        "select symbol, sum(notional), sum(quantity), count(*) from trades group by symbol",
    )
    expected = [
        (
            at,
            trade.instrument,
            SIDES[trade.side],
            trade.price_ticks,
            trade.quantity_lots,
        )
        for at, trade in enumerate(event for block in one.blocks for event in decode(block.events()))
        if trade.name == "TradeExecuted"
    ]
    assert [row[:5] for row in found] == expected
    parties = [(*bargain.taker[1::-1], *bargain.maker[1::-1], bargain.taker[2], bargain.maker[2]) for bargain in naive.bargains]
    assert [row[5:] for row in found] == parties
    assert sum(row[3] for row in sums) == len(expected)


@EXAMPLES
@given(SEEDS, CUTS)
def test_changes_of_the_book_sum_up_to_the_book(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    one = asked(tmp_path_factory, seed, cut)
    naive = naive_of(one.blocks)
    (found,) = one.rows(
        "select instrument, side, price_ticks, sum(change_lots) lots from book_changes group by all having lots <> 0 order by all"
    )
    sides = [(instrument, side) for instrument in naive.listed for side in (BUY, SELL)]
    expected = [(instrument, SIDES[side], *level[:2]) for instrument, side in sides for level in naive.levels(instrument, side)]
    assert found == sorted(expected)


@EXAMPLES
@given(SEEDS, CUTS)
def test_an_orders_life_is_what_explain_says(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    """Of every order; most blocks are passed over, and none that has something of it."""
    one = asked(tmp_path_factory, seed, cut)
    numbers = [event.order for block in one.blocks for event in decode(block.events()) if event.name == "OrderAccepted"][::20]
    columns = "event_index, kind, coalesce(role, ''), time_ns, seq, \"order\""
    lives = one.rows(*(f'select {columns} from orders where "order" = {number} order by event_index' for number in numbers))
    for number, life in zip(numbers, lives, strict=True):
        assert life == [
            (lived.event, lived.happened.name, lived.role, lived.time_ns, lived.seq, number) for lived in explain.life(one.log, 1, number)
        ]
    wherever = '"order" = {0} or maker_order = {0} or taker_order = {0}'
    (whole, *some) = one.rows(
        'select event_index, "order", maker_order, taker_order from events order by event_index',
        *(f"select event_index from events where {wherever.format(number)} order by event_index" for number in numbers),
    )
    for number, rows in zip(numbers, some, strict=True):
        assert [index for (index,) in rows] == [row[0] for row in whole if number in row[1:]]


@EXAMPLES
@given(SEEDS, CUTS, st.sampled_from(["seq", "event_index", "time_ns"]), st.integers(0, 100), st.integers(0, 100))
def test_what_is_passed_over_had_nothing_that_was_asked_for(
    tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int, column: str, low_percent: int, high_percent: int
) -> None:
    one = asked(tmp_path_factory, seed, cut)
    (all_rows,) = one.rows(f"select event_index, {column} from events order by event_index")
    values = sorted(value for _, value in all_rows)
    low, high = (values[(len(values) - 1) * percent // 100] for percent in (low_percent, high_percent))
    found, none, same_time = one.rows(
        f"select event_index from events where {column} between {low} and {high} order by event_index",
        f"select event_index from events where {column} > {values[-1]}",
        f"select count(*) from events where time >= make_timestamp_ns({low}) and time_ns >= {low}" if column == "time_ns" else "select 0",
    )
    assert [index for (index,) in found] == [index for index, value in all_rows if low <= value <= high]
    assert none == []
    if column == "time_ns":
        assert same_time == [(sum(value >= low for value in values),)]


@EXAMPLES
@given(SEEDS, CUTS)
def test_events_are_the_rows_of_the_blocks(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    one = asked(tmp_path_factory, seed, cut)
    names = ", ".join(f'"{name}"' for name in SCHEMA.names)
    (found,) = one.rows(f"select {names} from events order by event_index")
    before, expected = 0, []
    for block in one.blocks:
        expected += [tuple(row.values()) for row in to_arrow(block, before).to_pylist()]
        before = block.time_ns
    assert found == expected


@EXAMPLES
@given(SEEDS, CUTS)
def test_refusals_are_counted_by_rule(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    one = asked(tmp_path_factory, seed, cut)
    (found,) = one.rows("select name, count(*) from events join rules using (rule) where kind = 'CommandRefused' group by name")
    names = {rule.code: rule.name for rule in RULES}
    counted = Counter(names[event.rule] for block in one.blocks for event in decode(block.events()) if event.name == "CommandRefused")
    assert dict(found) == counted


def test_prices_are_decimals_by_the_listing(tmp_path: Path) -> None:
    """Exact: ticks times tick size, whatever the instrument."""
    one = Asked(tmp_path, trading(3, 200, 30), 4)
    (found,) = one.rows(
        "select price_ticks, price, tick_size, quantity_lots, quantity, lot_size, notional "
        "from trades join instruments using (partition, instrument)"
    )
    assert found
    for ticks, price, tick_size, lots, quantity, lot_size, notional in found:
        assert isinstance(price, Decimal)
        assert price == ticks * tick_size
        assert quantity == lots * lot_size
        assert notional == price * quantity


def test_an_answer_says_as_of_which_block_it_is(tmp_path: Path) -> None:
    one = Asked(tmp_path, trading(3, 200, 30), 4)
    with one.opened() as (found, _):
        (as_of,) = found.as_of
    head = one.log.head(1)
    assert as_of == AsOf(partition=1, seq=head.seq, time_ns=head.time_ns, archived=one.shelf.head(1).seq, record=head.seq, cut=False)


def test_every_column_of_every_table_has_a_name_of_its_own() -> None:
    for table in TABLES.values():
        assert len(set(table.schema.names)) == len(table.schema.names)
        assert set(table.orders) <= set(table.schema.names)
        assert all(kind in EVENT_BY_CODE for kind in table.kinds)
    assert TABLES["trades"].kinds == {e.TRADE_EXECUTED}
