"""Kept states: a worker that begins with one ends with the same rows, byte for byte; one that does not fit is passed over, and says why."""

from __future__ import annotations

import logging
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventstore.blocks import Block
from eventstore.memory import MemoryLog, MemorySnapshots
from eventstore.ports import BlockLog, Snapshot, StoreFailed
from eventstore.snapshots import FileSnapshots
from projections import keeper as keeping
from projections.columns import Columns
from projections.depth import Depth
from projections.embedded import FOLDS
from projections.executions import Executions
from projections.keeper import Keeper
from projections.quotes import Quotes
from projections.states import KEPT, States
from projections.view import Fold, MemoryView, Projection, Rows, ViewAway, Whole
from tests.projections.flow import recorded, trading
from tests.projections.test_keeper import Far

LOG = recorded(trading(seed=29, count=300, longest=8), MemoryLog())
BLOCKS = list(LOG.read(1))
WHOLE = [name for name, make in FOLDS.items() if isinstance(make(), Whole)]
SEEDS = st.integers(0, 2**32)


def rows_of(name: str, blocks: list[Block]) -> Rows:
    """What a view has that saw every block once."""
    view = MemoryView()
    projection = Projection(1, FOLDS[name](), view)
    for block in blocks:
        projection.advance(Columns(block))
    return view.rows


def kept_at(seq: int, states: States, name: str = "quotes", make: type[Fold] = Quotes) -> None:
    """Keep the state as of block *seq*."""
    fold = make()
    for block in BLOCKS[:seq]:
        fold.fold(Columns(block))
    states.keep(name, 1, seq, BLOCKS[seq - 1].hash, fold)


def in_memory(log: BlockLog = LOG) -> tuple[States, defaultdict[str, MemorySnapshots]]:
    stores = defaultdict[str, MemorySnapshots](MemorySnapshots)
    return States(stores.__getitem__, log), stores


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SEEDS, st.data())
def test_from_a_kept_state_every_view_is_the_same_as_from_the_first_block(seed: int, data: st.DataObject) -> None:
    """The rows written after it, and the whole of an empty view that begins with it where that can be."""
    log = recorded(trading(seed, 120, 20), MemoryLog())
    columns = [Columns(block) for block in log.read(1)]
    cut = data.draw(st.integers(1, len(columns)))
    states, _ = in_memory(log)
    for name, make in FOLDS.items():
        view, goes_on = MemoryView(), list[Projection]()
        projection = Projection(1, make(), view)
        for block in columns:
            projection.advance(block)
            if block.seq == cut:
                states.keep(name, 1, cut, hash_of(log, cut), projection.fold)
                other = MemoryView()
                other.write(view.rows, 1, cut)
                goes_on.append(Projection(1, states.newest(name, 1, make).fold, other, cut))
                if isinstance(fold := states.newest(name, 1, make).fold, Whole):
                    goes_on.append(Projection.of_empty(1, fold, MemoryView(), cut))
        for begun in goes_on:
            begun.write()
            for block in columns[cut:]:
                begun.advance(block)
            assert isinstance(begun.view, MemoryView)
            assert (begun.view.rows, begun.fold.state()) == (view.rows, projection.fold.state()), name


def hash_of(log: BlockLog, seq: int) -> bytes:
    return next(log.read(1, seq - 1)).hash


def test_which_views_an_empty_one_can_begin_with_a_state_of() -> None:
    """Those that show lists of the past have it in the view alone."""
    assert set(FOLDS) - set(WHOLE) == {"bars", "orders", "executions", "statements"}


def test_the_newest_that_is_no_further_than_the_view_is_begun_with(tmp_path: Path) -> None:
    states = States(lambda view: FileSnapshots(tmp_path / view), LOG)
    for seq in (5, 10, 20):
        kept_at(seq, states)
    assert [states.newest("quotes", 1, Quotes, at).seq for at in (None, 20, 19, 9)] == [20, 20, 10, 0]
    assert len(list((tmp_path / "quotes").iterdir())) == KEPT, "older ones are gone"
    assert states.newest("depth", 1, Depth).seq == 0


def test_a_state_of_another_version_of_its_fold_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    class Mended(Quotes):
        version = Quotes.version + 1  # type: ignore[misc] # a later release

    states, _ = in_memory()
    kept_at(5, states, make=Mended)
    kept_at(10, states)
    with caplog.at_level(logging.WARNING):
        assert states.newest("quotes", 1, Mended).seq == 5
    versions = f"is of version {Quotes.version} of its fold, this release has version {Quotes.version + 1}"
    assert f"the state kept of block 10 {versions}; it is passed over" in caplog.text


@pytest.mark.parametrize("other", ["another history", "a shorter one"])
def test_a_state_of_another_record_is_passed_over(other: str, caplog: pytest.LogCaptureFixture) -> None:
    _, stores = in_memory()
    kept_at(10, States(stores.__getitem__, LOG))
    log = recorded(trading(seed=30, count=100, longest=8) if other == "another history" else trading(29, 300, 8)[:7], MemoryLog())
    with caplog.at_level(logging.WARNING):
        assert States(stores.__getitem__, log).newest("quotes", 1, Quotes).seq == 0
    assert "the state kept of block 10 is of another record" in caplog.text


def test_the_control_a_state_of_another_record_that_is_not_passed_over_shows_what_never_happened() -> None:
    """So it is the look at the block's hash that keeps it out."""
    other, view = Quotes(), MemoryView()
    for block in trading(seed=30, count=300, longest=8)[:40]:
        other.fold(Columns(block))
    view.write(rows_of("quotes", BLOCKS[:40]), 1, 40)
    projection = Projection(1, other, view, 40)
    with suppress(AssertionError):  # a fold may notice that an order has less than nothing
        for block in BLOCKS[40:]:
            projection.advance(Columns(block))
    assert view.rows != rows_of("quotes", BLOCKS)


@pytest.mark.parametrize(
    "state",
    [b"", msgspec.msgpack.encode((Quotes.version, b"no zstd")), msgspec.msgpack.encode((Quotes.version, zstandard.compress(b"no state")))],
)
def test_a_state_that_cannot_be_read_is_passed_over(state: bytes, caplog: pytest.LogCaptureFixture) -> None:
    states, stores = in_memory()
    stores["quotes"].save(Snapshot(1, 10, BLOCKS[9].hash, state))
    with caplog.at_level(logging.WARNING):
        assert states.newest("quotes", 1, Quotes).seq == 0
    assert "the state kept of block 10 cannot be read" in caplog.text


class Worker:
    """Keepers of the same views, one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folds: dict[str, type[Fold]]) -> None:
        monkeypatch.setattr(keeping, "RETRY_S", 0.0)
        monkeypatch.setattr(keeping, "READ_EVENTS", 1)  # so that each block is seen
        self.log = MemoryLog()
        self.log.claim(1)
        self.states, self.stores = in_memory(self.log)
        self.views = {name: Far() for name in folds}
        self.folded = defaultdict[str, list[int]](list)
        self.makes = {name: self._noting(name, fold) for name, fold in folds.items()}

    def _noting(self, name: str, fold: type[Fold]) -> type[Fold]:
        folded = self.folded[name]

        class Noting(fold):  # type: ignore[misc,valid-type]
            def fold(self, block: Columns) -> Rows:
                folded.append(block.seq)
                rows: Rows = super().fold(block)
                return rows

        return Noting

    def run(self, to_seq: int, *, ends_well: bool = True) -> None:
        """Keep the views until the record ends with *to_seq*."""
        for name in self.views:
            self.folded[name].clear()
        for block in BLOCKS[self.log.head(1).seq : to_seq]:
            self.log.append(block)
        keeper = Keeper(1, self.makes, self.views.__getitem__, self.log, self.states)
        while keeper.tend():
            pass
        assert keeper.not_ready() == []
        if ends_well:
            keeper.save()


def test_a_worker_that_ended_well_folds_no_block_again(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, {"quotes": Quotes, "executions": Executions})
    worker.run(20)
    worker.run(len(BLOCKS))
    assert worker.folded == {name: list(range(21, len(BLOCKS) + 1)) for name in worker.views}
    assert all(view.rows == rows_of(name, BLOCKS) for name, view in worker.views.items())


def test_one_that_is_killed_begins_with_what_was_kept_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SLICE_S", 0.0)
    monkeypatch.setattr(keeping, "STATE_EVERY_EVENTS", 100)
    worker = Worker(monkeypatch, {"quotes": Quotes})
    worker.run(30, ends_well=False)
    worker.run(len(BLOCKS))
    assert 1 < worker.folded["quotes"][0] <= 30
    assert worker.views["quotes"].rows == rows_of("quotes", BLOCKS)


def test_a_view_that_was_emptied_gets_the_rows_of_the_newest_state_where_that_has_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, {"quotes": Quotes, "executions": Executions})
    worker.run(20)
    for view in worker.views.values():
        view.lose()
        view._left_at = None
    worker.run(len(BLOCKS))
    assert (worker.folded["quotes"][0], worker.folded["executions"][0]) == (21, 1)
    assert all(view.rows == rows_of(name, BLOCKS) for name, view in worker.views.items())


def test_a_view_that_lost_its_last_writes_is_begun_with_an_older_state(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, {"quotes": Quotes})
    worker.run(10)
    before = dict(worker.views["quotes"].rows)
    worker.run(20)
    worker.views["quotes"].lose()
    worker.views["quotes"].__init__()  # type: ignore[misc]
    MemoryView.write(worker.views["quotes"], before, 1, 12)
    worker.run(len(BLOCKS))
    assert worker.folded["quotes"][0] == 11
    assert worker.views["quotes"].writes[0] > 12


def test_states_that_cannot_be_kept_or_read_cost_time_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(MemorySnapshots):
        def save(self, snapshot: Snapshot) -> None:
            raise StoreFailed("disk", f"no room for block {snapshot.seq}")

        def latest(self, partition: int, at_most_seq: int | None = None) -> Snapshot | None:
            raise StoreFailed("disk", f"partition {partition} up to {at_most_seq} cannot be read")

    worker = Worker(monkeypatch, {"quotes": Quotes})
    worker.stores["quotes"] = Full()
    with caplog.at_level(logging.WARNING):
        worker.run(20)
        worker.run(len(BLOCKS))
    assert "no room for block 20" in caplog.text
    assert "the record is folded from its first block" in caplog.text
    assert worker.views["quotes"].rows == rows_of("quotes", BLOCKS)


def test_a_view_that_is_away_when_it_begins_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(monkeypatch, {"quotes": Quotes})
    worker.run(20)
    view = worker.views["quotes"]
    keeper = Keeper(1, worker.makes, worker.views.__getitem__, worker.log, worker.states)
    view.away = True
    with pytest.raises(ViewAway):
        view.position(1)
    assert not keeper.tend()
    assert keeper.not_ready() == ["view quotes of partition 1: the view is away"]
    view.away = False
    worker.folded["quotes"].clear()
    assert not keeper.tend()
    assert (keeper.not_ready(), worker.folded["quotes"]) == ([], [])
