"""The schema in PostgreSQL: each step once, all or nothing, by the owner, never backwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from eventstore import migrate as m
from eventstore.ports import NewerSchema, StoreFailed
from tests.eventstore.superuser import damage
from tests.servers.fixtures import Database

ALL = [step.name for step in m.steps()]


def applied(database: Database) -> list[str]:
    with psycopg.connect(database.dsn("outcry_migrator")) as db:
        return [row[0] for row in db.execute("SELECT name FROM outcry.migration ORDER BY number")]


def test_each_step_is_applied_once(empty_database: Database) -> None:
    owner = empty_database.dsn("outcry_migrator")
    assert m.migrate(owner) == ALL
    assert m.migrate(owner) == []
    assert applied(empty_database) == ALL


def test_of_several_that_migrate_at_once_one_does_it(empty_database: Database) -> None:
    """As when all workers of a new release start together."""
    with ThreadPoolExecutor(4) as four:
        done = list(four.map(m.migrate, [empty_database.dsn("outcry_migrator")] * 4))
    assert sorted(done) == [[], [], [], ALL]


def test_a_step_that_fails_leaves_the_database_as_it_was(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the steps before it: a database has the schema of a release."""
    wrong = m.Step(len(ALL) + 1, "9999_wrong", "CREATE TABLE outcry.fine (fine integer); SELECT wrong")
    known = [*m.steps(), wrong]
    monkeypatch.setattr(m, "steps", lambda: known)
    with pytest.raises(StoreFailed, match='column "wrong" does not exist'):
        m.migrate(empty_database.dsn("outcry_migrator"))
    with psycopg.connect(empty_database.dsn("outcry_migrator")) as db:
        assert m.version(db) == 0
        assert db.execute("SELECT to_regnamespace('outcry')").fetchone() == (None,)


def test_a_database_of_a_later_release_is_left_alone(database: Database) -> None:
    damage(database, "INSERT INTO outcry.migration VALUES (99, '0099_later')")
    with pytest.raises(NewerSchema, match=f"has schema version 99, this release knows up to {len(ALL)}; use the release that wrote it"):
        m.migrate(database.dsn("outcry_migrator"))


def test_a_database_of_an_earlier_release_is_brought_up_to_date(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then this release does not run on it, and says what to do."""
    known = [*m.steps(), m.Step(len(ALL) + 1, "9999_next", "CREATE TABLE outcry.next (next integer)")]
    monkeypatch.setattr(m, "steps", lambda: known)
    with (
        psycopg.connect(database.dsn(), autocommit=True) as db,
        pytest.raises(StoreFailed, match=rf"has schema version {len(ALL)}, this release needs {len(ALL) + 1}; run `outcry migrate`"),
    ):
        m.check_version(db, "postgres = '...'")
    assert m.migrate(database.dsn("outcry_migrator")) == ["9999_next"]


@pytest.mark.parametrize("role", ["outcry_writer", "outcry_reader"])
def test_only_the_owner_migrates(empty_database: Database, role: str) -> None:
    with pytest.raises(
        StoreFailed, match="this role may not act as outcry_migrator; right would be user=outcry_migrator; nothing was changed"
    ):
        m.migrate(empty_database.dsn(role))


def test_everything_belongs_to_the_migrator_whoever_ran_it(empty_database: Database) -> None:
    """A function that runs with its owner's rights must not run with a superuser's."""
    postgres = empty_database.stack.postgres
    m.migrate(make_conninfo(host=str(postgres.sockets), port=postgres.port, user="postgres", dbname=empty_database.name))
    with psycopg.connect(empty_database.dsn("outcry_migrator")) as db:
        owners = db.execute(
            "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'outcry'::regnamespace"
            " UNION SELECT relowner::regrole::text FROM pg_class WHERE relnamespace = 'outcry'::regnamespace"
        ).fetchall()
    assert owners == [("outcry_migrator",)]


def test_the_roles_must_be_there(empty_database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the server, not to the database, and have passwords: its administrator makes them."""
    monkeypatch.setattr(m, "ROLES", (*m.ROLES, "outcry_nobody"))
    with pytest.raises(
        StoreFailed,
        match=r"the server has no role outcry_nobody; as its administrator: CREATE ROLE outcry_nobody LOGIN PASSWORD '\.\.\.'; nothing",
    ):
        m.migrate(empty_database.dsn("outcry_migrator"))
