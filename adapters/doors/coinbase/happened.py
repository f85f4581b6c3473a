"""What happened to orders of an instrument in a block, as messages of the channels full and user.

Our events say of a trade how much was traded, not how much is left of either order; that is counted back from what the view of orders shows
after the block. Sequence numbers rise, and are the same at every gateway: SEQUENCES for each event of the partition. Numbers that are
missing belong to other instruments, not to messages: none of those is left out, a client that is too slow for them is cut.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from adapters.doors import shapes as native
from adapters.doors.coinbase import shapes
from adapters.doors.coinbase.said import OrderMessage
from adapters.doors.house import Listed
from adapters.reads.feed import Change, Feed
from domain import events as e
from domain.verbs import NEW_ORDER, ORDER_TYPES, SIDES, VERB_BY_CODE
from projections import layouts
from projections.columns import kinds

SEQUENCES: Final = 4
MAX_WORDS: Final = 4_096  # prices and sizes of a product that are spelled once
_MAKER_DONE: Final = 1
_TAKER_DONE: Final = 2
_NAMED: Final = frozenset({e.ORDER_RESTED, e.ORDER_REMOVED, e.ORDER_CANCELLED, e.ORDER_REDUCED})  # which name order and owner
_OF_ORDERS: Final = (
    e.ORDER_ACCEPTED,
    e.ORDER_RESTED,
    e.TRADE_EXECUTED,
    e.ORDER_REMOVED,
    e.ORDER_CANCELLED,
    e.ORDER_REDUCED,
    e.ORDER_REPLACED,
    e.SELF_TRADE_PREVENTED,
)


class Happened(NamedTuple):
    """A message, and whose orders it is about: (of a match) the taker's and the maker's account, else the owner's and 0."""

    message: OrderMessage
    account: int
    maker_account: int = 0


class Event(NamedTuple):
    """One of our events, with what its command says.

    order    which it is about; of a trade the taker's
    account  whose that is
    words    of the event, domain/events.py
    """

    kind: int
    place: int
    time_ns: int
    side: int
    is_kept: int
    order: int
    account: int
    order_type: int
    budget: int
    client_order_id: int
    words: list[int]


class Left(NamedTuple):
    """Lots that are open after an event: of its order and (trade, prevention) of the maker's."""

    order: int
    maker: int


class Product:
    """An instrument by its name in the dialect.

    client_oid  of an account's order with that client order id
    price, size  ticks and lots as text
    """

    def __init__(self, id: str, listed: Listed, client_oid: Callable[[int, int], str]) -> None:  # noqa: A002 # the dialect's word
        self.id, self.listed, self.client_oid = id, listed, client_oid
        self.price: Callable[[int], str] = lru_cache(MAX_WORDS)(lambda ticks: native.price(listed, ticks))
        self.size: Callable[[int], str] = lru_cache(MAX_WORDS)(lambda lots: native.quantity(listed, lots))


def happened(change: Change, before_ns: int, product: Product) -> Iterator[Happened]:
    """All of *product*, in order. before_ns: time of the block before. The rows of *change* have those of the view orders."""
    events = list(_events(change, before_ns, product.listed.instrument, _OF_ORDERS))
    for event, left in zip(events, _left(events, change), strict=True):
        yield from _messages(change, product, event, left)


def matches(change: Change, before_ns: int, product: Product) -> list[OrderMessage]:
    """The trades alone."""
    found = _events(change, before_ns, product.listed.instrument, (e.TRADE_EXECUTED,))
    return [_match(change, product, event).message for event in found]


def sequence(event: int) -> int:
    """Of event number *event* of its partition."""
    return SEQUENCES * event


def last_sequence(feed: Feed, seq: int) -> int:
    """The highest number that a message of block *seq* or an earlier one can have; 0: not known."""
    return sequence(feed.last_event(seq) + 1) - 1 if feed.last_event(seq) >= 0 else 0


def _events(change: Change, before_ns: int, instrument: int, which: Collection[int]) -> Iterator[Event]:
    block = change.block
    at = np.flatnonzero(kinds(*which)[block.kind] & (block.instrument == instrument))
    if not len(at):
        return
    command = block.command[at]
    columns = [
        block.kind[at],
        at,
        block.times_ns(before_ns)[command],
        block.side[at],
        block.word(0)[at] >> 9 & 1,
        block.incoming(at),
        block.account(at),
        *(block.asked_for(VERB_BY_CODE[NEW_ORDER], name)[command] for name in ("order_type", "budget", "client_order_id")),
    ]
    words = np.column_stack([block.word(word)[at] for word in range(1, 7)]).tolist()
    for said, row in zip(zip(*(column.tolist() for column in columns), strict=True), words, strict=True):
        event = Event._make((*said, [0, *row]))
        yield event._replace(order=row[0], account=row[1]) if event.kind in _NAMED else event


def _left(events: list[Event], change: Change) -> list[Left]:
    """What each event left, counted from the last to the first."""
    rows = change.rows["orders"]
    open_lots: dict[int, int] = {}

    def after(order: int, account: int) -> int:
        if order not in open_lots:
            row = rows.get(layouts.order_key(account, order), b"")
            open_lots[order] = layouts.ORDER.one(row).open_lots if row else 0
        return open_lots[order]

    found = []
    for event in reversed(events):
        words, lots, maker = event.words, event.words[4], 0
        own = after(event.order, event.account)
        if event.kind in {e.TRADE_EXECUTED, e.SELF_TRADE_PREVENTED}:
            maker = after(words[1], words[2])
            open_lots[words[1]] = maker + lots
            open_lots[event.order] = own + lots
        elif event.kind in {e.ORDER_REMOVED, e.ORDER_CANCELLED, e.ORDER_REDUCED}:
            open_lots[event.order] = own + lots
        elif event.kind == e.ORDER_REPLACED:
            own, open_lots[event.order] = lots, words[6]
        found.append(Left(own, maker))
    return found[::-1]


def _messages(change: Change, product: Product, event: Event, left: Left) -> Iterator[Happened]:
    kind, words = event.kind, event.words
    if kind == e.ORDER_ACCEPTED:
        yield _received(change, product, event)
    elif kind == e.TRADE_EXECUTED:
        yield _match(change, product, event)
        yield from _done_by_trade(change, product, event, left)
    elif kind == e.ORDER_RESTED:
        message = _of(change, product, event, "open")
        message.price, message.remaining_size = product.price(words[3]), product.size(words[4])
        yield Happened(message, event.account)
    elif kind in {e.ORDER_REMOVED, e.ORDER_CANCELLED}:
        yield _done(change, product, event, words[4])
    elif kind == e.ORDER_REDUCED:
        yield _changed(change, product, event, words[4] + left.order, left.order) if left.order else _done(change, product, event, words[4])
    elif kind == e.SELF_TRADE_PREVENTED:
        yield from _prevented(change, product, event, left)
    elif event.is_kept:
        yield _changed(change, product, event, words[6], words[4], words[2])
    else:  # it left the book, and is entered anew
        yield _done(change, product, event, words[6], words[2])
        yield _received(change, product, event, _TAKER_DONE)


def _of(change: Change, product: Product, event: Event, type_: str, more: int = 0, order: int = 0) -> OrderMessage:
    """A message of an event; of its order unless *order* is another."""
    return OrderMessage(
        type=type_,  # type: ignore[arg-type] # one of them
        product_id=product.id,
        sequence=sequence(change.block.first_event + event.place) + more,
        time=shapes.at(event.time_ns),
        side=SIDES[event.side],
        order_id=shapes.order_id(order or event.order),
    )


def _received(change: Change, product: Product, event: Event, more: int = 0) -> Happened:
    message = _of(change, product, event, "received", more)
    is_new = event.kind == e.ORDER_ACCEPTED
    message.order_type = ORDER_TYPES[event.order_type] if is_new else "limit"
    if message.order_type == "limit":
        message.price = product.price(event.words[3])
    if is_new and event.budget:
        message.funds = native.money(product.listed, event.budget)
    else:
        message.size = product.size(event.words[4])
    if is_new:
        message.client_oid = product.client_oid(event.account, event.client_order_id)
    return Happened(message, event.account)


def _match(change: Change, product: Product, event: Event) -> Happened:
    words = event.words
    message = _of(change, product, event, "match")
    message.order_id = ""
    message.side = SIDES[1 - event.side]
    message.trade_id = change.block.first_event + event.place
    message.maker_order_id, message.taker_order_id = shapes.order_id(words[1]), shapes.order_id(event.order)
    message.price, message.size = product.price(words[3]), product.size(words[4])
    return Happened(message, event.account, words[2])


def _done_by_trade(change: Change, product: Product, event: Event, left: Left) -> Iterator[Happened]:
    """Of the orders of a trade that are filled by it."""
    words = event.words
    for is_gone, more, order, account, side in (
        (left.maker == 0, _MAKER_DONE, words[1], words[2], 1 - event.side),
        (left.order == 0, _TAKER_DONE, event.order, event.account, event.side),
    ):
        if is_gone:
            message = _of(change, product, event, "done", more, order)
            message.side, message.reason, message.remaining_size = SIDES[side], "filled", product.size(0)
            yield Happened(message, account)


def _done(change: Change, product: Product, event: Event, lots: int, price_ticks: int = 0) -> Happened:
    """Without being filled: *lots* were left."""
    message = _of(change, product, event, "done")
    message.price = product.price(price_ticks or event.words[3])
    message.reason, message.remaining_size = "canceled", product.size(lots)
    return Happened(message, event.account)


def _changed(change: Change, product: Product, event: Event, before: int, now: int, before_ticks: int = 0) -> Happened:
    message = _of(change, product, event, "change")
    price = product.price(event.words[3])
    message.reason, message.price = "modify_order", price
    message.old_size, message.new_size = product.size(before), product.size(now)
    message.old_price, message.new_price = product.price(before_ticks) if before_ticks else price, price
    return Happened(message, event.account)


def _prevented(change: Change, product: Product, event: Event, left: Left) -> Iterator[Happened]:
    """Both orders lost lots without a trade."""
    words = event.words
    for lots, more, order, account, side in (
        (left.maker, _MAKER_DONE, words[1], words[2], 1 - event.side),
        (left.order, _TAKER_DONE, event.order, event.account, event.side),
    ):
        message = _of(change, product, event, "change" if lots else "done", more, order)
        message.side, message.price = SIDES[side], product.price(words[3])
        if lots:
            message.reason = "STP"
            message.old_size, message.new_size = product.size(lots + words[4]), product.size(lots)
        else:
            message.reason, message.remaining_size = "canceled", product.size(words[4])
        yield Happened(message, account)
