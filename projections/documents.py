"""The documents of the audit index: their fields, and how an index keeps each (docs/views.md shows both).

Prices are ticks, quantities lots, money minor units, times nanoseconds of UTC. What is empty, and a number that is 0, is left out.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import msgspec

LAYOUT: Final = 1
KINDS: Final = ("order", "change", "trade", "refusal", "funds", "session", "operator")


class Placed(msgspec.Struct, omit_defaults=True, tag_field="kind"):
    """Where a document stands on record: the first event that it tells of."""

    partition: int
    seq: int
    event: int
    time_ns: int


class Order(Placed, tag="order"):
    """The life of an order. changed_…: the last event that touched it. ended_by: name of the event that ended it, else it is open."""

    account: int
    order: int
    instrument: int
    symbol: str
    side: str
    order_type: str
    time_in_force: str
    client_order_id: int
    price_ticks: int
    quantity_lots: int
    open_lots: int = 0
    filled_lots: int = 0
    value: int = 0
    fees: int = 0
    changed_ns: int = 0
    changed_seq: int = 0
    changed_event: int = 0
    ended_by: str = ""
    reason: str = ""


class Change(Placed, tag="change"):
    """An order after a block that changed it. what: the events that did, in their order."""

    account: int
    order: int
    instrument: int
    symbol: str
    side: str
    what: list[str]
    client_order_id: int
    price_ticks: int
    quantity_lots: int
    open_lots: int = 0


class Trade(Placed, tag="trade"):
    """A trade. account, order, fees: of the taker, then of the maker; side: the taker's."""

    account: tuple[int, int]
    order: tuple[int, int]
    instrument: int
    symbol: str
    side: str
    price_ticks: int
    quantity_lots: int
    fees: tuple[int, int]


class Refusal(Placed, tag="refusal"):
    """A command that was refused; what it asked for, as it stands in its row. what: its verb; reason: the rule."""

    account: int
    what: str
    reason: str
    limit: int
    observed: int
    session: int = 0
    sequence: int = 0
    symbol: str = ""
    instrument: int = 0
    side: str = ""
    client_order_id: int = 0
    order: int = 0
    price_ticks: int = 0
    quantity_lots: int = 0
    asset: int = 0
    amount: int = 0


class Funds(Placed, tag="funds"):
    """Money or stock that came or went (below 0), and what is available after it."""

    account: int
    what: str
    asset: int
    amount: int
    available: int = 0


class Session(Placed, tag="session"):
    """An instrument in another state."""

    account: int
    instrument: int
    symbol: str
    what: str
    text: str


class Act(Placed, tag="operator"):
    """An act upon instruments, accounts or many orders. text: the fields of its command and event, by name."""

    account: int
    what: str
    text: str = ""
    instrument: int = 0
    symbol: str = ""


class Instrument(msgspec.Struct):
    """What a tick and a lot of an instrument are worth: for whoever shows documents to people."""

    partition: int
    instrument: int
    symbol: str
    tick_size_e9: int
    lot_size_e9: int
    base_asset: int
    quote_asset: int
    base_scale: int
    quote_scale: int


Document: TypeAlias = Order | Change | Trade | Refusal | Funds | Session | Act

_WORD: Final = {"type": "keyword"}
_NUMBER: Final = {"type": "long"}
_SHOWN: Final = {"type": "long", "index": False, "doc_values": False}
MAPPING: Final[dict[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        **dict.fromkeys(("kind", "account", "order", "client_order_id", "instrument", "symbol", "side"), _WORD),
        **dict.fromkeys(("order_type", "time_in_force", "what", "reason", "ended_by", "asset"), _WORD),
        **dict.fromkeys(("partition", "event", "time_ns", "changed_ns", "price_ticks", "quantity_lots"), _NUMBER),
        **dict.fromkeys(("seq", "changed_seq", "changed_event", "open_lots", "filled_lots", "value", "fees"), _SHOWN),
        **dict.fromkeys(("limit", "observed", "session", "sequence", "amount", "available"), _SHOWN),
        "text": {"type": "text", "analyzer": "whitespace", "norms": False, "index_options": "docs"},
    },
}
INSTRUMENTS: Final[dict[str, Any]] = {name: _WORD if name == "symbol" else _SHOWN for name in Instrument.__struct_fields__}
