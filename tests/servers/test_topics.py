"""Topics as they must be: made so, and named when they are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]

from adapters.stack.stack import Stack
from eventstore import topics
from eventstore.errors import BadTopic, StoreFailed
from eventstore.topics import check, create, wanted
from tests.waiting import eventually

NOBODY = "127.0.0.1:9"


def change(stack: Stack, topic: str, key: str, value: str) -> None:
    """And see that the broker has heard of it."""
    entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
    admin = AdminClient({"bootstrap.servers": stack.kafka_bootstrap})
    for done in admin.incremental_alter_configs([ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])]).values():
        done.result(20)
    eventually(
        lambda: (
            admin.describe_configs([resource := ConfigResource(ConfigResource.Type.TOPIC, topic)])[resource].result()[key].value == value
        )
    )


def test_what_is_created_is_as_it_must_be_and_is_created_once(kafka_stack: Stack, topic_prefix: str) -> None:
    right = wanted(2, 1, topic_prefix)
    assert create(kafka_stack.kafka_bootstrap, right) == [topic_prefix + name for name in ("blocks", "commands-1", "commands-2")]
    assert create(kafka_stack.kafka_bootstrap, right) == []
    check(kafka_stack.kafka_bootstrap, right)


def test_a_missing_topic_is_named(kafka_stack: Stack, topic_prefix: str) -> None:
    with pytest.raises(BadTopic, match=rf"topic {topic_prefix}blocks: the topic is missing; right would be one of 2 partitions"):
        check(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))


@pytest.mark.parametrize(
    ("key", "wrong", "right"),
    [
        ("cleanup.policy", "compact", "delete"),
        ("retention.ms", "60000", r"-1 \(no limit\)"),
        ("retention.bytes", "1000000", "at least 17179869184"),
        ("max.message.bytes", "1000000", "at least 100663296"),
        ("unclean.leader.election.enable", "true", "false"),
    ],
)
def test_a_wrong_setting_is_named(kafka_stack: Stack, topic_prefix: str, key: str, wrong: str, right: str) -> None:
    """Each would lose blocks, or keep one from getting in."""
    create(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))
    change(kafka_stack, f"{topic_prefix}blocks", key, wrong)
    with pytest.raises(BadTopic, match=rf"topic {topic_prefix}blocks: {key} is {wrong}; right would be {right}"):
        check(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))


def test_more_than_is_needed_is_right(kafka_stack: Stack, topic_prefix: str) -> None:
    create(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))
    change(kafka_stack, f"{topic_prefix}blocks", "retention.bytes", "-1")
    change(kafka_stack, f"{topic_prefix}commands-1", "retention.ms", str(10 * topics.COMMANDS_KEPT_MS))
    check(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))


def test_a_number_of_partitions_that_changed_is_refused(kafka_stack: Stack, topic_prefix: str) -> None:
    create(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))
    with pytest.raises(BadTopic, match="the number of partitions is 2; right would be 3, as `partitions` says"):
        check(kafka_stack.kafka_bootstrap, wanted(2, 1, topic_prefix))


def test_too_few_replicas_are_refused(kafka_stack: Stack, topic_prefix: str) -> None:
    create(kafka_stack.kafka_bootstrap, wanted(1, 1, topic_prefix))
    with pytest.raises(BadTopic, match="the number of replicas is 1; right would be 3"):
        check(kafka_stack.kafka_bootstrap, [replace(each, replicas=3) for each in wanted(1, 1, topic_prefix)])


def test_brokers_that_do_not_answer_are_named() -> None:
    with pytest.raises(StoreFailed, match=rf"kafka at {NOBODY}: .*; nothing was changed"):
        check(NOBODY, wanted(1), timeout_s=1)
    with pytest.raises(StoreFailed, match=rf"kafka at {NOBODY}: topic .* was not created"):
        create(NOBODY, wanted(1), timeout_s=1)


def test_brokers_that_are_slow_to_miss_a_worker_are_named(kafka_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they come they wait for 45 seconds, and the market with them."""
    assert topics.slow_to_miss(kafka_stack.kafka_bootstrap) == []
    monkeypatch.setattr(topics, "SLOWEST_MS", {"group.consumer.session.timeout.ms": 100})
    (says,) = topics.slow_to_miss(kafka_stack.kafka_bootstrap)
    assert "broker 1: group.consumer.session.timeout.ms is 1500; right would be at most 100" in says
