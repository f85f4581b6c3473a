"""The words of the tests of a real topic: a record that grows, its copy, and what stands in the topic."""

from __future__ import annotations

from eventstore.blocks import Block, after
from eventstore.kafka import BlocksTopic, Tape
from eventstore.memory import MemoryLog
from eventstore.publisher import Publisher
from tests.contracts.record import block_after

PARTITION = 1
CLUSTER = "11111111-2222-3333-4444-555555555555"


def grow(log: MemoryLog, blocks: int, *, claim: bool = False) -> list[Block]:
    """Append that many blocks to the record."""
    head = log.claim(PARTITION) if claim or log.head(PARTITION).epoch == 0 else log.head(PARTITION)
    made = []
    for _ in range(blocks):
        made.append(block_after(head))
        log.append(made[-1])
        head = after(made[-1])
    return made


def publish(topic: BlocksTopic, blocks: list[Block], publisher: Publisher | None = None) -> None:
    """Send *blocks* and see them acknowledged, as an owner does who asked nobody."""
    own = publisher or Publisher(topic, blocks[0].seq - 1)
    for block in blocks:
        own.send(block)
    while own.acknowledged < blocks[-1].seq:
        own.serve(0.05)
    if publisher is None:
        own.close()


def seqs(topic: BlocksTopic) -> list[int]:
    """The numbers of the blocks, record by record, repeated ones too."""
    with Tape(topic, PARTITION) as tape:
        tape.go(tape.low)
        return [record.seq for record in tape.records()]
