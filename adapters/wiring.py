"""Where ports meet their implementations.

embedded  one process, one trading partition, one folder: SQLite file, snapshots
stack     workers over a record in Postgres, with snapshots beside it, and topics in Kafka
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from adapters.decimals import BadDecimal
from adapters.feed import BadFeed
from adapters.names import BadName
from adapters.settings import FILE, BadSettings, Settings
from adapters.times import BadTime
from commands.codec import BadRow
from commands.ports import Unanswered
from commands.writer import Stopped, Writer
from domain.partition import Partition
from eventstore.errors import BadTopic, Disagree, Expired
from eventstore.memory import MemorySnapshots
from eventstore.ports import BlockLog, Damaged, Fenced, NewerSchema, OutcomeUnknown, SnapshotStore, StoreFailed
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog
from projections.view import Fold
from replay import travel
from replay.source import Progress
from replay.travel import NotInRecord

if TYPE_CHECKING:
    import redis

    from adapters.redis_view import RedisView
    from eventstore.postgres import PostgresLog

RECORD: Final = "record.sqlite"
SNAPSHOTS: Final = "snapshots"


class NoStore(ValueError):
    """Nothing was recorded there, or something else: which folder, and what to do."""


BAD_INPUT: Final = (BadDecimal, BadName, BadRow, BadSettings, BadTime, NoStore, NotInRecord)
WORLD_FAILED: Final = (
    BadFeed,
    BadTopic,
    Damaged,
    Disagree,
    Expired,
    Fenced,
    NewerSchema,
    OutcomeUnknown,
    Stopped,
    StoreFailed,
    Unanswered,
    OSError,
)


@dataclass(frozen=True, slots=True)
class Store:
    """The record of the trading partition *number*, and snapshots of what it leads to."""

    settings: Settings
    log: BlockLog
    snapshots: SnapshotStore
    number: int

    def state(self, progress: Progress | None = None) -> Partition:
        """The partition as the record has it now. Raises Damaged, StoreFailed."""
        return travel.at(self.log, self.snapshots, self.number, progress=progress).partition

    def writer(self, progress: Progress | None = None) -> Writer:
        """The partition's one writer: whoever had it before is fenced. Close it, or use it in `with`."""
        return Writer(
            self.log,
            self.snapshots,
            self.number,
            inbox_commands=self.settings.inbox_commands,
            snapshot_every_events=self.settings.snapshot_every_events,
            progress=progress,
        )


@contextmanager
def reading(settings: Settings, symbol: str = "") -> Iterator[Store]:
    """The record (of the partition of *symbol*), of which nothing will change.

    Raises NoStore, BadSettings, Damaged, NewerSchema, StoreFailed.
    """
    number = settings.partition_of(symbol)
    if settings.profile == "stack":
        from eventstore.postgres_snapshots import PostgresSnapshots

        with closing(postgres(settings)) as record:
            yield Store(settings, record, PostgresSnapshots(settings.postgres), number)
        return
    file, kept = settings.store / RECORD, settings.store / SNAPSHOTS
    if not file.exists():
        raise NoStore(f"no record in {settings.store}; name its folder with --store, or begin one with `outcry feed` or `outcry order`")
    snapshots: SnapshotStore = FileSnapshots(kept) if kept.is_dir() else MemorySnapshots()
    with closing(SqliteLog(file, read_only=True)) as log:
        yield Store(settings, log, snapshots, number)


@contextmanager
def writing(settings: Settings) -> Iterator[Store]:
    """The store, made when there is none. Raises Damaged, NewerSchema, StoreFailed, OSError."""
    settings.store.mkdir(parents=True, exist_ok=True)
    with closing(SqliteLog(settings.store / RECORD)) as log:
        yield Store(settings, log, FileSnapshots(settings.store / SNAPSHOTS), settings.partition)


class Server(Protocol):
    """What `outcry serve` runs."""

    def serve(self, stop: threading.Event) -> None:
        """Until *stop*."""


@contextmanager
def serving(settings: Settings) -> Iterator[Server]:
    """The process that the profile asks for. Raises BadSettings, BadTopic, Damaged, NewerSchema, StoreFailed, OSError."""
    if settings.profile == "embedded":
        from adapters.single import Single

        with writing(settings) as store:
            yield Single(settings, store.log, store.snapshots)
    else:
        from adapters.worker import Worker
        from eventstore.postgres_snapshots import PostgresSnapshots

        with closing(postgres(settings)) as log:
            yield Worker(settings, log, PostgresSnapshots(settings.postgres), log.cluster)


@dataclass(frozen=True, slots=True)
class ViewStore:
    """The views of a stack in Redis, and the record that they are folded from."""

    log: PostgresLog
    client: redis.Redis

    def view(self, name: str, generation: int | None = None) -> RedisView:
        """A view by name."""
        from adapters.redis_view import RedisView

        return RedisView(self.client, self.log.cluster, name, generation)


@contextmanager
def views(settings: Settings) -> Iterator[ViewStore]:
    """Raises BadSettings, NewerSchema, StoreFailed."""
    from adapters.redis_view import connect

    if settings.profile != "stack":
        raise BadSettings("the embedded profile keeps its views in the memory of `outcry serve`; right would be --profile stack")
    if not settings.redis:
        raise BadSettings("redis is not set; right would be the URL of a Redis for views: `outcry stack up --with redis` writes it")
    with closing(postgres(settings)) as log, closing(connect(settings.redis)) as client:
        yield ViewStore(log, client)


@contextmanager
def keeping(settings: Settings, folds: Mapping[str, Callable[[], Fold]]) -> Iterator[Server]:
    """The process that keeps the views of *folds*. Raises BadSettings, BadTopic, NewerSchema, StoreFailed, OSError."""
    from adapters.views_worker import ViewsWorker

    with views(settings) as store:
        yield ViewsWorker(settings, store.log, store.log.cluster, folds, store.view)


def postgres(settings: Settings) -> PostgresLog:
    """The record of a stack. Raises BadSettings, NewerSchema, StoreFailed."""
    from eventstore.postgres import PostgresLog

    for key, what in (("postgres", "the connection string of the record"), ("kafka", "the brokers, host:port")):
        if not getattr(settings, key):
            raise BadSettings(
                f"{key} is not set, and there is no {settings.stack / FILE}; right would be {what}: `outcry stack up` writes it there"
            )
    return PostgresLog(settings.postgres, cluster=settings.cluster, i_know_this_loses_data=settings.i_know_this_loses_data)
