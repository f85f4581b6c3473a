"""What the engine did, exported, is enough for a stranger: SQL on the file alone finds every balance and the time of every event."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import duckdb
import pytest

from domain import queries, verbs
from domain.partition import Partition
from eventstore.archive import export
from eventstore.blocks import after, seal
from eventstore.memory import MemoryLog
from tests.market import BASE, QUOTE, buy, cancel, deposit, list_instrument, mass_cancel, open_account, replace, sell, set_state

ACCOUNTS = range(1, 9)
QUOTE_UNITS, BASE_UNITS = 5, 3

BALANCES = f"""
WITH trades AS (
    SELECT *, price_ticks * quantity_lots * {QUOTE_UNITS} AS value, quantity_lots * {BASE_UNITS} AS stock,
           if(side = 0, taker_account, maker_account) AS buyer, if(side = 0, maker_account, taker_account) AS seller
    FROM events WHERE kind = 'TradeExecuted'
), moves AS (
    SELECT account, asset, amount FROM events WHERE kind = 'FundsDeposited'
    UNION ALL SELECT buyer, {BASE}, stock FROM trades
    UNION ALL SELECT seller, {BASE}, -stock FROM trades
    UNION ALL SELECT buyer, {QUOTE}, -value FROM trades
    UNION ALL SELECT seller, {QUOTE}, value FROM trades
    UNION ALL SELECT taker_account, {QUOTE}, -taker_fee FROM trades
    UNION ALL SELECT maker_account, {QUOTE}, -maker_fee FROM trades
    UNION ALL SELECT 0, {QUOTE}, taker_fee + maker_fee FROM trades
)
SELECT account, asset, sum(amount)::BIGINT FROM moves GROUP BY account, asset
"""


def opening() -> list[bytes]:
    """An instrument with odd units and fees, accounts that share groups, funds for all."""
    rows = [list_instrument(quote_units=QUOTE_UNITS, base_units=BASE_UNITS, maker_rate=1_500, taker_rate=2_500), set_state(verbs.OPEN)]
    rows += [open_account(account, group=account // 4) for account in ACCOUNTS]
    return rows + [deposit(account, asset, 10**9) for account in ACCOUNTS for asset in (BASE, QUOTE)]


def some_command(dice: random.Random, number: int) -> bytes:
    """Mostly orders of every kind around 100 ticks, some of them malformed with a time far ahead, times not in order."""
    account, lots, price = dice.choice(ACCOUNTS), dice.randint(1, 50), dice.randint(95, 105)
    at = {"received_ns": 1_000 * number + dice.randint(0, 5_000)}
    order = at | {"client_order_id": number, "stp": dice.randint(0, 4)}
    target = at | {"client_order_id": dice.randint(max(1, number - 60), number)}
    choices = {
        buy(account, lots, price, **order): 30,
        sell(account, lots, price, **order): 30,
        sell(account, lots, price, time_in_force=verbs.IOC, **order): 6,
        buy(account, lots, 0, order_type=verbs.MARKET, time_in_force=verbs.IOC, budget=lots * 700, **order): 6,
        buy(account, lots, price, post_only=verbs.POST_ONLY_SLIDE, **order): 6,
        replace(account, lots, price, **target): 6,
        cancel(account, **target): 12,
        mass_cancel(account, **at): 1,
        buy(account, -1, price, **order | {"received_ns": 10**15}): 3,
    }
    return dice.choices(list(choices), list(choices.values()))[0]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> tuple[Partition, MemoryLog, Path]:
    """Two thousand commands in blocks of about twenty, and their export."""
    dice = random.Random(4)
    rows = opening() + [some_command(dice, number) for number in range(1, 2_001)]
    partition, log = Partition(1), MemoryLog()
    head = log.claim(1)
    while rows:
        batch = b"".join(rows[: (size := dice.randint(1, 40))])
        block = seal(head, batch, partition.execute(batch), partition.time_ns)
        log.append(block)
        head, rows = after(block), rows[size:]
    path = tmp_path_factory.mktemp("export") / "market.parquet"
    export(log, 1, "parquet", path)
    return partition, log, path


def sql(path: Path, query: str) -> list[Any]:
    with duckdb.connect() as db:
        db.execute(f"CREATE VIEW events AS SELECT * FROM '{path}'")
        return db.execute(query).fetchall()


def test_sql_finds_every_balance(market: tuple[Partition, MemoryLog, Path]) -> None:
    """Deposits, trades by taker and maker, fees: each account's money and stock, and the venue's, to the minor unit."""
    partition, _, path = market
    found = {(account, asset): total for account, asset, total in sql(path, BALANCES)}
    expected = {
        (account, asset): available + held
        for account in (0, *ACCOUNTS)
        for asset, (available, held) in queries.balances(partition, account).items()
    }
    assert found == expected
    assert found[0, QUOTE] > 0, "fees were paid"


def test_sql_finds_the_time_of_every_block(market: tuple[Partition, MemoryLog, Path]) -> None:
    """The rising time computed from received_ns is the engine's own, malformed rows with a time far ahead among them."""
    _, log, path = market
    found = sql(path, "SELECT seq, max(time_ns) FROM events GROUP BY seq ORDER BY seq")
    assert found == [(block.seq, block.time_ns) for block in log.read(1)]
    ((malformed, far_ahead),) = sql(path, "SELECT count(*), max(received_ns) FROM events WHERE kind = 'CommandRefused' AND rule = 1")
    assert malformed > 0
    assert far_ahead > found[-1][1]


def test_sql_names_the_taker_of_every_trade(market: tuple[Partition, MemoryLog, Path]) -> None:
    """A trade's taker is the order of the outcome with the same command, and its account that command's."""
    _, _, path = market
    ((trades, agree),) = sql(
        path,
        """SELECT count(*), count(*) FILTER (trade.taker_order = o."order" AND trade.taker_account = o.account)
        FROM events AS trade JOIN events AS o USING (seq, command)
        WHERE trade.kind = 'TradeExecuted' AND o.kind IN ('OrderAccepted', 'OrderReplaced')""",
    )
    assert trades == agree > 500
