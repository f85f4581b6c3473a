"""The folder in which victims trade."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for one store; what victims note lies beside it."""
    store = tmp_path / "store"
    store.mkdir()
    return store
