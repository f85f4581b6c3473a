"""A reader of the audit index who never rests: he reads the position, then counts the documents of each kind, and keeps both."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import httpx

from adapters.drill.audit_oracle import Counted, judge
from adapters.drill.filed import Life
from adapters.drill.record import Found

PAUSE_S: Final = 0.25  # it is asked to look anew each time, which costs it more than it costs us
PATIENCE_S: Final = 2.0
PAGE: Final = 5_000
AUDIT: Final = "audit"
_BY_KIND: Final = {"size": 0, "track_total_hits": False, "aggs": {"kinds": {"terms": {"field": "kind"}}}}


class AuditWatcher:
    """Counts the documents of *partition* of *cluster* in the OpenSearch at *url*, until `stop`.

    seen  what was counted, in that order
    """

    def __init__(self, url: str, cluster: str, partition: int) -> None:
        self.seen: list[Counted] = []
        self._documents: list[Life] | None = None
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S)
        self._days = f"/outcry-audit-days-{cluster}-{partition}-g0-*"
        self._position = f"/outcry-audit-state-{cluster}-{partition}/_doc/position"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit watcher", daemon=True)
        self._thread.start()

    def positions(self) -> dict[str, int]:
        """The block that the index is as of; nothing when it does not answer."""
        with suppress(httpx.HTTPError):
            return {AUDIT: self._seq()}
        return {}

    def stop(self) -> None:
        """Read no more."""
        self._stop.set()
        self._thread.join()

    def read_all(self) -> None:
        """Every document, once; nobody writes any more. Raises httpx.HTTPError."""
        self.seen.append(self._count())
        self._documents, after = [], [-1]
        while page := self._search({"size": PAGE, "sort": [{"event": "asc"}], "search_after": after})["hits"]["hits"]:
            self._documents += [hit["_source"] for hit in page]
            after = page[-1]["sort"]

    def judge(self, blocks: Sequence[Found]) -> Iterator[str]:
        """What is wrong with what was seen; *blocks* are the record's."""
        return judge(blocks, self.seen, self._documents)

    def _run(self) -> None:
        while not self._stop.wait(PAUSE_S):
            with suppress(httpx.HTTPError):
                self.seen.append(self._count())

    def _count(self) -> Counted:
        seq = self._seq()
        self._client.post(f"{self._days}/_refresh").raise_for_status()
        buckets = self._search(_BY_KIND).get("aggregations", {}).get("kinds", {}).get("buckets", [])
        return Counted(seq, Counter({bucket["key"]: bucket["doc_count"] for bucket in buckets}))

    def _seq(self) -> int:
        answer = self._client.get(self._position)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return 0
        return int(answer.raise_for_status().json()["_source"]["seq"])

    def _search(self, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.post(f"{self._days}/_search", json=body).raise_for_status().json()
        return answer
