"""What happens in instruments, over one connection after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from outcry.client.pushed import BY_CHANNEL, Channel, Gap, Market, Push, Trades
from outcry.client.retry import LONGEST_WAIT_S, Again, error_of
from outcry.client.shapes import Interval
from outcry.client.wire import Dialer, Head, Lost, Wire

HAPPENINGS: Final = frozenset({"trades", "level3"})  # of which each message counts; of all else the present state is enough
TRADES_OF_A_SNAPSHOT: Final = 32


class _Topic:
    """A channel of a symbol. seq: the block of the last message, 0: none came; trade: number of the last trade."""

    def __init__(self, channel: str, symbol: str) -> None:
        self.channel, self.symbol = channel, symbol
        self.seq = self.partition = self.trade = 0
        self._gap: Gap | None = None

    def after(self) -> dict[str, int]:
        """`from` of a subscription."""
        return {str(self.partition): self.seq} if self.seq and self.channel in HAPPENINGS else {}

    def take(self, push: Push) -> list[Market | Gap]:
        """What the caller has not had of *push*. Raises Lost when a message before it is missing."""
        if push.type == "update" and self.seq:
            if push.seq <= self.seq:
                return []
            if push.previous > self.seq:
                raise Lost(f"{self.channel} of {self.symbol} was missed from block {self.seq} to {push.previous}")
        self.seq, self.partition = push.seq, push.partition
        gap, self._gap = self._gap, None
        told: list[Market | Gap] = []
        if isinstance(push, Trades):
            numbers = [int(each.number) for each in push.trades]
            reaches_back = len(numbers) < TRADES_OF_A_SNAPSHOT or numbers[0] <= self.trade
            new = [each for each, number in zip(push.trades, numbers, strict=True) if number > self.trade]
            told = [] if gap is None or reaches_back else [gap]
            if new or not self.trade:
                told.append(msgspec.structs.replace(push, trades=new))
            self.trade = max([self.trade, *numbers])
            return told
        return [*([] if gap is None else [gap]), push]  # type: ignore[list-item] # what BY_CHANNEL has, without user

    def gapped(self, gap: Gap) -> None:
        """The snapshot comes next, and shows how much of that is missing."""
        self._gap = gap


async def market(
    dialer: Dialer, channels: Sequence[Channel], symbols: Sequence[str], interval: Interval
) -> AsyncGenerator[Market | Gap, None]:
    """See AsyncClient.stream."""
    topics: dict[tuple[str, str], _Topic] = {(channel, symbol): _Topic(channel, symbol) for channel in channels for symbol in symbols}
    while True:
        with await dialer.connect() as wire:
            try:
                _subscribe(wire, topics.values(), interval)
                while True:
                    for told in _read(topics, *(await wire.next())):
                        yield told
            except Lost:
                continue
            except Again as again:
                await asyncio.sleep(again.retry_after_s or LONGEST_WAIT_S)


def _subscribe(wire: Wire, topics: Iterable[_Topic], interval: Interval) -> None:
    """Raises Lost."""
    for topic in topics:
        after = topic.after() or None
        words = {"channels": [topic.channel], "symbols": [topic.symbol], "interval": interval, "from": after}
        wire.say(op="subscribe", **words)


def _read(topics: Mapping[tuple[str, str], _Topic], head: Head | None, payload: bytes) -> list[Market | Gap]:
    """What a message tells the caller. Raises Lost, Again, ApiError."""
    if head is None:
        return []
    if head.problem is not None:
        raise error_of(head.problem)
    if head.channel not in BY_CHANNEL:
        return []
    topic = topics[head.channel, head.symbol]
    if head.type == "gap":
        topic.gapped(msgspec.json.decode(payload, type=Gap))
        return []
    return topic.take(msgspec.json.decode(payload, type=BY_CHANNEL[head.channel]))
