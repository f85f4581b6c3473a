"""What holds for every command line: JSON, exit codes, errors, help, python -O."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import pytest

from adapters.cli import app
from adapters.cli.progress import block_progress, progress
from tests.cli.conftest import Outcry


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that does something, with the words that name it."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield path, command


LEAVES = dict(leaves(app.outcry))


def test_the_commands_are_those_that_the_documents_name() -> None:
    assert set(LEAVES) == {
        *((("feed", name)) for name in ("itch", "lobster", "simulate")),
        *((name,) for name in ("verify", "replay", "diff", "export", "order", "cancel", "book", "balance", "bench", "demo")),
        *((name,) for name in ("list", "state", "fees", "open", "deposit", "serve", "top", "migrate", "backup", "restore", "drill")),
        ("worker", "views"),
        *((name,) for name in ("archive", "query")),
        ("worker", "archive"),
        *(("worker", name) for name in ("alerts", "deliver", "analysis")),
        *(("alert", name) for name in ("list", "remove", "key", "watch", "dead")),
        *(("alert", "add", name) for name in ("price", "spread", "move", "volume", "halt", "fills", "balance")),
        ("analysis",),
        *((name,) for name in ("views", "rebuild", "search", "read", "readers")),
        *((name,) for name in ("watch", "gateway")),
        *(("bot", name) for name in ("mm", "taker")),
        *((("stack", name)) for name in ("install", "up", "down", "status", "logs")),
    }


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_has_help_and_json(outcry: Outcry, words: tuple[str, ...]) -> None:
    assert "--json" in outcry(*words, "--help").out
    assert LEAVES[words].help


def test_help_tells_every_exit_code(outcry: Outcry) -> None:
    told = outcry("--help")
    assert told.code == 0
    assert all(f"\n    {code}  " in told.out for code in (0, 1, 2, 3, 4))


@pytest.mark.parametrize("words", [words for words in LEAVES if words[0] in {"verify", "replay", "export", "book", "balance"}])
def test_without_a_record_reading_says_how_to_begin_one(outcry: Outcry, store: Path, words: tuple[str, ...]) -> None:
    argument = {"export": ("file",), "book": ("ACME",), "balance": ("alice",)}.get(words[0], ())
    refused = outcry(*words, *argument, "--json")
    assert (refused.code, refused.json["exit"]) == (2, 2)
    assert f"no record in {store}" in refused.json["error"]
    assert not store.exists(), "reading makes nothing"


@pytest.mark.parametrize("words", [(), ("feed",)])
def test_without_a_command_the_commands_are_shown(outcry: Outcry, words: tuple[str, ...]) -> None:
    told = outcry(*words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("Usage: outcry")
    assert told.err.count("Usage:") == 1


def test_an_unknown_command_or_option_is_wrong_use(outcry: Outcry) -> None:
    assert outcry("frobnicate").code == 2
    assert outcry("verify", "--frobnicate", "--json").json["exit"] == 2


def test_a_bad_setting_is_named_with_what_would_be_right(outcry: Outcry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTCRY_PARTITION", "many")
    refused = outcry("verify")
    assert refused.code == 2
    assert "OUTCRY_PARTITION: partition is 'many'; right would be a whole number" in refused.err


def test_a_file_that_is_no_record_is_the_worlds_failure(outcry: Outcry, store: Path) -> None:
    store.mkdir()
    (store / "record.sqlite").write_bytes(b"not a record at all" * 1000)
    failed = outcry("book", "ACME", "--json")
    assert (failed.code, failed.json["exit"]) == (3, 3)


def test_a_broken_feed_is_the_worlds_failure_and_says_where(outcry: Outcry, tmp_path: Path) -> None:
    (tmp_path / "day.itch50").write_bytes(b"\x00\x05hello")
    failed = outcry("feed", "itch", tmp_path / "day.itch50")
    assert failed.code == 3
    assert "message 1 at byte 0" in failed.err


def test_a_mistake_of_ours_says_so(outcry: Outcry, monkeypatch: pytest.MonkeyPatch) -> None:
    """An assert that fails is for us to mend: traceback on stderr, code 4, one object on stdout."""

    def broken(_folder: Path | None, **_given: object) -> None:
        raise AssertionError("what always holds does not")

    monkeypatch.setattr("adapters.cli.options.settings_of", broken)
    failed = outcry("verify", "--json")
    assert (failed.code, failed.json["exit"]) == (4, 4)
    assert "Traceback" in failed.err
    assert "what always holds does not" in failed.json["error"]


@pytest.mark.parametrize("way", ["option", "variable"])
def test_python_without_asserts_is_refused(way: str, tmp_path: Path) -> None:
    """-O strips the asserts of interpreted modules and leaves those of compiled ones: half of the market's safeguards."""
    option, variable = (["-O"], {}) if way == "option" else ([], {"PYTHONOPTIMIZE": "1"})
    command = [sys.executable, *option, "-c", "from adapters.cli.app import main; main()", "verify", "--json"]
    refused = subprocess.run(
        command, env=os.environ | variable | {"OUTCRY_STORE": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2
    assert "run without it" in refused.stderr
    assert '"exit":2' in refused.stdout


def test_help_imports_nothing_heavy() -> None:
    """Who asks for help waits for click and nothing else."""
    code = (
        "import sys; from adapters.cli.app import run; run(['--help']); "
        "print(*sorted(set(sys.modules) & {'numpy', 'pyarrow', 'msgspec', 'rich', 'sqlite3', 'domain.partition'}), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == ""


def test_a_worker_of_a_stack_imports_no_doors() -> None:
    """It opens none, and reading them is two thirds of what it takes to begin: whoever waits for a partition waits for that."""
    code = (
        "import sys; from adapters import serving, worker; from adapters.cli.app import run; "
        "serving.serve = lambda settings, opened: settings.profile; run(['serve', '--profile', 'stack', '--json']); "
        "print(*sorted(name for name in sys.modules if name.startswith(('adapters.doors', 'uvicorn', 'starlette'))), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert '"stack"' in ran.stdout
    assert ran.stderr.strip() == ""


def test_whoever_opens_a_long_record_for_writing_sees_how_far_it_is_read(
    outcry: Outcry, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without snapshots a writer begins with all of the record: of a feed, and of whoever trades by hand."""
    monkeypatch.setattr("adapters.cli.options.block_progress", partial(block_progress, quiet_s=1e-9))
    assert "open: " not in outcry("feed", "simulate", "--commands", 40_000).err, "there is nothing to read yet"
    for line in (("feed", "simulate", "--commands", 40_001), ("open", "carol")):
        shutil.rmtree(store / "snapshots")
        again = outcry(*line, "--json")
        assert again.json["events"]
        assert "open: " in again.err


def test_progress_goes_to_stderr_and_only_when_it_takes_long(capfd: pytest.CaptureFixture[str]) -> None:
    with progress("quick") as show:
        show(0.5)
    assert capfd.readouterr() == ("", "")
    with progress("at once", 0) as show:
        show(0.5)
    assert capfd.readouterr() == ("", "at once: 50%, 0 s left\nat once: 100%\n")
