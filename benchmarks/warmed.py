"""A broker that has served for a while before time is taken.

Java compiles what it does often. A broker that was just started has half a core at work on that in its first minute under load, which on
two cores everybody else lacks: prices were readable in Redis with a p99 of 354 ms beside it, and of 83 ms two minutes later.
"""

from __future__ import annotations

import time
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.market import NUMBER
from eventstore.kafka import client_config
from eventstore.publisher import Sender
from eventstore.topics import BLOCKS, commands_topic

WARM_S: Final = 20.0
RECORD: Final = bytes(4_096)
SYNCED: Final = 8  # one record in so many goes to commands, which the broker syncs: it would do little else


def warm(bootstrap: str, prefix: str, seconds: float = WARM_S) -> None:
    """Send to the topics of *prefix* and read from them for *seconds*, a record a request: some 1,000 a second."""
    blocks, commands = TopicPartition(f"{prefix}{BLOCKS}", NUMBER, 0), TopicPartition(commands_topic(NUMBER, prefix), 0, 0)
    producer = Sender(bootstrap)
    consumer = Consumer(client_config(bootstrap) | {"group.id": f"{prefix}warm", "enable.auto.commit": False})
    consumer.assign([blocks, commands])
    until_s, sent = time.monotonic() + seconds, 0
    while time.monotonic() < until_s:
        place = blocks if sent % SYNCED else commands
        producer.produce(place.topic, RECORD, partition=place.partition)
        producer.flush()
        consumer.consume(1, 0)
        sent += 1
    consumer.close()
