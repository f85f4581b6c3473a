"""The audit index in OpenSearch, as a view: documents by day, and the position that they are as of.

The rows of a write are there before its position is, so that the position never says more than is there; it is written only on the
very position that its writer left. What is written twice is the same: a document has its own place, and no older one is taken
(projections/audit.py). So readers may find what is newer than the position, never less.

A day's documents go as a whole when the day is older than the policy keeps. One that its mapping refuses lies in an index of its own, with
the reason, and is told of at once; a day that is gone before its time is noticed at the next start, and the view is folded anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from typing import Any, Final, NamedTuple

import msgspec
from opensearchpy import OpenSearch

from adapters.search import bulk
from adapters.search.indices import PATIENCE_S, POSITION, Generation, Position, put_templates
from adapters.search.opensearch import Busy, Conflict, Missing, Refused, Server
from projections import documents as d
from projections.audit import INSTRUMENTS, lines_of
from projections.packed import OtherLayout
from projections.view import Displaced, Rows, ViewAway

KEEP_DAYS: Final = 90
_DAY: Final = "%Y.%m.%d"
_LOG: Final = logging.getLogger(__name__)


class Status(NamedTuple):
    """What is known of a view without reading it. refused: documents that their mapping refused."""

    seq: int
    generation: int
    stopped: str
    refused: int


class _Left(NamedTuple):
    """How a generation was left: the index of its position, the position, and which version of its document that is (None: none yet)."""

    where: Generation
    position: Position
    version: tuple[int, int] | None


class OpenSearchView:
    """The audit index of a cluster: see projections.view.RemoteView. Any number of objects read it, one writes it.

    generation  None: whichever is looked at now; else that one, looked at or not
    keep_days   of documents, by the time of the market: the newest day and those before it
    Every method raises ViewAway.
    """

    rows_at_once: Final = bulk.DOCUMENTS_AT_ONCE

    def __init__(
        self, client: OpenSearch, cluster: str, name: str = "audit", generation: int | None = None, *, keep_days: int = KEEP_DAYS
    ) -> None:
        self.server, self._cluster, self.name = Server(client, name), cluster, name
        self._generation, self._keep_days = generation, keep_days
        self._left: dict[int, _Left] = {}
        self._has_templates = False

    @property
    def refused(self) -> int:
        """Documents that their mapping refused, of the partitions that this object writes. From any thread."""
        return sum(left.position.refused for left in list(self._left.values()))

    def position(self, partition: int) -> int:
        """See View. Asked once, then as this object left it."""
        if partition not in self._left:
            left = self._look(partition)
            if left.position.layout != d.LAYOUT:
                raise ViewAway(str(OtherLayout(self.name, left.position.layout, d.LAYOUT)))
            if lost := set(left.position.days) - set(self._days(left.where)):
                _LOG.error("view %s: partition %d: the index has lost %s", self.name, partition, ", ".join(sorted(lost)))
                left = left._replace(position=Position())
            self._left[partition] = left
        return self._left[partition].position.seq

    def status(self, partition: int) -> Status:
        """As OpenSearch has it now."""
        left = self._look(partition)
        return Status(left.position.seq, left.where.number, left.position.stopped, left.position.refused)

    def where(self, partition: int) -> Generation:
        """The generation that is looked at, or this object's own."""
        return Generation(self._cluster, partition, self._generation if self._generation is not None else self._looked_at(partition))

    def as_of(self, partition: int) -> tuple[int, str]:
        """See projections.audit_proof.Documents; what was written before is found from now on."""
        position = self._look(partition).position
        with suppress(Missing):
            self._ask("POST", f"/{self.where(partition).day('*')}/_refresh")
        return position.seq, min(position.days, default="")

    def span(self, partition: int, first_event: int, last_event: int) -> Mapping[str, Mapping[str, Any]]:
        """See projections.audit_proof.Documents."""
        size = 2 * (last_event - first_event + 1)
        body = {"size": size, "query": {"range": {"event": {"gte": first_event, "lte": last_event}}}}
        try:
            hits = self._ask("POST", f"/{self.where(partition).day('*')}/_search", body)["hits"]["hits"]
        except Missing:
            return {}
        return {f"{hit['_index'].rpartition('-')[2]}/{hit['_id']}": hit["_source"] for hit in hits}

    def say(self, partition: int, why: str) -> None:
        """See RemoteView."""
        left = self._left.pop(partition, None) or self._look(partition)
        if left.version is None:
            self._make(left.where)
        with suppress(Conflict):  # somebody writes on
            self._put(left, left.position._replace(stopped=why))

    def forget(self, partition: int) -> None:
        """See RemoteView."""
        self._left.pop(partition, None)

    def write(self, rows: Rows, partition: int, seq: int) -> None:
        """See View. Raises Displaced; after it and after ViewAway the position is asked anew."""
        left_at = self.position(partition)
        assert seq > left_at, f"block {seq} for a view that is as of block {left_at}"
        left = self._left.pop(partition)
        by_place: dict[str, list[bytes]] = {}
        for key, row in rows.items():
            by_place.setdefault(key.partition("/")[0], []).append(row)
        oldest = self._oldest({*left.position.days, *by_place} - {INSTRUMENTS})
        try:
            if left.version is None:
                self._make(left.where)
            turned = sum(
                self._file(left, place, filed, seq) for place, filed in by_place.items() if place == INSTRUMENTS or place >= oldest
            )
            days = sorted(day for day in {*left.position.days, *by_place} - {INSTRUMENTS} if day >= oldest)
            self._left[partition] = self._put(left, Position(seq, d.LAYOUT, tuple(days), refused=left.position.refused + turned))
        except (Missing, Conflict):
            raise Displaced(partition, left_at, self._look(partition).position.seq) from None
        if set(left.position.days) - set(days):
            self._delete(left.where.day(day) for day in self._days(left.where) if day < oldest)

    def switch(self, partition: int) -> bool:
        """Let this generation be looked at from now on, in one step; False: the one looked at is as of a later block."""
        new = self._look(partition)
        old = Generation(self._cluster, partition, self._looked_at(partition))
        if new.position.seq < self._position(old)[0].seq:
            return False
        if new.version is None:
            self._make(new.where)
        actions = [{"remove": {"index": old.state, "alias": old.alias}}] if old != new.where and self._has(old.alias) else []
        self._ask("POST", "/_aliases", {"actions": [*actions, {"add": {"index": new.where.state, "alias": new.where.alias}}]})
        return True

    def clear(self, partition: int) -> None:
        """Take this generation's documents and position away, wherever it stopped. It is not the one looked at."""
        assert self._generation is not None, "which generation is taken away is said, not asked"
        self._left.pop(partition, None)
        where = Generation(self._cluster, partition, self._generation)
        self._delete([where.state])  # the position first: what is half gone is not gone on with
        self._delete([where.refused, *map(where.day, self._days(where))])

    def _file(self, left: _Left, place: str, rows: list[bytes], seq: int) -> int:
        """Write the documents of one place; how many their mapping refuses. Raises Missing, ViewAway."""
        index = left.where.state if place == INSTRUMENTS else left.where.day(place)
        if place not in left.position.days and place != INSTRUMENTS:
            self._create(index)
        turned = bulk.send(self.server, index, rows)
        for row, reason in turned:
            action, document = lines_of(row)
            extra = {"partition": left.where.partition, "view": self.name, "seq": seq}
            _LOG.critical("view %s: the index refuses %s: %s; it lies in %s", self.name, document, reason, left.where.refused, extra=extra)
            letter = {"reason": reason, "place": place, "document": document.decode(), "at_seq": seq}
            name = msgspec.json.decode(action)["index"]["_id"]
            self._ask("PUT", f"/{left.where.refused}/_doc/{name}", letter, params={"refresh": "true"})
        return len(turned)

    def _put(self, left: _Left, position: Position) -> _Left:
        """Move the position. Raises Conflict when it is not as it was left, Missing."""
        on = {"op_type": "create"} if left.version is None else dict(zip(("if_seq_no", "if_primary_term"), left.version, strict=True))
        answer = self._ask("PUT", f"/{left.where.state}/_doc/{POSITION}", position._asdict(), params=on)
        return _Left(left.where, position, (answer["_seq_no"], answer["_primary_term"]))

    def look(self, partition: int) -> tuple[Generation, int]:
        """Where the documents are that are looked at, and the block that they are as of."""
        left = self._look(partition)
        return left.where, left.position.seq

    def _look(self, partition: int) -> _Left:
        if self._generation is None:
            with suppress(Missing):  # the generation that is looked at and its position, in one question
                found = self._ask("GET", f"/{Generation(self._cluster, partition, 0).alias}/_doc/{POSITION}")
                return _Left(Generation(self._cluster, partition, _number(found["_index"])), *_read(found))
        where = self.where(partition)
        return _Left(where, *self._position(where))

    def _position(self, where: Generation) -> tuple[Position, tuple[int, int] | None]:
        try:
            return _read(self._ask("GET", f"/{where.state}/_doc/{POSITION}"))
        except Missing:
            return Position(), None

    def _looked_at(self, partition: int) -> int:
        try:
            (index,) = self._ask("GET", f"/_alias/{Generation(self._cluster, partition, 0).alias}")
        except Missing:
            return 0
        return _number(index)

    def _days(self, where: Generation) -> list[str]:
        """The days that have an index."""
        found: Mapping[str, object] = self._ask("GET", f"/{where.day('*')}/_alias")
        return sorted(index.rpartition("-")[2] for index in found)

    def _oldest(self, days: Iterable[str]) -> str:
        """The first day that is kept."""
        newest = max(days, default="")
        if not newest:
            return ""
        year, month, day = map(int, newest.split("."))
        return f"{date.fromordinal(max(date(year, month, day).toordinal() - self._keep_days + 1, 1)):{_DAY}}"

    def _make(self, where: Generation) -> None:
        """The indices that every generation has. One that is the only one is looked at."""
        if not self._has_templates:
            put_templates(self.server)
            self._has_templates = True
        self._create(where.refused)
        self._create(where.state)
        if self._generation is None and not self._has(where.alias):
            self._ask("POST", "/_aliases", {"actions": [{"add": {"index": where.state, "alias": where.alias}}]})

    def _create(self, index: str) -> None:
        try:
            self._ask("PUT", f"/{index}")
        except Refused:
            if not self._has(index):
                raise

    def _has(self, index: str) -> bool:
        try:
            self._ask("GET", f"/{index}/_alias")
        except Missing:
            return False
        return True

    def _delete(self, indices: Iterable[str]) -> None:
        for index in indices:
            with suppress(Missing):
                self._ask("DELETE", f"/{index}")

    def _ask(self, method: str, path: str, body: object = None, params: Mapping[str, Any] | None = None) -> Any:
        try:
            return self.server.ask(method, path, body, patience_s=PATIENCE_S, params=params)
        except Busy as busy:
            raise ViewAway(f"view {self.name}: OpenSearch is too busy ({busy}); it goes on when it is not") from busy


def _number(state: str) -> int:
    """Of the generation whose state index is called *state*."""
    return int(state.rpartition("-g")[2])


def _read(found: Mapping[str, Any]) -> tuple[Position, tuple[int, int]]:
    position = {**found["_source"], "days": tuple(found["_source"].get("days", ()))}
    return Position(**position), (found["_seq_no"], found["_primary_term"])
