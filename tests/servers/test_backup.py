"""Backup and restore of a record in PostgreSQL: to the end, to any moment, verified by chain and state; and what cannot be restored."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.stack.stack import Stack
from domain import verbs as v
from domain.partition import Partition
from eventstore import backup
from eventstore.blocks import Block, after, seal
from eventstore.memory import MemorySnapshots
from eventstore.migrate import steps
from eventstore.postgres import PostgresLog
from replay import travel
from tests import market
from tests.waiting import PATIENCE_S, eventually

OwnStack = Callable[..., Stack]
REPOSITORY = Path(__file__).parents[2]
OUTCRY = (sys.executable, "-c", "from adapters.cli.app import main; main()")


@pytest.fixture
def stack(own_stack: OwnStack) -> Stack:
    return own_stack(kafka=False)


@pytest.fixture
def folder(stack: Stack) -> Path:
    """For backups and restored servers: somewhere the server's user can reach."""
    place = stack.folder.parent / "backups"
    place.mkdir()
    place.chmod(0o711)
    return place


class Trading:
    """A partition that trades: every call commits one block."""

    def __init__(self, log: PostgresLog) -> None:
        self._log, self._head, self._partition = log, log.claim(1), Partition(1)
        self.states: list[bytes] = []  # state hash after block n, at n - 1
        self.block(
            market.list_instrument(1),
            market.set_state(v.OPEN),
            market.open_account(1),
            market.deposit(1, market.BASE, 10**9),
            market.deposit(1, market.QUOTE, 10**9),
        )

    def block(self, *rows: bytes) -> Block:
        rows = rows or (market.buy(1, 1, 100), market.sell(1, 1, 100 + len(self.states)))
        time_ns = time.time_ns()
        commands = b"".join(market.with_word(row, v.RECEIVED_NS, time_ns) for row in rows)
        block = seal(self._head, commands, self._partition.execute(commands), self._partition.time_ns)
        self._log.append(block)
        self._head = after(block)
        self.states.append(self._partition.state_hash())
        return block


@pytest.fixture
def trading(stack: Stack) -> Iterator[Trading]:
    with closing(PostgresLog(stack.postgres_dsn())) as log:
        yield Trading(log)


def outcry(stack: Stack | None, *arguments: str | Path, exit_code: int = 0) -> dict[str, Any]:
    """The answer of a command line on *stack*."""
    done = subprocess.run(
        [*OUTCRY, *map(str, arguments), "--json"],
        cwd=REPOSITORY,
        env=environment(stack) if stack else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def environment(stack: Stack) -> dict[str, str]:
    return os.environ | {"OUTCRY_STACK": str(stack.folder)}


@contextmanager
def following(stack: Stack, folder: Path) -> Iterator[None]:
    """`outcry backup --follow` in a terminal of its own, from its first copy on until ctrl-C."""
    with subprocess.Popen(
        [*OUTCRY, "backup", str(folder), "--follow"],
        cwd=REPOSITORY,
        env=environment(stack),
        stderr=subprocess.PIPE,
    ) as follower:
        assert follower.stderr
        said = iter(follower.stderr.readline, b"")  # by PostgreSQL's own program, too: it tries again when the server is busy
        assert any(b"following" in line for line in said)
        yield
        follower.send_signal(signal.SIGINT)
        assert follower.wait(PATIENCE_S) == 0


def state_of(answer: dict[str, Any]) -> tuple[int, bytes]:
    (found,) = answer["partitions"]
    assert found["ok"]
    assert answer["missing"] == []
    return found["blocks"], bytes.fromhex(found["state_hash"])


def test_a_copy_leads_back_to_the_moment_it_was_finished(stack: Stack, trading: Trading, folder: Path) -> None:
    """With the chain whole and the state that this chain leads to."""
    for _ in range(3):
        trading.block()
    assert outcry(stack, "migrate") == {"applied": [], "version": len(steps())}  # `stack up` did it
    outcry(stack, "backup", folder / "backup")
    trading.block()
    answer = outcry(stack, "restore", folder / "backup", "--into", folder / "restored")
    assert state_of(answer) == (4, trading.states[3])

    # And a copy that lacks what it promised is told: files of two backups were mixed, say, each with a whole chain.
    (record,) = (folder / "backup").glob("base/*/record.json")
    promised = json.loads(record.read_text())
    promised["chains"]["1"]["hash"] = "00" * 32
    record.write_text(json.dumps(promised))
    answer = outcry(stack, "restore", folder / "backup", "--into", folder / "other", exit_code=1)
    assert answer["missing"] == [f"partition 1: block 4 with hash {'00' * 32}"]


def test_with_the_log_after_it_it_leads_to_any_moment(stack: Stack, trading: Trading, folder: Path) -> None:
    """Between two blocks, and to the last one that was committed while somebody followed."""
    with following(stack, folder / "backup"):
        trading.block()
        trading.block()
        time.sleep(0.05)
        moment = datetime.now(UTC).isoformat()
        time.sleep(0.05)
        trading.block()
        last = trading.block()
        wait_received(stack)
    then = outcry(stack, "restore", folder / "backup", "--into", folder / "then", "--to-time", moment)
    assert state_of(then) == (3, trading.states[2])
    end = outcry(stack, "restore", folder / "backup", "--into", folder / "end")
    assert state_of(end) == (last.seq, trading.states[-1])
    too_late = outcry(stack, "restore", folder / "backup", "--into", folder / "late", "--to-time", "2999-01-01T00:00:00", exit_code=2)
    assert "the log that was received ends before 2999-01-01 00:00:00+00:00; right would be an earlier time, or none" in too_late["error"]
    assert outcry(stack, "backup", folder / "backup", "--forget") == {"forgotten": "outcry_backup"}


def wait_received(stack: Stack) -> None:
    """Until the follower has all there is."""
    with stack.postgres.superuser() as superuser:
        behind = "SELECT FROM pg_stat_replication WHERE application_name = 'pg_receivewal' AND flush_lsn >= pg_current_wal_flush_lsn()"
        eventually(lambda: superuser.execute(behind).fetchone() is not None)


def test_a_restored_server_is_one_that_can_be_traded_on(stack: Stack, trading: Trading, folder: Path) -> None:
    """The folder takes the place of the one that was lost."""
    trading.block()
    outcry(stack, "backup", folder / "backup")
    outcry(stack, "restore", folder / "backup", "--into", folder / "restored")
    stack.down()
    stack.postgres.data.rename(folder / "lost")
    (folder / "restored").rename(stack.postgres.data)
    stack.up()
    with closing(PostgresLog(stack.postgres_dsn())) as log:
        assert travel.at(log, MemorySnapshots(), 1).partition.state_hash() == trading.states[1]
        log.append(seal(log.claim(1), market.buy(1, 1, 1), Partition(1).execute(market.buy(1, 1, 1)), time.time_ns()))


def test_what_cannot_be_restored_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    """Nothing there, a time before the first copy, a folder that is in use."""
    (tmp_path / "empty").mkdir()
    nothing = outcry(None, "restore", tmp_path / "empty", "--into", tmp_path / "restored", exit_code=2)
    assert nothing["error"].startswith(f"no backup in {tmp_path}/empty; make one with `outcry backup {tmp_path}/empty`")
    copy = tmp_path / "backup" / "base" / "20261125T140301Z"
    copy.mkdir(parents=True)
    promised = backup.Copied(datetime(2026, 11, 25, 14, 3, 2, tzinfo=UTC), "cluster", "outcry", {})
    (copy / "record.json").write_bytes(msgspec.json.encode(promised))
    early = outcry(None, "restore", tmp_path / "backup", "--into", tmp_path / "restored", "--to-time", "2026-11-25T14:03:01.5", exit_code=2)
    assert "2026-11-25 14:03:01.500000+00:00 is before the first backup in" in early["error"]
    assert "was finished; right would be 2026-11-25T14:03:02+00:00 or later" in early["error"]
    there = outcry(None, "restore", tmp_path / "backup", "--into", tmp_path / "empty", exit_code=2)
    assert f"{tmp_path}/empty is there already; right would be a folder that is not" in there["error"]
    assert not (tmp_path / "restored").exists()


def test_the_command_line_says_which_server_is_missing(tmp_path: Path) -> None:
    """No settings, no stack: wrong use, and what would be right."""
    for command in (["migrate"], ["backup", tmp_path / "backup"]):
        refused = outcry(None, *command, "--stack", tmp_path / "no-stack", exit_code=2)
        assert "postgres is not set; right would be a connection string in OUTCRY_POSTGRES or the file of settings" in refused["error"]
    assert list(tmp_path.iterdir()) == []


def test_passwords_stand_in_no_command_line() -> None:
    """Anybody on the machine can read those."""
    command, its_environment = backup._command("pg_basebackup", [], "host=127.0.0.1 password=hunter2")
    assert not any("hunter2" in word for word in command)
    assert its_environment["PGPASSWORD"] == "hunter2"
