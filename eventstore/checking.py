"""An archive held against itself and against the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from eventstore.blocks import Block, Head, after, genesis
from eventstore.errors import Damaged
from eventstore.ports import BlockLog
from eventstore.ranges import RangeFile, chained, hints
from eventstore.shelf import Entry, Shelf

Progress = Callable[[int, int], object]  # blocks done, blocks in all


@dataclass(frozen=True, slots=True)
class BadRange:
    """The first range that is not what it was: file and blocks as its entry has them, and what is wrong. file None: none to be named."""

    file: str | None
    from_seq: int | None
    to_seq: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What reading an archive from end to end showed.

    ranges, blocks, events, size_bytes  good ones, all of them when ok
    compared                            how many of the blocks were held against the record
    """

    ok: bool
    partition: int
    ranges: int
    blocks: int
    events: int
    size_bytes: int
    compared: int
    first_bad: BadRange | None


def check(shelf: Shelf, partition: int, log: BlockLog | None = None, progress: Progress = lambda _done, _total: None) -> Checked:
    """Read every block: its hash and place in the chain, what is said of it for scans, and what *log* has in its place.

    What is wrong with the archive is a finding, not an error. Raises StoreFailed, NewerSchema: then nothing is known. Damage of *log* is
    its own matter, and a finding here too.
    """
    head, ranges, size_bytes, entry = genesis(partition), 0, 0, None
    bad = None
    recorded = iter(()) if log is None else log.read(partition)
    try:
        line = shelf.line(partition)
        for entry in line:
            with closing(shelf.open(entry)) as file:
                for block in _checked(file, entry, head):
                    if log is not None:
                        _compare(block, next(recorded, None))
                    head = after(block)
                    progress(block.seq, line[-1].to_seq)
            _check_end(entry, head)
            ranges, size_bytes = ranges + 1, size_bytes + entry.size_bytes
    except Damaged as damaged:
        bad = BadRange(None, None, None, str(damaged))
        if entry is not None:
            bad = BadRange(f"{shelf.name}/{entry.file}", entry.from_seq, entry.to_seq, str(damaged))
    return Checked(bad is None, partition, ranges, head.seq, head.next_event, size_bytes, 0 if log is None else head.seq, bad)


def _checked(file: RangeFile, entry: Entry, head: Head) -> Iterator[Block]:
    """The blocks of a range that follow *head*."""
    said = islice((each for group in file.groups(entry.from_seq) for each in file.hints(group)), head.seq + 1 - entry.from_seq, None)
    for block in chained(file, head.seq, head):
        with block.reading():
            found = hints(block.opened())
        if next(said, None) != found:
            raise Damaged(entry.partition, block.seq, "what is said of it for scans (kinds, orders) is not what it has")
        yield block


def _check_end(entry: Entry, head: Head) -> None:
    if head != entry.head:
        raise Damaged(entry.partition, head.seq, f"the range ends with {head}, its entry says {entry.head}")


def _compare(block: Block, recorded: Block | None) -> None:
    if recorded is None:
        raise Damaged(block.partition, block.seq, "the record does not have it")
    if recorded.hash != block.hash:
        raise Damaged(block.partition, block.seq, f"its hash is {block.hash.hex()}, in the record {recorded.hash.hex()}")
