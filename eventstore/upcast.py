"""Rows of an older schema version become rows of the current one, version by version, when they are read. Stored bytes never change.

To add version 4: raise domain.verbs.SCHEMA_VERSION, write `def three_to_four(rows: Rows) -> Rows` here, enter it below under 3, and
let tests/golden/ hold blocks of version 4 beside those of the versions before, which stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from domain.verbs import SCHEMA_VERSION
from eventstore.codec import Rows

Step = Callable[[Rows], Rows]


def one_to_two(rows: Rows) -> Rows:
    """Version 2 added NoteUnreadable and RecordUnreadable; every row of version 1 is one of version 2."""
    return rows


def two_to_three(rows: Rows) -> Rows:
    """Version 3 added SetFeeRates and FeeRatesSet, likewise."""
    return rows


# A version and the step from it to the next; version 1 is the first there was.
STEPS: Final[dict[int, Step]] = {1: one_to_two, 2: two_to_three}


def upcast(rows: Rows, version: int) -> Rows:
    """*rows* of schema *version* as rows of the current one: as many of each, in the same order. *version* is a known one."""
    for step in range(version, SCHEMA_VERSION):
        newer = STEPS[step](rows)
        assert len(newer.commands) == len(rows.commands), "a step neither adds nor drops a command: others count them"
        assert len(newer.events) == len(rows.events), "a step neither adds nor drops an event: trades are numbered by them"
        rows = newer
    return rows


def known(version: int) -> bool:
    """Whether there is a way from *version* to the current one."""
    return all(step in STEPS for step in range(version, SCHEMA_VERSION))
