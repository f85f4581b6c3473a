"""The TypeScript client, compiled, and a venue that is served to it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.doors.house import Served, served

HERE = REPOSITORY / "outcry" / "typescript"


@pytest.fixture(scope="module")
def compiled() -> None:
    """Client, tests and examples, compiled with all checks on: by whom of several workers comes first."""
    if not shutil.which("npm"):
        if os.environ.get("CI") == "true":
            pytest.fail("there is no npm: CI demands that the TypeScript client is tested")
        pytest.skip("there is no npm")
    with (HERE / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(["make", "-s", "typescript"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    """For one file of tests."""
    with served(tmp_path) as made:
        yield made
