"""The schema of the record in PostgreSQL, step by step: eventstore/migrations/NNNN_name.sql, each applied once, in their order.

All steps that are missing are one transaction: a database has the schema of a release, or is as it was. To add one: the next number, a
name, SQL that a release in use can live with while it runs. What was released never changes.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final, NamedTuple

from eventstore.ports import NewerSchema, StoreFailed
from eventstore.postgres_server import Connection, connect, errors, shown

OWNER: Final = "outcry_migrator"
ROLES: Final = (OWNER, "outcry_writer", "outcry_reader")


class Step(NamedTuple):
    """One file of eventstore/migrations/."""

    number: int
    name: str
    sql: str


def steps() -> list[Step]:
    """All there are, ascending."""
    found = sorted(
        (file for file in files("eventstore").joinpath("migrations").iterdir() if file.name.endswith(".sql")), key=lambda f: f.name
    )
    made = [Step(int(file.name[:4]), file.name.removesuffix(".sql"), file.read_text()) for file in found]
    assert [step.number for step in made] == list(range(1, len(made) + 1)), "migrations are numbered from 1 without gaps"
    return made


def migrate(conninfo: str) -> list[str]:
    """Bring the database to the schema of this release. *conninfo* is that of outcry_migrator, or of a superuser.

    Returns the names of the steps applied; none when it was there already.
    Raises  NewerSchema; StoreFailed: then nothing was changed
    """
    store = shown(conninfo)
    known = steps()
    with connect(conninfo) as db, errors(store), db.transaction():
        _demand_roles(db, store)
        db.execute(f"SET LOCAL ROLE {OWNER}")  # so that everything is its own, whoever runs this
        db.execute("SELECT pg_advisory_xact_lock(hashtext('outcry.migrate'))")
        found = version(db)
        if found > len(known):
            raise NewerSchema(store, found, len(known))
        if found == 0:
            db.execute("CREATE SCHEMA IF NOT EXISTS outcry")
            db.execute("CREATE TABLE outcry.migration (number integer PRIMARY KEY, name text NOT NULL, applied timestamptz DEFAULT now())")
        for step in known[found:]:
            db.execute(step.sql.encode())
            db.execute("INSERT INTO outcry.migration VALUES (%s, %s)", (step.number, step.name))
        return [step.name for step in known[found:]]


def version(db: Connection) -> int:
    """Number of the last step that was applied; 0 in a database that holds no record."""
    if (db.execute("SELECT to_regclass('outcry.migration')").fetchone() or (None,))[0] is None:
        return 0
    row = db.execute("SELECT coalesce(max(number), 0) FROM outcry.migration").fetchone()
    assert row, "an aggregate has a row"
    return int(row[0])


def check_version(db: Connection, store: str) -> None:
    """Raise NewerSchema or StoreFailed unless the database has the schema of this release."""
    found, known = version(db), len(steps())
    if found > known:
        raise NewerSchema(store, found, known)
    if found < known:
        has = f"has schema version {found}, this release needs {known}" if found else "holds no record"
        raise StoreFailed(store, f"the database {has}; run `outcry migrate` on it first")


def _demand_roles(db: Connection, store: str) -> None:
    there = {row[0] for row in db.execute("SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)", (list(ROLES),))}
    missing = [role for role in ROLES if role not in there]
    if missing:
        raise StoreFailed(
            store,
            f"the server has no role {' and no role '.join(missing)}; as its administrator: "
            + ", ".join(f"CREATE ROLE {role} LOGIN PASSWORD '...'" for role in missing),
        )
    allowed = db.execute(
        "SELECT pg_has_role(%s, 'MEMBER'), has_database_privilege(%s, current_database(), 'CREATE')", (OWNER, OWNER)
    ).fetchone()
    if allowed is None or not allowed[0]:
        raise StoreFailed(store, f"this role may not act as {OWNER}; right would be user={OWNER}")
    if not allowed[1] and version(db) == 0:
        raise StoreFailed(store, f"{OWNER} may not make a schema in this database; right would be a database that it owns")
