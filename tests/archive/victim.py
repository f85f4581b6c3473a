"""A process that archives a SQLite record in small ranges until it is killed.

    python -m tests.archive.victim RECORD ARCHIVE [--hasty]

It prints a line for each range that counts.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

from eventstore import closing
from eventstore.shelf import Entry, Shelf
from eventstore.sqlite import SqliteLog

RANGE_EVENTS: Final = 40
HASTE_S: Final = 0.02  # longer than all else that is done for a range, so that a killer who comes late on a busy machine still meets it


class HastyShelf(Shelf):
    """The negative control: a range counts first and is put into its place afterwards."""

    def place(self, draft: Path, file: str) -> int:
        self._late = draft.read_bytes(), file
        return len(self._late[0])

    def add(self, entry: Entry) -> Entry:
        counts = super().add(entry)
        content, file = self._late
        time.sleep(HASTE_S)
        with self.draft() as draft:
            draft.write_bytes(content)
            super().place(draft, file)
        return counts


def main(record: str, archive: str, *options: str) -> None:
    closing.MAX_RANGE_EVENTS = RANGE_EVENTS  # type: ignore[misc] # a range of production takes longer than a test
    shelf = Shelf(archive)
    if options:
        shelf = HastyShelf(archive)
        closing._check_written = lambda *_: None
    for entry in closing.close_ranges(SqliteLog(record, read_only=True), shelf, 1):
        print(entry.to_seq, flush=True)  # noqa: T201 - whoever kills it reads this


if __name__ == "__main__":
    main(*sys.argv[1:])
