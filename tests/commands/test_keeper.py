"""A snapshot that takes long delays no commit, and shows the state as it was when it was taken."""

from __future__ import annotations

import errno
import logging
import os
import signal
import threading
from typing import NoReturn

import pytest

from commands.image import Image
from commands.keeper import Keeper
from domain import verbs as v
from domain.partition import Partition
from eventstore.blocks import genesis
from eventstore.memory import MemorySnapshots
from eventstore.ports import Snapshot
from tests import market
from tests.waiting import PATIENCE_S

LISTED = market.list_instrument(1) + market.set_state(v.OPEN) + market.open_account(1)


class SlowSnapshots(MemorySnapshots):
    """Saves when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def save(self, snapshot: Snapshot) -> None:
        assert self.may.wait(PATIENCE_S)
        super().save(snapshot)


@pytest.fixture
def partition() -> Partition:
    found = Partition(1)
    found.execute(LISTED)
    return found


def test_an_image_is_the_snapshot_of_the_moment_when_it_was_taken(partition: Partition) -> None:
    """Byte for byte, whatever happens to the state meanwhile."""
    before = partition.snapshot()
    image = Image.take(partition)
    partition.execute(market.deposit(1, 1, 10**9))
    assert image.bytes() == before != partition.snapshot()


def test_a_big_state_goes_on_while_its_image_is_copied() -> None:
    """Rows that are overwritten before the child comes to them are copied as they were."""
    partition = Partition(1)
    partition.execute(LISTED + b"".join(market.open_account(number) for number in range(2, 4_000)))
    partition.execute(market.open_account(1_000_000))  # a vector of 64 MB
    digest = partition.state_hash()
    image = Image.take(partition)
    partition.execute(b"".join(market.open_account(number) for number in range(4_000, 8_000)))
    assert Partition.restore(image.bytes()).state_hash() == digest


def test_an_image_that_nobody_wants_leaves_no_process_and_no_memory(partition: Partition) -> None:
    image = Image.take(partition)
    image.drop()
    with pytest.raises(ProcessLookupError):
        os.kill(image._child, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(image._memory)


def test_an_image_whose_process_was_killed_is_no_snapshot(partition: Partition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commands.image._write_and_end", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    image = Image.take(partition)
    with pytest.raises(OSError, match="ended with -9"):
        image.bytes()


def test_a_snapshot_is_kept_while_others_go_on(partition: Partition) -> None:
    snapshots = SlowSnapshots()
    keeper = Keeper(snapshots)
    image = keeper.take(partition)
    assert image is not None
    keeper.keep(image, genesis(1))  # returns while nothing is saved
    assert not keeper.is_idle, "two states of 400 MB in memory would be one too many"
    snapshots.may.set()
    keeper.wait()
    kept = snapshots.latest(1)
    assert kept is not None
    assert kept.state == partition.snapshot()


def test_what_never_was_on_record_is_not_kept(partition: Partition) -> None:
    snapshots = MemorySnapshots()
    keeper = Keeper(snapshots)
    image = keeper.take(partition)
    assert image is not None
    keeper.drop(image)
    keeper.wait()
    assert snapshots.latest(1) is None
    assert keeper.is_idle


def test_without_memory_for_a_process_there_is_a_warning_and_no_snapshot(
    partition: Partition, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The record alone is enough."""

    def refused() -> NoReturn:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", refused)
    keeper = Keeper(MemorySnapshots())
    with caplog.at_level(logging.WARNING):
        assert keeper.take(partition) is None
    assert f"no snapshot after event {partition.events}: [Errno 12] Cannot allocate memory" in caplog.text
    assert keeper.is_idle
