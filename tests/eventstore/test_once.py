"""What a reader of the topic gets: each block once, in order, whoever sent it how often; and no fork passes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstore import once
from eventstore.blocks import Block, Head, after, genesis
from eventstore.errors import Damaged
from eventstore.once import Once
from tests.contracts.record import block_after


def chain(blocks: int, head: Head, time_ns: int = 1) -> list[Block]:
    """Blocks that follow *head*; those of another time are a fork."""
    made = []
    for _ in range(blocks):
        made.append(block_after(head, time_ns=head.time_ns + time_ns))
        head = after(made[-1])
    return made


CHAIN = chain(12, genesis(1))


@st.composite
def records(draw: st.DrawFn) -> list[Block]:
    """A topic that several owners wrote: each went on somewhere in what was there, so at most one block further, and sent some in order."""
    there: list[Block] = []
    reached = 0
    for _ in range(draw(st.integers(1, 6))):
        begin = draw(st.integers(0, reached))
        end = draw(st.integers(begin, len(CHAIN)))
        sent = CHAIN[begin:end]
        at = len(there)
        for block in sent:  # among what others still have under way
            there.append(block)
            if draw(st.booleans()) and at:
                there.append(CHAIN[draw(st.integers(0, max(reached - 1, 0)))])
        reached = max(reached, end)
    return there


@given(records(), st.integers(0, 4))
def test_each_block_comes_once_and_in_order(there: list[Block], after_seq: int) -> None:
    reader = Once(1, after_seq)
    got = [block.seq for block in there if reader.is_next(block)]
    assert got == list(range(after_seq + 1, max((block.seq for block in there), default=0) + 1))
    assert reader.repeated == len(there) - len(got)


def test_two_blocks_of_one_number_are_a_fork() -> None:
    """One of them is in nobody's record, or somebody's record is wrong: who reads on would show what never was."""
    reader = Once(1)
    assert all(reader.is_next(block) for block in CHAIN[:5])
    other = chain(1, after(CHAIN[2]), time_ns=5)[0]
    with pytest.raises(Damaged, match=r"block 4: there are two of them: .* and "):
        reader.is_next(other)


def test_a_block_that_follows_another_one_is_a_fork() -> None:
    reader = Once(1)
    assert all(reader.is_next(block) for block in CHAIN[:3])
    fork = chain(2, after(CHAIN[1]), time_ns=5)[1]
    with pytest.raises(Damaged, match=r"block 4: names .* as the block before"):
        reader.is_next(fork)


def test_the_first_block_follows_the_genesis_of_its_partition() -> None:
    with pytest.raises(Damaged, match="block 1: names"):
        Once(2).is_next(CHAIN[0])


def test_a_missing_block_is_named() -> None:
    reader = Once(1)
    reader.is_next(CHAIN[0])
    with pytest.raises(Damaged, match="block 2: missing; the next block in the topic is 3"):
        reader.is_next(CHAIN[2])


def test_memory_is_bounded_and_the_oldest_repetitions_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is remembered a repetition is still dropped, and only no longer compared."""
    monkeypatch.setattr(once, "REMEMBERED", 3)
    reader = Once(1)
    assert all(reader.is_next(block) for block in CHAIN)
    assert not reader.is_next(chain(2, genesis(1), time_ns=9)[1])
    assert len(reader._hashes) <= 3
