"""The state as of any block, event or time is the state that the engine had then."""

from __future__ import annotations

import logging

import pytest

from domain.partition import Partition
from eventstore.memory import MemorySnapshots
from eventstore.ports import Snapshot
from replay.travel import NotInRecord, at
from tests.market import open_account, with_word
from tests.replay.records import BLOCKS, STEPS, executed, recorded

LOG = recorded(BLOCKS)
SECOND, HOUR = 10**9, 3_600 * 10**9


def snapshots(*seqs: int) -> MemorySnapshots:
    """Snapshots as of these blocks."""
    store, state = MemorySnapshots(), Partition(1)
    for block in LOG.read(1):
        state.apply(*block.rows())
        if block.seq in seqs:
            store.save(Snapshot(1, block.seq, block.hash, state.snapshot()))
    return store


@pytest.mark.parametrize("kept", [(), (3,), (3, 9, len(BLOCKS))])
def test_the_state_as_of_a_block(kept: tuple[int, ...]) -> None:
    """With snapshots or without, the same; and the position says that the block is whole."""
    store = snapshots(*kept)
    for seq in range(1, len(BLOCKS) + 1):
        last = [step for step in STEPS if step.seq == seq][-1]
        state, position = at(LOG, store, 1, seq=seq)
        assert (state.state_hash(), position.seq, position.event, position.time_ns) == (
            last.state_hash,
            seq,
            last.end_event - 1,
            last.time_ns,
        )
        assert position.commands == position.of == BLOCKS[seq - 1].command_count


@pytest.mark.parametrize("kept", [(), (3, 9)])
def test_the_state_as_of_an_event_is_that_after_its_whole_command(kept: tuple[int, ...]) -> None:
    """A command is indivisible: the position names the last event of the command."""
    store = snapshots(*kept)
    for step in STEPS[::7]:
        for event in {step.first_event, step.end_event - 1}:
            state, position = at(LOG, store, 1, event=event)
            assert (state.state_hash(), position.seq, position.event) == (step.state_hash, step.seq, step.end_event - 1)


@pytest.mark.parametrize("kept", [(), (3, 9)])
def test_the_state_as_of_a_time_has_every_command_up_to_it(kept: tuple[int, ...]) -> None:
    """Also those of the same nanosecond, be they in the next block."""
    store = snapshots(*kept)
    times = sorted({step.time_ns for step in STEPS})
    for time_ns in [*times[::5], times[-1], times[-1] + 1]:
        last = [step for step in STEPS if step.time_ns <= time_ns][-1]
        state, position = at(LOG, store, 1, time_ns=time_ns)
        assert (state.state_hash(), position.event, position.time_ns) == (last.state_hash, last.end_event - 1, last.time_ns)


def test_a_malformed_command_does_not_move_time() -> None:
    """It says hour 9 and stands between two commands of second 1 and 2: those of second 1 end after it, not before."""
    nonsense = with_word(open_account(3, received_ns=9 * HOUR), 15, 1)
    log = executed([open_account(1, received_ns=SECOND), nonsense, open_account(2, received_ns=2 * SECOND)])
    assert [at(log, None, 1, time_ns=time_ns).position.commands for time_ns in (SECOND, 2 * SECOND, 9 * HOUR)] == [2, 3, 3]


def test_without_a_target_it_is_the_end_of_the_record() -> None:
    state, position = at(LOG, None, 1)
    assert (state.state_hash(), position.seq) == (STEPS[-1].state_hash, len(BLOCKS))


def test_block_0_is_genesis() -> None:
    state, position = at(LOG, snapshots(3), 1, seq=0)
    assert (state.state_hash(), position.seq, position.event) == (Partition(1).state_hash(), 0, -1)


def test_a_snapshot_spares_reading_the_blocks_before_it() -> None:
    done: list[tuple[int, int]] = []
    at(LOG, snapshots(3, 9), 1, seq=11, progress=lambda blocks, of: done.append((blocks, of)))
    assert done == [(1, 2), (2, 2)]


def test_a_snapshot_that_cannot_be_used_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Damaged, or of another record: the one before it, or the record alone, is enough."""
    store, good = snapshots(3), snapshots(9, 10)
    for seq, damage in ((9, "state"), (10, "hash")):
        snapshot = good.latest(1, seq)
        assert snapshot
        store.save(snapshot._replace(state=snapshot.state[:-9]) if damage == "state" else snapshot._replace(block_hash=bytes(32)))
    with caplog.at_level(logging.WARNING):
        state, _ = at(LOG, store, 1)
    assert state.state_hash() == STEPS[-1].state_hash
    assert "block 10 is of another record" in caplog.text
    assert "block 9 is passed over" in caplog.text


def test_a_snapshot_beyond_the_record_is_passed_over() -> None:
    """The record was put back from an older copy; the snapshots were not."""
    short = recorded(BLOCKS[:5])
    state, position = at(short, snapshots(9), 1)
    assert (position.seq, state.events) == (5, position.event + 1)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"seq": 999}, rf"no block 999: its record ends with block {len(BLOCKS)}, event {STEPS[-1].end_event - 1}"),
        ({"event": STEPS[-1].end_event}, rf"no event {STEPS[-1].end_event}: "),
        ({"event": -1}, "count from 0"),
    ],
)
def test_what_is_not_in_the_record_is_refused_with_what_is(target: dict[str, int], message: str) -> None:
    with pytest.raises(NotInRecord, match=message):
        at(LOG, None, 1, seq=target.get("seq"), event=target.get("event"))


def test_only_one_target_can_be_named() -> None:
    with pytest.raises(ValueError, match="one of seq, event and time"):
        at(LOG, None, 1, seq=1, time_ns=5)
