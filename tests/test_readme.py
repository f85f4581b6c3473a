"""The README is a promise: every command in it is run here, in its order, and every file it names is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import DATA, REPOSITORY

README = (REPOSITORY / "README.md").read_text()
COMMANDS = re.findall(r"^\$ (.+)$", "\n".join(re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE)), re.MULTILINE)
MAKE = [command for command in COMMANDS if command.startswith("make ")]


def run(command: str, folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A line of the README, as a shell runs it."""
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280)


def test_every_line_of_a_reader_works_in_the_order_in_which_he_reads_them(tmp_path: Path) -> None:
    """In a fresh folder with an empty store; a line that needs a file of a real market is left out where there is none."""
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OUTCRY_STORE": str(tmp_path / "store"),
        "XDG_CONFIG_HOME": str(tmp_path),
    }
    itch = DATA / "itch" / "aapl_2020-01-30_first_10k.itch50"
    if itch.exists():
        shutil.copy(itch, tmp_path)
    lines = [line for line in COMMANDS if line not in MAKE and not line.startswith("export ") and (itch.exists() or "aapl" not in line)]
    assert len(lines) > 10
    for line in lines:
        ran = run(line, tmp_path, environment)
        assert ran.returncode == 0, f"$ {line}\n{ran.stdout}{ran.stderr}"


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
