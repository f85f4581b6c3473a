"""The words of an order."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar.params import QueryParameter

from commands.messages import PostOnly, SelfTrade, Side

Deadline = Annotated[int, msgspec.Meta(ge=0, le=60_000, description="Not executed later than so many milliseconds from now; 0: whenever.")]
Decimals = Annotated[str, msgspec.Meta(max_length=40, examples=["12.50"])]
Rate = Annotated[str, msgspec.Meta(max_length=40, examples=["0.0002"])]
_IS_ID = "^([1-9][0-9]{0,18})?$"
_ONCE = "Your number for the command: sent again with it, nothing is done twice."
_YOURS = "Your number for the order, unique among your live ones."
CommandId = Annotated[str, msgspec.Meta(pattern=_IS_ID, description=_ONCE)]
ClientOrderId = Annotated[str, msgspec.Meta(pattern=_IS_ID, description=_YOURS)]
CommandIdInQuery = Annotated[str, QueryParameter(name="command_id", pattern=_IS_ID, description=_ONCE)]
ClientOrderIdInQuery = Annotated[str, QueryParameter(name="client_order_id", pattern=_IS_ID, description=_YOURS)]


class NewOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An order. Without a price it is a market order: a buy then needs a budget."""

    symbol: Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
    side: Side
    quantity: Decimals
    price: Decimals = ""
    order_type: Literal["", "limit", "market"] = ""
    time_in_force: Literal["", "GTC", "IOC", "FOK", "DAY", "GTD"] = ""
    post_only: PostOnly = "off"
    self_trade: SelfTrade = "cancel_newest"
    budget: Decimals = ""
    expires: Annotated[str, msgspec.Meta(max_length=40)] = ""
    client_order_id: ClientOrderId = ""
    command_id: CommandId = ""
    account: int | None = None
    deadline_ms: Deadline = 0
