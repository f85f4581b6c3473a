"""The short way of ordinary orders: the row of a limit order, and the answer to one, without the objects between.

It makes what adapters/tickets.py, commands/codec.py and adapters/doors/shapes.py make, or says that it does not (None): then they are
asked, and they say what is wrong. tests/doors/test_ws_quick.py holds both ways to each other.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from adapters import decimals
from adapters.doors import shapes
from adapters.doors.house import Listed
from adapters.doors.rest.words import NewOrder
from adapters.doors.shapes import Done, FillShape
from domain import events as e
from domain import verbs as v
from domain.columns import PARTITION_SHIFT
from domain.wellformed import bounds

_NEW: Final = struct.Struct("<q16x5q8x2q40x")  # verb; sequence, account, instrument, terms, client order id; price, quantity
_EVENT: Final = struct.Struct(f"<{e.EVENT_WORDS}q")
_SIDES: Final = {name: place for place, name in enumerate(v.SIDES)}
_LASTING: Final = {"": v.GTC << 2, "GTC": v.GTC << 2, "IOC": v.IOC << 2, "FOK": v.FOK << 2, "DAY": v.DAY << 2}
_POST_ONLY: Final = {name: place << 5 for place, name in enumerate(v.POST_ONLY_MODES)}
_SELF_TRADE: Final = {name: place << 7 for place, name in enumerate(v.STP_MODES)}
_OF_ONE_ORDER: Final = frozenset({e.ORDER_ACCEPTED, e.ORDER_CANCELLED, e.ORDER_REDUCED, e.ORDER_REPLACED})
_ALL: Final = bounds()
_IDS, _ACCOUNTS, _NAMES, _TICKS, _LOTS = (  # asking about a whole row, as batches are asked about, takes 20 microseconds
    (_ALL[place], _ALL[place + 1])
    for place in (
        2 * (v.NEW_ORDER * v.COMMAND_WORDS + word) for word in (v.SEQUENCE, v.ACCOUNT, v.CLIENT_ORDER_ID, v.PRICE_TICKS, v.QUANTITY_LOTS)
    )
)
_KNOWN: Final = 2**16  # decimals that were read or written lately, of each kind

to_ticks = lru_cache(_KNOWN)(decimals.to_ticks)
to_lots = lru_cache(_KNOWN)(decimals.to_lots)


@lru_cache(_KNOWN)
def _price(ticks: int, tick_size_e9: int) -> str:
    return str(decimals.from_ticks(ticks, tick_size_e9))


@lru_cache(_KNOWN)
def _quantity(lots: int, lot_size_e9: int) -> str:
    return str(decimals.from_lots(lots, lot_size_e9))


def order_row(asked: NewOrder, account: int, listed: Listed, command_id: int) -> bytes | None:
    """The row of a limit order without an end of its own. Raises BadDecimal."""
    lasting = _LASTING.get(asked.time_in_force)
    if not asked.price or asked.order_type == "market" or asked.budget or asked.expires or lasting is None:
        return None
    terms = _SIDES[asked.side] | lasting | _POST_ONLY[asked.post_only] | _SELF_TRADE[asked.self_trade]
    ticks, lots = to_ticks(asked.price, listed.terms.tick_size_e9), to_lots(asked.quantity, listed.terms.lot_size_e9)
    named = int(asked.client_order_id or 0)
    if not (
        _IDS[0] <= command_id <= _IDS[1]
        and _ACCOUNTS[0] <= account <= _ACCOUNTS[1]
        and _NAMES[0] <= named <= _NAMES[1]
        and _TICKS[0] <= ticks <= _TICKS[1]
        and _LOTS[0] <= lots <= _LOTS[1]
    ):
        return None
    return _NEW.pack(v.NEW_ORDER, command_id, account, listed.instrument, terms, named, ticks, lots)


def done(
    rows: bytes, partition: int, seq: int, first_event: int, verb: str, command_id: int, listed: Listed | None, durability: str
) -> Done | None:
    """The answer to a command that one order came of, from its event rows."""
    events = list(_EVENT.iter_unpack(rows))
    head = events[0]
    if head[0] & 255 not in _OF_ONE_ORDER:
        return None
    order, is_resting, removed = head[1], False, ""
    fills: list[FillShape] = []
    for place, words in enumerate(events[1:], first_event + 1):
        kind = words[0] & 255
        if kind == e.ORDER_RESTED:
            is_resting = True
        elif kind == e.TRADE_EXECUTED and listed is not None:
            fills.append(_fill(words, (partition << PARTITION_SHIFT) + place, listed))
        elif kind == e.ORDER_REMOVED and words[1] == order and not removed:
            removed = e.REMOVAL_REASONS[words[0] >> 16 & 255]
    number = (partition << PARTITION_SHIFT) + first_event
    return Done(str(command_id), verb, "accepted", str(order), is_resting, fills, removed, partition, seq, str(number), durability)


def _fill(words: tuple[int, ...], number: int, listed: Listed) -> FillShape:
    terms = listed.terms
    price, quantity = _price(words[3], terms.tick_size_e9), _quantity(words[4], terms.lot_size_e9)
    return FillShape(str(number), price, quantity, shapes.money(listed, words[5]), str(words[1]))
