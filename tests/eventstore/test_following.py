"""How a user of the `eventsourcing` library follows a market: an application, a projection with a view, a process application."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.application import Application, ProcessingEvent
from eventsourcing.dispatch import singledispatchmethod
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import NotSupportedError, OperationalError, Tracking
from eventsourcing.projection import EventSourcedProjection, EventSourcedProjectionRunner, Projection, ProjectionRunner
from eventsourcing.sqlite import SQLiteTrackingRecorder

from eventstore.blocks import Block, after
from eventstore.migrate import migrate
from eventstore.postgres import PostgresLog
from eventstore.recorders import BLOCK_TOPIC, Factory
from eventstore.sqlite import SqliteLog
from tests.eventstore.rows import fill, trade_block
from tests.market import decode
from tests.servers.fixtures import Database


class Market(Application[UUID]):
    """The market's record, as an application that others follow."""

    env = {"PERSISTENCE_MODULE": "eventstore.recorders"}  # noqa: RUF012  # the library declares it a class variable


class CountsView(SQLiteTrackingRecorder):
    """Trades by instrument, in a table of the user's own beside the library's positions."""

    def construct_create_table_statements(self) -> list[str]:
        return [
            *super().construct_create_table_statements(),
            "CREATE TABLE IF NOT EXISTS counts (instrument INTEGER PRIMARY KEY, trades INTEGER)",
        ]

    def add(self, trades: Counter[int], tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            for instrument, count in trades.items():
                cursor.execute(
                    "INSERT INTO counts VALUES (?, ?) ON CONFLICT (instrument) DO UPDATE SET trades = trades + ?",
                    (instrument, count, count),
                )

    def counts(self) -> dict[int, int]:
        with self.datastore.transaction(commit=False) as cursor:
            cursor.execute("SELECT instrument, trades FROM counts")
            return {row["instrument"]: row["trades"] for row in cursor.fetchall()}


def trades_of(block: Block) -> Counter[int]:
    return Counter(happened.instrument for happened in decode(block.events()) if happened.name == "TradeExecuted")


class TradeCounts(Projection[CountsView]):
    """Counts trades; the library calls it once per block, in order."""

    topics = (BLOCK_TOPIC,)

    @singledispatchmethod
    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        self.view.add(trades_of(domain_event.block), tracking)


class Writer:
    """Somebody who goes on trading: appends blocks of one trade each to a file."""

    def __init__(self, path: Path) -> None:
        self.log = SqliteLog(path)
        self.head = self.log.claim(1)

    def trade(self, blocks: int) -> None:
        for _ in range(blocks):
            block = trade_block(self.head, instrument=self.head.seq % 2 + 1, lots=1)
            self.log.append(block)
            self.head = after(block)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    writer = Writer(path)
    yield writer
    writer.log.close()


def test_a_projection_follows_our_blocks_across_a_restart(tmp_path: Path) -> None:
    """The library's runner, its SQLite view, our record: caught up, followed live, stopped, started again where it was."""
    env = {"OUTCRY_RECORD": str(tmp_path / "record.sqlite"), "OUTCRY_PARTITION": "1"}
    env |= {"TRADECOUNTS_PERSISTENCE_MODULE": "eventsourcing.sqlite", "TRADECOUNTS_SQLITE_DBNAME": str(tmp_path / "view.sqlite")}
    with writing(tmp_path / "record.sqlite") as writer:
        writer.trade(3)
        with ProjectionRunner(application_class=Market, projection_class=TradeCounts, view_class=CountsView, env=env) as runner:
            runner.wait(3, timeout=10)
            assert runner.view.counts() == {1: 2, 2: 1}
            writer.trade(1)
            runner.wait(4, timeout=10)
            assert runner.view.counts() == {1: 2, 2: 2}
        writer.trade(5)
        with ProjectionRunner(application_class=Market, projection_class=TradeCounts, view_class=CountsView, env=env) as runner:
            assert (runner.view.max_tracking_id("Market") or 0) >= 4, "it goes on from its position"
            runner.wait(9, timeout=10)
            assert runner.view.counts() == {1: 5, 2: 4}


class Tape(Aggregate):
    """An aggregate of the user's own: how many trades an instrument has had."""

    class Started(Aggregate.Created):  # noqa: D106  # the library's way to name an event
        instrument: int

    @event(Started)
    def __init__(self, instrument: int) -> None:
        self.instrument = instrument
        self.trades = 0

    @staticmethod
    def create_id(instrument: int) -> UUID:
        return UUID(int=instrument)

    @event("Traded")
    def traded(self, trades: int) -> None:
        self.trades += trades


class Tapes(EventSourcedProjection[UUID]):
    """A process application: its aggregates' events and its position go into a chain of its own, one block for each block it read."""

    env = {"PERSISTENCE_MODULE": "eventstore.recorders"}  # noqa: RUF012  # as Market
    topics = (BLOCK_TOPIC,)

    @singledispatchmethod
    def policy(self, domain_event: Any, processing_event: ProcessingEvent[UUID]) -> None:
        for instrument, trades in trades_of(domain_event.block).items():
            known = Tape.create_id(instrument) in self.repository
            tape: Tape = self.repository.get(Tape.create_id(instrument)) if known else Tape(instrument)
            tape.traded(trades)
            processing_event.collect_events(tape)

    def trades(self, instrument: int) -> int:
        tape: Tape = self.repository.get(Tape.create_id(instrument))
        return tape.trades


def test_a_process_application_records_its_events_with_its_position(tmp_path: Path) -> None:
    """Each block of ours becomes one block of the consumer's: events and position together, across a restart, once each."""
    env = {"OUTCRY_RECORD": str(tmp_path / "record.sqlite"), "OUTCRY_CONSUMER": str(tmp_path / "tapes.sqlite")}
    with writing(tmp_path / "record.sqlite") as writer:
        for upto in (3, 8):
            writer.trade(upto - writer.head.seq)
            with EventSourcedProjectionRunner(application_class=Market, projection_class=Tapes, env=env) as runner:
                runner.wait(upto, timeout=10)
                assert runner.projection.trades(1) + runner.projection.trades(2) == upto
    log = SqliteLog(tmp_path / "tapes.sqlite", read_only=True)
    assert [block.inputs for block in log.read(0)] == [b'{"Market":%d}' % seq for seq in range(1, 9)]
    log.close()


def test_record_and_consumer_may_be_in_postgres(database: Database, empty_database: Database) -> None:
    """Connection strings in place of files: whoever follows may only read the record, and has a database of his own."""
    migrate(empty_database.dsn("outcry_migrator"))
    with closing(PostgresLog(database.dsn())) as log:
        fill(log, 6, instruments=2)
    env = {"OUTCRY_RECORD": database.dsn("outcry_reader"), "OUTCRY_CONSUMER": empty_database.dsn("outcry_writer")}
    with EventSourcedProjectionRunner(application_class=Market, projection_class=Tapes, env=env) as runner:
        runner.wait(6, timeout=10)
        assert (runner.projection.trades(1), runner.projection.trades(2)) == (3, 3)
    with closing(PostgresLog(empty_database.dsn())) as log:
        assert [block.inputs for block in log.read(0)] == [b'{"Market":%d}' % seq for seq in range(1, 7)]


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "MARKET_OUTCRY_RECORD or OUTCRY_RECORD is not in the environment"),
        ({"OUTCRY_RECORD": "x", "OUTCRY_PARTITION": "one"}, "OUTCRY_PARTITION is 'one'; it must be the number of a partition"),
    ],
)
def test_an_application_told_nothing_usable_says_what_is_missing(env: dict[str, str], says: str) -> None:
    with pytest.raises(OSError, match=says):
        Market(env)


def test_a_follower_does_not_create_a_record(tmp_path: Path) -> None:
    """A wrong path must not look like an empty market."""
    with pytest.raises(OperationalError, match=r"absent\.sqlite"):
        Market({"OUTCRY_RECORD": str(tmp_path / "absent.sqlite")})
    assert list(tmp_path.iterdir()) == []


def test_snapshots_of_aggregates_are_not_a_record(tmp_path: Path) -> None:
    with pytest.raises(NotSupportedError, match="leave snapshotting off"):
        Factory({"OUTCRY_CONSUMER": str(tmp_path / "x")}).aggregate_recorder("snapshots")
