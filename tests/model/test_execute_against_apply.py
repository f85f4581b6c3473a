"""Applying what execute emitted gives the state that execute left, at every block boundary."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import audit
from domain.partition import Partition
from tests.model.commands import Flow, commands, seeded
from tests.model.pair import PARTITION, Pair
from tests.model.small_market import SMALL
from tests.model.wide_market import WIDE


@given(st.lists(st.lists(commands(SMALL), min_size=1, max_size=12), max_size=6))
@settings(max_examples=40)
def test_apply_rebuilds_what_execute_did(batches: list[list[bytes]]) -> None:
    """Hypothesis shrinks a difference to the block that shows it."""
    pair = Pair(SMALL)
    for batch in batches:
        pair.batch(batch)
    check_blocks(pair.blocks)


@pytest.mark.parametrize(("seed", "flow"), [(11, SMALL), (12, WIDE)], ids=["small", "wide"])
def test_apply_follows_a_long_flow(seed: int, flow: Flow) -> None:
    """Blocks of 1 to 300 commands."""
    pair, sizes = Pair(flow), random.Random(seed)
    rows = list(seeded(seed, 6_000, flow))
    while rows:
        size = sizes.choice((1, 3, 30, 300))
        pair.batch(rows[:size])
        del rows[:size]
    check_blocks(pair.blocks)


def test_apply_does_not_care_where_blocks_are_cut() -> None:
    """One block of everything leaves the state of many blocks, and so does one command at a time."""
    pair = Pair(SMALL)
    for command in seeded(13, 1_500, SMALL):
        pair.step(command)
    at_once, one_by_one = Partition(PARTITION), Partition(PARTITION)
    at_once.apply(b"".join(commands for commands, _ in pair.blocks), b"".join(events for _, events in pair.blocks))
    for commands_of_block, events in pair.blocks:
        one_by_one.apply(commands_of_block, events)
    assert at_once.state_hash() == one_by_one.state_hash() == pair.engine.state_hash()


def check_blocks(blocks: list[tuple[bytes, bytes]]) -> None:
    """Execute and apply side by side: the same events as before, the same hash after each block."""
    executing, applying = Partition(PARTITION), Partition(PARTITION)
    for commands_of_block, events in blocks:
        assert executing.execute(commands_of_block) == events
        applying.apply(commands_of_block, events)
        assert applying.state_hash() == executing.state_hash()
        assert (applying.events, applying.commands, applying.time_ns) == (executing.events, executing.commands, executing.time_ns)
    audit.check(applying)
