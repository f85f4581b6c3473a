"""A venue for the tests of a module; each begins with an empty book."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.venue import Venue
from tests.doors.house import served


@pytest.fixture(scope="module")
def served_venue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """One for all tests of a module."""
    with served(tmp_path_factory.mktemp("house")) as house:
        yield Venue(house)


@pytest.fixture
def venue(served_venue: Venue) -> Venue:
    """Without orders."""
    served_venue.clear()
    return served_venue
