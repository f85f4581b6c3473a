"""The README is a promise: every command in it is run here, in its order, and every file it names is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from adapters.stack.stack import Stack
from tests.conftest import DATA, REPOSITORY

README = (REPOSITORY / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", "\n".join(re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)), re.MULTILINE)
MAKE = [command for command in COMMANDS if command.startswith("make ")]


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A line of the README, as a shell runs it."""
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280)


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
    lines = [line for line in COMMANDS if line not in others and not line.startswith("export ") and (itch.exists() or "aapl" not in line)]
    assert len(lines) > 10
    for line in lines:
        ran = run(line, tmp_path, environment_of(tmp_path))
        assert ran.returncode == 0, f"$ {line}\n{ran.stdout}{ran.stderr}"


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
    """`make test` is what runs this; the others would run for minutes: their recipes are shown instead, and `outcry demo` is run below."""
    shown = run(f"{command} --dry-run --always-make", REPOSITORY, dict(os.environ))
    assert shown.returncode == 0, shown.stderr


def test_make_run_runs_the_demo_and_the_demo_runs(tmp_path: Path) -> None:
    shown = run("make run --dry-run --no-print-directory", REPOSITORY, dict(os.environ))
    assert shown.stdout.splitlines()[-1].endswith("outcry demo")
    script = Path(sys.executable).parent / "outcry"
    ran = run(f"{script} demo --commands 20000", tmp_path, os.environ | {"TMPDIR": str(tmp_path)})
    assert ran.returncode == 0, ran.stderr
    assert "All three are one state" in ran.stdout


def test_ci_runs_make_test_and_nothing_else() -> None:
    assert (REPOSITORY / ".ci" / "run").read_text().splitlines()[1:] == ['cd "$(dirname "$0")/.." && exec make test </dev/null']


def test_every_file_that_the_readme_links_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert links
    assert [link for link in links if not (REPOSITORY / link).exists()] == []
