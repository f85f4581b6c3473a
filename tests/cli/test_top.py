"""`outcry top` as a person and as a program see it: over real workers that are stopped and killed meanwhile."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.cli.conftest import Outcry
from tests.conftest import REPOSITORY

PATIENCE_S = 30
ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
HOME = "\x1b[H"
LEAVES = "\x1b[?1049l"

Start = Callable[[str, int], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the worker of a name and partition; returns once it has announced itself."""
    started = []

    def worker(name: str, partition: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", "tests.cli.worker", str(tmp_path), name, str(partition)], cwd=REPOSITORY)
        started.append(process)
        deadline_s = time.monotonic() + PATIENCE_S
        while not (tmp_path / "workers" / f"{name}.json").exists():
            assert process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        return process

    yield worker
    for process in started:
        process.kill()
        process.wait()


class Screen:
    """`outcry top` in a terminal of *columns*; what it shows now."""

    def __init__(self, folder: Path, columns: int = 120) -> None:
        self._terminal, other = pty.openpty()
        ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from adapters.cli.app import main; main()", "top", "--stack", str(folder), "--every", "0.2"],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=REPOSITORY,
            env=environment | {"TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(other)
        self.raw = ""

    def shows(self, *parts: str) -> str:
        """Wait until one screen has all of *parts*; returns it, as text."""
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            for drawn in reversed(self.raw.split(HOME)[1:]):
                text = ANSI.sub("", drawn).replace("\r", "")
                if all(part in text for part in parts):
                    return text
            assert time.monotonic() < deadline_s, f"never shown: {parts}\n{ANSI.sub('', self.raw)[-3000:]}"
            self.raw = self.raw[-100_000:]
            self._read()

    def forget(self) -> None:
        """What was shown so far does not count any more."""
        self.raw = ""

    def ends(self, sent: int) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(sent)
        while self._read():
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self) -> bool:
        if not select.select([self._terminal], [], [], 1.0)[0]:
            return True
        try:
            self.raw += os.read(self._terminal, 65_536).decode(errors="replace")
        except OSError:  # the other side is closed
            return False
        return True

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._terminal)


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    opened = Screen(tmp_path)
    yield opened
    opened.close()


def test_a_person_sees_workers_come_stop_go_on_and_die(start: Start, screen: Screen) -> None:
    screen.shows("no worker has announced itself", "outcry serve --profile stack")
    one = start("one", 1)
    two = start("two", 2)
    shown = screen.shows("2 workers", "not ready: [partition 9] is away", "unknown_account")
    assert re.search(r"^ +1 +one +7 ", shown, re.MULTILINE), shown
    assert re.search(r"^ +2 +two +7 ", shown, re.MULTILINE), shown
    assert re.search(r"^ +3 +nobody ", shown, re.MULTILINE), "partition 3 is only followed"
    two.send_signal(signal.SIGSTOP)
    shown = screen.shows("1 worker, 1 gone", "gone: no answer within 1 s")
    assert re.search(r"^ +2 +nobody ", shown, re.MULTILINE), shown
    screen.forget()
    two.send_signal(signal.SIGCONT)
    screen.shows("2 workers", " two ")
    screen.forget()
    one.kill()
    one.wait()
    screen.shows(f"gone: process {one.pid} has ended", "not every partition has one owner")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_the_terminal_as_it_was(screen: Screen, sent: signal.Signals) -> None:
    screen.shows("outcry top")
    assert screen.ends(sent) == 0
    assert LEAVES in screen.raw
    assert "Traceback" not in screen.raw


def test_eighty_columns_are_enough(start: Start, tmp_path: Path) -> None:
    """All columns of the widest table, rates of millions included."""
    start("one", 1)
    narrow = Screen(tmp_path, columns=80)
    try:
        shown = narrow.shows("1 worker", " one ", "not ready")
    finally:
        narrow.close()
    for column in ("part", "owner", "epoch", "block", "cmd/s", "trades/s", "p50 ms", "p99 ms", "inbox", "relay", "bys", "lag", "state"):
        assert re.search(rf"\b{column}\b", shown), column
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_a_program_gets_one_object(start: Start, outcry: Outcry, tmp_path: Path) -> None:
    one = start("one", 1)
    ran = outcry("top", "--stack", tmp_path, "--json")
    assert (ran.code, ran.err) == (1, ""), "partition 2 is only followed"
    first, second = ran.json["partitions"]
    assert (first["owners"], first["epoch"], second["owners"], second["standbys"]) == (["one"], 7, [], ["one"])
    assert first["commands_per_s"] > 0
    assert first["trades_per_s"] == pytest.approx(first["commands_per_s"] * 50 / 101, rel=0.1)
    assert 0 < first["commit_p50_ms"] <= first["commit_p99_ms"]
    assert [each["rule"] for each in ran.json["refusals"]] == ["unknown_account"]
    assert [(each["worker"], each["pid"], each["gone"]) for each in ran.json["workers"]] == [("one", one.pid, "")]
    assert ran.json["well"] is False


def test_once_prints_one_screen(start: Start, outcry: Outcry, tmp_path: Path) -> None:
    start("one", 1)
    ran = outcry("top", "--stack", tmp_path, "--once", "--every", "0.3")
    assert ran.code == 1
    assert ran.out.startswith("outcry top")
    assert "nobody" in ran.out
    assert "\x1b" not in ran.out


def test_an_address_that_nobody_has_is_shown_as_gone(outcry: Outcry) -> None:
    ran = outcry("top", "127.0.0.1:1", "--json", "--every", "0.2")
    assert (ran.code, ran.json["partitions"], ran.json["well"]) == (1, [], False)
    assert [each["gone"] for each in ran.json["workers"]] == ["nobody listens there"]


@pytest.mark.parametrize("arguments", [("127.0.0.1",), ("--every", "0"), ("https://127.0.0.1:1",)])
def test_wrong_use_is_refused(outcry: Outcry, arguments: tuple[str, ...]) -> None:
    assert outcry("top", "--once", *arguments).code == 2


def test_without_any_worker_it_says_how_to_start_one(outcry: Outcry, tmp_path: Path) -> None:
    ran = outcry("top", "--once", "--stack", tmp_path)
    assert ran.code == 2
    assert f"no worker has announced itself in the stack's folder {tmp_path}; start one with `outcry serve --profile stack`" in ran.err
