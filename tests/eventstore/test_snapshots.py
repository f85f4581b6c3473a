"""Snapshot files: written whole, checked when read, passed over when damaged."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

import pytest

from eventstore.ports import Snapshot, StoreFailed
from eventstore.snapshots import FileSnapshots

OLDER = Snapshot(1, 5, b"h" * 32, b"state of five")
NEWER = Snapshot(1, 9, b"i" * 32, b"state of nine")


@pytest.fixture
def store(tmp_path: Path) -> FileSnapshots:
    store = FileSnapshots(tmp_path / "snapshots")
    store.save(OLDER)
    store.save(NEWER)
    return store


@pytest.fixture
def newest(store: FileSnapshots, tmp_path: Path) -> Path:
    return tmp_path / "snapshots" / "1-9.snapshot"


def test_a_damaged_snapshot_is_passed_over_with_a_warning(store: FileSnapshots, newest: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The record alone is enough: a snapshot can only save time. Every bit of the file is under its hash."""
    whole = newest.read_bytes()
    for at in range(len(whole)):
        newest.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert store.latest(1) == OLDER
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * len(whole)
    assert str(newest) in caplog.text


def test_a_truncated_snapshot_is_passed_over(store: FileSnapshots, newest: Path) -> None:
    whole = newest.read_bytes()
    for size in range(len(whole)):
        newest.write_bytes(whole[:size])
        assert store.latest(1) == OLDER


def test_a_snapshot_under_another_name_is_passed_over(store: FileSnapshots, newest: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody copied it by hand; it would be the state of another block."""
    newest.rename(newest.with_name("1-10.snapshot"))
    assert store.latest(1) == OLDER
    assert "belongs to another place" in caplog.text


def test_other_files_in_the_folder_are_left_alone(store: FileSnapshots, newest: Path) -> None:
    """But pruning takes the half file, under a name that is none, of a crash while saving."""
    for name in ("1-12.77.new", "1-x.snapshot", "1-2-3.snapshot", "notes"):
        newest.with_name(name).write_bytes(b"half")
    assert store.latest(1) == NEWER
    store.prune(1, keep=0)
    assert sorted(file.name for file in newest.parent.iterdir()) == ["1-2-3.snapshot", "1-x.snapshot", "notes"]


def test_a_disk_that_takes_no_more_leaves_the_older_ones(store: FileSnapshots, newest: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    try:
        with pytest.raises(StoreFailed, match=r"1-9\.snapshot: .*File too large; nothing was changed"):
            store.save(NEWER._replace(state=bytes(5_000)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert store.latest(1) == NEWER
    assert len(list(newest.parent.iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreFailed, match=r"file/snapshots: "):
        FileSnapshots(tmp_path / "file" / "snapshots")
