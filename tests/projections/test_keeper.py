"""Views outside the process: whatever the topic brings or leaves out, they end as the record says, and one that fails stops alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from eventstore.blocks import Block
from eventstore.memory import MemoryLog
from projections import keeper as keeping
from projections.columns import Columns
from projections.depth import Depth
from projections.keeper import Keeper
from projections.quotes import Quotes
from projections.view import Displaced, Fold, MemoryView, Projection, Rows, ViewAway
from tests.projections.flow import recorded, trading

BLOCKS = list(recorded(trading(seed=17, count=200, longest=8), MemoryLog()).read(1))
FOLDS: dict[str, Callable[[], Fold]] = {"quotes": Quotes, "depth": Depth}


class Far(MemoryView):
    """A view that can be away, can lose all it has, and notices when it was not left as it is: as the one in Redis does."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.said = ""
        self._left_at: int | None = None

    def position(self, partition: int) -> int:
        if self.away:
            raise ViewAway("the view is away")
        if self._left_at is None:
            self._left_at = super().position(partition)
        return self._left_at

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        left_at, self._left_at = self.position(partition), None
        if (found_at := super().position(partition)) != left_at:
            raise Displaced(partition, left_at, found_at)
        super().write(rows, partition, seq)
        self._left_at, self.said = seq, ""

    def say(self, partition: int, why: str) -> None:
        self.said = f"{partition}: {why}"

    def lose(self) -> None:
        self.rows.clear()
        self._groups.clear()
        self._positions.clear()


class Kept:
    """A keeper, its views, and the record, which grows."""

    def __init__(self, folds: dict[str, Callable[[], Fold]] = FOLDS) -> None:
        self.log, self.views = MemoryLog(), {name: Far() for name in folds}
        self.log.claim(1)
        self.keeper = Keeper(1, folds, self.views.__getitem__, self.log)

    def commit(self, blocks: list[Block]) -> list[Block]:
        for block in blocks:
            self.log.append(block)
        return blocks

    def bring(self, blocks: list[Block]) -> None:
        """By the topic."""
        for block in blocks:
            if self.keeper.wants(block.seq):
                self.keeper.take(block)

    def tend(self) -> None:
        while self.keeper.tend():
            pass

    def rows(self) -> dict[str, Rows]:
        return {name: view.rows for name, view in self.views.items()}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "RETRY_S", 0.0)
    monkeypatch.setattr(keeping, "SILENT_S", 0.0)


def naive() -> dict[str, Rows]:
    """What whoever sees every block once has."""
    views = {name: MemoryView() for name in FOLDS}
    for name, make in FOLDS.items():
        projection = Projection(1, make(), views[name])
        for block in BLOCKS:
            projection.advance(Columns(block))
    return {name: view.rows for name, view in views.items()}


def test_views_begin_with_the_record_and_go_on_with_the_topic() -> None:
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.bring(BLOCKS[:10])
    assert kept.keeper.positions() == {"quotes": 0, "depth": 0}, "what came before they have read the record is there, too"
    kept.tend()
    kept.bring(kept.commit(BLOCKS[10:]))
    assert not any(each.is_behind for each in kept.keeper.kept.values()), "the record was read once"
    assert kept.rows() == naive()


@pytest.mark.parametrize("brought", ["twice", "out of order", "with a gap"])
def test_whatever_the_topic_does_the_views_are_as_the_record_says(brought: str) -> None:
    """A redelivery, a rebalance in the middle, a topic that no longer has what it had."""
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.commit(BLOCKS[10:])
    order = {
        "twice": [*BLOCKS[:20], *BLOCKS[5:20], *BLOCKS[15:]],
        "out of order": [*BLOCKS[10:12], BLOCKS[14], BLOCKS[12], BLOCKS[13], *BLOCKS[14:]],
        "with a gap": [*BLOCKS[10:13], *BLOCKS[20:]],
    }[brought]
    kept.bring(order)
    kept.tend()
    assert kept.rows() == naive()


def test_a_last_block_that_the_topic_does_not_bring_is_read_from_the_record() -> None:
    """No later block shows the gap: a reader of the topic may begin after it, as one does that joins a group meanwhile."""
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.commit(BLOCKS[10:])
    kept.keeper.notice(len(BLOCKS))
    kept.tend()
    assert kept.keeper.positions() == {"quotes": 10, "depth": 10}, "it may still come"
    kept.keeper.notice(len(BLOCKS))
    kept.tend()
    assert kept.rows() == naive()


def test_a_view_that_is_away_is_waited_for_and_folds_no_block_twice() -> None:
    folded = list[int]()

    class Counting(Quotes):
        def fold(self, block: Columns) -> Rows:
            folded.append(block.seq)
            return super().fold(block)

    kept = Kept({"quotes": Counting, "depth": Depth})
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.views["quotes"].away = True
    kept.bring(kept.commit(BLOCKS[10:15]))
    kept.tend()
    assert kept.keeper.not_ready() == ["view quotes of partition 1: the view is away"]
    assert kept.keeper.positions() == {"quotes": 10, "depth": 15}
    kept.views["quotes"].away = False
    kept.tend()
    kept.bring(kept.commit(BLOCKS[15:]))
    assert kept.keeper.not_ready() == []
    assert kept.rows() == naive()
    assert folded == [block.seq for block in BLOCKS]


def test_a_view_that_lost_everything_is_folded_anew() -> None:
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.views["quotes"].lose()
    kept.bring(kept.commit(BLOCKS[10:]))
    kept.tend()
    assert kept.rows() == naive()


def test_a_view_that_another_writes_further_is_gone_on_with() -> None:
    """A rebuild was switched to, or two groups keep one view: nobody writes what is older than what is there."""
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.commit(BLOCKS[10:])
    other = Projection(1, Quotes(), MemoryView())
    for block in BLOCKS[:20]:
        other.advance(Columns(block))
    assert isinstance(other.view, MemoryView)
    kept.views["quotes"].rows = other.view.rows
    kept.views["quotes"]._groups = other.view._groups
    kept.views["quotes"]._positions = {1: 20}
    kept.bring(BLOCKS[10:])
    kept.tend()
    assert kept.rows() == naive()


def test_a_poison_block_stops_its_view_alone_with_an_alarm_and_word_of_it(caplog: pytest.LogCaptureFixture) -> None:
    class Choking(Quotes):
        def fold(self, block: Columns) -> Rows:
            if block.seq == 13:
                raise ZeroDivisionError("poison")
            return super().fold(block)

    kept = Kept({"quotes": Choking, "depth": Depth})
    kept.commit(BLOCKS[:10])
    kept.tend()
    with caplog.at_level(logging.CRITICAL):
        kept.bring(kept.commit(BLOCKS[10:]))
        kept.tend()
    why = "stopped before block 13: ZeroDivisionError: poison"
    assert f"view quotes of partition 1 {why}" in caplog.text
    assert kept.keeper.not_ready() == [f"view quotes of partition 1: {why}"]
    assert kept.views["quotes"].said == f"1: {why}"
    assert kept.keeper.positions() == {"quotes": 12, "depth": len(BLOCKS)}
    assert kept.rows()["depth"] == naive()["depth"]

    mended = Keeper(1, FOLDS, kept.views.__getitem__, kept.log)
    while mended.tend():
        pass
    assert kept.rows() == naive()
    assert kept.views["quotes"].said == "", "a fixed release resumes where it stopped"


def test_a_block_of_another_history_is_not_taken() -> None:
    """The record says which is right; here it goes on as it was."""
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    forged = replace(BLOCKS[10], prev_hash=bytes(32))
    kept.bring([forged])
    assert kept.keeper.positions() == {"quotes": 10, "depth": 10}
    kept.commit(BLOCKS[10:])
    kept.tend()
    assert kept.rows() == naive()


def test_a_long_record_is_read_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that stopping takes no longer than one, and blocks of the topic have their turn."""
    monkeypatch.setattr(keeping, "SLICE_S", 0.0)
    kept = Kept()
    kept.commit(BLOCKS)
    slices = 0
    while kept.keeper.tend():
        slices += 1
    assert slices == len(BLOCKS)
    assert kept.rows() == naive()
