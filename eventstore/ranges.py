"""A closed range of a partition's blocks as one Parquet file: a row per block, its stored bytes and what lets a scan pass it over.

| column                      | what                                                                                                    |
|-----------------------------|---------------------------------------------------------------------------------------------------------|
| `seq` … `inputs`, `payload` | the fields of the block (eventstore/blocks.py); `prev_hash` is the `hash` of the row before             |
| `hash`                      | of the block                                                                                            |
| `kinds`                     | bit k: it has an event of kind k                                                                        |
| `orders`                    | Bloom filter (eventstore/bloom.py) of the orders that its events, or commands that were refused, name   |

Row groups end at 2 MiB of payload or 4,096 blocks; `seq`, `first_event` and `time_ns` have statistics, pages have checksums. Payloads and
filters are not compressed again. Keys of the footer: `outcry.partition`, `outcry.from_seq`, `outcry.to_seq`, `outcry.first_event`,
`outcry.event_count`, `outcry.prev_hash` (of the first block), `outcry.hash` (of the last), and `outcry.before`: seq, epoch, next event and
time of the head that the first block follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain import events as e
from domain.verbs import CANCEL_ORDER, ORDER, REDUCE_ORDER, REPLACE_ORDER, VERB
from eventstore import bloom
from eventstore.blocks import Block, Head, after, verify
from eventstore.columns import Words
from eventstore.errors import Damaged, StoreFailed
from eventstore.lazy import Opened

ROW_GROUP_BYTES: Final = 2 * 2**20
ROW_GROUP_BLOCKS: Final = 4_096
SCHEMA: Final = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("seq", pa.int64()),
            ("epoch", pa.int64()),
            ("first_event", pa.int64()),
            ("event_count", pa.int32()),
            ("command_count", pa.int32()),
            ("time_ns", pa.int64()),
            ("schema_version", pa.int32()),
            ("inputs", pa.binary()),
            ("hash", pa.binary(32)),
            ("kinds", pa.int64()),
            ("orders", pa.binary()),
            ("payload", pa.binary()),
        )
    ]
)
_STORED: Final = [name for name in SCHEMA.names if name not in ("kinds", "orders")]
_PACKED: Final = ("hash", "orders", "payload")
_NAMED_BY: Final = (  # kinds whose word 1 is an order; OrderRested names none that its outcome does not
    e.ORDER_ACCEPTED,
    e.ORDER_CANCELLED,
    e.ORDER_REDUCED,
    e.ORDER_REPLACED,
    e.TRADE_EXECUTED,
    e.ORDER_REMOVED,
    e.SELF_TRADE_PREVENTED,
)
_UNOBEYED: Final = {e.COMMAND_REFUSED, e.COMMAND_REPEATED}  # of which only the command names an order
_NAMING: Final = (CANCEL_ORDER, REDUCE_ORDER, REPLACE_ORDER)


class Hints(NamedTuple):
    """What a scan knows of a block without opening it: see `kinds` and `orders` above."""

    kinds: int
    orders: bytes


def hints(opened: Opened) -> Hints:
    """Of the block that was opened."""
    kinds = np.flatnonzero(np.bincount(opened.kinds)).tolist()
    named = [opened.event(kind, 1) for kind in kinds if kind in _NAMED_BY]
    if _UNOBEYED & set(kinds):
        asked = np.isin(opened.command(VERB), _NAMING) & np.isin(opened.kinds[opened.outcomes], list(_UNOBEYED))
        named.append(opened.command(ORDER)[asked])
    return Hints(sum(1 << kind for kind in kinds), bloom.build(np.concatenate(named)) if named else b"")


class RangeWriter:
    """Writes the blocks that follow *before* into *sink*, a path or a file. Nothing is complete before close()."""

    def __init__(self, sink: Any, before: Head) -> None:
        self._before, self._first_event = before, before.next_event
        self.head = before
        self._writer = pq.ParquetWriter(
            sink,
            SCHEMA,
            compression={name: "NONE" if name in _PACKED else "ZSTD" for name in SCHEMA.names},
            use_dictionary=False,
            write_statistics=["seq", "first_event", "time_ns"],
            write_page_checksum=True,
        )
        self._rows: list[tuple[Any, ...]] = []
        self._bytes = 0

    def add(self, block: Block) -> None:
        """The next block, which has been verified. Raises Damaged, NewerSchema when it cannot be opened."""
        assert (block.seq, block.prev_hash) == (self.head.seq + 1, self.head.hash), "blocks come in order"
        with block.reading():
            kinds, orders = hints(block.opened())
        place = block.seq, block.epoch, block.first_event, block.event_count, block.command_count, block.time_ns, block.schema_version
        self._rows.append((*place, block.inputs, block.hash, kinds, orders, block.payload))
        self._bytes += len(block.payload) + len(orders)
        self.head = after(block)
        if self._bytes >= ROW_GROUP_BYTES or len(self._rows) == ROW_GROUP_BLOCKS:
            self._flush()

    def close(self) -> None:
        """Write what is left, and the footer."""
        self._flush()
        before, head = self._before, self.head
        self._writer.add_key_value_metadata(
            {
                "outcry.partition": f"{before.partition}",
                "outcry.from_seq": f"{before.seq + 1}",
                "outcry.to_seq": f"{head.seq}",
                "outcry.first_event": f"{before.next_event}",
                "outcry.event_count": f"{head.next_event - before.next_event}",
                "outcry.prev_hash": before.hash.hex(),
                "outcry.hash": head.hash.hex(),
                "outcry.before": f"{before.seq} {before.epoch} {before.next_event} {before.time_ns}",
            }
        )
        self._writer.close()

    def _flush(self) -> None:
        if self._rows:
            columns = [pa.array(values, field.type) for values, field in zip(zip(*self._rows, strict=True), SCHEMA, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA), row_group_size=len(self._rows))
        self._rows, self._bytes = [], 0


class Index(NamedTuple):
    """What a scan knows of the blocks of a range: an entry per block, and the row group in which it stands."""

    seq: Words
    first_event: Words
    event_count: Words
    time_ns: Words
    time_before_ns: Words
    kinds: Words
    group: NDArray[np.intp]


class RangeFile:
    """A range that was written, opened to be read by any number of threads. *name* is how errors call it. Close it."""

    def __init__(self, file: Any, partition: int, name: str) -> None:
        self._partition, self._name, self._file = partition, name, file
        with self._errors():
            self._metadata = pq.ParquetFile(file).metadata
            facts = {key.decode(): value.decode() for key, value in (self._metadata.metadata or {}).items()}
        try:
            seq, epoch, next_event, time_ns = (int(number) for number in facts["outcry.before"].split())
            self.before = Head(int(facts["outcry.partition"]), epoch, seq, bytes.fromhex(facts["outcry.prev_hash"]), next_event, time_ns)
            self.last = bytes.fromhex(facts["outcry.hash"])
        except (KeyError, ValueError) as wrong:
            raise Damaged(partition, None, f"{name}: its footer does not say where it belongs ({wrong})") from None

    @cached_property
    def index(self) -> Index:
        """Of all its blocks. Raises Damaged, StoreFailed."""
        metadata = self._metadata
        table = self._read(range(metadata.num_row_groups), ["seq", "first_event", "event_count", "time_ns", "kinds"])
        columns = [table[name].to_numpy().astype(np.int64) for name in table.column_names]
        group = np.repeat(np.arange(metadata.num_row_groups), [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)])
        time_ns = columns[3]
        before = np.concatenate([[self.before.time_ns], time_ns[:-1]])
        return Index(columns[0], columns[1], columns[2], time_ns, before, columns[4], group)

    def orders(self, group: int) -> list[bytes]:
        """The filters of a row group's blocks. Raises Damaged, StoreFailed."""
        found: list[bytes] = self._read([group], ["orders"])["orders"].to_pylist()
        return found

    def hints(self, group: int) -> list[Hints]:
        """What is said of a row group's blocks. Raises Damaged, StoreFailed."""
        table = self._read([group], ["kinds", "orders"])
        return [Hints(*each) for each in zip(*(column.to_pylist() for column in table.columns), strict=True)]

    def groups(self, after_seq: int) -> range:
        """Row groups in which blocks from *after_seq* on stand."""
        return range(int(self.index.group[np.searchsorted(self.index.seq, after_seq)]), self._metadata.num_row_groups)

    def read_group(self, group: int) -> list[Block]:
        """The blocks of a row group as they are stored, the hash of the block before in the first of a later group left out."""
        table = self._read([group], _STORED)
        previous = self.before.hash if group == 0 else b""
        blocks = []
        for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
            seq, epoch, first_event, events, commands, time_ns, version, inputs, own_hash, payload = row
            place = self._partition, seq, epoch, first_event, events, commands, time_ns, version
            blocks.append(Block(*place, inputs, previous, own_hash, payload))
            previous = own_hash
        return blocks

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def _read(self, groups: Sequence[int], names: list[str]) -> pa.Table:
        """Columns of row groups. Arrow's reader keeps what it reads ahead where other threads would take it away: each call has its own."""
        with self._errors():
            reader = pq.ParquetFile(self._file, metadata=self._metadata, page_checksum_verification=True)
            return reader.read_row_groups(groups, names, use_threads=False)  # callers read several at once

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Arrow's errors by our names."""
        with arrow_errors(self._partition, self._name):
            yield


@contextmanager
def arrow_errors(partition: int, name: str) -> Iterator[None]:
    """Arrow's errors by our names: a file that is not there or is not what was written is damage, anything else the world's failure.

    Arrow says OSError for both, but with a number for the system's failures only, and in words for those of S3.
    """
    try:
        yield
    except FileNotFoundError as error:
        raise Damaged(partition, None, f"{name}: missing") from error
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and (error.errno is not None or "AWS Error" in str(error)):
            raise StoreFailed(name, str(error)) from error
        raise Damaged(partition, None, f"{name}: {error}") from error


def chained(file: RangeFile, after_seq: int, head: Head | None) -> Iterator[Block]:
    """The blocks after *after_seq*, which is of the range or the last before it, each with its place in the chain verified.

    head    what the first of them must follow; None: what the range says is before them
    Raises  Damaged, StoreFailed
    """
    if after_seq == file.before.seq:
        head = head or file.before
    for group in file.groups(max(after_seq, file.before.seq + 1)):
        for block in file.read_group(group):
            if block.seq <= after_seq:
                if block.seq == after_seq and head is None:
                    head = after(block)
                continue
            assert head is not None, "the block before stands in this group, or in front of the range"
            whole = block if block.prev_hash else replace(block, prev_hash=head.hash)
            verify(whole, head)
            head = after(whole)
            yield whole
