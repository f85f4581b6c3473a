"""A range of blocks as a file that others open: the same rows in every form, the chain beside them, all or nothing."""

from __future__ import annotations

import csv
import hashlib
import json
import resource
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eventstore.archive import FORMATS, BadExport, export
from eventstore.arrow import SCHEMA
from eventstore.blocks import after, seal
from eventstore.memory import MemoryLog
from eventstore.ports import Damaged, StoreFailed
from tests.eventstore.rows import fill, trade_block
from tests.market import decode


@pytest.fixture
def log() -> MemoryLog:
    """Partition 1 with twelve blocks of one trade each, partition 2 with one."""
    log = MemoryLog()
    fill(log, 12)
    fill(log, 1, partition=2)
    return log


def chain_of(path: Path, form: str) -> dict[str, str]:
    """The facts about the chain, read as a stranger would read them."""
    if form == "parquet":
        metadata = pq.read_metadata(path).metadata
    elif form == "arrow":
        metadata = pa.ipc.open_file(path).schema.metadata
    else:
        return dict(json.loads(path.with_name(path.name + ".chain.json").read_text()))
    return {key.decode(): value.decode() for key, value in metadata.items() if key.startswith(b"outcry.")}


def rows_of(path: Path, form: str) -> list[dict[str, Any]]:
    """The rows without their nulls; whole numbers as numbers."""
    if form == "parquet":
        return _without_nulls(pq.read_table(path).to_pylist())
    if form == "arrow":
        return _without_nulls(pa.ipc.open_file(path).read_all().to_pylist())
    if form == "ndjson":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        lines = [{name: value for name, value in line.items() if value != ""} for line in csv.DictReader(file)]
    return [{name: value if name in ("kind", "verb", "symbol") else int(value) for name, value in line.items()} for line in lines]


def sql(query: str) -> list[Any]:
    """The answer of a DuckDB that knows nothing of us."""
    with duckdb.connect() as db:
        return db.execute(query).fetchall()


def _without_nulls(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def test_duckdb_finds_the_volume_that_the_events_have(log: MemoryLog, tmp_path: Path) -> None:
    """The point of an export: a stranger's SQL on the file against a naive count over the event rows."""
    path = tmp_path / "trades.parquet"
    export(log, 1, "parquet", path)
    asked = sql(f"SELECT instrument, sum(quantity_lots)::BIGINT FROM '{path}' WHERE kind = 'TradeExecuted' GROUP BY instrument")
    counted: Counter[int] = Counter()
    for block in log.read(1):
        for event in decode(block.events()):
            if event.name == "TradeExecuted":
                counted[event.instrument] += event.quantity_lots
    assert dict(asked) == counted == {1: 1 + 4 + 7 + 10, 2: 2 + 5 + 8 + 11, 3: 3 + 6 + 9 + 12}


def test_duckdb_finds_the_chain_in_the_footer(log: MemoryLog, tmp_path: Path) -> None:
    """The hashes travel inside the file, so that it can be held against the record years later."""
    path = tmp_path / "trades.parquet"
    export(log, 1, "parquet", path)
    found = sql(f"SELECT decode(value) FROM parquet_kv_metadata('{path}') WHERE decode(key) = 'outcry.hash'")
    assert found == [(log.head(1).hash.hex(),)]


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_has_the_rows_of_the_blocks(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """One row per event in the order in which they happened, columns as Block.to_arrow names them."""
    path = tmp_path / f"export.{form}"
    export(log, 1, form, path, 3, 8)
    expected = [row for block in log.read(1) if 3 <= block.seq <= 8 for row in _without_nulls(block.to_arrow().to_pylist())]
    assert rows_of(path, form) == expected
    assert len(expected) == 6 * 4


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_carries_the_chain(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """First prev_hash, last hash, and each block between: enough to find the place in the record, or to see that it is not there."""
    path = tmp_path / f"export.{form}"
    exported = export(log, 1, form, path, 3, 5)
    blocks = [block for block in log.read(1) if 3 <= block.seq <= 5]
    facts = chain_of(path, form)
    facts.pop("outcry.file_sha256", None)
    assert facts == {
        "outcry.partition": "1",
        "outcry.from_seq": "3",
        "outcry.to_seq": "5",
        "outcry.first_event": "8",
        "outcry.event_count": "12",
        "outcry.prev_hash": blocks[0].prev_hash.hex(),
        "outcry.hash": blocks[-1].hash.hex(),
        "outcry.chain": "\n".join(f"{block.seq}:{block.hash.hex()}" for block in blocks),
        "outcry.schema_version": "3",
    }
    assert exported[1:6] == (form, 1, 3, 5, 12)
    assert exported.size_bytes == path.stat().st_size
    assert (exported.prev_hash, exported.hash) == (blocks[0].prev_hash.hex(), blocks[-1].hash.hex())


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_the_chain_beside_a_text_file_is_of_that_file(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """Two files can be parted or mixed up; the SHA-256 says which belong together."""
    path = tmp_path / f"export.{form}"
    export(log, 1, form, path)
    assert chain_of(path, form)["outcry.file_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_types_survive(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """A side is a small number and a kind a name from a list, not text that everybody converts again."""
    path = tmp_path / f"export.{form}"
    export(log, 1, form, path)
    schema = pq.read_schema(path) if form == "parquet" else pa.ipc.open_file(path).schema
    assert schema.names == SCHEMA.names
    assert schema.field("side").type == pa.int8()
    assert schema.field("time_ns").type == pa.int64()
    assert pa.types.is_dictionary(schema.field("kind").type)


def test_time_goes_on_from_the_block_before_the_range(tmp_path: Path) -> None:
    """docs/rules.md 1.1: a command received before the last block ended has that block's time, in a range as in the whole."""
    log = MemoryLog()
    first = trade_block(log.claim(1), instrument=1, lots=1)
    log.append(first)
    log.append(seal(after(first), *first.rows(), first.time_ns))
    path = tmp_path / "second.ndjson"
    export(log, 1, "ndjson", path, 2, 2)
    rows = rows_of(path, "ndjson")
    assert [row["received_ns"] for row in rows if "received_ns" in row] == [10, 20]
    assert [row["time_ns"] for row in rows] == [20] * 4


def test_many_small_blocks_make_few_row_groups(tmp_path: Path) -> None:
    """An idle writer commits single commands; a row group each would make the file mostly footer."""
    log = MemoryLog()
    fill(log, 300)
    path = tmp_path / "export.parquet"
    export(log, 1, "parquet", path)
    assert pq.read_metadata(path).num_row_groups == 1
    assert pq.read_metadata(path).num_rows == 1_200


def test_progress_ends_with_the_number_of_blocks(log: MemoryLog, tmp_path: Path) -> None:
    """For a progress bar: blocks written so far, rising, the last time all of them."""
    told: list[int] = []
    export(log, 1, "arrow", tmp_path / "x.arrow", 5, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 8


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((1, "xls"), "format 'xls' is not known: parquet, arrow, csv, ndjson"),
        ((3, "csv"), "partition 3 has no blocks; partitions of this store: 1, 2"),
        ((1, "csv", 0), "blocks 0 to 12 are no range of partition 1, which has blocks 1 to 12"),
        ((1, "csv", 5, 4), "blocks 5 to 4 are no range"),
        ((1, "csv", 5, 13), "blocks 5 to 13 are no range of partition 1, which has blocks 1 to 12"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_nothing_written(log: MemoryLog, tmp_path: Path, arguments: Any, says: str) -> None:
    """An error names what was asked, what is wrong with it and what would be right."""
    with pytest.raises(BadExport, match=says):
        export(log, arguments[0], arguments[1], tmp_path / "x", *arguments[2:])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_record_leaves_an_older_export_as_it_was(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """Half a file under its final name would be taken for a whole one."""
    path = tmp_path / "export"
    path.write_text("the export of yesterday")
    del log._chains[1][6]
    with pytest.raises(Damaged, match="block 7"):
        export(log, 1, form, path)
    assert path.read_text() == "the export of yesterday"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", FORMATS)
def test_a_place_that_cannot_be_written_is_named(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """The world's failure has a name, and the text says where."""
    path = tmp_path / "absent" / "export"
    with pytest.raises(StoreFailed, match=str(path)):
        export(log, 1, form, path)


@pytest.mark.parametrize("form", FORMATS)
def test_a_full_disk_leaves_nothing_behind(log: MemoryLog, tmp_path: Path, form: str) -> None:
    """No file may grow beyond a few bytes: a write fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256, hard))
    try:
        with pytest.raises(StoreFailed, match="nothing was changed"):
            export(log, 1, form, tmp_path / "export")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_range(tmp_path: Path) -> None:
    """Streaming: besides the hashes only one piece of the range is in memory, 65,536 events here."""
    log = MemoryLog()
    head = log.claim(1)
    commands, events = trade_block(head, instrument=1, lots=1).rows()
    for _ in range(24):
        block = seal(head, commands * 8_192, events * 8_192, head.time_ns + 20)
        log.append(block)
        head = after(block)
    assert _peak_bytes(log, tmp_path, blocks=24) < 1.3 * _peak_bytes(log, tmp_path, blocks=4)


def _peak_bytes(log: MemoryLog, folder: Path, blocks: int) -> int:
    """What Python, numpy and Arrow hold at most while the first *blocks* are exported."""
    arrow: list[int] = []
    tracemalloc.start()
    export(log, 1, "parquet", folder / "x", to_seq=blocks, progress=lambda _: arrow.append(pa.total_allocated_bytes()))
    python = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return python + max(arrow)
