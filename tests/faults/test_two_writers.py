"""Two writers on one file: the one that came last goes on, the other stops with Fenced."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.witness import Victim, examine


def test_of_two_writers_on_one_file_exactly_one_goes_on(folder: Path) -> None:
    with Victim(folder, session=1) as first:
        first.wait_for("ack")
        with Victim(folder, session=2) as second:
            assert first.wait_for("stopped")[1] == "Fenced"
            assert first.end() == 3
            second.wait_for("ack")
            so_far = len(second.acknowledged())
            while len(second.acknowledged()) <= so_far:
                assert second.first("stopped") is None
                time.sleep(0.01)
    examine(folder, {1: first.acknowledged(), 2: second.acknowledged()})
