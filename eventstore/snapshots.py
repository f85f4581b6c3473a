"""Snapshots as files: each is written aside and renamed, so a file of a snapshot's name is whole, or was damaged later."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
from pathlib import Path
from typing import Final

from eventstore.ports import Snapshot, StoreFailed

_LOG: Final = logging.getLogger(__name__)
_MAGIC: Final = b"OUTCRYS1"
_HEADER: Final = struct.Struct("<8sQQ32s")  # magic, partition, seq, hash of the block; then the state; then SHA-256 of all before
_HASH_BYTES: Final = 32


class FileSnapshots:
    """SnapshotStore in the folder *folder*, which is created when it is not there.

    File partition-seq.snapshot: magic, partition, seq, hash of the block, state, SHA-256 of all that. Files of other names are left alone.
    """

    def __init__(self, folder: Path | str) -> None:
        self._folder = Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreFailed(str(self._folder), str(error)) from error

    def save(self, snapshot: Snapshot) -> None:
        """See SnapshotStore."""
        path = self._path(snapshot.partition, snapshot.seq)
        new = path.with_suffix(f".{os.getpid()}.new")
        header = _HEADER.pack(_MAGIC, snapshot.partition, snapshot.seq, snapshot.block_hash)
        sha = hashlib.sha256(header)
        sha.update(snapshot.state)
        try:
            with new.open("wb") as file:
                file.writelines((header, snapshot.state, sha.digest()))
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            _sync_folder(self._folder)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise StoreFailed(str(path), str(error)) from error

    def latest(self, partition: int, at_most_seq: int | None = None) -> Snapshot | None:
        """See SnapshotStore."""
        for seq in self._kept(partition):
            if at_most_seq is None or seq <= at_most_seq:
                snapshot = self._load(partition, seq)
                if snapshot is not None:
                    return snapshot
        return None

    def prune(self, partition: int, keep: int) -> None:
        """See SnapshotStore."""
        for seq in self._kept(partition)[keep:]:
            path = self._path(partition, seq)
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreFailed(str(path), str(error)) from error

    def _path(self, partition: int, seq: int) -> Path:
        return self._folder / f"{partition}-{seq}.snapshot"

    def _kept(self, partition: int) -> list[int]:
        """Numbers of the blocks of which a snapshot is kept, newest first."""
        names = [path.stem.split("-") for path in self._folder.glob(f"{partition}-*.snapshot")]
        return sorted((int(seq) for _, seq in names if seq.isdecimal()), reverse=True)

    def _load(self, partition: int, seq: int) -> Snapshot | None:
        path = self._path(partition, seq)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None  # pruned meanwhile
        except OSError as error:
            raise StoreFailed(str(path), str(error)) from error
        body = memoryview(content)[: max(0, len(content) - _HASH_BYTES)]
        if len(body) < _HEADER.size or hashlib.sha256(body).digest() != content[-_HASH_BYTES:]:
            _LOG.warning("snapshot %s is damaged and passed over; delete it", path)
            return None
        magic, *place, block_hash = _HEADER.unpack_from(body)
        if (magic, place) != (_MAGIC, [partition, seq]):
            _LOG.warning("snapshot %s belongs to another place or release and is passed over; delete it", path)
            return None
        return Snapshot(partition, seq, block_hash, bytes(body[_HEADER.size :]))


def _sync_folder(folder: Path) -> None:
    """Make a rename in *folder* durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
