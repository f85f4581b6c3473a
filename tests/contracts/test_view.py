"""What a View is. Every implementation runs this suite."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import Final, Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.redis_view import RedisView, connect
from projections.columns import Columns
from projections.quotes import Quotes
from projections.view import MemoryView, Projection, Rows, View
from tests.projections.flow import trading

BLOCKS = trading(seed=11, count=300, longest=20)


class Readable(View, Protocol):
    """A view, and how it is looked at."""

    def read(self, key: str, partition: int) -> tuple[bytes, int]: ...
    def group(self, group: str, partition: int) -> tuple[Rows, int]: ...


def _memory(_request: pytest.FixtureRequest) -> Callable[[], Readable]:
    return MemoryView


def _redis(request: pytest.FixtureRequest) -> Callable[[], Readable]:
    url = request.getfixturevalue("redis_stack").redis_url
    return lambda: RedisView(connect(url), secrets.token_hex(16), "quotes")


VIEWS: Final = (_memory, _redis)


@pytest.fixture(params=VIEWS, ids=lambda each: each.__name__.strip("_"))
def new(request: pytest.FixtureRequest) -> Callable[[], Readable]:
    """Makes views that are empty."""
    made: Callable[[], Readable] = request.param(request)
    return made


def test_before_the_first_block_there_is_nothing(new: Callable[[], Readable]) -> None:
    view = new()
    assert view.position(1) == 0
    assert view.read("quote:1", 1) == (b"", 0)
    assert view.group("quote", 1) == ({}, 0)


def test_rows_are_read_with_the_block_that_they_are_as_of(new: Callable[[], Readable]) -> None:
    view = new()
    view.write({"quote:1": b"a", "quote:2": b"b"}, 1, 1)
    view.write({"quote:2": b"c"}, 1, 2)
    assert view.position(1) == 2
    assert (view.read("quote:1", 1), view.read("quote:2", 1)) == ((b"a", 2), (b"c", 2))


def test_a_block_that_changes_no_row_moves_the_position(new: Callable[[], Readable]) -> None:
    view = new()
    view.write({}, 1, 1)
    assert (view.position(1), view.read("quote:1", 1)) == (1, (b"", 1))


def test_an_empty_row_is_gone(new: Callable[[], Readable]) -> None:
    """From its group, too; one that was never there is gone already."""
    view = new()
    view.write({"order:7:1": b"a", "order:7:2": b"b"}, 1, 1)
    view.write({"order:7:1": b"", "order:8:1": b""}, 1, 2)
    assert view.read("order:7:1", 1) == (b"", 2)
    assert view.group("order:7", 1) == ({"order:7:2": b"b"}, 2)
    assert view.group("order:8", 1) == ({}, 2)


def test_several_blocks_may_be_written_as_one(new: Callable[[], Readable]) -> None:
    """Whoever is behind writes the last value of each row once."""
    view = new()
    view.write({"quote:1": b"a"}, 1, 3)
    view.write({"quote:1": b"b"}, 1, 1_000)
    assert view.read("quote:1", 1) == (b"b", 1_000)


def test_a_group_is_its_own_rows_and_no_others(new: Callable[[], Readable]) -> None:
    """Account 1 is not account 11, and a key of one part belongs to the group without a name."""
    rows = {"balance:1:4": b"a", "balance:11:4": b"b", "balance:1": b"c", "balance:1:4:5": b"d", "venue": b"e"}
    view = new()
    view.write(rows, 1, 1)
    assert view.group("balance:1", 1) == ({"balance:1:4": b"a"}, 1)
    assert view.group("", 1) == ({"venue": b"e"}, 1)
    assert {key: view.read(key, 1)[0] for key in rows} == rows


def test_partitions_have_positions_of_their_own(new: Callable[[], Readable]) -> None:
    view = new()
    view.write({"quote:1": b"a"}, 1, 5)
    assert (view.position(1), view.position(11), view.read("quote:2", 11)) == (5, 0, (b"", 0))


KEYS = st.sampled_from(["quote:1", "quote:2", "depth:1:buy", "depth:1:sell", "venue", "a b:ä", "x:" + "y" * 300])
WRITES = st.lists(st.dictionaries(KEYS, st.binary(max_size=80)), max_size=8)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WRITES)
def test_after_any_writes_it_is_what_a_dictionary_would_be(new: Callable[[], Readable], writes: list[Rows]) -> None:
    view, model = new(), Rows()
    for seq, rows in enumerate(writes, 1):
        view.write(rows, 1, seq)
        model = {key: row for key, row in (model | rows).items() if row}
        for key in rows:
            assert view.read(key, 1) == (model.get(key, b""), seq)
        group = {key: row for key, row in model.items() if key.rpartition(":")[0] == "depth:1"}
        assert view.group("depth:1", 1) == (group, seq)


def test_a_block_of_very_many_rows_is_one_write(new: Callable[[], Readable]) -> None:
    rows = {f"balance:{number % 3}:{number}": b"%d" % number for number in range(12_000)}
    view = new()
    view.write(rows, 1, 1)
    found = [view.group(f"balance:{account}", 1) for account in range(3)]
    assert {key: row for group, _ in found for key, row in group.items()} == rows
    view.write(dict.fromkeys(rows, b""), 1, 2)
    assert [view.group(f"balance:{account}", 1) for account in range(3)] == [({}, 2)] * 3


def test_a_reader_never_sees_a_row_of_another_block_than_the_one_it_is_told(new: Callable[[], Readable]) -> None:
    """Rows and position are one write and one read. Every block here writes its number into both rows of a group."""
    view, torn, done = new(), list[object](), threading.Event()
    view.write({"depth:1:buy": b"1", "depth:1:sell": b"1"}, 1, 1)

    def watch() -> None:
        while not done.is_set():
            group, group_at = view.group("depth:1", 1)
            row, row_at = view.read("depth:1:buy", 1)
            if set(group.values()) != {b"%d" % group_at} or row != b"%d" % row_at:
                torn.append((group, group_at, row, row_at))

    reader = threading.Thread(target=watch)
    reader.start()
    for seq in range(2, 400):
        view.write({"depth:1:buy": b"%d" % seq, "depth:1:sell": b"%d" % seq}, 1, seq)
    done.set()
    reader.join()
    assert torn == []


def test_a_projection_leaves_the_same_rows_in_every_view(new: Callable[[], Readable]) -> None:
    view, memory = new(), MemoryView()
    for each in (view, memory):
        projection = Projection(1, Quotes(), each)
        for block in BLOCKS:
            projection.advance(Columns(block))
    assert len(memory.rows) > 1
    for key, row in memory.rows.items():
        assert view.read(key, 1) == (row, len(BLOCKS))
