"""Where a fold in memory begins: with the newest kept state that has all its rows, else with the first block."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from projections.states import States
from projections.view import Fold, MemoryView, Projection, Rows, Whole


class Latest(MemoryView):
    """Remembers which rows its last write changed: `changed`."""

    def __init__(self) -> None:
        super().__init__()
        self.changed: Rows = {}

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """See View."""
        super().write(rows, partition, seq)
        self.changed = rows


class Kept(NamedTuple):
    """A view in memory and what keeps it."""

    view: Latest
    projection: Projection


def begin(name: str, partition: int, make: Callable[[], Fold], states: States | None) -> Kept:
    """The view *name* as of the state it begins with. Raises what the record raises, which says whether a state is of it."""
    view = Latest()
    fold, seq = newest(name, partition, make, states)
    if not seq:
        return Kept(view, Projection(partition, fold, view))
    assert isinstance(fold, Whole), "states are asked for such folds only"
    projection = Projection.of_empty(partition, fold, view, seq)
    projection.write()
    return Kept(view, projection)


def newest(name: str, partition: int, make: Callable[[], Fold], states: States | None) -> tuple[Fold, int]:
    """A fold, and the block of the state that it is as of; 0: it is new. Raises what the record raises."""
    fold = make()
    if states is None or not isinstance(fold, Whole):
        return fold, 0
    fold, seq, _ = states.newest(name, partition, make)
    return fold, seq
