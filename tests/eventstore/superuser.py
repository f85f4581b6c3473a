"""What only the superuser of a PostgreSQL server can do to a record."""

from __future__ import annotations

from tests.servers.fixtures import Database


def damage(database: Database, statement: str) -> None:
    """Done by the superuser with the triggers off, as a failing disk would."""
    with database.stack.postgres.superuser(database.name) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute(statement.encode())
