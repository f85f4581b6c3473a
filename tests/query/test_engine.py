"""A query reads what it was given and nothing else, in bounded memory and time; one that would not is stopped, and told why."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.query.engine import Limits, database
from adapters.query.errors import BadQuery
from adapters.query.reading import Reading, reading
from adapters.query.scan import Later, pieces_of_tail
from benchmarks import flows
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal
from eventstore.errors import Damaged
from eventstore.memory import MemoryLog
from tests.eventstore.rows import fill
from tests.projections.flow import trading
from tests.query.market import Asked


@pytest.fixture
def one(tmp_path: Path) -> Asked:
    return Asked(tmp_path / "archive", trading(5, 150, 20), 5)


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{file}')",
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "select * from read_parquet('https://localhost:1/x.parquet')",
        "select * from glob('/*')",
        "select * from sqlite_scan('{file}', 'blocks')",
        "select * from local_variable",
        "select getenv('HOME')",
    ],
)
def test_nothing_else_can_be_read(one: Asked, tmp_path: Path, query: str) -> None:
    """No file, no network, no variable of the process that asks."""
    local_variable = [1]
    assert local_variable  # a library that reads what surrounds it would find it
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nsecret\n")
    with pytest.raises(BadQuery):
        one.rows(query.format(file=secret))


@pytest.mark.parametrize(
    "query",
    [
        "copy (select 1) to '/tmp/stolen.csv'",
        "create table x as select 1",
        "insert into rules values (1)",
        "drop view events",
        "attach '/tmp/x.db'",
        "install httpfs",
        "set memory_limit = '100GB'",
        "pragma database_list",
        "select 1; select 2",
        "call pragma_version()",
        "",
    ],
)
def test_nothing_but_one_select_is_run(one: Asked, query: str) -> None:
    with pytest.raises(BadQuery):
        one.rows(query)
    assert one.row("select count(*) > 0 from events") == (True,)


def test_no_setting_can_be_changed_from_within(one: Asked) -> None:
    """Neither by functions that look like a SELECT."""
    with pytest.raises(BadQuery):
        one.rows("select set_config('memory_limit', '9GB')")


def read(one: Asked, limits: Limits, query: str) -> None:
    with one.opened(limits) as (_, asked), asked.ask(query) as answer:
        answer.read_all()


def test_a_query_without_end_is_stopped_and_told_what_would_help(one: Asked) -> None:
    began_s = time.monotonic()
    endless = "select sum(a.range * b.range) from range(10000000) a, range(1000000) b"
    limits = Limits(seconds=0.3)
    with pytest.raises(BadQuery, match=r"stopped after 0\.3 s; right would be less to read"):
        read(one, limits, endless)
    assert time.monotonic() - began_s < 60, "it ended by being stopped, not by itself"


def test_a_query_that_needs_more_memory_than_it_may_is_refused(one: Asked) -> None:
    """It is not spilled to a disk that nobody planned for."""
    hungry = "select count(*) from (select distinct range from range(30000000))"
    with pytest.raises(BadQuery, match="needs more than 64 MiB"):
        read(one, Limits(memory_mib=64), hungry)


def crossing(commands: int) -> Iterator[Block]:
    """A market opens, then a block in which two orders of three trade."""
    flow, engine, head = flows.flow("cross", accounts=4, instruments=2, commands=commands), Partition(1), genesis(1)
    for rows in (*flow.set_up(), *flow.batches()):
        yield (block := seal(head, rows, engine.execute(rows), engine.time_ns))
        head = after(block)


def test_a_sum_over_trades_takes_no_more_memory_when_there_are_more_of_them() -> None:
    """They go by: to look up their instruments none of them is kept."""
    *opening, trades = [Later(block, 0) for block in crossing(10_000)]
    pieces = [*pieces_of_tail(opening), *(80 * [*pieces_of_tail([trades])])]
    per_symbol = "select symbol, count(*) as trades, sum(notional) from trades group by all"
    with database(Reading(pieces, []), Limits(memory_mib=16)) as asked, asked.ask(per_symbol) as answer:
        counted = sum(answer.read_all()["trades"].to_pylist())
    assert counted > 500_000, "more than there is room for"


def test_a_mistake_is_explained(one: Asked) -> None:
    with pytest.raises(BadQuery, match="pric"):
        one.rows("select pric from trades")


def test_damage_that_a_query_meets_is_named_as_damage(tmp_path: Path) -> None:
    """Not as a mistake of who asked."""
    one = Asked(tmp_path / "archive", trading(5, 150, 20), 30)
    (path,) = (tmp_path / "archive").rglob("*.parquet")
    content = bytearray(path.read_bytes())
    at = content.index(one.blocks[3].payload)
    content[at + 9] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match=str(path)):
        one.rows("select sum(quantity_lots) from trades")


def test_the_tail_is_bounded_and_an_answer_says_that_it_was_cut(one: Asked) -> None:
    """As of an earlier block, in order, without a gap: never a bit of everything."""
    archived = one.shelf.head(1).seq
    budget = sum(len(block.payload) for block in one.blocks[archived : archived + 3])
    with reading(one.shelf, one.log, budget) as found:
        (as_of,) = found.as_of
    assert (as_of.archived, as_of.seq, as_of.record, as_of.cut) == (archived, archived + 3, len(one.blocks), True)


def test_an_archive_of_another_record_is_noticed(one: Asked) -> None:
    other = MemoryLog()
    fill(other, 10)
    with pytest.raises(Damaged, match="its hash in the archive is"), reading(one.shelf, other):
        pass


def test_accounts_have_the_names_that_people_gave_them(one: Asked) -> None:
    with one.opened(accounts={"alice": 1, "bob": 2}) as (_, asked), asked.ask("select name from accounts order by account") as answer:
        assert answer.read_all()["name"].to_pylist() == ["alice", "bob"]


def test_a_limit_reads_no_further(one: Asked) -> None:
    """What is left unread is not decoded, and nothing hangs."""
    assert len(one.rows("select * from events limit 3")[0]) == 3
