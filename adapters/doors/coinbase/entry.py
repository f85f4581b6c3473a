"""An order in the words of the dialect, and the command that it is."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from adapters.doors import shapes
from adapters.doors.coinbase.products import MAX_SLIPPAGE
from adapters.doors.house import Listed
from adapters.tickets import BadTicket, Lasting, Ticket, new_order
from commands import messages
from commands.messages import SelfTrade, Side
from projections.layouts import Quote

Amount = str | int | float
Text = Annotated[str, msgspec.Meta(max_length=64)]
PREVENTS: Final[dict[str, SelfTrade]] = {"dc": "decrement", "co": "cancel_oldest", "cn": "cancel_newest", "cb": "cancel_both"}
LASTS_S: Final = {"min": 60, "hour": 3_600, "day": 86_400}
S: Final = 10**9


class NewOrder(msgspec.Struct, kw_only=True):
    """As the dialect has it. client_oid: the command's name as well, so an order sent again with it is not entered twice."""

    product_id: Text
    side: Side
    type: Literal["limit", "market"] = "limit"
    size: Amount = ""
    price: Amount = ""
    funds: Amount = ""
    client_oid: Text = ""
    profile_id: Text = ""
    stp: Literal["dc", "co", "cn", "cb"] = "dc"
    time_in_force: Literal["GTC", "GTT", "IOC", "FOK"] = "GTC"
    cancel_after: Literal["", "min", "hour", "day"] = ""
    post_only: bool = False
    stop: Text = ""
    stop_price: Amount = ""
    max_floor: Amount = ""


def command(asked: NewOrder, listed: Listed, account: int, client_order_id: int, now_ns: int, quote: Quote | None) -> messages.NewOrder:
    """The command. Raises BadTicket, BadDecimal.

    quote  best prices, from which a market order gets its protection: MAX_SLIPPAGE percent beyond; None: nobody quotes, nothing is met
    """
    if asked.stop or asked.stop_price or asked.max_floor:
        raise BadTicket("stop, stop_price and max_floor are not to be had here; right would be an order without them")
    made = _market(asked, listed, account, quote) if asked.type == "market" else _limit(asked, listed, account, now_ns)
    return msgspec.structs.replace(made, received_ns=now_ns, sequence=client_order_id, client_order_id=client_order_id)


def _limit(asked: NewOrder, listed: Listed, account: int, now_ns: int) -> messages.NewOrder:
    if asked.funds or not (asked.price and asked.size):
        raise BadTicket("a limit order has a price and a size, and no funds")
    if (asked.time_in_force == "GTT") != bool(asked.cancel_after):
        raise BadTicket("time_in_force GTT and cancel_after (min, hour, day) go together")
    lasting: Lasting = "GTD" if asked.time_in_force == "GTT" else asked.time_in_force
    ticket = Ticket(
        side=asked.side,
        quantity=str(asked.size),
        price=str(asked.price),
        time_in_force=lasting,
        post_only="refuse" if asked.post_only else "off",
        self_trade=PREVENTS[asked.stp],
        expires=str(now_ns + LASTS_S[asked.cancel_after] * S) if asked.cancel_after else "",
    )
    return new_order(ticket, account, listed.instrument, listed.terms)


def _market(asked: NewOrder, listed: Listed, account: int, quote: Quote | None) -> messages.NewOrder:
    if bool(asked.size) == bool(asked.funds) or (asked.funds and asked.side == "sell"):
        raise BadTicket("a market order has a size or, to buy, funds; right would be one of them")
    terms = listed.terms
    ticket = Ticket(
        side=asked.side,
        order_type="market",
        quantity=str(asked.size or shapes.quantity(listed, terms.max_quantity_lots)),
        budget=str(asked.funds),
        price=shapes.price(listed, _protection(asked.side, listed, quote)),
        self_trade=PREVENTS[asked.stp],
        time_in_force="FOK" if asked.time_in_force == "FOK" else "IOC",
    )
    return new_order(ticket, account, listed.instrument, terms)


def _protection(side: Side, listed: Listed, quote: Quote | None) -> int:
    """The worst price in ticks at which a market order may trade."""
    low, high = listed.terms.band_low_ticks, listed.terms.band_high_ticks
    if side == "buy":
        best = quote.ask_ticks if quote else 0
        return min(high, best * (100 + MAX_SLIPPAGE) // 100) if best else low
    best = quote.bid_ticks if quote else 0
    return max(low, -(-best * (100 - MAX_SLIPPAGE) // 100)) if best else high
