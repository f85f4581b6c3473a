"""What clients of the dialect see: decimals as text, times in microseconds, orders by UUID."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

import msgspec
from litestar import Response

from adapters import times
from adapters.doors import shapes
from adapters.doors.coinbase.ids import ORDER, PROFILE, to_uuid
from adapters.doors.house import Listed
from domain.columns import PARTITION_SHIFT
from domain.events import TRADE_EXECUTED
from domain.verbs import ORDER_TYPES, SIDES, TIMES_IN_FORCE
from projections import layouts

T = TypeVar("T")
S: Final = 10**9
TRADES: Final[int] = 2**PARTITION_SHIFT
_TIMES_IN_FORCE: Final = {"DAY": "GTT", "GTD": "GTT"}
Cursor = tuple[int, ...]
SideShape = Literal["buy", "sell"]


class TradeShape(msgspec.Struct):
    """A trade; side is the maker's."""

    trade_id: int
    side: str
    size: str
    price: str
    time: str


class OrderShape(msgspec.Struct, omit_defaults=True, kw_only=True):
    """An order. Without size: a market order for funds."""

    id: str
    client_oid: str = ""
    product_id: str
    profile_id: str
    side: str
    type: str
    time_in_force: str
    price: str = ""
    size: str = ""
    funds: str = ""
    post_only: bool | None = None
    created_at: str
    expire_time: str = ""
    done_at: str = ""
    done_reason: str = ""
    filled_size: str
    executed_value: str
    fill_fees: str
    status: str
    settled: bool | None = None


class Fill(msgspec.Struct):
    """One side of a trade."""

    trade_id: int
    product_id: str
    order_id: str
    profile_id: str
    liquidity: Literal["M", "T"]
    side: str
    price: str
    size: str
    fee: str
    created_at: str
    settled: bool


@lru_cache(1_024)
def at(time_ns: int) -> str:
    """ISO 8601, six decimals."""
    return times.from_ns(time_ns)[:-4] + "Z"


def number(text: str) -> msgspec.Raw:
    """A decimal as a number of JSON, to the digit."""
    return msgspec.Raw(text.encode())


def order_id(order: int) -> str:
    """Of an order's number."""
    return to_uuid(ORDER, order)


def trade_id(trade: int) -> int:
    """Of a trade's number: without its partition, so that it is exact where numbers are floats."""
    return trade % TRADES


def trade(listed: Listed, each: layouts.Trade) -> TradeShape:
    """Of a trade."""
    price, size = shapes.price(listed, each.price_ticks), shapes.quantity(listed, each.quantity_lots)
    return TradeShape(trade_id(each.number), SIDES[1 - each.side], size, price, at(each.time_ns))


def order(listed: Listed, product_id: str, each: layouts.Order, client_oid: str) -> OrderShape:
    """Of an order, open or ended."""
    is_limit = ORDER_TYPES[each.order_type] == "limit"
    is_for_funds = not is_limit and each.quantity_lots == listed.terms.max_quantity_lots
    lasting = TIMES_IN_FORCE[each.time_in_force]
    shape = OrderShape(
        id=order_id(each.order),
        client_oid=client_oid,
        product_id=product_id,
        profile_id=to_uuid(PROFILE, each.account),
        side=SIDES[each.side],
        type=ORDER_TYPES[each.order_type],
        time_in_force=_TIMES_IN_FORCE.get(lasting, lasting),
        price=shapes.price(listed, each.price_ticks) if is_limit else "",
        size="" if is_for_funds else shapes.quantity(listed, each.quantity_lots),
        created_at=at(each.accepted_ns),
        filled_size=shapes.quantity(listed, each.filled_lots),
        executed_value=shapes.money(listed, each.value),
        fill_fees=shapes.money(listed, each.fees),
        status="done" if each.ended_by else "open",
        settled=bool(each.ended_by),
    )
    if each.ended_by:
        shape.done_at = at(each.changed_ns)
        shape.done_reason = "filled" if each.ended_by == TRADE_EXECUTED else "canceled"
    return shape


def fill(listed: Listed, product_id: str, account: int, each: layouts.Execution) -> Fill:
    """Of one side of a trade."""
    return Fill(
        trade_id=trade_id(each.number),
        product_id=product_id,
        order_id=order_id(each.order),
        profile_id=to_uuid(PROFILE, account),
        liquidity="M" if each.is_maker else "T",
        side=SIDES[each.side],
        price=shapes.price(listed, each.price_ticks),
        size=shapes.quantity(listed, each.quantity_lots),
        fee=shapes.money(listed, each.fee),
        created_at=at(each.time_ns),
        settled=True,
    )


def page(
    found: Sequence[T], cursor: Callable[[T], Cursor], shape: Callable[[T], Any], *, limit: int, before: str, after: str
) -> Response[Any]:
    """The newest *limit* of *found* that are newer than the cursor *before* and older than *after*; CB-BEFORE, CB-AFTER say how to go on.

    Raises msgspec.ValidationError for a cursor that is none
    """
    newer, older = _cursor(before), _cursor(after)
    wanted = [each for each in found if (newer is None or cursor(each) > newer) and (older is None or cursor(each) < older)]
    wanted.sort(key=cursor, reverse=True)
    wanted = wanted[:limit]
    ends = {"CB-BEFORE": wanted[0], "CB-AFTER": wanted[-1]} if wanted else {}
    head = {name: ":".join(map(str, cursor(each))) for name, each in ends.items()}
    return Response([shape(each) for each in wanted], headers=head, media_type="application/json")


def _cursor(text: str) -> Cursor | None:
    parts = text.split(":") if text else []
    if not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in parts):
        raise msgspec.ValidationError(f"{text!r} is no cursor; right would be what CB-BEFORE or CB-AFTER of an answer said")
    return tuple(map(int, parts)) if parts else None
