"""What `bench doors`, `push` and `storm` say: every order that was answered is on record, every change is seen by all."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks import cli
from tests.benchmarks.test_benchmarks import FIELDS

SMALL: dict[str, Any] = {"flow": "cross", "accounts": 5, "instruments": 2, "commands": 300, "resting": 0, "runs": 3}


@pytest.mark.parametrize(
    ("what", "options", "own"),
    [
        ("doors", {"batch": True}, {"writer_alone_commands_per_s", "ratio", "cores_used"}),
        (
            "doors",
            {"rate": 100.0, "clients": 20},
            {"latency_ms", "latency_ms_beside_idle", "idle_sockets", "server_kib_per_idle_socket"},
        ),
        ("push", {"clients": 30, "rate": 20.0}, {"late_ms", "server_cpu_s_per_million_messages", "server_kib_per_socket"}),
    ],
)
def test_all_of_it_is_answered_and_seen(what: str, options: dict[str, Any], own: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.push.SECONDS", 0.5)
    monkeypatch.setattr("benchmarks.doors_paced.SECONDS", 0.5)
    monkeypatch.setattr("benchmarks.doors_paced.WARM_S", 0.1)
    answer = cli.run(what, {**SMALL, **options})
    assert answer.keys() >= FIELDS | own


def test_an_option_of_others_is_wrong_use() -> None:
    with pytest.raises(ValueError, match="bench storm has no --batch"):
        cli.run("storm", {**SMALL, "batch": True})
