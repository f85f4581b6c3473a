"""A standby follows one chain, block by block, and knows what a writer must know."""

from __future__ import annotations

import pytest

from commands.follower import Follower
from commands.writer import Writer
from eventstore.memory import MemoryLog, MemorySnapshots
from tests import market
from tests.waiting import PATIENCE_S

SETUP = market.list_instrument(1) + market.open_account(1)


def test_a_standby_has_the_state_of_the_writer_after_each_block() -> None:
    log = MemoryLog()
    with Writer(log, MemorySnapshots(), 1) as writer:
        standby = Follower.open(log, MemorySnapshots(), 1)
        for amount in (1, 2, 3):
            writer.submit(market.deposit(1, 1, amount) if amount > 1 else SETUP, {"door": amount}).result(PATIENCE_S)
            standby.advance()
            assert standby.state.state_hash() == writer.partition.state_hash()
            assert (standby.head.seq, standby.positions) == (amount, {"door": amount})


def test_a_standby_of_nothing_waits_at_genesis() -> None:
    log = MemoryLog()
    standby = Follower.open(log, MemorySnapshots(), 1)
    assert standby.advance() == log.head(1)
    assert (standby.state.events, standby.positions) == (0, {})


def test_a_standby_stops_at_a_record_that_is_not_the_one_it_followed() -> None:
    """Two records mixed up: better no standby than a wrong one."""
    logs = [MemoryLog(), MemoryLog()]
    for log, rows in zip(logs, (SETUP, SETUP + SETUP), strict=True):
        with Writer(log, MemorySnapshots(), 1) as writer:
            writer.submit(rows).result(PATIENCE_S)
    standby = Follower.open(logs[0], MemorySnapshots(), 1)
    with Writer(logs[1], MemorySnapshots(), 1) as writer:
        writer.submit(SETUP).result(PATIENCE_S)
    standby.log = logs[1]
    with pytest.raises(AssertionError, match="one chain"):
        standby.advance()
