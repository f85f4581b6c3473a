"""The third level: a view folded from the record when somebody asks, and kept for the next who does.

Who asks while it is folded waits with the others; one thread reads the record for all of them. Bounds: FOLDERS of them fold at once,
KEPT views are kept, the one that was not asked for longest goes; a turn lasts SLICE_S.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol

import cachetools

from adapters.reads.answer import Asked
from adapters.reads.begin import begin, newest
from adapters.reads.flights import Flights
from eventstore.errors import Damaged, NewerSchema, StoreFailed
from eventstore.ports import BlockLog
from projections.balances import Balances
from projections.columns import Columns
from projections.states import States
from projections.view import Fold, Rows

FOLDERS: Final = 2
KEPT: Final = 8
TIMES: Final = 1_024
LOOK_S: Final = 0.05
SLICE_S: Final = 0.25


class Found(NamedTuple):
    """Rows, the block they are as of, and its time."""

    rows: Rows
    seq: int
    time_ns: int


class Record:
    """Folds views of the record *log*. For one event loop; close it there, which waits for the turn in hand.

    folds   name of a view -> makes its fold
    states  kept states to begin with; None: with the first block
    """

    def __init__(self, log: BlockLog, folds: Mapping[str, Callable[[], Fold]], states: States | None = None) -> None:
        self._log, self._folds, self._states = log, folds, states
        self._kept: cachetools.LRUCache[tuple[str, int], _Folded] = cachetools.LRUCache(KEPT)
        self._times: cachetools.LRUCache[tuple[int, int], int] = cachetools.LRUCache(TIMES)
        self._looks: Flights[tuple[int, int], int] = Flights()
        self._turns: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(FOLDERS, "reads record")
        self._looking = ThreadPoolExecutor(1, "reads times")

    def knows(self, view: str) -> None:
        """Raises KeyError when there is no such view."""
        self._folds[view]

    async def read(self, asked: Asked) -> Found:
        """As of the end of the record. Raises what log.read and the fold raise. It may take as long as the record is; who cannot wait
        gives up, and the fold goes on for the next who asks.
        """
        folded = self._kept.get((asked.view, asked.partition))
        if folded is None:
            folded = self._kept[asked.view, asked.partition] = _Folded(asked.partition, partial(self._begin, asked.view, asked.partition))
        if folded.turn is None or folded.turn.done():
            folded.turn = asyncio.create_task(self._catch_up(folded, asked))
            self._turns.add(folded.turn)
            folded.turn.add_done_callback(self._turns.discard)
        await asyncio.shield(folded.turn)
        found = folded.look(asked)
        return found if found.time_ns else found._replace(time_ns=await self.time_ns(asked.partition, found.seq))

    async def time_ns(self, partition: int, seq: int) -> int:
        """The time of a block; 0 when the record does not say it in LOOK_S."""

        def look() -> int:
            with suppress(StoreFailed, Damaged, NewerSchema):
                return next((block.time_ns for block in self._log.read(partition, seq - 1)), 0)
            return 0

        if seq <= 0:
            return 0
        known = self._times.get((partition, seq), 0)
        if not known:
            loop = asyncio.get_running_loop()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    known = await self._looks.join((partition, seq), lambda: loop.run_in_executor(self._looking, look))
                    self._times[partition, seq] = known
        return known

    def says(self, asked: Asked) -> str:
        """How far the fold is, for who could not wait."""
        folded = self._kept.get((asked.view, asked.partition))
        return f"of {folded.end} blocks on record {folded.seq} are folded" if folded else "the record was not asked"

    async def close(self) -> None:
        """Fold no further."""
        await self._looks.close()
        turns = list(self._turns)
        for turn in turns:
            turn.cancel()
        await asyncio.gather(*turns, return_exceptions=True)
        self._pool.shutdown()
        self._looking.shutdown()

    def _begin(self, view: str, partition: int) -> _Shown:
        make = self._folds[view]
        if make is Balances:
            fold, seq = newest(view, partition, make, self._states)
            assert isinstance(fold, Balances), "make() makes them"
            return _InFold(fold, seq)
        return _InView(view, partition, make, self._states)

    async def _catch_up(self, folded: _Folded, asked: Asked) -> None:
        """To the end of the record as it is now. A fold that met a block which it cannot take in is begun anew with the next who asks."""
        loop = asyncio.get_running_loop()
        try:
            while await loop.run_in_executor(self._pool, folded.advance, self._log):
                pass
        except BaseException:
            self._kept.pop((asked.view, asked.partition), None)
            raise


class _Shown(Protocol):
    """A fold, and how its rows are looked at. seq: the block it is as of."""

    @property
    def seq(self) -> int: ...
    def advance(self, block: Columns) -> object: ...
    def look(self, asked: Asked) -> tuple[Rows, int]: ...


class _InView:
    """A fold whose rows lie beside it."""

    def __init__(self, name: str, partition: int, make: Callable[[], Fold], states: States | None) -> None:
        self._view, self._projection = begin(name, partition, make, states)

    @property
    def seq(self) -> int:
        return self._projection.seq

    def advance(self, block: Columns) -> None:
        self._projection.advance(block)

    def look(self, asked: Asked) -> tuple[Rows, int]:
        if asked.is_group:
            return self._view.group(asked.key, asked.partition)
        row, seq = self._view.read(asked.key, asked.partition)
        return {asked.key: row} if row else {}, seq


class _InFold:
    """Balances: of millions of accounts the rows would take ten times what the fold takes, so it is asked itself."""

    def __init__(self, fold: Balances, seq: int) -> None:
        self._fold, self.seq = fold, seq
        self._turn = threading.Lock()

    def advance(self, block: Columns) -> None:
        assert block.seq == self.seq + 1, "the record has no gap"
        block.commands  # noqa: B018 - decodes, which takes longest, while others may look
        with self._turn:
            self._fold.fold(block)
            self.seq = block.seq

    def look(self, asked: Asked) -> tuple[Rows, int]:
        with self._turn:
            return self._fold.find(asked.key, is_group=asked.is_group), self.seq


@dataclass(slots=True)
class _Folded:
    """One view of one partition. end: where the record ended when it was looked at last; last: a block that is in, and its time."""

    partition: int
    begin: Callable[[], _Shown]
    shown: _Shown | None = None
    turn: asyncio.Task[None] | None = None
    end: int = 0
    last: tuple[int, int] = (0, 0)

    @property
    def seq(self) -> int:
        """The block it is as of."""
        return 0 if self.shown is None else self.shown.seq

    def advance(self, log: BlockLog) -> bool:
        """Take blocks in for SLICE_S at most; True: there are more."""
        if self.shown is None:
            self.shown = self.begin()
        self.end = log.head(self.partition).seq
        end_s = time.monotonic() + SLICE_S
        for block in log.read(self.partition, self.seq) if self.end > self.seq else ():
            self.shown.advance(Columns(block))
            self.last = block.seq, block.time_ns
            if time.monotonic() > end_s:
                break
        return self.seq < self.end

    def look(self, asked: Asked) -> Found:
        """What is there now. The time is that of the block, or of one before when another turn is under way."""
        assert self.shown is not None, "a turn was made"
        _, time_ns = self.last
        return Found(*self.shown.look(asked), time_ns)
