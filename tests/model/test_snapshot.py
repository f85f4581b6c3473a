"""A snapshot is the state: restored at any point, the market goes on as if nothing had happened; damaged, it says so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import audit
from domain.partition import Partition
from domain.snapshot import BadSnapshot
from tests.model.commands import Flow, commands, seeded
from tests.model.pair import PARTITION, Pair
from tests.model.small_market import SMALL
from tests.model.wide_market import WIDE


@given(st.lists(commands(SMALL), max_size=30), st.lists(commands(SMALL), max_size=30))
@settings(max_examples=30)
def test_restored_at_any_point_it_goes_on_with_the_same_events(before: list[bytes], after: list[bytes]) -> None:
    """The rest of the flow is compared with the model as well, so both engines cannot be wrong together."""
    pair = Pair(SMALL)
    for command in before:
        pair.step(command)
    original, pair.engine = pair.engine, Partition.restore(pair.engine.snapshot())
    assert pair.engine.state_hash() == original.state_hash()
    for command in after:
        pair.step(command)
        rows, events = pair.blocks[-1]
        assert original.execute(rows) == events
    assert pair.engine.state_hash() == original.state_hash()
    pair.compare_states()


@pytest.mark.parametrize(("seed", "flow"), [(21, SMALL), (22, WIDE)], ids=["small", "wide"])
def test_a_market_restored_again_and_again_is_the_same_market(seed: int, flow: Flow) -> None:
    """A snapshot of a restored state is the snapshot it was restored from, byte for byte."""
    pair, moments = Pair(flow), random.Random(seed)
    untouched = Partition(PARTITION)
    for rows, _ in pair.blocks:
        untouched.execute(rows)
    for command in seeded(seed, 3_000, flow):
        if moments.random() < 0.01:
            snapshot = pair.engine.snapshot()
            pair.engine = Partition.restore(snapshot)
            assert pair.engine.snapshot() == snapshot
            audit.check(pair.engine)
        pair.step(command)
        rows, events = pair.blocks[-1]
        assert untouched.execute(rows) == events
    assert pair.engine.state_hash() == untouched.state_hash()
    pair.compare_states()


def test_an_unused_market_can_be_restored() -> None:
    """Genesis is a state like any other."""
    genesis = Partition(PARTITION)
    assert Partition.restore(genesis.snapshot()).state_hash() == genesis.state_hash()


def test_partitions_differ_by_number_alone() -> None:
    """The number is part of the state: nobody restores partition 7 as partition 8 unnoticed."""
    assert Partition(7).state_hash() != Partition(8).state_hash()
    assert Partition.restore(Partition(8).snapshot()).number == 8


@pytest.fixture(scope="module")
def snapshot() -> bytes:
    pair = Pair(SMALL)
    for command in seeded(23, 300, SMALL):
        pair.step(command)
    return pair.engine.snapshot()


@given(data=st.data())
def test_a_flipped_bit_anywhere_is_noticed(snapshot: bytes, data: st.DataObject) -> None:
    """Hash and lengths leave no byte uncovered."""
    at, bit = data.draw(st.integers(0, len(snapshot) - 1)), data.draw(st.integers(0, 7))
    damaged = bytearray(snapshot)
    damaged[at] ^= 1 << bit
    with pytest.raises(BadSnapshot):
        Partition.restore(bytes(damaged))


@given(data=st.data())
def test_a_snapshot_cut_short_or_with_more_behind_it_is_noticed(snapshot: bytes, data: st.DataObject) -> None:
    length = data.draw(st.integers(0, len(snapshot) - 1))
    with pytest.raises(BadSnapshot):
        Partition.restore(snapshot[:length])
    with pytest.raises(BadSnapshot):
        Partition.restore(snapshot + data.draw(st.binary(min_size=1, max_size=200)))


@given(st.binary(max_size=600))
def test_any_bytes_are_no_snapshot(noise: bytes) -> None:
    """An error that explains, never a state."""
    with pytest.raises(BadSnapshot, match=r"\w{3,}"):
        Partition.restore(noise)
