"""A disk that is full or may not be written: the writer stops and says so, nothing acknowledged is lost, and a restart goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.witness import Acknowledged, Victim, examine


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"may not mount a small file system: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def until_it_stops(folder: Path, *options: str) -> tuple[str, list[Acknowledged]]:
    """The error that stopped a victim, and what it acknowledged before."""
    with Victim(folder, 1, 0, *options) as victim:
        stopped = victim.wait_for("stopped")
        assert victim.end() == 3
    assert victim.acknowledged()
    return stopped[1], victim.acknowledged()


def goes_on(folder: Path, acknowledged: list[Acknowledged]) -> None:
    """Assert that nothing acknowledged is lost and that a restart trades on from there."""
    state = examine(folder, {1: acknowledged})
    with Victim(folder, 1, acknowledged[-1].sequence) as again:
        assert again.wait_for("open")[1] == state
        again.wait_for("ack")
    examine(folder, {1: acknowledged + again.acknowledged()})


def test_a_full_disk_stops_the_writer_and_more_space_lets_it_go_on(small_disk: Path) -> None:
    error, acknowledged = until_it_stops(small_disk)
    assert error == "StoreFailed"
    remount(small_disk, "size=64m")
    goes_on(small_disk, acknowledged)


def test_a_file_that_may_not_grow_stops_the_writer(folder: Path) -> None:
    """The same without the right to mount: a bound on the size of files, which SQLite takes for a disk that fails."""
    error, acknowledged = until_it_stops(folder, "--largest-file", "400000")
    assert error in ("StoreFailed", "OutcomeUnknown")
    goes_on(folder, acknowledged)


def test_a_read_only_file_stops_the_writer_before_it_takes_anything(small_disk: Path) -> None:
    with Victim(small_disk) as victim:
        victim.wait_for("ack")
    before = (small_disk / "record.sqlite").read_bytes()
    remount(small_disk, "ro")
    with Victim(small_disk, 1, victim.acknowledged()[-1].sequence) as refused:
        assert refused.wait_for("stopped")[1] == "StoreFailed"
    assert not refused.acknowledged()
    assert (small_disk / "record.sqlite").read_bytes() == before
    remount(small_disk, "rw")
    goes_on(small_disk, victim.acknowledged())
