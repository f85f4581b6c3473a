"""Where drills take place: real servers of their own, started once for as many drills as can share them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from adapters.drill.disk import Disk
from adapters.stack.postgres import Postgres
from adapters.stack.stack import Stack

PARTITION: Final = 1
QUICK: Final = "-XX:TieredStopAtLevel=1"  # Java compiles less: it serves sooner, and is started often
DISK_MB: Final = 512
# Without synchronous commits, what was acknowledged would be on its way to the disk for at most this long. It changes nothing with them.
LAZY_WRITES: Final = {"wal_writer_delay": "10s", "wal_writer_flush_after": "1GB"}
NONE: Final[Mapping[str, str]] = MappingProxyType({})
SMALL_WRITES: Final = {"max_wal_size": "128MB", "min_wal_size": "32MB", "shared_buffers": "64MB"}


class Servers(Enum):
    """What a drill needs."""

    PLAIN = "PostgreSQL and one Kafka node"
    STANDBY = "PostgreSQL with a synchronous standby"
    LAGGING_STANDBY = "PostgreSQL with an asynchronous standby"
    OWN_DISK = "PostgreSQL on a disk of its own"
    THREE_NODES = "three Kafka nodes"
    KAFKA_ON_OWN_DISK = "Kafka on a disk of its own"
    VIEWS = "PostgreSQL, one Kafka node and Redis"
    AUDIT = "PostgreSQL, one Kafka node and OpenSearch"
    DOORS = "PostgreSQL, one Kafka node, Redis and nginx"


class Ground:
    """Servers that run: *record* with PostgreSQL, *bus* with Kafka; they may be one stack.

    disk   of whichever has one of its own
    views  with Redis or OpenSearch, when views are kept
    doors  with Redis and nginx, and ports for two gateways, when clients come in by doors
    """

    def __init__(self, record: Stack, bus: Stack, disk: Disk | None = None, views: Stack | None = None, doors: Stack | None = None) -> None:
        self.record, self.bus, self.disk, self.views, self.doors = record, bus, disk, views, doors

    @property
    def postgres(self) -> Postgres:
        """The primary."""
        return self.record.postgres

    def mend(self) -> None:
        """Start whatever does not run. Raises StackFailed."""
        for stack in dict.fromkeys(each for each in (self.record, self.bus, self.views, self.doors) if each):
            stack.up()


class Grounds:
    """Makes grounds in *folder* when a drill first asks, and takes all of them away in the end. Use it in a `with`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)  # the servers' user passes through
        self.folder = folder
        self._made: dict[Servers, tuple[Ground, ExitStack]] = {}

    def of(self, servers: Servers) -> Ground:
        """Such servers, running. Raises StackFailed, NoDisk."""
        if servers in self._made:
            self._made[servers][0].mend()
        else:
            with ExitStack() as began:
                ground = self._make(servers, began)
                self._made[servers] = ground, began.pop_all()
        return self._made[servers][0]

    def done_with(self, servers: Servers) -> None:
        """Take these away: nobody will ask for them any more."""
        if servers in self._made:
            self._made.pop(servers)[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as ending:
            for servers in self._made:  # the last made first
                ending.callback(self._made[servers][1].close)

    def _make(self, servers: Servers, began: ExitStack) -> Ground:
        place = self.folder / servers.name.lower().replace("_", "-")
        if servers is Servers.PLAIN:
            both = _started(Stack(place), began)
            return Ground(both, both)
        plain = self.of(Servers.PLAIN).record
        if servers in (Servers.STANDBY, Servers.LAGGING_STANDBY):
            return Ground(_started(Stack(place, kafka=False, standby=True, synchronous=servers is Servers.STANDBY), began), plain)
        if servers is Servers.THREE_NODES:
            return Ground(plain, _started(Stack(place, postgres=False, kafka_nodes=3, kafka_heap_mb=256), began))
        if servers is Servers.VIEWS:
            return Ground(plain, plain, views=_started(Stack(place, postgres=False, kafka=False, redis=True), began))
        if servers is Servers.AUDIT:
            stack = Stack(place, postgres=False, kafka=False, opensearch=True, opensearch_heap_mb=512)
            return Ground(plain, plain, views=_started(stack, began))
        if servers is Servers.DOORS:
            stack = Stack(place, postgres=False, kafka=False, redis=True, nginx=True)
            return Ground(plain, plain, doors=_started(stack, began))
        of_record = servers is Servers.OWN_DISK
        disk = Disk(place.with_suffix(".ext4"), place / ("postgres" if of_record else "kafka-1"), DISK_MB)
        began.callback(disk.close)
        stack = _started(Stack(place, postgres=of_record, kafka=not of_record), began, SMALL_WRITES)
        return Ground(stack, plain, disk) if of_record else Ground(plain, stack, disk)


def _started(stack: Stack, began: ExitStack, settings: Mapping[str, str] = NONE) -> Stack:
    for server in stack.servers.values():
        server.environment["JDK_JAVA_OPTIONS"] = QUICK
        if isinstance(server, Postgres):
            server.settings |= {**LAZY_WRITES, **settings}
    stack.folder.mkdir(parents=True, exist_ok=True)
    began.callback(stack.destroy)
    stack.up()
    return stack
