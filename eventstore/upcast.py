"""Rows of an older schema version become rows of the current one, version by version, when they are read. Stored bytes never change.

To add version 4: raise domain.verbs.SCHEMA_VERSION, enter only_added below under 3, or `def three_to_four(rows: Rows) -> Rows`, and
let tests/golden/ hold blocks of version 4 beside those of the versions before, which stay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from domain.verbs import SCHEMA_VERSION
from eventstore.codec import Rows

Step = Callable[[Rows], Rows]


def only_added(rows: Rows) -> Rows:
    """The next version added verbs and kinds: NoteUnreadable and RecordUnreadable in 2, SetFeeRates and FeeRatesSet in 3."""
    return rows


STEPS: Final[dict[int, Step]] = {1: only_added, 2: only_added}  # version -> the step from it to the next; version 1 is the first there was


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


def is_same(version: int) -> bool:
    """Whether rows of *version* are rows of the current one as they stand."""
    return all(STEPS.get(step) is only_added for step in range(version, SCHEMA_VERSION))
