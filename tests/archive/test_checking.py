"""`verify --archive`: whatever is done to an archive is found, and file, range and block are named."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eventstore import ranges
from eventstore.checking import BadRange, check
from eventstore.cold import ArchiveLog
from eventstore.memory import MemoryLog
from eventstore.ports import Damaged
from eventstore.ranges import Hints
from eventstore.shelf import Shelf
from tests.archive.days import archived, of_days
from tests.eventstore.rows import fill


@pytest.fixture
def log() -> MemoryLog:
    """Three days, the last of them open."""
    return of_days([3, 4, 1])


@pytest.fixture
def box(log: MemoryLog, tmp_path: Path) -> Shelf:
    """Two ranges of it."""
    made = Shelf(str(tmp_path))
    archived(log, made)
    return made


def bad(box: Shelf, log: MemoryLog | None = None) -> BadRange:
    """What is found."""
    checked = check(Shelf(box.name), 1, log)
    assert checked.first_bad is not None
    assert not checked.ok
    return checked.first_bad


def test_an_archive_that_is_whole_is_found_whole(box: Shelf, log: MemoryLog) -> None:
    checked = check(box, 1, log)
    assert (checked.ok, checked.ranges, checked.blocks, checked.events, checked.compared) == (True, 2, 7, 7, 7)
    assert checked.size_bytes == sum(path.stat().st_size for path in Path(box.name).rglob("*.parquet"))
    assert check(box, 1).compared == 0


def test_any_flipped_bit_of_a_block_is_found_and_its_file_and_range_named(log: MemoryLog, tmp_path: Path) -> None:
    """In the data of each column: before it stands the header of its page, where a flip may mean nothing."""
    fill_log = MemoryLog()
    fill(fill_log, 5)
    box = Shelf(str(tmp_path))
    (entry,) = archived(fill_log, box, until_ns=2**62)
    path = tmp_path / entry.file
    whole = path.read_bytes()
    metadata = pq.read_metadata(path)
    columns = [metadata.row_group(0).column(at) for at in range(metadata.num_columns)]
    dice = random.Random(5)
    for column in columns:
        at = column.data_page_offset + column.total_compressed_size - 1 - dice.randrange(4)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << dice.randrange(8)]) + whole[at + 1 :])
        found = bad(box, fill_log)
        assert (found.file, found.from_seq, found.to_seq) == (str(path), 1, 5), column.path_in_schema
    path.write_bytes(whole)
    assert check(box, 1, fill_log).ok


@pytest.mark.parametrize("left", [0, 3, 400])
def test_a_file_cut_short_is_found(box: Shelf, left: int) -> None:
    path = sorted(Path(box.name).rglob("*.parquet"))[1]
    path.write_bytes(path.read_bytes()[:left])
    found = bad(box)
    assert (found.file, found.from_seq, found.to_seq) == (str(path), 4, 7)


def test_a_missing_file_is_found(box: Shelf) -> None:
    path = min(Path(box.name).rglob("*.parquet"))
    path.unlink()
    assert bad(box) == BadRange(str(path), 1, 3, f"partition 1: {path}: missing")
    with pytest.raises(Damaged, match="missing"):
        list(ArchiveLog(box.name).read(1))


def test_a_missing_range_is_found(box: Shelf) -> None:
    """Reading does not pass over it."""
    (Path(box.name) / "partition=1/ranges/000000000001.json").unlink()
    assert "block 1: missing" in bad(box).what
    with pytest.raises(Damaged, match="block 1: missing"):
        list(ArchiveLog(box.name).read(1))


def test_a_file_in_the_place_of_another_is_found(box: Shelf) -> None:
    first, second = sorted(Path(box.name).rglob("*.parquet"))
    second.write_bytes(first.read_bytes())
    assert "is not the file of blocks 4 to 7" in bad(box).what


def test_an_entry_that_lies_is_found(box: Shelf) -> None:
    path = Path(box.name) / "partition=1/ranges/000000000004.json"
    entry = json.loads(path.read_text())
    path.write_text(json.dumps(entry | {"event_count": 5}))
    assert "its entry says" in bad(box).what
    path.write_text("{")
    assert "no entry of a range" in bad(box).what


def test_a_chain_that_is_whole_and_not_the_records_is_found(tmp_path: Path) -> None:
    """Only the record, or a hash kept elsewhere, can tell: a forger makes a whole chain."""
    forged, box = MemoryLog(), Shelf(str(tmp_path))
    fill(forged, 3)
    archived(forged, box, until_ns=2**62)
    true = MemoryLog()
    fill(true, 3, instruments=2)
    assert check(box, 1).ok
    assert "in the record" in bad(box, true).what


def test_hints_that_would_hide_a_block_from_scans_are_found(log: MemoryLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain does not vouch for them: a block that says it has no trades would silently be missing from sums."""
    fill_log = MemoryLog()
    fill(fill_log, 3)
    box = Shelf(str(tmp_path))
    monkeypatch.setattr(ranges, "hints", lambda _opened: Hints(0, b""))
    (entry,) = archived(fill_log, box, until_ns=2**62)
    monkeypatch.undo()
    found = bad(box, fill_log)
    assert "what is said of it for scans" in found.what
    assert found.file == str(tmp_path / entry.file)


def test_a_range_is_read_from_any_block_across_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first block of a row group names a block that stands in the one before."""
    monkeypatch.setattr(ranges, "ROW_GROUP_BLOCKS", 2)
    log = of_days([7, 1])
    archived(log, Shelf(str(tmp_path)))
    blocks = list(log.read(1))[:7]
    cold = ArchiveLog(str(tmp_path))
    for after_seq in range(8):
        assert list(cold.read(1, after_seq)) == blocks[after_seq:]
    assert check(Shelf(str(tmp_path)), 1, log).ok
