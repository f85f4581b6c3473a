"""Kafka as a stack runs it: records survive its death, and three nodes survive the death of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # exported, not declared

from adapters.stack.errors import BadStack
from adapters.stack.stack import Stack

TOPIC = "notes"


def make_topic(stack: Stack, replicas: int) -> None:
    """A topic of one partition."""
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    admin.create_topics([NewTopic(TOPIC, 1, replicas)])[TOPIC].result(30)


def send(stack: Stack, values: list[bytes]) -> list[bytes]:
    """Send *values*; returns those that every replica in sync has."""
    acknowledged: list[bytes] = []

    def acknowledge(failed: object, message: Any) -> None:
        assert failed is None, failed
        acknowledged.append(message.value())

    settings = {"bootstrap.servers": stack.kafka_bootstrap, "enable.idempotence": True, "message.timeout.ms": 60_000, "log_level": 0}
    producer = Producer(settings)
    for value in values:
        producer.produce(TOPIC, value, callback=acknowledge)
    assert producer.flush(60) == 0
    return acknowledged


def received(stack: Stack, count: int) -> list[bytes]:
    """The first *count* records."""
    consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    found = consumer.consume(count, 30)
    consumer.close()
    return [bytes(message.value() or b"") for message in found]


def test_one_node_that_is_killed_comes_back_with_its_records(own_stack: Callable[..., Stack]) -> None:
    stack = own_stack(postgres=False)
    make_topic(stack, 1)
    assert send(stack, [b"1", b"2"]) == [b"1", b"2"]
    stack.servers["kafka-1"].kill()
    stack.up()
    assert send(stack, [b"3"]) == [b"3"]
    assert received(stack, 3) == [b"1", b"2", b"3"]


def test_a_node_that_keeps_no_groups_is_started_anew(own_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what it answers about groups is made up: a node fails so by chance, on a crowded machine."""
    stack = own_stack(postgres=False)
    node = stack.servers["kafka-1"]
    before = node.pid
    answers = iter([False, True])
    monkeypatch.setattr(node, "_keeps_groups", lambda: next(answers))
    node.wait_ready()
    assert node.pid not in {None, before}
    assert node.ready()
    assert next(answers, None) is None


def test_three_nodes_go_on_without_one(own_stack: Callable[..., Stack]) -> None:
    """With the records of before, and acknowledged by the two that are left."""
    stack = own_stack(postgres=False, kafka_nodes=3)
    make_topic(stack, 3)
    send(stack, [b"1"])
    stack.servers["kafka-1"].kill()
    assert send(stack, [b"2"]) == [b"2"]
    assert received(stack, 2) == [b"1", b"2"]
    with pytest.raises(BadStack, match="kafka_nodes = 3, asked for are 1"):
        Stack(stack.folder, postgres=False)
    stack.up()
    assert all(server.ready() for server in stack.servers.values())


def test_a_topic_that_nobody_made_is_not_made_by_writing_to_it(kafka_stack: Stack, topic_prefix: str) -> None:
    """It would have settings that nobody stated."""
    producer = Producer({"bootstrap.servers": kafka_stack.kafka_bootstrap, "message.timeout.ms": 2_000, "log_level": 0})
    failures: list[Any] = []
    producer.produce(topic_prefix + TOPIC, b"1", callback=lambda failed, _message: failures.append(failed))
    producer.flush(30)
    assert [failed.name() for failed in failures] in (["_MSG_TIMED_OUT"], ["_UNKNOWN_TOPIC"], ["UNKNOWN_TOPIC_OR_PART"])
