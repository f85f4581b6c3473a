"""The README is a promise: every command in it is run here, in its order, and every file it names is there."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import pytest

from adapters.stack.stack import Stack
from tests.cli.venue import Venue
from tests.conftest import DATA, REPOSITORY
from tests.waiting import PATIENCE_S, eventually

README = (REPOSITORY / "README.md").read_text()


def commands_of(text: str) -> list[str]:
    """What is typed in it."""
    return re.findall(r"^\$ (.+)$", "\n".join(re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE)), re.MULTILINE)


TOUR, *OTHERS = README.split("\n## ")[1:]
COMMANDS = commands_of(README)
MAKE = [command for command in COMMANDS if command.startswith("make ")]


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A line of the README, as a shell runs it."""
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280)


def type_all(lines: list[str], folder: Path, environment: dict[str, str]) -> None:
    """One after the other, in one shell: each works."""
    ran = run("set -ex\n" + "\n".join(lines), folder, environment)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"


STACK = [command for command in COMMANDS if "stack" in command.split() or command.startswith("outcry top")]
DRILLS = [command for command in COMMANDS if command.startswith("outcry drill")]


def environment_of(folder: Path) -> dict[str, str]:
    """A reader's: nothing of ours is set but where things go."""
    return os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OUTCRY_STORE": str(folder / "store"),
        "XDG_CONFIG_HOME": str(folder),
    }


def test_every_line_of_a_reader_works_in_the_order_in_which_he_reads_them(tmp_path: Path) -> None:
    """In a fresh folder with an empty store; a line that needs a file of a real market is left out where there is none."""
    itch = DATA / "itch" / "aapl_2020-01-30_first_10k.itch50"
    if itch.exists():
        shutil.copy(itch, tmp_path)
    others = (*MAKE, *STACK, *DRILLS)
    lines = [line for line in commands_of("\n## ".join(OTHERS)) if line not in others and (itch.exists() or "aapl" not in line)]
    assert len(lines) > 10
    type_all(lines, tmp_path, environment_of(tmp_path))


def test_every_line_of_the_tour_works_at_the_venue_that_make_run_opens(tmp_path: Path) -> None:
    """Where its ports are is another matter here: others may have those of the README. The robot gets ctrl-C once it has traded."""
    venue = Venue(tmp_path / "venue")
    lines = [line for line in commands_of(TOUR.replace("http://127.0.0.1:8080", venue.rest)) if line not in MAKE]
    exports, (robot,) = ([line for line in lines if line.startswith(word)] for word in ("export ", "outcry bot "))
    environment = environment_of(tmp_path)
    try:
        eventually(lambda: '"bids":[{' in httpx.get(f"{venue.rest}/v1/instruments/ACME/book", timeout=PATIENCE_S).text, lambda: venue.said)
        type_all(lines[: lines.index(robot)], tmp_path, environment)
        trading = subprocess.Popen(["bash", "-c", "\n".join([*exports, f"exec {robot}"])], cwd=tmp_path, env=environment)
        eventually(lambda: len(httpx.get(f"{venue.rest}/v1/instruments/ACME/trades", timeout=PATIENCE_S).json()["trades"]) > 1)
        trading.send_signal(signal.SIGINT)
        assert trading.wait(PATIENCE_S) == 0
        type_all([*exports, *lines[lines.index(robot) + 1 :]], tmp_path, environment)
    finally:
        venue.close()


def test_every_line_about_real_servers_works_in_its_order(full_stack: Stack, tmp_path: Path) -> None:
    """On servers of its own; that they can be had on this machine is what the fixture knows. Drills are tried in tests/drills/."""
    with tempfile.TemporaryDirectory(prefix="outcry-readme-") as folder:
        Path(folder).chmod(0o711)
        environment = environment_of(tmp_path) | {"OUTCRY_STACK": f"{folder}/stack"}
        behind = []
        try:
            for line in STACK:
                if line.endswith("&"):
                    behind.append(subprocess.Popen(line.removesuffix("&").split(), env=environment, stderr=subprocess.DEVNULL))
                    continue
                ran = run(line, tmp_path, environment)
                assert ran.returncode == 0, f"$ {line}\n{ran.stdout}{ran.stderr}"
        finally:
            for process in behind:
                process.terminate()
                process.wait(60)
            run("outcry stack down", tmp_path, environment)


@pytest.mark.parametrize("command", MAKE)
def test_every_make_command_is_one_that_the_makefile_has(command: str) -> None:
    """`make test` is what runs this; the others would run for minutes: their recipes are shown instead."""
    shown = run(f"{command} --dry-run --always-make", REPOSITORY, dict(os.environ))
    assert shown.returncode == 0, shown.stderr


@pytest.mark.parametrize(("command", "runs"), [("make run", "outcry demo --store 'venue'"), ("make run ONCE=1", "outcry demo --once")])
def test_make_run_is_the_demonstration_that_tests_cli_tries(command: str, runs: str) -> None:
    shown = run(f"{command} --dry-run --no-print-directory", REPOSITORY, dict(os.environ))
    assert shown.stdout.splitlines()[-1].endswith(runs)


def test_ci_runs_make_test_and_nothing_else() -> None:
    assert (REPOSITORY / ".ci" / "run").read_text().splitlines()[1:] == ['cd "$(dirname "$0")/.." && exec make test </dev/null']


def test_every_file_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []


def test_what_a_venue_runs_on_is_part_of_what_is_locked() -> None:
    """Same versions, same hashes, so that whoever installs the rest later installs nothing anew."""
    runs, everything = ((REPOSITORY / f"requirements{which}.lock").read_text() for which in ("-run", ""))
    of_each = re.compile(r"^(?=\S)", re.MULTILINE)
    assert set(of_each.split(runs)) < set(of_each.split(everything))
