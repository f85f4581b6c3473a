"""`outcry worker views --views audit` and those who ask it: search, views, verify, rebuild; and the record where it does not answer."""

from __future__ import annotations

import csv
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from adapters.redis_view import connect as redis
from adapters.search.criteria import Criteria
from adapters.search.opensearch import connect
from adapters.search.view import OpenSearchView
from adapters.stack.stack import Stack
from adapters.views_worker import ViewsWorker
from projections.audit import Audit
from projections.columns import Columns
from projections.view import Rows, ViewAway
from tests.servers.fixtures import Database
from tests.servers.market import StackMarket
from tests.servers.test_audit_index import naive
from tests.servers.test_views import Kept, Owner, own_cluster
from tests.waiting import eventually


class Audited(Kept):
    """A market whose audit index is kept in an OpenSearch."""

    def __init__(self, market: StackMarket, redis_url: str, opensearch_url: str, owner: Owner) -> None:
        super().__init__(market, redis_url, owner)
        market.environment["OUTCRY_OPENSEARCH"] = opensearch_url
        self.client = redis(redis_url)
        self.url = opensearch_url

    def index(self) -> OpenSearchView:
        return OpenSearchView(connect(self.url), self.owner.log.cluster)

    def has_all(self) -> bool:
        try:
            return self.index().status(1).seq == self.owner.head.seq
        except ViewAway:  # an index that is being made does not answer yet
            return False

    def search(self, *options: str) -> Any:
        ran = self.market.outcry("search", "--json", *options)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)


def plain(hits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Documents as they are kept: without what is added for people, large numbers as numbers."""
    return [{name: number(value) for name, value in hit.items() if name not in {"time", "price", "quantity"}} for hit in hits]


def number(value: object) -> object:
    if isinstance(value, list):
        return [number(each) for each in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdecimal() else value


@pytest.fixture
def audited(market: StackMarket, redis_stack: Stack, opensearch_stack: Stack, database: Database) -> Iterator[Audited]:
    own_cluster(database)
    with closing(Owner(market)) as owner:
        yield Audited(market, redis_stack.redis_url, opensearch_stack.opensearch_url, owner)


def test_the_index_is_kept_searched_proved_and_made_anew_while_blocks_flow(audited: Audited) -> None:
    """It is asked through the command line only, as a compliance officer does."""
    audited.owner.commit(10, relay=False)
    worker = audited.worker("one", "audit")
    audited.owner.commit(10)
    eventually(audited.has_all)
    found = audited.search("--limit", "5000")
    assert (found["level"], found["why"], found["as_of"]) == ("index", "", [{"partition": 1, "seq": 20}])
    assert plain(found["hits"]) == naive(audited.owner.blocks)

    page = audited.search("--account", "1", "--kind", "order", "--limit", "3")
    rest = audited.search("--account", "1", "--kind", "order", "--after", page["next"])
    orders = naive(audited.owner.blocks, Criteria(account=1, kind="order"))
    assert page["more"]
    assert plain(page["hits"] + rest["hits"]) == orders
    lines = list(csv.DictReader(audited.market.outcry("search", "--account", "1", "--kind", "order", "--csv").stdout.splitlines()))
    assert [int(line["order"]) for line in lines] == [order["order"] for order in orders]

    worker.stop(signal.SIGKILL)
    audited.owner.commit(5)
    worker = audited.worker("two", "audit")
    eventually(audited.has_all)
    rebuilt = audited.market.outcry("rebuild", "audit", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert audited.index().status(1).generation == 1
    audited.owner.commit(5)
    eventually(audited.has_all)
    assert plain(audited.search("--limit", "5000")["hits"]) == naive(audited.owner.blocks)

    verified = json.loads(audited.market.outcry("verify", "--views", "--json").stdout)
    proved = next(each for each in verified["views"] if each["view"] == "audit")
    assert (proved["seq"], proved["difference"], proved["rows"]) == (30, "", len(naive(audited.owner.blocks)))
    shown = json.loads(audited.market.outcry("views", "--json").stdout)
    audit = next(each for each in shown["views"] if each["view"] == "audit")
    assert (audit["seq"], audit["behind"], audit["generation"], audit["refused"], audit["stopped"]) == (30, 0, 1, 0, "")
    assert 'outcry_view_refused_documents{partition="1",view="audit"} 0.0' in worker.get("/metrics")[1]
    assert worker.stop() == 0


def test_a_document_that_the_index_refuses_is_told_of_wherever_one_looks(audited: Audited) -> None:
    class Wrong(Audit):
        def fold(self, block: Columns) -> Rows:
            rows = super().fold(block)
            return {key: row.replace(b'"symbol"', b'"sumbol"') if block.seq == 1 else row for key, row in rows.items()}

    stop = threading.Event()
    worker = ViewsWorker(audited.market.settings, audited.owner.log, audited.owner.log.cluster, {"audit": Wrong}, lambda _: audited.index())
    serving = threading.Thread(target=worker.serve, args=(stop,))
    serving.start()
    try:
        audited.owner.commit(6)
        eventually(lambda: audited.has_all() and not worker.not_ready())
    finally:
        stop.set()
        serving.join()
    shown = audited.market.outcry("views")
    assert shown.returncode == 1
    assert "documents of partition 1 lie beside the audit index, with reasons" in shown.stdout
    refused = audited.market.outcry("verify", "--views")
    assert (refused.returncode, "NOT AS RECORDED: audit, partition 1, as of block 6" in refused.stdout) == (1, True)


def test_without_an_index_that_answers_the_record_does_and_says_so(audited: Audited) -> None:
    """The same documents, and who asks learns whence they come; trading and the views in Redis need no OpenSearch."""
    audited.market.environment["OUTCRY_OPENSEARCH"] = "http://127.0.0.1:1"
    worker = audited.worker("one", "quotes")
    audited.owner.commit(12)
    eventually(audited.at(12, "quotes"))
    ran = audited.market.outcry("search", "--json", "--account", "1")
    found = json.loads(ran.stdout)
    assert (ran.returncode, found["level"], found["as_of"]) == (0, "record", [{"partition": 1, "seq": 12}])
    assert "no answer from the index: view audit: " in ran.stderr
    assert "OpenSearch" in found["why"]
    assert plain(found["hits"]) == naive(audited.owner.blocks, Criteria(account=1))[:100]
    refused = audited.market.outcry("search", "--level", "index")
    assert (refused.returncode, "OpenSearch" in refused.stderr) == (3, True)
    shown = json.loads(audited.market.outcry("views", "--json").stdout)
    assert {each["view"]: each["seq"] for each in shown["views"]}["quotes"] == 12
    assert worker.stop() == 0


def test_audit_is_kept_by_workers_of_its_own(audited: Audited) -> None:
    refused = audited.market.outcry("worker", "views", "--views", "quotes,audit")
    assert (refused.returncode, "right would be --views audit" in refused.stderr) == (2, True)
