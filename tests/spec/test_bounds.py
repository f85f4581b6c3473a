"""Section 9 of docs/rules.md: the bounds that only a partition of millions, or an attacker of its hash tables, reaches.

Each is really reached, but that of the wallets: 2^25 of them want 3 GiB and a minute. There the kernel's source is copied, its bound
lowered in the copy, and the copy run, interpreted, in a process of its own; nothing but the number differs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest

import domain.partition
from domain import events as e
from domain import rules
from domain import verbs as v
from domain.audit import check
from domain.columns import MAX_ACCOUNT, MAX_ACCOUNT_ORDERS, MAX_BATCH_COMMANDS, MAX_LIVE_ORDERS, MAX_PAGES, MAX_PROBE, MAX_WALLETS
from domain.partition import Partition
from domain.table import mix
from tests.market import (
    BASE,
    QUOTE,
    Market,
    accepted,
    buy,
    cancel,
    deposit,
    list_instrument,
    open_account,
    refused,
    removed,
    replace,
    sell,
    set_state,
    traded,
    withdraw,
)
from tests.spec.conftest import PARTITION

MANY = 2**50
HIGHEST = 2**31 - 1
PAGE_TICKS = 32
SAME_HOME = 4_095  # the low bits that place an entry in a table of 4,096 places: more than those of a few hundred entries have


class Twins:
    """A partition that executes and one that only applies what the first emitted."""

    def __init__(self) -> None:
        self.one, self.other = Partition(PARTITION), Partition(PARTITION)

    def execute(self, batch: bytes, /) -> bytes:
        events = self.one.execute(batch)
        self.other.apply(batch, events)
        return events


@pytest.fixture
def twins() -> Twins:
    return Twins()


@pytest.fixture
def venue(twins: Twins) -> Market:
    """Instrument 1 open at any price; accounts 1 to 33 with plenty of both assets."""
    venue = Market(twins)
    venue.given(list_instrument(1, band_high_ticks=HIGHEST), set_state(v.OPEN))
    for account in range(1, 34):
        venue.given(open_account(account), deposit(account, BASE, MANY), deposit(account, QUOTE, MANY))
    return venue


def fill(twins: Twins, orders: int, price_step: int) -> None:
    """*orders* sells of one lot from 100 ticks on, each *price_step* ticks above the one before; every account makes as many as it may."""
    template = np.frombuffer(sell(1, 1, 100, client_order_id=1), "<i8")
    for first in range(0, orders, MAX_BATCH_COMMANDS):
        numbers = np.arange(first, min(orders, first + MAX_BATCH_COMMANDS))
        rows = np.tile(template, (len(numbers), 1))
        rows[:, v.ACCOUNT] = 1 + numbers // MAX_ACCOUNT_ORDERS
        rows[:, v.CLIENT_ORDER_ID] = 1 + numbers
        rows[:, v.PRICE_TICKS] = 100 + numbers * price_step
        events = np.frombuffer(twins.execute(rows.tobytes()), "<i8").reshape(-1, e.EVENT_WORDS)
        assert (events[:, 0] & 255 == np.tile((e.ORDER_ACCEPTED, e.ORDER_RESTED), len(numbers))).all()


def test_a_partition_keeps_so_many_live_orders_and_no_more(venue: Market, twins: Twins) -> None:
    """Not even one that would not rest. An order that is gone makes room for another."""
    fill(twins, MAX_LIVE_ORDERS, price_step=0)
    full = refused(rules.TOO_MANY_ORDERS, MAX_LIVE_ORDERS, MAX_LIVE_ORDERS)
    assert venue.when(sell(33, 1, 100)) == [full]
    assert venue.when(buy(33, 1, 100, time_in_force=v.IOC)) == [full]
    venue.given(cancel(1, client_order_id=1), sell(33, 1, 100))
    assert venue.when(sell(33, 1, 100)) == [full]
    assert twins.one.state_hash() == twins.other.state_hash()


def test_a_partition_keeps_so_many_price_pages_and_no_more(venue: Market, twins: Twins) -> None:
    """A price that has a page takes orders still, and who would not rest needs none. A slide and a replace need room as a new order."""
    fill(twins, MAX_PAGES, price_step=PAGE_TICKS)
    full = refused(rules.TOO_MANY_PRICE_LEVELS, MAX_PAGES, MAX_PAGES)
    assert venue.when(sell(33, 1, HIGHEST)) == [full]
    assert venue.when(buy(33, 1, 100)) == [full]
    assert venue.when(buy(33, 1, 101, post_only=v.POST_ONLY_SLIDE)) == [full]
    assert venue.when(replace(1, price=HIGHEST, client_order_id=2)) == [full]
    venue.given(sell(33, 1, 101), replace(1, price=102, client_order_id=1), buy(33, 1, 101, time_in_force=v.IOC))
    venue.given(cancel(2, client_order_id=MAX_ACCOUNT_ORDERS + 1), buy(33, 1, 99))
    assert twins.one.state_hash() == twins.other.state_hash()


def crowd(hashed: Callable[[int], int], home: int, size: int) -> list[int]:
    """Numbers that have one home in a table: what an attacker sends, who can compute `mix` as well as we can."""
    return list(islice((number for number in count(1) if hashed(number) & SAME_HOME == home), size))


def test_a_client_order_id_without_a_place_is_refused(venue: Market, twins: Twins) -> None:
    """A new one, or one that a replace asks for. Others go on, and so does he when one of the crowd is gone."""
    *ids, one_more = crowd(lambda number: mix(1, number), 0, MAX_PROBE + 1)
    (apart,) = crowd(lambda number: mix(1, number), 256, 1)
    venue.given(*(sell(1, 1, 100, client_order_id=number) for number in ids))
    crowded = refused(rules.CROWDED_ID, MAX_PROBE, one_more)
    assert venue.when(sell(1, 1, 100, client_order_id=one_more)) == [crowded]
    venue.given(sell(1, 1, 100, client_order_id=apart))
    assert venue.when(replace(1, client_order_id=apart, new_client_order_id=one_more)) == [crowded]
    venue.given(cancel(1, client_order_id=ids[0]), replace(1, client_order_id=apart, new_client_order_id=one_more))
    agree(twins)


def test_a_command_id_without_a_place_is_refused_and_changes_nothing(venue: Market, twins: Twins) -> None:
    """It could not be remembered, so it must not happen: under another id it may."""
    *ids, one_more = crowd(lambda number: mix(1, number), 0, MAX_PROBE + 1)
    (apart,) = crowd(lambda number: mix(1, number), 256, 1)
    venue.given(*(deposit(1, BASE, 1, sequence=number) for number in ids))
    before = venue.available(1, BASE)
    assert venue.when(deposit(1, BASE, 1, sequence=one_more)) == [refused(rules.CROWDED_ID, MAX_PROBE, one_more)]
    assert venue.available(1, BASE) == before
    venue.given(deposit(1, BASE, 1, sequence=apart), deposit(2, BASE, 1, sequence=one_more))
    agree(twins)


def test_an_order_whose_price_page_has_no_place_is_removed_instead_of_resting(venue: Market, twins: Twins) -> None:
    """What it could trade before, it did."""
    side = 2 * 1 + v.SELL
    lowest, *pages = crowd(lambda page: mix(side, page), 0, MAX_PROBE + 1)
    price = lowest * PAGE_TICKS
    venue.given(*(sell(1, 1, page * PAGE_TICKS) for page in pages), buy(2, 2, price))
    order = MAX_PROBE + 2
    assert venue.when(sell(3, 5, price)) == [
        accepted(order, v.SELL, price, 5, held=5),
        traded(v.SELL, maker=order - 1, maker_account=2, price=price, lots=2, buyer_released=2 * price),
        removed(e.REMOVED_PRICE_LEVELS, order, 3, v.SELL, price, 3, released=3),
    ]
    agree(twins)


def test_account_numbers_end_at_their_bound(venue: Market, twins: Twins) -> None:
    """The last account is one like any other."""
    beyond = MAX_ACCOUNT + 1
    assert venue.when(open_account(beyond)) == [refused(rules.TOO_MANY_ACCOUNTS, MAX_ACCOUNT, beyond)]
    venue.given(open_account(MAX_ACCOUNT), deposit(MAX_ACCOUNT, BASE, 5), sell(MAX_ACCOUNT, 5, 100), buy(1, 2, 100))
    assert venue.available(MAX_ACCOUNT, QUOTE) == 200
    assert venue.when(open_account(beyond)) == [refused(rules.TOO_MANY_ACCOUNTS, MAX_ACCOUNT, beyond)]
    assert venue.when(deposit(beyond, BASE, 1)) == [refused(rules.UNKNOWN_ACCOUNT, MAX_ACCOUNT, beyond)]


def agree(twins: Twins) -> None:
    """Both are in one state, and it is sound."""
    assert twins.one.state_hash() == twins.other.state_hash()
    check(twins.one)


class LoweredVenue:
    """The interpreted kernel with another bound of wallets. Every batch is run from the first on: it keeps no state between processes."""

    RUN = """
import sys
from domain import partition
assert partition.__file__.endswith(".py")
venue = partition.Partition(int(sys.argv[1]))
for row in iter(lambda: sys.stdin.buffer.read(128), b""):
    events = venue.execute(row)
sys.stdout.buffer.write(events)
"""

    def __init__(self, folder: Path, wallets: int) -> None:
        source = Path(domain.partition.__file__).parent
        shutil.copytree(source, folder / "domain", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        columns = folder / "domain" / "columns.py"
        lowered, times = re.subn(r"^MAX_WALLETS: Final = .*$", f"MAX_WALLETS: Final = {wallets}", columns.read_text(), flags=re.MULTILINE)
        assert times == 1
        columns.write_text(lowered)
        self.folder, self.rows = folder, b""

    def execute(self, batch: bytes, /) -> bytes:
        self.rows += batch
        command = [sys.executable, "-c", self.RUN, str(PARTITION)]
        return subprocess.run(command, cwd=self.folder, input=self.rows, capture_output=True, check=True).stdout


def test_a_partition_keeps_so_many_wallets_and_no_more(tmp_path: Path) -> None:
    """Room for two is kept, for an order may need both. Whoever has his wallets goes on; a listing needs one for the venue's fees."""
    assert MAX_WALLETS == 2**25
    venue = Market(LoweredVenue(tmp_path, wallets=6))
    venue.given(list_instrument(1), set_state(v.OPEN), open_account(1), open_account(2))
    venue.given(deposit(1, BASE, 10), deposit(1, QUOTE, 1_000), deposit(2, BASE, 10))
    full = refused(rules.TOO_MANY_WALLETS, 6, 4)
    assert venue.when(deposit(2, QUOTE, 1)) == [full]
    assert venue.when(sell(2, 1, 100)) == [full]
    assert venue.when(list_instrument(2, "BOLT", base_asset=3, quote_asset=4)) == [full]
    venue.given(deposit(2, BASE, 1), withdraw(2, BASE, 1), buy(1, 1, 100), list_instrument(3, "CRUX", base_asset=3))
