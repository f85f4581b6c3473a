"""What the benchmarks of reading must say beside their figures. They run for seconds here; how fast is never a test."""

from __future__ import annotations

from typing import cast

import pytest

from adapters.stack.stack import Stack
from benchmarks import cli
from tests.benchmarks.test_benchmarks import FIELDS

SMALL = {"flow": "cross", "accounts": 50, "instruments": 1, "commands": 2_000, "runs": 1}


def test_a_price_is_followed_into_redis(views_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its commit; how many of the blocks came by Kafka is said, and which processes shared the machine."""
    monkeypatch.setattr("benchmarks.redis.SECONDS", 4.0)
    answer = cli.run("redis", {**SMALL, "rate": 2_000, "stack": views_stack.folder})
    assert FIELDS | {"ran", "by_topic", "cores_used", "servers"} <= answer.keys()
    late = cast("dict[str, float]", answer["commit_to_readable_ms"])
    assert 0 < late["p50"] <= late["p99"] <= late["p100"]


def test_balances_are_all_there_and_have_a_size(views_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.balances.READS", 100)
    answer = cli.run("balances", {**SMALL, "accounts": 20_000, "stack": views_stack.folder})
    assert FIELDS | {"read_ms", "memory_in_all_mib", "servers"} <= answer.keys()
    assert answer["balances"] == 20_000
    assert 24 < cast("float", answer["bytes_per_balance"]) < 1_000  # 24 is the row alone


def test_a_warmed_process_hits_more_often_than_a_cold_one(views_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.warm.MINUTE_S", 3)
    monkeypatch.setattr("benchmarks.warm.YESTERDAY", 5_000)
    answer = cli.run("warm", {**SMALL, "stack": views_stack.folder})
    assert FIELDS | {"pattern", "speed", "servers"} <= answer.keys()
    cold, warmed = (cast("dict[str, float]", answer[kind]) for kind in ("cold", "warmed"))
    assert 0 <= cold["hit_rate"] < warmed["hit_rate"] <= 1
    assert warmed["loaded"] > 0 == cold["loaded"]
