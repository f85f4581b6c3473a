"""The channels of the feed: of each product its state, what happens to it, and who gets that. Made once for all, see adapters/doors/ws.

level2, ticker and heartbeat are state: a slow client gets the present one when it is ready. matches, full and user may not be skipped over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar, Final

import numpy as np
from msgspec.structs import replace

from adapters.decimals import from_rate
from adapters.doors import shapes as native
from adapters.doors.coinbase import shapes
from adapters.doors.coinbase.happened import Happened, Product, happened, last_sequence, matches, sequence
from adapters.doors.coinbase.ids import PROFILE, to_uuid
from adapters.doors.coinbase.own import Memory
from adapters.doors.coinbase.products import Products
from adapters.doors.coinbase.said import Heartbeat, L2Update, Name, OrderMessage, Snapshot, Ticker
from adapters.doors.house import House
from adapters.doors.ws.connection import Connection
from adapters.doors.ws.hub import Hub, NotPushed, TooMany
from adapters.doors.ws.packed import Packed
from adapters.doors.ws.topics import Topic
from adapters.reads.feed import Change, Feed
from domain.events import TRADE_EXECUTED
from domain.verbs import BUY, SELL, SIDES
from projections import layouts
from projections.view import Rows

HEARTBEAT_S: Final = 1.0
MAX_TOPICS: Final = 2**16
S: Final = 10**9
_VIEWS: Final[dict[Name, str]] = {
    "level2": "depth",
    "ticker": "trades",
    "heartbeat": "trades",
    "matches": "trades",
    "full": "orders",
    "user": "orders",
}


class Channel(Topic):
    """One channel of one product."""

    view: ClassVar[str] = ""

    def __init__(self, feed: Feed, product: Product) -> None:
        super().__init__(feed)
        self.product = product
        self.begin()

    def begin(self) -> None:
        """See Topic."""
        self._begin_at(self._feed.seq)

    def take(self, change: Change, before_ns: int) -> None:
        """The next block; what is not new here is passed over."""
        if change.block.seq > self.seq:
            self.seq = change.block.seq
            self._take(change, before_ns)

    def _take(self, change: Change, before_ns: int) -> None:
        """A block that is new."""
        raise NotImplementedError

    def _whole(self) -> Packed | None:
        """What happens has no state."""
        return None

    def _row(self, change: Change | None, view: str, key: str) -> bytes:
        """The row as *change* left it, else as it is now; empty: there is none, or it is not pushed."""
        changed = change.rows.get(view, {}).get(key) if change else None
        if changed is not None:
            return changed
        return self._feed.read(view, key)[0] if self._feed.shows(view) else b""


class Level2(Channel):
    """Price levels."""

    channel = "level2"

    def begin(self) -> None:
        """See Topic."""
        instrument = self.product.listed.instrument
        rows, seq = self._feed.group("depth", f"depth:{instrument}")
        self._rows = {side: rows.get(layouts.depth_key(instrument, side), b"") for side in (BUY, SELL)}
        self._begin_at(seq)

    def _take(self, change: Change, _before_ns: int) -> None:
        rows: Rows = change.rows.get("depth", {})
        changes = []
        for side, before in self._rows.items():
            row = rows.get(layouts.depth_key(self.product.listed.instrument, side))
            if row is not None:
                was, now = dict(self._levels(before)), dict(self._levels(row))
                gone = {price: "0" for price in was if price not in now}
                changes += [(SIDES[side], price, size) for price, size in (gone | now).items() if was.get(price) != size]
                self._rows[side] = row
        if changes:
            self._publish(Packed(L2Update(self.product.id, changes, shapes.at(change.block.time_ns))))

    def _whole(self) -> Packed:
        bids, asks = (self._levels(row) for row in self._rows.values())
        return Packed(Snapshot(self.product.id, bids, asks, shapes.at(self._feed.time_ns(self.seq))))

    def _levels(self, row: bytes) -> list[tuple[str, str]]:
        return [(each.price, each.quantity) for each in native.levels(self.product.listed, row, layouts.DEPTH_LEVELS)]


class LastTrade(Channel):
    """The last trade, and what goes with it. Of several in a block the last is told."""

    channel = "ticker"

    def _take(self, change: Change, _before_ns: int) -> None:
        self._snapshot = None
        if layouts.trades_key(self.product.listed.instrument) in change.rows.get("trades", {}):
            self._publish(self._made(change))

    def _whole(self) -> Packed:
        return self._made(None)

    def _made(self, change: Change | None) -> Packed:
        listed, instrument = self.product.listed, self.product.listed.instrument
        said = Ticker(self.product.id, 0)
        for last in layouts.TRADE.unpack(self._row(change, "trades", layouts.trades_key(instrument)))[:1]:
            said.trade_id = shapes.trade_id(last.number)
            said.sequence, said.side, said.time = sequence(said.trade_id), SIDES[last.side], shapes.at(last.time_ns)
            said.price, said.last_size = native.price(listed, last.price_ticks), native.quantity(listed, last.quantity_lots)
        for quote in layouts.QUOTE.unpack(self._row(change, "quotes", layouts.quote_key(instrument))):
            if quote.bid_lots:
                said.best_bid, said.best_bid_size = native.price(listed, quote.bid_ticks), native.quantity(listed, quote.bid_lots)
            if quote.ask_lots:
                said.best_ask, said.best_ask_size = native.price(listed, quote.ask_ticks), native.quantity(listed, quote.ask_lots)
        for day in layouts.STATISTICS.unpack(self._row(change, "statistics", layouts.statistics_key(instrument))):
            bar = native.bar(listed, day)
            said.open_24h, said.high_24h, said.low_24h, said.volume_24h = bar.open, bar.high, bar.low, bar.volume
        return Packed(said)


class Beat(Channel):
    """A sign of life each second: the number of the last event that was told of, and the last trade."""

    channel = "status"

    def _take(self, _change: Change, _before_ns: int) -> None:
        self._snapshot = None

    def beat(self) -> None:
        """Now."""
        self._publish(self._whole())

    def _whole(self) -> Packed:
        row = self._row(None, "trades", layouts.trades_key(self.product.listed.instrument))
        last = next((shapes.trade_id(each.number) for each in layouts.TRADE.unpack(row)), 0)
        said = last_sequence(self._feed, self.seq)
        return Packed(Heartbeat(self.product.id, said, last, shapes.at(self._feed.time_ns(self.seq))))


class Matches(Channel):
    """Every trade."""

    channel, is_state = "trades", False

    def _take(self, change: Change, before_ns: int) -> None:
        if (change.block.instruments(TRADE_EXECUTED) == self.product.listed.instrument).any():
            for message in matches(change, before_ns, self.product):
                self._publish(Packed(message))


class Messages(Channel):
    """Messages of orders: those of everybody, unless a subclass says of whom."""

    channel, is_state = "level3", False

    def hear(self, happenings: Iterable[Happened], seq: int) -> None:
        """What happened in block *seq*."""
        if seq <= self.seq:
            return
        self.seq = seq
        for each in happenings:
            for message in self._mine(each):
                self._publish(Packed(message))

    def _mine(self, each: Happened) -> list[OrderMessage]:
        return [_without_names(each.message)]


class Own(Messages):
    """Messages of the orders of an account."""

    def __init__(self, feed: Feed, product: Product, account: int) -> None:
        super().__init__(feed, product)
        self.account = account
        self._profile = to_uuid(PROFILE, account)

    def _mine(self, each: Happened) -> list[OrderMessage]:
        message, terms = each.message, self.product.listed.terms
        if message.type != "match":
            return [replace(message, profile_id=self._profile)] if each.account == self.account else []
        found = []
        if each.maker_account == self.account:
            rate = str(from_rate(terms.maker_rate))
            found.append(replace(message, profile_id=self._profile, maker_profile_id=self._profile, maker_fee_rate=rate))
        if each.account == self.account:
            rate = str(from_rate(terms.taker_rate))
            found.append(replace(message, profile_id=self._profile, taker_profile_id=self._profile, taker_fee_rate=rate))
        return found


class Channels:
    """All of them, fed by *hub*. For its event loop; close it."""

    def __init__(self, house: House, hub: Hub, memory: Memory) -> None:
        self._house, self._hub, self._memory = house, hub, memory
        self._feeds = {feed.partition: feed for feed in house.feeds}
        self._topics: dict[tuple[int, int], dict[tuple[Name, int], Channel]] = {}  # partition, instrument -> channel, account
        self._count = 0
        hub.listen(self)
        self._beating = asyncio.ensure_future(self._beat())

    def products(self) -> Products:
        """What can be subscribed to."""
        return Products(self._hub.instruments(), {number: asset.name for number, asset in self._house.assets().items()})

    def topic(self, name: Name, known: Products, product_id: str, account: int = 0) -> Channel:
        """A channel of a product; user: of an account. Raises NotFound, NotPushed, TooMany."""
        listed = known.get(product_id)
        topics = self._topics.setdefault((listed.partition, listed.instrument), {})
        found = topics.get((name, account))
        if found is None:
            feed = self._feeds[listed.partition]
            if not feed.shows(_VIEWS[name]):
                raise NotPushed(f"the channel {name} is not pushed here, or not now")
            if self._count >= MAX_TOPICS:
                raise TooMany(f"{MAX_TOPICS} topics are pushed, and no more")
            product = Product(known.id(listed), listed, self._memory.client_oid)
            made = {"level2": Level2, "ticker": LastTrade, "heartbeat": Beat, "matches": Matches, "full": Messages}
            found = topics[name, account] = Own(feed, product, account) if name == "user" else made[name](feed, product)
            self._count += 1
        return found

    def take(self, change: Change, before_ns: int) -> None:
        """See Taker."""
        if not self._topics:
            return
        for instrument in np.unique(change.block.instrument).tolist():
            topics = self._topics.get((change.block.partition, instrument))
            if topics:
                self._tell(list(topics.values()), change, before_ns)

    def restart(self, partition: int) -> None:
        """See Taker: whoever must not miss anything has, and is told by being cut."""
        for (of, _), topics in self._topics.items():
            for topic in topics.values() if of == partition else ():
                topic.restart()
                if not topic.is_state:
                    _cut(topic)

    def close(self) -> None:
        """Beat no more."""
        self._beating.cancel()

    def _tell(self, topics: list[Channel], change: Change, before_ns: int) -> None:
        for topic in topics:
            if not isinstance(topic, Messages):
                topic.take(change, before_ns)
        watched = [topic for topic in topics if isinstance(topic, Messages) and topic.subscribers]
        if watched and "orders" not in change.rows:  # the view of orders stands still
            for topic in watched:
                _cut(topic)
        elif watched:
            everything = list(happened(change, before_ns, watched[0].product))
            of_account: dict[int, list[Happened]] = {}
            for each in everything:
                for account in {each.account, each.maker_account}:
                    of_account.setdefault(account, []).append(each)
            for topic in watched:
                topic.hear(of_account.get(topic.account, []) if isinstance(topic, Own) else everything, change.block.seq)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            for topics in self._topics.values():
                beat = topics.get(("heartbeat", 0))
                if isinstance(beat, Beat) and beat.subscribers:
                    beat.beat()


def _cut(topic: Channel) -> None:
    """Who must not miss a message has missed some."""
    for subscriber in tuple(topic.subscribers):
        if isinstance(subscriber, Connection):
            subscriber.cut("messages were lost; connect again and begin anew")


def _without_names(message: OrderMessage) -> OrderMessage:
    """For everybody: what the owner calls his order is nobody else's business."""
    return replace(message, client_oid="") if message.client_oid else message
