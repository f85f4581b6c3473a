"""Snapshots as files: each is written aside and renamed, so a file of a snapshot's name is whole, or was damaged later."""

from __future__ import annotations

import hashlib
import logging
import os
import struct
from pathlib import Path
from typing import Final

from eventstore.durable import sync_folder
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
        try:
            with new.open("wb") as file:
                file.writelines((header, snapshot.state, _digest(header, snapshot.state)))
                file.flush()
                os.fsync(file.fileno())
            new.replace(path)
            sync_folder(self._folder)
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
        """See SnapshotStore. What a crash while saving left behind goes too."""
        half = list(self._folder.glob(f"{partition}-*.new"))
        for path in half + [self._path(partition, seq) for seq in self._kept(partition)[keep:]]:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise StoreFailed(str(path), str(error)) from error

    def _path(self, partition: int, seq: int) -> Path:
        return self._folder / f"{partition}-{seq}.snapshot"

    def _kept(self, partition: int) -> list[int]:
        """Numbers of the blocks of which a snapshot is kept, newest first."""
        names = [path.stem.partition("-")[2] for path in self._folder.glob(f"{partition}-*.snapshot")]
        return sorted((int(name) for name in names if name.isdecimal()), reverse=True)

    def _load(self, partition: int, seq: int) -> Snapshot | None:
        path = self._path(partition, seq)
        try:
            with path.open("rb") as file:
                header = file.read(_HEADER.size)
                state = file.read(max(0, path.stat().st_size - _HEADER.size - _HASH_BYTES))
                stored = file.read()
        except FileNotFoundError:
            return None  # pruned meanwhile
        except OSError as error:
            raise StoreFailed(str(path), str(error)) from error
        if stored != _digest(header, state):
            _LOG.warning("snapshot %s is damaged and passed over; delete it", path)
            return None
        magic, *place, block_hash = _HEADER.unpack(header)
        if (magic, place) != (_MAGIC, [partition, seq]):
            _LOG.warning("snapshot %s belongs to another place or release and is passed over; delete it", path)
            return None
        return Snapshot(partition, seq, block_hash, state)


def _digest(header: bytes, state: bytes) -> bytes:
    sha = hashlib.sha256(header)
    sha.update(state)
    return sha.digest()
