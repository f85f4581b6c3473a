"""The archive and queries as people meet them: options, forms of an answer, exit codes, and the worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eventstore.shelf import Shelf
from eventstore.sqlite import SqliteLog
from tests.archive.days import OPENS_NS
from tests.conftest import REPOSITORY
from tests.contracts.record import block_after
from tests.eventstore.rows import fill
from tests.waiting import eventually

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A store of ten trades, and an archive beside it."""
    (tmp_path / "store").mkdir()
    log = SqliteLog(tmp_path / "store/record.sqlite")
    fill(log, 10)
    log.close()
    return os.environ | {
        "OUTCRY_STORE": str(tmp_path / "store"),
        "OUTCRY_ARCHIVE": str(tmp_path / "archive"),
        "OUTCRY_STACK": str(tmp_path / "stack"),
        "XDG_CONFIG_HOME": str(tmp_path),
    }


@pytest.fixture
def outcry(environment: dict[str, str]) -> Run:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, *words]
        return subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run


MAIN = "from adapters.cli.app import main; main()"


def test_a_query_reads_archive_and_record_and_says_as_of_which_block(outcry: Run, tmp_path: Path) -> None:
    nothing = json.loads(outcry("query", "select count(*) as n from trades", "--json").stdout)
    assert (nothing["rows"], nothing["as_of"][0]["archived"]) == ([{"n": 10}], 0)
    archived = json.loads(outcry("archive", "--until", "now", "--json").stdout)
    assert (archived["events"], archived["ranges"][0]["to_seq"]) == (40, 10)
    shown = outcry("query", "select sum(quantity_lots) as lots from trades")
    assert shown.returncode == 0
    assert "55" in shown.stdout
    assert shown.stderr == "partition 1: as of block 10 (archived to block 10)\n"
    (tmp_path / "store/record.sqlite").unlink()
    alone = outcry("query", "select count(*) as n from trades", "--source", "archive", "--csv")
    assert alone.stdout == '"n"\n10\n'
    assert outcry("verify", "--archive", "--source", "archive").returncode == 0


def test_an_answer_can_be_a_file(outcry: Run, tmp_path: Path) -> None:
    file = tmp_path / "trades.parquet"
    assert outcry("query", "select * from trades order by event_index", "--parquet", str(file), "--limit", "4").returncode == 0
    assert pq.read_table(file)["quantity_lots"].to_pylist() == [1, 2, 3, 4]


def test_more_rows_than_are_shown_are_said_to_be_there(outcry: Run) -> None:
    answer = json.loads(outcry("query", "select * from trades", "--json", "--limit", "3").stdout)
    assert (len(answer["rows"]), answer["more"]) == (3, True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("query", "select * from nowhere"), 2, "nowhere"),
        (("query", "delete from trades"), 2, "right would be one SELECT"),
        (("query", "select 1", "--csv", "--parquet", "x"), 2, "right would be one of them"),
        (("archive", "--until", "tomorrow"), 2, "is no time"),
        (("archive", "--to", "gopher://x"), 2, "right would be a folder, or s3://BUCKET/PREFIX"),
        (("archive", "--to", "s3://K:HIDDEN@b/p?endpoint_override=127.0.0.1:1&scheme=http"), 3, "s3://b/p"),
    ],
)
def test_what_is_wrong_is_said(outcry: Run, words: tuple[str, ...], code: int, said: str) -> None:
    ran = outcry(*words)
    assert ran.returncode == code
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert "HIDDEN" not in ran.stderr


def test_damage_is_a_finding_with_exit_code_1(outcry: Run, tmp_path: Path) -> None:
    outcry("archive", "--until", "now")
    (path,) = (tmp_path / "archive").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    ran = outcry("verify", "--archive", "--json")
    assert ran.returncode == 1
    bad = json.loads(ran.stdout)["partitions"][0]["first_bad"]
    assert (bad["file"], bad["from_seq"], bad["to_seq"]) == (str(path), 1, 10)


@pytest.fixture
def worker(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", MAIN, "worker", "archive", "--every", "0.2", "--json"]
    with subprocess.Popen(words, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_a_worker_archives_what_comes_to_its_end_while_it_runs(worker: subprocess.Popen[str], tmp_path: Path) -> None:
    """Trading goes on in another process; a day that begins closes the one before."""
    log, shelf = SqliteLog(tmp_path / "store/record.sqlite"), Shelf(str(tmp_path / "archive"))
    log.append(block_after(log.claim(1), time_ns=OPENS_NS))
    eventually(lambda: worker.poll() is not None or shelf.head(1).seq >= 10, lambda: "the range that ended is not archived")
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    out, _ = worker.communicate(timeout=30)
    assert json.loads(out)["stopped"] is True
    assert worker.returncode == 0
    assert shelf.head(1).hash == next(iter(log.read(1, 9))).hash
    log.close()
