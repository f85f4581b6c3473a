"""A snapshot that takes long delays no commit."""

from __future__ import annotations

import logging
import threading

import pytest

from commands.keeper import Keeper
from eventstore.blocks import genesis
from eventstore.memory import MemorySnapshots
from eventstore.ports import Snapshot
from tests.commands.held import PATIENCE_S


class SlowSnapshots(MemorySnapshots):
    """Saves when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def save(self, snapshot: Snapshot) -> None:
        assert self.may.wait(PATIENCE_S)
        super().save(snapshot)


def test_a_snapshot_is_kept_while_others_go_on_and_one_that_comes_meanwhile_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Two states of 400 MB in memory would be one too many; the record alone is enough."""
    snapshots = SlowSnapshots()
    keeper = Keeper(snapshots)
    with caplog.at_level(logging.WARNING):
        keeper.offer(genesis(1), b"first")  # returns while nothing is saved
        keeper.offer(genesis(1), b"second")
    snapshots.may.set()
    keeper.wait()
    kept = snapshots.latest(1)
    assert kept is not None
    assert kept.state == b"first"
    assert "the one before is still being kept" in caplog.text
