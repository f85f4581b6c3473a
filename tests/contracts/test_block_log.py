"""What a BlockLog is. Every implementation runs this suite."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from eventstore.blocks import Block, after, digest, genesis
from eventstore.ports import BlockLog, Damaged, Fenced
from tests.contracts.record import LOGS, Open, Place, block_after


@pytest.fixture(params=LOGS, ids=lambda log: log.__name__)
def another(request: pytest.FixtureRequest, place: Place) -> Iterator[Open]:
    with request.param(place) as another:
        yield another


@pytest.fixture
def log(another: Open) -> BlockLog:
    return another()


def written(log: BlockLog, partition: int, blocks: int) -> list[Block]:
    """Claim *partition* and append that many blocks."""
    head, chain = log.claim(partition), []
    for _ in range(blocks):
        chain.append(block_after(head))
        log.append(chain[-1])
        head = after(chain[-1])
    return chain


def test_a_partition_begins_at_its_genesis(log: BlockLog) -> None:
    """Nobody has to create it, and looking at it does not either."""
    assert log.head(7) == genesis(7)
    assert list(log.read(7)) == []
    assert log.partitions() == []


def test_the_genesis_of_every_partition_is_its_own() -> None:
    """So a chain moved to another partition is noticed at its first block."""
    assert len({genesis(partition).hash for partition in range(512)}) == 512


def test_a_claim_raises_the_epoch_and_nothing_else(log: BlockLog) -> None:
    chain = written(log, 1, 2)
    first = log.head(1)
    second = log.claim(1)
    assert (first.epoch, second.epoch) == (1, 2)
    assert (second.seq, second.hash, second.next_event, second.time_ns) == (2, chain[1].hash, 2, 2)
    assert log.head(1) == second
    assert list(log.read(1)) == chain


def test_an_appended_block_is_the_head_and_is_read_back_as_it_was(log: BlockLog, another: Open) -> None:
    block = block_after(log.claim(1), commands=3, inputs=b'{"orders":17}')
    log.append(block)
    assert log.head(1) == after(block)
    assert list(log.read(1)) == list(another().read(1)) == [block]


def test_a_block_is_durable_when_append_returns(log: BlockLog, another: Open) -> None:
    """A handle opened afterwards, with the first one closed, has it."""
    chain = written(log, 1, 3)
    log.close()
    assert list(another().read(1)) == chain


@pytest.mark.parametrize("after_seq", [0, 1, 4, 5])
def test_reading_begins_after_the_given_block(log: BlockLog, after_seq: int) -> None:
    chain = written(log, 1, 5)
    assert list(log.read(1, after_seq)) == chain[after_seq:]


def test_reading_from_beyond_the_end_is_damage(log: BlockLog) -> None:
    """Who has seen block 4 knows that it was committed: a record without it has lost something."""
    written(log, 1, 3)
    with pytest.raises(Damaged, match="partition 1, block 4: missing; the record ends with block 3"):
        list(log.read(1, 4))


def test_reading_verifies_the_chain(log: BlockLog) -> None:
    """Whatever a writer that went wrong has sealed: its hash is right, its place is not."""
    first = block_after(log.claim(1))
    unsealed = replace(block_after(after(first)), first_event=7)
    wrong = replace(unsealed, hash=digest(unsealed))
    log.append(first)
    log.append(wrong)
    reading = log.read(1)
    assert next(reading) == first
    with pytest.raises(Damaged, match="partition 1, block 2: first event is 7, the block before ends before 1"):
        next(reading)


def test_appending_the_same_block_again_changes_nothing(log: BlockLog) -> None:
    """A commit whose answer was lost is repeated; the first attempt may have been durable."""
    chain = written(log, 1, 2)
    for block in chain:
        log.append(block)
    assert list(log.read(1)) == chain


def test_what_is_durable_stays_so_for_a_writer_that_was_fenced_since(log: BlockLog, another: Open) -> None:
    """Its block is in the record, and saying Fenced would make it tell its clients the opposite."""
    chain = written(log, 1, 1)
    successor = another()
    chain.append(block_after(successor.claim(1)))
    successor.append(chain[1])
    log.append(chain[0])
    assert list(log.read(1)) == chain


def test_a_claim_fences_whoever_claimed_before(log: BlockLog, another: Open) -> None:
    """The statement that appends proves ownership; no lock or lease does."""
    mine = log.claim(1)
    theirs = another().claim(1)
    with pytest.raises(Fenced, match="block 1 of epoch 1 does not follow the head, block 0 in epoch 2"):
        log.append(block_after(mine))
    block = block_after(theirs)
    log.append(block)
    assert list(log.read(1)) == [block]


def test_of_two_blocks_on_one_head_the_second_is_fenced(log: BlockLog, another: Open) -> None:
    """Even in the same epoch: a writer that ran twice by mistake cannot fork the chain."""
    head = log.claim(1)
    first, second = block_after(head, time_ns=5), block_after(head, time_ns=6)
    log.append(first)
    with pytest.raises(Fenced):
        another().append(second)
    assert list(log.read(1)) == [first]


def test_a_block_does_not_follow_one_that_is_not_there(log: BlockLog) -> None:
    first = block_after(log.claim(1))
    with pytest.raises(Fenced, match="block 2 of epoch 1 does not follow the head, block 0"):
        log.append(block_after(after(first)))
    assert list(log.read(1)) == []


def test_a_partition_nobody_claimed_takes_no_block(log: BlockLog) -> None:
    with pytest.raises(Fenced):
        log.append(block_after(genesis(1)))
    assert log.head(1) == genesis(1)


def test_partitions_know_nothing_of_each_other(log: BlockLog) -> None:
    chains = {partition: written(log, partition, partition % 4) for partition in (2, 511, 1, 4)}
    assert log.partitions() == [1, 2, 4, 511]
    for partition, chain in chains.items():
        assert list(log.read(partition)) == chain
        assert log.head(partition).epoch == 1


def test_a_reader_gets_the_blocks_that_were_committed_when_it_began(log: BlockLog) -> None:
    """So reading ends although writing does not."""
    chain = written(log, 1, 3)
    reading = log.read(1)
    assert next(reading) == chain[0]
    log.append(block_after(after(chain[2])))
    assert list(reading) == chain[1:]


def test_a_block_may_be_appended_by_another_thread_than_the_one_that_claimed(log: BlockLog) -> None:
    """The writer commits block N in a thread while it decides block N + 1."""
    block = block_after(log.claim(1))
    with ThreadPoolExecutor(1) as committer:
        committer.submit(log.append, block).result()
    assert list(log.read(1)) == [block]


def test_the_writers_of_several_partitions_share_one_log(log: BlockLog) -> None:
    """At once: one process may own many partitions of one file."""
    partitions = (1, 2, 3)
    with ThreadPoolExecutor(len(partitions)) as writers:
        chains = list(writers.map(lambda partition: written(log, partition, 20), partitions))
    assert [list(log.read(partition)) for partition in partitions] == chains


def test_reading_beside_writing_sees_whole_blocks_only(log: BlockLog, another: Open) -> None:
    head, stop, seen = log.claim(1), threading.Event(), [0]
    reader = another()

    def read() -> None:
        while not stop.is_set():
            seen.append(sum(1 for _ in reader.read(1, seen[-1])) + seen[-1])
            assert reader.head(1).seq >= seen[-1]

    with ThreadPoolExecutor(1) as reading:
        result = reading.submit(read)
        for _ in range(50):
            block = block_after(head, commands=5)
            log.append(block)
            head = after(block)
        stop.set()
        result.result()
    assert seen == sorted(seen)
    assert [block.seq for block in log.read(1)] == list(range(1, 51))


def test_of_writers_that_race_every_acknowledged_block_is_there_once(another: Open) -> None:
    """Each claims, appends until it is fenced, and claims again: the chain holds exactly what was acknowledged, in one line."""
    acknowledged: list[Block] = []

    def write(log: BlockLog) -> None:
        for _ in range(5):
            head = log.claim(1)
            try:
                for _ in range(5):
                    block = block_after(head, inputs=b'{"thread":%d}' % threading.get_ident())
                    log.append(block)
                    acknowledged.append(block)
                    head = after(block)
            except Fenced:
                continue

    with ThreadPoolExecutor(3) as writers:
        for done in [writers.submit(write, another()) for _ in range(3)]:
            done.result()
    chain = list(another().read(1))
    assert sorted(acknowledged, key=lambda block: block.seq) == chain
    assert another().head(1).epoch == 15
