"""`outcry stack`: what a person types, sees, and gets as an exit code."""

from __future__ import annotations

import json
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest

from adapters.cli.app import run
from adapters.cli.output import NO, USAGE
from adapters.settings import load
from adapters.stack.stack import Stack


class Ran:
    """`outcry stack` with these arguments."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.code = run(["stack", *arguments, "--stack", str(folder)])
        self.out, self.err = capfd.readouterr()

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        answer: dict[str, Any] = json.loads(self.out)
        return answer


def test_a_stack_is_made_looked_at_mended_and_stopped(own_folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """All of the commands, in the order in which a person meets them."""
    folder = own_folder / "stack"
    made = Ran(folder, capfd, "up", "--partitions", "2")
    assert made.code == 0
    assert made.err.splitlines()[-1].startswith("postgres: starting at 127.0.0.1:")
    assert "outcry serve" in made.out
    assert f"export OUTCRY_STACK={folder}" in made.out
    try:
        status = Ran(folder, capfd, "status", "--json")
        assert (status.code, [server["state"] for server in status.json["servers"]]) == (0, ["serves", "serves", "serves"])

        Stack.open(folder).servers["kafka-1"].kill()
        died = Ran(folder, capfd, "status", "--json")
        states = {server["server"]: server["state"] for server in died.json["servers"]}
        assert (died.code, states) == (NO, {"postgres": "serves", "kafka-1": "died", "redis": "serves"})

        again = Ran(folder, capfd, "up", "--json")
        assert (again.code, again.json["ok"]) == (0, True)
        assert again.err.splitlines() == [f"kafka-1: starting at {Stack.open(folder).servers['kafka-1'].address}"]

        logs = Ran(folder, capfd, "logs", "postgres", "--lines", "1000", "--json")
        assert any("ready to accept connections" in line for line in logs.json["postgres"]["lines"])
    finally:
        stopped = Ran(folder, capfd, "down", "--json")
    assert (stopped.code, stopped.json["stopped"]) == (0, ["postgres", "kafka-1", "redis"])
    after = Ran(folder, capfd, "status", "--json")
    assert (after.code, {server["state"] for server in after.json["servers"]}) == (NO, {"stopped"})


def test_nginx_is_shown_with_its_gateways_and_whom_to_trust_and_takes_another_while_it_runs(
    own_folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ports of gateways stay what they were: those that run go on."""
    folder = own_folder / "stack"
    monkeypatch.setattr(Stack, "__init__", partialmethod(Stack.__init__, postgres=False, kafka=False))
    made = Ran(folder, capfd, "up", "--with", "nginx")
    try:
        assert (made.code, f"curl --cacert {folder}/authority.pem https://127.0.0.1:" in made.out) == (0, True)
        before = load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(folder)})
        assert (len(before.gateways), before.proxies) == (2, "127.0.0.1")
        running = Stack.open(folder).nginx.process

        assert Ran(folder, capfd, "up", "--gateways", "3").code == 0
        after = load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(folder)})
        assert (len(after.gateways), after.gateways[:2]) == (3, before.gateways)
        assert Stack.open(folder).nginx.process == running, "it goes on"
        assert str(after.gateways[2].ws) in Stack.open(folder).nginx.configuration.read_text()
        (shown,) = Ran(folder, capfd, "status", "--json").json["servers"]
        assert (shown["state"], shown["role"]) == ("serves", f"3 gateways, --cacert {folder}/authority.pem")
    finally:
        Stack.open(folder).destroy()


@pytest.mark.parametrize("number", ["0", "17", "two"])
def test_a_number_of_gateways_that_cannot_be_is_refused_and_nothing_is_made(
    number: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ran = Ran(tmp_path, capfd, "up", "--gateways", number)
    assert (ran.code, list(tmp_path.iterdir())) == (USAGE, [])
    assert "--gateways" in ran.err


@pytest.mark.parametrize("command", ["down", "status", "logs"])
def test_where_there_is_no_stack_it_says_how_to_make_one(command: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = Ran(tmp_path, capfd, command)
    assert ran.code == USAGE
    assert ran.err == f"outcry: no stack in {tmp_path}; make one with `outcry stack up`, or name its folder with --stack\n"
    assert list(tmp_path.iterdir()) == []


def test_synchronous_without_a_standby_is_refused_and_nothing_is_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = Ran(tmp_path, capfd, "up", "--synchronous")
    assert (ran.code, list(tmp_path.iterdir())) == (USAGE, [])
    assert "--standby" in ran.err


def test_a_server_that_there_is_not_is_refused_and_nothing_is_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    ran = Ran(tmp_path, capfd, "up", "--with", "redis,teleprinter")
    assert (ran.code, list(tmp_path.iterdir())) == (USAGE, [])
    assert "no server 'teleprinter'; there are redis, opensearch, nginx, all, none" in ran.err


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ((), {"redis"}),
        (("--with", "none"), set()),
        (("--with", "opensearch"), {"opensearch"}),
        (("--with", "nginx"), {"nginx"}),
        (("--with", "all"), {"redis", "opensearch", "nginx"}),
    ],
)
def test_what_else_is_had_is_said_with_with(
    given: tuple[str, ...], there: set[str], own_folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Redis unless told: it takes next to nothing. OpenSearch takes more memory than all else together, so only who asks has it."""
    made: list[Stack] = []
    monkeypatch.setattr(Stack, "up", lambda stack: made.append(stack))  # noqa: PLW0108 - only a function becomes a method
    Ran(own_folder / "stack", capfd, "up", *given)
    assert set(made[0].servers) - {"postgres", "kafka-1"} == there


def test_what_is_installed_is_named_with_its_place(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["stack", "install", "postgres", "--json"]) == 0
    assert Path(json.loads(capfd.readouterr().out)["postgres"], "initdb").exists()
    assert run(["stack", "install", "teleprinter"]) == USAGE
    assert "there are postgres, kafka, redis, opensearch, nginx, faketime, eatmydata" in capfd.readouterr().err
