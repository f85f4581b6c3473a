"""Where ports meet their implementations.

embedded  one process, one trading partition, one folder: SQLite file, snapshots
stack     workers over a record in Postgres, with snapshots beside it, and topics in Kafka
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from adapters.decimals import BadDecimal
from adapters.feed import BadFeed
from adapters.names import BadName
from adapters.query.errors import BadQuery
from adapters.settings import FILE, BadSettings, Settings
from adapters.times import BadTime
from commands.codec import BadRow
from commands.ports import Unanswered
from commands.writer import Stopped, Writer
from domain.partition import Partition
from eventstore.errors import BadArchive, BadTopic, Disagree, Expired
from eventstore.memory import MemorySnapshots
from eventstore.ports import BlockLog, Damaged, Fenced, NewerSchema, OutcomeUnknown, SnapshotStore, StoreFailed
from eventstore.snapshots import FileSnapshots
from eventstore.sqlite import SqliteLog
from projections.states import States
from projections.view import Fold
from replay import travel
from replay.source import Progress
from replay.travel import NotInRecord

if TYPE_CHECKING:
    import redis
    from opensearchpy import OpenSearch

    from adapters.alerts.rules import AlertRules
    from adapters.query.reading import Reading
    from adapters.redis_view import RedisView
    from adapters.search.view import OpenSearchView
    from adapters.single import Beside
    from eventstore.postgres import PostgresLog
    from eventstore.shelf import Shelf

AUDIT: Final = "audit"  # the view that lies in OpenSearch
RECORD: Final = "record.sqlite"
SNAPSHOTS: Final = "snapshots"
_LOG: Final = logging.getLogger(__name__)
STATES: Final = "states"


class NoStore(ValueError):
    """Nothing was recorded there, or something else: which folder, and what to do."""


class InUse(Exception):
    """Another process writes that store."""

    def __init__(self, store: Path, pid: str) -> None:
        super().__init__(f"process {pid} writes {store}: stop it, or name another folder with --store; doors of its own want --key")


BAD_INPUT: Final = (BadArchive, BadDecimal, BadName, BadQuery, BadRow, BadSettings, BadTime, NoStore, NotInRecord)
WORLD_FAILED: Final = (
    BadFeed,
    BadTopic,
    Damaged,
    Disagree,
    Expired,
    Fenced,
    InUse,
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
def reading(settings: Settings, symbol: str = "", source: str = "record", *, history: bool = True) -> Iterator[Store]:
    """The record (of the partition of *symbol*), of which nothing will change; with *source* "archive" what the archive has of it.

    history  what was in it by now is enough, so that standbys may answer; else its primary does, which has what comes meanwhile, too
    Raises BadArchive, NoStore, BadSettings, Damaged, NewerSchema, StoreFailed.
    """
    number = settings.partition_of(symbol)
    if source == "archive":
        from eventstore.cold import ArchiveLog

        yield Store(settings, ArchiveLog(settings.archive_url), MemorySnapshots(), number)
        return
    if settings.profile == "stack" and settings.readers and history:
        from adapters import history as standbys

        with standbys.opened(settings) as (log_, snapshots_):
            yield Store(settings, log_, snapshots_, number)
        return
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
def _alone(store: Path) -> Iterator[None]:
    """Nobody else on this machine begins to write *store* meanwhile. Whoever does elsewhere fences us: that is proved by the record."""
    with (store / "writer.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise InUse(store, lock.read(20)) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def writing(settings: Settings) -> Iterator[Store]:
    """The store, made when there is none. Raises InUse, Damaged, NewerSchema, StoreFailed, OSError."""
    settings.store.mkdir(parents=True, exist_ok=True)
    with _alone(settings.store), closing(SqliteLog(settings.store / RECORD)) as log:
        yield Store(settings, log, FileSnapshots(settings.store / SNAPSHOTS), settings.partition)


class Server(Protocol):
    """What `outcry serve` runs."""

    def serve(self, stop: threading.Event) -> None:
        """Until *stop*."""


@contextmanager
def serving(settings: Settings, beside: Beside | None = None) -> Iterator[Server]:
    """The process that the profile asks for; embedded, with *beside* beside its writer.

    Raises BadSettings, BadTopic, Damaged, NewerSchema, StoreFailed, OSError.
    """
    if settings.profile == "embedded":
        from adapters.single import Single

        with writing(settings) as store:
            yield Single(settings, store.log, store.snapshots, beside or (lambda _writer, _feed: nullcontext()))
    else:
        from adapters.worker import Worker
        from eventstore.postgres_snapshots import PostgresSnapshots

        with closing(postgres(settings)) as log:
            yield Worker(settings, log, PostgresSnapshots(settings.postgres), log.cluster)


@dataclass(frozen=True, slots=True)
class Folded:
    """The record of a stack, which views are folded from."""

    settings: Settings
    log: PostgresLog

    @property
    def states_folder(self) -> Path:
        """Where the states of folds are kept on this machine."""
        return self.settings.stack / STATES / self.log.cluster

    def states(self) -> States:
        """Those that are kept there."""
        return States(lambda view: FileSnapshots(self.states_folder / view), self.log)


@dataclass(frozen=True, slots=True)
class ViewStore(Folded):
    """The views of a stack in Redis."""

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
        yield ViewStore(settings, log, client)


@dataclass(frozen=True, slots=True)
class AuditStore(Folded):
    """The audit index of a stack in OpenSearch."""

    client: OpenSearch

    def view(self, name: str = AUDIT, generation: int | None = None) -> OpenSearchView:
        """The index."""
        from adapters.search.view import OpenSearchView

        return OpenSearchView(self.client, self.log.cluster, name, generation, keep_days=self.settings.audit_days)


@contextmanager
def audit(settings: Settings) -> Iterator[AuditStore]:
    """Raises BadSettings, NewerSchema, StoreFailed."""
    from adapters.search.opensearch import connect

    if settings.profile != "stack":
        raise BadSettings("the embedded profile has no audit index; right would be --profile stack, or --level record")
    if not settings.opensearch:
        raise BadSettings("opensearch is not set; right would be the URL of an OpenSearch: `outcry stack up --with all` writes it")
    with closing(postgres(settings)) as log, closing(connect(settings.opensearch)) as client:
        yield AuditStore(settings, log, client)


def shelf(settings: Settings) -> Shelf:
    """The archive. Raises BadArchive."""
    from eventstore.shelf import Shelf

    return Shelf(settings.archive_url)


@contextmanager
def archiving(settings: Settings, every_s: float) -> Iterator[Server]:
    """The process that archives, looking every *every_s* seconds. Raises BadArchive, BadSettings, NoStore, NewerSchema, StoreFailed."""
    from adapters.archive_worker import ArchiveWorker

    with reading(settings) as store:
        yield ArchiveWorker(settings, store.log, shelf(settings), every_s)


@contextmanager
def querying(settings: Settings, source: str = "record") -> Iterator[Reading]:
    """What queries read: the archive and, unless *source* is "archive", what the record has beyond it.

    Raises BadArchive, BadSettings, NoStore, Damaged, NewerSchema, StoreFailed.
    """
    from adapters.query.reading import reading as opened

    if source == "archive":
        with opened(shelf(settings), None) as found:
            yield found
        return
    with reading(settings) as store, opened(shelf(settings), store.log) as found:
        yield found


@contextmanager
def keeping(settings: Settings, folds: Mapping[str, Callable[[], Fold]]) -> Iterator[Server]:
    """The process that keeps the views of *folds*. Raises BadSettings, BadTopic, NewerSchema, StoreFailed, OSError."""
    from adapters.views_worker import ViewsWorker

    with audit(settings) if AUDIT in folds else views(settings) as store:
        yield ViewsWorker(settings, store.log, store.log.cluster, folds, store.view, store.states())


@contextmanager
def alert_rules(settings: Settings) -> Iterator[AlertRules]:
    """The alert rules of a stack. Raises BadSettings, NewerSchema, StoreFailed."""
    from adapters.alerts.rules import AlertRules

    if settings.profile != "stack":
        raise BadSettings("an embedded venue takes alert rules at its doors, POST /v1/alerts; right would be that, or --profile stack")
    with closing(postgres(settings)):  # whose schema is looked at
        pass
    with closing(AlertRules(settings.postgres)) as rules:
        yield rules


@contextmanager
def alerting(settings: Settings) -> Iterator[Server]:
    """The process that evaluates alert rules. Raises BadSettings, BadTopic, NewerSchema, StoreFailed, OSError."""
    from adapters.alerts.worker import AlertsWorker

    with views(settings) as store:
        yield AlertsWorker(settings, store.log, store.log.cluster, store.client, store.states())


@contextmanager
def delivering(settings: Settings) -> Iterator[Server]:
    """The process that delivers alerts. Raises BadSettings, NewerSchema, StoreFailed."""
    from adapters.alerts.deliver import Deliverer

    with views(settings) as store, alert_rules(settings) as rules:
        yield Deliverer(settings, store.client, store.log.cluster, rules)


def analysis(settings: Settings, source: str = "record") -> dict[str, Any]:
    """The market of the last day (adapters/analysis.py), and as of which blocks. Raises what querying() raises, and BadQuery."""
    from adapters.analysis import MEMORY_MIB, SECONDS, SQL, analysed
    from adapters.query.engine import Limits, database

    with querying(settings, source) as read, database(read, Limits(MEMORY_MIB, SECONDS)) as asked, asked.ask(SQL) as answer:
        minutes = [tuple(row.values()) for batch in answer for row in batch.to_pylist()]
        return analysed(minutes) | {"as_of": [asdict(each) for each in read.as_of]}


@contextmanager
def analysing(settings: Settings, every_s: float) -> Iterator[Server]:
    """The process that analyses. Raises BadSettings, NewerSchema, StoreFailed."""
    from adapters.analysis import Analyst, keep

    with views(settings) as store:

        def once() -> None:
            try:
                keep(store.client, store.log.cluster, analysis(settings))
            except (*BAD_INPUT, *WORLD_FAILED) as failed:
                _LOG.warning("the market is not analysed now: %s", failed)

        yield Analyst(once, every_s)


def analysis_kept(settings: Settings) -> dict[str, Any]:
    """What a worker of analysis kept last. Raises BadSettings, NoStore, NewerSchema, StoreFailed."""
    from adapters.analysis import kept

    with views(settings) as store:
        found = kept(store.client, store.log.cluster)
    if found is None:
        raise NoStore("no analysis is kept in Redis yet; `outcry worker analysis` keeps one")
    return found


def postgres(settings: Settings) -> PostgresLog:
    """The record of a stack. Raises BadSettings, NewerSchema, StoreFailed."""
    from eventstore.postgres import PostgresLog

    for key, what in (("postgres", "the connection string of the record"), ("kafka", "the brokers, host:port")):
        if not getattr(settings, key):
            raise BadSettings(
                f"{key} is not set, and there is no {settings.stack / FILE}; right would be {what}: `outcry stack up` writes it there"
            )
    return PostgresLog(settings.postgres, cluster=settings.cluster, i_know_this_loses_data=settings.i_know_this_loses_data)
