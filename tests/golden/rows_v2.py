"""The rows of the golden blocks of schema version 2, which added records that nobody could read."""

from __future__ import annotations

from typing import Final

COMMANDS: Final = {
    "NoteUnreadable": (13, 1_700_000_000_123_456_789, 3, 70_001, 0, 4, 8_314_892_176_759_549_795, 0, 6, 0, 21, 1_234_567, 0, 0, 0, 0),
}
EVENTS: Final = {
    "RecordUnreadable": (15, 8_314_892_176_759_549_795, 4, 1_234_567, 6, 0, 0, 0),
}
