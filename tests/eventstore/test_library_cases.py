"""The `eventsourcing` library's own published test cases for recorders, unmodified, over a BlockLog in memory, in SQLite and in PostgreSQL.

They run against `ConsumerRecorder`, which records events of any kind. `PartitionRecorder` shows the blocks of a market; our rules forbid
what most of these cases begin with, so they do not run against it:

- *two random streams in one notification log*: a notification log is one partition, its only stream the partition;
- *state b"state1", topics topic1 to topic3*: a state is a sealed block, which names its predecessor's hash; there is one topic;
- *versions that begin with 0*: blocks are numbered from 1 without gaps;
- *several events in one insert*: a block is a commit, and two commits are not one;
- *ten writers at once without conflict*: a partition has one writer, the others are fenced.

What it does instead, and that it selects like the library's own recorder, is in test_recorders.py.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import StoredEvent
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)

from eventstore.consumers import ConsumerRecorder
from eventstore.memory import MemoryLog
from eventstore.postgres import PostgresLog
from eventstore.sqlite import SqliteLog
from tests.servers.fixtures import Database


class InMemory:
    """Each test gets a recorder over an empty log."""

    def create_recorder(self) -> ConsumerRecorder:
        return ConsumerRecorder(MemoryLog())


class InSqlite(InMemory):
    def create_recorder(self) -> ConsumerRecorder:
        folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.addCleanup(folder.cleanup)  # type: ignore[attr-defined]  # mixed into a TestCase
        log = SqliteLog(Path(folder.name) / "consumer.sqlite")
        self.addCleanup(log.close)  # type: ignore[attr-defined]  # as above
        return ConsumerRecorder(log)


class InPostgres(InMemory):
    @pytest.fixture(autouse=True)
    def take_a_database(self, database: Database) -> None:
        self.database = database

    def create_recorder(self) -> ConsumerRecorder:
        log = PostgresLog(self.database.dsn())
        self.addCleanup(log.close)  # type: ignore[attr-defined]  # as above
        return ConsumerRecorder(log)


class WithoutIds(ConsumerRecorder):
    """An AggregateRecorder has no notification log, so its inserts name no ids."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        super().insert_events(stored_events, **kwargs)


class TestAggregateRecorder(AggregateRecorderTestCase):
    def create_recorder(self) -> WithoutIds:
        return WithoutIds(MemoryLog())


class TestApplicationRecorder(InMemory, ApplicationRecorderTestCase[ConsumerRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderInSqlite(InSqlite, ApplicationRecorderTestCase[ConsumerRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestApplicationRecorderInPostgres(InPostgres, ApplicationRecorderTestCase[ConsumerRecorder]):
    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestNonInterleavingNotificationIds(InMemory, NonInterleavingNotificationIDsBaseCase):
    pass


class TestNonInterleavingNotificationIdsInSqlite(InSqlite, NonInterleavingNotificationIDsBaseCase):
    pass


class TestNonInterleavingNotificationIdsInPostgres(InPostgres, NonInterleavingNotificationIDsBaseCase):
    pass


class TestProcessRecorder(InMemory, ProcessRecorderTestCase):
    pass


class TestProcessRecorderInSqlite(InSqlite, ProcessRecorderTestCase):
    pass


class TestProcessRecorderInPostgres(InPostgres, ProcessRecorderTestCase):
    pass


class TestTrackingRecorder(InMemory, TrackingRecorderTestCase):
    pass


class TestTrackingRecorderInSqlite(InSqlite, TrackingRecorderTestCase):
    pass


class TestTrackingRecorderInPostgres(InPostgres, TrackingRecorderTestCase):
    pass


# unittest's classes are collected wherever they are named: only ours may run here
del (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
