"""Apache Kafka as a server of a stack: one node, or several that elect among themselves (KRaft: every node is broker and controller)."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import ClassVar, Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from adapters.stack import install, jars, process
from adapters.stack.errors import with_log
from adapters.stack.jars import Jar
from adapters.stack.loopback import HOST, answers
from adapters.stack.server import PROBE_S, Server

VERSION: Final = "4.1.2"
PROGRAM: Final = f"kafka-{VERSION}"
JARS: Final = (Jar("org.apache.kafka", "kafka_2.13", VERSION), Jar("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.3"))
SAFE_NODES: Final = 3  # from three on, every record is on three nodes and acknowledged by two

SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",  # a topic has stated settings, or is missing and somebody is told
    "message.max.bytes": str(96 * 2**20),  # of topics that do not say it; a block is one record
    "replica.fetch.max.bytes": str(16 * 2**20),
    # A node that dies is missed after two seconds, a controller after one; the defaults are nine and two.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "controller.quorum.fetch.timeout.ms": "1000",
    "controller.quorum.election.timeout.ms": "500",
    "controller.quorum.election.backoff.max.ms": "300",
    # A worker that dies is missed after as little as its consumer asks for, and nobody waits for more workers to come.
    "group.min.session.timeout.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "1500",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "100",
    # A machine of few cores, shared with everything else.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.dedupe.buffer.size": str(4 * 2**20),
}
OWN_TOPICS: Final = ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
OFFSETS: Final = "__consumer_offsets"
GROUPS: Final = ("c", "a", "b")  # one for each partition of it
ALONE_SESSION_MS: Final = 6_000
"""A lone node that comes back leads what it led until its former self is missed, then does not, then does again; what it has of groups it
reads each time that it leads. A first reading that is not over by then leaves groups half read, and is written on (4.1.2): so it gets
time. Nobody else could lead meanwhile."""
STARTS: Final = 3
GROUPS_S: Final = 15.0  # a healthy node that came back keeps groups a second after it is known
_LOG: Final = logging.getLogger(__name__)
LOGGING: Final = """\
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
"""


class Peer(NamedTuple):
    """A node as the others know it: number, and the port of its controller."""

    node: int
    controller_port: int


class Kafka(Server):
    """One Kafka node.

    node        its number, from 1
    peers       all nodes, itself among them
    cluster_id  what its data directory is marked with: nodes of two clusters never mix
    heap_mb     memory of its heap
    settings    of server.properties, over ours; in effect from the next start
    """

    listeners: ClassVar[Sequence[str]] = ("", "-controller")
    ready_s: ClassVar[float] = 90.0
    stop_s: ClassVar[float] = 8.0  # the last of several nodes wait in vain for those that went before

    def __init__(self, folder: Path, port: int, *, node: int, heap_mb: int) -> None:
        super().__init__(f"kafka-{node}", folder, port)
        self.node, self.heap_mb = node, heap_mb
        self.peers: Sequence[Peer] = ()
        self.cluster_id = ""
        self.settings: dict[str, str] = {}
        self.data, self.properties, self.logging = folder / "data", folder / "server.properties", folder / "log4j2.properties"

    @property
    def role(self) -> str:
        """Every node is both."""
        return "broker, controller"

    def check(self) -> None:
        """As every server."""
        self._java(self.heap_mb)
        self.folder.mkdir(parents=True, exist_ok=True)

    def prepare(self) -> None:
        """The settings as they are now, and a data directory marked as this cluster's."""
        self.logging.write_text(LOGGING)
        self.properties.write_text("".join(f"{key}={value}\n" for key, value in self.all_settings().items()))
        if not (self.data / "meta.properties").exists():
            formatting = ["kafka.tools.StorageTool", "format", "--cluster-id", self.cluster_id, "--config", str(self.properties)]
            with self.log.open("ab") as output:
                if process.run([*self._java(128), "-XX:TieredStopAtLevel=1", *formatting], output):
                    raise with_log(f"{self.name}: its data directory could not be made", self.log)

    def command(self) -> Sequence[str]:
        """The server itself; everything else stands in its settings."""
        return [*self._java(self.heap_mb), "-XX:+ExitOnOutOfMemoryError", "kafka.Kafka", str(self.properties)]

    def ready(self) -> bool:
        """Whether it answers, as a member of its cluster whom the controller knows."""
        if not answers(self.port):
            return False
        try:
            return self.node in AdminClient({"bootstrap.servers": f"{HOST}:{self.port}", "log_level": 0}).list_topics(timeout=2).brokers
        except KafkaException:
            return False

    def wait_ready(self) -> None:
        """As every server; then until groups are kept. Raises StackFailed.

        A node that is killed and started while the machine is busy may fail to read what it has of groups, because it lost the lead and
        got it back meanwhile, and does not try again (4.1.2): whoever asks is told for ever that another keeps them. So it is started
        anew.
        """
        for start in range(STARTS):
            if start:
                _LOG.warning("%s: keeps no groups %g s after it was ready: started anew", self.name, GROUPS_S)
                self.kill()
                self.start(wait=False)
            super().wait_ready()
            if self._keeps_groups():
                return
        raise with_log(f"{self.name} keeps no groups, started {STARTS} times", self.log)

    def _keeps_groups(self) -> bool:
        """Whether it keeps the groups of those partitions of OFFSETS that it leads; alone it leads all, once that was made."""
        admin = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        end = time.monotonic() + GROUPS_S
        while time.monotonic() < end:
            try:
                offsets = admin.list_topics(timeout=2).topics.get(OFFSETS)
                places = offsets.partitions.items() if offsets else ()
                groups = [GROUPS[number] for number, place in places if len(self.peers) == 1 or place.leader == self.node]
                if not groups or all(map(_is_kept, admin.describe_consumer_groups(groups, request_timeout=2).values())):
                    return True
            except KafkaException:
                pass
            time.sleep(PROBE_S)
        return False

    def all_settings(self) -> dict[str, str]:
        """server.properties, as of the next start."""
        controller_port = next(peer.controller_port for peer in self.peers if peer.node == self.node)
        replicas = min(SAFE_NODES, len(self.peers))
        copies = {"default.replication.factor": replicas, "min.insync.replicas": max(1, replicas - 1)}
        if replicas < SAFE_NODES:
            copies["log.flush.interval.messages"] = 1  # nobody else has it: on the disk before it is acknowledged
        if len(self.peers) == 1:
            copies["broker.session.timeout.ms"] = ALONE_SESSION_MS
        for topic in OWN_TOPICS:
            acknowledged = () if topic == "offsets.topic" else ((f"{topic}.min.isr", max(1, replicas - 1)),)
            copies |= {f"{topic}.replication.factor": replicas, f"{topic}.num.partitions": len(GROUPS), **dict(acknowledged)}
        return {
            **SETTINGS,
            **{key: str(value) for key, value in copies.items()},
            "node.id": str(self.node),
            "controller.quorum.voters": ",".join(f"{peer.node}@{HOST}:{peer.controller_port}" for peer in self.peers),
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{HOST}:{controller_port}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "log.dirs": str(self.data),
            **self.settings,
        }

    def _java(self, heap_mb: int) -> list[str]:
        classes = jars.fetched(PROGRAM, JARS)
        return [
            str(install.need(install.JAVA)),
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.logging}",
            "-cp",
            f"{classes}/*",
        ]


def _is_kept(asked: Future[object]) -> bool:
    """Whether there was an answer: that there is no such group is one."""
    error = asked.exception()
    return error is None or (isinstance(error, KafkaException) and error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND)
