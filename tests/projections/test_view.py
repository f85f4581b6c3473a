"""Once, in order, the position with the rows: how a fold becomes a view, whoever drives it."""

from __future__ import annotations

import logging

import pytest

from eventstore.memory import MemoryLog
from projections.columns import Columns
from projections.embedded import FOLDS, Views
from projections.quotes import Quotes
from projections.view import Displaced, Gap, MemoryView, Projection, Rows, Stopped
from tests.projections.flow import recorded, trading

BLOCKS = trading(seed=3, count=200, longest=10)


def quotes(view: MemoryView) -> Projection:
    return Projection(1, Quotes(), view)


def test_a_block_that_comes_again_changes_nothing() -> None:
    """Redelivery is harmless, of the last block or of any before."""
    view = MemoryView()
    projection = quotes(view)
    for block in BLOCKS[:10]:
        assert projection.advance(Columns(block))
    rows = dict(view.rows)
    for block in BLOCKS[:10]:
        assert not projection.advance(Columns(block))
    assert (view.rows, view.position(1)) == (rows, 10)


def test_a_gap_names_the_block_that_is_missing_and_changes_nothing() -> None:
    view = MemoryView()
    projection = quotes(view)
    projection.advance(Columns(BLOCKS[0]))
    with pytest.raises(Gap, match="block 2 comes next, got 4") as gap:
        projection.advance(Columns(BLOCKS[3]))
    assert (gap.value.expected, gap.value.got, view.position(1)) == (2, 4, 1)
    assert projection.advance(Columns(BLOCKS[1])), "it goes on when the missing block comes"


def test_rows_and_position_are_one_write() -> None:
    """A view that fails has neither; the projection then refuses to go on half way and says what to do."""

    class FailsOnce(MemoryView):
        failed = False

        def write(self, rows: Rows, partition: int, seq: int) -> None:
            if seq == 5 and not self.failed:
                self.failed = True
                raise ConnectionError("the cache went away")
            super().write(rows, partition, seq)

    view = FailsOnce()
    projection = quotes(view)
    for block in BLOCKS[:4]:
        projection.advance(Columns(block))
    with pytest.raises(ConnectionError):
        projection.advance(Columns(BLOCKS[4]))
    assert view.position(1) == 4
    with pytest.raises(Stopped, match="stopped at block 5; make a new projection"):
        projection.advance(Columns(BLOCKS[4]))

    again = quotes(view)
    for block in BLOCKS:
        again.advance(Columns(block))
    assert view.rows == undisturbed("quotes")


def test_a_fold_begun_anew_writes_nothing_until_it_is_beyond_its_view() -> None:
    """Else readers would see the view go back in time."""

    class Seen(MemoryView):
        def __init__(self) -> None:
            super().__init__()
            self.seqs: list[int] = []

        def write(self, rows: Rows, partition: int, seq: int) -> None:
            self.seqs.append(seq)
            super().write(rows, partition, seq)

    view = Seen()
    for count in (7, len(BLOCKS)):
        projection = quotes(view)
        for block in BLOCKS[:count]:
            projection.advance(Columns(block))
    assert view.seqs == list(range(1, len(BLOCKS) + 1))
    assert view.rows == undisturbed("quotes")


def test_a_fold_restored_from_its_state_goes_on_where_it_was() -> None:
    """A runner that keeps state and position need not read the record from its first block."""
    view = MemoryView()
    before = quotes(view)
    for block in BLOCKS[:9]:
        before.advance(Columns(block))
    fold = Quotes()
    fold.restore(before.fold.state())
    projection = Projection(1, fold, view, before.seq)
    for block in BLOCKS[5:]:
        projection.advance(Columns(block))
    assert view.rows == undisturbed("quotes")


def test_a_fold_that_is_ahead_of_its_view_does_not_write_it() -> None:
    """A view that lost what it had would else lack, unnoticed, every row that does not change again."""
    before = quotes(MemoryView())
    for block in BLOCKS[:9]:
        before.advance(Columns(block))
    fold, empty = Quotes(), MemoryView()
    fold.restore(before.fold.state())
    with pytest.raises(Displaced, match=r"as of block 0, was left as of 9: .* a state as of block 0 or before"):
        Projection(1, fold, empty, before.seq).advance(Columns(BLOCKS[9]))
    assert (empty.rows, empty.position(1)) == ({}, 0)


def test_all_that_a_restored_fold_shows_is_not_written_over_what_another_wrote_meanwhile() -> None:
    """Rows that are gone by then would stay."""
    fold, view = Quotes(), MemoryView()
    for block in BLOCKS[:9]:
        fold.fold(Columns(block))
    whole = Projection.of_empty(1, fold, view, BLOCKS[8].seq)
    view.write({"quote:9": b"gone by block 9"}, 1, 5)
    with pytest.raises(Displaced, match="as of block 5, was left as of 9"):
        whole.write()
    assert (view.rows, view.position(1)) == ({"quote:9": b"gone by block 9"}, 5)


def test_several_blocks_may_be_taken_in_and_written_once() -> None:
    """Whoever is behind writes each row once, as its last block leaves it: also over what a further writer wrote meanwhile."""

    class Seen(MemoryView):
        def __init__(self) -> None:
            super().__init__()
            self.seqs = list[int]()

        def write(self, rows: Rows, partition: int, seq: int) -> None:
            self.seqs.append(seq)
            super().write(rows, partition, seq)

    view = Seen()
    first, second = quotes(view), quotes(view)
    for block in BLOCKS[:9]:
        first.take(Columns(block))
    assert (view.rows, view.position(1), first.seq) == ({}, 0, 9)
    for block in BLOCKS:
        second.take(Columns(block))
    first.write()
    second.write()
    first.write()
    assert view.seqs == [9, len(BLOCKS)]
    assert view.rows == undisturbed("quotes")


def test_a_block_of_another_partition_is_a_mistake_of_the_runner() -> None:
    with pytest.raises(AssertionError, match="partition 1 for a projection of 2"):
        Projection(2, Quotes(), MemoryView()).advance(Columns(BLOCKS[0]))


def test_a_poison_block_stops_its_view_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It never skips, never blocks trading, and raises an alarm."""

    class Choking(Quotes):
        def fold(self, block: Columns) -> Rows:
            if block.seq == 3:
                raise ZeroDivisionError("poison")
            return super().fold(block)

    views = Views(1, {**FOLDS, "quotes": Choking})
    with caplog.at_level(logging.ERROR):
        for block in BLOCKS:
            views.advance(Columns(block))
    assert list(views.stopped) == ["quotes"]
    assert "view quotes of partition 1 stopped before block 3" in caplog.text
    assert views.views["quotes"].position(1) == 2
    assert views.views["depth"].rows == undisturbed("depth")


def test_views_catch_up_from_the_record() -> None:
    """After a start, or a gap: whatever they missed is in the log."""
    views = Views(1)
    views.advance(Columns(BLOCKS[0]))
    with pytest.raises(Gap):
        views.advance(Columns(BLOCKS[2]))
    views.catch_up(recorded(BLOCKS, MemoryLog()))
    assert views.views["trades"].position(1) == len(BLOCKS)
    assert views.views["trades"].rows == undisturbed("trades")


def undisturbed(name: str) -> Rows:
    """The rows of a view that saw every block once."""
    views = Views(1)
    for block in BLOCKS:
        views.advance(Columns(block))
    return views.views[name].rows
