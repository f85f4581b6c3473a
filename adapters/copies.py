"""Are the copies of a stack's record what the record is: the standby of Postgres, and the topic in Kafka?"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from adapters.settings import Settings
from eventstore import agreement
from eventstore.kafka import BlocksTopic
from eventstore.ports import CONSUMER_PARTITION, BlockLog, Damaged
from eventstore.postgres import PostgresLog
from eventstore.topics import BLOCKS
from replay import source
from replay.source import Progress, Verified


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a partition's record. behind: blocks of the record that it does not have yet; difference: the first there is, else None."""

    name: str
    blocks: int
    behind: int
    difference: str | None


@dataclass(frozen=True, slots=True)
class Checked:
    """A partition: its record, and the copies of it."""

    partition: int
    record: Verified
    copies: list[Copy]

    @property
    def ok(self) -> bool:
        """Everything is as it was committed, and every copy is one."""
        return self.record.ok and all(copy.difference is None for copy in self.copies)


def check(settings: Settings, log: PostgresLog, partition: int, progress: Progress | None = None) -> Checked:
    """Read the partition everywhere it stands, one block in memory at a time. Raises StoreFailed, NewerSchema."""
    record = source.verify(log, partition, progress)
    copies = [_topic(settings, log, partition)] if partition != CONSUMER_PARTITION else []  # nobody follows the registry in Kafka
    if settings.standby:
        with closing(PostgresLog(settings.standby, cluster=log.cluster, i_know_this_loses_data=True)) as standby:
            copies.append(_standby(log, standby, partition))
    return Checked(partition, record, copies)


def _topic(settings: Settings, log: PostgresLog, partition: int) -> Copy:
    try:
        found = agreement.compare(log, BlocksTopic(settings.kafka, log.cluster, settings.topic_prefix + BLOCKS), partition)
    except Damaged as damaged:
        return Copy("kafka", 0, 0, str(damaged))
    blocks = found.last_seq - found.first_seq + 1 if found.last_seq else 0
    return Copy("kafka", blocks, found.missing, found.difference)


def _standby(log: BlockLog, standby: BlockLog, partition: int) -> Copy:
    """Block by block, because a standby that was promoted by mistake may have blocks of its own."""
    ours, blocks = log.read(partition), 0
    try:
        for theirs in standby.read(partition):
            mine = next(ours, None)
            if mine is None:
                return Copy("standby", blocks, 0, f"has block {theirs.seq}, {theirs.hash.hex()}, and the record ends before it")
            if mine != theirs:
                return Copy("standby", blocks, 0, f"block {theirs.seq} is {theirs.hash.hex()}, in the record {mine.hash.hex()}")
            blocks += 1
    except Damaged as damaged:
        return Copy("standby", blocks, 0, str(damaged))
    return Copy("standby", blocks, log.head(partition).seq - blocks, None)
