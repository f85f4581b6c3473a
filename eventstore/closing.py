"""Closes ranges of blocks: writes them into an archive, reads them back, and only then makes them count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Final

from eventstore.blocks import Block, Head
from eventstore.errors import Damaged
from eventstore.ports import BlockLog
from eventstore.ranges import RangeWriter, chained
from eventstore.shelf import DAY_NS, Entry, Shelf, file_name

MAX_RANGE_EVENTS: Final = 2**24  # a range ends with the block that reaches them, or with the last block of a day (UTC)

Progress = Callable[[int, int], object]  # blocks done, blocks in all


def close_ranges(
    log: BlockLog, shelf: Shelf, partition: int, until_ns: int | None = None, *, progress: Progress = lambda _done, _total: None
) -> Iterator[Entry]:
    """Close range after range of what *shelf* does not have yet, each given when it counts.

    Where ranges end is decided by the record alone: two archivers at once write the same files. With *until_ns* blocks up to that time
    are archived too whose range is not at its end.

    Raises  Damaged when record and archive differ, or what was written is not what is read back; NewerSchema, StoreFailed
    """
    total = log.head(partition).seq
    while True:
        before = shelf.head(partition)
        _check_same(log, before)
        entry = _close_one(log, shelf, before, until_ns, lambda seq: progress(seq, total))
        if entry is None:
            return
        yield entry


def _check_same(log: BlockLog, archived: Head) -> None:
    """The record goes on where the archive ends."""
    recorded = log.head(archived.partition)
    if recorded.seq < archived.seq:
        raise Damaged(archived.partition, archived.seq, f"the archive ends with it, the record with block {recorded.seq}")
    if archived.seq == 0:
        return
    (last,) = _first(log, archived.partition, archived.seq - 1)
    if last.hash != archived.hash:
        raise Damaged(
            archived.partition, archived.seq, f"its hash is {last.hash.hex()} in the record, {archived.hash.hex()} in the archive"
        )


def _first(log: BlockLog, partition: int, after_seq: int) -> list[Block]:
    """The block after *after_seq*, if there is one."""
    reading = log.read(partition, after_seq)
    return [block for block, _ in zip(reading, range(1), strict=False)]


def _close_one(log: BlockLog, shelf: Shelf, before: Head, until_ns: int | None, progress: Callable[[int], object]) -> Entry | None:
    """The next range; None when it is not at its end."""
    partition, head = before.partition, log.head(before.partition)
    first = _first(log, partition, before.seq)
    if not first or not _is_due(first[0], before, head, until_ns):
        return None
    hashes: list[bytes] = []
    with shelf.draft() as draft:
        writer = RangeWriter(draft, before)
        for block in log.read(partition, before.seq):
            if _day(block) != _day(first[0]) or (until_ns is not None and block.time_ns > until_ns):
                break
            writer.add(block)
            hashes.append(block.hash)
            progress(block.seq)
            if writer.head.next_event - before.next_event >= MAX_RANGE_EVENTS or block.seq == head.seq:
                break
        writer.close()
        written = writer.head
        file = file_name(partition, before.seq + 1, written.seq, first[0].time_ns, written.hash)
        size_bytes = shelf.place(draft, file)
    entry = Entry(
        partition=partition,
        from_seq=before.seq + 1,
        to_seq=written.seq,
        first_event=before.next_event,
        event_count=written.next_event - before.next_event,
        epoch=written.epoch,
        first_time_ns=first[0].time_ns,
        time_ns=written.time_ns,
        prev_hash=before.hash.hex(),
        hash=written.hash.hex(),
        file=file,
        size_bytes=size_bytes,
    )
    _check_written(shelf, entry, hashes)
    return _settled(shelf.add(entry), entry, hashes)


def _is_due(first: Block, before: Head, head: Head, until_ns: int | None) -> bool:
    """Whether the range that begins with *first* is at its end, or is closed before it."""
    if until_ns is not None and first.time_ns <= until_ns:
        return True
    return until_ns is None and (head.next_event - before.next_event >= MAX_RANGE_EVENTS or head.time_ns // DAY_NS != _day(first))


def _day(block: Block) -> int:
    return block.time_ns // DAY_NS


def _check_written(shelf: Shelf, entry: Entry, hashes: list[bytes]) -> None:
    """What stands in the archive is, block by block, what was read from the record."""
    with closing(shelf.open(entry)) as file:
        found = [block.hash for block in chained(file, entry.from_seq - 1, None)]
    if found != hashes:
        raise Damaged(entry.partition, entry.from_seq, f"{shelf.name}/{entry.file}: read back, its blocks are not those of the record")


def _settled(counts: Entry, mine: Entry, hashes: list[bytes]) -> Entry:
    """The entry that counts: mine, or that of another archiver, whose blocks must be of the same chain."""
    last = min(counts.to_seq, mine.to_seq)
    if counts.prev_hash != mine.prev_hash or (counts.to_seq == last and bytes.fromhex(counts.hash) != hashes[last - mine.from_seq]):
        raise Damaged(mine.partition, mine.from_seq, f"somebody else archived other blocks from here on, in {counts.file}")
    return counts
