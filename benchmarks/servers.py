"""The servers that a benchmark needs: of its own, in a folder of its own, gone afterwards; or those of a stack that runs already."""

from __future__ import annotations

import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final, cast

from confluent_kafka.admin import AdminClient
from psycopg import sql

from adapters.redis_view import connect
from adapters.stack.kafka import SAFE_NODES
from adapters.stack.kafka import VERSION as KAFKA_VERSION
from adapters.stack.postgres import MIGRATOR, WRITER
from adapters.stack.stack import Stack
from benchmarks import report
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, events_of
from benchmarks.store import filesystem
from benchmarks.warmed import WARM_S, warm
from commands.writer import Writer
from domain.partition import Partition
from eventstore import topics
from eventstore.memory import MemorySnapshots
from eventstore.migrate import migrate
from eventstore.ports import SnapshotStore
from eventstore.postgres import PostgresLog
from eventstore.postgres_snapshots import PostgresSnapshots

NEVER: Final = 2**62  # events until a snapshot


@dataclass(frozen=True, slots=True)
class Servers:
    """Servers that run, and on them databases and topics of our own beside whatever they hold.

    own  whether they are ours, so that their settings may be changed
    """

    stack: Stack
    own: bool

    @contextmanager
    def database(self, template: str = "") -> Iterator[str]:
        """A migrated database of one's own, or a copy of *template*; gone afterwards. Everything is on disk when it begins."""
        name, postgres = f"bench_{secrets.token_hex(6)}", self.stack.postgres
        postgres.create_database(name, template or "template0")
        try:
            if not template:
                migrate(self.stack.postgres_dsn(MIGRATOR, name))
            with postgres.superuser() as db:
                db.execute("CHECKPOINT")
            yield name
        finally:
            with postgres.superuser() as db:
                db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def dsn(self, database: str) -> str:
        """How a writer connects to it."""
        return self.stack.postgres_dsn(WRITER, database)

    @contextmanager
    def topics(self, partitions: int = 1) -> Iterator[str]:
        """The topics of a market of *partitions*, empty: what their names begin with. Gone afterwards."""
        prefix, replicas = f"bench-{secrets.token_hex(6)}-", min(SAFE_NODES, self.stack.shape.kafka_nodes)
        wanted = topics.wanted(partitions, replicas, prefix)
        topics.create(self.stack.kafka_bootstrap, wanted)
        yield prefix
        admin = AdminClient({"bootstrap.servers": self.stack.kafka_bootstrap, "log_level": 0})
        for gone in admin.delete_topics([each.name for each in wanted], operation_timeout=30).values():
            gone.result()

    def set_fsync(self, *, on: bool) -> None:
        """Whether PostgreSQL waits for its disk; returns when that is so."""
        assert self.own, "the settings of somebody's servers are his"
        self.stack.postgres.settings["fsync"] = "on" if on else "off"
        self.stack.postgres.reload()
        with self.stack.postgres.superuser() as db:
            while db.execute("SHOW fsync").fetchone() != ("on" if on else "off",):
                time.sleep(0.01)

    def says(self) -> dict[str, str]:
        """Versions, and where the data lies."""
        with self.stack.postgres.superuser() as db:
            (postgres,) = db.execute("SHOW server_version").fetchone() or ("",)
        return {
            "postgres": str(postgres),
            **({"kafka": f"{KAFKA_VERSION}, {self.stack.shape.kafka_nodes} node{self._warmed()}"} if self.stack.shape.kafka else {}),
            **({"redis": self._redis_version()} if self.stack.shape.redis else {}),
            "psycopg": version("psycopg"),
            "confluent-kafka": version("confluent-kafka"),
            "folder": f"{'of this run' if self.own else self.stack.folder}, on {filesystem(self.stack.folder)}",
        }

    def _warmed(self) -> str:
        return f", warmed for {WARM_S:.0f} s" if self.own else ""

    def _redis_version(self) -> str:
        with closing(connect(self.stack.redis_url)) as client:
            return str(cast("dict[str, str]", client.info("server"))["redis_version"])

    def processes(self) -> list[tuple[str, int]]:
        """Name and number of each server."""
        return [(name, server.pid) for name, server in self.stack.servers.items() if server.pid]


@contextmanager
def servers(
    given: Path | None = None, *, kafka: bool = True, partitions: int = 1, redis: bool = False, redis_memory_mb: int = 512
) -> Iterator[Servers]:
    """Servers of one's own, in a folder for temporary files; or those of the stack in *given*. Raises StackFailed, BadStack, ValueError."""
    if given is not None:
        stack = Stack.open(given)
        if not all(server.alive() for server in stack.servers.values()):
            raise ValueError(f"--stack {given}: not all of its servers run; start them with `outcry stack up`, or leave the option out")
        if redis and not stack.shape.redis:
            raise ValueError(f"--stack {given}: it has no Redis; add one with `outcry stack up --with redis`, or leave the option out")
        yield Servers(stack, own=False)
        return
    with tempfile.TemporaryDirectory(prefix="outcry-bench-", ignore_cleanup_errors=True) as root:
        folder = Path(root)
        folder.chmod(0o711)  # the servers' user passes through it
        stack = Stack(folder / "stack", kafka=kafka, partitions=partitions, redis=redis, redis_memory_mb=redis_memory_mb)
        try:
            stack.up()
            ours = Servers(stack, own=True)
            if kafka:
                with ours.topics() as prefix:
                    warm(stack.kafka_bootstrap, prefix)
            yield ours
        finally:
            stack.destroy()


class Begun:
    """A record in which a flow's set-up is done, for each of *partitions*, copied for each run.

    snapshots  kept in the record too, for workers; else in memory, so that copies are small
    """

    def __init__(self, on: Servers, flow: Flow, database: str, *, partitions: int = 1, snapshots: bool = False) -> None:
        self._on, self._database = on, database
        self._kept = MemorySnapshots()
        self.seq: dict[int, int] = {}
        dsn = on.dsn(database)
        store: SnapshotStore = PostgresSnapshots(dsn) if snapshots else self._kept
        with closing(PostgresLog(dsn)) as log:
            self.cluster, self.durability = log.cluster, log.durability
            for number in range(NUMBER, NUMBER + partitions):
                with Writer(log, store, number) as writer:
                    writer.write_all(flow.set_up())
                self.seq[number] = writer.head.seq
        if snapshots:
            found = store.latest(NUMBER)
            assert found is not None, "the writer kept one when it was closed"
            self._kept.save(found)

    @contextmanager
    def record(self) -> Iterator[str]:
        """The connection string of a copy, gone afterwards."""
        with self._on.database(self._database) as name:
            yield self._on.dsn(name)

    def partition(self) -> Partition:
        """The state in which the flow begins."""
        kept = self._kept.latest(NUMBER)
        assert kept is not None, "the writer kept one when it was closed"
        return Partition.restore(kept.state)

    def trades_per_order(self, flow: Flow) -> float:
        """How many trades an order of *flow* makes."""
        counted = report.tally(batches := flow.batches(), events_of(self.partition(), batches))
        return counted.trades / counted.commands

    def writer(self, log: PostgresLog, **options: object) -> Writer:
        """The writer of such a record, ready. It keeps no snapshot that a later run would begin from."""
        snapshots = MemorySnapshots()
        kept = self._kept.latest(NUMBER)
        assert kept is not None, "the writer kept one when it was closed"
        snapshots.save(kept)
        return Writer(log, snapshots, NUMBER, snapshot_every_events=NEVER, **options)  # type: ignore[arg-type]


@contextmanager
def begun(on: Servers, flow: Flow, *, partitions: int = 1, snapshots: bool = False) -> Iterator[Begun]:
    """As Begun, in a database that is gone afterwards."""
    with on.database() as name:
        yield Begun(on, flow, name, partitions=partitions, snapshots=snapshots)
