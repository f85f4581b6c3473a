"""What every test shares: how hard Hypothesis looks, which kernel runs, where the files of real markets are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import domain.partition

pytest_plugins = ["tests.servers.fixtures"]  # real servers, started when a test asks for one

# A shell that starts us in the background has us ignore it, and what we start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Where the exchange of whoever runs the tests is, his shell may say; a test says where its own is.
for variable in [name for name in os.environ if name.startswith("OUTCRY_") and name not in ("OUTCRY_DATA", "OUTCRY_SOAK_FAULTS")]:
    del os.environ[variable]

REPOSITORY = Path(__file__).parent.parent
DATA = Path(os.environ.get("OUTCRY_DATA") or REPOSITORY.parent / "shared" / "data")

# No deadline: two cores shared with others say nothing about one example. `make fuzz` runs the second again and again, each time with other
# examples; a test that names its own number of examples keeps it.
settings.register_profile("default", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", settings.get_profile("default"), max_examples=2_000)
settings.load_profile("default")


def kernel() -> str:
    """Which kernel the tests drive: compiled, interpreted, or compiled from an older source than the one that lies here."""
    compiled = Path(domain.partition.__file__)
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
