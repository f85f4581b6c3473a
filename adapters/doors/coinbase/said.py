"""What the feed says, message by message, and what clients say to it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

MAX_PRODUCTS = 1_024
MAX_CHANNELS = 16
Name = Literal["level2", "matches", "ticker", "full", "user", "heartbeat"]
NAMES: tuple[Name, ...] = ("level2", "matches", "ticker", "full", "user", "heartbeat")
Text = Annotated[str, msgspec.Meta(max_length=256)]
ProductIds = Annotated[list[Text], msgspec.Meta(max_length=MAX_PRODUCTS)]


class ChannelAsked(msgspec.Struct):
    """A channel, and products of its own."""

    name: Text
    product_ids: ProductIds = []


class Asked(msgspec.Struct):
    """What a client says. The signature is that of GET /users/self/verify; it is needed for the channel user."""

    type: Literal["subscribe", "unsubscribe"]
    channels: Annotated[list[Text | ChannelAsked], msgspec.Meta(max_length=MAX_CHANNELS)] = []
    product_ids: ProductIds = []
    key: Text = ""
    passphrase: Text = ""
    timestamp: Text | int | float = ""
    signature: Text = ""


class Subscribed(msgspec.Struct):
    """A channel and its products."""

    name: str
    product_ids: list[str]


class Subscriptions(msgspec.Struct, tag_field="type", tag="subscriptions"):
    """All that a connection gets now."""

    channels: list[Subscribed]


class Wrong(msgspec.Struct, tag_field="type", tag="error"):
    """What was asked is not done."""

    message: str
    reason: str


class Snapshot(msgspec.Struct, tag_field="type", tag="snapshot"):
    """The best 32 prices of each side: price, size."""

    product_id: str
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]
    time: str


class L2Update(msgspec.Struct, tag_field="type", tag="l2update"):
    """Prices that are new, changed or (size 0) gone: side, price, size."""

    product_id: str
    changes: list[tuple[str, str, str]]
    time: str


class Ticker(msgspec.Struct, tag_field="type", tag="ticker", omit_defaults=True):
    """The last trade, best prices, the last 24 hours. side: the taker's."""

    product_id: str
    sequence: int
    price: str = ""
    open_24h: str = ""
    volume_24h: str = ""
    low_24h: str = ""
    high_24h: str = ""
    best_bid: str = ""
    best_bid_size: str = ""
    best_ask: str = ""
    best_ask_size: str = ""
    side: str = ""
    time: str = ""
    trade_id: int = 0
    last_size: str = ""


class Heartbeat(msgspec.Struct, tag_field="type", tag="heartbeat"):
    """We are there, and this is the last that happened."""

    product_id: str
    sequence: int
    last_trade_id: int
    time: str


class OrderMessage(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What happened to an order (channels full and user).

    received  it was taken; size or (market, to buy) funds
    open      what is left of it is in the book
    match     it met another; side: that of the maker
    change    its size or price is another
    done      it is gone: filled or canceled
    """

    type: Literal["received", "open", "match", "change", "done"]
    product_id: str
    sequence: int
    time: str
    side: str
    order_id: str = ""
    client_oid: str = ""
    order_type: str = ""
    size: str = ""
    funds: str = ""
    price: str = ""
    remaining_size: str = ""
    reason: str = ""
    old_size: str = ""
    new_size: str = ""
    old_price: str = ""
    new_price: str = ""
    trade_id: int = 0
    maker_order_id: str = ""
    taker_order_id: str = ""
    user_id: str = ""
    profile_id: str = ""
    maker_profile_id: str = ""
    maker_fee_rate: str = ""
    taker_profile_id: str = ""
    taker_fee_rate: str = ""
