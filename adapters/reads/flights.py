"""Single flight: of those who want the same thing at the same time one fetches it, for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Flights(Generic[Key, Value]):
    """For one event loop. made: how often something was fetched."""

    def __init__(self) -> None:
        self._flying: dict[Key, asyncio.Task[Value]] = {}
        self.made = 0

    async def join(self, key: Key, fetch: Callable[[], Awaitable[Value]]) -> Value:
        """What *fetch* gives, which is called unless it is under way for this *key*. Who gives up waiting ends it for nobody else."""
        flight = self._flying.get(key)
        if flight is None:
            self.made += 1
            flight = self._flying[key] = asyncio.ensure_future(_flown(fetch))
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Wait for nothing any more."""
        flying = list(self._flying.values())
        for flight in flying:
            flight.cancel()
        await asyncio.gather(*flying, return_exceptions=True)

    def _landed(self, key: Key, flight: asyncio.Task[Value]) -> None:
        del self._flying[key]
        if not flight.cancelled():
            flight.exception()  # seen, also when everybody has given up waiting


async def _flown(fetch: Callable[[], Awaitable[Value]]) -> Value:
    return await fetch()
