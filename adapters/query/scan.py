"""Tables as DuckDB scans them: it says which columns and which rows it wants, and no block is opened that cannot have any.

Three things let a block be passed over: the kinds of event it has; its numbers and times, by row group; and the orders it names, where the
filter asks for orders by number. Whether a filter can hold is asked of Arrow, which simplifies it by what is known of a row group.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from pyarrow import fs

from adapters.query.tables import DAY, TIME, Table
from eventstore import bloom
from eventstore.blocks import Block
from eventstore.ranges import RangeFile
from eventstore.shelf import DAY_NS

AHEAD: Final = 4  # row groups that are being decoded or wait to be taken
_NO_ORDER: Final = -1
T = TypeVar("T")
_TAIL_PIECE_EVENTS: Final = 2**18


class Later(NamedTuple):
    """A block of the record that is not archived yet, and the time of the block before it."""

    block: Block
    time_before_ns: int


class Piece(NamedTuple):
    """Blocks that are passed over, or read, together. read: the blocks of those chosen; orders: the filters of all, None: not known."""

    facts: pc.Expression
    kinds: Sequence[int] | None
    times_before_ns: Sequence[int]
    read: Callable[[], list[Block]]
    orders: Callable[[], list[bytes]] | None


def pieces_of(file: RangeFile) -> Iterator[Piece]:
    """The row groups of a range."""
    index = file.index
    bounds = np.searchsorted(index.group, np.arange(int(index.group[-1]) + 2))
    for group, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        facts = _facts(
            file.before.partition,
            (int(index.seq[begin]), int(index.seq[end - 1])),
            (int(index.first_event[begin]), int(index.first_event[end - 1] + index.event_count[end - 1]) - 1),
            (int(index.time_before_ns[begin]), int(index.time_ns[end - 1])),
        )
        kinds, before = index.kinds[begin:end].tolist(), index.time_before_ns[begin:end].tolist()
        yield Piece(facts, kinds, before, _reader(file, group), _filters(file, group))


def _reader(file: RangeFile, group: int) -> Callable[[], list[Block]]:
    return lambda: file.read_group(group)


def _filters(file: RangeFile, group: int) -> Callable[[], list[bytes]]:
    return lambda: file.orders(group)


def pieces_of_tail(tail: Sequence[Later]) -> Iterator[Piece]:
    """The tail of a partition in pieces of some events."""
    begin = events = 0
    for at, later in enumerate(tail):
        events += later.block.event_count
        if events >= _TAIL_PIECE_EVENTS or at == len(tail) - 1:
            some = tail[begin : at + 1]
            first, last = some[0].block, some[-1].block
            facts = _facts(
                first.partition,
                (first.seq, last.seq),
                (first.first_event, last.first_event + last.event_count - 1),
                (some[0].time_before_ns, last.time_ns),
            )
            yield Piece(facts, None, [each.time_before_ns for each in some], _blocks(some), None)
            begin, events = at + 1, 0


def _blocks(some: Sequence[Later]) -> Callable[[], list[Block]]:
    return lambda: [each.block for each in some]


class Scanned(ds.Dataset):  # type: ignore[misc] # pyarrow ships no types
    """A table over *pieces*, scanned anew each time, in order."""

    def __init__(self, table: Table, pieces: Sequence[Piece], executor: Executor, failed: Callable[[BaseException], None]) -> None:
        # Arrow's own __init__ is for datasets of files, and refuses; DuckDB asks for schema and scanner, nothing else.
        self._table, self._pieces, self._executor, self._failed = table, pieces, executor, failed

    @property
    def schema(self) -> pa.Schema:
        """All columns."""
        return self._table.schema

    def scanner(self, columns: Sequence[str] | None = None, filter: pc.Expression | None = None, **_: Any) -> ds.Scanner:  # noqa: A002 - Arrow's
        """Only the *columns*, of the rows for which *filter* holds."""
        names = list(self.schema.names if columns is None else columns)
        schema = pa.schema([self.schema.field(name) for name in names])
        return ds.Scanner.from_batches(self._batches(names, filter), schema=schema)

    def _batches(self, names: list[str], wanted: pc.Expression | None) -> Iterator[pa.RecordBatch]:
        text = "" if wanted is None else str(wanted)
        spoken_of = [name for name in self.schema.names if re.search(rf"\b{name}\b", text)]
        tasks, orders = [(piece, wanted) for piece in self._pieces], list[int]()
        if wanted is not None:
            facts = [piece.facts for piece in self._pieces]
            asks = set(_holds(facts, ~wanted, self.schema))  # elsewhere it holds for every row
            tasks = [(self._pieces[at], wanted if at in asks else None) for at in _holds(facts, wanted, self.schema)]
            orders = _orders_asked(self._table, wanted, text)
        mask = sum(1 << kind for kind in self._table.kinds)

        def read(task: tuple[Piece, pc.Expression | None]) -> list[pa.RecordBatch]:
            piece, asked = task
            return list(self._read(piece, mask, orders, spoken_of, names, asked))

        try:
            for batches in _in_order(self._executor, read, tasks):
                yield from batches
        except Exception as error:
            self._failed(error)  # what DuckDB makes of it is only its text
            raise

    def _read(
        self, piece: Piece, mask: int, orders: list[int], spoken_of: list[str], names: list[str], wanted: pc.Expression | None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of a piece. spoken_of: columns that *wanted* needs."""
        may = np.ones(len(piece.times_before_ns), np.bool_)
        if piece.kinds is not None:
            may &= (np.array(piece.kinds, np.int64) & mask) != 0
        if orders and piece.orders is not None and may.any():
            may &= bloom.may_have(piece.orders(), orders)
        if not may.any():
            return
        for block, before, read in zip(piece.read(), piece.times_before_ns, may.tolist(), strict=True):
            if not read:
                continue
            if wanted is None:
                yield self._table.batch(block, before, names)
            elif not orders or self._table.batch(block, before, spoken_of).filter(wanted).num_rows:  # few have one: look for it alone first
                needed = [*names, *(name for name in spoken_of if name not in names)]
                yield self._table.batch(block, before, needed).filter(wanted).select(names)


def _facts(partition: int, seq: tuple[int, int], event_index: tuple[int, int], time_ns: tuple[int, int]) -> pc.Expression:
    """What is true of every row of a piece, whatever the table."""
    day = [pa.scalar(each // DAY_NS, pa.int32()).cast(DAY.type) for each in time_ns]
    time = [pa.scalar(each, TIME.type) for each in time_ns]
    facts = pc.field("partition") == partition
    for name, (low, high) in (("seq", seq), ("event_index", event_index), ("time_ns", time_ns), (TIME.name, time), (DAY.name, day)):
        facts &= pc.field(name) == low if low == high else (pc.field(name) >= low) & (pc.field(name) <= high)
    return facts


def _holds(facts: Sequence[pc.Expression], wanted: pc.Expression, schema: pa.Schema) -> list[int]:
    """Under which of *facts* a row may be *wanted*. No file is opened: there are none."""
    known = ds.FileSystemDataset.from_paths(
        [str(at) for at in range(len(facts))],
        schema=schema,
        format=ds.ParquetFileFormat(),
        filesystem=fs.LocalFileSystem(),
        partitions=list(facts),
    )
    return sorted(int(fragment.path) for fragment in known.get_fragments(filter=wanted))


def _orders_asked(table: Table, wanted: pc.Expression, text: str) -> list[int]:
    """Numbers of orders of which each wanted row has one; none: that is not what is asked for.

    It is when the filter speaks of orders in no other way than `column = number`, and cannot hold for a row whose orders are all others.
    """
    named = [column for column in table.orders if re.search(rf"\b{column}\b", text)]
    numbers = [int(number) for column in named for number in re.findall(rf"\({column} == (\d+)\)", text)]
    spoken_of = sum(len(re.findall(rf"\b{column}\b", text)) for column in named)
    if not named or len(numbers) != spoken_of:
        return []
    others = pc.field(named[0]) == _NO_ORDER
    for column in named[1:]:
        others &= pc.field(column) == _NO_ORDER
    return [] if _holds([others], wanted, table.schema) else numbers


def _in_order(executor: Executor, function: Callable[[T], list[pa.RecordBatch]], tasks: Iterable[T]) -> Iterator[list[pa.RecordBatch]]:
    """What *function* makes of each, a few of them at once."""
    waiting = deque[Any]()
    try:
        for task in tasks:
            waiting.append(executor.submit(function, task))
            if len(waiting) == AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.cancel()
