"""What the rows of each view say, in examples; and the bounds of what is kept."""

from __future__ import annotations

import random
from collections import Counter
from struct import pack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import verbs as v
from domain.events import FUNDS_DEPOSITED, FUNDS_WITHDRAWN, ORDER_CANCELLED, ORDER_REMOVED, REMOVED_IOC, TRADE_EXECUTED
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal
from projections.book import Book
from projections.columns import Columns
from projections.depth import Depth
from projections.embedded import Views
from projections.layouts import (
    BALANCE,
    BAR,
    BAR_SECONDS,
    BARS_KEPT,
    BOOK_ORDER,
    BOOK_ORDERS,
    DEPTH_LEVELS,
    EXECUTION,
    INSTRUMENT,
    LAST_TRADES,
    LEVEL,
    LINE,
    ORDER,
    QUOTE,
    STATISTICS,
    TRADE,
    Balance,
    Bar,
    BookOrder,
    Level,
    Order,
    Quote,
    bar_key,
)
from projections.packed import OtherLayout
from projections.rings import Rings
from projections.table import Table
from projections.view import Rows
from tests.market import buy, cancel, deposit, list_instrument, open_account, reduce, replace, sell, set_state, tick, with_word, withdraw

SECOND = 10**9
DAY = 86_400 * SECOND


class Shown:
    """The views of an open instrument (3 quote units a tick and lot, fees 1 % and 2 %); accounts 1 and 2 have plenty."""

    def __init__(self) -> None:
        self.engine, self.head, self.views = Partition(1), genesis(1), Views(1)
        self.blocks: list[Block] = []
        rich = [deposit(account, asset, 10**12) for account in (1, 2) for asset in (1, 2)]
        self.after(
            list_instrument(quote_units=3, maker_rate=10_000, taker_rate=20_000), set_state(v.OPEN), open_account(1), open_account(2), *rich
        )

    def after(self, *commands: bytes) -> Shown:
        """The views after one more block."""
        block = seal(self.head, b"".join(commands), self.engine.execute(b"".join(commands)), self.engine.time_ns)
        self.head = after(block)
        self.blocks.append(block)
        self.views.advance(Columns(block))
        assert not self.views.stopped
        return self

    def row(self, view: str, key: str) -> bytes:
        row, seq = self.views.read(view, key)
        assert seq == self.head.seq, "every row says what it is as of"
        return row

    def group(self, view: str, group: str) -> Rows:
        rows, seq = self.views.group(view, group)
        assert seq == self.head.seq
        return rows


def test_a_quote_is_the_best_of_both_sides_with_the_lots_and_orders_open_there() -> None:
    shown = Shown().after(buy(1, 5, 98), buy(1, 7, 99), buy(2, 1, 99), sell(2, 4, 103))
    assert shown.row("quotes", "quote:1") == pack("<7q", 1, 99, 8, 2, 103, 4, 1)
    assert QUOTE.one(shown.row("quotes", "quote:1")) == Quote(99, 8, 2, ask_ticks=103, ask_lots=4, ask_orders=1)
    assert shown.row("quotes", "quote:2") == b"", "an instrument without an order has no row"


def test_a_side_without_orders_is_quoted_as_zeros() -> None:
    shown = Shown().after(buy(1, 5, 98)).after(sell(2, 5, 98))
    assert QUOTE.one(shown.row("quotes", "quote:1")) == Quote(0, 0, 0, 0, 0, 0)
    assert shown.row("depth", "depth:1:buy") == b"", "nor has it levels"


def test_what_is_removed_before_it_rests_never_was_a_level() -> None:
    """An IOC's remainder, and the incoming side of a prevented self-trade; the resting side was one."""
    shown = Shown().after(sell(1, 2, 100), buy(2, 5, 100, time_in_force=v.IOC))
    assert shown.row("depth", "depth:1:buy") == b""
    shown.after(sell(1, 2, 100), buy(1, 9, 100, stp=v.STP_CANCEL_NEWEST))
    assert (shown.row("depth", "depth:1:buy"), LEVEL.unpack(shown.row("depth", "depth:1:sell"))) == (b"", [Level(100, 2, 1)])
    shown.after(buy(1, 9, 100, stp=v.STP_CANCEL_BOTH))
    assert (shown.row("depth", "depth:1:buy"), shown.row("depth", "depth:1:sell")) == (b"", b"")


def test_the_row_of_depth_has_the_best_levels_and_the_fold_all_of_them() -> None:
    """DEPTH_LEVELS of them, best first on both sides."""
    prices = random.Random(1).sample(range(1, 1_000), 200)
    shown = Shown().after(*(buy(1, price % 7 + 1, price) for price in prices), *(sell(2, 1, 2_000 + price) for price in prices))
    expected = [Level(price, price % 7 + 1, 1) for price in sorted(prices, reverse=True)]
    assert LEVEL.unpack(shown.row("depth", "depth:1:buy")) == expected[:DEPTH_LEVELS]
    assert [level.price_ticks for level in LEVEL.unpack(shown.row("depth", "depth:1:sell"))] == sorted(2_000 + p for p in prices)[
        :DEPTH_LEVELS
    ]


def test_the_newest_trade_comes_first_and_only_so_many_are_kept() -> None:
    shown = Shown().after(sell(1, 100, 50), *(buy(2, 1, 60, received_ns=second * SECOND) for second in range(1, 41)))
    trades = TRADE.unpack(shown.row("trades", "trades:1"))
    assert len(trades) == LAST_TRADES
    assert [trade.time_ns for trade in trades] == [second * SECOND for second in range(40, 40 - LAST_TRADES, -1)]
    assert trades[0][2:] == (50, 1, v.BUY), "price, lots, and the side of the taker"
    last_event = shown.engine.events - 1
    assert trades[0].number == 2**53 + last_event, "a trade's number is that of its event"


def test_a_bar_sums_its_interval_and_the_next_trade_after_it_begins_another() -> None:
    """Turnover is price x lots x quote units, VWAP in millionths of a tick; intervals begin at whole multiples since 1970."""
    begin = 19_000 * DAY
    shown = Shown().after(
        *(sell(1, 10, price) for price in (100, 102, 101)),
        buy(2, 12, 101, received_ns=begin + 1),  # 10 at 100, 2 at 101
        buy(2, 10, 103, received_ns=begin + SECOND - 1),  # 8 at 101, 2 at 102
    )
    bar = Bar(begin, 100, 102, 100, 102, 4, 100_636_363, 22, (1_000 + 202 + 808 + 204) * 3)
    for seconds in BAR_SECONDS:
        assert BAR.one(shown.row("bars", bar_key(seconds, 1, begin))) == bar
    shown.after(buy(2, 1, 102, received_ns=begin + SECOND))
    assert BAR.one(shown.row("bars", bar_key(1, 1, begin))) == bar
    assert BAR.one(shown.row("bars", bar_key(1, 1, begin + SECOND))) == Bar(begin + SECOND, 102, 102, 102, 102, 1, 102_000_000, 1, 306)
    minute = Bar(begin, 100, 102, 100, 102, 5, 100_695_652, 23, bar.turnover + 306)
    assert shown.row("bars", f"bar:60:1:{begin // (60 * SECOND) % BARS_KEPT}") == BAR.pack(minute)


def test_a_bar_takes_the_place_of_the_one_a_whole_ring_before() -> None:
    """So the rows of bars are bounded: BARS_KEPT of each interval and instrument."""
    shown = Shown().after(sell(1, 100, 50))
    for start in (0, 5, BARS_KEPT, BARS_KEPT + 1):
        shown.after(buy(2, 1, 50, received_ns=start * SECOND))
    seconds = sorted(BAR.one(row).start_ns // SECOND for key, row in shown.views.views["bars"].rows.items() if key.startswith("bar:1:"))
    assert seconds == [5, BARS_KEPT, BARS_KEPT + 1]


def test_a_malformed_command_does_not_move_the_time_of_later_trades() -> None:
    """Rule 1.1: only its row says a later time."""
    nonsense = with_word(buy(1, 1, 1, received_ns=900 * SECOND), 15, 1)
    shown = Shown().after(sell(1, 1, 50, received_ns=3 * SECOND), nonsense, buy(2, 1, 50))
    assert TRADE.unpack(shown.row("trades", "trades:1"))[0].time_ns == 3 * SECOND


def test_time_does_not_go_back_at_the_border_of_a_block() -> None:
    """A command whose door's clock is behind has the time of the command before it, be that in the block before."""
    shown = Shown().after(sell(1, 2, 50, received_ns=90 * SECOND)).after(buy(2, 1, 50, received_ns=3 * SECOND))
    assert TRADE.unpack(shown.row("trades", "trades:1"))[0].time_ns == 90 * SECOND
    assert BAR.one(shown.row("bars", bar_key(1, 1, 90 * SECOND))).start_ns == 90 * SECOND


def test_a_sum_may_be_wider_than_a_word() -> None:
    """A day's turnover of a busy market in minor units of 10^-18."""
    bar = Bar(0, 1, 1, 1, 1, 2**40, 1, 2**70, 2**99 + 1)
    assert BAR.one(BAR.pack(bar)) == bar


def test_a_balance_is_available_and_held() -> None:
    """A fill moves stock against cash, and both fees to the venue."""
    shown = Shown().after(sell(1, 10, 100), buy(2, 4, 100))
    assert BALANCE.one(shown.row("balances", "balance:1:1")) == Balance(available=10**12 - 10, held=6)
    assert BALANCE.one(shown.row("balances", "balance:1:2")) == Balance(available=10**12 + 1_200 - 12, held=0)
    assert BALANCE.one(shown.row("balances", "balance:2:2")) == Balance(available=10**12 - 1_200 - 24, held=0)
    assert shown.row("balances", "balance:0:2") == pack("<3q", 1, 36, 0)


def test_the_book_is_the_queue_of_each_side() -> None:
    """Price first, then time; lots asked on top put an order at the end, lots taken off leave it where it is."""
    shown = Shown().after(*(buy(1, 5, price, client_order_id=number) for number, price in enumerate((98, 99, 99, 98), 1)))
    first, second, third, fourth = (order.order for order in orders_by_entry(shown))
    assert book(shown) == [(second, 99, 5), (third, 99, 5), (first, 98, 5), (fourth, 98, 5)]
    shown.after(replace(1, 6, client_order_id=1), reduce(1, 2, client_order_id=2), sell(2, 4, 99))
    assert book(shown) == [(third, 99, 4), (fourth, 98, 5), (first, 98, 6)]


def test_the_row_of_the_book_has_the_first_orders_and_the_fold_all_of_them() -> None:
    shown = Shown().after(*(buy(1, 1, 50) for _ in range(BOOK_ORDERS + 9)))
    assert len(BOOK_ORDER.unpack(shown.row("book", "book:1:buy"))) == BOOK_ORDERS


def test_more_levels_and_orders_than_usual_can_be_asked_for() -> None:
    """L2 of any number of levels, L3 of any number of orders."""
    blocks = Shown().after(*(buy(1, 1, price) for price in range(1, 101) for _ in range(2))).blocks
    for count, levels, orders in ((3, 3, 3), (None, 100, 200)):
        depth, queue = Depth(count), Book(count)
        rows = [(depth.fold(Columns(block)), queue.fold(Columns(block))) for block in blocks][-1]
        assert len(LEVEL.unpack(rows[0]["depth:1:buy"])) == levels
        assert len(BOOK_ORDER.unpack(rows[1]["book:1:buy"])) == orders


def test_an_open_order_has_a_row_until_it_ends_and_then_one_among_the_ended() -> None:
    """With all that became of it: here a fill, a reduction, a replace, and the cancel of what was left."""
    shown = Shown().after(buy(1, 10, 100, client_order_id=7, received_ns=5))
    ((key, row),) = shown.group("orders", "order:1").items()
    assert ORDER.one(row)[6:] == (7, 100, 10, 10, 0, 0, 0, 5, 5, 0, 0)
    shown.after(
        sell(2, 4, 100, received_ns=6), reduce(1, 1, client_order_id=7), replace(1, 3, 90, client_order_id=7, new_client_order_id=8)
    )
    open_order = ORDER.one(shown.row("orders", key))
    assert (open_order.client_order_id, open_order.price_ticks, open_order.quantity_lots) == (8, 90, 7)
    assert (open_order.open_lots, open_order.filled_lots, open_order.value, open_order.fees) == (3, 4, 1_200, 12)
    shown.after(cancel(1, client_order_id=8, received_ns=9))
    assert not shown.group("orders", "order:1")
    ended = ORDER.one(shown.row("orders", "ended:1:0"))
    assert ended == open_order._replace(open_lots=0, changed_ns=9, ended_by=ORDER_CANCELLED)


def test_an_order_that_is_removed_says_why() -> None:
    shown = Shown().after(buy(1, 1, 1, time_in_force=v.IOC))
    ended = ORDER.one(shown.row("orders", "ended:1:0"))
    assert (ended.ended_by, ended.reason, ended.open_lots, ended.filled_lots) == (ORDER_REMOVED, REMOVED_IOC, 0, 0)


def test_an_execution_is_seen_from_both_sides() -> None:
    shown = Shown().after(sell(1, 10, 100, received_ns=8), buy(2, 4, 101))
    maker, taker = (EXECUTION.one(shown.row("executions", f"execution:{account}:0")) for account in (1, 2))
    assert (taker.side, taker.is_maker, taker.fee) == (v.BUY, 0, 24)
    assert (maker.side, maker.is_maker, maker.fee) == (v.SELL, 1, 12)
    assert maker.number == taker.number != 0
    for each in (maker, taker):
        assert (each.time_ns, each.instrument, each.price_ticks, each.quantity_lots) == (8, 1, 100, 4)


def test_a_statement_has_a_line_for_all_that_came_and_went() -> None:
    """What an order holds is not gone, so the sell order leaves no line before it trades. A fee is taken off besides the amount."""
    shown = Shown().after(sell(1, 10, 100), buy(2, 4, 100), withdraw(2, 2, 5))
    lines = [LINE.one(row)[2:] for row in shown.group("statements", "statement:2").values()]
    assert lines == [
        (FUNDS_DEPOSITED, 1, 10**12, 0, 10**12),
        (FUNDS_DEPOSITED, 2, 10**12, 0, 10**12),
        (TRADE_EXECUTED, 2, -1_200, 24, 10**12 - 1_224),
        (TRADE_EXECUTED, 1, 4, 0, 10**12 + 4),
        (FUNDS_WITHDRAWN, 2, -5, 0, 10**12 - 1_229),
    ]
    assert LINE.one(shown.row("statements", "statement:0:0"))[2:] == (TRADE_EXECUTED, 2, 36, 0, 36)


def test_an_instrument_says_what_was_listed_and_its_state() -> None:
    shown = Shown().after(set_state(v.HALTED, received_ns=77))
    instrument = INSTRUMENT.one(shown.row("instruments", "instrument:1"))
    assert (instrument.state, instrument.since_ns, instrument.listed_ns) == (v.HALTED, 77, 0)
    assert (instrument.quote_units, instrument.maker_rate, instrument.taker_rate) == (3, 10_000, 20_000)


def test_the_statistics_of_a_day_forget_the_trades_that_are_older() -> None:
    """In steps of five minutes, by the time of the partition: also when it is another's command that moves it, and to no row at all."""
    step = 300 * SECOND
    shown = Shown().after(sell(1, 100, 50), buy(2, 1, 50, received_ns=step), sell(1, 9, 40, received_ns=3 * step), buy(2, 2, 40))
    day = Bar(step, 50, 50, 40, 40, 2, 43_333_333, 3, (50 + 80) * 3)
    assert STATISTICS.one(shown.row("statistics", "statistics:1")) == day
    shown.after(tick(DAY + step - 1))
    assert STATISTICS.one(shown.row("statistics", "statistics:1")) == day
    shown.after(tick(DAY + step))
    assert STATISTICS.one(shown.row("statistics", "statistics:1")) == Bar(3 * step, 40, 40, 40, 40, 1, 40_000_000, 2, 240)
    shown.after(tick(DAY + 3 * step))
    assert shown.row("statistics", "statistics:1") == b""


@settings(max_examples=50)
@given(st.lists(st.lists(st.integers(0, 4), max_size=30), max_size=20))
def test_rings_keep_the_newest_of_each_account_and_of_all(batches: list[list[int]]) -> None:
    """Three of an account, seven together; whatever was given up is said so, once."""
    rings, shown, entries = Rings(per_account=3, in_all=7), dict[tuple[int, int], int](), list[tuple[int, int]]()
    for accounts in batches:
        kept = rings.add(np.array(accounts, np.int64))
        for place in kept.gone:
            del shown[place]
        first = len(entries)
        for account in accounts:
            entries.append((account, sum(other == account for other, _ in entries)))
        shown |= {(accounts[at], place): first + at for at, place in zip(kept.entries.tolist(), kept.places.tolist(), strict=True)}
        newest = list(enumerate(entries))[-7:]
        later = Counter(account for account, _ in entries)
        assert shown == {(account, n % 3): at for at, (account, n) in newest if later[account] - n <= 3}
        again = Rings(per_account=3, in_all=7)
        again.restore(rings.state())
        rings = again


def test_a_row_of_another_release_is_not_misread() -> None:
    with pytest.raises(OtherLayout, match="a row of Quote has layout 2, this release reads 1: rebuild the view"):
        QUOTE.unpack(pack("<7q", 2, *range(6)))
    assert QUOTE.unpack(b"") == []


def test_a_group_is_all_that_an_account_has() -> None:
    """And an account whose number begins like it is another one."""
    shown = Shown().after(open_account(11), deposit(11, 3, 5), sell(1, 10, 100))
    assert list(shown.group("balances", "balance:1")) == ["balance:1:1", "balance:1:2"]
    assert list(shown.group("balances", "balance:11")) == ["balance:11:3"]
    assert shown.group("balances", "balance:12") == {}


def book(shown: Shown) -> list[BookOrder]:
    return BOOK_ORDER.unpack(shown.row("book", "book:1:buy"))


def orders_by_entry(shown: Shown) -> list[Order]:
    return [ORDER.one(row) for row in shown.group("orders", "order:1").values()]


def test_a_table_finds_every_key_it_was_given() -> None:
    """Also of keys that want the same place, and while it grows."""
    dice, table, naive = random.Random(4), Table(2), dict[int, tuple[int, int]]()
    for _ in range(300):
        keys = dice.sample(range(5_000), dice.randint(1, 60)) + [dice.randint(1, 2**16) << 24]
        table.put(np.array(keys), np.array([(key, -key) for key in keys]))
        naive |= {key: (key, -key) for key in keys}
    found, values = table.items()
    assert (found.tolist(), [tuple(row) for row in values.tolist()]) == (sorted(naive), [naive[key] for key in sorted(naive)])
    assert table.used == len(naive)
    assert 2 * table.used <= len(table.keys) <= 8 * table.used
