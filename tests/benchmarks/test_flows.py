"""Each flow is what docs/performance.md and benchmarks/flows.py say: figures of another mix would be figures of something else."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import flows, report
from benchmarks.flows import Flow, Ints
from benchmarks.market import Market, events_of
from domain import verbs as v
from domain.columns import MAX_BATCH_COMMANDS, MAX_PAGES, MAX_PRICE_TICKS
from domain.queries import instruments
from domain.wellformed import malformed_rows

COMMANDS = 4_000
MIDDLE = flows.MIDDLE_TICKS


def small(name: str, **more: int) -> Flow:
    """A flow of few commands; deep in small."""
    asked = {"accounts": 5, "instruments": 1, "commands": COMMANDS} | ({"resting": 9_000} if name == "deep" else {}) | more
    return flows.flow(name, **asked)


def rows_of(flow: Flow) -> Ints:
    return np.frombuffer(b"".join(flow.batches()), "<i8").reshape(-1, v.COMMAND_WORDS)


def tally_of(flow: Flow) -> report.Tally:
    batches = flow.batches()
    return report.tally(batches, events_of(Market(flow).fresh(), batches))


@pytest.mark.parametrize("name", flows.FLOWS)
def test_the_same_seed_gives_the_same_commands_and_another_others(name: str) -> None:
    """A figure can be measured again only on the same bytes."""
    assert small(name).batches() == small(name).batches()
    assert small(name).batches() != small(name, seed=2).batches()


@pytest.mark.parametrize("name", flows.FLOWS)
def test_every_command_is_well_formed_has_its_sequence_and_every_order_a_client_order_id(name: str) -> None:
    """Refusals and repeats would cost less than what is to be measured."""
    flow = small(name)
    rows = rows_of(flow)
    assert malformed_rows(rows.tobytes()) == []
    assert (rows[:, v.SESSION] == flows.SESSION).all()
    assert (rows[:, v.SEQUENCE] == flow.resting + np.arange(1, COMMANDS + 1)).all()
    assert (rows[:, v.CLIENT_ORDER_ID] > 0).all()
    assert (np.diff(rows[:, v.RECEIVED_NS]) > 0).all()
    assert set(rows[:, v.ACCOUNT]) == {1, 2, 3, 4, 5}


def test_a_flow_comes_in_batches_of_the_largest_size() -> None:
    assert [len(batch) // v.COMMAND_BYTES for batch in small("cross", commands=40_000).batches()] == [MAX_BATCH_COMMANDS] * 2 + [7_232]


def test_cross_is_even_limit_orders_within_fifty_ticks() -> None:
    rows = rows_of(small("cross"))
    assert set(rows[:, v.VERB]) == {v.NEW_ORDER}
    assert set(rows[:, v.TERMS]) == {v.BUY, v.SELL}
    assert abs(rows[:, v.TERMS].mean() - 0.5) < 0.05
    assert set(rows[:, v.QUANTITY_LOTS]) == {1, 2, 3, 4, 5}
    assert set(rows[:, v.PRICE_TICKS]) == set(range(9_950, 10_051))


def test_cross_trades_and_nothing_is_refused() -> None:
    """65 trades per 100 commands, in 42 of them: the figures of the sketch were measured on this."""
    mix = tally_of(small("cross", commands=50_000)).mix
    assert mix["refused_percent"] == 0
    assert mix["trades_per_command"] == pytest.approx(0.65, abs=0.02)
    assert mix["trading_percent"] == pytest.approx(42, abs=1)


def test_sparse_prices_are_uniform_over_a_million_ticks() -> None:
    prices = rows_of(small("sparse"))[:, v.PRICE_TICKS]
    assert prices.min() < 10_000
    assert prices.max() > 990_000
    assert prices.mean() == pytest.approx(500_000, rel=0.05)
    assert tally_of(small("sparse")).mix["refused_percent"] == 0


@pytest.mark.parametrize("name", ["cancel", "deep"])
def test_cancel_and_deep_are_passive_orders_cancels_and_takers_in_exact_shares(name: str) -> None:
    """45 % passive orders within 50 ticks on their own side, 45 % cancels by client order id, 10 % that take."""
    rows = rows_of(small(name))
    cancels = rows[:, v.VERB] == v.CANCEL_ORDER
    takers = ~cancels & (rows[:, v.TERMS] >> 2 == v.IOC)
    passive = rows[~cancels & ~takers]
    assert (cancels.sum(), takers.sum(), len(passive)) == (1_800, 400, 1_800)
    away = (MIDDLE - passive[:, v.PRICE_TICKS]) * (1 - 2 * passive[:, v.TERMS])
    assert set(away) == set(range(1, 51))
    assert (rows[cancels][:, v.ORDER] == 0).all()


@pytest.mark.parametrize("name", ["cancel", "deep"])
def test_cancels_mostly_hit_a_live_order_every_taker_trades_once_and_the_number_of_live_orders_stays(name: str) -> None:
    """Only orders that traded meanwhile are missed: a cancel that finds nothing is cheap and must be rare."""
    flow = small(name, commands=40_000)
    mix = tally_of(flow).mix
    assert mix["cancels_percent"] == 45
    assert mix["cancels_that_hit_percent"] > 94
    assert mix["refused_percent"] == pytest.approx(mix["cancels_percent"] * (1 - mix["cancels_that_hit_percent"] / 100), abs=0.01)
    assert mix["trading_percent"] == 10
    assert mix["trades_per_command"] == 0.1


def test_cancels_are_random_among_all_live_orders() -> None:
    """Orders of the set-up and orders of the flow, old ones and new ones: not the newest, which would still be in the cache."""
    rows = rows_of(small("cancel", commands=40_000))
    cancels = rows[rows[:, v.VERB] == v.CANCEL_ORDER]
    age = cancels[:, v.SEQUENCE] - cancels[:, v.CLIENT_ORDER_ID]
    assert len(set(cancels[:, v.CLIENT_ORDER_ID])) == len(cancels)
    assert (cancels[:, v.CLIENT_ORDER_ID] <= 10_008).mean() == pytest.approx(0.46, abs=0.05)  # of 10,008, replaced by 18,000
    assert np.median(age) > 10_000


def test_resting_orders_of_deep_lie_over_two_thousand_levels_a_side() -> None:
    flow = small("deep", resting=90_000)
    rows = np.frombuffer(b"".join(flow.resting_batches()), "<i8").reshape(-1, v.COMMAND_WORDS)
    for side, sign in ((v.BUY, -1), (v.SELL, 1)):
        prices = rows[rows[:, v.TERMS] == side, v.PRICE_TICKS]
        assert set(prices) == {MIDDLE + sign * away for away in range(1, 2_001)}


def test_deep_and_cancel_begin_with_as_many_orders_as_they_are_defined_with() -> None:
    assert flows.flow("deep", accounts=1, instruments=1, commands=1).resting == 1_000_008
    assert flows.flow("cancel", accounts=1, instruments=1, commands=1).resting == 10_008


def test_orders_that_rest_before_cross_are_not_in_its_way() -> None:
    """A million of them make memory bigger, not the flow another one."""
    with_them, without = tally_of(small("cross", resting=500)).mix, tally_of(small("cross")).mix
    assert with_them["trading_percent"] == pytest.approx(without["trading_percent"], abs=2)
    assert with_them["refused_percent"] == 0


def test_orders_over_many_books_stay_within_the_bounds_of_a_partition() -> None:
    """1,000 books with 100 orders each: none is refused, and there is room for ten times as many."""
    flow = small("cross", instruments=1_000, resting=100_000)
    partition = Market(flow).fresh()
    s = partition.state
    assert s.live_orders == 100_000
    cross_pages = 2 * (2 * flows.NEAR_TICKS // 32 + 2)
    assert (s.page_count + 1_000 * cross_pages) * 10 < MAX_PAGES


def test_many_accounts_and_instruments_are_listed_opened_and_funded() -> None:
    """In more than one batch of each."""
    flow = small("cross", accounts=20_000, instruments=9_000)
    partition = Market(flow).fresh()
    listed = instruments(partition)
    assert [each.instrument for each in listed] == list(range(1, 9_001))
    assert {(each.state, each.band_low_ticks, each.band_high_ticks) for each in listed} == {(v.OPEN, 1, MAX_PRICE_TICKS)}
    assert tally_of(flow).mix["refused_percent"] == 0
