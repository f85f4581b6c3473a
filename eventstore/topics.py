"""The topics of a cluster: which there must be, with which settings, and what is wrong with those that are there.

`blocks` has a Kafka partition for every partition of the market and one, 0, for the registry. Commands have a topic for every partition,
`commands-1` and so on, of one Kafka partition each: a consumer group shares out all Kafka partitions of what it subscribes to, so a
partition 0 in which nothing is written would count as one worker's share (measured: of two workers with two markets one got both).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata, ConfigResource, NewTopic  # type: ignore[attr-defined] # exported, not declared

from eventstore.errors import BadTopic, StoreFailed

BLOCKS: Final = "blocks"
COMMANDS: Final = "commands"
MAX_RECORD_BYTES: Final = 96 * 2**20  # of a block; a broker reads no request above 100 MiB, and 4 M events were seen to take 40 MB
MAX_BATCH_BYTES: Final = 4 * 2**20  # of commands; the largest batch of docs/protocol.md has 2 MiB and 16 bytes
BLOCKS_KEPT_BYTES: Final = 16 * 2**30
COMMANDS_KEPT_MS: Final = 7 * 24 * 3_600_000
SLOWEST_MS: Final = MappingProxyType({"group.consumer.session.timeout.ms": 2_000, "group.consumer.heartbeat.interval.ms": 500})
NEVER_SYNCED: Final = MappingProxyType({"flush.messages": str(2**63 - 1)})
_UNLIMITED: Final = -1
_AT_LEAST: Final = frozenset({"max.message.bytes", "min.insync.replicas", "retention.bytes", "retention.ms"})  # any other: exactly


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it must be. config: Kafka's keys and values; numbers may be larger than here, and -1 is without limit.

    at_first  more of them, for one that is made: another value is right as well
    """

    name: str
    partitions: int
    replicas: int
    config: Mapping[str, str]
    at_first: Mapping[str, str] = field(default_factory=dict)


def commands_topic(partition: int, prefix: str = "") -> str:
    """Where the commands for *partition* go."""
    return f"{prefix}{COMMANDS}-{partition}"


def wanted(partitions: int, replicas: int = 1, prefix: str = "") -> list[Topic]:
    """The topics of a cluster with trading partitions 1 to *partitions*.

    Blocks are bounded by size alone, so that the last block is always there, whatever its age: the relay goes on from it. What a slow
    reader no longer finds it reads in the record. Commands that nobody took are kept for a week.

    A node that is alone syncs each record before it acknowledges it, but not blocks: they are in the record, and a relay that lost sight
    of the brokers looks what they still have.
    """
    common = {
        "cleanup.policy": "delete",
        "min.insync.replicas": str(max(1, replicas - 1)),
        "unclean.leader.election.enable": "false",
    }
    blocks = common | {
        "max.message.bytes": str(MAX_RECORD_BYTES),
        "retention.ms": str(_UNLIMITED),
        "retention.bytes": str(BLOCKS_KEPT_BYTES),
    }
    commands = common | {
        "max.message.bytes": str(MAX_BATCH_BYTES),
        "retention.ms": str(COMMANDS_KEPT_MS),
        "retention.bytes": str(_UNLIMITED),
    }
    inputs = [Topic(commands_topic(number, prefix), 1, replicas, MappingProxyType(commands)) for number in range(1, partitions + 1)]
    return [Topic(prefix + BLOCKS, partitions + 1, replicas, MappingProxyType(blocks), NEVER_SYNCED), *inputs]


def create(bootstrap: str, topics: Iterable[Topic], timeout_s: float = 30.0) -> list[str]:
    """Create those of *topics* that are missing and return their names, once they can be used; what is there is left as it is.

    Raises StoreFailed.
    """
    admin = _admin(bootstrap)
    missing = [NewTopic(each.name, each.partitions, each.replicas, config={**each.config, **each.at_first}) for each in topics]
    created = []
    for name, done in admin.create_topics(missing, operation_timeout=timeout_s, request_timeout=timeout_s).items():
        try:
            done.result()
            created.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise failed(bootstrap, error, f"topic {name} was not created") from error
    _await_everywhere(bootstrap, created, timeout_s)
    return created


def _await_everywhere(bootstrap: str, names: Collection[str], timeout_s: float) -> None:
    """Until every broker has heard of these topics and of a leader for each partition: which one a client asks next, nobody knows.

    Raises StoreFailed.
    """
    end_s = time.monotonic() + timeout_s
    try:
        for broker in _admin(bootstrap).list_topics(timeout=timeout_s).brokers.values():
            one = _admin(f"{broker.host}:{broker.port}")
            while not _are_led(one.list_topics(timeout=timeout_s), names):
                if time.monotonic() > end_s:
                    raise StoreFailed(f"kafka at {bootstrap}", f"{', '.join(names)}: no leader within {timeout_s:g} s")
                time.sleep(0.02)
    except KafkaException as error:
        raise failed(bootstrap, error, f"{', '.join(names)}: not seen everywhere") from error


def _are_led(there: ClusterMetadata, names: Iterable[str]) -> bool:
    return all(name in there.topics and all(each.leader >= 0 for each in there.topics[name].partitions.values()) for name in names)


def check(bootstrap: str, topics: Collection[Topic], timeout_s: float = 10.0) -> None:
    """Raise BadTopic for the first of *topics* that is not as it must be; StoreFailed when the brokers do not answer."""
    admin = _admin(bootstrap)
    resources = [ConfigResource(ConfigResource.Type.TOPIC, each.name) for each in topics]
    try:
        there = admin.list_topics(timeout=timeout_s).topics
        for each in topics:
            if each.name not in there:
                raise BadTopic(each.name, "the topic", "missing", f"one of {each.partitions} partitions with {_listed(each.config)}")
            found = there[each.name].partitions
            if len(found) != each.partitions:
                raise BadTopic(each.name, "the number of partitions", str(len(found)), f"{each.partitions}, as `partitions` says")
            replicas = min(len(partition.replicas) for partition in found.values())
            if replicas < each.replicas:
                raise BadTopic(each.name, "the number of replicas", str(replicas), str(each.replicas))
        described = admin.describe_configs(resources, request_timeout=timeout_s)
        for each, resource in zip(topics, resources, strict=True):
            values = {key: str(entry.value) for key, entry in described[resource].result().items()}
            _check_config(each, values)
    except KafkaException as error:
        raise failed(bootstrap, error) from error


def slow_to_miss(bootstrap: str, timeout_s: float = 10.0) -> list[str]:
    """Settings of the brokers by which a dead worker is missed later than need be; each a sentence. Raises StoreFailed."""
    admin = _admin(bootstrap)
    found = []
    try:
        for broker in admin.list_topics(timeout=timeout_s).brokers:
            resource = ConfigResource(ConfigResource.Type.BROKER, str(broker))
            config = admin.describe_configs([resource], request_timeout=timeout_s)[resource].result()
            for key, slowest_ms in SLOWEST_MS.items():
                value = config[key].value if key in config else "not there"
                if not 0 < _amount(str(value)) <= slowest_ms:
                    found.append(f"broker {broker}: {key} is {value}; right would be at most {slowest_ms}, for so long nobody trades")
    except KafkaException as error:
        raise failed(bootstrap, error) from error
    return found


def failed(bootstrap: str, error: KafkaException | KafkaError, what: str = "") -> StoreFailed:
    """Kafka's error by our name: the brokers could not be asked, or did not do it."""
    reason = error.args[0] if isinstance(error, KafkaException) else error
    text = reason.str() if isinstance(reason, KafkaError) else str(reason)
    return StoreFailed(f"kafka at {bootstrap}", f"{what}: {text}" if what else text)


def _check_config(topic: Topic, found: Mapping[str, str]) -> None:
    for key, right in topic.config.items():
        value = found.get(key, "not there")
        if key in _AT_LEAST:
            low, have = (_amount(text) for text in (right, value))
            if have < low:
                raise BadTopic(topic.name, key, value, f"{right} (no limit)" if low == _amount("-1") else f"at least {right}")
        elif value != right:
            raise BadTopic(topic.name, key, value, right)


def _amount(text: str) -> float:
    """A limit as something to compare: -1 is none."""
    try:
        return float("inf") if int(text) == _UNLIMITED else int(text)
    except ValueError:
        return float("-inf")


def _listed(config: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in config.items())


def _admin(bootstrap: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
