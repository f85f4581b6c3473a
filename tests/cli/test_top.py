"""`outcry top` as a person and as a program see it: over real workers that are stopped and killed meanwhile."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Outcry
from tests.cli.screen import LEAVES, Screen
from tests.conftest import REPOSITORY
from tests.waiting import eventually

Start = Callable[[str, int], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the worker of a name and partition; returns once it has announced itself."""
    started = []

    def worker(name: str, partition: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-m", "tests.cli.worker", str(tmp_path), name, str(partition)], cwd=REPOSITORY)
        started.append(process)
        eventually(lambda: process.poll() is not None or (tmp_path / "workers" / f"{name}.json").exists())
        assert process.poll() is None
        return process

    yield worker
    for process in started:
        process.kill()
        process.wait()


def watching(folder: Path) -> tuple[str, ...]:
    return ("top", "--stack", str(folder), "--every", "0.2")


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Screen]:
    opened = Screen(*watching(tmp_path))
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
    narrow = Screen(*watching(tmp_path), columns=80)
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
