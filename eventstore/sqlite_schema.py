"""The tables and triggers of a record in SQLite, schema version 1, and how such a file comes to be."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from eventstore.durable import sync_folder

SCHEMA_VERSION: Final = 1
NOT_THE_HEAD: Final = "a block follows the head it was sealed on"
# A block's row is numbered partition * 2^40 + seq, so that block follows block in the file and no index repeats the number.
SEQ_BITS: Final = 40
# 150-300 KB blocks, synchronous=FULL: 16 KiB pages 0.65 ms an append, 4 KiB 1.0, 64 KiB 0.75; a longer log between checkpoints
# gains nothing and makes the slowest append slower (4 MiB: 4 ms, 16 MiB: 12 ms).
PAGE_BYTES: Final = 16_384
CHECKPOINT_PAGES: Final = 256

SCHEMA: Final = (
    """CREATE TABLE head (
    part INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL,
    next_event INTEGER NOT NULL, time_ns INTEGER NOT NULL
) STRICT""",
    """CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    part INTEGER GENERATED ALWAYS AS (id >> 40), seq INTEGER GENERATED ALWAYS AS (id & 0xffffffffff),
    epoch INTEGER NOT NULL, first_event INTEGER NOT NULL, event_count INTEGER NOT NULL, command_count INTEGER NOT NULL,
    time_ns INTEGER NOT NULL, schema_version INTEGER NOT NULL, inputs BLOB NOT NULL,
    prev_hash BLOB NOT NULL, hash BLOB NOT NULL, payload BLOB NOT NULL
) STRICT""",
    """CREATE TRIGGER a_block_never_changes BEFORE UPDATE ON blocks BEGIN SELECT RAISE(ABORT, 'a block never changes'); END""",
    """CREATE TRIGGER a_block_is_never_removed BEFORE DELETE ON blocks BEGIN SELECT RAISE(ABORT, 'a block is never removed'); END""",
    # The compare-and-swap: adding a block is one statement, which moves the head or fails as a whole.
    f"""CREATE TRIGGER a_block_follows_the_head BEFORE INSERT ON blocks BEGIN
    SELECT RAISE(ABORT, '{NOT_THE_HEAD}') WHERE NOT EXISTS (SELECT 1 FROM head
        WHERE part = NEW.id >> 40 AND epoch = NEW.epoch AND seq = (NEW.id & 0xffffffffff) - 1 AND hash = NEW.prev_hash);
    UPDATE head SET seq = seq + 1, hash = NEW.hash, next_event = NEW.first_event + NEW.event_count, time_ns = NEW.time_ns
        WHERE part = NEW.id >> 40;
END""",  # noqa: S608  our own constant
    """CREATE TRIGGER a_head_only_advances BEFORE UPDATE ON head
WHEN NEW.part <> OLD.part OR NEW.epoch < OLD.epoch OR NEW.seq < OLD.seq OR NEW.seq > OLD.seq + 1
BEGIN SELECT RAISE(ABORT, 'a head only advances'); END""",
    """CREATE TRIGGER a_head_is_never_removed BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'a head is never removed'); END""",
)


def row_id(partition: int, seq: int) -> int:
    """Number of a block's row."""
    return (partition << SEQ_BITS) + seq


def create(path: Path) -> None:
    """Make an empty record under another name, then give it its own: a file of this name is always a whole record."""
    new = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    try:
        with closing(sqlite3.connect(new, isolation_level=None)) as db:
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN")
            for statement in SCHEMA:
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            db.execute("COMMIT")
        with suppress(FileExistsError):  # another process was first, and its record is as good
            os.link(new, path)
        sync_folder(path.parent)
    finally:
        new.unlink(missing_ok=True)
