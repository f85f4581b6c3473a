"""The record as an archive has it: closed ranges, read as any other record. Nothing can be appended to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import NoReturn

from eventstore.blocks import Block, Head, after
from eventstore.errors import Damaged, StoreFailed
from eventstore.ranges import chained
from eventstore.shelf import Shelf


class ArchiveLog:
    """The reading half of a BlockLog. Raises BadArchive."""

    def __init__(self, url: str) -> None:
        self.shelf = Shelf(url)

    @property
    def durability(self) -> str:
        """See BlockLog."""
        return f"archive {self.shelf.name}"

    def head(self, partition: int) -> Head:
        """See BlockLog. Its epoch is that of the last block: an archive knows nothing of claims."""
        return self.shelf.head(partition)

    def read(self, partition: int, after_seq: int = 0) -> Iterator[Block]:
        """See BlockLog."""
        line = self.shelf.line(partition)
        end = line[-1].to_seq if line else 0
        if after_seq > end:
            raise Damaged(partition, after_seq, f"missing; the record ends with block {end}")
        head: Head | None = None
        seq = after_seq
        for entry in line:
            if entry.to_seq <= seq:
                continue
            with closing(self.shelf.open(entry)) as file:
                for block in chained(file, seq, head):
                    yield block
                    head, seq = after(block), block.seq
            if seq != entry.to_seq:
                raise Damaged(partition, seq + 1, f"missing in {self.shelf.name}/{entry.file}")

    def partitions(self) -> list[int]:
        """See BlockLog."""
        return self.shelf.partitions()

    def close(self) -> None:
        """See BlockLog."""

    def claim(self, partition: int) -> NoReturn:
        """Raises StoreFailed."""
        raise StoreFailed(self.shelf.name, f"an archive is read only: partition {partition} cannot be claimed there")

    def append(self, block: Block) -> NoReturn:
        """Raises StoreFailed."""
        raise StoreFailed(self.shelf.name, f"an archive is read only: block {block.seq} of partition {block.partition} is not appended")
