"""kill -9 at any moment: what was acknowledged is on record, once, and the next start goes on."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.faults.witness import Acknowledged, Victim, examine

SESSION = 1


def killed_at_a_random_moment(folder: Path, acknowledged: list[Acknowledged], *options: str) -> Victim:
    """A victim that went on after *acknowledged*; one in four dies while it starts, the others within 0.2 s of trading."""
    with Victim(folder, SESSION, acknowledged[-1].sequence if acknowledged else 0, *options) as victim:
        if random.random() < 0.25:
            time.sleep(random.uniform(0, 0.5))
        else:
            victim.wait_for("ack")
            time.sleep(random.uniform(0, 0.2))
    return victim


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_what_was_acknowledged_survives_kill_9(folder: Path, kills: int) -> None:
    acknowledged: list[Acknowledged] = []
    state = None
    for _ in range(kills):
        victim = killed_at_a_random_moment(folder, acknowledged)
        opened = victim.first("open")
        assert state is None or opened is None or opened[1] == state, "a start finds the state that the record leads to"
        acknowledged += victim.acknowledged()
        state = examine(folder, {SESSION: acknowledged}) if (folder / "record.sqlite").exists() else None
    assert len(acknowledged) > kills


def test_the_same_check_catches_a_writer_that_acknowledges_before_the_commit(folder: Path) -> None:
    """Negative control: it is this, and nothing else, that the test above would show."""
    acknowledged: list[Acknowledged] = []

    def rounds() -> None:
        for _ in range(20):
            acknowledged.extend(killed_at_a_random_moment(folder, acknowledged, "--hasty").acknowledged())
            examine(folder, {SESSION: acknowledged})

    with pytest.raises(AssertionError, match="acknowledged and not on record"):
        rounds()
