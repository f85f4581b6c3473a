"""A range of blocks written as one file that others can read, with the hashes of its chain.

| format    | file                                     | where the chain stands                                                      |
|-----------|------------------------------------------|-----------------------------------------------------------------------------|
| `parquet` | zstd, row groups of about 65,536 events  | key-value metadata of the footer                                            |
| `arrow`   | IPC file, zstd                           | metadata of the schema                                                      |
| `csv`     | header, empty field: null                | `<file>.chain.json` beside it, with the SHA-256 of the file: readers of CSV |
| `ndjson`  | one object per event, nulls left out     | and NDJSON know no comments                                                 |

Rows and columns are those of `Block.to_arrow()`. Keys: `outcry.partition`, `outcry.from_seq`, `outcry.to_seq`, `outcry.first_event`,
`outcry.event_count`, `outcry.prev_hash` (of the first block), `outcry.hash` (of the last), `outcry.chain` (`seq:hash`, one a line, of
every block: 70 bytes a block, the only thing here that grows with the range), `outcry.schema_version`. Hashes are hexadecimal.
Numbers of orders are above 2^53: a reader of JSON that keeps numbers as doubles (JavaScript, jq before 1.7) rounds them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from domain.verbs import SCHEMA_VERSION
from eventstore.arrow import SCHEMA, to_arrow
from eventstore.ports import BlockLog, Damaged, StoreFailed

ROWS_AT_ONCE: Final = 65_536  # at least; at most one block more

Facts = dict[str, str]
Write = Callable[[pa.Table], object]


class BadExport(ValueError):
    """What was asked for cannot be written; the text says why and what could be."""


class Exported(NamedTuple):
    """What was written. Hashes in hexadecimal: of the block before the range, and of its last."""

    path: Path
    format: str
    partition: int
    from_seq: int
    to_seq: int
    events: int
    size_bytes: int
    prev_hash: str
    hash: str


def export(
    log: BlockLog,
    partition: int,
    format: str,  # noqa: A002 # the word of the command line
    path: Path | str,
    from_seq: int = 1,
    to_seq: int | None = None,
    *,
    progress: Callable[[int], object] = lambda _blocks: None,
) -> Exported:
    """Write blocks *from_seq* to *to_seq* (None: the last one now) of *partition* to *path*, all or nothing; an older file is replaced.

    The range is read and verified once before anything is written, then again while it is written; memory does not grow with it.

    progress  is told now and then how many blocks are written
    Raises    BadExport; Damaged, NewerSchema of the record; StoreFailed when the file cannot be written
    """
    if format not in FORMATS:
        raise BadExport(f"format {format!r} is not known: {', '.join(FORMATS)}")
    last = _last_of_range(log, partition, from_seq, to_seq)
    facts, time_before_ns = _survey(log, partition, from_seq, last)
    path = Path(path)
    with landing(path) as part:
        with FORMATS[format](part, facts) as write:
            for table, blocks in _tables(log, partition, from_seq, facts, time_before_ns):
                write(table)
                progress(blocks)
        if format in SIDECAR:
            with part.open("rb") as written, landing(path.with_name(path.name + ".chain.json")) as beside:
                whole = facts | {"outcry.file_sha256": hashlib.file_digest(written, "sha256").hexdigest()}
                beside.write_bytes(msgspec.json.format(msgspec.json.encode(whole)))
        size_bytes = part.stat().st_size
    hashes = facts["outcry.prev_hash"], facts["outcry.hash"]
    return Exported(path, format, partition, from_seq, last, int(facts["outcry.event_count"]), size_bytes, *hashes)


def _last_of_range(log: BlockLog, partition: int, from_seq: int, to_seq: int | None) -> int:
    """Number of the last block to write. Raises BadExport when the record does not have the range."""
    head = log.head(partition)
    if head.seq == 0:
        raise BadExport(f"partition {partition} has no blocks; partitions of this store: {', '.join(map(str, log.partitions())) or 'none'}")
    last = head.seq if to_seq is None else to_seq
    if not 1 <= from_seq <= last <= head.seq:
        raise BadExport(f"blocks {from_seq} to {last} are no range of partition {partition}, which has blocks 1 to {head.seq}")
    return last


def _survey(log: BlockLog, partition: int, from_seq: int, to_seq: int) -> tuple[Facts, int]:
    """The chain of a range, and the time of the block before it (0 before the first)."""
    before = max(from_seq - 2, 0)
    time_before_ns = first_event = events = 0
    prev_hash = ""
    chain: list[str] = []
    for block in log.read(partition, before):
        if block.seq > to_seq:
            break
        if block.seq < from_seq:
            time_before_ns = block.time_ns
            continue
        if not chain:
            prev_hash, first_event = block.prev_hash.hex(), block.first_event
        events += block.event_count
        chain.append(f"{block.seq}:{block.hash.hex()}")
    facts = {
        "outcry.partition": f"{partition}",
        "outcry.from_seq": f"{from_seq}",
        "outcry.to_seq": f"{to_seq}",
        "outcry.first_event": f"{first_event}",
        "outcry.event_count": f"{events}",
        "outcry.prev_hash": prev_hash,
        "outcry.hash": chain[-1].partition(":")[2],
        "outcry.chain": "\n".join(chain),
        "outcry.schema_version": f"{SCHEMA_VERSION}",
    }
    return facts, time_before_ns


def _tables(log: BlockLog, partition: int, from_seq: int, facts: Facts, time_ns: int) -> Iterator[tuple[pa.Table, int]]:
    """The range in pieces worth a row group, each with the number of blocks so far."""
    to_seq, waiting, rows = int(facts["outcry.to_seq"]), [], 0
    for block in log.read(partition, from_seq - 1):
        waiting.append(to_arrow(block, time_ns))
        time_ns, rows = block.time_ns, rows + block.event_count
        if block.seq == to_seq and block.hash.hex() != facts["outcry.hash"]:
            raise Damaged(partition, to_seq, "is another block than it was when the export began")
        if rows >= ROWS_AT_ONCE or block.seq == to_seq:
            yield pa.Table.from_batches(waiting, SCHEMA).combine_chunks(), block.seq - from_seq + 1
            waiting, rows = [], 0
        if block.seq == to_seq:
            return


@contextmanager
def landing(path: Path) -> Iterator[Path]:
    """Where to write what shall be *path* once it is complete and durable; otherwise *path* stays as it was. Raises StoreFailed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    except OSError as error:
        raise StoreFailed(str(path), str(error)) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _parquet(part: Path, facts: Facts) -> Iterator[Write]:
    with pq.ParquetWriter(part, SCHEMA, compression="zstd") as writer:
        writer.add_key_value_metadata(facts)
        yield writer.write_table


@contextmanager
def _arrow(part: Path, facts: Facts) -> Iterator[Write]:
    with pa.ipc.new_file(part, SCHEMA.with_metadata(facts), options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        yield writer.write_table


@contextmanager
def _csv(part: Path, _facts: Facts) -> Iterator[Write]:
    with pc.CSVWriter(part, SCHEMA) as writer:
        yield writer.write_table


@contextmanager
def _ndjson(part: Path, _facts: Facts) -> Iterator[Write]:
    with part.open("wb") as file:
        yield lambda table: file.write(_lines(table))


def _lines(table: pa.Table) -> bytes:
    """One JSON object a row, without its nulls."""
    names = [name for name in table.column_names if table[name].null_count < table.num_rows]
    rows = zip(*(table[name].to_pylist() for name in names), strict=True)
    return msgspec.json.Encoder().encode_lines(
        {name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows
    )


FORMATS: Final[dict[str, Callable[[Path, Facts], AbstractContextManager[Write]]]] = {
    "parquet": _parquet,
    "arrow": _arrow,
    "csv": _csv,
    "ndjson": _ndjson,
}
SIDECAR: Final = ("csv", "ndjson")
