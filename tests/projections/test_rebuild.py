"""A rebuild ends with the same bytes wherever it begins, and leaves what is looked at alone until then."""

from __future__ import annotations

import pytest

from eventstore.errors import Damaged
from eventstore.memory import MemoryLog, MemorySnapshots
from projections import rebuild as rebuilding
from projections.columns import Columns
from projections.embedded import FOLDS
from projections.quotes import Quotes
from projections.rebuild import rebuild
from projections.states import Begun, States
from projections.view import MemoryView, Projection, Rows, Whole
from tests.projections.flow import recorded, trading

LOG = recorded(trading(seed=31, count=300, longest=8), MemoryLog())
BLOCKS = list(LOG.read(1))


class Beside(MemoryView):
    """A new generation, and whether it is looked at. behind: how often it is found to be."""

    rows_at_once = 50

    def __init__(self, behind: int = 0) -> None:
        super().__init__()
        self.behind, self.is_looked_at = behind, False

    def clear(self, partition: int) -> None:
        self.rows.clear()
        self._groups.clear()
        self._positions.pop(partition, None)

    def switch(self, partition: int) -> bool:
        assert partition == 1
        self.behind -= 1
        self.is_looked_at = self.behind < 0
        return self.is_looked_at


def kept(name: str) -> Rows:
    """What whoever saw every block once has."""
    view = MemoryView()
    projection = Projection(1, FOLDS[name](), view)
    for block in BLOCKS:
        projection.advance(Columns(block))
    return view.rows


def first(count: int) -> MemoryLog:
    """A log that has the first blocks alone."""
    log = MemoryLog()
    log.claim(1)
    for block in BLOCKS[:count]:
        log.append(block)
    return log


@pytest.mark.parametrize("name", FOLDS)
def test_from_the_first_block_or_an_archive_and_the_record_the_rows_are_those_that_were_kept(name: str) -> None:
    expected = kept(name)
    for logs in ([LOG], [first(20), LOG], [first(len(BLOCKS)), LOG]):
        view = Beside()
        view.write({"left by one that was killed:1": b"x"}, 1, 3)
        assert rebuild(1, Begun(FOLDS[name](), 0, 0), logs, view) == len(BLOCKS)
        assert (view.rows, view.position(1), view.is_looked_at) == (expected, len(BLOCKS), True)


@pytest.mark.parametrize("name", [name for name, make in FOLDS.items() if isinstance(make(), Whole)])
@pytest.mark.parametrize("at", [1, 20, len(BLOCKS)])
def test_from_a_kept_state_the_rows_are_those_that_were_kept(name: str, at: int) -> None:
    fold, store = FOLDS[name](), MemorySnapshots()
    for block in BLOCKS[:at]:
        fold.fold(Columns(block))
    states = States(lambda _: store, LOG)
    states.keep(name, 1, at, BLOCKS[at - 1].hash, fold)
    view = Beside()
    assert rebuild(1, states.newest(name, 1, FOLDS[name]), [LOG], view) == len(BLOCKS)
    assert view.rows == kept(name)


def test_it_goes_on_until_it_is_as_far_as_what_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The record grows meanwhile, and the running worker writes."""
    monkeypatch.setattr(rebuilding, "READ_EVENTS", 1)
    log, rest = first(20), iter(BLOCKS[20:])

    class Moving(Beside):
        def switch(self, partition: int) -> bool:
            for block in rest:
                log.append(block)
            return super().switch(partition)

    view = Moving(behind=1)
    told = list[tuple[int, int]]()
    assert rebuild(1, Begun(FOLDS["quotes"](), 0, 0), [log], view, lambda done, total: told.append((done, total))) == len(BLOCKS)
    assert view.rows == kept("quotes")
    assert told == [(seq, 20 if seq <= 20 else len(BLOCKS)) for seq in range(1, len(BLOCKS) + 1)]


def test_an_archive_of_another_history_is_noticed_before_anything_is_looked_at() -> None:
    other = recorded(trading(seed=32, count=100, longest=8), MemoryLog())
    view = Beside()
    with pytest.raises(Damaged, match="they are of two histories"):
        rebuild(1, Begun(FOLDS["quotes"](), 0, 0), [other, LOG], view)
    assert not view.is_looked_at


def test_a_block_that_cannot_be_taken_in_ends_it_with_nothing_changed() -> None:
    class Choking(Quotes):
        def fold(self, block: Columns) -> Rows:
            if block.first_seq <= 13 <= block.seq:
                raise ZeroDivisionError("poison")
            return super().fold(block)

    view = Beside()
    with pytest.raises(ZeroDivisionError, match="poison"):
        rebuild(1, Begun(Choking(), 0, 0), [LOG], view)
    assert not view.is_looked_at
