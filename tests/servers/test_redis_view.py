"""Views on a Redis that dies, loses, fills up or is another: never wrong, only behind, and whoever writes them is told."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from adapters.redis_view import WRITE, RedisView, connect
from adapters.stack.redis import Redis
from adapters.stack.stack import Stack
from projections.columns import Columns
from projections.quotes import Quotes
from projections.view import Displaced, MemoryView, Projection, ViewAway
from tests.projections.flow import trading

Make = Callable[..., Stack]
NOTHING_ELSE = {"postgres": False, "kafka": False, "redis": True}
BLOCKS = trading(seed=5, count=200, longest=10)
CLUSTER = "of-this-test"


def quotes(stack: Stack, cluster: str = CLUSTER) -> RedisView:
    return RedisView(connect(stack.redis_url, patience_s=0.2), cluster, "quotes")


def fold(view: RedisView, *, count: int = len(BLOCKS)) -> Projection:
    """A projection that has read the record from its first block to that of number *count*."""
    projection = Projection(1, Quotes(), view)
    for block in BLOCKS[:count]:
        projection.advance(Columns(block))
    return projection


def assert_complete(view: RedisView) -> None:
    """That it has every row as one who saw each block once has it, and the position."""
    memory = MemoryView()
    projection = Projection(1, Quotes(), memory)
    for block in BLOCKS:
        projection.advance(Columns(block))
    assert memory.rows
    assert {key: view.read(key, 1) for key in memory.rows} == {key: (row, len(BLOCKS)) for key, row in memory.rows.items()}


def test_a_redis_that_comes_back_with_all_it_had_is_written_on(own_stack: Make) -> None:
    """The writer is told of the outage, and goes on by the position that it finds."""
    stack = own_stack(**NOTHING_ELSE)
    view = quotes(stack)
    projection = fold(view, count=20)
    stack.servers["redis"].kill()
    with pytest.raises(ViewAway, match="view quotes: writing block 21 of partition 1"):
        projection.advance(Columns(BLOCKS[20]))
    stack.up()
    assert view.position(1) == 20
    fold(view)
    assert_complete(view)


def test_a_short_outage_is_waited_for(own_stack: Make) -> None:
    stack = own_stack(**NOTHING_ELSE)
    view = RedisView(connect(stack.redis_url, patience_s=5), CLUSTER, "quotes")
    projection = fold(view, count=20)
    stack.servers["redis"].kill()
    stack.servers["redis"].start(wait=False)
    for block in BLOCKS[20:]:
        projection.advance(Columns(block))
    assert_complete(view)


@pytest.mark.parametrize("loss", ["flushed", "killed"])
def test_a_redis_that_lost_everything_is_noticed_and_filled_again(own_stack: Make, loss: str) -> None:
    """FLUSHALL, or kill -9 without an append-only file. Writing on would leave out every row that does not change again."""
    stack = own_stack(**NOTHING_ELSE)
    server = stack.servers["redis"]
    assert isinstance(server, Redis)
    if loss == "killed":
        server.stop()
        server.settings["appendonly"] = "no"
        stack.up()
    view = quotes(stack)
    projection = fold(view, count=20)
    if loss == "killed":
        server.kill()
        stack.up()
    else:
        redis.Redis.from_url(stack.redis_url).flushall()
    with pytest.raises(Displaced, match="as of block 0, was left as of 20: another writes it, or it lost what it had"):
        projection.advance(Columns(BLOCKS[20]))
    fold(view)
    assert_complete(view)


def test_a_second_writer_is_noticed_by_the_first(redis_stack: Stack) -> None:
    """A worker that stood still while its partition was given to another does not write over what that one wrote."""
    cluster = secrets.token_hex(8)
    first = fold(quotes(redis_stack, cluster), count=10)
    fold(quotes(redis_stack, cluster))
    with pytest.raises(Displaced, match=f"as of block {len(BLOCKS)}, was left as of 10"):
        first.advance(Columns(BLOCKS[10]))
    assert_complete(quotes(redis_stack, cluster))


def test_a_block_whose_answer_was_lost_is_written_once(redis_stack: Stack) -> None:
    """The client sends it again when the connection broke: it is there already, and that is well."""
    cluster = secrets.token_hex(8)
    key, client = f"outcry:{{{cluster}:quotes:1}}", connect(redis_stack.redis_url)
    quotes(redis_stack, cluster).write({"quote:1": b"a"}, 1, 1)
    assert client.register_script(WRITE)([key], ["", 0, 1, b"never read"]) == b"1"
    assert quotes(redis_stack, cluster).read("quote:1", 1) == (b"a", 1)


def test_a_full_redis_is_not_written_in_part_and_goes_on_to_be_read(own_stack: Make) -> None:
    """And is written again when it has room."""
    stack = own_stack(**NOTHING_ELSE)
    view, client = quotes(stack), connect(stack.redis_url)
    view.write({"quote:1": b"a", "quote:2": b"b"}, 1, 1)
    client.config_set("maxmemory", "1")
    with pytest.raises(ViewAway, match=r"command not allowed when used memory > .* has room \(maxmemory\)"):
        view.write({"quote:1": b"", "quote:2": b"c"}, 1, 2)
    assert (view.group("quote", 1), view.position(1)) == (({"quote:1": b"a", "quote:2": b"b"}, 1), 1)
    assert view.read("quote:1", 1) == (b"a", 1)
    client.config_set("maxmemory", "0")
    view.write({"quote:1": b"", "quote:2": b"c"}, 1, 2)
    assert (view.read("quote:1", 1), view.read("quote:2", 1)) == ((b"", 2), (b"c", 2))


def test_a_write_that_fails_half_way_leaves_the_position_and_can_be_made_again(redis_stack: Stack) -> None:
    """Redis takes nothing back: here a key of somebody else is in the way of the second row. The position is the last that is written."""
    view, client = quotes(redis_stack, secrets.token_hex(8)), connect(redis_stack.redis_url)
    view.write({"b:1": b"a"}, 1, 1)
    (in_the_way,) = client.keys(f"{view._key(1)}:*")
    client.set(in_the_way, "somebody else's")
    with pytest.raises(ViewAway, match="WRONGTYPE"):
        view.write({"a:1": b"x", "b:1": b"y", "c:1": b"z"}, 1, 2)
    assert view.position(1) == 1
    client.delete(in_the_way)
    view.write({"a:1": b"x", "b:1": b"y", "c:1": b"z"}, 1, 2)
    assert [view.read(key, 1) for key in ("a:1", "b:1", "c:1")] == [(b"x", 2), (b"y", 2), (b"z", 2)]


def test_a_redis_that_would_drop_rows_is_not_written(own_stack: Make) -> None:
    stack = own_stack(**NOTHING_ELSE)
    connect(stack.redis_url).config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(ViewAway, match="maxmemory-policy is allkeys-lru"):
        quotes(stack).write({"quote:1": b"a"}, 1, 1)
    assert connect(stack.redis_url).dbsize() == 0


def test_partitions_clusters_and_views_of_one_redis_know_nothing_of_each_other(redis_stack: Stack) -> None:
    cluster = secrets.token_hex(8)
    mine = quotes(redis_stack, cluster)
    mine.write({"quote:1": b"a"}, 1, 1)
    assert mine.read("quote:1", 2) == (b"", 0)
    assert quotes(redis_stack, cluster + "1").read("quote:1", 1) == (b"", 0)
    assert RedisView(connect(redis_stack.redis_url), cluster, "depth").read("quote:1", 1) == (b"", 0)


def test_a_new_generation_is_looked_at_when_it_is_as_far_and_not_before(redis_stack: Stack) -> None:
    """Nobody sees a view go back; whoever keeps it notices nothing, and writes what is looked at."""
    cluster, client = secrets.token_hex(8), connect(redis_stack.redis_url)
    view, new = RedisView(client, cluster, "quotes"), RedisView(client, cluster, "quotes", 1)
    view.write({"quote:1": b"a"}, 1, 3)
    new.write({"quote:1": b"b"}, 1, 2)
    assert not new.switch(1)
    assert (view.read("quote:1", 1), new.read("quote:1", 1)) == ((b"a", 3), (b"b", 2))
    new.write({"quote:1": b"a", "quote:2": b"c"}, 1, 3)
    assert new.switch(1)
    RedisView(client, cluster, "quotes", 0).clear(1)
    view.write({"quote:1": b"d"}, 1, 4)
    assert view.group("quote", 1) == new.group("quote", 1) == ({"quote:1": b"d", "quote:2": b"c"}, 4)
    assert view.status(1) == (4, 1, "")
    assert len(client.keys(f"{view._key(1)}*")) == 3, "position, one bucket, and which generation it is"


def test_why_a_view_stands_still_is_known_until_it_goes_on(redis_stack: Stack) -> None:
    view = quotes(redis_stack, secrets.token_hex(8))
    view.write({}, 1, 1)
    view.say(1, "poison")
    assert view.status(1) == (1, 0, "poison")
    view.write({}, 1, 2)
    assert view.status(1) == (2, 0, "")


def _apart(view: RedisView, row: bytes, seq: int) -> None:
    """The control: rows and position in two writes."""
    with view._client.pipeline(transaction=False) as two:
        two.hset(f"{view._key(1)}:0", "quote:1", row)
        two.set(view._key(1), seq)
        two.execute()


def _whole(view: RedisView, row: bytes, seq: int) -> None:
    view.write({"quote:1": row}, 1, seq)


@pytest.mark.parametrize(("write", "parted"), [(_whole, False), (_apart, True)])
def test_wherever_a_power_cut_ends_the_file_rows_and_position_do_not_part(
    own_stack: Make, write: Callable[[RedisView, bytes, int], None], parted: bool
) -> None:
    """The append-only file is cut at every byte of a block; the control writes the two apart, and is caught."""
    stack = own_stack(**NOTHING_ELSE)
    write(quotes(stack), b"1", 1)
    begin = _append_only_file(stack).stat().st_size
    write(quotes(stack), b"2", 2)
    stack.down()
    written = _append_only_file(stack).read_bytes()
    found = set()
    for cut in range(begin, len(written) + 1, 8):
        _append_only_file(stack).write_bytes(written[:cut])
        stack.up()
        client = connect(stack.redis_url)
        rows = {row for key in client.keys("*}:*") for row in client.hgetall(key).values()}
        found.add((*rows, client.get(quotes(stack)._key(1))))
        client.close()
        stack.servers["redis"].kill()
    assert bool(found - {(b"1", b"1"), (b"2", b"2")}) == parted


def _append_only_file(stack: Stack) -> Path:
    (file,) = stack.servers["redis"].folder.glob("appendonlydir/*.incr.aof")
    return file
