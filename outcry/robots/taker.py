"""A taker: small orders now and then, at random, at the best price of the other side; what is not traded at once is not kept."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection

from outcry.client import AsyncClient, Refused, Session
from outcry.client.shapes import Side
from outcry.robots import running


class Taker:
    """Takes from the books of *symbols* (none: all that are listed) with *client*, up to *lots* at a time.

    done  how many orders it entered, how many of them traded, how many were refused
    """

    def __init__(self, client: AsyncClient, symbols: Collection[str] = (), *, lots: int = 10, seed: int = 0) -> None:
        self._client, self._symbols, self._lots = client, symbols, lots
        self._random = random.Random(seed)
        self.done = Counter(entered=0, traded=0, refused=0)

    async def run(self, orders_per_s: float = 1.0) -> None:
        """Take until this is cancelled. Raises Denied, NotFound."""
        await running.run(self._client, 1 / orders_per_s, self._turn)

    async def _turn(self, session: Session) -> None:
        open_now = [each for each in await self._client.instruments() if each.state == "open"]
        choice = [each for each in open_now if not self._symbols or each.symbol in self._symbols]
        if not choice:
            return
        instrument = self._random.choice(choice)
        side: Side = "buy" if self._random.random() < 0.5 else "sell"
        quantity = self._random.randint(1, self._lots) * instrument.lot_size
        book = await self._client.book(instrument.symbol, levels=1)
        best = book.asks if side == "buy" else book.bids
        if not best:
            return
        try:
            done = await session.order(instrument.symbol, side, quantity, best[0].price, time_in_force="IOC")
        except Refused:
            self.done["refused"] += 1
        else:
            self.done["entered"] += 1
            self.done["traded"] += bool(done.fills)
