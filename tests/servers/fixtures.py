"""Real servers for tests anywhere: ask for a fixture by name.

    def test_something(database: Database) -> None:             # PostgreSQL; a migrated database that no other test sees
        with psycopg.connect(database.dsn("outcry_writer")) as connection: ...

    postgres_stack   the shared PostgreSQL: never kill it, never change its settings
    kafka_stack      the shared Kafka: one node
    full_stack       both
    redis_stack      the shared Redis: never empty it, keep to keys of your own
    opensearch_stack  the shared OpenSearch: keep to indices of your own
    database         of one test, migrated
    empty_database   of one test, as `outcry migrate` finds it the first time
    topic_prefix     of one test, for the names of topics and groups
    own_folder       of one test, for servers of its own
    three_standbys   a PostgreSQL of one module with three standbys, which tests may kill, stop and hold up: up() at the start of each
    own_stack        makes stacks for tests that kill servers: own_stack(standby=True) is up, and gone after the test

The shared servers start when the first test asks, and serve all workers of a run. A run that was killed leaves its servers behind; the next
run takes them away. Without servers a test is skipped, saying what is missing; under CI=true it fails.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pytest

from adapters.stack.errors import NotInstalled
from adapters.stack.postgres import MIGRATOR, WRITER
from adapters.stack.stack import Stack

PREFIX: Final = "outcry-tests-"
TEMPLATE: Final = "migrated"
QUICK: Final = "-XX:TieredStopAtLevel=1"  # Java compiles less: two thirds of the work until it serves
SMALL_HEAP_MB: Final = 512
YOUNG_S: Final = 60  # a folder may be somebody's before he has locked it


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test."""

    stack: Stack
    name: str

    def dsn(self, role: str = WRITER) -> str:
        """How to connect as outcry_migrator (the owner), outcry_writer or outcry_reader."""
        return self.stack.postgres_dsn(role, self.name)


@pytest.fixture(scope="session")
def shared_folder() -> Iterator[Path]:
    """Where the shared stack of this run lies; the last worker that leaves stops it."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{PREFIX}*/"):
        if left.stat().st_mtime < time.time() - YOUNG_S:
            with _alone(left) as alone:
                if alone:
                    _take_away(left)
    folder = root / f"{PREFIX}{os.environ.get('PYTEST_XDIST_TESTRUNUID', secrets.token_hex(16))[:12]}"
    folder.mkdir(mode=0o711, exist_ok=True)  # the servers' user passes through it
    with (folder / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        yield folder
        if _locked_alone(users):
            _take_away(folder)


@pytest.fixture(scope="session")
def postgres_stack(shared_folder: Path) -> Stack:
    """The shared stack, PostgreSQL running."""
    return _up(Stack(shared_folder / "stack", kafka=False))


@pytest.fixture(scope="session")
def kafka_stack(shared_folder: Path) -> Stack:
    """The shared stack, Kafka running."""
    return _up(Stack(shared_folder / "stack", postgres=False))


@pytest.fixture(scope="session")
def full_stack(shared_folder: Path) -> Stack:
    """The shared stack, PostgreSQL and Kafka running."""
    return _up(Stack(shared_folder / "stack"))


@pytest.fixture(scope="session")
def views_stack(shared_folder: Path) -> Stack:
    """The shared stack, PostgreSQL, Kafka and Redis running."""
    return _up(Stack(shared_folder / "stack", redis=True))


@pytest.fixture(scope="session")
def redis_stack(shared_folder: Path) -> Stack:
    """The shared stack, Redis running."""
    return _up(Stack(shared_folder / "stack", postgres=False, kafka=False, redis=True))


@pytest.fixture(scope="session")
def opensearch_stack(shared_folder: Path) -> Stack:
    """The shared stack, OpenSearch running."""
    return _up(Stack(shared_folder / "stack", postgres=False, kafka=False, opensearch=True, opensearch_heap_mb=SMALL_HEAP_MB))


@pytest.fixture(scope="module")
def three_standbys(shared_folder: Path) -> Iterator[Stack]:
    """PostgreSQL and three standbys that stream from it. Of one worker: a killed server is gone only when its parent took it away."""
    stack = _up(Stack(shared_folder / f"three-{secrets.token_hex(4)}", kafka=False, standbys=3))
    yield stack
    stack.destroy()


@pytest.fixture(scope="session")
def migrated_template(postgres_stack: Stack, shared_folder: Path) -> str:
    """Name of a database with our schema, to be copied."""
    from eventstore.migrate import migrate

    with (shared_folder / "template").open("a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        made.seek(0)
        if not made.read():
            postgres_stack.postgres.create_database(TEMPLATE)
            migrate(postgres_stack.postgres_dsn(MIGRATOR, TEMPLATE))
            made.write(TEMPLATE)
    return TEMPLATE


@pytest.fixture
def database(postgres_stack: Stack, migrated_template: str) -> Iterator[Database]:
    """A migrated database that no other test sees."""
    with _database(postgres_stack, migrated_template) as made:
        yield made


@pytest.fixture
def empty_database(postgres_stack: Stack) -> Iterator[Database]:
    """A database without a schema that no other test sees."""
    with _database(postgres_stack, "template0") as made:
        yield made


@pytest.fixture
def topic_prefix() -> str:
    """What begins the names of topics and groups of one test."""
    return f"test-{secrets.token_hex(6)}-"


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """A folder of one test that the servers' user can enter, other than tmp_path; a run that was killed leaves none of its servers."""
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}own-", ignore_cleanup_errors=True) as root:
        folder = Path(root)
        folder.chmod(0o711)
        with (folder / "users").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_SH)
            yield folder


@pytest.fixture
def own_stack(own_folder: Path) -> Iterator[Callable[..., Stack]]:
    """Makes stacks of one test: arguments as of Stack. The servers run when it returns."""
    made: list[Stack] = []

    def make(**shape: int) -> Stack:
        made.append(Stack(own_folder / str(len(made)), **shape))  # type: ignore[arg-type]  # bools among them
        return _up(made[-1])

    yield make
    for stack in made:
        stack.destroy()


def _up(stack: Stack) -> Stack:
    for server in stack.servers.values():
        server.environment["JDK_JAVA_OPTIONS"] = QUICK
    try:
        stack.up()
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    return stack


@contextmanager
def _database(stack: Stack, template: str) -> Iterator[Database]:
    name = f"test_{secrets.token_hex(6)}"
    stack.postgres.create_database(name, template)
    yield Database(stack, name)
    with stack.postgres.superuser() as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no living process uses the stacks in *folder*."""
    with (folder / "users").open("a") as users:
        yield _locked_alone(users)


def _locked_alone(users: IO[str]) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _take_away(folder: Path) -> None:
    """Stop what runs in *folder* and remove it."""
    for state in folder.glob("*/stack.json"):
        Stack.open(state.parent).destroy()
    shutil.rmtree(folder, ignore_errors=True)
