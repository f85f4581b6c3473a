"""Venues of the gateways' tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.stack.stack import Stack
from tests.gateway.venue import Venue, redis_of, registered
from tests.servers.fixtures import Database
from tests.servers.fixtures import _database as made_database
from tests.servers.fixtures import _up as up
from tests.servers.market import begin
from tests.servers.test_views import own_cluster


@pytest.fixture
def venue(views_stack: Stack, database: Database, topic_prefix: str, tmp_path: Path) -> Iterator[Venue]:
    """A venue of one test on the shared servers, without workers and gateways."""
    own_cluster(database)
    with closing(registered(begin(views_stack, database, topic_prefix, tmp_path, 1, **redis_of(views_stack)))) as made:
        yield made


@pytest.fixture(scope="module")
def served(views_stack: Stack, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Venue]:
    """A venue of one module on the shared servers: a worker, and the gateways `one` and `two`."""
    with made_database(views_stack, migrated_template) as database:
        own_cluster(database)
        folder, prefix = tmp_path_factory.mktemp("venue"), f"test-{secrets.token_hex(6)}-"
        with closing(registered(begin(views_stack, database, prefix, folder, 1, **redis_of(views_stack)))) as made:
            made.market.serve("owner")
            made.gateway("one")
            made.gateway("two")
            yield made


@pytest.fixture(scope="module")
def servers(shared_folder: Path) -> Iterator[Stack]:
    """Servers of one module that its tests may stop: up() at the start of each."""
    stack = up(Stack(shared_folder / f"gateways-{secrets.token_hex(4)}", redis=True))
    yield stack
    stack.destroy()
