"""Where the implementations of a port keep their things."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.record import Place


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Of one test. A server is started, or the test skipped for want of one, only when an implementation asks for its database."""
    return Place(tmp_path, lambda: request.getfixturevalue("database"))
