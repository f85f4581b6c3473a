"""The audit index in a real OpenSearch: it says what the record says, whoever is killed or slow; nothing is left out silently."""

from __future__ import annotations

import logging
import os
import random
import secrets
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest

from adapters.search import bulk, in_index, in_record
from adapters.search import view as viewing
from adapters.search.criteria import Criteria, Cursor, Found, Range, TooMuch, matches
from adapters.search.opensearch import connect
from adapters.search.view import OpenSearchView
from adapters.stack.stack import Stack
from domain.columns import DAY_NS
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal
from eventstore.memory import MemoryLog
from projections.audit import INSTRUMENTS, Audit, lines_of
from projections.audit_proof import AuditProof
from projections.columns import Columns
from projections.rebuild import rebuild
from projections.states import Begun
from projections.view import Displaced, Projection, Rows, ViewAway
from tests.market import buy, cancel
from tests.model.small_market import opening
from tests.projections.flow import recorded, trading
from tests.servers.fixtures import SMALL_HEAP_MB
from tests.waiting import eventually

BLOCKS = trading(seed=31, count=500, longest=30)
EVERY = Criteria()
READ_ONLY = "index.blocks.read_only_allow_delete"


class Index:
    """An audit index of a cluster of its own."""

    def __init__(self, url: str) -> None:
        self.client, self.cluster = connect(url), secrets.token_hex(8)

    def view(self, generation: int | None = None, **options: int) -> OpenSearchView:
        return OpenSearchView(self.client, self.cluster, "audit", generation, **options)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return self.view().server.ask(method, path, body, patience_s=10)

    def found(self, criteria: Criteria = EVERY, **how: Any) -> list[Found]:
        where = self.view().where(1)
        self.ask("POST", f"/{where.day('*')}/_refresh")
        return in_index.search(self.view(), [1], criteria, **({"limit": 10_000} | how)).hits

    def day(self) -> str:
        return self.view().where(1).day("1970.01.01")

    def make_read_only(self) -> None:
        """As the server does when the disk is full."""
        self.ask("PUT", f"/{self.day()}/_settings", {READ_ONLY: True})

    def make_writable(self) -> None:
        """As the server does when there is room again."""
        self.ask("PUT", f"/{self.day()}/_settings", {READ_ONLY: None})

    def is_read_only(self) -> bool:
        return READ_ONLY in self.ask("GET", f"/{self.day()}/_settings?flat_settings=true")[self.day()]["settings"]


@pytest.fixture
def index(opensearch_stack: Stack) -> Index:
    return Index(opensearch_stack.opensearch_url)


def kept(view: OpenSearchView, blocks: list[Block]) -> Projection:
    """*view* after *blocks*, each written by itself."""
    projection = Projection(1, Audit(), view)
    for block in blocks:
        projection.advance(Columns(block))
    return projection


def at_once(view: OpenSearchView, blocks: list[Block]) -> None:
    """*view* after *blocks*, written together."""
    projection = Projection(1, Audit(), view)
    for block in blocks:
        projection.take(Columns(block))
    projection.write()


def naive(blocks: list[Block], criteria: Criteria = EVERY) -> list[Found]:
    """What an answer must be: every document of the record, the last of each, in order, filtered one by one."""
    fold, rows = Audit(), Rows()
    for block in blocks:
        rows |= fold.fold(Columns(block))
    found = [msgspec.json.decode(lines_of(row)[1]) for key, row in rows.items() if not key.startswith(INSTRUMENTS)]
    return sorted((each for each in found if matches(criteria, each)), key=Cursor.of)


def test_it_holds_every_document_of_the_record_once(index: Index) -> None:
    """Written block by block or many blocks at once, and written again by one that had no position."""
    kept(index.view(), BLOCKS[:10])
    at_once(index.view(), BLOCKS)
    assert index.found() == naive(BLOCKS)
    assert index.view().position(1) == len(BLOCKS)

    index.ask("DELETE", f"/{index.view().where(1).state}/_doc/position")
    kept(index.view(), BLOCKS[:7])
    at_once(index.view(), BLOCKS)
    assert index.found() == naive(BLOCKS), "redelivered"


def test_an_order_never_goes_backwards(index: Index) -> None:
    """The server itself refuses an older life, whoever sends it when."""
    at_once(index.view(), BLOCKS)
    fold, older = Audit(), Rows()
    for block in BLOCKS[:8]:
        older |= fold.fold(Columns(block))
    rows = [row for key, row in older.items() if not key.startswith(INSTRUMENTS)]
    assert bulk.send(index.view().server, index.day(), rows) == []
    assert index.found() == naive(BLOCKS)


def test_without_versions_it_would_go_backwards(index: Index) -> None:
    """The control: the same, with the safeguard taken out of the rows."""
    at_once(index.view(), BLOCKS)
    fold, older = Audit(), Rows()
    for block in BLOCKS[:8]:
        older |= fold.fold(Columns(block))
    rows = []
    for key, row in older.items():
        action, document = lines_of(row)
        name = msgspec.json.decode(action)["index"]["_id"]
        if not key.startswith(INSTRUMENTS):
            rows.append(b'{"index":{"_id":"%b"}}\n%b\n' % (name.encode(), document))
    bulk.send(index.view().server, index.day(), rows)
    assert index.found() != naive(BLOCKS)


def test_a_document_that_the_mapping_refuses_lies_beside_the_index_with_the_reason(index: Index, caplog: pytest.LogCaptureFixture) -> None:
    view = index.view()
    rows = Audit().fold(Columns(BLOCKS[0]))
    place = next(iter(key for key, row in rows.items() if b'"what"' in row))
    good = len(rows)
    rows["1970.01.01/1-1-999"] = (
        b'{"index":{"_id":"1-1-999","version":1000,"version_type":"external"}}\n{"kind":"order","partition":1,"event":999,"hue":"blue"}\n'
    )
    rows["1970.01.01/1-1-998"] = (
        b'{"index":{"_id":"1-1-998","version":999,"version_type":"external"}}\n{"kind":"order","partition":1,"event":"soon"}\n'
    )
    with caplog.at_level(logging.CRITICAL):
        view.write(rows, 1, 1)
    assert place
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "CRITICAL"]
    assert view.refused == view.status(1).refused == index.view().status(1).refused == 2
    assert view.position(1) == 1
    assert len(index.found()) == good - sum(key.startswith(INSTRUMENTS) for key in rows)
    letters = index.ask("GET", f"/{view.where(1).refused}/_search")["hits"]["hits"]
    reasons = {letter["_id"]: letter["_source"]["reason"] for letter in letters}
    assert "strict_dynamic_mapping_exception" in reasons["1-1-999"]
    assert "hue" in reasons["1-1-999"]
    assert "failed to parse field [event]" in reasons["1-1-998"]
    assert {letter["_source"]["at_seq"] for letter in letters} == {1}


def test_what_a_busy_server_turns_away_is_sent_again(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers 429 for each document (here for want of room); all are there when it takes them again."""
    monkeypatch.setattr(bulk, "BUSY_S", 0.5)
    view = index.view()
    at_once(view, BLOCKS[:5])
    index.make_read_only()
    eventually(lambda: not index.is_read_only(), lambda: "the server looks every 30 s whether there is room: then it does this itself")
    index.make_read_only()
    projection = Projection(1, Audit(), view)
    for block in BLOCKS:
        projection.take(Columns(block))
    with pytest.raises(ViewAway, match="too busy for 0 s"):
        projection.write()
    assert index.view().position(1) == 5, "the position says what is there"

    monkeypatch.setattr(bulk, "BUSY_S", 60.0)
    writing = threading.Thread(target=projection.write)
    writing.start()
    writing.join(0.5)
    assert writing.is_alive(), "it waits"
    index.make_writable()
    writing.join(60)
    assert index.found() == naive(BLOCKS)


@pytest.mark.parametrize("first", ["documents", "position"])
def test_whoever_dies_between_documents_and_position_loses_nothing(index: Index, monkeypatch: pytest.MonkeyPatch, first: str) -> None:
    """Documents come first. The control: a position that came first would say that they are there, and nobody would write them."""
    kept(index.view(), BLOCKS[:5])
    dying = index.view()
    with monkeypatch.context() as died:
        if first == "documents":
            died.setattr(dying, "_put", lambda *_: (_ for _ in ()).throw(ViewAway("killed")))
        else:
            died.setattr(dying, "_file", lambda *_: 0)
        projection = Projection(1, Audit(), dying)
        for block in BLOCKS[:9]:
            projection.take(Columns(block))
        with suppress(ViewAway):
            projection.write()
    assert index.view().position(1) == (5 if first == "documents" else 9)
    kept(index.view(), BLOCKS)
    assert (index.found() == naive(BLOCKS)) == (first == "documents")


def test_two_writers_do_not_harm_each_other(index: Index) -> None:
    """One notices that the other was further, and goes on from there."""
    first, second = index.view(), index.view()
    one, other = kept(first, BLOCKS[:5]), kept(second, BLOCKS[:5])
    other.advance(Columns(BLOCKS[5]))
    with pytest.raises(Displaced) as displaced:
        one.advance(Columns(BLOCKS[5]))
    assert (displaced.value.left_at, displaced.value.found_at) == (5, 6)
    one.write()
    assert first.position(1) == 6


def test_a_day_that_is_gone_is_noticed_and_folded_anew(index: Index) -> None:
    projection = kept(index.view(), BLOCKS[:5])
    index.ask("DELETE", f"/{index.day()}")
    projection.take(Columns(BLOCKS[5]))
    with pytest.raises(Displaced):
        projection.write()
    with pytest.raises(Displaced) as lost:
        projection.write()
    assert lost.value.found_at == 0
    assert index.view().position(1) == 0
    at_once(index.view(), BLOCKS)
    assert index.found() == naive(BLOCKS)


def test_an_index_that_is_gone_as_a_whole_is_begun_anew(index: Index) -> None:
    projection = kept(index.view(), BLOCKS[:5])
    where = index.view().where(1)
    for name in (where.state, where.refused, index.day()):
        index.ask("DELETE", f"/{name}")
    projection.take(Columns(BLOCKS[5]))
    with pytest.raises(Displaced) as lost:
        projection.write()
    assert lost.value.found_at == 0
    at_once(index.view(), BLOCKS)
    assert index.found() == naive(BLOCKS)


def days_of(count: int) -> list[Block]:
    """A market in which an order is entered each day; the first is cancelled on the last."""
    engine, head, blocks = Partition(1), genesis(1), list[Block]()
    batches = [b"".join(opening())]
    batches += [buy(1, 1, 95, client_order_id=day + 1, received_ns=day * DAY_NS + 5) for day in range(1, count + 1)]
    batches.append(cancel(1, client_order_id=2, received_ns=(count + 1) * DAY_NS - 1))
    for batch in batches:
        blocks.append(seal(head, batch, engine.execute(batch), engine.time_ns))
        head = after(blocks[-1])
    return blocks


def test_days_roll_over_and_go_when_the_policy_says_so(index: Index) -> None:
    """Whole days, by the time of the market. What is older is in the record; the position and the units of instruments stay."""
    blocks = days_of(5)
    kept(index.view(keep_days=3), blocks)
    where = index.view().where(1)
    days = sorted(name.rpartition("-")[2] for name in index.ask("GET", f"/{where.day('*')}/_alias"))
    assert days == ["1970.01.04", "1970.01.05", "1970.01.06"]
    assert index.found() == [each for each in naive(blocks) if each["time_ns"] >= 3 * DAY_NS]
    assert index.view().position(1) == len(blocks)
    index.ask("POST", f"/{where.state}/_refresh")
    listed = in_index.units_of(index.view(), [1], "ODD")
    assert listed is not None
    assert listed.symbol == "ODD"

    log = recorded(blocks, MemoryLog())
    assert AuditProof(1, log, index.view()).compare(100, random.Random(1)).difference == ""


def test_a_rebuild_goes_beside_what_is_looked_at_and_takes_its_place_in_one_step(index: Index) -> None:
    log = recorded(BLOCKS, MemoryLog())
    at_once(index.view(), BLOCKS[:-1])
    writer, new = index.view(), index.view(1)
    assert writer.position(1) == len(BLOCKS) - 1

    assert rebuild(1, Begun(Audit(), 0, 0), [log], new) == len(BLOCKS)
    assert index.view().status(1)[:2] == (len(BLOCKS), 1)
    index.view(0).clear(1)
    assert index.found() == naive(BLOCKS)
    assert all(
        "-g1" in name
        for name in index.ask("GET", f"/_cat/indices/outcry-audit-*-{index.cluster}-*?format=json&h=index")
        for name in name.values()
    )

    with pytest.raises(Displaced) as displaced:
        writer.write({}, 1, len(BLOCKS))
    assert displaced.value.found_at == len(BLOCKS), "who wrote the old one goes on with the new one"


def test_an_index_of_another_layout_is_not_written_on(index: Index) -> None:
    at_once(index.view(), BLOCKS[:3])
    index.ask("PUT", f"/{index.view().where(1).state}/_doc/position", {"seq": 3, "layout": 99, "days": ["1970.01.01"]})
    with pytest.raises(ViewAway, match="layout 99, this release reads 1: rebuild the view"):
        index.view().position(1)


def test_a_generation_that_is_behind_is_not_looked_at(index: Index) -> None:
    at_once(index.view(), BLOCKS)
    at_once(index.view(1), BLOCKS[:-1])
    assert not index.view(1).switch(1)
    assert index.view().status(1).generation == 0


def test_the_proof_names_a_document_that_is_not_as_recorded(index: Index) -> None:
    """The index may be ahead of its position; what differs, what is missing and what should not be there is named."""
    log = recorded(BLOCKS, MemoryLog())
    at_once(index.view(), BLOCKS[:-3])
    fold, rows = Audit(), Rows()
    for block in BLOCKS:
        rows |= fold.fold(Columns(block))
    ahead = [row for key, row in rows.items() if not key.startswith(INSTRUMENTS)]
    bulk.send(index.view().server, index.day(), ahead)

    def difference() -> str:
        return AuditProof(1, log, index.view()).compare(1_000, random.Random(1)).difference

    assert difference() == ""
    order = next(each for each in naive(BLOCKS) if each["kind"] == "order")
    name = f"1-{order['seq']}-{order['event']}"
    index.ask("PUT", f"/{index.day()}/_doc/{name}", {**order, "account": 77})
    assert f"as of block {len(BLOCKS) - 3}, 1970.01.01/{name}: the record gives " in difference()
    assert "'account': 77" in difference()
    index.ask("DELETE", f"/{index.day()}/_doc/{name}")
    assert "the view has None" in difference()
    index.ask("PUT", f"/{index.day()}/_doc/{name}", order)
    index.ask("PUT", f"/{index.day()}/_doc/1-1-1x", {**order, "event": 1})
    assert "1-1-1x: the record gives None" in difference()


SEARCHES = [
    EVERY,
    Criteria(account=1),
    Criteria(account=2, kind="trade"),
    Criteria(side="sell", kind="order"),
    Criteria(symbol="ODD", price_ticks=Range(98, 101)),
    Criteria(quantity_lots=Range(10, None), kind="order"),
    Criteria(reason="unknown_order"),
    Criteria(reason="ioc_remainder", account=3),
    Criteria(client_order_id=5),
    Criteria(time_ns=Range(10**9, 20 * 10**9)),
    Criteria(words=("ordercancelled",)),
    Criteria(words=("odd", "gtc")),
    Criteria(words=("halt*",)),
    Criteria(words=("cross", "orderre*")),
    Criteria(kind="session"),
    Criteria(account=99),
]


def test_the_index_and_the_record_answer_as_a_naive_filter_does(index: Index) -> None:
    """Forwards and backwards, in pages of any size."""
    log = recorded(BLOCKS, MemoryLog())
    at_once(index.view(), BLOCKS)
    answered = 0
    for criteria in SEARCHES:
        expected = naive(BLOCKS, criteria)
        assert index.found(criteria, page=17) == expected, criteria
        assert index.found(criteria, newest_first=True) == expected[::-1]
        assert index.found(criteria, limit=3) == expected[:3]
        assert in_record.search(log, [1], criteria, limit=10_000).hits == expected
        assert in_record.search(log, [1], criteria, limit=3, newest_first=True).hits == expected[::-1][:3]
        answered += bool(expected)
        if len(expected) > 3:
            after = Cursor.of(expected[2])
            assert index.found(criteria, after=after) == expected[3:]
            assert in_record.search(log, [1], criteria, limit=10_000, after=after).hits == expected[3:]
    assert answered == len(SEARCHES) - 1
    order = next(each for each in naive(BLOCKS) if each["kind"] == "trade")["order"][1]
    assert len(index.found(Criteria(order=order))) > 1
    assert index.found(Criteria(order=order)) == naive(BLOCKS, Criteria(order=order))


def test_pages_are_as_of_one_moment_while_documents_arrive(index: Index) -> None:
    projection = kept(index.view(), BLOCKS[:5])
    left, expected = iter(BLOCKS[5:]), index.found()
    arrived = 0

    def arrive() -> None:
        nonlocal arrived
        for block in [next(left, None), next(left, None)]:
            if block:
                projection.advance(Columns(block))
                arrived += 1
        index.ask("POST", f"/{index.day()}/_refresh")

    assert index.found(page=10, between=arrive) == expected
    assert arrived > 2
    assert index.found() == naive(BLOCKS[: 5 + arrived]) != expected


def test_a_search_of_the_record_that_takes_too_long_or_finds_too_much_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    log = recorded(BLOCKS, MemoryLog())
    with pytest.raises(TooMuch, match="the record was read for 0 s, up to block 1 of partition 1"):
        in_record.search(log, [1], EVERY, limit=1, patience_s=0.0)
    monkeypatch.setattr(in_record, "MAX_MATCHES", 3)
    with pytest.raises(TooMuch, match="more than 3 documents are meant"):
        in_record.search(log, [1], EVERY, limit=1)


def test_opensearch_is_killed_and_stopped_and_nothing_is_lost(own_stack: Callable[..., Stack], monkeypatch: pytest.MonkeyPatch) -> None:
    """What was acknowledged before a kill -9 is there; while it is silent the writer waits for as long as it said, and no longer."""
    own = own_stack(postgres=False, kafka=False, opensearch=True, opensearch_heap_mb=SMALL_HEAP_MB)
    index, server = Index(own.opensearch_url), own.servers["opensearch"]
    projection = kept(index.view(), BLOCKS[:5])
    server.kill()
    projection.take(Columns(BLOCKS[5]))
    with pytest.raises(ViewAway, match="it goes on when OpenSearch answers"):
        projection.write()
    own.up()
    assert index.view().position(1) == 5
    assert index.found() == naive(BLOCKS[:5])
    projection.write()

    monkeypatch.setattr(bulk, "PATIENCE_S", 1.0)
    monkeypatch.setattr(viewing, "PATIENCE_S", 1.0)
    projection.take(Columns(BLOCKS[6]))
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    with pytest.raises(ViewAway):
        projection.write()
    os.kill(server.pid, signal.SIGCONT)

    def goes_on() -> bool:
        try:
            projection.write()
        except (ViewAway, Displaced):
            return False
        return True

    eventually(goes_on)
    for block in BLOCKS[7:]:
        projection.advance(Columns(block))
    assert index.found() == naive(BLOCKS)
