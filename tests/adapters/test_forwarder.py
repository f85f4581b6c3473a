"""What is registered reaches the trading partitions, once, whatever ends in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.registry.aggregates import Account, FeeSchedule, Listing
from adapters.registry.forwarder import SOURCE, Forwarder
from adapters.registry.registry import Act, Registry
from commands.codec import from_row
from commands.messages import ChangeAccount, Command
from commands.writer import Writer
from domain import queries
from domain.verbs import ACCOUNT_RESTRICTED, COMMAND_BYTES
from eventstore.memory import MemorySnapshots
from eventstore.sqlite import SqliteLog
from tests.waiting import eventually

BY = Act("root", "a test")
TERMS: dict[str, int | str] = {
    "instrument": 1,
    "base_asset": 2,
    "quote_asset": 1,
    "quote_scale": 2,
    "tick_size_e9": 10_000_000,
    "lot_size_e9": 10**9,
    "band_low_ticks": 1,
    "band_high_ticks": 1_000_000,
    "max_quantity_lots": 1_000,
    "max_notional": 10**9,
    "quote_units": 1,
    "base_units": 1,
}


@pytest.fixture
def record(tmp_path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(tmp_path / "record.sqlite")
    yield log
    log.close()


@pytest.fixture
def registry(record: SqliteLog) -> Registry:
    """A record of its own connection, as a gateway's is."""
    made = Registry(record)
    made.add(Account("alice", 7, "ACME Trading", ["alice"], 3, *BY), Listing("ACME", 1, TERMS, "", "", *BY))
    return made


def writer(record: SqliteLog) -> Writer:
    return Writer(record, MemorySnapshots(), 1)


def told(record: SqliteLog) -> list[Command]:
    """The commands that the partition was given, in its one block."""
    (block,) = record.read(1)
    rows = block.commands()
    return [from_row(rows[at : at + COMMAND_BYTES]) for at in range(0, len(rows), COMMAND_BYTES)]


def test_accounts_and_instruments_become_commands_of_the_partition(record: SqliteLog, registry: Registry) -> None:
    registry.change(Account, "alice", lambda account: account.move_funds(1, 1, 50_000, *BY))
    registry.change(Listing, "ACME", lambda listing: listing.ask_state("open", *BY))
    with writer(record) as trading:
        Forwarder(registry, 1).forward(trading)
    state = trading.partition
    account = queries.account(state, 7)
    assert account is not None
    assert account.group == 3
    assert queries.balances(state, 7) == {1: (50_000, 0)}
    assert [(each.symbol, each.state) for each in queries.instruments(state)] == [("ACME", 2)]


def test_limits_and_status_follow(record: SqliteLog, registry: Registry) -> None:
    registry.change(Account, "alice", lambda account: account.set_limits(5, 100, 10**6, *BY))
    registry.change(Account, "alice", lambda account: account.set_status("restricted", *BY))
    with writer(record) as trading:
        Forwarder(registry, 1).forward(trading)
    changed = told(record)[-1]
    assert isinstance(changed, ChangeAccount)
    assert (changed.status, changed.group, changed.max_open_orders) == ("restricted", 3, 5)
    assert (changed.max_quantity_lots, changed.max_notional) == (100, 10**6)
    account = queries.account(trading.partition, 7)
    assert account is not None
    assert account.status == ACCOUNT_RESTRICTED


def rates(trading: Writer) -> dict[str, tuple[int, int]]:
    return {each.symbol: (each.maker_rate, each.taker_rate) for each in queries.instruments(trading.partition)}


def test_a_schedule_that_changes_changes_what_is_listed_with_it_and_nothing_else(record: SqliteLog, registry: Registry) -> None:
    registry.add(FeeSchedule("retail", 100, 300, *BY), FeeSchedule("vip", 0, 50, *BY))
    terms = {"maker_rate": 100, "taker_rate": 300}
    registry.add(Listing("DEAR", 1, TERMS | terms | {"instrument": 2}, "retail", "", *BY))
    registry.add(Listing("FAR", 2, TERMS | terms | {"instrument": 3}, "retail", "", *BY))
    with writer(record) as trading:
        forwarder = Forwarder(registry, 1)
        forwarder.forward(trading)
        eventually(lambda: rates(trading) == {"ACME": (0, 0), "DEAR": (100, 300)})
        registry.change(FeeSchedule, "retail", lambda schedule: schedule.set_rates(200, 400, *BY))
        forwarder.forward(trading)
        eventually(lambda: rates(trading) == {"ACME": (0, 0), "DEAR": (200, 400)})
        registry.change(Listing, "DEAR", lambda listing: listing.set_fees("vip", *BY))
        forwarder.forward(trading)
        eventually(lambda: rates(trading) == {"ACME": (0, 0), "DEAR": (0, 50)})
        registry.change(FeeSchedule, "retail", lambda schedule: schedule.set_rates(1, 1, *BY))
        registry.change(Listing, "DEAR", lambda listing: listing.set_fees("", *BY))
        forwarder.forward(trading)
    assert rates(trading) == {"ACME": (0, 0), "DEAR": (0, 50)}


def test_what_was_listed_while_its_schedule_changed_has_the_rates_of_the_schedule(record: SqliteLog, registry: Registry) -> None:
    """Whoever listed it had read those of before."""
    registry.add(FeeSchedule("retail", 100, 300, *BY))
    registry.change(FeeSchedule, "retail", lambda schedule: schedule.set_rates(200, 400, *BY))
    registry.add(Listing("DEAR", 1, TERMS | {"instrument": 2, "maker_rate": 100, "taker_rate": 300}, "retail", "", *BY))
    with writer(record) as trading:
        Forwarder(registry, 1).forward(trading)
        eventually(lambda: rates(trading).get("DEAR") == (200, 400))
    assert [type(command).__name__ for command in told(record)] == ["OpenAccount", "ListInstrument", "ListInstrument"]


def test_what_was_forwarded_is_not_forwarded_again_by_the_next_writer(record: SqliteLog, registry: Registry) -> None:
    with writer(record) as first:
        Forwarder(registry, 1).forward(first)
    events = first.partition.events
    registry.change(Account, "alice", lambda account: account.move_funds(1, 1, 50_000, *BY))
    with writer(record) as second:
        assert second.positions[SOURCE] == 2
        forwarder = Forwarder(registry, 1)
        forwarder.forward(second)
        forwarder.forward(second)
    assert second.partition.events == events + 1


def test_a_partition_is_told_of_its_own_instruments_and_funds_only(record: SqliteLog, registry: Registry) -> None:
    registry.add(Listing("ZETA", 2, TERMS | {"instrument": 2}, "", "", *BY))
    registry.change(Account, "alice", lambda account: account.move_funds(2, 1, 50_000, *BY))
    with writer(record) as trading:
        forwarder = Forwarder(registry, 1)
        forwarder.forward(trading)
    assert forwarder.forwarded == 4
    assert [each.symbol for each in queries.instruments(trading.partition)] == ["ACME"]
    assert queries.balances(trading.partition, 7) == {}


def test_a_withdrawal_beyond_the_balance_is_refused_by_the_partition_and_stops_nothing(record: SqliteLog, registry: Registry) -> None:
    registry.change(Account, "alice", lambda account: account.move_funds(1, 1, 100, *BY))
    registry.change(Account, "alice", lambda account: account.move_funds(1, 1, -101, *BY))
    registry.change(Account, "alice", lambda account: account.move_funds(1, 1, -40, *BY))
    with writer(record) as trading:
        Forwarder(registry, 1).forward(trading)
    assert queries.balances(trading.partition, 7) == {1: (60, 0)}
