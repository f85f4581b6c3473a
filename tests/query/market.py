"""A query asked in a test: over an archive of some blocks, and a record with the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from adapters.query.engine import USUAL, Database, Limits, database
from adapters.query.reading import Reading, reading
from eventstore.blocks import Block
from eventstore.memory import MemoryLog
from eventstore.shelf import Shelf
from tests.archive.days import archived
from tests.projections.flow import recorded

Rows = list[tuple[Any, ...]]


class Asked:
    """Ask it as often as you like: each time anew, over the first blocks in an archive and the others in the record."""

    def __init__(self, folder: Path, blocks: Sequence[Block], archived_blocks: int) -> None:
        self.log = recorded(list(blocks), MemoryLog())
        self.blocks = list(self.log.read(1))
        self.shelf = Shelf(str(folder))
        if archived_blocks:
            archived(self.log, self.shelf, until_ns=self.blocks[min(archived_blocks, len(self.blocks)) - 1].time_ns)

    @contextmanager
    def opened(self, limits: Limits = USUAL, accounts: Mapping[str, int] | None = None) -> Iterator[tuple[Reading, Database]]:
        with reading(self.shelf, self.log) as found, database(found, limits, accounts) as asked:
            yield found, asked

    def rows(self, *queries: str) -> list[Rows]:
        """The answers to some queries."""
        answers = []
        with self.opened() as (_, asked):
            for query in queries:
                with asked.ask(query) as answer:
                    answers.append(list(zip(*(column.to_pylist() for column in _plain(answer.read_all()).columns), strict=True)))
        return answers

    def row(self, query: str) -> tuple[Any, ...]:
        """The one row of an answer."""
        ((row,),) = self.rows(query)
        return row


def _plain(table: pa.Table) -> pa.Table:
    """Times as text: Python's have no nanoseconds."""
    columns = [column.cast(pa.string()) if pa.types.is_timestamp(column.type) else column for column in table.columns]
    return pa.table(columns, table.column_names)
