"""Where an archive lies: a folder, or a bucket of an S3-compatible store; its ranges, and which of them count.

    partition=1/day=2026-11-30/000000000001-000000002700-5f0c….parquet   the blocks (eventstore/ranges.py)
    partition=1/ranges/000000000001.json                                 the entry: written last, and only what has one counts

`day` is that of the first block, in UTC. The name of a file ends with the first half of its last block's hash: a file of that name never
has another content.
Entries are made once. A folder refuses a second one of the same first block; S3 cannot through this library, and need not: ranges that
overlap are copies of one chain, and a reader takes each block once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa
from pyarrow import fs

from eventstore.blocks import Head, genesis
from eventstore.errors import BadArchive, Damaged, NewerSchema, StoreFailed
from eventstore.ranges import RangeFile, arrow_errors

FORMAT: Final = 1
DAY_NS: Final = 86_400 * 10**9


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A range that counts. Times are of its first and its last block, hashes hexadecimal: of the block before it, and of its last."""

    format: int = FORMAT
    partition: int
    from_seq: int
    to_seq: int
    first_event: int
    event_count: int
    epoch: int
    first_time_ns: int
    time_ns: int
    prev_hash: str
    hash: str
    file: str
    size_bytes: int

    @property
    def head(self) -> Head:
        """The head once its last block is the last."""
        return Head(self.partition, self.epoch, self.to_seq, bytes.fromhex(self.hash), self.first_event + self.event_count, self.time_ns)


class Shelf:
    """An archive as files and entries. Raises BadArchive."""

    def __init__(self, url: str) -> None:
        self._fs, self._root = _opened(url)
        self.name = _shown(url)
        self._known: dict[str, Entry] = {}

    def partitions(self) -> list[int]:
        """Those that have a range, ascending. Raises StoreFailed."""
        names = (Path(found.path).name for found in self._list(self._root) if found.type == fs.FileType.Directory)
        numbers = (name.removeprefix("partition=") for name in names if name.startswith("partition="))
        return sorted(int(number) for number in numbers if number.isdecimal() and self.entries(int(number)))

    def entries(self, partition: int) -> list[Entry]:
        """Of the ranges that count, by first block. Raises Damaged, NewerSchema, StoreFailed."""
        paths = sorted(found.path for found in self._list(f"{self._root}/partition={partition}/ranges") if found.path.endswith(".json"))
        return [self._known.get(path) or self._read(partition, path) for path in paths]

    def line(self, partition: int) -> list[Entry]:
        """Entries that follow each other from the first block on: each begins not after the end of the one before, and reaches further.

        Raises Damaged for a gap; NewerSchema, StoreFailed.
        """
        line: list[Entry] = []
        for entry in self.entries(partition):
            end = line[-1].to_seq if line else 0
            if entry.from_seq > end + 1:
                raise Damaged(partition, end + 1, f"missing in {self.name}: the next range there begins with block {entry.from_seq}")
            if entry.to_seq > end:
                line.append(entry)
        return line

    def head(self, partition: int) -> Head:
        """Where the archive ends. Raises as line()."""
        line = self.line(partition)
        return line[-1].head if line else genesis(partition)

    def open(self, entry: Entry) -> RangeFile:
        """The file of a range. Raises Damaged, StoreFailed."""
        name = f"{self.name}/{entry.file}"
        with arrow_errors(entry.partition, name):
            file = self._fs.open_input_file(f"{self._root}/{entry.file}")
        opened = RangeFile(file, entry.partition, name)
        if (opened.before.seq, opened.before.hash.hex(), opened.last.hex()) != (entry.from_seq - 1, entry.prev_hash, entry.hash):
            raise Damaged(entry.partition, entry.from_seq, f"{name} is not the file of blocks {entry.from_seq} to {entry.to_seq}")
        return opened

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """A file on this machine to write a range into; gone afterwards. Raises StoreFailed."""
        folder = Path(self._root) if isinstance(self._fs, fs.LocalFileSystem) else None
        try:
            if folder:
                folder.mkdir(parents=True, exist_ok=True)
                _sweep(folder)
            name = _draft(folder)
        except OSError as error:
            raise StoreFailed(self.name, str(error)) from error
        try:
            yield name
        finally:
            name.unlink(missing_ok=True)

    def place(self, draft: Path, file: str) -> int:
        """Put a draft where *file* of an entry says; its bytes. It does not count yet. Raises StoreFailed."""
        size_bytes = draft.stat().st_size
        with self._failing():
            if isinstance(self._fs, fs.LocalFileSystem):
                _land(draft, Path(self._root) / file)
            else:
                with draft.open("rb") as source, self._fs.open_output_stream(f"{self._root}/{file}") as sink:
                    shutil.copyfileobj(source, sink, 2**20)
        return size_bytes

    def add(self, entry: Entry) -> Entry:
        """Make *entry* count; the one that does: another, when somebody else closed a range from the same block on. Raises StoreFailed."""
        path = self._path(entry.partition, entry.from_seq)
        text = msgspec.json.format(msgspec.json.encode(entry))
        with self._failing():
            if isinstance(self._fs, fs.LocalFileSystem):
                _land_once(text, Path(path))
            elif self._fs.get_file_info(path).type == fs.FileType.NotFound:
                with self._fs.open_output_stream(path) as sink:
                    sink.write(text)
        return self._read(entry.partition, path)

    def _path(self, partition: int, from_seq: int) -> str:
        return f"{self._root}/partition={partition}/ranges/{from_seq:012d}.json"

    def _read(self, partition: int, path: str) -> Entry:
        name = path.replace(self._root, self.name, 1)
        with arrow_errors(partition, name), self._fs.open_input_stream(path) as source:
            text = source.read()
        try:
            if (form := msgspec.json.decode(text)["format"]) > FORMAT:
                raise NewerSchema(name, form, FORMAT)
            entry = msgspec.json.decode(text, type=Entry)
        except (msgspec.MsgspecError, KeyError, TypeError) as wrong:
            raise Damaged(partition, None, f"{name}: no entry of a range ({wrong})") from None
        if (entry.partition, self._path(partition, entry.from_seq)) != (partition, path) or entry.to_seq < entry.from_seq:
            raise Damaged(partition, None, f"{name}: the entry of another range, blocks {entry.from_seq} to {entry.to_seq}")
        self._known[path] = entry
        return entry

    def _list(self, folder: str) -> list[fs.FileInfo]:
        with self._failing():
            found: list[fs.FileInfo] = self._fs.get_file_info(fs.FileSelector(folder, allow_not_found=True))
        return found

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, pa.ArrowException) as error:
            raise StoreFailed(self.name, str(error)) from error


def file_name(partition: int, from_seq: int, to_seq: int, time_ns: int, last_hash: bytes) -> str:
    """Where the file of a range stands in an archive; *time_ns*: of its first block."""
    day = datetime.fromtimestamp(time_ns // 10**9, UTC).date()
    return f"partition={partition}/day={day}/{from_seq:012d}-{to_seq:012d}-{last_hash[:16].hex()}.parquet"


def _opened(url: str) -> tuple[fs.FileSystem, str]:
    """A folder may be said by its path."""
    if not url:
        raise BadArchive("archive is empty; right would be a folder, or s3://BUCKET/PREFIX")
    if "://" not in url:
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(url))  # noqa: PTH100, PTH111 - Path would lose nothing, gain nothing
    try:
        opened, root = fs.FileSystem.from_uri(url)
    except (pa.ArrowException, OSError, ValueError) as wrong:
        raise BadArchive(f"archive is {_shown(url)} ({wrong}); right would be a folder, or s3://BUCKET/PREFIX") from None
    return opened, root.rstrip("/")


def _shown(url: str) -> str:
    """Without keys, which a URL may hold."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _draft(folder: Path | None) -> Path:
    """A new file that bears our process's number, by which _sweep knows whose it is; in the system's folder for such when None is given."""
    handle, name = tempfile.mkstemp(".draft", f".{os.getpid()}-", folder)
    os.close(handle)
    return Path(name)


def _land(draft: Path, path: Path) -> None:
    """*draft* becomes *path*, durably."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _sync(draft)
    draft.replace(path)
    _sync(path.parent)


def _land_once(text: bytes, path: Path) -> None:
    """*path* with *text*, durably and whole, unless it is there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft(path.parent)
    draft.write_bytes(text)
    _sync(draft)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove drafts that the dead left."""
    for left in folder.rglob(".*.draft"):
        try:
            os.kill(int(left.name[1:].partition("-")[0]), 0)
        except ProcessLookupError:
            left.unlink(missing_ok=True)
        except (ValueError, PermissionError):
            continue
