"""Searches of the audit index: bounded by how they are made, paged as of one point in time, ended when they take too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import msgspec

from adapters.search.criteria import NAMED, BadSearch, Criteria, Cursor, Found, Hits, Range, TooMuch
from adapters.search.indices import Generation
from adapters.search.opensearch import Busy, Missing, Refused, Server
from adapters.search.view import OpenSearchView
from projections.documents import Instrument
from projections.view import ViewAway

PAGE: Final = 1_000
PATIENCE_S: Final = 10.0  # of one page
MAX_PATH: Final = 3_500  # OpenSearch takes lines of 4,096 bytes
KEEP_ALIVE: Final = "1m"
_ORDER: Final = ("time_ns", "partition", "event")


def query_of(criteria: Criteria) -> dict[str, Any]:
    """The criteria as a query. It has no scripts, no regular expressions, and no word whose beginning is left open."""
    wanted: list[dict[str, Any]] = [{"term": {name: value}} for name, value in criteria.exact.items()]
    if criteria.time_ns:
        wanted.append(_any([_range(name, criteria.time_ns) for name in ("time_ns", "changed_ns")]))
    wanted += [_range(name, getattr(criteria, name)) for name in ("price_ticks", "quantity_lots") if getattr(criteria, name)]
    wanted += map(_word, criteria.words)
    return {"bool": {"filter": wanted}} if wanted else {"match_all": {}}


def search(
    view: OpenSearchView,
    partitions: Sequence[int],
    criteria: Criteria,
    *,
    limit: int,
    after: Cursor | None = None,
    newest_first: bool = False,
    page: int = PAGE,
    between: Callable[[], None] = lambda: None,
) -> Hits:
    """The first *limit* documents that are meant, of *partitions*, after the place *after*.

    page     documents of one request
    between  called between two requests
    Raises   ViewAway, TooMuch, BadSearch
    """
    looked_at = [view.look(partition) for partition in partitions]
    where, as_of = [each for each, _ in looked_at], {each.partition: seq for each, seq in looked_at}
    hits: list[Found] = []
    if limit < page:
        hits = _page(view.server, _days(where), _asked(criteria, limit + 1, after, newest_first=newest_first))
    else:
        with _as_of_now(view.server, where) as point:
            while point and len(hits) <= limit:
                size = min(page, limit + 1 - len(hits))
                asked = _asked(criteria, size, after, newest_first=newest_first)
                found = _page(view.server, "", asked | {"pit": {"id": point, "keep_alive": KEEP_ALIVE}})
                hits += found
                if len(found) < size:
                    break
                after = Cursor.of(found[-1])
                between()
    more = len(hits) > limit
    return Hits("index", as_of, hits[:limit], more, _instruments(view.server, where, hits[:limit]))


def units_of(view: OpenSearchView, partitions: Sequence[int], symbol: str) -> Instrument | None:
    """What ticks and lots of *symbol* are worth; None: it is not in the index. Raises ViewAway."""
    for partition in partitions:
        with suppress(Missing):
            body = {"size": 1, "query": {"term": {"symbol": symbol}}}
            hits = _ask(view.server, "POST", f"/{view.where(partition).state}/_search", body)["hits"]["hits"]
            if hits:
                return msgspec.convert(hits[0]["_source"], Instrument)
    return None


def _instruments(server: Server, where: Sequence[Generation], hits: Sequence[Found]) -> Mapping[tuple[int, str], Instrument]:
    """What ticks and lots of *hits* are worth, by partition and symbol."""
    found = {}
    for each in where:
        names = {f"instrument-{hit['instrument']}" for hit in hits if hit["partition"] == each.partition and hit.get("instrument")}
        if names:
            for document in _ask(server, "POST", f"/{each.state}/_mget", {"ids": sorted(names)})["docs"]:
                if document.get("found"):
                    listed = msgspec.convert(document["_source"], Instrument)
                    found[each.partition, listed.symbol] = listed
    return found


def _days(where: Sequence[Generation]) -> str:
    """The path that names all that is looked at. Raises BadSearch."""
    path = "/" + ",".join(each.day("*") for each in where)
    if len(path) > MAX_PATH:
        raise BadSearch(f"{len(where)} partitions are more than one search can name; right would be --partition, --instrument or --order")
    return path


def _asked(criteria: Criteria, size: int, after: Cursor | None, *, newest_first: bool) -> dict[str, Any]:
    return {
        "size": size,
        "query": query_of(criteria),
        "sort": [{name: {"order": "desc" if newest_first else "asc", "unmapped_type": "long"}} for name in _ORDER],
        "track_total_hits": False,
        "timeout": f"{PATIENCE_S:.0f}s",
        **({"search_after": list(after)} if after else {}),
    }


def _page(server: Server, indices: str, asked: dict[str, Any]) -> list[Found]:
    """What is found. indices: a path; empty where *asked* names a point in time."""
    try:
        answer = _ask(server, "POST", f"{indices}/_search", asked)
    except Missing as gone:
        raise ViewAway("OpenSearch: what was searched is gone, since the index was rebuilt meanwhile; ask again") from gone
    if answer["timed_out"]:
        raise TooMuch(
            f"the index gave this search up after {PATIENCE_S:.0f} s; right would be a narrower one: --account, --order, --instrument "
            "or a shorter time"
        )
    if answer["_shards"]["failed"]:
        raise ViewAway(f"OpenSearch: {answer['_shards']['failed']} of {answer['_shards']['total']} shards did not answer")
    return [hit["_source"] for hit in answer["hits"]["hits"]]


@contextmanager
def _as_of_now(server: Server, where: Sequence[Generation]) -> Iterator[str]:
    """A point in time of all that is looked at; empty when there is nothing yet."""
    try:
        point = _ask(server, "POST", f"{_days(where)}/_search/point_in_time", None, {"keep_alive": KEEP_ALIVE})["pit_id"]
    except Missing:
        yield ""
        return
    try:
        yield point
    finally:
        with suppress(ViewAway, Missing):  # it ends by itself
            _ask(server, "DELETE", "/_search/point_in_time", {"pit_id": [point]})


def _ask(server: Server, method: str, path: str, body: object, params: Mapping[str, Any] | None = None) -> Any:
    try:
        return server.ask(method, path, body, patience_s=PATIENCE_S, params=params)
    except Busy as busy:
        raise ViewAway(f"OpenSearch is too busy to search ({busy})") from busy
    except Refused as refused:
        raise TooMuch(f"the index does not do this search: {refused}; right would be a narrower one") from refused


def _range(name: str, wanted: Range) -> dict[str, Any]:
    bounds = {key: value for key, value in (("gte", wanted.low), ("lte", wanted.high)) if value is not None}
    return {"range": {name: bounds}}


def _word(word: str) -> dict[str, Any]:
    """A word in a field of one word or in the text."""
    if word.endswith("*"):
        return _any([{"prefix": {name: {"value": word[:-1], "case_insensitive": True}}} for name in (*NAMED, "text")])
    return _any([{"term": {name: {"value": word, "case_insensitive": True}}} for name in (*NAMED, "text")])


def _any(queries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"bool": {"should": queries, "minimum_should_match": 1}}
