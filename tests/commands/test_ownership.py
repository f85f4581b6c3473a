"""Who owns a partition is proved by the record: a worker is its standby, then its writer, and is fenced by the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.follower import Follower
from commands.ownership import Ownership
from commands.ports import RowBytes
from eventstore.blocks import Block
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.ports import BlockLog, Fenced, SnapshotStore
from eventstore.sqlite import SqliteLog
from tests import market
from tests.waiting import PATIENCE_S

SETUP = market.list_instrument(1) + market.open_account(1)


def ignore(_block: Block, _rows: RowBytes, _took_s: float) -> None:
    """These tests publish nothing."""


def worker(log: BlockLog, snapshots: SnapshotStore | None = None) -> Ownership:
    return Ownership(log, snapshots or MemorySnapshots(), 1, inbox_commands=65_536, snapshot_every_events=10**9)


def test_a_standby_has_every_block_of_the_owner_and_takes_over_where_it_ended() -> None:
    log = MemoryLog()
    first, second = worker(log), worker(log)
    owner = first.take_over(ignore)
    owner.submit(SETUP, {"commands": 5}).result(PATIENCE_S)
    second.follow()
    assert second.followed_seq == 1
    owner.submit(market.deposit(1, 1, 7), {"commands": 6}).result(PATIENCE_S)

    writer = second.take_over(ignore)

    assert writer.positions == {"commands": 6}
    writer.submit(market.deposit(1, 1, 8), {"commands": 7}).result(PATIENCE_S)
    assert writer.partition.state_hash() == Follower.open(log, MemorySnapshots(), 1).state.state_hash()


def test_who_was_taken_over_is_fenced_and_nothing_of_his_is_on_record() -> None:
    """He may be certain that he owns: the record knows better."""
    log = MemoryLog()
    first, second = worker(log), worker(log)
    zombie = first.take_over(ignore)
    zombie.submit(SETUP).result(PATIENCE_S)
    owner = second.take_over(ignore)

    with pytest.raises(Fenced):
        zombie.submit(market.deposit(1, 1, 7)).result(PATIENCE_S)

    owner.submit(market.deposit(1, 1, 8)).result(PATIENCE_S)
    assert [block.epoch for block in log.read(1)] == [1, 2]
    with pytest.raises(Fenced):
        first.hand_over()
    first.follow()
    assert first.followed_seq == 2


def test_a_planned_handover_commits_what_was_taken_and_leaves_a_standby() -> None:
    log = MemoryLog()
    first, second = worker(log), worker(log)
    answer = first.take_over(ignore).submit(SETUP)
    first.hand_over()
    assert answer.result(0).block_seq == first.followed_seq == 1
    second.take_over(ignore).submit(market.deposit(1, 1, 8)).result(PATIENCE_S)
    first.follow()
    assert first.followed_seq == 2


def test_closing_keeps_a_snapshot() -> None:
    log, snapshots = MemoryLog(), MemorySnapshots()
    owner = worker(log, snapshots)
    owner.take_over(ignore).submit(SETUP).result(PATIENCE_S)
    owner.close()
    assert snapshots.latest(1) is not None
    assert owner.writer is None


def test_two_workers_take_a_partition_from_each_other_and_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    """Ten times to and fro, on a file of their own connection each."""
    logs = [SqliteLog(tmp_path / "record.sqlite") for _ in range(2)]
    workers = [worker(log) for log in logs]
    for turn in range(10):
        owner, other = workers[turn % 2], workers[(turn + 1) % 2]
        owner.take_over(ignore).submit(SETUP if turn == 0 else market.deposit(1, 1, turn)).result(PATIENCE_S)
        other.follow()
        owner.hand_over()
        assert other.followed_seq == owner.followed_seq == turn + 1
    blocks = list(logs[0].read(1))
    assert [block.command_count for block in blocks] == [2] + [1] * 9
    assert [block.epoch for block in blocks] == list(range(1, 11))
