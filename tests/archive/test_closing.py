"""Closing ranges: which blocks go into which file, that they come back byte for byte, and that nothing counts that was not checked."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore import closing
from eventstore.blocks import Block, Head
from eventstore.checking import check
from eventstore.cold import ArchiveLog
from eventstore.errors import BadArchive
from eventstore.memory import MemoryLog
from eventstore.ports import Damaged, NewerSchema, StoreFailed
from eventstore.shelf import DAY_NS, Shelf
from tests.archive.days import OPENS_NS, archived, of_days
from tests.contracts.record import block_after
from tests.eventstore.rows import fill
from tests.projections.flow import recorded, trading


def blocks_of(log: MemoryLog | ArchiveLog, partition: int = 1) -> list[Block]:
    return list(log.read(partition))


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_day_is_a_range_and_the_present_one_stays_open(tmp_path: Path) -> None:
    """What comes tomorrow is not known today: the last day is at its end only when a later one has begun."""
    log = of_days([3, 2, 4])
    entries = archived(log, Shelf(str(tmp_path)))
    assert [(entry.from_seq, entry.to_seq, entry.event_count) for entry in entries] == [(1, 3, 3), (4, 5, 2)]
    assert blocks_of(ArchiveLog(str(tmp_path))) == blocks_of(log)[:5]


def test_a_range_ends_with_the_block_that_fills_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "MAX_RANGE_EVENTS", 3)
    entries = archived(of_days([8]), Shelf(str(tmp_path)))
    assert [(entry.from_seq, entry.to_seq) for entry in entries] == [(1, 3), (4, 6)]


def test_until_a_time_closes_what_is_not_at_its_end(tmp_path: Path) -> None:
    log, box = of_days([2, 3]), Shelf(str(tmp_path))
    until_ns = OPENS_NS + DAY_NS + 60 * 10**9  # the second block of the second day
    assert [(entry.from_seq, entry.to_seq) for entry in archived(log, box, until_ns=until_ns)] == [(1, 2), (3, 4)]
    assert archived(log, box, until_ns=until_ns) == []
    assert [(entry.from_seq, entry.to_seq) for entry in archived(log, box, until_ns=until_ns + DAY_NS)] == [(5, 5)]


def test_nothing_is_written_twice(tmp_path: Path) -> None:
    log, box = of_days([3, 2, 4]), Shelf(str(tmp_path))
    archived(log, box)
    before = {name: (tmp_path / name).stat().st_ino for name in files_in(tmp_path)}
    assert archived(log, Shelf(str(tmp_path))) == []
    assert {name: (tmp_path / name).stat().st_ino for name in files_in(tmp_path)} == before


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.lists(st.integers(1, 30), max_size=4))
def test_archive_and_tail_are_the_record_wherever_it_was_cut(tmp_path_factory: pytest.TempPathFactory, seed: int, cuts: list[int]) -> None:
    """Byte for byte, hashes included, and the same from any block on."""
    log = recorded(trading(seed, 300, 40), MemoryLog())
    whole = list(log.read(1))
    url = str(tmp_path_factory.mktemp("archive"))
    for cut in sorted(cuts):
        archived(log, Shelf(url), until_ns=whole[min(cut, len(whole)) - 1].time_ns)
    cold = ArchiveLog(url)
    archived_seq = cold.head(1).seq
    assert blocks_of(cold) + list(log.read(1, archived_seq)) == whole
    for after_seq in range(archived_seq + 1):
        assert list(cold.read(1, after_seq)) == whole[after_seq:archived_seq]
    assert check(Shelf(url), 1, log).ok


def test_every_partition_has_a_place_of_its_own(tmp_path: Path) -> None:
    log = MemoryLog()
    for partition in (1, 7):
        fill(log, 3, partition)
        archived(log, Shelf(str(tmp_path)), partition, until_ns=2**62)
    cold = ArchiveLog(str(tmp_path))
    assert cold.partitions() == [1, 7]
    assert [blocks_of(cold, partition) for partition in (1, 7)] == [blocks_of(log, partition) for partition in (1, 7)]


def test_an_older_release_says_of_a_newer_archive_which_it_needs(tmp_path: Path) -> None:
    archived(of_days([1, 1]), Shelf(str(tmp_path)))
    (entry,) = tmp_path.rglob("*.json")
    entry.write_text(entry.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(NewerSchema, match="has schema version 2, this release knows up to 1"):
        blocks_of(ArchiveLog(str(tmp_path)))


def test_of_two_archivers_at_once_one_counts_and_both_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both write each range, at the same moment, to the same name; its entry is made once."""
    log, together = of_days([3, 2, 4]), threading.Barrier(2)
    place = Shelf.place

    def both(box: Shelf, draft: Path, file: str) -> int:
        together.wait(10)
        return place(box, draft, file)

    monkeypatch.setattr(Shelf, "place", both)
    with ThreadPoolExecutor(2) as archivers:
        one, other = archivers.map(lambda _: archived(log, Shelf(str(tmp_path))), range(2))
    assert one == other
    assert blocks_of(ArchiveLog(str(tmp_path))) == blocks_of(log)[:5]
    assert len(list(tmp_path.rglob("*.parquet"))) == len(list(tmp_path.rglob("*.json"))) == 2


def test_who_closed_a_longer_range_first_is_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another archiver, told another --until, was quicker: its range counts, mine does not, and the next begins behind its."""
    log, mine, theirs = of_days([4, 4]), Shelf(str(tmp_path)), Shelf(str(tmp_path))
    place = mine.place

    def slowly(draft: Path, file: str) -> int:
        monkeypatch.setattr(mine, "place", place)
        archived(log, theirs, until_ns=OPENS_NS + 3 * 60 * 10**9)
        return place(draft, file)

    monkeypatch.setattr(mine, "place", slowly)
    entries = archived(log, mine, until_ns=OPENS_NS + 60 * 10**9)
    assert [(entry.from_seq, entry.to_seq) for entry in entries] == [(1, 4)]
    assert blocks_of(ArchiveLog(str(tmp_path))) == blocks_of(log)[:4]


def test_ranges_that_overlap_are_read_once(tmp_path: Path) -> None:
    """S3 cannot refuse a second entry: two archivers may leave ranges of one chain that overlap."""
    log, here, there = of_days([6, 1]), Shelf(str(tmp_path / "a")), Shelf(str(tmp_path / "b"))
    archived(log, here, until_ns=OPENS_NS + 60 * 10**9)
    archived(log, here, until_ns=OPENS_NS + 2 * 60 * 10**9)
    archived(log, there, until_ns=OPENS_NS + 4 * 60 * 10**9)
    archived(log, there)
    for name in files_in(tmp_path / "b"):
        if not (tmp_path / "a" / name).exists() or name.endswith("000000000001.json"):
            (tmp_path / "a" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    assert [(entry.from_seq, entry.to_seq) for entry in here.entries(1)] == [(1, 2), (3, 3), (6, 6)]
    fresh = Shelf(str(tmp_path / "a"))
    assert [(entry.from_seq, entry.to_seq) for entry in fresh.entries(1)] == [(1, 5), (3, 3), (6, 6)]
    assert blocks_of(ArchiveLog(str(tmp_path / "a"))) == blocks_of(log)[:6]
    assert check(fresh, 1, log).ok


def test_an_archive_of_another_record_is_not_continued(tmp_path: Path) -> None:
    archived(of_days([2, 1]), Shelf(str(tmp_path)))
    other = MemoryLog()
    head = other.claim(1)
    for _ in range(4):
        block = block_after(head, commands=2, time_ns=head.time_ns + DAY_NS)
        other.append(block)
        head = replace(head, seq=block.seq, hash=block.hash, next_event=head.next_event + 2, time_ns=block.time_ns)
    with pytest.raises(Damaged, match=r"partition 1, block 2: its hash is [0-9a-f]{64} in the record, [0-9a-f]{64} in the archive"):
        archived(other, Shelf(str(tmp_path)))


def test_an_archive_that_is_ahead_of_the_record_says_so(tmp_path: Path) -> None:
    archived(of_days([4, 1]), Shelf(str(tmp_path)))
    with pytest.raises(Damaged, match="block 4: the archive ends with it, the record with block 2"):
        archived(of_days([2]), Shelf(str(tmp_path)))


def test_what_is_not_as_it_was_written_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is damaged between writing and reading it back; the next attempt replaces it."""
    log, box = of_days([3, 1]), Shelf(str(tmp_path))
    place = box.place

    def badly(draft: Path, file: str) -> int:
        size = place(draft, file)
        path = tmp_path / file
        content = bytearray(path.read_bytes())
        content[len(content) // 4] ^= 1
        path.write_bytes(content)
        return size

    monkeypatch.setattr(box, "place", badly)
    with pytest.raises(Damaged):
        archived(log, box)
    assert ArchiveLog(str(tmp_path)).head(1).seq == 0
    assert [entry.to_seq for entry in archived(log, Shelf(str(tmp_path)))] == [3]
    assert blocks_of(ArchiveLog(str(tmp_path))) == blocks_of(log)[:3]


def test_the_chain_stands_in_the_footer_for_others(tmp_path: Path) -> None:
    """Any reader of Parquet can hold it against the record."""
    log = of_days([3, 1])
    archived(log, Shelf(str(tmp_path)))
    (path,) = tmp_path.rglob("*.parquet")
    facts = {key.decode(): value.decode() for key, value in pq.read_metadata(path).metadata.items() if key.startswith(b"outcry.")}
    blocks = blocks_of(log)
    assert facts == {
        "outcry.partition": "1",
        "outcry.from_seq": "1",
        "outcry.to_seq": "3",
        "outcry.first_event": "0",
        "outcry.event_count": "3",
        "outcry.prev_hash": blocks[0].prev_hash.hex(),
        "outcry.hash": blocks[2].hash.hex(),
        "outcry.before": "0 0 0 0",
    }
    assert pq.read_table(path, columns=["hash"])["hash"].to_pylist() == [block.hash for block in blocks[:3]]


def test_a_url_that_is_none_says_what_would_be_right() -> None:
    with pytest.raises(BadArchive, match="right would be a folder"):
        Shelf("gopher://somewhere")
    with pytest.raises(BadArchive, match="archive is empty"):
        Shelf("")


def test_a_folder_that_cannot_be_written_is_the_worlds_failure(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file")
    with pytest.raises(StoreFailed):
        archived(of_days([1, 1]), Shelf(str(tmp_path / "archive")))


def test_keys_in_a_url_are_not_shown() -> None:
    assert Shelf("s3://KEY:SECRET@bucket/prefix?endpoint_override=localhost:1&scheme=http").name == "s3://bucket/prefix"


def test_the_head_before_a_range_stands_in_it(tmp_path: Path) -> None:
    """So a range can be checked without the one before."""
    log = of_days([2, 2, 1])
    box = Shelf(str(tmp_path))
    _, second = archived(log, box)
    with contextlib.closing(box.open(second)) as file:
        blocks = blocks_of(log)
        assert file.before == Head(1, 1, 2, blocks[1].hash, 2, blocks[1].time_ns)
