"""docs/sdk.md is a promise: every Python program in it is run, against a venue that is served."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.venue import Venue
from tests.conftest import REPOSITORY

PROGRAMS = re.findall(r"^```python\n(.*?)^```", (REPOSITORY / "docs/sdk.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_a_program_of_the_page_works(venue: Venue, tmp_path: Path, program: str) -> None:
    """In a folder with a venue's key file, as its reader has one."""
    folder = tmp_path / "venue/keys"
    folder.mkdir(parents=True)
    venue.key_file("alice", folder)
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_there_are_programs() -> None:
    assert len(PROGRAMS) >= 3
