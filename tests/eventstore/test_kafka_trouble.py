"""What a client of Kafka says while its brokers are silent."""

from __future__ import annotations

import logging
import time

import pytest
from confluent_kafka import Consumer

from eventstore.kafka import client_config

NOBODY = "127.0.0.1:9"
ATTEMPTS_S = 1.0  # in which librdkafka tries some twenty times


def test_brokers_that_are_away_are_told_of_once_and_not_with_every_attempt(caplog: pytest.LogCaptureFixture) -> None:
    """A log that grows by twenty lines a second and client hides what an operator looks for, and fills the disk."""
    consumer = Consumer(client_config(NOBODY) | {"group.id": "nobody"})
    consumer.subscribe(["nothing"])
    with caplog.at_level(logging.INFO):
        end = time.monotonic() + ATTEMPTS_S
        while time.monotonic() < end:
            consumer.poll(0.05)
    consumer.close()
    said = [record.getMessage() for record in caplog.records]
    assert any("Connection refused" in line for line in said), said
    assert len(said) == len({line.partition(" failed")[0] for line in said}), said
