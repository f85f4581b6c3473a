"""The one interface through which doors read views: three levels, and what each answer says of itself.

hit()    the memory of this process, at once: no lock, no waiting, nobody else asked
read()   the same, else Redis, else the record; waits a bounded time, or says why there is nothing

memory   the views that are pushed (feed.py), and rows that were fetched: as long as no block touched them, or for FRESH_S
redis    a row that is not fit is looked for below: the view lags by more than LAG_S, or is gone
record   folded anew, and kept (record.py)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Final, NamedTuple

import cachetools

from adapters.reads.answer import MEMORY, RECORD, REDIS, Answer, Asked, Behind, Level
from adapters.reads.feed import Feed
from adapters.reads.flights import Flights
from adapters.reads.record import Record
from adapters.reads.remote import Remote
from projections.view import Rows, ViewAway

CACHED_BYTES: Final = 256 * 2**20
ROW_BYTES: Final = 300  # what a row and its key cost beside themselves
TIMEOUT_S: Final = 2.0
FRESH_S: Final = 0.05  # what was fetched so long ago is not fetched again, touched or not: a key is fetched 20 times a second at most
LAG_S: Final = 1.0
PUSH_S: Final = 0.25  # so long each level may take to have what is asked for, before the one below is asked
AGAIN_S: Final = 0.01


class Cached(NamedTuple):
    """Rows as of block *seq*, fetched at *fetched_s* (time.monotonic)."""

    rows: Rows
    seq: int
    fetched_s: float


class Reads:
    """For one event loop, in whose thread all of it is called. Closes none of what it is given.

    feeds   the partitions that can be asked, each with its memory
    remote  views in Redis; None: there are none
    record  the record
    told    is told of every question that is answered or read, for warm.py
    hits, misses  answers of memory, and others
    """

    def __init__(
        self,
        feeds: Iterable[Feed],
        remote: Remote | None,
        record: Record,
        *,
        cached_bytes: int = CACHED_BYTES,
        told: Callable[[Asked], None] = lambda _asked: None,
    ) -> None:
        self._feeds = {feed.partition: feed for feed in feeds}
        self._remote, self._record, self._told = remote, record, told
        self._cache: cachetools.LRUCache[Asked, Cached] = cachetools.LRUCache(cached_bytes, _size)
        self._flights: Flights[Asked, Answer] = Flights()
        self.hits = self.misses = 0

    def hit(self, asked: Asked, at_least: int = 0) -> Answer | None:
        """What memory has that is fit to be shown, as of block *at_least* or later; None: read() it. Raises KeyError: no such partition."""
        answer = self._hit(asked, at_least)
        if answer is not None:
            self._told(asked)
            self.hits += 1
        return answer

    async def read(self, asked: Asked, *, at_least: int = 0, timeout_s: float = TIMEOUT_S) -> Answer:
        """Rows as of block *at_least* or later, in *timeout_s*; not to be changed. Raises Behind; KeyError: no such partition or view."""
        answer = self.hit(asked, at_least)
        if answer is None:
            self._record.knows(asked.view)
            self._told(asked)
            self.misses += 1
            answer = await self._below(asked, at_least, timeout_s)
        return answer

    async def load(self, asked: Asked) -> None:
        """Have it in memory; nobody asked. Raises as read."""
        if self._hit(asked, 0) is None:
            await self._below(asked, 0, TIMEOUT_S)

    async def row(self, view: str, key: str, partition: int, *, at_least: int = 0, timeout_s: float = TIMEOUT_S) -> Answer:
        """One row: see read."""
        return await self.read(Asked(view, key, partition), at_least=at_least, timeout_s=timeout_s)

    async def group(self, view: str, group: str, partition: int, *, at_least: int = 0, timeout_s: float = TIMEOUT_S) -> Answer:
        """The rows of a group: see read."""
        return await self.read(Asked(view, group, partition, is_group=True), at_least=at_least, timeout_s=timeout_s)

    async def close(self) -> None:
        """Fetch nothing more."""
        await self._flights.close()

    def _hit(self, asked: Asked, at_least: int) -> Answer | None:
        feed = self._feeds[asked.partition]
        if feed.shows(asked.view):
            answer = self._pushed(feed, asked)
            return answer if answer.seq >= at_least else None
        cached = self._cache.get(asked)
        if cached is None:
            return None
        answer = self._cached(feed, asked, cached)
        is_newest = answer.behind == 0 and feed.is_current
        is_fit = is_newest or time.monotonic() - cached.fetched_s < FRESH_S
        return answer if is_fit and answer.seq >= at_least else None

    def _pushed(self, feed: Feed, asked: Asked) -> Answer:
        if asked.is_group:
            rows, seq = feed.group(asked.view, asked.key)
        else:
            row, seq = feed.read(asked.view, asked.key)
            rows = {asked.key: row} if row else {}
        return self._answer(feed, rows, seq, MEMORY)

    def _cached(self, feed: Feed, asked: Asked, cached: Cached) -> Answer:
        last = feed.seq  # before the touches are looked at: those up to it are all there
        seq = max(cached.seq, last) if feed.touches.untouched(asked.key, cached.seq) else cached.seq
        return self._answer(feed, cached.rows, seq, MEMORY)

    def _answer(self, feed: Feed, rows: Rows, seq: int, level: Level, time_ns: int = 0) -> Answer:
        return Answer(rows, feed.partition, seq, time_ns or feed.time_ns(seq), level, max(feed.seq - seq, 0))

    async def _below(self, asked: Asked, at_least: int, timeout_s: float) -> Answer:
        """From whichever level has it in time: the first that is fit, else the newest that has what is asked for."""
        feed = self._feeds[asked.partition]
        end_s = time.monotonic() + timeout_s
        if await feed.reaches(at_least, min(PUSH_S, timeout_s / 4)):
            answer = self._hit(asked, at_least)
            if answer is not None:
                return answer
        said = [f"memory is as of block {feed.seq}"]
        found = await _within((end_s - time.monotonic()) / 2, self._from_redis(feed, asked, at_least, said))
        if found is not None and self._is_fit(feed, found, at_least):
            return found
        folded = await _within(end_s - time.monotonic(), self._from_record(feed, asked, at_least, said))
        return folded or self._best_effort(feed, asked, at_least, found, said)

    def _best_effort(self, feed: Feed, asked: Asked, at_least: int, newest: Answer | None, said: list[str]) -> Answer:
        """The newest that anybody had. Raises Behind when it is not new enough."""
        had = [newest] if newest is not None and newest.seq else []
        cached = self._cache.get(asked)
        if cached is not None:
            had.append(self._cached(feed, asked, cached))
        if asked.view in feed.pushed and feed.seq:
            had.append(self._pushed(feed, asked))
        answer = max(had, key=lambda each: each.seq, default=None)
        if answer is None or answer.seq < at_least:
            raise Behind(asked, at_least, [*said, f"the record: {self._record.says(asked)}"])
        return answer

    def _is_fit(self, feed: Feed, answer: Answer, at_least: int) -> bool:
        """Not one of an empty Redis, nor of one that cannot be written or is filled anew."""
        if answer.seq < max(at_least, 1):
            return False
        return answer.behind == 0 or feed.time_ns(feed.seq) - answer.time_ns <= LAG_S * 1e9

    async def _from_redis(self, feed: Feed, asked: Asked, at_least: int, said: list[str]) -> Answer | None:
        """What Redis has; asked again, for PUSH_S, while it is about to have what is asked for. None: it does not answer."""
        remote = self._remote
        if remote is None:
            return None
        said.append("Redis: no answer in time")
        end_s = time.monotonic() + PUSH_S
        while True:
            try:
                answer = await self._flights.join(asked, lambda: self._fetch(remote, feed, asked))
            except ViewAway as away:
                said[-1] = str(away)
                return None
            said[-1] = f"Redis is as of block {answer.seq}"
            if answer.seq >= at_least or not self._is_fit(feed, answer, 0) or time.monotonic() > end_s:
                return answer
            await asyncio.sleep(AGAIN_S)

    async def _fetch(self, remote: Remote, feed: Feed, asked: Asked) -> Answer:
        rows, seq = await remote.read(asked)
        time_ns = 0 if feed.is_current else await self._record.time_ns(asked.partition, seq)
        answer = self._answer(feed, rows, seq, REDIS, time_ns)
        return self._keep(feed, asked, answer) if self._is_fit(feed, answer, 0) else answer

    async def _from_record(self, feed: Feed, asked: Asked, at_least: int, said: list[str]) -> Answer | None:
        """What the record says; does not end while that lacks what is asked for. None: it cannot be read or folded."""
        while True:
            try:
                found = await self._record.read(asked)
            except Exception as failed:  # noqa: BLE001 - whatever it is, an older answer is better than none
                said.append(f"the record: {failed}")
                return None
            if found.seq >= at_least:
                return self._keep(feed, asked, self._answer(feed, found.rows, found.seq, RECORD, found.time_ns))
            await asyncio.sleep(AGAIN_S)

    def _keep(self, feed: Feed, asked: Asked, answer: Answer) -> Answer:
        """Have it at hand, that there is nothing as well, and say how long it is known to be right: as of the newest block we know."""
        cached = Cached(answer.rows, answer.seq, time.monotonic())
        before = self._cache.get(asked)
        if not feed.shows(asked.view) and (before is None or before.seq <= answer.seq):
            with suppress(ValueError):  # greater than all of the memory
                self._cache[asked] = cached
        seq = self._cached(feed, asked, cached).seq
        return answer if seq == answer.seq else self._answer(feed, answer.rows, seq, answer.level)


async def _within(seconds: float, answer: Coroutine[None, None, Answer | None]) -> Answer | None:
    """What *answer* comes to; None: not in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0)):
            return await answer
    return None


def _size(cached: Cached) -> int:
    return ROW_BYTES + sum(ROW_BYTES + len(row) for row in cached.rows.values())
