"""A connection that breaks inside a commit: every block that is acknowledged is on record once, and none that is denied ever appears.

The same checks run against writers without their safeguard, and must then fail.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from adapters.drill.proxy import Cut, Proxy
from eventstore.blocks import Block, after
from eventstore.ports import Damaged, Fenced, OutcomeUnknown, StoreFailed
from eventstore.postgres import PostgresLog, Session
from tests.contracts.record import block_after
from tests.servers.fixtures import Database

LARGE_COMMANDS = 10_000  # a block of several packets
PATIENCE_S = 0.3


@pytest.fixture
def proxy(database: Database) -> Iterator[Proxy]:
    """Between the writers and the server."""
    with Proxy("127.0.0.1", database.stack.postgres.port) as proxy:
        yield proxy


@pytest.fixture
def through(database: Database, proxy: Proxy) -> str:
    """How to connect through the proxy. A statement is one request there."""
    return make_conninfo(database.dsn(), host="127.0.0.1", port=proxy.port)


@pytest.fixture
def direct(database: Database) -> Iterator[PostgresLog]:
    """The record as whoever is not cut off sees it."""
    with closing(PostgresLog(database.dsn())) as log:
        yield log


class BlindRetry(PostgresLog):
    """Negative control: sends the block again and believes the answer, as the library's own recorders do."""

    def _settle(self, block: Block, cause: str) -> None:
        with self._session() as session:
            self._add(session, block)

    def _is_recorded(self, session: Session, block: Block) -> bool:
        return False  # it does not look


class GivesUp(PostgresLog):
    """Negative control: takes a lost answer for a lost request."""

    def _settle(self, block: Block, cause: str) -> None:
        raise StoreFailed(self._store, cause)


def without_comparison(database: Database) -> None:
    """Negative control: the head moves, wherever it stands and whoever asks; and nothing behind it minds."""
    with psycopg.connect(database.dsn("outcry_migrator")) as owner:
        row = owner.execute("SELECT pg_get_functiondef('outcry.append'::regproc)").fetchone()
        assert row
        owner.execute(re.sub(r"AND epoch = new_epoch.*new_prev_hash", "", row[0]).encode())
        owner.execute("DROP TRIGGER a_head_only_advances ON outcry.head")
        owner.execute("ALTER TABLE outcry.blocks DROP CONSTRAINT blocks_pkey")


def told_the_truth(log: PostgresLog, record: PostgresLog, proxy: Proxy, cut: Cut, commands: int = 1) -> None:
    """Assert that what *log* says of a block whose commit is cut is so, and that the next block goes in."""
    first = block_after(log.claim(1), commands=commands)
    log.append(first)
    second = block_after(after(first), commands=commands)
    proxy.cut(cut, second.hash)
    try:
        log.append(second)
        denied = ""
    except (Fenced, StoreFailed) as error:
        denied = str(error)
    assert proxy.cuts == 1, "the test cuts what it means to cut"
    assert bool(denied) == (second not in record.read(1)), f"acknowledged: {not denied} {denied}"
    third = block_after(after(second), commands=commands)
    log.append(third)
    assert list(record.read(1)) == [first, second, third]


@pytest.mark.parametrize("commands", [1, LARGE_COMMANDS])
@pytest.mark.parametrize("cut", [Cut.BEFORE_THE_REQUEST, Cut.BEFORE_THE_ANSWER])
def test_a_commit_that_is_cut_is_settled_by_reading_back(through: str, direct: PostgresLog, proxy: Proxy, cut: Cut, commands: int) -> None:
    with closing(PostgresLog(through)) as log:
        told_the_truth(log, direct, proxy, cut, commands)


@pytest.mark.parametrize("careless", [BlindRetry, GivesUp])
def test_the_same_check_catches_a_writer_that_does_not_read_back(
    through: str, direct: PostgresLog, proxy: Proxy, careless: Callable[[str], PostgresLog]
) -> None:
    with closing(careless(through)) as log, pytest.raises(AssertionError, match="acknowledged: False"):
        told_the_truth(log, direct, proxy, Cut.BEFORE_THE_ANSWER)


def the_late_request_changes_nothing(log: PostgresLog, record: PostgresLog, proxy: Proxy) -> None:
    """Assert that a request that arrives after its writer has settled it has no effect."""
    first = block_after(log.claim(1))
    proxy.cut(Cut.REQUEST_LATE, first.hash)
    log.append(first)
    second = block_after(after(first))
    log.append(second)
    before = record.head(1)
    answer = proxy.deliver()
    assert b"outcry" not in answer, f"the server refuses politely: {answer!r}"
    assert record.head(1) == before
    assert list(record.read(1)) == [first, second]


def test_a_request_that_arrives_late_changes_nothing(through: str, direct: PostgresLog, proxy: Proxy) -> None:
    """Reading back found nothing, so the block was sent again; the first request was only slow."""
    with closing(PostgresLog(through)) as log:
        the_late_request_changes_nothing(log, direct, proxy)


def test_the_same_check_catches_a_head_that_is_not_compared(database: Database, through: str, direct: PostgresLog, proxy: Proxy) -> None:
    without_comparison(database)
    with closing(PostgresLog(through)) as log, pytest.raises((AssertionError, Damaged)):
        the_late_request_changes_nothing(log, direct, proxy)


def the_late_request_of_an_old_owner_is_fenced(old: PostgresLog, new: PostgresLog, proxy: Proxy) -> None:
    """Assert that the block of an owner whose request arrives after the next owner's claim is not in the record."""
    block = block_after(old.claim(1))
    proxy.cut(Cut.REQUEST_LATE, block.hash)
    proxy.refuses = True
    with pytest.raises(OutcomeUnknown):
        old.append(block)
    head = new.claim(1)
    proxy.deliver()
    assert new.head(1) == head
    proxy.refuses = False
    with pytest.raises(Fenced):
        old.append(block)
    assert list(new.read(1)) == []


def test_a_claim_ends_what_is_still_on_its_way(through: str, direct: PostgresLog, proxy: Proxy) -> None:
    """After the claim the head is the truth: what was not there then never will be."""
    with closing(PostgresLog(through, patience_s=PATIENCE_S)) as old:
        the_late_request_of_an_old_owner_is_fenced(old, direct, proxy)


def test_the_same_check_catches_an_epoch_that_is_not_compared(database: Database, through: str, direct: PostgresLog, proxy: Proxy) -> None:
    without_comparison(database)
    with closing(PostgresLog(through, patience_s=PATIENCE_S)) as old, pytest.raises(AssertionError):
        the_late_request_of_an_old_owner_is_fenced(old, direct, proxy)


@pytest.mark.parametrize("cut", [Cut.BEFORE_THE_REQUEST, Cut.BEFORE_THE_ANSWER])
def test_an_outcome_stays_open_only_while_nobody_can_be_asked(through: str, direct: PostgresLog, proxy: Proxy, cut: Cut) -> None:
    """And then the same append may be repeated: whatever became of the first, the block is there once."""
    with closing(PostgresLog(through, patience_s=PATIENCE_S)) as log:
        block = block_after(log.claim(1))
        proxy.cut(cut, block.hash)
        proxy.refuses = True
        with pytest.raises(
            OutcomeUnknown, match=rf"partition 1: it is not known whether block 1 is durable \(postgres = '.*port={proxy.port}"
        ):
            log.append(block)
        proxy.refuses = False
        log.append(block)
    assert list(direct.read(1)) == [block]


@pytest.mark.parametrize("ask", [lambda log: log.head(1), lambda log: log.partitions(), lambda log: log.claim(1)])
def test_what_may_be_repeated_is_repeated(through: str, proxy: Proxy, ask: Callable[[PostgresLog], object]) -> None:
    """A connection that was lost while nobody used it costs nobody anything."""
    with closing(PostgresLog(through)) as log:
        log.claim(1)
        proxy.cut(Cut.BEFORE_THE_ANSWER, b"outcry")
        ask(log)
        assert proxy.cuts == 1
        assert log.head(1).seq == 0


def test_a_server_that_is_gone_is_named_after_a_while(through: str, proxy: Proxy) -> None:
    with closing(PostgresLog(through, patience_s=PATIENCE_S)) as log:
        proxy.refuses = True
        proxy.cut(Cut.BEFORE_THE_REQUEST, b"outcry")
        with pytest.raises(StoreFailed, match=r"postgres = '.*'; nothing was changed|postgres = .*nothing was changed"):
            log.head(1)
