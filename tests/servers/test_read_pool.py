"""History from three real standbys: killed, stopped and held up while they are asked. Nothing is ever older than what was asked for.

The check that says so runs against a pool without its safeguard, too, and must then fail.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.history import History, following
from adapters.metrics import Metrics
from adapters.reader_metrics import watch
from adapters.settings import Settings, load
from adapters.stack.postgres import READER, Postgres
from adapters.stack.stack import Stack
from adapters.status import StatusServer
from eventstore import postgres_reads
from eventstore.blocks import Block, after
from eventstore.ports import Damaged, NoReader, Snapshot, StoreFailed, TooFarBehind
from eventstore.postgres import PostgresLog
from eventstore.postgres_snapshots import PostgresSnapshots
from eventstore.read_log import ReadLog, ReadSnapshots
from eventstore.read_pool import ReadPool, Source
from eventstore.reader_choice import Standing
from tests.contracts.record import block_after
from tests.servers.market import OUTCRY
from tests.waiting import PATIENCE_S, eventually

ANSWER_S = 1.0


@pytest.fixture
def stack(three_standbys: Stack) -> Stack:
    """All of it serves."""
    three_standbys.up()
    return three_standbys


@pytest.fixture
def record(stack: Stack) -> Iterator[PostgresLog]:
    with closing(PostgresLog(stack.postgres_dsn())) as log:
        yield log


@pytest.fixture
def partition(record: PostgresLog) -> int:
    """That no other test writes to."""
    return len(record.partitions()) + 1


def pool_of(stack: Stack, kind: type[ReadPool] = ReadPool, **given: Any) -> closing[ReadPool]:
    sources = [Source(dsn) for dsn in stack.standby_dsns(READER)]
    return closing(kind(sources, stack.postgres_dsn(), **({"answer_s": ANSWER_S} | given)))


def written(record: PostgresLog, partition: int, blocks: int) -> list[Block]:
    """The chain after so many more."""
    head = record.head(partition)
    head = head if head.epoch else record.claim(partition)
    for _ in range(blocks):
        block = block_after(head)
        record.append(block)
        head = after(block)
    return list(record.read(partition))


def standby(stack: Stack, number: int = 0) -> Postgres:
    found = stack.servers[("standby", "standby2", "standby3")[number]]
    assert isinstance(found, Postgres)
    return found


def standing(pool: ReadPool, server: Postgres) -> Standing:
    return next(each for each in pool.standings() if each.name == server.address)


def hold(server: Postgres) -> None:
    """Have a standby receive its primary's log and not apply it."""
    with server.superuser() as db:
        db.execute("SELECT pg_wal_replay_pause()")
        eventually(lambda: db.execute("SELECT pg_get_wal_replay_pause_state()").fetchone() == ("paused",))


def go_on(server: Postgres) -> None:
    with server.superuser() as db:
        db.execute("SELECT pg_wal_replay_resume()")


def stop(server: Postgres, number: signal.Signals) -> None:
    """Send a signal to the server and all its processes."""
    pid = server.pid
    server.kill(number)
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), number)


def test_standbys_are_read_in_turn_and_the_primary_is_left_alone(stack: Stack, record: PostgresLog, partition: int) -> None:
    chain = written(record, partition, 5)
    with pool_of(stack) as pool:
        log = ReadLog(pool, {partition: 5})
        for _ in range(6):
            assert list(log.read(partition)) == chain
        assert list(log.read(partition, 3)) == chain[3:]
        assert partition in log.partitions()
        assert pool.counts.by_primary == 0
        eventually(lambda: {each.circuit for each in pool.standings()} == {"closed"})
        assert [each.name for each in pool.standings()][:3] == [standby(stack, number).address for number in range(3)]


def test_what_a_port_says_of_a_reading_holds(stack: Stack, record: PostgresLog, partition: int) -> None:
    """As of every BlockLog; and nothing is written here."""
    chain = written(record, partition, 3)
    with pool_of(stack) as pool:
        log = ReadLog(pool, {partition: 3})
        assert log.head(partition) == after(chain[-1])
        with pytest.raises(Damaged, match=f"partition {partition}, block 4: missing; the record ends with block 3"):
            list(log.read(partition, 4))
        reading = log.read(partition)
        assert next(reading) == chain[0]
        written(record, partition, 1)
        assert list(reading) == chain[1:], "what was committed when it began"
        for writes in (lambda: log.claim(partition), lambda: log.append(chain[0])):
            with pytest.raises(StoreFailed, match="they only answer questions; right would be the record itself"):
                writes()


def test_a_standby_killed_while_it_is_read_costs_nobody_a_block(
    stack: Stack, record: PostgresLog, partition: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_reads, "PAGE_BLOCKS", 2)
    chain = written(record, partition, 24)
    with pool_of(stack) as pool:
        log = ReadLog(pool, {partition: 24})
        assert list(log.read(partition)) == chain, "so that a connection to each is open"
        reading = log.read(partition)
        first = list(itertools.islice(reading, 3))
        standby(stack).kill(signal.SIGKILL)
        assert first + list(reading) == chain
        assert standing(pool, standby(stack)).circuit == "open"
        assert pool.counts.by_primary == 0
        assert list(pool.trouble) == [standby(stack).address]
        stack.up()
        eventually(lambda: standing(pool, standby(stack)).circuit != "open")
        assert not pool.trouble


def test_a_standby_that_stands_still_is_given_up_in_time_and_taken_back(stack: Stack, record: PostgresLog, partition: int) -> None:
    """It keeps its connections and says nothing: only the clock tells."""
    chain = written(record, partition, 3)
    with pool_of(stack) as pool:
        log = ReadLog(pool, {partition: 3})
        for _ in range(3):
            assert list(log.read(partition)) == chain
        stop(standby(stack), signal.SIGSTOP)
        try:

            def given_up() -> bool:
                assert list(log.read(partition)) == chain
                return standing(pool, standby(stack)).circuit == "open"

            eventually(given_up)
            assert pool.counts.by_primary == 0
            reads = pool.counts.failures
            for _ in range(6):
                assert list(log.read(partition)) == chain
            assert pool.counts.failures - reads <= 1, "probes find out, reads do not try"
        finally:
            stop(standby(stack), signal.SIGCONT)
        eventually(lambda: standing(pool, standby(stack)).circuit != "open")


def never_older(stack: Stack, record: PostgresLog, partition: int, pool: ReadPool) -> None:
    """Assert that what is asked for after a write shows that write, while one standby has stopped to follow."""
    written(record, partition, 2)
    eventually(lambda: all(each.positions.get(partition) == 2 for each in pool.standings()[:3]))
    hold(standby(stack))
    try:
        for _ in range(8):
            seq = written(record, partition, 1)[-1].seq
            assert pool.ask({partition: seq}, lambda db: postgres_reads.head(db, partition)).seq >= seq, "older than asked for"
        eventually(lambda: standing(pool, standby(stack)).lag_blocks == 8)
    finally:
        go_on(standby(stack))


def test_a_standby_that_does_not_follow_is_passed_over(stack: Stack, record: PostgresLog, partition: int) -> None:
    with pool_of(stack) as pool:
        never_older(stack, record, partition, pool)
        assert pool.counts.by_primary == 0
        eventually(lambda: standing(pool, standby(stack)).lag_blocks == 0)


class Unchecked(ReadPool):
    """Negative control: asks whoever is next, and does not look how far it is."""

    def _taken(self, needs: Mapping[int, int], asked_s: float) -> str:
        return super()._taken({}, asked_s)

    def _has(self, name: str, positions: Mapping[int, int], needs: Mapping[int, int]) -> bool:
        return super()._has(name, positions, {})


def test_the_same_check_catches_a_pool_that_does_not_look(stack: Stack, record: PostgresLog, partition: int) -> None:
    with pool_of(stack, Unchecked) as pool, pytest.raises(AssertionError, match="older than asked for"):
        never_older(stack, record, partition, pool)


def test_the_primary_answers_in_the_last_resort_over_its_share_of_connections(stack: Stack, record: PostgresLog, partition: int) -> None:
    """Every standby is behind: whoever has waited goes to the primary, one at a time; where it is left alone, he is told who has what."""
    written(record, partition, 1)
    with pool_of(stack) as pool:
        eventually(lambda: all(each.positions.get(partition) == 1 for each in pool.standings()))
    servers = [standby(stack, number) for number in range(3)]
    for server in servers:
        hold(server)
    try:
        written(record, partition, 1)
        with pool_of(stack, primary_share=1, patience_s=0.2, timeout_s=30.0) as pool, stack.postgres.superuser() as db:
            using = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outcry-reader'"
            seen: list[int] = []

            def ask(_: int) -> int:
                found = pool.ask({partition: 2}, lambda reader: postgres_reads.head(reader, partition)).seq
                seen.extend(int(row[0]) for row in db.execute(using))
                return found

            with ThreadPoolExecutor(8) as eight:
                assert Counter(eight.map(ask, range(24))) == {2: 24}
            assert pool.counts.by_primary == 24
            assert max(seen) == 1
        with pool_of(stack, primary_share=0, timeout_s=1.0) as pool, pytest.raises(TooFarBehind) as told:
            ReadLog(pool, {partition: 2}).head(partition)
        assert f"block 2 of partition {partition} is asked for, and in 1 s there was none: " in str(told.value)
        assert all(f"{server.address} has block 1 of partition {partition}" in str(told.value) for server in servers)
    finally:
        for server in servers:
            go_on(server)


@pytest.mark.parametrize(
    ("source", "given", "says"),
    [
        ("host=127.0.0.1 port=1 dbname=outcry user=outcry_reader", {}, r"127.0.0.1:1 does not answer \(.*refused"),
        ("primary", {}, r"it takes writes: it is no standby, or none any more"),
        ("standby", {"cluster": "another"}, r"it holds cluster .*; right would be a standby of cluster another"),
        ("wrong password", {}, r"password authentication failed"),
    ],
)
def test_a_server_that_is_none_of_ours_is_not_asked_and_said_to_be_so(stack: Stack, source: str, given: dict[str, Any], says: str) -> None:
    known = {
        "primary": stack.postgres_dsn(READER),
        "standby": stack.standby_dsn(READER),
        "wrong password": f"{stack.standby_dsn(READER)} password=guess",
    }
    pool = ReadPool([Source(known.get(source, source))], answer_s=ANSWER_S, timeout_s=1.0, **given)
    with closing(pool), pytest.raises(NoReader, match=says):
        pool.ask({}, lambda _db: None)


@pytest.mark.parametrize(
    ("sources", "given", "says"),
    [
        ([Source("host=a"), Source("host=b")], {"connections": 1}, "1 connections, 0 of them to the primary, are too few for 2 servers"),
        ([Source("host=a"), Source("host=a port=5432")], {}, "a:5432 is named twice"),
        ([Source("a server")], {}, "it is no connection string of libpq"),
    ],
)
def test_readers_that_cannot_be_are_refused(sources: list[Source], given: dict[str, Any], says: str) -> None:
    with pytest.raises(StoreFailed, match=says):
        ReadPool(sources, **given)


def test_a_reader_begins_at_a_snapshot_that_a_standby_has(stack: Stack, record: PostgresLog, partition: int) -> None:
    block = written(record, partition, 1)[0]
    snapshot = Snapshot(partition, 1, block.hash, b"a state" * 1_000)
    PostgresSnapshots(stack.postgres_dsn()).save(snapshot)
    with pool_of(stack, primary_share=0) as pool:
        eventually(lambda: ReadSnapshots(pool).latest(partition) == snapshot)
        assert ReadSnapshots(pool).latest(partition, 0) is None
        with pytest.raises(StoreFailed, match="they only answer questions"):
            ReadSnapshots(pool).save(snapshot)


def test_commands_read_history_from_standbys_and_go_on_without_the_primary(
    stack: Stack, record: PostgresLog, partition: int, tmp_path: Path
) -> None:
    """As of what the primary has; without it as of what the standbys have, which is said."""
    chain = written(record, partition, 3)
    environment = os.environ | {"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(stack.folder)}

    def outcry(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(OUTCRY), *words, "--partition", str(partition), "--json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    ran = outcry("replay")
    assert (ran.returncode, json.loads(ran.stdout)["seq"]) == (0, 3), ran.stderr
    with pool_of(stack) as pool:
        eventually(lambda: all(each.positions.get(partition) == 3 for each in pool.standings()))
    stack.postgres.kill(signal.SIGKILL)
    ran = outcry("export", str(tmp_path / "blocks.parquet"))
    assert (ran.returncode, json.loads(ran.stdout)["hash"]) == (0, chain[-1].hash.hex()), ran.stderr
    assert "the primary does not answer" in ran.stderr
    assert f"block 3 of partition {partition}" in ran.stderr


def test_a_scrape_says_how_the_readers_are(stack: Stack, record: PostgresLog, partition: int) -> None:
    written(record, partition, 2)
    metrics = Metrics("a door")
    with pool_of(stack) as pool, closing(StatusServer(metrics, 0, list, lambda: 0.0)) as status:
        watch(metrics.registry, ReadLog(pool))
        eventually(lambda: all(each.positions.get(partition) == 2 for each in pool.standings()))
        assert pool.ask({partition: 2}, postgres_reads.partitions)
        hold(standby(stack))
        try:
            written(record, partition, 3)
            eventually(lambda: standing(pool, standby(stack)).lag_blocks == 3)
            with urllib.request.urlopen(f"http://127.0.0.1:{status.port}/metrics", timeout=PATIENCE_S) as answer:
                lines = answer.read().decode().splitlines()
        finally:
            go_on(standby(stack))
    reader = standby(stack).address
    assert f'outcry_reader_lag_blocks{{reader="{reader}"}} 3.0' in lines
    assert f'outcry_reader_circuit{{circuit="closed",reader="{reader}"}} 1.0' in lines
    assert f'outcry_reader_circuit{{circuit="open",reader="{reader}"}} 0.0' in lines
    assert f'outcry_reader_connections_bound{{reader="{reader}"}} 10.0' in lines
    assert "outcry_reader_reads_total 1.0" in lines
    assert "outcry_reader_primary_reads_total 0.0" in lines


def test_readers_are_listed_with_what_is_wrong(stack: Stack) -> None:
    """Those that `outcry stack up --standbys 3` wrote down."""

    def readers() -> tuple[int, list[dict[str, object]]]:
        environment = os.environ | {"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(stack.folder)}
        ran = subprocess.run([OUTCRY, "readers", "--json"], env=environment, capture_output=True, text=True, timeout=60, check=False)
        return ran.returncode, json.loads(ran.stdout)["readers"]

    code, found = readers()
    assert (code, [each["circuit"] for each in found]) == (0, ["closed"] * 4)
    assert [each["name"] for each in found][:3] == [standby(stack, number).address for number in range(3)]
    standby(stack).kill(signal.SIGKILL)
    code, found = readers()
    assert (code, [each["circuit"] for each in found]) == (1, ["open", "closed", "closed", "closed"])
    assert "refused" in str(found[0]["trouble"])


def test_a_process_that_stays_sees_the_record_grow_and_reads_it_from_standbys(stack: Stack, record: PostgresLog, partition: int) -> None:
    """With one of them held up, it must name what the primary told it; without the primary it goes on with what they have."""
    chain = written(record, partition, 1)
    settings = load({"OUTCRY_PROFILE": "stack", "OUTCRY_STACK": str(stack.folder)})
    with closing(PostgresLog(stack.postgres_dsn(), patience_s=0)) as primary, following(settings, primary) as log:
        assert isinstance(log, History)
        hold(standby(stack))
        try:
            for _ in range(6):
                chain = written(record, partition, 1)
                assert list(log.read(partition)) == chain
            assert log.readers.pool.counts.by_primary == 0
        finally:
            go_on(standby(stack))
        stack.postgres.kill(signal.SIGKILL)
        assert log.head(partition) == after(chain[-1])
        assert list(log.read(partition, 2)) == chain[2:]


def test_without_readers_the_record_is_read_itself(record: PostgresLog, tmp_path: Path) -> None:
    with following(Settings(tmp_path), record) as log:
        assert log is record
