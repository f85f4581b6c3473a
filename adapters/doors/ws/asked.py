"""What clients ask over a WebSocket: JSON (or msgpack) objects that say by `op` what they are. `id` comes back with the answer."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from adapters.doors.rest.words import CommandId, Deadline, Decimals, NewOrder
from adapters.doors.ws.messages import Channel
from commands.messages import SideScope

Text = Annotated[str, msgspec.Meta(max_length=512)]
Symbol = Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
Id = Annotated[str, msgspec.Meta(max_length=64)]
OrderNumber = Annotated[str, msgspec.Meta(pattern="^([1-9][0-9]{0,18})?$")]
Account = Annotated[int, msgspec.Meta(ge=1, le=2**31)]


class Named(msgspec.Struct):
    """What is seen of a message that came too often."""

    id: Id = ""


class Op(msgspec.Struct, kw_only=True, tag_field="op"):
    """What all have."""

    id: Id = ""


class Login(Op, kw_only=True, tag="login"):
    r"""By the token of a session, or by a key that signs TIME \n NONCE \n GET \n /v1/ws \n.

    cancel_on_disconnect  when the connection ends, however it does, all orders of the accounts that traded over it are cancelled
    partition             to which batches go; 0: the lowest
    """

    token: Text = ""
    key: Text = ""
    time: Text = ""
    nonce: Text = ""
    signature: Text = ""
    cancel_on_disconnect: bool = False
    partition: Annotated[int, msgspec.Meta(ge=0, le=2**15)] = 0


class Subscribe(Op, kw_only=True, tag="subscribe", rename={"after": "from"}):
    """Be pushed what happens. from: by partition the last block that was seen; what came since is sent again, or else the state."""

    channels: Annotated[list[Channel], msgspec.Meta(min_length=1, max_length=8)]
    symbols: Annotated[list[Symbol], msgspec.Meta(max_length=1_024)] = []
    after: dict[OrderNumber, int] = {}
    interval: Literal["1s", "1m", "5m", "1h", "1d"] = "1m"


class Unsubscribe(Op, kw_only=True, tag="unsubscribe"):
    """Be pushed it no more."""

    channels: Annotated[list[Channel], msgspec.Meta(min_length=1, max_length=8)]
    symbols: Annotated[list[Symbol], msgspec.Meta(max_length=1_024)] = []
    interval: Literal["1s", "1m", "5m", "1h", "1d"] = "1m"


class Ping(Op, kw_only=True, tag="ping"):
    """Are you there?"""


class Order(NewOrder, kw_only=True, tag="order", tag_field="op"):
    """An order, as POST /v1/orders takes it."""

    id: Id = ""


class Aimed(Op, kw_only=True):
    """At an order: by the venue's number or your client order id.

    symbol  of its instrument; a cancel by the venue's number does without
    """

    order: OrderNumber = ""
    client_order_id: CommandId = ""
    symbol: Annotated[str, msgspec.Meta(max_length=8)] = ""
    account: Account | None = None
    command_id: CommandId = ""
    deadline_ms: Deadline = 0


class Cancel(Aimed, kw_only=True, tag="cancel"):
    """Take an order away."""


class Replace(Aimed, kw_only=True, tag="replace"):
    """Another price, open quantity or client order id; it loses its place unless only the quantity falls."""

    price: Decimals = ""
    quantity: Decimals = ""
    new_client_order_id: CommandId = ""


class Reduce(Aimed, kw_only=True, tag="reduce"):
    """Take so much off."""

    quantity: Decimals


class CancelAll(Op, kw_only=True, tag="mass_cancel"):
    """All of an account, of one instrument or one side; without a symbol in every partition."""

    symbol: Annotated[str, msgspec.Meta(max_length=8)] = ""
    side: SideScope = "any"
    account: Account | None = None
    command_id: CommandId = ""


Asked: TypeAlias = Login | Subscribe | Unsubscribe | Ping | Order | Cancel | Replace | Reduce | CancelAll
FROM_JSON: msgspec.json.Decoder[Asked] = msgspec.json.Decoder(Asked)
FROM_MSGPACK: msgspec.msgpack.Decoder[Asked] = msgspec.msgpack.Decoder(Asked)
NAME_FROM_JSON: msgspec.json.Decoder[Named] = msgspec.json.Decoder(Named)
NAME_FROM_MSGPACK: msgspec.msgpack.Decoder[Named] = msgspec.msgpack.Decoder(Named)
