"""Is the topic a copy of the record? Asked by a relay before it begins, and by anybody at any time, of every byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from eventstore import wire
from eventstore.blocks import Block
from eventstore.errors import Damaged, Disagree
from eventstore.kafka import BlocksTopic, Record, Tape
from eventstore.ports import BlockLog
from eventstore.publisher import RECORDS_IN_FLIGHT


def place(log: BlockLog, topic: BlocksTopic, partition: int) -> int:
    """The last block that the topic has, which is the record's of that number; 0 when it has none.

    What an earlier owner had under way when it lost the partition may stand last, with lower numbers: so the highest of as many counts.
    Raises Disagree when the record does not have that block; Damaged, NewerSchema, StoreFailed.
    """
    tail = topic.tail(partition, RECORDS_IN_FLIGHT + 1)
    if tail is None:
        return 0
    head = log.head(partition)
    if tail.seq > head.seq:
        raise Disagree(topic.name, partition, f"it ends with block {tail.seq}, {tail.hash.hex()}; the record ends with block {head.seq}")
    mine = next(log.read(partition, tail.seq - 1))
    if mine.hash != tail.hash:
        raise Disagree(topic.name, partition, f"block {tail.seq} is {tail.hash.hex()} there, {mine.hash.hex()} in the record")
    return tail.seq


@dataclass(slots=True)
class Comparison:
    """What came out of comparing: difference is the first there is, None when every record of the topic is the record's.

    first_seq, last_seq  the blocks that the topic has; 0, 0: none
    missing              how many blocks the record has after them: not relayed yet
    repeated             how many records of the topic are there once more
    """

    first_seq: int = 0
    last_seq: int = 0
    missing: int = 0
    repeated: int = 0
    difference: str | None = None


def compare(log: BlockLog, topic: BlocksTopic, partition: int) -> Comparison:
    """Compare every record of the topic with the record of the market, byte by byte, one in memory at a time.

    Raises StoreFailed; Damaged when the record itself is.
    """
    found = Comparison()
    with Tape(topic, partition) as tape:
        tape.go(tape.low)
        try:
            _walk(log, topic, partition, tape.records(), found)
        except Disagree as other:
            found.difference = other.what
    found.missing = log.head(partition).seq - found.last_seq
    return found


def _walk(log: BlockLog, topic: BlocksTopic, partition: int, records: Iterator[Record], found: Comparison) -> None:
    """Fill *found* up to the first difference. Raises Disagree at a record of another cluster."""
    blocks: Iterator[Block] = iter(())
    for record in records:
        if found.last_seq == 0:
            found.first_seq, found.last_seq = record.seq, record.seq - 1
            blocks = _from(log, partition, record.seq)
        if record.seq > found.last_seq + 1:
            found.difference = f"block {found.last_seq + 1} is missing before offset {record.offset}, which has block {record.seq}"
        elif record.seq <= found.last_seq:
            found.repeated += 1
            found.difference = _difference(record, next(_from(log, partition, record.seq), None), topic)
        else:
            found.difference = _difference(record, next(blocks, None), topic)
        if found.difference is not None:
            return
        found.last_seq = max(found.last_seq, record.seq)


def _from(log: BlockLog, partition: int, seq: int) -> Iterator[Block]:
    """The record from block *seq* on; nothing when it ends before."""
    return log.read(partition, seq - 1) if 1 <= seq <= log.head(partition).seq else iter(())


def _difference(record: Record, block: Block | None, topic: BlocksTopic) -> str | None:
    """What is wrong with a record that should hold *block*."""
    where = f"block {record.seq} at offset {record.offset} of {topic.name}"
    if block is None:
        return f"{where} is not in the record, which ends before it"
    if (record.hash, record.value) == (block.hash, wire.encode(block)):
        return None
    try:
        theirs = wire.decode(record.value)
    except Damaged as damaged:
        return f"{where} is damaged: {damaged.what}"
    if theirs == block:
        return f"{where} has the hash {record.hash.hex()} in its headers, {block.hash.hex()} in itself"
    return f"{where} is {theirs.hash.hex()} of partition {theirs.partition}, block {theirs.seq}; the record has {block.hash.hex()}"
