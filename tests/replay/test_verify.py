"""Verification reads everything, and names the first block that is not as it was committed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from eventsourcing.persistence import StoredEvent

from eventstore.blocks import Head, digest
from eventstore.consumers import ConsumerRecorder
from eventstore.memory import MemoryLog
from eventstore.ports import CONSUMER_PARTITION, markets
from replay.source import Bad, blocks, verify
from tests.replay.records import BLOCKS, STEPS, record, recorded, rewritten


def test_a_good_record_is_ok_and_has_the_state_that_the_engine_had() -> None:
    done: list[tuple[int, int]] = []
    found = verify(recorded(BLOCKS), 1, lambda blocks, of: done.append((blocks, of)))
    assert (found.ok, found.blocks, found.events, found.first_bad) == (True, len(BLOCKS), STEPS[-1].end_event, None)
    assert found.state_hash == STEPS[-1].state_hash
    assert done == [(seq, len(BLOCKS)) for seq in range(1, len(BLOCKS) + 1)]


def test_an_empty_record_is_ok() -> None:
    assert verify(MemoryLog(), 1).ok


def damaged(change: str) -> MemoryLog:
    log = recorded(BLOCKS)
    chain = log._chains[1]
    if change == "flipped":
        payload = bytearray(chain[4].payload)
        payload[len(payload) // 2] ^= 1
        chain[4] = replace(chain[4], payload=bytes(payload))
    elif change == "removed":
        del chain[4]
    elif change == "swapped":
        chain[4], chain[5] = chain[5], chain[4]
    elif change == "time":
        chain[4] = replace(chain[4], time_ns=chain[4].time_ns + 1)
    return log


@pytest.mark.parametrize("change", ["flipped", "removed", "swapped", "time"])
def test_the_first_bad_block_is_named(change: str) -> None:
    """And what came before it still counts: four good blocks, and their state."""
    found = verify(damaged(change), 1)
    assert not found.ok
    assert found.first_bad
    assert (found.first_bad.partition, found.first_bad.seq, found.blocks) == (1, 5, 4)
    assert found.state_hash == [step for step in STEPS if step.seq == 4][-1].state_hash


def test_a_record_that_ends_before_its_head_says_is_bad() -> None:
    """The last blocks were cut off, the head was not."""

    class CutOff(MemoryLog):
        def head(self, partition: int) -> Head:
            return replace(super().head(partition), seq=len(BLOCKS))

    log = CutOff()
    log._chains = recorded(BLOCKS[:-2])._chains
    found = verify(log, 1)
    assert found.first_bad == Bad(1, len(BLOCKS) - 1, f"missing; the head says that the record ends with block {len(BLOCKS)}")


def test_a_well_sealed_forgery_is_bad_when_it_cannot_have_happened() -> None:
    """The chain vouches for bytes, the engine for what they mean."""
    seq = next(block.seq for block in BLOCKS if block.seq > 5 and block.event_count > block.command_count)
    found = verify(rewritten(BLOCKS, seq, lambda commands, events: (commands, inflated(events))), 1)
    assert found.first_bad
    assert (found.ok, found.first_bad.seq) == (False, seq)
    assert "cannot have happened" in found.first_bad.what


def test_a_time_that_is_not_that_of_the_commands_is_bad() -> None:
    times = [block.time_ns for block in BLOCKS]
    found = verify(record([block.rows() for block in BLOCKS], [*times[:-1], times[-1] + 1]), 1)
    assert found.first_bad == Bad(1, len(BLOCKS), f"its commands end at time {times[-1]}, the block says {times[-1] + 1}")


def test_blocks_stop_where_they_are_told() -> None:
    assert [block.seq for block in blocks(recorded(BLOCKS), 1, 2, 5)] == [3, 4, 5]


def inflated(events: bytes) -> bytes:
    """Every event says a hundred times the lots (or whatever else its fifth word says)."""
    rows = np.frombuffer(events, "<i8").reshape(-1, 8).copy()
    rows[:, 4] *= 100
    return rows.tobytes()


def registered() -> MemoryLog:
    """What a consumer recorded in three blocks."""
    log = MemoryLog()
    recorder = ConsumerRecorder(log)
    for number in range(1, 4):
        recorder.insert_events([StoredEvent("a stream", number, "a topic", b"a state")])
    return log


def test_what_a_consumer_recorded_is_verified_by_its_chain() -> None:
    log = registered()
    found = verify(log, CONSUMER_PARTITION)
    assert (found.ok, found.blocks, found.events, found.state_hash) == (True, 3, 3, log.head(CONSUMER_PARTITION).hash)


@pytest.mark.parametrize("forged", ["a byte", "the number of events"])
def test_the_first_bad_block_of_a_consumer_is_named(forged: str) -> None:
    log = registered()
    chain = log._chains[CONSUMER_PARTITION]
    if forged == "a byte":
        chain[1] = replace(chain[1], payload=chain[1].payload[:-1] + b"!")
    else:
        last = replace(chain[2], event_count=2)
        chain[2] = replace(last, hash=digest(last))
    found = verify(log, CONSUMER_PARTITION)
    assert found.first_bad
    assert (found.ok, found.first_bad.seq) == (False, 2 if forged == "a byte" else 3)


def test_a_market_is_told_from_what_a_consumer_recorded() -> None:
    log = recorded(BLOCKS)
    ConsumerRecorder(log).insert_events([StoredEvent("a stream", 1, "a topic", b"a state")])
    assert sorted(log.partitions()) == [CONSUMER_PARTITION, 1]
    assert markets(log) == [1]
