"""A market maker: some levels on both sides of a price that it thinks fair. What is not wanted is cancelled, what is missing is entered.

Each turn begins with what the venue says is so: that is why fills, halts, another's cancel and a lost connection need no code of their own.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Collection, Coroutine, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from outcry.client import AsyncClient, Instrument, Order, Refused, Session
from outcry.client.shapes import Side
from outcry.robots import running

_LOG: Final = logging.getLogger(__name__)
WANDERS: Final = Decimal("0.02")  # the fair price, at most so far from where it began
LEANS_TICKS: Final = 5  # at most, so that what came is sold again and what went is bought back


class Quote(NamedTuple):
    """An order that is wanted, or there."""

    side: Side
    price: Decimal


class MarketMaker:
    """Quotes *symbols* (none: all that are listed) with *client*.

    fair      symbol -> the price to begin with; else that of the last trade, and without one nothing is quoted
    levels    on each side, a tick apart
    lots      at the best price; once more at each level behind it
    done      how many orders it entered, cancelled, and saw refused
    """

    def __init__(
        self,
        client: AsyncClient,
        symbols: Collection[str] = (),
        *,
        fair: Mapping[str, Decimal] | None = None,
        levels: int = 5,
        lots: int = 10,
        seed: int = 0,
    ) -> None:
        self._client, self._symbols, self._levels, self._lots = client, symbols, levels, lots
        self._began = dict(fair or {})
        self._fair = dict(self._began)
        self._held: dict[str, Decimal] = {}
        self._untraded: set[str] = set()
        self._random = random.Random(seed)
        self.done = Counter(entered=0, cancelled=0, refused=0)

    async def run(self, turns_per_s: float = 1.0) -> None:
        """Quote until this is cancelled. Raises Denied, NotFound."""
        await running.run(self._client, 1 / turns_per_s, self._turn)

    async def _turn(self, session: Session) -> None:
        instruments, orders, funds = await asyncio.gather(self._client.instruments(), self._client.orders(), self._client.balances())
        for instrument in instruments:
            if not self._symbols or instrument.symbol in self._symbols:
                balance = funds.of(instrument.base_asset)
                mine = [order for order in orders if order.symbol == instrument.symbol]
                await self._keep(session, instrument, mine, await self._wanted(instrument, balance.available + balance.held))

    async def _wanted(self, instrument: Instrument, holding: Decimal) -> dict[Quote, Decimal]:
        """Quotes and their quantities; none while the market is not open."""
        fair = await self._wandered(instrument)
        if instrument.state != "open" or fair is None:
            return {}
        tick, lots = instrument.tick_size, self._lots * instrument.lot_size
        surplus = holding - self._held.setdefault(instrument.symbol, holding)
        lean = min(max(int(surplus / lots), -LEANS_TICKS), LEANS_TICKS)
        middle = fair - lean * tick
        wanted = {}
        for level in range(1, self._levels + 1):
            wanted[Quote("buy", middle - level * tick)] = wanted[Quote("sell", middle + level * tick)] = level * lots
        return {quote: quantity for quote, quantity in wanted.items() if instrument.low_price <= quote.price <= instrument.high_price}

    async def _wandered(self, instrument: Instrument) -> Decimal | None:
        """The fair price after another step, on a tick; None: nothing says what it could be."""
        symbol = instrument.symbol
        if symbol not in self._fair:
            trades = await self._client.trades(symbol)
            if not trades:
                self._told_of_nothing(symbol)
                return None
            self._fair[symbol] = self._began[symbol] = trades[0].price
        began = self._began[symbol]
        step = self._random.choice((-1, 0, 0, 1)) * instrument.tick_size
        self._fair[symbol] = min(max(self._fair[symbol] + step, began * (1 - WANDERS)), began * (1 + WANDERS))
        return self._fair[symbol] // instrument.tick_size * instrument.tick_size

    def _told_of_nothing(self, symbol: str) -> None:
        """Once."""
        if symbol not in self._untraded:
            self._untraded.add(symbol)
            _LOG.warning("%s is not quoted: it has not traded yet, and nobody said what is fair (--fair %s=PRICE)", symbol, symbol)

    async def _keep(self, session: Session, instrument: Instrument, mine: Collection[Order], wanted: dict[Quote, Decimal]) -> None:
        """What is not wanted goes first: an order would not pass one of our own."""
        missing = dict(wanted)
        unwanted = [order.order for order in mine if missing.pop(Quote(order.side, order.price), None) is None]
        await self._all("cancelled", [session.cancel(order) for order in unwanted])
        symbol = instrument.symbol
        await self._all(
            "entered",
            [session.order(symbol, side, quantity, price, post_only="refuse") for (side, price), quantity in missing.items()],
        )

    async def _all(self, what: str, commands: Collection[Coroutine[Any, Any, object]]) -> None:
        """Have *commands* done together. One that a rule refuses is left out: the next turn sees what is so."""
        for outcome in await asyncio.gather(*commands, return_exceptions=True):
            if isinstance(outcome, Refused):
                self.done["refused"] += 1
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                self.done[what] += 1
