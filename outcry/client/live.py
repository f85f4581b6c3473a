"""A book that is kept up to date."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from decimal import Decimal

from outcry.client.pushed import Gap, Level2, LevelChange, Market
from outcry.client.shapes import Level


class LiveBook:
    """Both sides of an instrument's book, the best 32 levels of each. seq: the block that it is as of."""

    def __init__(self, symbol: str) -> None:
        self.symbol, self.seq = symbol, 0
        self._bids: dict[Decimal, Level] = {}
        self._asks: dict[Decimal, Level] = {}
        self._changed = asyncio.Event()
        self._ended: BaseException | None = None

    @property
    def bids(self) -> list[Level]:
        """Best first."""
        return [level for _, level in sorted(self._bids.items(), reverse=True)]

    @property
    def asks(self) -> list[Level]:
        """Best first."""
        return [level for _, level in sorted(self._asks.items())]

    async def changed(self) -> None:
        """Wait until it is another than when this was last waited for. Raises what ended the stream."""
        await self._changed.wait()
        if self._ended is not None:
            raise self._ended
        self._changed.clear()

    def take(self, told: Level2) -> None:
        """Apply what the channel level2 says."""
        for side, changes in ((self._bids, told.bids), (self._asks, told.asks)):
            if told.type == "snapshot":
                side.clear()
            _apply(side, changes)
        self.seq = told.seq
        self._changed.set()

    async def follow(self, stream: AsyncGenerator[Market | Gap, None]) -> None:
        """Apply what *stream* says, until it ends."""
        try:
            async for told in stream:
                if isinstance(told, Level2):
                    self.take(told)
        except Exception as error:  # noqa: BLE001 # whatever it is, it is told to who waits
            self._ended = error
            self._changed.set()


def _apply(side: dict[Decimal, Level], changes: Iterable[LevelChange]) -> None:
    for change in changes:
        if change.quantity:
            side[change.price] = Level(change.price, change.quantity, change.orders)
        else:
            side.pop(change.price, None)


@asynccontextmanager
async def following(symbol: str, stream: AsyncGenerator[Market | Gap, None]) -> AsyncIterator[LiveBook]:
    """A book that follows *stream*, once it has its first snapshot. Raises what the stream raises."""
    book = LiveBook(symbol)
    task = asyncio.ensure_future(book.follow(stream))
    try:
        await book.changed()
        yield book
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
