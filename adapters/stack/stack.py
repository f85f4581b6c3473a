"""A stack: the servers that Outcry runs on, in one folder of one machine.

What it is made of stands in the folder, so that any process can pick it up.

    stack = Stack(folder, standby=True)
    stack.up()                        # makes it, or starts what is not running; returns when everything serves
    psycopg.connect(stack.postgres_dsn())
    stack.servers["postgres"].kill()  # SIGKILL
    stack.up()                        # and it is back
    stack.down()
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from psycopg.conninfo import make_conninfo

from adapters.settings import GatewayPorts
from adapters.stack import loopback, state
from adapters.stack.errors import BadStack
from adapters.stack.kafka import SAFE_NODES, Kafka, Peer
from adapters.stack.nginx import STATUS, Nginx
from adapters.stack.opensearch import OpenSearch
from adapters.stack.postgres import DATABASE, MIGRATOR, READER, WRITER, Postgres
from adapters.stack.redis import Redis
from adapters.stack.server import Server
from adapters.stack.state import PASSWORDS, PRIMARY, STANDBY, Shape

SETTINGS_FILE: Final = "settings.toml"
GATEWAYS: Final = 2  # behind nginx, unless told: one may be killed or restarted


class Stack:
    """The servers in *folder*: PostgreSQL, Kafka; when asked for, standbys, Redis and OpenSearch for views, nginx before gateways.

    kafka_nodes         one, or three of which one may die
    standbys            so many more PostgreSQL that stream from the first
    standby             the same as standbys=1
    synchronous         the primary acknowledges a commit only when a standby has it
    partitions          trading partitions, numbered from 1
    kafka, postgres, redis, opensearch  whether to have it at all
    kafka_heap_mb       memory of each Kafka node's heap
    redis_memory_mb     of what Redis holds
    opensearch_heap_mb  memory of OpenSearch's heap
    nginx               whether to have it, before the gateways
    gateways            for so many there are ports, which stay; they are processes of `outcry gateway`, and no part of the stack
    servers             by name: "postgres", "standby", "standby2", "kafka-1", "redis", "opensearch", "nginx"; each with pid, address, log,
                        start(), stop(), kill(signal), alive(), ready()
    Raises BadStack when the folder holds a stack of another shape.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka_nodes: int = 1,
        standby: bool = False,
        standbys: int = 0,
        synchronous: bool = False,
        partitions: int = 1,
        kafka: bool = True,
        postgres: bool = True,
        kafka_heap_mb: int = 384,
        redis: bool = False,
        redis_memory_mb: int = 512,
        opensearch: bool = False,
        opensearch_heap_mb: int = 1_024,
        nginx: bool = False,
        gateways: int = 0,
    ) -> None:
        standbys = max(standbys, standby)
        if synchronous and not standbys:
            raise BadStack("synchronous commits need a standby that has them; right would be --standby --synchronous, or neither")
        self.folder = folder.resolve()
        self.shape = Shape(
            kafka_nodes,
            standbys,
            synchronous,
            partitions,
            kafka,
            postgres,
            kafka_heap_mb,
            redis,
            redis_memory_mb,
            opensearch,
            opensearch_heap_mb,
            nginx,
            gateways or (GATEWAYS if nginx else 0),
        )
        self._passwords: dict[str, str] = {}
        self._state = state.load(self.folder, self.shape)
        self.servers: Mapping[str, Server] = self._servers()

    @classmethod
    def open(cls, folder: Path, **changes: int) -> Stack:
        """The stack that lies in *folder*, with *changes* of its shape. Raises BadStack when there is none, or it cannot change so."""
        kept = state.found(folder)
        if kept is None:
            raise BadStack(f"no stack in {folder}; make one with `outcry stack up`, or name its folder with --stack")
        return cls(folder, **(msgspec.structs.asdict(kept.shape) | changes))

    def up(self) -> None:
        """Install what is missing, start what does not run, return when all of it serves. Raises StackFailed, BadStack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._locked():
            self._state = state.load(self.folder, self.shape)
            self._choose_ports()
            self._passwords |= state.passwords(self.folder)
            state.save(self.folder, self._state)
            for server in self.servers.values():
                server.check()  # all of them, before any of them starts
            if self.shape.kafka:
                self._start_kafka()
            for view in self._of_views():
                view.start(wait=False)
            if self.shape.nginx:
                self._start_nginx()
            if self.shape.postgres:
                self._start_postgres()  # while Java warms up
            for server in self.servers.values():
                server.wait_ready()
            self._furnish()

    def down(self) -> None:
        """Stop what this stack started; its data stays. Raises StackFailed."""
        with self._locked(), ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda server: server.stop(), self.servers.values()):
                pass

    def destroy(self) -> None:
        """Kill all of it and remove its folder: the end of a stack of one test or drill. Raises StackFailed."""
        with self._locked():
            for server in self.servers.values():
                server.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def promote(self) -> None:
        """Make a standby the primary: of several, the one that has most, for what another had beyond it would be lost.

        The old primary must be gone: `up` brings it back as a standby, and has the others follow the new one. Raises StackFailed, BadStack.
        """
        with self._locked():
            old = self.postgres
            new = max(self._standbys(), key=lambda standby: standby.received() if standby.alive() else -1)
            if old.alive():
                raise BadStack(f"{old.name} still runs: two primaries would both take writes; stop or kill it first")
            new.promote()
            self._state.primary = new.name
            state.save(self.folder, self._state)

    @property
    def postgres(self) -> Postgres:
        """The primary."""
        return self._postgres(self._state.primary)

    def postgres_dsn(self, role: str = WRITER, database: str = DATABASE) -> str:
        """How to connect to the primary as *role*, whichever of the servers it is by then."""
        if not self.shape.standbys:
            return self.postgres.dsn(role, self._passfile, database)
        all_of_them = [self.postgres, *self._standbys()]
        return make_conninfo(
            self.postgres.dsn(role, self._passfile, database),
            host=",".join(loopback.HOST for _ in all_of_them),
            port=",".join(str(server.port) for server in all_of_them),
            target_session_attrs="read-write",
        )

    def standby_dsn(self, role: str = WRITER, database: str = DATABASE) -> str:
        """How to connect to the first standby, which answers questions only."""
        return self.standby_dsns(role, database)[0]

    def standby_dsns(self, role: str = WRITER, database: str = DATABASE) -> list[str]:
        """How to connect to each standby. Raises BadStack when there is none."""
        return [standby.dsn(role, self._passfile, database) for standby in self._standbys()]

    @property
    def kafka_bootstrap(self) -> str:
        """Addresses of all Kafka nodes, as clients want them."""
        return ",".join(f"{loopback.HOST}:{server.port}" for server in self.servers.values() if isinstance(server, Kafka))

    @property
    def redis_url(self) -> str:
        """How to connect to Redis."""
        server = self.servers["redis"]
        assert isinstance(server, Redis), "of that name there is no other"
        return server.url

    @property
    def opensearch_url(self) -> str:
        """How to connect to OpenSearch."""
        return f"http://{self.servers['opensearch'].address}"

    @property
    def nginx(self) -> Nginx:
        """The one before the gateways."""
        server = self.servers["nginx"]
        assert isinstance(server, Nginx), "of that name there is no other"
        return server

    @property
    def gateways(self) -> list[GatewayPorts]:
        """Where each listens, from the first; empty before `up` has chosen."""
        ports, numbers = self._state.ports, range(1, self.shape.gateways + 1)
        names = [(f"gateway-{number}-rest", f"gateway-{number}-ws") for number in numbers]
        return [GatewayPorts(ports[rest], ports[ws]) for rest, ws in names if rest in ports and ws in ports]

    @property
    def _passfile(self) -> Path:
        return self.folder / PASSWORDS

    def _postgres(self, name: str) -> Postgres:
        found = self.servers[name]
        assert isinstance(found, Postgres), f"{name} is a PostgreSQL server"
        return found

    def _standbys(self) -> list[Postgres]:
        if not self.shape.standbys:
            raise BadStack(f"the stack in {self.folder} has no standby; add one with `outcry stack up --standby`")
        return [self._postgres(name) for name in self._postgres_names() if name != self._state.primary]

    def _postgres_names(self) -> list[str]:
        """The primary first; then the others, always in the same order."""
        others = (STANDBY if number == 1 else f"{STANDBY}{number}" for number in range(1, self.shape.standbys + 1))
        return list(dict.fromkeys((self._state.primary, PRIMARY, *others)))

    def _servers(self) -> dict[str, Server]:
        servers: dict[str, Server] = {}
        if self.shape.postgres:
            for name in self._postgres_names():
                servers[name] = Postgres(name, self.folder / name, self._state.ports.get(name, 0), passwords=self._passwords)
        for node in range(1, self.shape.kafka_nodes + 1) if self.shape.kafka else ():
            name = f"kafka-{node}"
            servers[name] = Kafka(self.folder / name, self._state.ports.get(name, 0), node=node, heap_mb=self.shape.kafka_heap_mb)
        if self.shape.redis:
            servers["redis"] = Redis(self.folder / "redis", memory_mb=self.shape.redis_memory_mb)
        if self.shape.opensearch:
            port = self._state.ports.get("opensearch", 0)
            servers["opensearch"] = OpenSearch(self.folder / "opensearch", port, heap_mb=self.shape.opensearch_heap_mb)
        if self.shape.nginx:
            ports = self._state.ports
            status_port = ports.get(f"nginx{STATUS}", 0)
            servers["nginx"] = Nginx(self.folder / "nginx", ports.get("nginx", 0), gateways=self.gateways, status_port=status_port)
        return servers

    def _of_views(self) -> list[Server]:
        """The servers that hold views, not the record."""
        return [server for server in self.servers.values() if isinstance(server, (Redis, OpenSearch))]

    def _start_nginx(self) -> None:
        """Without waiting; one that runs learns of gateways that are new. Raises StackFailed."""
        server = self.nginx
        if server.alive():
            server.reload()
        server.start(wait=False)

    def _start_postgres(self) -> None:
        """The primary first: a standby is a copy of it. Raises StackFailed."""
        primary = self.postgres
        primary.follows = None
        others = [server for server in self.servers.values() if isinstance(server, Postgres) and server is not primary]
        primary.synchronous = [server.name for server in others] if self.shape.synchronous else []
        if primary.alive():
            primary.reload()
        primary.start()
        primary.provision([server.name for server in others])
        for server in others:
            server.follows = primary
            if server.alive():
                server.reload()  # it may have followed another
            server.start()
            primary.wait_streamed_by(server)

    def _start_kafka(self) -> None:
        """All nodes at once, which need one another to serve. Raises StackFailed."""
        nodes = [server for server in self.servers.values() if isinstance(server, Kafka)]
        peers = [Peer(node.node, self._state.ports[f"{node.name}-controller"]) for node in nodes]
        for node in nodes:
            node.peers, node.cluster_id = peers, self._state.kafka_cluster_id
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(lambda node: node.start(wait=False), nodes):
                pass

    def _furnish(self) -> None:
        """The schema and the topics, and the settings with which everybody finds both. Raises what migrations and topics raise."""
        written = self.folder / SETTINGS_FILE
        found = tomllib.loads(written.read_text()) if written.exists() else {}
        found["partitions"] = self.shape.partitions
        if self.shape.postgres:
            from eventstore.migrate import migrate

            migrate(self.postgres_dsn(MIGRATOR))
            with self.postgres.superuser(DATABASE) as connection:
                (cluster,) = connection.execute("SELECT id FROM outcry.cluster").fetchone() or ("",)
            found |= {"postgres": self.postgres_dsn(), "cluster": str(cluster)}
            if self.shape.standbys:
                found |= {"standby": self.standby_dsn(READER), "readers": self.standby_dsns(READER)}
        if self.shape.kafka:
            from eventstore import topics

            wanted = topics.wanted(self.shape.partitions, min(SAFE_NODES, self.shape.kafka_nodes))
            topics.create(self.kafka_bootstrap, wanted)
            topics.check(self.kafka_bootstrap, wanted)
            found["kafka"] = self.kafka_bootstrap
        if self.shape.redis:
            found["redis"] = self.redis_url
        if self.shape.opensearch:
            found["opensearch"] = self.opensearch_url
        if self.shape.gateways:
            found["gateways"] = [f"{each.rest}:{each.ws}" for each in self.gateways]
        if self.shape.nginx:
            found |= {"proxies": loopback.HOST, "front": self.nginx.address}
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in found.items()]
        written.write_text("".join(["# Written by `outcry stack up`.\n", *lines]))

    def _choose_ports(self) -> None:
        """A port for every server that has none. Where nothing runs, taken ones are replaced too. Raises StackFailed."""
        ports, idle = self._state.ports, not any(server.alive() for server in self.servers.values())
        for name in (name + suffix for name, server in self.servers.items() for suffix in server.listeners):
            if name not in ports or (idle and not loopback.is_free(ports[name])):
                ports[name] = loopback.free_port(ports.values())
        for number in range(1, self.shape.gateways + 1):
            for name in (f"gateway-{number}-rest", f"gateway-{number}-ws"):
                if name not in ports:  # whether a gateway runs we do not know: what it has is never taken away
                    ports[name] = loopback.free_port(ports.values())
        for name, server in self.servers.items():
            server.port = ports.get(name, 0)
        if self.shape.nginx:
            self.nginx.gateways, self.nginx.status_port = self.gateways, ports[f"nginx{STATUS}"]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time starts and stops the servers of a folder."""
        with (self.folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
