"""Views outside the process: whatever the topic brings or leaves out, they end as the record says, and one that fails stops alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from types import SimpleNamespace

import pytest

from eventstore.blocks import Block
from eventstore.memory import MemoryLog
from projections import keeper as keeping
from projections.columns import Columns
from projections.depth import Depth
from projections.embedded import FOLDS as EMBEDDED
from projections.keeper import Keeper
from projections.quotes import Quotes
from projections.view import Displaced, Fold, MemoryView, Projection, Rows, ViewAway
from tests.projections.flow import recorded, trading

BLOCKS = list(recorded(trading(seed=17, count=200, longest=8), MemoryLog()).read(1))
FOLDS: dict[str, Callable[[], Fold]] = {"quotes": Quotes, "depth": Depth}


class Far(MemoryView):
    """A view that can be away, can lose all it has, and notices when it was not left as it is: as the one in Redis does."""

    rows_at_once = 1

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.writes = list[int]()
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
        self.writes.append(seq)

    def say(self, partition: int, why: str) -> None:
        self.said = f"{partition}: {why}"

    def forget(self, partition: int) -> None:
        self._left_at = None

    def of_another(self) -> Far:
        """The same view, for another who writes it."""
        other = copy(self)
        other._left_at = None
        return other

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
        self.keeper.write()

    def tend(self) -> None:
        while self.keeper.tend():
            pass

    def rows(self) -> dict[str, Rows]:
        return {name: view.rows for name, view in self.views.items()}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "RETRY_S", 0.0)
    monkeypatch.setattr(keeping, "SILENT_S", 0.0)


def naive(folds: dict[str, Callable[[], Fold]] = FOLDS) -> dict[str, Rows]:
    """What whoever sees every block once has."""
    views = {name: MemoryView() for name in folds}
    for name, make in folds.items():
        projection = Projection(1, make(), views[name])
        for block in BLOCKS:
            projection.advance(Columns(block))
    return {name: view.rows for name, view in views.items()}


RUNNING: dict[str, Callable[[], Fold]] = {name: fold for name, fold in EMBEDDED.items() if getattr(fold, "takes_runs", False)}


@pytest.mark.parametrize("left_at", range(1, len(BLOCKS), 3))
def test_whoever_goes_on_where_another_left_shows_rows_that_changed_and_changed_back_since_his_own_fold_began(left_at: int) -> None:
    """His first reading of the record is one run that begins before the view's position; of a run folds give what differs at its end."""
    first = Kept(RUNNING)
    first.commit(BLOCKS[:left_at])
    first.tend()
    first.commit(BLOCKS[left_at:])
    second = Keeper(1, RUNNING, first.views.__getitem__, first.log)
    while second.tend():
        pass
    assert second.positions() == dict.fromkeys(RUNNING, len(BLOCKS))
    assert first.rows() == naive(RUNNING)


@pytest.mark.parametrize("left_at", range(11, len(BLOCKS), 3))
def test_whoever_finds_that_another_wrote_within_what_he_took_folds_anew(left_at: int) -> None:
    first = Kept(RUNNING)
    for view in first.views.values():
        view.rows_at_once = 1_000_000
    first.commit(BLOCKS[:10])
    first.tend()
    first.commit(BLOCKS[10:left_at])
    second = Keeper(1, RUNNING, lambda name: first.views[name].of_another(), first.log)
    while second.tend():
        pass
    first.bring(first.commit(BLOCKS[left_at:]) and BLOCKS[10:])
    first.tend()
    assert first.rows() == naive(RUNNING)


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


def test_blocks_that_came_meanwhile_are_one_write_as_of_the_last_of_them() -> None:
    kept = Kept()
    for view in kept.views.values():
        view.rows_at_once = 1_000_000
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.bring(kept.commit(BLOCKS[10:25]))
    kept.bring(kept.commit(BLOCKS[25:]))
    assert {name: view.writes for name, view in kept.views.items()} == {name: [10, 25, len(BLOCKS)] for name in FOLDS}
    assert kept.rows() == naive()


def test_blocks_that_came_meanwhile_are_folded_at_once_by_folds_that_can() -> None:
    folds = list[int]()

    class Counting(Quotes):
        def fold(self, block: Columns) -> Rows:
            folds.append(block.seq)
            return super().fold(block)

    class OneByOne(Counting):
        takes_runs = False  # type: ignore[misc] # on purpose

    kept = Kept({"quotes": Counting, "depth": Depth})
    kept.commit(BLOCKS[:10])
    kept.tend()
    folds.clear()
    kept.bring([*kept.commit(BLOCKS[10:25]), BLOCKS[20]])
    kept.bring(kept.commit(BLOCKS[25:]))
    assert folds == [25, len(BLOCKS)]
    assert kept.rows() == naive()

    single = Kept({"quotes": OneByOne})
    single.commit(BLOCKS[:10])
    single.tend()
    folds.clear()
    single.bring(single.commit(BLOCKS[10:]))
    assert folds == [block.seq for block in BLOCKS[10:]]
    assert single.rows()["quotes"] == naive()["quotes"]


def test_rows_that_are_as_many_as_the_view_takes_at_once_do_not_wait_for_more_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "READ_EVENTS", 1)
    kept = Kept({"quotes": Quotes})
    kept.views["quotes"].rows_at_once = 1
    kept.commit(BLOCKS)
    kept.tend()
    fold = Quotes()
    changed = {block.seq for block in BLOCKS if fold.fold(Columns(block))}
    assert 1 < len(changed) < len(BLOCKS)
    assert kept.views["quotes"].writes == sorted(changed | {len(BLOCKS)})


def test_short_blocks_of_the_record_are_folded_together_by_folds_that_can() -> None:
    seen = list[tuple[int, int]]()

    class Watched(Quotes):
        def fold(self, block: Columns) -> Rows:
            seen.append((block.first_seq, block.seq))
            return super().fold(block)

    kept = Kept({"quotes": Watched})
    kept.commit(BLOCKS)
    kept.tend()
    assert seen == [(1, len(BLOCKS))]
    assert kept.rows()["quotes"] == naive()["quotes"]


def test_a_view_that_was_away_gets_what_waited_though_no_block_follows() -> None:
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    for view in kept.views.values():
        view.rows_at_once = 1_000_000
    kept.commit(BLOCKS[10:])
    for view in kept.views.values():
        view.away = True
    kept.bring(BLOCKS[10:])
    kept.tend()
    assert kept.keeper.positions() == {"quotes": 10, "depth": 10}
    for view in kept.views.values():
        view.away = False
    kept.tend()
    assert kept.keeper.not_ready() == []
    assert kept.rows() == naive()


def test_a_poison_block_lets_those_before_it_be_written_be_the_view_away_meanwhile_or_not() -> None:
    class Choking(Quotes):
        def fold(self, block: Columns) -> Rows:
            if block.first_seq <= 13 <= block.seq:
                raise ZeroDivisionError("poison")
            return super().fold(block)

    kept = Kept({"quotes": Choking})
    view = kept.views["quotes"]
    view.rows_at_once = 1_000_000
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.commit(BLOCKS[10:])
    view.away = True
    kept.bring(BLOCKS[10:])
    assert kept.keeper.stopped() == []
    view.away = False
    kept.tend()
    assert kept.keeper.not_ready() == ["view quotes of partition 1: stopped before block 13: ZeroDivisionError: poison"]
    assert (kept.keeper.positions(), view.writes) == ({"quotes": 12}, [10, 12])


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


def test_what_the_topic_is_bringing_is_not_read_from_the_record_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that is behind by more than a moment is no reason to ask the database for what is on its way."""
    now = [100.0]
    monkeypatch.setattr(keeping, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(keeping, "SILENT_S", 1.0)
    kept = Kept()
    kept.commit(BLOCKS[:10])
    kept.tend()
    kept.commit(BLOCKS[10:])
    for block in BLOCKS[10:20]:
        now[0] += 0.9
        kept.bring([block])
        kept.keeper.notice(len(BLOCKS))
        assert not kept.keeper.tend()
    assert kept.keeper.positions() == {"quotes": 20, "depth": 20}
    for _ in range(2):
        now[0] += 1.1
        kept.keeper.notice(len(BLOCKS))
    kept.tend()
    assert (kept.rows(), kept.keeper.brought_blocks, kept.keeper.read_blocks) == (naive(), 10, len(BLOCKS) - 10)


def test_a_view_that_is_away_is_waited_for_and_folds_no_block_twice() -> None:
    folded = list[int]()

    class Counting(Quotes):
        def fold(self, block: Columns) -> Rows:
            folded.extend(range(block.first_seq, block.seq + 1))
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


def test_a_view_that_lost_everything_is_folded_anew_although_nobody_trades(monkeypatch: pytest.MonkeyPatch) -> None:
    """A market that is closed for the night, and a Redis that is replaced."""
    monkeypatch.setattr(keeping, "LOOKS_EVERY_S", 0.0)
    kept = Kept()
    kept.commit(BLOCKS)
    kept.tend()
    kept.views["quotes"].lose()
    kept.tend()
    assert kept.keeper.not_ready() == []
    assert kept.rows() == naive()


def test_a_view_that_is_away_while_nobody_trades_is_said_to_be_and_goes_on_when_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOKS_EVERY_S", 0.0)
    kept = Kept()
    kept.commit(BLOCKS)
    kept.tend()
    kept.views["quotes"].away = True
    kept.tend()
    assert kept.keeper.not_ready() == ["view quotes of partition 1: the view is away"]
    kept.views["quotes"].away = False
    kept.tend()
    assert kept.keeper.not_ready() == []
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
            if block.first_seq <= 13 <= block.seq:
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
    monkeypatch.setattr(keeping, "READ_EVENTS", 1)
    kept = Kept()
    kept.commit(BLOCKS)
    slices = 0
    while kept.keeper.tend():
        slices += 1
    assert slices == len(BLOCKS)
    assert kept.rows() == naive()
