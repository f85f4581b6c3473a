"""Fixtures of the doors' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doors.house import Client, Served, served


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A house of one test, served on loopback."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def alice(house: Served) -> Iterator[Client]:
    """Who may read, trade and fund, for account 1."""
    with house.client("alice") as client:
        yield client


@pytest.fixture
def bob(house: Served) -> Iterator[Client]:
    """As alice, for account 2."""
    with house.client("bob") as client:
        yield client


@pytest.fixture
def root(house: Served) -> Iterator[Client]:
    """Who administers and operates."""
    with house.client("root") as client:
        yield client


@pytest.fixture
def nobody(house: Served) -> Iterator[Client]:
    """Who says nothing of himself."""
    with house.client() as client:
        yield client
