"""kill -9 while archiving: what counts is whole, nothing counts twice, and the next start completes it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eventstore.checking import check
from eventstore.cold import ArchiveLog
from eventstore.shelf import Shelf
from eventstore.sqlite import SqliteLog
from tests.archive.victim import RANGE_EVENTS
from tests.conftest import REPOSITORY
from tests.eventstore.rows import fill

BLOCKS = 600


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A record of 60 ranges."""
    path = tmp_path_factory.mktemp("record") / "record.sqlite"
    log = SqliteLog(path)
    fill(log, BLOCKS)
    log.close()
    return path


def killed(record: Path, archive: Path, *options: str) -> None:
    """An archiver that was killed a moment after it began."""
    command = [sys.executable, "-m", "tests.archive.victim", str(record), str(archive), *options]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.uniform(0, 0.1))
        process.kill()


def test_what_counts_is_whole_after_kill_9_and_the_rest_follows(record: Path, tmp_path: Path) -> None:
    log = SqliteLog(record, read_only=True)
    for _ in range(3):
        killed(record, tmp_path)
        checked = check(Shelf(str(tmp_path)), 1, log)
        assert checked.ok, checked.first_bad
        assert checked.blocks > 0
    subprocess.run([sys.executable, "-m", "tests.archive.victim", str(record), str(tmp_path)], cwd=REPOSITORY, check=True)
    entries = Shelf(str(tmp_path)).entries(1)
    assert [(entry.from_seq, entry.to_seq) for entry in entries] == [(seq, seq + 9) for seq in range(1, BLOCKS, RANGE_EVENTS // 4)]
    assert list(ArchiveLog(str(tmp_path)).read(1)) == list(log.read(1))
    assert list(tmp_path.rglob("*.draft")) == [], "what the dead left was swept"
    log.close()


def test_the_same_check_catches_an_archiver_that_counts_a_range_before_it_is_in_its_place(record: Path, tmp_path: Path) -> None:
    """The negative control: with the safeguard out, a kill leaves a range that counts and is not there."""
    log = SqliteLog(record, read_only=True)
    for attempt in range(30):
        archive = tmp_path / str(attempt)
        killed(record, archive, "--hasty")
        if not check(Shelf(str(archive)), 1, log).ok:
            break
    else:
        pytest.fail("thirty kills, and each left an archive that is whole")
    log.close()
