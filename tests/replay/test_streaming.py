"""Memory does not grow with the length of a record: one block at a time, whatever is asked of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from domain import verbs as v
from domain.partition import Partition
from eventstore.blocks import after, seal
from eventstore.ports import BlockLog
from eventstore.sqlite import SqliteLog
from projections.embedded import FOLDS, Views
from projections.executions import Executions
from projections.orders import Orders
from projections.rings import Rings
from projections.statements import Statements
from replay.compare import diff, trail
from replay.explain import life
from replay.reexecute import reexecute
from replay.source import verify
from replay.travel import at
from tests.market import buy, decode, deposit, list_instrument, open_account, sell, set_state

SHORT, LONG = 30, 300
COMMANDS = 12
KEPT = 128
RUN_EVENTS = 100  # of blocks that views take together: a few of these
SLACK_BYTES = 100_000  # the most that a reader of SQLite comes to hold, however long the record

OPENING = [
    list_instrument(),
    set_state(v.OPEN),
    *(open_account(account) for account in (1, 2)),
    *(deposit(account, asset, 10**9) for account in (1, 2) for asset in (1, 2)),
    buy(1, 1, 5),  # it rests to the end
]
FILLED = [sell(1, 1, 100), buy(2, 1, 100), sell(2, 1, 100), buy(1, 1, 100)] * (COMMANDS // 4)


def record(path: Path, blocks: int) -> SqliteLog:
    """So many blocks after which the book is as it was before."""
    log, engine = SqliteLog(path), Partition(1)
    head = log.claim(1)
    for commands in [OPENING, *[FILLED] * (blocks - 1)]:
        block = seal(head, b"".join(commands), engine.execute(b"".join(commands)), engine.time_ns)
        log.append(block)
        head = after(block)
    return log


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqliteLog, SqliteLog]]:
    """A short record, and one ten times as long."""
    folder = tmp_path_factory.mktemp("records")
    both = record(folder / "short.db", SHORT), record(folder / "long.db", LONG)
    yield both
    for log in both:
        log.close()


def resting_order(log: BlockLog) -> int:
    return int(decode(next(iter(log.read(1))).events())[-2].order)


def follow(log: BlockLog) -> None:
    """All views; those that keep the newest entries are full before the short record ends."""
    few = {"orders": Orders, "executions": Executions, "statements": Statements}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projections.runs.RUN_EVENTS", RUN_EVENTS)
        Views(1, FOLDS | {name: lambda fold=fold: fold(Rings(in_all=KEPT)) for name, fold in few.items()}).catch_up(log)


@pytest.mark.parametrize(
    "ask",
    [
        lambda log: verify(log, 1),
        lambda log: reexecute(log, 1),
        lambda log: at(log, None, 1),
        lambda log: diff(log, log, 1),
        lambda log: sum(1 for _ in trail(log, 1)),
        lambda log: life(log, 1, resting_order(log)),
        follow,
    ],
    ids=["verify", "reexecute", "travel", "diff", "trail", "life", "views"],
)
def test_ten_times_the_record_takes_the_same_memory(logs: tuple[SqliteLog, SqliteLog], ask: Callable[[BlockLog], object]) -> None:
    """The peak of a long record is that of a short one, but for what the views show more of (a bar, some trades)."""
    ask(logs[0])  # what is imported and cached at first use
    short, long = (peak_bytes(ask, log) for log in logs)
    assert long < short + SLACK_BYTES


def test_the_measure_sees_a_reader_that_keeps_blocks(logs: tuple[SqliteLog, SqliteLog]) -> None:
    """Negative control."""
    short, long = (peak_bytes(lambda log: list(log.read(1)), log) for log in logs)
    assert long > short + SLACK_BYTES


def peak_bytes(ask: Callable[[BlockLog], object], log: BlockLog) -> int:
    tracemalloc.start()
    try:
        ask(log)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
