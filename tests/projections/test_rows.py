"""What the rows of each view say, in examples; and the bounds of what is kept."""

from __future__ import annotations

import random
from struct import pack

import numpy as np

from domain import verbs as v
from domain.partition import Partition
from eventstore.blocks import after, genesis, seal
from projections.embedded import Views
from projections.packed import BAR_SECONDS, BARS_KEPT, DEPTH_LEVELS, LAST_TRADES, Balance, Bar, Level, Quote, Trade, bar_key
from projections.table import Table
from tests.market import buy, deposit, list_instrument, open_account, sell, set_state, with_word

SECOND = 10**9
DAY = 86_400 * SECOND


class Shown:
    """The views of an open instrument (3 quote units a tick and lot, fees 1 % and 2 %); accounts 1 and 2 have plenty."""

    def __init__(self) -> None:
        self.engine, self.head, self.views = Partition(1), genesis(1), Views(1)
        rich = [deposit(account, asset, 10**12) for account in (1, 2) for asset in (1, 2)]
        self.after(
            list_instrument(quote_units=3, maker_rate=10_000, taker_rate=20_000), set_state(v.OPEN), open_account(1), open_account(2), *rich
        )

    def after(self, *commands: bytes) -> Shown:
        """The views after one more block."""
        block = seal(self.head, b"".join(commands), self.engine.execute(b"".join(commands)), self.engine.time_ns)
        self.head = after(block)
        self.views.advance(block)
        assert not self.views.stopped
        return self

    def row(self, view: str, key: str) -> bytes:
        row, seq = self.views.read(view, key)
        assert seq == self.head.seq, "every row says what it is as of"
        return row


def test_a_quote_is_the_best_of_both_sides_with_the_lots_open_there() -> None:
    shown = Shown().after(buy(1, 5, 98), buy(1, 7, 99), buy(2, 1, 99), sell(2, 4, 103))
    assert shown.row("quotes", "quote:1") == pack("<4q", 99, 8, 103, 4)
    assert Quote.unpack(shown.row("quotes", "quote:1")) == Quote(bid_ticks=99, bid_lots=8, ask_ticks=103, ask_lots=4)
    assert shown.row("quotes", "quote:2") == b"", "an instrument without an order has no row"


def test_a_side_without_orders_is_quoted_as_zeros() -> None:
    shown = Shown().after(buy(1, 5, 98)).after(sell(2, 5, 98))
    assert Quote.unpack(shown.row("quotes", "quote:1")) == Quote(0, 0, 0, 0)
    assert shown.row("depth", "depth:1:buy") == b"", "nor has it levels"


def test_what_is_removed_before_it_rests_never_was_a_level() -> None:
    """An IOC's remainder, and the incoming side of a prevented self-trade; the resting side was one."""
    shown = Shown().after(sell(1, 2, 100), buy(2, 5, 100, time_in_force=v.IOC))
    assert shown.row("depth", "depth:1:buy") == b""
    shown.after(sell(1, 2, 100), buy(1, 9, 100, stp=v.STP_CANCEL_NEWEST))
    assert (shown.row("depth", "depth:1:buy"), Level.unpack(shown.row("depth", "depth:1:sell"))) == (b"", [Level(100, 2)])
    shown.after(buy(1, 9, 100, stp=v.STP_CANCEL_BOTH))
    assert (shown.row("depth", "depth:1:buy"), shown.row("depth", "depth:1:sell")) == (b"", b"")


def test_the_row_of_depth_has_the_best_levels_and_the_fold_all_of_them() -> None:
    """DEPTH_LEVELS of them, best first on both sides."""
    prices = random.Random(1).sample(range(1, 1_000), 200)
    shown = Shown().after(*(buy(1, price % 7 + 1, price) for price in prices), *(sell(2, 1, 2_000 + price) for price in prices))
    expected = [Level(price, price % 7 + 1) for price in sorted(prices, reverse=True)]
    assert Level.unpack(shown.row("depth", "depth:1:buy")) == expected[:DEPTH_LEVELS]
    assert [level.price_ticks for level in Level.unpack(shown.row("depth", "depth:1:sell"))] == sorted(2_000 + p for p in prices)[
        :DEPTH_LEVELS
    ]


def test_the_newest_trade_comes_first_and_only_so_many_are_kept() -> None:
    shown = Shown().after(sell(1, 100, 50), *(buy(2, 1, 60, received_ns=second * SECOND) for second in range(1, 41)))
    trades = Trade.unpack(shown.row("trades", "trades:1"))
    assert len(trades) == LAST_TRADES
    assert [trade.time_ns for trade in trades] == [second * SECOND for second in range(40, 40 - LAST_TRADES, -1)]
    assert trades[0][2:] == (50, 1, v.BUY), "price, lots, and the side of the taker"
    last_event = shown.engine.events - 1
    assert trades[0].number == 2**53 + last_event, "a trade's number is that of its event"


def test_a_bar_sums_its_interval_and_the_next_trade_after_it_begins_another() -> None:
    """Turnover is price x lots x quote units; intervals begin at whole multiples since 1970."""
    begin = 19_000 * DAY
    shown = Shown().after(
        *(sell(1, 10, price) for price in (100, 102, 101)),
        buy(2, 12, 101, received_ns=begin + 1),  # 10 at 100, 2 at 101
        buy(2, 10, 103, received_ns=begin + SECOND - 1),  # 8 at 101, 2 at 102
    )
    bar = Bar(begin, 100, 102, 100, 102, 4, 22, (1_000 + 202 + 808 + 204) * 3)
    for seconds in BAR_SECONDS:
        assert Bar.unpack(shown.row("bars", bar_key(seconds, 1, begin))) == bar
    shown.after(buy(2, 1, 102, received_ns=begin + SECOND))
    assert Bar.unpack(shown.row("bars", bar_key(1, 1, begin))) == bar
    assert Bar.unpack(shown.row("bars", bar_key(1, 1, begin + SECOND))) == Bar(begin + SECOND, 102, 102, 102, 102, 1, 1, 306)
    minute = Bar(begin, 100, 102, 100, 102, 5, 23, bar.turnover + 306)
    assert shown.row("bars", f"bar:60:1:{begin // (60 * SECOND) % BARS_KEPT}") == minute.pack()


def test_a_bar_takes_the_place_of_the_one_a_whole_ring_before() -> None:
    """So the rows of bars are bounded: BARS_KEPT of each interval and instrument."""
    shown = Shown().after(sell(1, 100, 50))
    for start in (0, 5, BARS_KEPT, BARS_KEPT + 1):
        shown.after(buy(2, 1, 50, received_ns=start * SECOND))
    seconds = sorted(Bar.unpack(row).start_ns // SECOND for key, row in shown.views.views["bars"].rows.items() if key.startswith("bar:1:"))
    assert seconds == [5, BARS_KEPT, BARS_KEPT + 1]


def test_a_malformed_command_does_not_move_the_time_of_later_trades() -> None:
    """Rule 1.1: only its row says a later time."""
    nonsense = with_word(buy(1, 1, 1, received_ns=900 * SECOND), 15, 1)
    shown = Shown().after(sell(1, 1, 50, received_ns=3 * SECOND), nonsense, buy(2, 1, 50))
    assert Trade.unpack(shown.row("trades", "trades:1"))[0].time_ns == 3 * SECOND


def test_time_does_not_go_back_at_the_border_of_a_block() -> None:
    """A command whose door's clock is behind has the time of the command before it, be that in the block before."""
    shown = Shown().after(sell(1, 2, 50, received_ns=90 * SECOND)).after(buy(2, 1, 50, received_ns=3 * SECOND))
    assert Trade.unpack(shown.row("trades", "trades:1"))[0].time_ns == 90 * SECOND
    assert Bar.unpack(shown.row("bars", bar_key(1, 1, 90 * SECOND))).start_ns == 90 * SECOND


def test_a_sum_may_be_wider_than_a_word() -> None:
    """A day's turnover of a busy market in minor units of 10^-18."""
    bar = Bar(0, 1, 1, 1, 1, 2**40, 2**70, 2**99 + 1)
    assert Bar.unpack(bar.pack()) == bar


def test_a_balance_is_available_and_held() -> None:
    """A fill moves stock against cash, and both fees to the venue."""
    shown = Shown().after(sell(1, 10, 100), buy(2, 4, 100))
    assert Balance.unpack(shown.row("balances", "balance:1:1")) == Balance(available=10**12 - 10, held=6)
    assert Balance.unpack(shown.row("balances", "balance:1:2")) == Balance(available=10**12 + 1_200 - 12, held=0)
    assert Balance.unpack(shown.row("balances", "balance:2:2")) == Balance(available=10**12 - 1_200 - 24, held=0)
    assert shown.row("balances", "balance:0:2") == pack("<2q", 36, 0)


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
