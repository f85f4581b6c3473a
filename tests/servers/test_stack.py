"""A stack of real servers: what starts, what comes back, what is left alone."""

from __future__ import annotations

import psycopg
import pytest

from adapters.stack.stack import Stack
from tests.servers.fixtures import Database


def test_each_test_has_a_database_of_its_own(empty_database: Database) -> None:
    with psycopg.connect(empty_database.dsn("outcry_migrator")) as connection:
        assert connection.execute("SELECT current_database(), current_user").fetchone() == (empty_database.name, "outcry_migrator")


@pytest.mark.parametrize("role", ["outcry_migrator", "outcry_writer", "outcry_reader"])
def test_a_role_comes_in_with_its_password_only(postgres_stack: Stack, role: str) -> None:
    right = postgres_stack.postgres_dsn(role)
    with psycopg.connect(right) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (role,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(right, password="a guess")
