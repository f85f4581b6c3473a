"""Before a process takes traffic it loads what will be asked; the rest in the background while it serves.

First the instruments that are about to open: those that a calendar opens next, then those in pre-open, then those that are open or halted;
then what was asked most. Quotes, depth, trades and instruments need no loading: they are pushed (feed.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final

from adapters.reads.answer import Asked, Behind
from adapters.reads.feed import Feed
from adapters.reads.reads import Reads
from domain.verbs import CLOSED, PRE_OPEN
from projections.layouts import INSTRUMENT, instrument_key

AT_ONCE: Final = 16
BEFORE_S: Final = 10.0  # so long traffic waits for it
LOOKS_S: Final = 0.01


class Warming:
    """Loads *plan* in its order. loaded: how many questions have an answer now."""

    def __init__(self, reads: Reads, plan: Iterable[Asked]) -> None:
        self._reads, self._plan = reads, iter(plan)
        self._loading: asyncio.Future[list[None]] | None = None
        self.loaded = 0

    async def before_traffic(self, feeds: Sequence[Feed], within_s: float = BEFORE_S) -> bool:
        """Return when everything is loaded or that time is over: then the rest goes on. True: all of it is there."""
        end_s = time.monotonic() + within_s
        while not all(feed.is_current for feed in feeds):
            if time.monotonic() > end_s:
                break
            await asyncio.sleep(LOOKS_S)
        self._loading = asyncio.gather(*(self._load() for _ in range(AT_ONCE)))
        with suppress(TimeoutError):
            async with asyncio.timeout(max(end_s - time.monotonic(), 0)):
                await asyncio.shield(self._loading)
        return self._loading.done()

    async def close(self) -> None:
        """Load no more."""
        if self._loading is not None:
            self._loading.cancel()
            with suppress(asyncio.CancelledError):
                await self._loading

    async def _load(self) -> None:
        for asked in self._plan:
            with suppress(Behind, KeyError):  # whoever asks will be told; a partition or view that is no more
                await self._reads.load(asked)
                self.loaded += 1


def plan(feeds: Iterable[Feed], most: Iterable[Asked], soon: Iterable[tuple[int, int]] = ()) -> Iterator[Asked]:
    """What to load, most needed first; the feeds are looked at when the first is asked for.

    soon  partition and number of the instruments that a calendar opens next, the first to open first
    """
    opening = dict.fromkeys([*soon, *((feed.partition, number) for feed in feeds for number in _opening(feed))])
    for partition, number in opening:
        yield Asked("book", f"book:{number}", partition, is_group=True)
        yield Asked("statistics", f"statistics:{number}", partition)
    yield from most


def _opening(feed: Feed) -> Iterator[int]:
    rows, _ = feed.group("instruments", instrument_key(0).rpartition(":")[0])
    states = {int(key.rpartition(":")[2]): INSTRUMENT.one(row).state for key, row in rows.items()}
    yield from (number for number in sorted(states, key=lambda number: (states[number] != PRE_OPEN, number)) if states[number] != CLOSED)
