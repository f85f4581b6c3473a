"""What every test shares: how hard Hypothesis looks, which kernel runs, where the files of real markets are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import domain

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("OUTCRY_DATA") or REPOSITORY.parent / "shared" / "data")

# `make fuzz` chooses the second. No deadline: two cores shared with others say nothing about one example.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", deadline=None, max_examples=10_000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")


def kernel() -> str:
    """Which kernel the tests drive: compiled, interpreted, or compiled from an older source than the one that lies here."""
    compiled = Path(domain.__file__)
    if compiled.suffix == ".py":
        return "interpreted"
    newest = max(source.stat().st_mtime for source in compiled.parent.glob("*.py"))
    return "compiled" if compiled.stat().st_mtime >= newest else "compiled from an older source: run `make kernel`"


def pytest_report_header() -> str:
    """The kernel, first thing in every report."""
    return f"kernel: {kernel()}"


@pytest.fixture(scope="session")
def market_data() -> Path:
    """The folder of real market data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"no market data at {DATA}: set OUTCRY_DATA to its folder")
    return DATA
