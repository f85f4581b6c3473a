"""One state machine drives every implementation of BlockLog with the same calls: they must agree, and with a list of blocks."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from eventstore.blocks import Block, Head, after, genesis
from eventstore.ports import BlockLog, Damaged, Fenced
from tests.contracts.record import EMBEDDED, LOGS, Place, block_after
from tests.servers.fixtures import Database

PARTITIONS = st.integers(1, 3)


class EveryLog(RuleBasedStateMachine):
    """Writers claim and append, late, twice, out of order; the model is what was acknowledged, and the number of claims."""

    heads: ClassVar[Bundle[Head]] = Bundle("heads")
    blocks: ClassVar[Bundle[Block]] = Bundle("blocks")

    database: ClassVar[Database | None] = None  # None: only what needs no server

    def __init__(self) -> None:
        super().__init__()
        self.resources = ExitStack()
        folder = Path(self.resources.enter_context(tempfile.TemporaryDirectory()))
        place = Place(folder, lambda: emptied(self.database))
        self.open = [self.resources.enter_context(log(place)) for log in (LOGS if self.database else EMBEDDED)]
        self.logs: list[BlockLog] = [another() for another in self.open]
        self.chains: dict[int, list[Block]] = {}
        self.epochs: dict[int, int] = {}

    def teardown(self) -> None:
        self.resources.close()

    @rule(target=heads, partition=PARTITIONS)
    def claim(self, partition: int) -> Head:
        chain = self.chains.setdefault(partition, [])
        self.epochs[partition] = self.epochs.get(partition, 0) + 1
        claimed = [log.claim(partition) for log in self.logs]
        assert claimed == [claimed[0]] * len(self.logs)
        assert (claimed[0].epoch, claimed[0].seq) == (self.epochs[partition], len(chain))
        return claimed[0]

    @rule(target=blocks, head=heads, time_ns=st.integers(0, 3), commands=st.integers(1, 3))
    def seal(self, head: Head, time_ns: int, commands: int) -> Block:
        return block_after(head, time_ns=head.time_ns + time_ns, commands=commands)

    @rule(target=heads, block=consumes(blocks))
    def append(self, block: Block) -> Head | MultipleResults[Head]:
        return self._append(block)

    @rule(target=heads, block=blocks)
    def append_and_perhaps_again(self, block: Block) -> Head | MultipleResults[Head]:
        return self._append(block)

    @rule(which=st.integers(0, len(LOGS) - 1))
    def reopen(self, which: int) -> None:
        which %= len(self.logs)
        self.logs[which].close()
        self.logs[which] = self.open[which]()

    @rule(partition=PARTITIONS, after_seq=st.integers(0, 6))
    def read(self, partition: int, after_seq: int) -> None:
        chain = self.chains.get(partition, [])
        for log in self.logs:
            try:
                assert list(log.read(partition, after_seq)) == chain[after_seq:]
                assert after_seq <= len(chain)
            except Damaged:
                assert after_seq > len(chain)

    @invariant()
    def heads_are_where_the_chains_end(self) -> None:
        for log in self.logs:
            assert log.partitions() == sorted(self.epochs)
            for partition, chain in self.chains.items():
                head, end = log.head(partition), after(chain[-1]) if chain else genesis(partition)
                assert head == Head(partition, self.epochs[partition], end.seq, end.hash, end.next_event, end.time_ns)

    def _append(self, block: Block) -> Head | MultipleResults[Head]:
        chain, follows = self.chains[block.partition], False
        if block.epoch == self.epochs[block.partition] and block.seq == len(chain) + 1:
            follows = block.prev_hash == (chain[-1].hash if chain else genesis(block.partition).hash)
        if follows:
            chain.append(block)
        for log in self.logs:
            try:
                log.append(block)
                assert block in chain
            except Fenced:
                assert block not in chain
        return after(block) if follows else multiple()


def emptied(database: Database | None) -> Database:
    """*database* without its record: only the superuser can do that, with the triggers off."""
    assert database
    with database.stack.postgres.superuser(database.name) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("DELETE FROM outcry.head")
        for (leaf,) in superuser.execute(
            "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'outcry.blocks'::regclass"
        ).fetchall():
            superuser.execute(f"DROP TABLE {leaf}")
    return database


EveryLog.TestCase.settings = settings(stateful_step_count=20)
test_every_embedded_log_agrees = EveryLog.TestCase


def test_every_log_agrees(database: Database) -> None:
    class AlsoPostgres(EveryLog):
        pass

    AlsoPostgres.database = database
    run_state_machine_as_test(AlsoPostgres, settings=settings(stateful_step_count=20, max_examples=50))
