"""An order in the words of people, as it comes to every door, and the command that it is."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from adapters import times
from adapters.decimals import to_lots, to_minor, to_ticks
from commands.messages import NewOrder, PostOnly, SelfTrade, Side

Type = Literal["limit", "market"]
Lasting = Literal["GTC", "IOC", "FOK", "DAY", "GTD"]


class Terms(Protocol):
    """What is asked of a listed instrument."""

    @property
    def tick_size_e9(self) -> int:
        """One tick, in 10^-9 of the quote asset."""

    @property
    def lot_size_e9(self) -> int:
        """One lot, in 10^-9 of the base asset."""

    @property
    def quote_scale(self) -> int:
        """Decimal digits of the quote asset."""

    @property
    def band_low_ticks(self) -> int:
        """Lowest price."""


class BadTicket(ValueError):
    """What an order lacks, or what does not go together."""


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """An order. Numbers are decimals as text.

    price          none: a market order
    order_type     none: limit with a price, market without
    time_in_force  none: GTD with *expires*, IOC for a market order, else GTC
    budget         of a market buy: the most it may spend, fees included
    expires        ISO 8601, or nanoseconds
    """

    side: Side
    quantity: str
    price: str = ""
    order_type: Type | Literal[""] = ""
    time_in_force: Lasting | Literal[""] = ""
    post_only: PostOnly = "off"
    self_trade: SelfTrade = "cancel_newest"
    budget: str = ""
    expires: str = ""
    client_order_id: int = 0


def new_order(ticket: Ticket, account: int, instrument: int, terms: Terms) -> NewOrder:
    """The command. Raises BadTicket, BadDecimal, BadTime, and msgspec.ValidationError for a value that no field holds."""
    kind = ticket.order_type or ("limit" if ticket.price else "market")
    if kind == "limit" and not ticket.price:
        raise BadTicket("a limit order has a price; right would be for example price 12.50, or order_type market")
    if kind == "market" and ticket.side == "buy" and not (ticket.price or ticket.budget):
        raise BadTicket("a market buy has a budget, the most it may spend, or a price that it does not pass; right would be one of them")
    expires_ns = times.to_ns(ticket.expires) if ticket.expires else 0
    protection = terms.band_low_ticks if kind == "market" and ticket.side == "sell" else 0
    fields = {
        "account": account,
        "instrument": instrument,
        "side": ticket.side,
        "quantity_lots": to_lots(ticket.quantity, terms.lot_size_e9),
        "order_type": kind,
        "time_in_force": ticket.time_in_force or ("GTD" if expires_ns else "IOC" if kind == "market" else "GTC"),
        "expires_ns": expires_ns,
        "post_only": ticket.post_only,
        "stp": ticket.self_trade,
        "client_order_id": ticket.client_order_id,
        "price_ticks": to_ticks(ticket.price, terms.tick_size_e9) if ticket.price else protection,
        "budget": to_minor(ticket.budget, terms.quote_scale) if ticket.budget else 0,
    }
    return msgspec.convert(fields, NewOrder)
