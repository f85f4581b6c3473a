"""The archive of a record in Postgres, and queries over both while somebody writes on."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from adapters.query.engine import database as asked_of
from adapters.query.reading import reading
from eventstore.checking import check
from eventstore.closing import close_ranges
from eventstore.cold import ArchiveLog
from eventstore.postgres import PostgresLog
from eventstore.shelf import Shelf
from tests.projections.flow import recorded, trading
from tests.servers.fixtures import Database

TRADES = "select count(*) as trades, max(event_index) as last from trades"


def test_a_record_in_postgres_is_archived_byte_for_byte_and_asked_together_with_what_came_since(database: Database, tmp_path: Path) -> None:
    """Its answer is that of the record alone, wherever the archive ends."""
    shelf = Shelf(str(tmp_path / "archive"))
    with closing(PostgresLog(database.dsn())) as log:
        recorded(trading(31, 400, 20), log)
        whole = list(log.read(1))
        answers = []
        for cut in (0, len(whole) // 2, len(whole)):
            if cut:
                assert list(close_ranges(log, shelf, 1, until_ns=whole[cut - 1].time_ns))
            with reading(shelf, log) as found, asked_of(found) as asked, asked.ask(TRADES) as answer:
                answers.append(answer.read_all().to_pylist())
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0]["trades"] > 0
        assert list(ArchiveLog(str(tmp_path / "archive")).read(1)) == whole
        checked = check(shelf, 1, log)
        assert (checked.ok, checked.compared) == (True, len(whole))
