"""A stack of real servers: what starts, what comes back, what is left alone, and what is said when it cannot be."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest

from adapters.settings import load
from adapters.stack import install, loopback, process
from adapters.stack.errors import BadStack, NotInstalled, StackFailed
from adapters.stack.install import Part, need
from adapters.stack.postgres import MIGRATOR, ROLES, WRITER
from adapters.stack.stack import Stack
from tests.servers.fixtures import Database
from tests.waiting import eventually

Make = Callable[..., Stack]
ROLES_OF_CLIENTS = [role for role in ROLES if role != "outcry_replicator"]


def pids(stack: Stack) -> dict[str, int | None]:
    """The process of each server."""
    return {name: server.pid for name, server in stack.servers.items()}


def written(dsn: str) -> int:
    """Rows of a table after one more was written."""
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (line text)")
        connection.execute("INSERT INTO note VALUES ('one more')")
        (rows,) = connection.execute("SELECT count(*) FROM note").fetchone() or (0,)
    return int(rows)


def test_each_test_has_a_database_of_its_own(empty_database: Database) -> None:
    with psycopg.connect(empty_database.dsn(MIGRATOR)) as connection:
        assert connection.execute("SELECT current_database(), current_user").fetchone() == (empty_database.name, MIGRATOR)


@pytest.mark.parametrize("role", ROLES_OF_CLIENTS)
def test_a_role_comes_in_with_its_password_only(postgres_stack: Stack, role: str) -> None:
    right = postgres_stack.postgres_dsn(role)
    with psycopg.connect(right) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (role,)
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(right, password="a guess")


@pytest.mark.parametrize("role", ["postgres", "outcry_replicator"])
def test_nobody_else_comes_in_by_the_port(postgres_stack: Stack, role: str) -> None:
    """The superuser has the socket of the folder, the standby has replication, and neither has more."""
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf|no password"):
        psycopg.connect(postgres_stack.postgres_dsn(role))


def test_no_password_stands_where_others_can_read_it(postgres_stack: Stack) -> None:
    """Neither in a command line, nor in a log, nor in a file that is open to others."""
    passfile = postgres_stack.folder / "passwords"
    passwords = [line.rpartition(":")[2] for line in passfile.read_text().splitlines()]
    assert len(passwords) == len(ROLES)
    assert passfile.stat().st_mode & 0o077 == 0
    readable = [Path("/proc", str(pid), "cmdline").read_bytes() for pid in pids(postgres_stack).values()]
    for folder, _, names in os.walk(postgres_stack.folder):
        for file in (Path(folder, name) for name in names):
            with suppress(FileNotFoundError):  # servers make files and take them away meanwhile, and folders
                if file.is_file() and file.stat().st_mode & 0o077:
                    readable.append(file.read_bytes())
    assert len(readable) > len(postgres_stack.servers)
    assert not [text for text in readable for password in passwords if password.encode() in text]


def test_the_servers_listen_on_loopback_only(full_stack: Stack) -> None:
    ports = {server.port for server in full_stack.servers.values()}
    listening = "0A"
    rows = [line.split() for file in ("tcp", "tcp6") for line in Path("/proc/net", file).read_text().splitlines()[1:]]
    addresses = [row[1].split(":") for row in rows if row[3] == listening]
    ours = {address for address, port in addresses if int(port, 16) in ports}
    assert ours <= {"0100007F", "0000000000000000FFFF00000100007F"}, "127.0.0.1, as IPv4 and as IPv6 write it"
    assert ours


def test_up_brings_back_what_was_killed_and_leaves_the_rest_alone(own_stack: Make) -> None:
    """And nothing that was committed is gone."""
    stack = own_stack(standby=True, kafka=False)
    before = pids(stack)
    assert written(stack.postgres_dsn(MIGRATOR)) == 1
    stack.up()
    assert pids(stack) == before
    stack.servers["postgres"].kill()
    assert stack.servers["postgres"].died
    stack.up()
    assert pids(stack)["standby"] == before["standby"]
    assert pids(stack)["postgres"] not in {None, before["postgres"]}
    assert written(stack.postgres_dsn(MIGRATOR)) == 2


def test_a_stack_outlives_whoever_started_it_and_anybody_can_stop_it(own_stack: Make) -> None:
    stack = own_stack(kafka=False)
    stack.down()
    starts = f"from pathlib import Path; from adapters.stack.stack import Stack; Stack.open(Path({str(stack.folder)!r})).up()"
    subprocess.run([sys.executable, "-c", starts], check=True)
    assert stack.servers["postgres"].ready()
    Stack.open(stack.folder).down()
    assert pids(stack) == {"postgres": None}
    assert not stack.servers["postgres"].died


def test_down_stops_only_what_it_started(own_stack: Make) -> None:
    one, other = own_stack(kafka=False), own_stack(kafka=False)
    one.down()
    assert pids(one) == {"postgres": None}
    assert other.servers["postgres"].ready()


def test_a_process_that_has_the_number_of_a_dead_server_is_not_touched(own_stack: Make) -> None:
    """Numbers are given out again: start time tells the two apart."""
    stack = own_stack(kafka=False)
    server = stack.servers["postgres"]
    server.kill()
    with subprocess.Popen(["sleep", "60"]) as other:
        assert server.process
        process.save(server.pid_file, process.Process(other.pid, server.process.started))
        server.kill()
        stack.down()
        assert other.poll() is None
        other.kill()


def test_a_port_that_was_taken_meanwhile_is_replaced(own_stack: Make) -> None:
    stack = own_stack(kafka=False)
    stack.down()
    taken = stack.servers["postgres"].port
    with closing(socket.create_server((loopback.HOST, taken))):
        stack.up()
        assert stack.servers["postgres"].port != taken
        assert written(stack.postgres_dsn(MIGRATOR)) == 1


def test_the_settings_that_it_writes_are_those_of_the_product(full_stack: Stack) -> None:
    settings = load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(full_stack.folder)})
    assert (settings.postgres, settings.kafka) == (full_stack.postgres_dsn(WRITER), full_stack.kafka_bootstrap)
    with psycopg.connect(settings.postgres) as connection:
        assert connection.execute("SELECT current_user, id::text FROM outcry.cluster").fetchone() == (WRITER, settings.cluster)


def test_a_synchronous_commit_waits_for_the_standby(own_stack: Make) -> None:
    """Negative control: the same commit to the same stopped standby does not wait when it need not."""
    stack = own_stack(standby=True, synchronous=True, kafka=False)
    standby = stack.servers["standby"]
    written(stack.postgres_dsn(MIGRATOR))
    standby.kill(signal.SIGSTOP)
    for child in _children(standby.pid):
        os.kill(child, signal.SIGSTOP)
    commit = threading.Thread(target=written, args=[stack.postgres_dsn(MIGRATOR)])
    commit.start()
    commit.join(1.0)
    assert commit.is_alive(), "nobody but the primary has it"
    assert written(stack.postgres_dsn(MIGRATOR) + " options='-c synchronous_commit=local'") == 2
    for child in _children(standby.pid):
        os.kill(child, signal.SIGCONT)
    standby.kill(signal.SIGCONT)
    commit.join(30)
    assert not commit.is_alive()


def _children(pid: int | None) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_promoted_standby_has_every_synchronous_commit_and_the_old_primary_returns_as_its_standby(own_stack: Make) -> None:
    """What the old primary had is set aside, not deleted: it may be the only copy of something."""
    stack = own_stack(standby=True, synchronous=True, kafka=False)
    assert written(stack.postgres_dsn(MIGRATOR)) == 1
    with pytest.raises(BadStack, match="two primaries"):
        stack.promote()
    stack.servers["postgres"].kill()
    stack.promote()
    assert stack.postgres.name == "standby"
    assert written(stack.postgres_dsn(MIGRATOR) + " options='-c synchronous_commit=local'") == 2
    stack.up()
    assert {name: server.role for name, server in stack.servers.items()} == {"standby": "primary", "postgres": "standby"}
    assert written(Stack.open(stack.folder).postgres_dsn(MIGRATOR)) == 3
    with psycopg.connect(stack.standby_dsn(MIGRATOR)) as connection:
        assert connection.execute("SELECT count(*), pg_is_in_recovery() FROM note").fetchone() == (3, True)
    assert len(list((stack.folder / "postgres").glob("data-until-*"))) == 1


def test_of_several_standbys_the_one_that_has_most_is_promoted_and_the_others_follow_it(own_stack: Make) -> None:
    stack = own_stack(standbys=2, kafka=False)
    standby = stack.servers["standby"]
    assert written(stack.postgres_dsn(MIGRATOR)) == 1
    standby.kill()
    assert written(stack.postgres_dsn(MIGRATOR)) == 2
    stack.postgres.wait_streamed_by(stack.servers["standby2"])  # type: ignore[arg-type]  # a Postgres
    stack.postgres.stop()
    standby.start()
    stack.promote()
    assert stack.postgres.name == "standby2"
    stack.up()
    assert {name: server.role for name, server in stack.servers.items()} == {
        "standby2": "primary",
        "postgres": "standby",
        "standby": "standby",
    }
    assert written(stack.postgres_dsn(MIGRATOR)) == 3
    for dsn in stack.standby_dsns(MIGRATOR):
        with psycopg.connect(dsn) as connection:
            eventually(lambda connection=connection: connection.execute("SELECT count(*) FROM note").fetchone() == (3,))  # type: ignore[misc]


def test_a_stack_of_an_earlier_release_has_the_standby_that_it_had(tmp_path: Path) -> None:
    """Which knew one, or none, and wrote down whether."""
    for had, names in ((True, ["postgres", "standby"]), (False, ["postgres"])):
        (tmp_path / "stack.json").write_text(
            json.dumps({"shape": {"standby": had, "kafka": False}, "ports": {"postgres": 1, "standby": 2}})
        )
        assert list(Stack.open(tmp_path).servers) == names
        more = Stack.open(tmp_path, standbys=3)
        assert list(more.servers) == ["postgres", "standby", "standby2", "standby3"]


def test_a_server_that_cannot_start_says_why(own_stack: Make) -> None:
    stack = own_stack(kafka=False)
    stack.down()
    stack.postgres.settings["shared_buffers"] = "a lot"
    with pytest.raises(StackFailed, match='invalid value for parameter "shared_buffers": "a lot"'):
        stack.up()
    del stack.postgres.settings["shared_buffers"]
    stack.up()


def test_what_an_interrupted_start_left_is_made_anew(own_stack: Make) -> None:
    stack = own_stack(kafka=False)
    stack.down()
    (stack.postgres.data / "PG_VERSION").unlink()
    stack.up()
    assert stack.postgres.ready()


@pytest.mark.parametrize(
    ("first", "then", "sentence"),
    [
        ({"kafka": False}, {"kafka": False, "partitions": 2}, "was made with partitions = 1, asked for are 2"),
        ({"kafka": False}, {"kafka": False, "synchronous": True}, "need a standby"),
    ],
)
def test_a_stack_that_cannot_be_is_refused(own_stack: Make, first: dict[str, int], then: dict[str, int], sentence: str) -> None:
    folder = own_stack(**first).folder
    with pytest.raises(BadStack, match=sentence):
        Stack(folder, **then)  # type: ignore[arg-type]  # bools among them


def test_a_folder_whose_file_is_none_of_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text('{"shape": 7}')
    with pytest.raises(BadStack, match=r"stack\.json: Expected `object`, got `int`"):
        Stack.open(tmp_path)


def test_a_folder_whose_sockets_would_have_too_long_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadStack, match="name a shorter folder"):
        Stack(tmp_path / ("x" * 100), kafka=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as somebody else")
def test_a_folder_that_the_servers_user_cannot_reach_is_refused_before_anything_starts(own_folder: Path) -> None:
    (own_folder / "closed").mkdir(0o700)
    stack = Stack(own_folder / "closed" / "stack")
    with pytest.raises(BadStack, match="cannot reach"):
        stack.up()
    assert set(pids(stack).values()) == {None}


def test_a_missing_program_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotInstalled, match="teleprinter is missing, and this machine has no apt-get"):
        need(Part("teleprinter", lambda: None, ("teleprinter",)))


def test_while_a_package_is_installed_nothing_of_it_is_started_and_what_somebody_said_of_that_before_stays(tmp_path: Path) -> None:
    """Debian's packages ask a file whether to start their services; it is there meanwhile, and only if there was none."""
    rule = tmp_path / "sbin" / "policy-rc.d"
    with install._there(rule, "#!/bin/sh\nexit 101\n", 0o755):
        assert subprocess.run([rule], check=False).returncode == 101
    assert not rule.exists()
    rule.write_text("somebody's own")
    with install._there(rule, "#!/bin/sh\nexit 101\n", 0o755):
        assert rule.read_text() == "somebody's own"
    assert rule.read_text() == "somebody's own"
