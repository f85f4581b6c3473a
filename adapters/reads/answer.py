"""What is asked of a view, what comes back, and what is said when nothing can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from projections.view import Rows

Level: TypeAlias = Literal["memory", "redis", "record"]
MEMORY: Final[Level] = "memory"
REDIS: Final[Level] = "redis"
RECORD: Final[Level] = "record"


class Asked(NamedTuple):
    """A row of a view, or all of a group (projections/layouts.py): `balance:7:1`, or `balance:7` with is_group."""

    view: str
    key: str
    partition: int
    is_group: bool = False


class Answer(msgspec.Struct, frozen=True):
    """Rows as they were after block *seq* of *partition*: never wrong, only behind.

    rows     by key; empty when there are none
    time_ns  of that block or, where this process does not know it, of the last before that it knows; 0: of none
    level    where the rows come from
    behind   blocks after it that this process knows of: 0 when it knows of nothing newer
    """

    rows: Rows
    partition: int
    seq: int
    time_ns: int
    level: Level
    behind: int = 0

    @property
    def row(self) -> bytes:
        """The one row; empty: there is none."""
        assert len(self.rows) <= 1, "a group has rows"
        return next(iter(self.rows.values()), b"")

    def age_ns(self, now_ns: int) -> int:
        """What happened longer ago than that is in the answer; all of it when nothing happened since."""
        return max(now_ns - self.time_ns, 0)


class Behind(TimeoutError):
    """Nothing could answer as of the block that was asked for in the time that was given. Ask again, or for less."""

    def __init__(self, asked: Asked, at_least: int, said: Sequence[str]) -> None:
        wanted = f"as of block {at_least} or later" if at_least else "as of any block"
        super().__init__(f"view {asked.view}, partition {asked.partition}: nothing shows {asked.key} {wanted} in time: {'; '.join(said)}")
        self.asked, self.at_least = asked, at_least
